//! Locks in doubt and locks lost: connections break, brokers restart, machines sleep.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::checks::{assert_fifo_without_gaps, assert_safe_commits, events, overlaps, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, queue};
use super::member::{Member, options, succeeds, until};
use crate::env;
use crate::protocol::code::request::{LOCK_BATCH_MQ, PULL_MESSAGE, UNLOCK_BATCH_MQ};

fn aborted(cluster: &Cluster) -> Vec<&'static str> {
    let entries = cluster.entries().into_iter();
    entries
        .filter_map(|(_, entry)| match entry {
            Entry::Aborted { code, .. } => Some(code),
            _ => None,
        })
        .collect()
}

fn locks(cluster: &Cluster) -> Vec<env::Instant> {
    let at = queue("orders", "a", 0);
    let entries = cluster.entries().into_iter();
    entries
        .filter_map(|(time, entry)| matches!(entry, Entry::Locked { queue, .. } if queue == at).then_some(time))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn locks_are_renewed_every_10_s() {
    let cluster = Cluster::new(&["a"], 1);
    let _member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    tokio::time::sleep(Duration::from_secs(65)).await;
    let times = locks(&cluster);
    assert!((6..=9).contains(&times.len()), "{}", times.len());
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= Duration::from_millis(10_100)));
}

#[tokio::test(start_paused = true)]
async fn c9_a_broken_connection_starts_nothing_until_the_lock_is_fresh() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 400);
    let member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("working", || succeeded(&cluster, &at).len() > 50).await;
    cluster.fault("a", LOCK_BATCH_MQ, 1, Fault::Delay(Duration::from_secs(2)));
    member.line.lose("a:10911");
    let lost = env::now();
    until("all handled", || succeeded(&cluster, &at).len() == 400).await;
    let relocked = locks(&cluster).into_iter().find(|time| *time > lost).unwrap();
    assert!(relocked - lost >= Duration::from_secs(2));
    let entries = cluster.entries();
    let between = entries
        .iter()
        .filter(|(time, entry)| matches!(entry, Entry::Started { .. }) && *time > lost && *time < relocked);
    assert_eq!(between.count(), 0);
    assert_eq!(
        started(&cluster, &at),
        (0..400).collect::<Vec<_>>(),
        "nothing twice: memory knows more than the broker"
    );
    assert!(aborted(&cluster).is_empty());
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn c9_a_handler_in_doubt_ends_in_peace_and_counts() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2);
    let member = Member::start("c1", &cluster, options(), succeeds(5_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    member.line.lose("a:10911");
    until("all handled", || succeeded(&cluster, &at).len() == 2).await;
    assert_eq!(started(&cluster, &at), [0, 1]);
    assert!(aborted(&cluster).is_empty() && events(&cluster, "lockLost").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgot_its_locks_is_asked_again_and_memory_wins_over_older_offsets() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 1_000);
    let _member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("working", || succeeded(&cluster, &at).len() > 300).await;
    cluster.crash("a", 150);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = succeeded(&cluster, &at).len();
    cluster.recover("a");
    let up = env::now();
    until("progress", || succeeded(&cluster, &at).len() > before).await;
    assert!(up.elapsed() <= Duration::from_millis(3_600), "C10: {:?}", up.elapsed());
    until("all handled", || succeeded(&cluster, &at).len() == 1_000).await;
    assert_eq!(started(&cluster, &at), (0..1_000).collect::<Vec<_>>());
    assert_fifo_without_gaps(&cluster);
}

#[tokio::test(start_paused = true)]
async fn after_a_doubt_the_greater_of_memory_and_commit_counts() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 500);
    let _member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("working", || succeeded(&cluster, &at).len() > 20).await;
    cluster.crash("a", 0);
    // While we were away another owner came, worked and left.
    cluster.set_committed(&at, 400);
    cluster.recover("a");
    until("all handled", || cluster.committed(&at) == Some(500)).await;
    let seen = started(&cluster, &at);
    let jump = seen.windows(2).find(|pair| pair[1] != pair[0] + 1).unwrap();
    assert_eq!(jump[1], 400);
}

#[tokio::test(start_paused = true)]
async fn c1_a_lock_that_somebody_else_got_is_lost_at_once() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 3);
    let member = Member::start("c1", &cluster, options(), succeeds(20_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    cluster.crash("a", 0);
    cluster.state().broker(&at).locks.insert(at.clone(), ("stranger".into(), env::now()));
    cluster.recover("a");
    let restarted = env::now();
    until("told", || aborted(&cluster) == ["ERR_ROCKETMQ_LOCK_LOST"]).await;
    assert!(restarted.elapsed() < Duration::from_secs(2));
    assert_eq!(events(&cluster, "lockLost").len(), 1);
    let commits = cluster
        .entries()
        .iter()
        .filter(|(time, entry)| *time > restarted && matches!(entry, Entry::CommitSent { queue, .. } if *queue == at))
        .count();
    assert_eq!(commits, 0, "C5: none after the lock is known lost");
    until("the old handler has ended", || {
        cluster.entries().iter().any(|(_, entry)| matches!(entry, Entry::Ended { counted: false, .. }))
    })
    .await;
    // The stranger's lock runs out after 60 s; then the same message comes again.
    until("again", || started(&cluster, &at) == [0, 0]).await;
    assert_eq!(overlaps(&cluster), 0);
    assert!(member.consumer.stats().consumed == 0);
}

#[tokio::test(start_paused = true)]
async fn an_old_handler_and_a_new_one_never_overlap_in_one_process() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2);
    let member = Member::start("c1", &cluster, options(), succeeds(100_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    member.line.silent.store(true, Ordering::Relaxed);
    until("lost", || !events(&cluster, "lockLost").is_empty()).await;
    member.line.silent.store(false, Ordering::Relaxed);
    until("locked again", || cluster.owner(&at).as_deref() == Some("c1")).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(started(&cluster, &at), [0], "the lock is ours, but the old handler still runs");
    until("again", || started(&cluster, &at) == [0, 0]).await;
    assert_eq!(overlaps(&cluster), 0);
}

#[tokio::test(start_paused = true)]
async fn c9_a_lease_ends_30_s_after_its_last_grant_was_asked_for() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2);
    let member = Member::start("c1", &cluster, options(), succeeds(200_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    member.line.silent.store(true, Ordering::Relaxed);
    until("lost", || !aborted(&cluster).is_empty()).await;
    let granted = *locks(&cluster).last().unwrap();
    let entries = cluster.entries();
    let abort = entries.iter().find(|(_, entry)| matches!(entry, Entry::Aborted { .. })).unwrap().0;
    let held = abort - granted;
    assert!(held <= Duration::from_secs(30) && held > Duration::from_secs(29), "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_asks_for_its_locks_before_anything_starts() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2_000);
    let member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("working", || succeeded(&cluster, &at).len() > 20).await;
    // The broker gave the queue away; our monotonic clock did not move.
    member.line.wall.fetch_add(70_000, Ordering::Relaxed);
    cluster.state().broker(&at).locks.insert(at.clone(), ("stranger".into(), env::now()));
    let woke = env::now();
    until("noticed", || !events(&cluster, "lockLost").is_empty()).await;
    assert!(woke.elapsed() < Duration::from_millis(1_100), "{:?}", woke.elapsed());
    let starts =
        cluster.entries().iter().filter(|(time, entry)| *time > woke && matches!(entry, Entry::Started { .. })).count();
    assert_eq!(starts, 0, "the gate refuses from the first message on");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_set_forward_costs_one_renewal() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 500);
    let member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("working", || succeeded(&cluster, &at).len() > 20).await;
    member.line.wall.fetch_add(3_600_000, Ordering::Relaxed);
    until("all handled", || succeeded(&cluster, &at).len() == 500).await;
    assert_eq!(started(&cluster, &at), (0..500).collect::<Vec<_>>());
    assert!(events(&cluster, "lockLost").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_renewal_is_a_doubt_and_heals() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 3_000);
    let _member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("working", || succeeded(&cluster, &at).len() > 20).await;
    cluster.fault("a", LOCK_BATCH_MQ, 1, Fault::Swallow);
    until("all handled", || succeeded(&cluster, &at).len() == 3_000).await;
    assert_eq!(started(&cluster, &at), (0..3_000).collect::<Vec<_>>());
    assert!(events(&cluster, "lockLost").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unlock_after_a_lock_without_answer_is_repeated() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("locked", || cluster.owner(&at).is_some()).await;
    cluster.fault("a", LOCK_BATCH_MQ, 1, Fault::Mute);
    tokio::time::sleep(Duration::from_secs(13)).await;
    member.close().await;
    let unlocks = cluster
        .entries()
        .into_iter()
        .filter_map(|(time, entry)| matches!(entry, Entry::UnlockSent { queue, .. } if queue == at).then_some(time));
    let times: Vec<_> = unlocks.collect();
    assert_eq!(times.len(), 2);
    assert!(times[1] - times[0] >= Duration::from_secs(1));
    assert_eq!(cluster.owner(&at), None);
}

#[tokio::test(start_paused = true)]
async fn an_unlock_without_answer_is_sent_again() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("locked", || cluster.owner(&at).is_some()).await;
    cluster.fault("a", UNLOCK_BATCH_MQ, 1, Fault::Swallow);
    member.close().await;
    assert_eq!(cluster.owner(&at), None);
}

#[tokio::test(start_paused = true)]
async fn f6_a_broker_that_refuses_pulls_is_not_asked_in_a_tight_loop() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.fault("a", PULL_MESSAGE, 20, Fault::Refuse(2, "[REJECTREQUEST]system busy"));
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let began = env::now();
    cluster.send(&at, 5);
    until("handled after all", || succeeded(&cluster, &at).len() == 5).await;
    assert!(began.elapsed() > Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(events(&cluster, "REJECTREQUEST").len(), 2, "one warning a streak and queue, the retry queue's too");
    until("healthy again", || member.consumer.health().problems.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgot_us_serves_our_pulls_and_gets_a_heartbeat() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("locked", || cluster.owner(&at).is_some()).await;
    cluster.state().broker(&at).members.clear();
    cluster.send(&at, 1);
    until("handled", || succeeded(&cluster, &at).len() == 1).await;
    until("known again", || cluster.state().broker(&at).members.contains("c1")).await;
}

#[tokio::test(start_paused = true)]
async fn l1_after_a_broker_restart_nobody_takes_everything() {
    let cluster = Cluster::new(&["a"], 4);
    let queues: Vec<_> = (0..4).map(|id| queue("orders", "a", id)).collect();
    for at in &queues {
        cluster.send(at, 4_000);
    }
    let _first = Member::start("c1", &cluster, options(), succeeds(10)).await;
    let _second = Member::start("c2", &cluster, options(), succeeds(10)).await;
    until("shared", || queues.iter().all(|at| succeeded(&cluster, at).len() > 100)).await;
    let owners: Vec<_> = queues.iter().map(|at| cluster.owner(at)).collect();
    cluster.crash("a", 0);
    tokio::time::sleep(Duration::from_secs(3)).await;
    cluster.recover("a");
    until("going on", || queues.iter().all(|at| succeeded(&cluster, at).len() > 1_000)).await;
    assert_eq!(owners, queues.iter().map(|at| cluster.owner(at)).collect::<Vec<_>>());
    for at in &queues {
        let seen = started(&cluster, at);
        assert_eq!(seen, (0..i64::try_from(seen.len()).unwrap()).collect::<Vec<_>>());
    }
    assert_eq!(overlaps(&cluster), 0);
}
