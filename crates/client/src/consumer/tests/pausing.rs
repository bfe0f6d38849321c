//! What the program pauses stands still, and goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use super::admin::directly;
use super::checks::{assert_fifo_without_gaps, assert_safe_commits, overlaps, started, succeeded};
use super::cluster::{Cluster, RETRY, queue};
use super::member::{Member, options, succeeds, until};
use super::records::{Stored, plain};
use crate::consumer::gate::Outcome;
use crate::consumer::{Delivery, Paused};
use crate::protocol::MessageQueue;
use crate::protocol::properties::name;

fn everything() -> Paused {
    Paused { everything: true, ..Paused::default() }
}

fn topic(name: &str) -> Paused {
    Paused { topics: [name.to_owned()].into(), ..Paused::default() }
}

fn one(queue: &MessageQueue) -> Paused {
    Paused { queues: [queue.clone()].into(), ..Paused::default() }
}

fn states(member: &Member) -> Vec<&'static str> {
    member.consumer.assignment().iter().map(|queue| queue.state).collect()
}

/// Longer than anything waits that does not stand still.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(50)).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_queue_stands_still_beside_the_others_and_goes_on_where_it_was() {
    let cluster = Cluster::new(&["a"], 2);
    let [paused, other] = [queue("orders", "a", 0), queue("orders", "a", 1)];
    cluster.send(&paused, 500);
    cluster.send(&other, 500);
    let member = Member::start("c1", &cluster, options(), succeeds(5)).await;
    until("begun", || succeeded(&cluster, &paused).len() > 100).await;
    member.consumer.pause(one(&paused));
    let begun = started(&cluster, &paused);
    until("the other goes on", || succeeded(&cluster, &other).len() == 500).await;
    a_while().await;
    assert_eq!(started(&cluster, &paused), begun, "nothing starts once it has been said");
    let done: Vec<_> = succeeded(&cluster, &paused).into_iter().collect();
    assert_eq!(done, begun, "what ran has ended and counts");
    assert_eq!(cluster.committed(&paused), Some(i64::try_from(begun.len()).unwrap()));
    assert_eq!(cluster.owner(&paused).as_deref(), Some("c1"), "beyond the time of a lock that nobody renews");
    assert_eq!(states(&member), ["paused", "running"]);
    assert!(member.consumer.health().problems.is_empty());
    member.consumer.pause(Paused::default());
    until("all handled", || succeeded(&cluster, &paused).len() == 500).await;
    assert_eq!(started(&cluster, &paused), (0..500).collect::<Vec<_>>(), "nothing comes twice");
    assert_eq!(states(&member), ["running", "running"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_rebalances_and_covers_queues_that_come_later() {
    let cluster = Cluster::new(&["a"], 4);
    let queues: Vec<_> = (0..4).map(|id| queue("orders", "a", id)).collect();
    for at in &queues {
        cluster.send(at, 100);
    }
    let first = Member::new("c1", &cluster, options(), succeeds(5));
    first.consumer.pause(topic("orders"));
    first.try_start().await.unwrap();
    until("all are its own", || queues.iter().all(|at| cluster.owner(at).as_deref() == Some("c1"))).await;
    a_while().await;
    assert_eq!(states(&first), ["paused"; 4]);

    let second = Member::start("c2", &cluster, options(), succeeds(5)).await;
    until("its share is handled", || queues[2..].iter().all(|at| succeeded(&cluster, at).len() == 100)).await;
    second.close().await;
    until("back", || queues.iter().all(|at| cluster.owner(at).as_deref() == Some("c1"))).await;
    for at in &queues[2..] {
        cluster.send(at, 100);
    }
    a_while().await;
    assert_eq!(states(&first), ["paused"; 4]);
    assert_eq!(queues.iter().map(|at| started(&cluster, at).len()).collect::<Vec<_>>(), [0, 0, 100, 100]);

    first.consumer.pause(Paused::default());
    until("all handled", || queues[..2].iter().all(|at| succeeded(&cluster, at).len() == 100)).await;
    until("all handled", || queues[2..].iter().all(|at| succeeded(&cluster, at).len() == 200)).await;
    assert_eq!(overlaps(&cluster), 0);
    assert_fifo_without_gaps(&cluster);
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_paused_queue_is_handed_over_as_any_other() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send(&at, 300);
    let first = Member::start("c1", &cluster, options(), succeeds(5)).await;
    until("begun", || succeeded(&cluster, &at).len() > 50).await;
    first.consumer.pause(everything());
    let _second = Member::start("c2", &cluster, options(), succeeds(5)).await;
    until("handed over and handled", || succeeded(&cluster, &at).len() == 300).await;
    assert_eq!(started(&cluster, &at), (0..300).collect::<Vec<_>>(), "nothing comes twice");
    assert_eq!(cluster.owner(&at).as_deref(), Some("c2"));
    first.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_of_a_paused_queue_waits_without_turning_in_circles() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 3);
    let later = Arc::new(|_: &Delivery| (Duration::from_millis(1), Outcome::Later));
    let member = Member::start("c1", &cluster, options(), later).await;
    until("failed", || !started(&cluster, &at).is_empty()).await;
    member.consumer.pause(everything());
    let begun = started(&cluster, &at);
    // Virtual time stands still while somebody is busy without end.
    a_while().await;
    assert_eq!(started(&cluster, &at), begun);
    assert_eq!(states(&member), ["paused"]);
    member.consumer.pause(Paused::default());
    until("tried again", || started(&cluster, &at).len() > begun.len()).await;
}

#[tokio::test(start_paused = true)]
async fn retried_messages_stand_still_while_any_topic_is_paused_and_not_for_a_queue() {
    let cluster = Cluster::new(&["a"], 1);
    let retry = queue(RETRY, "a", 0);
    let member = Member::start("c1", &cluster, options(), succeeds(5)).await;
    until("ours", || cluster.owner(&retry).as_deref() == Some("c1")).await;
    member.consumer.pause(topic("orders"));
    let properties = vec![(name::RETRY_TOPIC.to_owned(), "orders".to_owned())];
    cluster.store(&retry, Stored { properties, ..plain(b"again") });
    a_while().await;
    assert!(started(&cluster, &retry).is_empty());
    member.consumer.pause(one(&queue("orders", "a", 0)));
    until("handled", || succeeded(&cluster, &retry).len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_administrators_message_is_refused_while_its_queue_is_paused() {
    let cluster = Cluster::new(&["a"], 1);
    let member = Member::start("c1", &cluster, options(), succeeds(5)).await;
    until("ours", || states(&member) == ["running"]).await;
    member.consumer.pause(everything());
    until("paused", || states(&member) == ["paused"]).await;
    let answer = member.line.asked(directly(1, "a")).await;
    assert!(answer.remark.clone().is_some_and(|remark| remark.contains("paused")), "{answer:?}");
    assert!(started(&cluster, &queue("orders", "a", 0)).is_empty());
}
