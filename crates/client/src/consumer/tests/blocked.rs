//! C7 and C12: failing handlers, dead letters, records that cannot be delivered.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{assert_fifo_without_gaps, assert_safe_commits, events, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, RETRY, property, queue};
use super::member::{Handler, Member, options, succeeds, until};
use super::records::{Stored, plain};
use crate::consumer::Suspend;
use crate::consumer::gate::Outcome;
use crate::protocol::code::request::SEND_MESSAGE_V2;
use crate::protocol::properties::name;

/// Fails the message at this offset with this outcome, the first so many times.
fn fails(offset: i64, outcome: Outcome, times: u32) -> Handler {
    Arc::new(move |delivery| {
        let failing = delivery.message.queue_offset == offset && delivery.attempt <= times;
        (Duration::from_millis(2), if failing { outcome } else { Outcome::Success })
    })
}

fn attempts(cluster: &Cluster, at: i64) -> Vec<(crate::env::Instant, u32)> {
    let entries = cluster.entries().into_iter();
    entries
        .filter_map(|(time, entry)| match entry {
            Entry::Started { offset, attempt, .. } if offset == at => Some((time, attempt)),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn c7_a_failing_message_comes_again_after_its_delay_and_nothing_overtakes_it() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let mut growing = options();
    growing.suspend = Suspend { initial: Duration::from_millis(100), factor: 3.0, max: Duration::from_millis(500) };
    let member = Member::start("c1", &cluster, growing, fails(4, Outcome::Later, 4)).await;
    until("blocked", || attempts(&cluster, 4).len() == 4).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let state = member.consumer.assignment().remove(0);
    let blocked = state.blocked_by.unwrap();
    assert_eq!((state.state, blocked.queue_offset, blocked.attempt), ("suspended", 4, 4));
    assert_eq!(member.consumer.stats().blocked_queues, 1);
    assert!(member.consumer.health().problems[0].message().contains("offset 4"));
    until("all handled", || succeeded(&cluster, &at).len() == 10).await;
    assert_eq!(started(&cluster, &at), [0, 1, 2, 3, 4, 4, 4, 4, 4, 5, 6, 7, 8, 9]);
    let tried = attempts(&cluster, 4);
    assert_eq!(tried.iter().map(|(_, attempt)| *attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let delays: Vec<_> = tried.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_millis()).collect();
    for (delay, least) in delays.iter().zip([100, 300, 500, 500]) {
        assert!((least..least + 20).contains(delay), "{delays:?}");
    }
    until("at ease", || member.consumer.assignment()[0].blocked_by.is_none()).await;
    assert!(member.consumer.health().problems.is_empty());
    assert_fifo_without_gaps(&cluster);
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_handler_chooses_its_own_delay() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2);
    let delay = Duration::from_secs(7);
    let _member = Member::start("c1", &cluster, options(), fails(0, Outcome::Suspend(delay), 1)).await;
    until("all handled", || succeeded(&cluster, &at).len() == 2).await;
    let tried = attempts(&cluster, 0);
    assert!(tried[1].0 - tried[0].0 >= delay);
}

#[tokio::test(start_paused = true)]
async fn c12_a_poisoned_queue_delays_no_other() {
    let cluster = Cluster::new(&["a"], 2);
    let (poisoned, healthy) = (queue("orders", "a", 0), queue("orders", "a", 1));
    for _ in 0..500 {
        cluster.store(&poisoned, plain(&[1; 5_000]));
        cluster.store(&healthy, plain(&[1; 5_000]));
    }
    let handler: Handler = Arc::new(|delivery| {
        let outcome = if delivery.message.queue_id == 0 { Outcome::Later } else { Outcome::Success };
        (Duration::from_millis(1), outcome)
    });
    let mut small = options();
    small.prefetch_bytes = 400_000;
    let began = crate::env::now();
    let _member = Member::start("c1", &cluster, small, handler).await;
    until("the healthy one is done", || succeeded(&cluster, &healthy).len() == 500).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(succeeded(&cluster, &poisoned).is_empty());
}

#[tokio::test(start_paused = true)]
async fn c7_after_its_last_attempt_a_message_goes_to_the_dead_letter_queue_before_the_offset_moves() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let properties = vec![
        (name::UNIQ_KEY.to_owned(), "7F0000010001".to_owned()),
        (name::DELAY.to_owned(), "3".to_owned()),
        ("own".to_owned(), "value".to_owned()),
    ];
    cluster.store(&at, Stored { properties, ..plain(b"poison") });
    cluster.send(&at, 3);
    cluster.fault("a", SEND_MESSAGE_V2, 2, Fault::Refuse(2, "[REJECTREQUEST]"));
    let mut limited = options();
    limited.max_reconsume_times = Some(2);
    let member = Member::start("c1", &cluster, limited, fails(0, Outcome::Later, u32::MAX)).await;
    until("all handled", || succeeded(&cluster, &at).len() == 3).await;
    assert_eq!(started(&cluster, &at), [0, 0, 0, 1, 2, 3], "while the hand-off fails only the hand-off is tried again");
    let entries: Vec<_> = cluster.entries().into_iter().map(|(_, entry)| entry).collect();
    let letters: Vec<_> = entries.iter().filter(|entry| matches!(entry, Entry::DeadLetter { .. })).collect();
    let [Entry::DeadLetter { topic, body, j, l, f, properties }] = letters[..] else { panic!("{letters:?}") };
    assert_eq!((topic.as_str(), &body[..], *j, *l, *f), (RETRY, &b"poison"[..], 3, 2, 0));
    let expected = [
        (name::UNIQ_KEY, Some("7F0000010001")),
        ("own", Some("value")),
        (name::RETRY_TOPIC, Some("orders")),
        (name::ORIGIN_MESSAGE_ID, Some("7F0000010001")),
        (name::RECONSUME_TIME, Some("3")),
        (name::MAX_RECONSUME_TIMES, Some("2")),
        (name::DELAY, None),
    ];
    for (key, value) in expected {
        assert_eq!(property(properties, key), value, "{key}");
    }
    let position = |what: &dyn Fn(&Entry) -> bool| entries.iter().position(what).unwrap();
    let letter = position(&|entry| matches!(entry, Entry::DeadLetter { .. }));
    let told = position(&|entry| matches!(entry, Entry::DeadLettered { offset: 0, .. }));
    let moved =
        position(&|entry| matches!(entry, Entry::CommitSent { offset, queue, .. } if *offset > 0 && *queue == at));
    let next = position(&|entry| matches!(entry, Entry::Started { offset: 1, .. }));
    assert!(letter < told && letter < moved && letter < next);
    assert_eq!(member.consumer.stats().dead_lettered, 1);
    assert_eq!(events(&cluster, "REJECTREQUEST").len(), 1, "one warning for one streak");
    assert_fifo_without_gaps(&cluster);
}

#[tokio::test(start_paused = true)]
async fn dead_letter_needs_no_limit_and_says_so_to_the_broker() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2);
    let handler: Handler = Arc::new(|delivery| {
        let outcome = match (delivery.message.queue_offset, delivery.attempt) {
            (0, 1) => Outcome::Later,
            (0, _) => Outcome::DeadLetter,
            _ => Outcome::Success,
        };
        (Duration::ZERO, outcome)
    });
    let _member = Member::start("c1", &cluster, options(), handler).await;
    until("handled", || succeeded(&cluster, &at).len() == 1).await;
    let header = cluster.entries().into_iter().find_map(|(_, entry)| match entry {
        Entry::DeadLetter { j, l, .. } => Some((j, l)),
        _ => None,
    });
    assert_eq!(header, Some((2, 1)), "j = n + 1 > l = n");
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_record_holds_its_queue_and_is_told_once() {
    let cluster = Cluster::new(&["a"], 2);
    let (at, other) = (queue("orders", "a", 0), queue("orders", "a", 1));
    cluster.send(&at, 2);
    cluster.store(&at, Stored { damaged: true, ..plain(b"bits rot") });
    cluster.send(&at, 2);
    cluster.send(&other, 5);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("told", || !events(&cluster, "\"undecodable\"").is_empty()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(started(&cluster, &at), [0, 1], "what lies before it is delivered");
    assert_eq!(cluster.committed(&at), Some(2));
    assert_eq!(events(&cluster, "\"undecodable\"").len(), 1);
    assert!(member.consumer.health().problems[0].message().contains("offset 2"));
    assert_eq!(member.consumer.stats().blocked_queues, 1);
    assert_eq!(succeeded(&cluster, &other).len(), 5);
    let pulls =
        cluster.entries().iter().filter(|(_, entry)| *entry == Entry::Pulled { queue: at.clone(), offset: 2 }).count();
    assert!((10..=25).contains(&pulls), "looked at again with a back-off: {pulls}");
    cluster.state().broker(&at).queues.get_mut(&at).unwrap()[2].damaged = false;
    until("all handled", || succeeded(&cluster, &at).len() == 5).await;
    assert!(member.consumer.health().problems.is_empty());
}

#[tokio::test(start_paused = true)]
async fn messages_of_the_retry_topic_go_to_the_handler_of_their_topic() {
    let cluster = Cluster::new(&["a"], 1);
    let _first = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let retry = queue(RETRY, "a", 0);
    let properties = vec![(name::RETRY_TOPIC.to_owned(), "orders".to_owned())];
    cluster.store(&retry, Stored { properties, reconsume_times: 3, ..plain(b"again") });
    until("handled", || succeeded(&cluster, &retry).len() == 1).await;
    let seen = cluster.entries().into_iter().find_map(|(_, entry)| match entry {
        Entry::Started { queue, topic, attempt, .. } if queue == retry => Some((topic, attempt)),
        _ => None,
    });
    assert_eq!(seen, Some(("orders".to_owned(), 4)));
}

#[tokio::test(start_paused = true)]
async fn a_retry_message_of_an_unknown_topic_holds_the_retry_queue_with_a_warning() {
    let cluster = Cluster::new(&["a"], 1);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let retry = queue(RETRY, "a", 0);
    let properties = vec![(name::RETRY_TOPIC.to_owned(), "elsewhere".to_owned())];
    cluster.store(&retry, Stored { properties, ..plain(b"again") });
    until("warned", || !events(&cluster, "elsewhere").is_empty()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(events(&cluster, "elsewhere").len(), 1);
    assert!(started(&cluster, &retry).is_empty());
    assert_eq!(cluster.committed(&retry), Some(0), "held, never skipped");
    assert!(!member.consumer.health().problems.is_empty());
    assert_eq!(member.consumer.assignment().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_of_the_retry_topic_keeps_its_first_topic_and_id() {
    let cluster = Cluster::new(&["a"], 1);
    let retry = queue(RETRY, "a", 0);
    let handler: Handler = Arc::new(|_| (Duration::ZERO, Outcome::DeadLetter));
    let _member = Member::start("c1", &cluster, options(), handler).await;
    let properties = vec![
        (name::RETRY_TOPIC.to_owned(), "orders".to_owned()),
        (name::ORIGIN_MESSAGE_ID.to_owned(), "FIRST".to_owned()),
    ];
    cluster.store(&retry, Stored { properties, reconsume_times: 2, ..plain(b"again") });
    let letter = || {
        cluster.entries().into_iter().find_map(|(_, entry)| match entry {
            Entry::DeadLetter { j, l, properties, .. } => Some((j, l, properties)),
            _ => None,
        })
    };
    until("handed off", || letter().is_some()).await;
    let (j, l, properties) = letter().unwrap();
    assert_eq!((j, l), (3, 2));
    assert_eq!(property(&properties, name::RETRY_TOPIC), Some("orders"));
    assert_eq!(property(&properties, name::ORIGIN_MESSAGE_ID), Some("FIRST"));
    until("committed", || cluster.committed(&retry) == Some(1)).await;
}

#[tokio::test(start_paused = true)]
async fn closing_hands_off_the_last_message_or_leaves_it_uncommitted() {
    for (acknowledged, expected) in [(true, 1), (false, 0)] {
        let cluster = Cluster::new(&["a"], 1);
        let at = queue("orders", "a", 0);
        cluster.set_committed(&at, 0);
        cluster.send(&at, 2);
        let handler: Handler = Arc::new(|_| (Duration::from_secs(3), Outcome::DeadLetter));
        let member = Member::start("c1", &cluster, options(), handler).await;
        until("running", || started(&cluster, &at) == [0]).await;
        if !acknowledged {
            cluster.fault("a", SEND_MESSAGE_V2, 9, Fault::Refuse(14, "service not available now"));
        }
        member.close().await;
        assert_eq!((cluster.committed(&at), cluster.owner(&at)), (Some(expected), None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_is_refused_for_good_shows_what_helps_and_a_reset_past_the_message_does() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 4);
    cluster.fault("a", SEND_MESSAGE_V2, usize::MAX, Fault::Refuse(16, "no permission to write the retry topic"));
    let poisoned: Handler = Arc::new(|delivery| {
        let is_poison = delivery.message.queue_offset == 1;
        (Duration::from_millis(1), if is_poison { Outcome::DeadLetter } else { Outcome::Success })
    });
    let member = Member::start("c1", &cluster, options(), poisoned).await;
    until("told", || !events(&cluster, "no permission to write").is_empty()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(events(&cluster, "no permission to write").len(), 1, "told once");
    let problems = member.consumer.health().problems;
    let problem = problems.iter().find(|problem| problem.message().contains("no permission to write")).unwrap();
    for said in ["at offset 1 of orders@a:0", "dead-letter queue", "move the group's offset"] {
        assert!(problem.message().contains(said), "{said}: {}", problem.message());
    }
    assert_eq!((started(&cluster, &at), cluster.committed(&at)), (vec![0, 1], Some(1)), "held, and nothing is skipped");
    member.line.push(crate::protocol::Push::ResetOffsets {
        topic: "orders".into(),
        group: super::cluster::GROUP.into(),
        timestamp: 0,
        offsets: vec![(at.clone(), 2)],
    });
    until("the rest", || cluster.committed(&at) == Some(4)).await;
    assert_eq!(started(&cluster, &at), [0, 1, 2, 3]);
    assert!(member.consumer.health().problems.is_empty());
}
