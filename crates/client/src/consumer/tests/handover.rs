//! C4 and C6: queues change hands.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{
    assert_fifo_without_gaps, assert_hand_over_order, assert_safe_commits, events, overlaps, started, succeeded,
};
use super::cluster::{Cluster, Entry, Fault, queue};
use super::member::{Member, options, succeeds, until};
use crate::consumer::gate::Outcome;
use crate::env;
use crate::protocol::Push;
use crate::protocol::code::request::UPDATE_CONSUMER_OFFSET;

#[tokio::test(start_paused = true)]
async fn c6_a_joining_member_gets_its_share_in_order() {
    let cluster = Cluster::new(&["a"], 2);
    let queues = [queue("orders", "a", 0), queue("orders", "a", 1)];
    for at in &queues {
        cluster.send(at, 2_000);
    }
    let first = Member::start("c1", &cluster, options(), succeeds(7)).await;
    until("begun", || queues.iter().all(|at| succeeded(&cluster, at).len() > 100)).await;
    let joined = env::now();
    let second = Member::start("c2", &cluster, options(), succeeds(7)).await;
    until("handed over", || cluster.owner(&queues[1]).as_deref() == Some("c2")).await;
    assert!(joined.elapsed() < Duration::from_secs(2), "{:?}", joined.elapsed());
    until("all handled", || queues.iter().all(|at| succeeded(&cluster, at).len() == 2_000)).await;
    assert_hand_over_order(&cluster, &queues[1], "c1", "c2");
    assert_eq!(
        started(&cluster, &queues[1]),
        (0..2_000).collect::<Vec<_>>(),
        "no duplicate after a graceful hand-over"
    );
    assert_eq!(overlaps(&cluster), 0);
    assert_fifo_without_gaps(&cluster);
    assert_safe_commits(&cluster);
    assert_eq!(first.consumer.assignment().len(), 1);
    assert_eq!(second.consumer.assignment().len(), 1);
    assert_eq!(events(&cluster, "\"revoked\"").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn c4_c6_a_leaving_member_hands_over_without_duplicates() {
    let cluster = Cluster::new(&["a"], 4);
    let queues: Vec<_> = (0..4).map(|id| queue("orders", "a", id)).collect();
    for at in &queues {
        cluster.send(at, 1_000);
    }
    let stays = Member::start("c1", &cluster, options(), succeeds(4)).await;
    let leaves = Member::start("c2", &cluster, options(), succeeds(4)).await;
    until("both work", || queues.iter().all(|at| succeeded(&cluster, at).len() > 50)).await;
    let left = env::now();
    leaves.close().await;
    until("taken over", || queues.iter().all(|at| cluster.owner(at).as_deref() == Some("c1"))).await;
    assert!(left.elapsed() < Duration::from_secs(2), "{:?}", left.elapsed());
    until("all handled", || queues.iter().all(|at| succeeded(&cluster, at).len() == 1_000)).await;
    for at in &queues {
        assert_eq!(started(&cluster, at), (0..1_000).collect::<Vec<_>>());
    }
    assert_hand_over_order(&cluster, &queues[3], "c2", "c1");
    assert_eq!(overlaps(&cluster), 0);
    assert_eq!(stays.consumer.assignment().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn c9_a_revoked_queue_waits_for_its_running_handler_and_renews_its_lock_meanwhile() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send(&at, 3);
    let _first = Member::start("c1", &cluster, options(), succeeds(100_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    let _second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    // Longer than the broker's 60 s: only renewals keep the queue.
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(cluster.owner(&at).as_deref(), Some("c1"));
    assert_eq!(started(&cluster, &at), [0], "nothing new starts");
    until("taken over", || cluster.owner(&at).as_deref() == Some("c2")).await;
    until("all handled", || succeeded(&cluster, &at).len() == 3).await;
    assert_eq!(started(&cluster, &at), [0, 1, 2]);
    let aborted = cluster.entries().iter().any(|(_, entry)| matches!(entry, Entry::Aborted { .. }));
    assert!(!aborted, "a revoked handler ends in peace");
    assert_hand_over_order(&cluster, &at, "c1", "c2");
    assert_eq!(overlaps(&cluster), 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_revoked_and_assigned_again_goes_on_with_its_lock() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send(&at, 3);
    let _first = Member::start("c1", &cluster, options(), succeeds(20_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    let second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    second.close().await;
    until("all handled", || succeeded(&cluster, &at).len() == 3).await;
    assert_eq!(started(&cluster, &at), [0, 1, 2]);
    let unlocked = cluster
        .entries()
        .iter()
        .any(|(_, entry)| matches!(entry, Entry::Unlocked { client, queue } if client == "c1" && *queue == at));
    assert!(!unlocked, "Draining → Running with a valid lock");
    assert!(events(&cluster, "\"revoked\"").iter().all(|text| !text.contains("\"queueId\":1")));
    assert_eq!(overlaps(&cluster), 0);
}

#[tokio::test(start_paused = true)]
async fn c4_after_a_crash_of_its_owner_a_queue_repeats_only_what_was_not_committed() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 20_000);
    let crashing = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("begun", || succeeded(&cluster, &at).len() > 300).await;
    let heir = Member::start("c2", &cluster, options(), succeeds(10)).await;
    // kill -9: the socket closes, the lock stays.
    let crashed = env::now();
    let last = *started(&cluster, &at).last().unwrap();
    let committed = cluster.committed(&at).unwrap();
    crashing.line.silent.store(true, std::sync::atomic::Ordering::Relaxed);
    crashing.line.lose("a:10911");
    until("taken over", || {
        let entries = cluster.entries();
        entries.iter().any(|(_, entry)| matches!(entry, Entry::Started { client, .. } if client == "c2"))
    })
    .await;
    assert!(crashed.elapsed() < Duration::from_secs(81), "{:?}", crashed.elapsed());
    let first = cluster.entries().into_iter().find_map(|(_, entry)| match entry {
        Entry::Started { client, offset, .. } if client == "c2" => Some(offset),
        _ => None,
    });
    assert_eq!(first, Some(committed));
    assert!(last - committed <= 110, "the commit interval's worth: {last} - {committed}");
    assert_eq!(overlaps(&cluster), 0);
    drop(heir);
}

#[tokio::test(start_paused = true)]
async fn a_failing_message_keeps_its_queue_through_a_hand_over() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 4);
    let fails = Arc::new(|delivery: &crate::consumer::Delivery| {
        let outcome = if delivery.message.queue_offset == 1 { Outcome::Later } else { Outcome::Success };
        (Duration::from_millis(1), outcome)
    });
    let first = Member::start("c1", &cluster, options(), fails).await;
    until("failing", || started(&cluster, &at).len() > 3).await;
    first.close().await;
    assert_eq!(cluster.committed(&at), Some(1));
    let _second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("all handled", || succeeded(&cluster, &at).len() == 4).await;
    assert_fifo_without_gaps(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_queue_given_up_while_its_lock_is_asked_for_is_unlocked_in_any_case() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.state().broker(&at).locks.insert(at.clone(), ("stranger".into(), env::now()));
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("refused", || cluster.entries().iter().any(|(_, entry)| matches!(entry, Entry::Refused { .. }))).await;
    assert_eq!(member.consumer.assignment()[0].state, "locking");
    member.close().await;
    assert!(
        cluster.entries().iter().any(|(_, entry)| matches!(entry, Entry::UnlockSent { queue, .. } if *queue == at))
    );
    assert_eq!(cluster.owner(&at).as_deref(), Some("stranger"));
}

#[tokio::test(start_paused = true)]
async fn c6_a_queue_given_up_while_its_first_position_is_committed_is_unlocked_behind_that() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 9, Fault::Delay(Duration::from_millis(300)));
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let place = |what: &dyn Fn(&Entry) -> bool| cluster.entries().iter().position(|(_, entry)| what(entry));
    let sent = |entry: &Entry| matches!(entry, Entry::CommitSent { queue, .. } if *queue == at);
    until("sent", || place(&sent).is_some()).await;
    member.close().await;
    let committed = place(&|entry| matches!(entry, Entry::Committed { queue, .. } if *queue == at));
    let unlocked = place(&|entry| matches!(entry, Entry::UnlockSent { queue, .. } if *queue == at));
    assert!(committed.is_some() && committed < unlocked, "{:?}", cluster.entries());
}

#[tokio::test(start_paused = true)]
async fn queues_that_leave_the_route_are_given_back() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send(&at, 2);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("committed", || cluster.committed(&at) == Some(2)).await;
    cluster.set_topic("orders", &["a"], 1);
    until("unlocked", || cluster.owner(&at).is_none()).await;
    until("revoked", || !events(&cluster, "\"revoked\"").is_empty()).await;
    assert_eq!(member.consumer.assignment().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn f21_a_storm_of_notifications_is_no_storm_of_rebalances() {
    let cluster = Cluster::new(&["a"], 1);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("assigned", || !events(&cluster, "\"assigned\"").is_empty()).await;
    let before = cluster.state().member_lists;
    for _ in 0..100 {
        member.line.push(Push::MembersChanged { group: super::cluster::GROUP.into() });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lists = cluster.state().member_lists - before;
    assert!((4..=7).contains(&lists), "one look per 200 ms: {lists}");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_nobody_lists_keeps_what_it_has() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 0);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("ours", || cluster.owner(&at).is_some()).await;
    cluster.state().broker(&at).members.clear();
    cluster.fault(
        "a",
        crate::protocol::code::request::GET_CONSUMER_LIST_BY_GROUP,
        30,
        super::cluster::Fault::Refuse(1, "no consumer for this group"),
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(member.consumer.assignment().len(), 2);
    assert!(events(&cluster, "\"revoked\"").is_empty());
    assert!(cluster.state().broker(&at).members.contains("c1"), "a heartbeat went out");
}
