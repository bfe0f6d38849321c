//! A broker that was killed begins with the offsets that its disk had, and a member whose lease ran out meanwhile with what it knows better:
//! unless somebody else has had a word since.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::checks::{assert_fifo_without_gaps, events, sorted, started, succeeded};
use super::cluster::{Cluster, Entry, GROUP, queue};
use super::member::{Handler, Member, by_key, options, succeeds, until};
use crate::consumer::SeekTo;
use crate::consumer::gate::Outcome;
use crate::env;
use crate::protocol::{MessageQueue, Push};

/// Longer than a lease.
const AWAY: Duration = Duration::from_secs(40);
/// What a broker writes to its disk this often is what it begins with.
const FLUSH: Duration = Duration::from_secs(5);

/// The offset that the disk of a broker has: what was committed some seconds ago.
fn on_disk(cluster: &Cluster, at: &MessageQueue) -> i64 {
    let flushed = env::now() - FLUSH;
    let committed = cluster.entries().into_iter().filter_map(|(time, entry)| match entry {
        Entry::Committed { queue, offset, .. } if queue == *at && time <= flushed => Some(offset),
        _ => None,
    });
    committed.last().unwrap_or(0)
}

/// A member that has handled some 200 of 500 messages.
async fn at_work(cluster: &Arc<Cluster>, at: &MessageQueue) -> Member {
    cluster.send(at, 500);
    let member = Member::start("c1", cluster, options(), succeeds(10)).await;
    until("working", || succeeded(cluster, at).len() > 200).await;
    member
}

/// The broker is killed, is away for longer than a lease, and begins with what its disk had. How far that has set it back.
async fn crash(cluster: &Cluster, at: &MessageQueue) -> i64 {
    let (committed, flushed) = (cluster.committed(at).unwrap(), on_disk(cluster, at));
    cluster.crash("a", 0);
    tokio::time::sleep(AWAY).await;
    cluster.set_committed(at, flushed);
    cluster.recover("a");
    committed - flushed
}

#[tokio::test(start_paused = true)]
async fn nothing_that_this_process_has_handled_comes_again() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 3_000);
    let _member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    for handled in [1_000, 2_000] {
        until("working", || succeeded(&cluster, &at).len() > handled).await;
        assert!(crash(&cluster, &at).await > 300);
        assert!(!events(&cluster, "lockLost").is_empty());
    }
    until("all handled", || cluster.committed(&at) == Some(3_000)).await;
    assert_eq!(started(&cluster, &at), (0..3_000).collect::<Vec<_>>());
    assert_fifo_without_gaps(&cluster);
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_never_had_counts_as_well() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = at_work(&cluster, &at).await;
    cluster.crash("a", 0);
    cluster.state().broker(&at).offsets.clear();
    tokio::time::sleep(AWAY).await;
    cluster.recover("a");
    until("all handled", || cluster.committed(&at) == Some(500)).await;
    assert_eq!(started(&cluster, &at), (0..500).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn by_key_what_was_done_behind_a_key_that_is_held_does_not_come_again_either() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 2_000, 50);
    // One key fails from some message on until the broker is back.
    let fails: Handler = Arc::new(|delivery| {
        let fails = delivery.message.queue_offset == 1_003 && delivery.attempt <= 3;
        (Duration::from_millis(100), if fails { Outcome::Later } else { Outcome::Success })
    });
    let _member = Member::start("c1", &cluster, by_key(), fails).await;
    until("a hole", || succeeded(&cluster, &at).len() > 1_300).await;
    let handled = succeeded(&cluster, &at);
    assert!(!handled.contains(&1_003));
    crash(&cluster, &at).await;
    // Once more, while what was done before comes again.
    let begun = started(&cluster, &at).len();
    until("ours again", || started(&cluster, &at).len() > begun).await;
    crash(&cluster, &at).await;
    until("all handled", || cluster.committed(&at) == Some(2_000)).await;
    let mut again = started(&cluster, &at);
    again.retain(|offset| handled.contains(offset));
    assert_eq!(sorted(again), handled.into_iter().collect::<Vec<_>>(), "each once");
    let of_key: Vec<_> = started(&cluster, &at).into_iter().filter(|offset| offset % 50 == 3).collect();
    assert!(of_key.is_sorted(), "{of_key:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_has_gone_on_meanwhile_counts() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = at_work(&cluster, &at).await;
    cluster.crash("a", 0);
    tokio::time::sleep(AWAY).await;
    cluster.set_committed(&at, 400);
    cluster.recover("a");
    until("all handled", || cluster.committed(&at) == Some(500)).await;
    let seen = started(&cluster, &at);
    let jump = seen.windows(2).find(|pair| pair[1] != pair[0] + 1).unwrap();
    assert_eq!(jump[1], 400);
}

/// A member that has handled 700 messages and lost its lock to a stranger.
async fn with_a_stranger(cluster: &Arc<Cluster>, at: &MessageQueue) -> Member {
    cluster.send(at, 700);
    let member = Member::start("c1", cluster, options(), succeeds(10)).await;
    until("handled", || cluster.committed(at) == Some(700)).await;
    cluster.state().broker(at).locks.insert(at.clone(), ("stranger".into(), env::now()));
    until("lost", || !events(cluster, "lockLost").is_empty()).await;
    member
}

#[tokio::test(start_paused = true)]
async fn an_offset_that_is_not_ours_was_set_by_somebody_and_is_obeyed() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = with_a_stranger(&cluster, &at).await;
    // A seek of his, which nobody else hears of.
    cluster.set_committed(&at, 650);
    cluster.state().broker(&at).locks.clear();
    until("again", || started(&cluster, &at).len() > 700 && cluster.committed(&at) == Some(700)).await;
    assert_eq!(started(&cluster, &at)[700..], (650..700).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_administrator_who_is_heard_while_the_queue_is_anothers_is_obeyed() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = with_a_stranger(&cluster, &at).await;
    // By chance to where we were some seconds before.
    let to = on_disk(&cluster, &at);
    assert!(to < 700);
    member.line.push(Push::ResetOffsets {
        topic: "orders".into(),
        group: GROUP.into(),
        timestamp: 0,
        offsets: vec![(at.clone(), to)],
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    cluster.set_committed(&at, to);
    cluster.state().broker(&at).locks.clear();
    until("again", || started(&cluster, &at).len() > 700 && cluster.committed(&at) == Some(700)).await;
    assert_eq!(started(&cluster, &at)[700..], (to..700).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn whoever_has_given_a_queue_back_remembers_nothing_of_it() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 700);
    let _member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("handled", || cluster.committed(&at) == Some(700)).await;
    let to = on_disk(&cluster, &at);
    let second = Member::start("a-first", &cluster, options(), succeeds(10)).await;
    until("handed over", || cluster.owner(&at).as_deref() == Some("a-first")).await;
    until("at work", || second.consumer.assignment().iter().any(|queue| queue.next_offset == Some(700))).await;
    // His word, as of a seek, though it once was ours.
    cluster.set_committed(&at, to);
    second.close().await;
    until("again", || started(&cluster, &at).len() > 700 && cluster.committed(&at) == Some(700)).await;
    assert_eq!(started(&cluster, &at)[700..], (to..700).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_seek_back_outlasts_a_broker_that_has_forgotten_it() {
    for away in [Duration::from_secs(2), AWAY] {
        let cluster = Cluster::new(&["a"], 1);
        let at = queue("orders", "a", 0);
        cluster.send(&at, 700);
        let member = Member::start("c1", &cluster, options(), succeeds(10)).await;
        until("handled", || cluster.committed(&at) == Some(700)).await;
        member.consumer.seek(&at, SeekTo::Offset(100)).await.unwrap();
        until("some again", || started(&cluster, &at).len() > 750).await;
        cluster.crash("a", 0);
        tokio::time::sleep(away).await;
        cluster.set_committed(&at, 700);
        cluster.recover("a");
        until("all again", || started(&cluster, &at).len() >= 1_300).await;
        assert_eq!(started(&cluster, &at)[700..], (100..700).collect::<Vec<_>>(), "{away:?}");
        until("committed", || cluster.committed(&at) == Some(700)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlived_its_lease_does_not_count_and_its_message_comes_again() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 300);
    let slow: Handler = Arc::new(|delivery| {
        let time = if delivery.message.queue_offset == 200 { 35_000 } else { 10 };
        (Duration::from_millis(time), Outcome::Success)
    });
    let member = Member::start("c1", &cluster, options(), slow).await;
    until("running", || started(&cluster, &at).last() == Some(&200)).await;
    member.line.silent.store(true, Ordering::Relaxed);
    tokio::time::sleep(AWAY).await;
    member.line.silent.store(false, Ordering::Relaxed);
    until("all handled", || cluster.committed(&at) == Some(300)).await;
    let expected: Vec<_> = (0..=200).chain(200..300).collect();
    assert_eq!(started(&cluster, &at), expected);
}
