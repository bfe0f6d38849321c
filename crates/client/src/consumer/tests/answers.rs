//! Answers that no broker should give: nothing of them is handled or committed, they are told of, and asked for again.

use std::time::Duration;

use super::checks::{events, started};
use super::cluster::{Cluster, Fault, Nonsense, queue};
use super::member::{Member, options, succeeds, until};
use crate::protocol::code::request::PULL_MESSAGE;

fn found(next: i64, records: &[i64]) -> Nonsense {
    let records = records.iter().map(|offset| ("orders", 0, *offset)).collect();
    Nonsense { code: 0, remark: "FOUND", next, min: 0, max: 5, suggested: 0, records }
}

fn empty(code: i32, remark: &'static str, next: i64) -> Nonsense {
    Nonsense { code, remark, next, min: 0, max: 5, suggested: 0, records: Vec::new() }
}

/// A queue of five whose first pulls are answered so; returns the warnings.
async fn handled_all_the_same(nonsense: Nonsense) -> Vec<String> {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 5);
    cluster.fault("a", PULL_MESSAGE, 4, Fault::Answer(nonsense.clone()));
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("told", || !events(&cluster, "ERR_ROCKETMQ_PROTOCOL").is_empty()).await;
    assert!(member.consumer.health().problems.iter().any(|problem| problem.message().contains("orders@a:0")));
    assert!(started(&cluster, &at).is_empty(), "{nonsense:?}");
    assert_eq!(cluster.committed(&at), Some(0), "{nonsense:?}");
    until("committed", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(started(&cluster, &at), [0, 1, 2, 3, 4], "{nonsense:?}");
    until("healed", || member.consumer.health().problems.is_empty()).await;
    assert!(events(&cluster, "offsetReset").is_empty());
    events(&cluster, "\"warning\"")
}

#[tokio::test(start_paused = true)]
async fn c3_records_that_are_not_the_next_stretch_are_not_handled() {
    for records in [&[0, 0, 3, 1, 2, 3, 4][..], &[0, 2, 1], &[0, 1 << 53], &[-1], &[]] {
        let told = handled_all_the_same(found(5, records)).await;
        assert_eq!(told.len(), 1, "{told:?}");
    }
    handled_all_the_same(found(3, &[0, 1, 2, 3, 4])).await;
    handled_all_the_same(found(1 << 52, &[0])).await;
}

#[tokio::test(start_paused = true)]
async fn c3_records_of_another_queue_or_topic_are_not_handled() {
    for (topic, id) in [("payments", 0), ("orders", 1)] {
        let told =
            handled_all_the_same(Nonsense { records: vec![("orders", 0, 0), (topic, id, 1)], ..found(2, &[]) }).await;
        assert!(told[0].contains(&format!("queue {id} of topic {topic}")), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c3_offsets_that_lie_in_no_queue_are_neither_followed_nor_committed() {
    for next in [-7, i64::MIN, 1 << 53, i64::MAX, 3] {
        handled_all_the_same(empty(21, "OFFSET_OVERFLOW_BADLY", next)).await;
    }
    for next in [-7, 1 << 53] {
        handled_all_the_same(empty(21, "OFFSET_RESET", next)).await;
        handled_all_the_same(empty(19, "OFFSET_OVERFLOW_ONE", next)).await;
        handled_all_the_same(empty(20, "NO_MATCHED_MESSAGE", next)).await;
    }
    handled_all_the_same(Nonsense { max: 1 << 53, ..found(5, &[0, 1, 2, 3, 4]) }).await;
}

#[tokio::test(start_paused = true)]
async fn c3_answers_that_lead_nowhere_or_past_messages_are_not_followed() {
    handled_all_the_same(empty(20, "NO_MATCHED_MESSAGE", 0)).await;
    handled_all_the_same(empty(20, "NO_MATCHED_MESSAGE", 90_000)).await;
    handled_all_the_same(empty(19, "OFFSET_OVERFLOW_ONE", 4)).await;
    handled_all_the_same(empty(19, "OFFSET_FOUND_NULL", 300_000)).await;
    handled_all_the_same(empty(21, "OFFSET_TOO_SMALL", 0)).await;
}

#[tokio::test(start_paused = true)]
async fn c3_what_a_slave_says_decides_nothing() {
    for remark in ["FOUND", "OFFSET_TOO_SMALL", "OFFSET_OVERFLOW_BADLY", "NO_MESSAGE_IN_QUEUE"] {
        let told = handled_all_the_same(empty(20, remark, 3)).await;
        assert!(told[0].contains("slave"), "{told:?}");
    }
    handled_all_the_same(Nonsense { min: 4, suggested: 1, ..empty(21, "OFFSET_TOO_SMALL", 4) }).await;
}

#[tokio::test(start_paused = true)]
async fn c3_a_committed_offset_that_lies_in_no_queue_is_asked_for_again() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 5);
    for absurd in [-7, 1 << 53, i64::MAX] {
        cluster.set_committed(&at, absurd);
        let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
        until("told", || !events(&cluster, "lies in no queue").is_empty()).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(started(&cluster, &at).is_empty());
        assert_eq!(cluster.committed(&at), Some(absurd), "nothing is made of it");
        assert_eq!(events(&cluster, "lies in no queue").len(), 1);
        assert!(member.consumer.health().problems.iter().any(|problem| problem.message().contains("lies in no queue")));
        cluster.set_committed(&at, 3);
        until("committed", || cluster.committed(&at) == Some(5)).await;
        member.close().await;
        let mut state = cluster.state();
        assert_eq!(state.started.remove(&at), Some(vec![3, 4]));
        drop(state);
        cluster.clear_log();
    }
}
