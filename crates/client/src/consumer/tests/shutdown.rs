//! `close()`: drain, commit, unlock, unregister, within a bound.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::checks::{events, started, succeeded};
use super::cluster::{Cluster, Entry, queue};
use super::member::{Member, options, succeeds, until};
use crate::env;

#[tokio::test(start_paused = true)]
async fn c9_close_drains_commits_unlocks_and_unregisters_in_this_order() {
    let cluster = Cluster::new(&["a"], 2);
    let queues = [queue("orders", "a", 0), queue("orders", "a", 1)];
    for at in &queues {
        cluster.send(at, 100);
    }
    let member = Member::start("c1", &cluster, options(), succeeds(300)).await;
    until("working", || queues.iter().all(|at| succeeded(&cluster, at).len() > 3)).await;
    member.close().await;
    let entries: Vec<_> = cluster.entries().into_iter().map(|(_, entry)| entry).collect();
    let closed = entries.iter().position(|entry| matches!(entry, Entry::Closed { .. })).unwrap();
    for at in &queues {
        let last = |what: &dyn Fn(&Entry) -> bool| entries.iter().rposition(what).unwrap();
        let ended = last(&|entry| matches!(entry, Entry::Ended { queue, counted: true, .. } if queue == at));
        let committed = last(&|entry| matches!(entry, Entry::Committed { queue, .. } if queue == at));
        let unlocked = last(&|entry| matches!(entry, Entry::Unlocked { queue, .. } if queue == at));
        assert!(ended < committed && committed < unlocked && unlocked < closed);
        let done = i64::try_from(succeeded(&cluster, at).len()).unwrap();
        assert_eq!(cluster.committed(at), Some(done), "the last ack counts");
        assert_eq!(cluster.owner(at), None);
    }
    let starts = started(&cluster, &queues[0]).len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(started(&cluster, &queues[0]).len(), starts, "none after close() resolved");
    assert!(member.consumer.assignment().is_empty());
    assert!(!member.consumer.may_start(0, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn closing_twice_waits_for_the_same_end() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.send(&queue("orders", "a", 0), 1);
    let member = Member::start("c1", &cluster, options(), succeeds(2_000)).await;
    until("running", || started(&cluster, &queue("orders", "a", 0)) == [0]).await;
    let again = member.clone();
    let first = tokio::spawn(async move { again.close().await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    member.close().await;
    first.await.unwrap();
    assert_eq!(cluster.entries().iter().filter(|(_, entry)| matches!(entry, Entry::Closed { .. })).count(), 1);
    assert_eq!(cluster.committed(&queue("orders", "a", 0)), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlives_close_keeps_its_queue_locked_and_uncommitted() {
    let cluster = Cluster::new(&["a"], 2);
    let (slow, quick) = (queue("orders", "a", 0), queue("orders", "a", 1));
    cluster.send(&slow, 3);
    cluster.send(&quick, 3);
    let handler = std::sync::Arc::new(|delivery: &crate::consumer::Delivery| {
        let time = if delivery.message.queue_id == 0 && delivery.message.queue_offset == 1 { 100_000 } else { 1 };
        (Duration::from_millis(time), crate::consumer::Outcome::Success)
    });
    let member = Member::start("c1", &cluster, options(), handler).await;
    until("stuck", || started(&cluster, &slow) == [0, 1] && succeeded(&cluster, &quick).len() == 3).await;
    until("committed", || cluster.committed(&slow) == Some(1)).await;
    let began = env::now();
    member.consumer.close(Duration::from_secs(5)).await;
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(5) && took > Duration::from_secs(4), "{took:?}");
    assert_eq!((cluster.committed(&slow), cluster.owner(&slow).as_deref()), (Some(1), Some("c1")));
    assert_eq!((cluster.committed(&quick), cluster.owner(&quick)), (Some(3), None));
    let signals = cluster.entries().into_iter().filter_map(|(time, entry)| match entry {
        Entry::Aborted { queue, code, .. } => Some((time, queue, code)),
        _ => None,
    });
    let signals: Vec<_> = signals.collect();
    assert_eq!(signals.len(), 1);
    assert_eq!((&signals[0].1, signals[0].2), (&slow, "ERR_ROCKETMQ_CLOSED"));
    assert!(signals[0].0 - began >= Duration::from_secs(3), "quiet until close() is about to run out of time");
    let warnings = events(&cluster, "ERR_ROCKETMQ_HANDLER");
    assert_eq!(warnings.len(), 1);
    for part in ["offset 1", "\"queueId\":0", "\"topic\":\"orders\""] {
        assert!(warnings[0].contains(part), "{}", warnings[0]);
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(started(&cluster, &slow), [0, 1]);
    assert_eq!(cluster.committed(&slow), Some(1), "its late result does not count");
}

#[tokio::test(start_paused = true)]
async fn close_returns_at_its_bound_when_brokers_are_silent() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 100);
    let member = Member::start("c1", &cluster, options(), succeeds(20)).await;
    until("working", || succeeded(&cluster, &at).len() > 20).await;
    member.line.silent.store(true, Ordering::Relaxed);
    let began = env::now();
    member.consumer.close(Duration::from_secs(5)).await;
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!member.consumer.may_start(0, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn closing_a_consumer_that_never_started_is_quick() {
    let cluster = Cluster::new(&["a"], 1);
    let member = Member::new("c1", &cluster, options(), succeeds(1));
    let began = env::now();
    member.close().await;
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn f19_when_nobody_takes_messages_any_more_the_locks_are_released() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("handled", || succeeded(&cluster, &at).len() == 10).await;
    member.pump.gone.store(true, Ordering::Relaxed);
    cluster.send(&at, 1);
    until("unlocked", || cluster.owner(&at).is_none()).await;
    assert_eq!(cluster.committed(&at), Some(10));
}

#[tokio::test(start_paused = true)]
async fn f19_abandoned_with_a_running_handler_the_locks_are_released_too() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let member = Member::start("c1", &cluster, options(), succeeds(10_000)).await;
    until("running", || started(&cluster, &at) == [0, 1]).await;
    let began = env::now();
    member.consumer.abandon(Duration::from_secs(5)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!((cluster.owner(&at), cluster.committed(&at)), (None, Some(1)));
}
