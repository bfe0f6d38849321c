//! What administrators do: resets, direct consumption, questions.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{events, overlaps, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, GROUP, queue};
use super::member::{Handler, Member, options, succeeds, until};
use super::records::{Stored, message, plain};
use crate::client::Answer;
use crate::consumer::gate::Outcome;
use crate::protocol::code::request::UPDATE_CONSUMER_OFFSET;
use crate::protocol::{MessageQueue, Push};

fn reset(at: &MessageQueue, to: i64) -> Push {
    Push::ResetOffsets { topic: "orders".into(), group: GROUP.into(), timestamp: 0, offsets: vec![(at.clone(), to)] }
}

pub(super) fn directly(offset: i64, broker: &str) -> Push {
    Push::ConsumeDirectly {
        group: GROUP.into(),
        client_id: "c1".into(),
        msg_id: "x".into(),
        broker_name: broker.into(),
        topic: None,
        message: Box::new(message("orders", 0, offset, b"by hand")),
    }
}

fn body(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reset_by_220_waits_for_the_handler_and_keeps_the_lock() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 60);
    let member = Member::start("c1", &cluster, options(), succeeds(100)).await;
    until("working", || started(&cluster, &at).len() == 20).await;
    member.line.push(reset(&at, 5));
    until("reset", || !events(&cluster, "offsetReset").is_empty()).await;
    assert!(
        events(&cluster, "offsetReset")[0].contains("\"from\":20,\"to\":5"),
        "{:?}",
        events(&cluster, "offsetReset")
    );
    assert_eq!(cluster.committed(&at), Some(5));
    until("all handled", || cluster.committed(&at) == Some(60)).await;
    let expected: Vec<i64> = (0..20).chain(5..60).collect();
    assert_eq!(started(&cluster, &at), expected);
    assert!(!cluster.entries().iter().any(|(_, entry)| matches!(entry, Entry::Unlocked { .. })));
    assert_eq!(overlaps(&cluster), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reset_forward_is_reported_and_lifts_a_block() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let handler: Handler = Arc::new(|delivery| {
        let outcome = if delivery.message.queue_offset == 2 { Outcome::Later } else { Outcome::Success };
        (Duration::from_millis(1), outcome)
    });
    let member = Member::start("c1", &cluster, options(), handler).await;
    until("blocked", || started(&cluster, &at).len() > 4).await;
    member.line.push(reset(&at, 8));
    until("all handled", || cluster.committed(&at) == Some(10)).await;
    assert!(started(&cluster, &at).ends_with(&[2, 8, 9]));
    assert!(member.consumer.assignment()[0].blocked_by.is_none());
    assert_eq!(events(&cluster, "offsetReset").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_by_21_commits_the_new_offset_and_no_late_commit_undoes_it() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 40);
    let _member = Member::start("c1", &cluster, options(), succeeds(50)).await;
    until("working", || started(&cluster, &at).len() == 20).await;
    // As 5.5.0: stored at once, pending until the next pull, commits answered and ignored.
    {
        let mut state = cluster.state();
        let broker = state.broker(&at);
        broker.offsets.insert(at.clone(), 3);
        broker.pending_resets.insert(at.clone(), 3);
    }
    until("reset", || !events(&cluster, "offsetReset").is_empty()).await;
    assert_eq!(cluster.committed(&at), Some(3));
    until("all handled again", || started(&cluster, &at).len() > 40 && cluster.committed(&at) == Some(40)).await;
    let seen = started(&cluster, &at);
    let back = seen.iter().rposition(|offset| *offset == 3).unwrap();
    assert_eq!(seen[back..], (3..40).collect::<Vec<_>>());
    let commits = cluster.entries().into_iter().filter_map(|(_, entry)| match entry {
        Entry::Committed { queue, offset, .. } if queue == at => Some(offset),
        _ => None,
    });
    let commits: Vec<_> = commits.collect();
    let three = commits.iter().position(|offset| *offset == 3).unwrap();
    assert!(commits[three..].is_sorted(), "{commits:?}");
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_gone_are_a_reported_gap_and_what_is_buffered_comes_first() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 200);
    let mut small = options();
    small.prefetch_messages = 32;
    let _member = Member::start("c1", &cluster, small, succeeds(50)).await;
    until("working", || started(&cluster, &at).len() == 3).await;
    cluster.state().broker(&at).minimum.insert(at.clone(), 100);
    until("all handled", || cluster.committed(&at) == Some(200)).await;
    let expected: Vec<i64> = (0..32).chain(100..200).collect();
    assert_eq!(started(&cluster, &at), expected);
    assert!(events(&cluster, "offsetReset")[0].contains("\"from\":32,\"to\":100"));
}

#[tokio::test(start_paused = true)]
async fn l9_direct_consumption_runs_in_the_lane_and_moves_nothing() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let member = Member::start("c1", &cluster, options(), succeeds(1_000)).await;
    until("working", || started(&cluster, &at).len() == 3).await;
    let answer = member.line.asked(directly(777, "a")).await;
    assert_eq!((answer.code, body(&answer).contains("\"consumeResult\":\"CR_SUCCESS\"")), (0, true), "{answer:?}");
    until("all handled", || cluster.committed(&at) == Some(10)).await;
    assert_eq!(started(&cluster, &at), [0, 1, 2, 777, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(overlaps(&cluster), 0);
    let counted: Vec<_> = succeeded(&cluster, &at).into_iter().collect();
    assert_eq!(counted.len(), 11);
    assert_eq!(member.consumer.stats().consumed, 10);
}

#[tokio::test(start_paused = true)]
async fn direct_consumption_answers_truthfully() {
    let cluster = Cluster::new(&["a", "b"], 1);
    let handler: Handler = Arc::new(|_| (Duration::from_millis(30), Outcome::Later));
    let member = Member::start("c1", &cluster, options(), handler).await;
    until("ours", || cluster.owner(&queue("orders", "a", 0)).is_some()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failed = member.line.asked(directly(1, "a")).await;
    assert!(failed.code == 0 && body(&failed).contains("CR_LATER"), "{failed:?}");
    assert!(member.consumer.assignment()[0].blocked_by.is_none());
    let elsewhere = member.line.asked(directly(1, "nowhere")).await;
    assert_eq!(elsewhere.code, 1);
    assert!(elsewhere.remark.unwrap().contains("orders@nowhere:0"));
    let other_group = Push::ConsumeDirectly {
        group: "GID_other".into(),
        client_id: "c1".into(),
        msg_id: "x".into(),
        broker_name: "a".into(),
        topic: None,
        message: Box::new(message("orders", 0, 1, b"x")),
    };
    assert!(member.line.asked(other_group).await.remark.unwrap().contains("<GID_other> not exist"));
}

#[tokio::test(start_paused = true)]
async fn questions_of_administrators_are_answered() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.store(&at, Stored { timestamp: 5, ..plain(b"x") });
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("committed", || cluster.committed(&at) == Some(1)).await;
    let status = member.line.asked(Push::ConsumerStatus { topic: "orders".into(), group: GROUP.into() }).await;
    assert_eq!(status.code, 0);
    assert!(body(&status).contains("\"topic\":\"orders\"}:1"), "{}", body(&status));
    let asked = Push::RunningInfo { group: GROUP.into(), client_id: "c1".into(), jstack: true };
    let info = body(&member.line.asked(asked).await);
    for part in
        ["\"PROP_CONSUMEORDERLY\":\"true\"", "\"commitOffset\":1", "\"locked\":true", "%RETRY%GID_test", "ns:9876"]
    {
        assert!(info.contains(part), "{part} in {info}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_waits_for_the_commit_in_flight() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.set_committed(&at, 0);
    cluster.send(&at, 40);
    let member = Member::start("c1", &cluster, options(), succeeds(100)).await;
    until("committed", || cluster.committed(&at).is_some_and(|offset| offset > 0)).await;
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 1, Fault::Delay(Duration::from_millis(1_500)));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    member.line.push(reset(&at, 2));
    until("reset", || !events(&cluster, "offsetReset").is_empty()).await;
    let commits = cluster.entries().into_iter().filter_map(|(_, entry)| match entry {
        Entry::Committed { queue, offset, .. } if queue == at => Some(offset),
        _ => None,
    });
    let commits: Vec<_> = commits.collect();
    assert!(commits.len() >= 3 && commits.ends_with(&[2]), "{commits:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(cluster.committed(&at).is_some_and(|offset| offset <= 10), "no late commit undoes it");
}
