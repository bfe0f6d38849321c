//! Messages that cannot be decoded, and the ways past them.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{events, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, GROUP, property, queue};
use super::member::{Handler, Member, options, succeeds, until};
use super::records::{Stored, plain};
use crate::consumer::gate::Outcome;
use crate::consumer::{ConsumerOptions, OnUndecodable, OrderedBy, Paused};
use crate::protocol::MessageQueue;
use crate::protocol::code::request::SEND_MESSAGE_V2;
use crate::protocol::properties::name;

fn with(on_undecodable: OnUndecodable) -> ConsumerOptions {
    ConsumerOptions { on_undecodable, ..options() }
}

fn rotten() -> Stored {
    let properties = vec![(name::UNIQ_KEY.to_owned(), "ROTTEN".to_owned()), ("colour".to_owned(), "red".to_owned())];
    Stored { damaged: true, properties, ..plain(b"bits rot") }
}

/// One queue with two messages, a damaged one, and two more.
fn damaged() -> (Arc<Cluster>, MessageQueue) {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2);
    cluster.store(&at, rotten());
    cluster.send(&at, 2);
    (cluster, at)
}

fn mend(cluster: &Cluster, at: &MessageQueue) {
    cluster.state().broker(at).queues.get_mut(at).unwrap()[2].damaged = false;
}

fn letters(cluster: &Cluster) -> usize {
    cluster.entries().iter().filter(|(_, entry)| matches!(entry, Entry::DeadLetter { .. })).count()
}

#[tokio::test(start_paused = true)]
async fn a_skipped_message_is_told_and_counted_when_its_turn_has_come() {
    let (cluster, at) = damaged();
    let member = Member::start("c1", &cluster, with(OnUndecodable::Skip), succeeds(2_000)).await;
    until("the second one", || started(&cluster, &at).len() == 2).await;
    assert!(events(&cluster, "\"undecodable\"").is_empty(), "what is before it is not done");
    assert!(member.consumer.health().problems.is_empty());
    until("committed", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(started(&cluster, &at), [0, 1, 3, 4]);
    let told = events(&cluster, "\"undecodable\"");
    assert_eq!(told.len(), 1, "{told:?}");
    for said in ["offset 2 (ROTTEN) of orders@a:0", "CRC", "skipped", "\"msgId\":\"ROTTEN\""] {
        assert!(told[0].contains(said), "{said}: {}", told[0]);
    }
    let stats = member.consumer.stats();
    assert_eq!((stats.undecodable, stats.skipped, stats.dead_lettered, stats.consumed), (1, 1, 0, 4));
    assert_eq!((stats.blocked_queues, letters(&cluster)), (0, 0));
    assert!(member.consumer.health().problems.is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_order_by_key_a_key_that_fails_does_not_keep_the_others_from_going_past_it() {
    let (cluster, at) = damaged();
    let handler: Handler = Arc::new(|delivery| {
        let outcome = if delivery.message.queue_offset == 0 { Outcome::Later } else { Outcome::Success };
        (Duration::from_millis(1), outcome)
    });
    let keyed = |key: &str| Stored { properties: vec![(name::SHARDING_KEY.to_owned(), key.to_owned())], ..plain(b"x") };
    cluster.store(&at, keyed("other"));
    let by_key = ConsumerOptions { ordered_by: OrderedBy::Key, ..with(OnUndecodable::Skip) };
    let member = Member::start("c1", &cluster, by_key, handler).await;
    until("past it", || succeeded(&cluster, &at).contains(&5)).await;
    assert_eq!((succeeded(&cluster, &at).len(), cluster.committed(&at)), (1, Some(0)));
    assert_eq!(member.consumer.stats().skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn many_in_a_row_are_passed_one_by_one() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    for _ in 0..40 {
        cluster.store(&at, rotten());
    }
    cluster.send(&at, 1);
    let member = Member::start("c1", &cluster, with(OnUndecodable::Skip), succeeds(1)).await;
    until("committed", || cluster.committed(&at) == Some(41)).await;
    assert_eq!(started(&cluster, &at), [40]);
    assert_eq!((member.consumer.stats().skipped, events(&cluster, "\"undecodable\"").len()), (40, 40));
}

#[tokio::test(start_paused = true)]
async fn what_was_damaged_on_its_way_is_handled() {
    for policy in [OnUndecodable::Skip, OnUndecodable::DeadLetter] {
        let (cluster, at) = damaged();
        let member = Member::start("c1", &cluster, with(policy), succeeds(1_000)).await;
        until("started", || !started(&cluster, &at).is_empty()).await;
        mend(&cluster, &at);
        until("committed", || cluster.committed(&at) == Some(5)).await;
        assert_eq!(started(&cluster, &at), [0, 1, 2, 3, 4], "a second look, at it alone, decides");
        assert_eq!((member.consumer.stats().undecodable, letters(&cluster)), (0, 0));
        assert!(events(&cluster, "\"undecodable\"").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn its_bytes_go_to_the_dead_letter_queue_so_that_any_client_can_read_them() {
    let (cluster, at) = damaged();
    let member = Member::start("c1", &cluster, with(OnUndecodable::DeadLetter), succeeds(1)).await;
    until("committed", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(succeeded(&cluster, &at).len(), 4);
    let letter = cluster.entries().into_iter().find_map(|(_, entry)| match entry {
        Entry::DeadLetter { topic, body, j, l, f, properties } => Some((topic, body, (j, l, f), properties)),
        _ => None,
    });
    let (topic, body, header, properties) = letter.unwrap();
    assert_eq!((topic.as_str(), &body[..], header), ("%RETRY%GID_test", &b"bits rot"[..], (1, 0, 0)));
    for (key, value) in [
        (name::RETRY_TOPIC, "orders"),
        (name::ORIGIN_MESSAGE_ID, "ROTTEN"),
        ("colour", "red"),
        ("UNDECODABLE_SYS_FLAG", "0"),
    ] {
        assert_eq!(property(&properties, key), Some(value), "{key}");
    }
    assert!(property(&properties, "UNDECODABLE_REASON").unwrap().contains("CRC"));
    let told = events(&cluster, "\"undecodable\"");
    assert!(told.len() == 1 && told[0].contains(&format!("dead-letter queue %DLQ%{GROUP}")), "{told:?}");
    let stats = member.consumer.stats();
    assert_eq!((stats.undecodable, stats.skipped, stats.dead_lettered), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn it_holds_its_queue_until_the_dead_letter_queue_has_taken_it() {
    let (cluster, at) = damaged();
    cluster.fault("a", SEND_MESSAGE_V2, 12, Fault::Refuse(16, "no permission to write the retry topic"));
    let member = Member::start("c1", &cluster, with(OnUndecodable::DeadLetter), succeeds(1)).await;
    until("told", || !events(&cluster, "no permission to write").is_empty()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((started(&cluster, &at), cluster.committed(&at)), (vec![0, 1], Some(2)));
    assert_eq!(member.consumer.assignment()[0].state, "suspended");
    assert_eq!(member.consumer.stats().blocked_queues, 1);
    let problems = member.consumer.health().problems;
    assert!(problems.iter().any(|problem| problem.message().contains("offset 2 (ROTTEN)")), "{problems:?}");
    until("committed", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(events(&cluster, "no permission to write").len(), 1, "told once");
    assert_eq!((letters(&cluster), events(&cluster, "\"undecodable\"").len()), (1, 1));
    assert!(member.consumer.health().problems.is_empty());
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_the_answer_so_that_the_next_owner_sends_it_not_again() {
    let (cluster, at) = damaged();
    cluster.fault("a", SEND_MESSAGE_V2, 1, Fault::Delay(Duration::from_secs(1)));
    let member = Member::start("c1", &cluster, with(OnUndecodable::DeadLetter), succeeds(1)).await;
    until("on its way", || cluster.faults_left("a", SEND_MESSAGE_V2) == 0).await;
    member.close().await;
    assert_eq!((cluster.committed(&at), letters(&cluster)), (Some(3), 1));
    let _next = Member::start("c2", &cluster, with(OnUndecodable::DeadLetter), succeeds(1)).await;
    until("the rest", || cluster.committed(&at) == Some(5)).await;
    assert_eq!((started(&cluster, &at), letters(&cluster)), (vec![0, 1, 3, 4], 1));
}

#[tokio::test(start_paused = true)]
async fn a_paused_queue_passes_nothing() {
    let (cluster, at) = damaged();
    let member = Member::new("c1", &cluster, with(OnUndecodable::Skip), succeeds(1_000));
    member.try_start().await.unwrap();
    until("the second one", || started(&cluster, &at).len() == 2).await;
    member.consumer.pause(Paused { everything: true, ..Paused::default() });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!((cluster.committed(&at), member.consumer.stats().skipped), (Some(2), 0));
    member.consumer.pause(Paused::default());
    until("committed", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(member.consumer.stats().skipped, 1);
}
