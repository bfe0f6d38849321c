//! The program has a queue go on elsewhere.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{events, overlaps, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, queue};
use super::member::{Handler, Member, options, succeeds, until};
use super::records::{Stored, plain};
use crate::consumer::{Delivery, Outcome, Paused, SeekTo};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::MessageQueue;
use crate::protocol::code::request;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn offsets(range: std::ops::Range<i64>) -> Vec<i64> {
    range.collect()
}

fn commits(cluster: &Cluster, at: &MessageQueue) -> Vec<i64> {
    let entries = cluster.entries().into_iter();
    entries
        .filter_map(|(_, entry)| match entry {
            Entry::Committed { queue, offset, .. } if queue == *at => Some(offset),
            _ => None,
        })
        .collect()
}

/// A member whose only queue is `orders@a:0`, with so many messages, of which all are handled.
async fn through(count: usize) -> (Arc<Cluster>, MessageQueue, Member) {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, count);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("all handled", || cluster.committed(&at) == i64::try_from(count).ok()).await;
    (cluster, at, member)
}

pub(super) async fn seek(member: &Member, at: &MessageQueue, to: SeekTo) -> Result<(), ClientError> {
    member.consumer.seek(at, to).await
}

/// Offsets in order, a second time from `from` on, as the log has them.
pub(super) fn after(cluster: &Cluster, at: &MessageQueue, begun: usize) -> Vec<i64> {
    started(cluster, at)[begun..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn back_repeats_in_order_and_no_late_commit_undoes_it() {
    let (cluster, at, member) = through(100).await;
    seek(&member, &at, SeekTo::Offset(40)).await.unwrap();
    assert_eq!(cluster.committed(&at), Some(40));
    until("all handled again", || cluster.committed(&at) == Some(100)).await;
    assert_eq!(after(&cluster, &at, 100), offsets(40..100));
    let commits = commits(&cluster, &at);
    let back = commits.iter().rposition(|offset| *offset == 40).unwrap();
    assert!(commits[back..].is_sorted(), "{commits:?}");
    seek(&member, &at, SeekTo::First).await.unwrap();
    until("all handled again", || cluster.committed(&at) == Some(100)).await;
    assert_eq!(after(&cluster, &at, 160), offsets(0..100));
    assert_eq!(events(&cluster, "offsetReset"), [""; 0], "it is no reset");
    assert!(!cluster.entries().iter().any(|(_, entry)| matches!(entry, Entry::Unlocked { .. })), "the lock is kept");
}

#[tokio::test(start_paused = true)]
async fn forward_skips_exactly_what_lies_between_once_the_running_handler_has_ended() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 100);
    let member = Member::start("c1", &cluster, options(), succeeds(400)).await;
    until("working", || started(&cluster, &at).len() == 6).await;
    let sought = member.consumer.seek(&at, SeekTo::Offset(70));
    assert_eq!(member.consumer.assignment()[0].in_flight, 1);
    sought.await.unwrap();
    assert!(succeeded(&cluster, &at).contains(&5), "the running one ends and counts");
    assert_eq!((cluster.committed(&at), started(&cluster, &at).len()), (Some(70), 6));
    until("all handled", || cluster.committed(&at) == Some(100)).await;
    assert_eq!(started(&cluster, &at), [offsets(0..6), offsets(70..100)].concat());
    assert_eq!((overlaps(&cluster), events(&cluster, "offsetReset").len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_the_next_message_to_be_stored() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 100);
    let member = Member::start("c1", &cluster, options(), succeeds(400)).await;
    until("working", || started(&cluster, &at).len() == 3).await;
    let sought = member.consumer.seek(&at, SeekTo::Last);
    // While the handler ends, more is stored.
    tokio::time::sleep(Duration::from_millis(50)).await;
    cluster.send(&at, 5);
    sought.await.unwrap();
    until("all handled", || cluster.committed(&at) == Some(105)).await;
    assert_eq!(started(&cluster, &at), [offsets(0..3), offsets(100..105)].concat());
    seek(&member, &at, SeekTo::Offset(105)).await.unwrap();
    assert_eq!(cluster.committed(&at), Some(105), "the end is a place in the queue");
}

#[tokio::test(start_paused = true)]
async fn a_time_is_the_first_message_stored_then_and_never_one_before() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    for timestamp in [100, 200, 300, 400] {
        cluster.store(&at, Stored { timestamp, ..plain(b"x") });
    }
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("all handled", || cluster.committed(&at) == Some(4)).await;
    seek(&member, &at, SeekTo::Timestamp(250)).await.unwrap();
    until("again", || cluster.committed(&at) == Some(4)).await;
    assert_eq!(after(&cluster, &at, 4), [2, 3]);
    // A 4.9 broker answers with the last message, which was stored before.
    seek(&member, &at, SeekTo::Timestamp(500)).await.unwrap();
    cluster.store(&at, Stored { timestamp: 600, ..plain(b"x") });
    until("the next", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(after(&cluster, &at, 6), [4]);
}

#[tokio::test(start_paused = true)]
async fn an_offset_outside_of_the_queue_is_refused_and_nothing_moves() {
    let (cluster, at, member) = through(100).await;
    cluster.state().broker(&at).minimum.insert(at.clone(), 30);
    let before = commits(&cluster, &at);
    for outside in [0, 29, 101, i64::MAX] {
        let error = seek(&member, &at, SeekTo::Offset(outside)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        let text = format!(
            "to: offset {outside} does not lie in orders@a:0, whose first message is at 30, and whose next one will be at 100"
        );
        assert_eq!(error.message(), text);
    }
    assert_eq!(commits(&cluster, &at), before);
    cluster.send(&at, 1);
    until("on it goes", || cluster.committed(&at) == Some(101)).await;
    assert_eq!(after(&cluster, &at, 100), [100]);
    seek(&member, &at, SeekTo::First).await.unwrap();
    until("from the first there is", || cluster.committed(&at) == Some(101)).await;
    assert_eq!(after(&cluster, &at, 101), offsets(30..101));
    assert_eq!(events(&cluster, "offsetReset").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_not_ours_is_refused() {
    let cluster = Cluster::new(&["a"], 2);
    let [_, theirs] = [queue("orders", "a", 0), queue("orders", "a", 1)];
    cluster.send(&theirs, 10);
    let first = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let _second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("shared", || cluster.owner(&theirs).as_deref() == Some("c2")).await;
    for name in [theirs.clone(), queue("orders", "a", 7), queue("payments", "a", 0)] {
        let error = seek(&first, &name, SeekTo::First).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidState);
        assert!(error.message().starts_with(&format!("seek(): {name} is not this consumer's")), "{error}");
    }
    until("handled", || cluster.committed(&theirs) == Some(10)).await;
    assert_eq!(started(&cluster, &theirs), offsets(0..10));
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_the_later_wins_and_both_are_answered() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 100);
    let member = Member::start("c1", &cluster, options(), succeeds(400)).await;
    until("working", || started(&cluster, &at).len() == 3).await;
    let wrong = member.consumer.seek(&at, SeekTo::Offset(-1));
    let (first, second) = (member.consumer.seek(&at, SeekTo::First), member.consumer.seek(&at, SeekTo::Offset(90)));
    let (wrong, first, second) = tokio::join!(wrong, first, second);
    assert!(wrong.is_err() && first.is_ok() && second.is_ok());
    assert_eq!((cluster.committed(&at), started(&cluster, &at).len()), (Some(90), 3), "nothing starts in between");
    until("all handled", || cluster.committed(&at) == Some(100)).await;
    assert_eq!(started(&cluster, &at), [offsets(0..3), offsets(90..100)].concat());
}

#[tokio::test(start_paused = true)]
async fn a_paused_queue_stays_paused_and_goes_on_at_the_new_position() {
    let (cluster, at, member) = through(100).await;
    member.consumer.pause(Paused { everything: true, ..Paused::default() });
    seek(&member, &at, SeekTo::Offset(50)).await.unwrap();
    tokio::time::sleep(50 * SECOND).await;
    assert_eq!((cluster.committed(&at), started(&cluster, &at).len()), (Some(50), 100));
    assert_eq!(member.consumer.assignment()[0].state, "paused");
    member.consumer.pause(Paused::default());
    until("all handled again", || cluster.committed(&at) == Some(100)).await;
    assert_eq!(after(&cluster, &at, 100), offsets(50..100));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_a_failing_message_holds_is_released_and_its_attempts_are_forgotten() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let handler: Handler = Arc::new(|delivery: &Delivery| {
        let outcome = if delivery.message.queue_offset == 2 { Outcome::Suspend(5 * SECOND) } else { Outcome::Success };
        (Duration::from_millis(1), outcome)
    });
    let member = Member::start("c1", &cluster, options(), handler).await;
    until("blocked", || started(&cluster, &at) == [0, 1, 2, 2]).await;
    tokio::time::sleep(SECOND).await;
    seek(&member, &at, SeekTo::Offset(8)).await.unwrap();
    assert!(member.consumer.assignment()[0].blocked_by.is_none());
    until("all handled", || cluster.committed(&at) == Some(10)).await;
    assert_eq!(after(&cluster, &at, 4), [8, 9]);
    seek(&member, &at, SeekTo::Offset(2)).await.unwrap();
    until("blocked again", || member.consumer.assignment()[0].blocked_by.is_some()).await;
    let blocked = member.consumer.assignment()[0].blocked_by.clone().unwrap();
    assert_eq!((blocked.queue_offset, blocked.attempt), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_decoded_is_passed() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2);
    cluster.store(&at, Stored { damaged: true, ..plain(b"x") });
    cluster.send(&at, 2);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("held", || !events(&cluster, "undecodable").is_empty()).await;
    seek(&member, &at, SeekTo::Offset(3)).await.unwrap();
    until("all handled", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(started(&cluster, &at), [0, 1, 3, 4]);
    assert_eq!(member.consumer.assignment()[0].state, "running");
}

#[tokio::test(start_paused = true)]
async fn called_by_a_handler_it_takes_effect_behind_that_whatever_its_outcome() {
    for outcome in [Outcome::Success, Outcome::Later, Outcome::DeadLetter] {
        let cluster = Cluster::new(&["a"], 1);
        let at = queue("orders", "a", 0);
        cluster.send(&at, 10);
        let handler: Handler = Arc::new(move |delivery: &Delivery| {
            let outcome = if delivery.message.queue_offset == 3 { outcome } else { Outcome::Success };
            (Duration::from_millis(20), outcome)
        });
        let member = Member::start("c1", &cluster, options(), handler).await;
        until("in it", || started(&cluster, &at).len() == 4).await;
        seek(&member, &at, SeekTo::Offset(8)).await.unwrap();
        until("all handled", || cluster.committed(&at) == Some(10)).await;
        assert_eq!(started(&cluster, &at), [0, 1, 2, 3, 8, 9], "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_for_a_handler_is_told_once() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let member = Member::start("c1", &cluster, options(), succeeds(40_000)).await;
    until("working", || started(&cluster, &at).len() == 1).await;
    let asked = env::now();
    seek(&member, &at, SeekTo::Offset(5)).await.unwrap();
    assert!(asked.elapsed() > 30 * SECOND);
    let told = events(&cluster, "waits for itself");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("the handler of offset 0 of orders@a:0") && told[0].contains("ERR_ROCKETMQ_HANDLER"));
    assert_eq!(cluster.committed(&at), Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_queue_on_its_way_out_is_handed_over_at_the_new_position() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send(&at, 100);
    let first = Member::start("c1", &cluster, options(), succeeds(5_000)).await;
    until("working", || started(&cluster, &at).len() == 2).await;
    let _second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("on its way out", || first.consumer.assignment().iter().any(|queue| queue.state == "draining")).await;
    seek(&first, &at, SeekTo::Offset(60)).await.unwrap();
    until("all handled", || cluster.committed(&at) == Some(100)).await;
    assert_eq!(started(&cluster, &at), [offsets(0..2), offsets(60..100)].concat());
    assert_eq!((cluster.owner(&at).as_deref(), overlaps(&cluster)), (Some("c2"), 0));
}

#[tokio::test(start_paused = true)]
async fn close_obeys_what_it_still_can_and_fails_the_rest() {
    let (cluster, at, member) = through(100).await;
    let sought = member.consumer.seek(&at, SeekTo::Offset(10));
    member.close().await;
    sought.await.unwrap();
    assert_eq!(cluster.committed(&at), Some(10));

    let member = Member::start("c1", &cluster, options(), succeeds(1_000_000)).await;
    until("working", || started(&cluster, &at).len() == 101).await;
    let sought = member.consumer.seek(&at, SeekTo::Offset(50));
    member.close().await;
    assert_eq!(sought.await.unwrap_err().code(), Code::Closed);
    assert_eq!(cluster.committed(&at), Some(10));
    assert_eq!(seek(&member, &at, SeekTo::First).await.unwrap_err().code(), Code::InvalidState);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_lost_meanwhile_fails_it() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let member = Member::start("c1", &cluster, options(), succeeds(60_000)).await;
    until("working", || started(&cluster, &at).len() == 1).await;
    cluster.state().broker(&at).locks.insert(at.clone(), ("thief".into(), env::now() + 100 * SECOND));
    let error = seek(&member, &at, SeekTo::Offset(5)).await.unwrap_err();
    assert_eq!(error.code(), Code::LockLost);
    assert!(error.message().contains("the lock of orders@a:0 was lost before seek() was through"), "{error}");
    assert_eq!(cluster.committed(&at), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_commit_leaves_the_queue_where_it_was() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 1_000);
    let member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("working", || cluster.committed(&at) > Some(0)).await;
    // One of them was executed, and nobody knows.
    cluster.fault("a", request::UPDATE_CONSUMER_OFFSET, 1, Fault::Mute);
    cluster.fault("a", request::UPDATE_CONSUMER_OFFSET, 2, Fault::Refuse(1, "no"));
    let error = seek(&member, &at, SeekTo::Offset(900)).await.unwrap_err();
    assert_eq!(error.code(), Code::Broker);
    assert!(error.message().starts_with("seek() of orders@a:0 has failed, and nothing has moved: "), "{error}");
    assert!(error.to_json().contains("\"outcome\":\"unknown\""));
    let begun = started(&cluster, &at).len();
    assert_eq!(cluster.committed(&at), Some(900));
    until("the old position again", || cluster.committed(&at) < Some(900)).await;
    until("all handled", || cluster.committed(&at) == Some(1_000)).await;
    assert_eq!(started(&cluster, &at), offsets(0..1_000), "{begun}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_comes_back_meanwhile_is_waited_for() {
    let (cluster, at, member) = through(100).await;
    cluster.crash("a", 0);
    let sought = member.consumer.seek(&at, SeekTo::Offset(20));
    tokio::time::sleep(5 * SECOND).await;
    cluster.recover("a");
    sought.await.unwrap();
    until("all handled again", || cluster.committed(&at) == Some(100)).await;
    assert_eq!(after(&cluster, &at, 100), offsets(20..100));
}

#[tokio::test(start_paused = true)]
async fn an_administrators_reset_that_waits_comes_first_and_the_program_has_the_last_word() {
    let (cluster, at, member) = through(100).await;
    member.consumer.pause(Paused { everything: true, ..Paused::default() });
    {
        let mut state = cluster.state();
        let broker = state.broker(&at);
        broker.offsets.insert(at.clone(), 3);
        broker.pending_resets.insert(at.clone(), 3);
    }
    seek(&member, &at, SeekTo::Offset(80)).await.unwrap();
    assert_eq!(cluster.committed(&at), Some(80));
    assert_eq!(events(&cluster, "offsetReset").len(), 1, "the administrator's");
    member.consumer.pause(Paused::default());
    until("all handled again", || cluster.committed(&at) == Some(100)).await;
    assert_eq!(after(&cluster, &at, 100), offsets(80..100));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_asked_for_before_is_answered() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 100);
    let member = Member::start("c1", &cluster, options(), succeeds(40)).await;
    until("working", || started(&cluster, &at).len() == 10).await;
    let (commit, sought, later) =
        (member.consumer.commit(), member.consumer.seek(&at, SeekTo::First), member.consumer.commit());
    let (commit, sought, later) = tokio::join!(commit, sought, later);
    assert!(commit.is_empty() && sought.is_ok() && later.is_empty());
    assert_eq!(cluster.committed(&at), Some(0));
    let commits = commits(&cluster, &at);
    assert!(commits.iter().any(|offset| *offset >= 9), "{commits:?}");
}
