//! A defect of ours: whatever task it ends begins anew, it is told, and no queue stands.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::checks::{assert_safe_commits, events, overlaps, started};
use super::cluster::{Cluster, Entry, queue};
use super::member::{Member, options, succeeds, until};
use crate::protocol::code::request::{
    GET_CONSUMER_LIST_BY_GROUP, GET_MAX_OFFSET, LOCK_BATCH_MQ, PULL_MESSAGE, QUERY_CONSUMER_OFFSET,
    UPDATE_CONSUMER_OFFSET,
};

/// Two queues of 60, while the requests of a code panic three times; returns what was told.
async fn handled_all_the_same(code: i32) -> Vec<String> {
    let cluster = Cluster::new(&["a"], 2);
    let queues = [queue("orders", "a", 0), queue("orders", "a", 1)];
    for at in &queues {
        cluster.send(at, 60);
    }
    let member = Member::start("c1", &cluster, options(), succeeds(100)).await;
    until("working", || queues.iter().all(|at| started(&cluster, at).len() > 5)).await;
    member.line.plant(code, 3);
    until("all handled", || queues.iter().all(|at| cluster.committed(at) == Some(60))).await;
    for at in &queues {
        // Nothing is skipped: each comes again, or follows the one before.
        let offsets = started(&cluster, at);
        assert!(offsets.windows(2).all(|two| two[1] <= two[0] + 1), "{offsets:?}");
    }
    assert_eq!(overlaps(&cluster), 0);
    assert_safe_commits(&cluster);
    // A list of members is asked for every 20 s.
    until("all planted", || events(&cluster, &format!("planted at {code}")).len() >= 3).await;
    until("healed", || member.consumer.health().problems.is_empty()).await;
    member.close().await;
    assert!(queues.iter().all(|at| cluster.owner(at).is_none()), "given back");
    events(&cluster, "ERR_ROCKETMQ_INTERNAL")
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_actor_panics_begins_anew_at_what_is_committed() {
    for code in [PULL_MESSAGE, UPDATE_CONSUMER_OFFSET] {
        let told = handled_all_the_same(code).await;
        assert!(told.iter().all(|text| text.contains("@a:") && text.contains("begins anew")), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn locks_are_kept_on_though_their_keeper_panics() {
    let told = handled_all_the_same(LOCK_BATCH_MQ).await;
    assert!(told.iter().all(|text| text.contains("the locks at a")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn the_rebalance_goes_on_after_a_panic() {
    let told = handled_all_the_same(GET_CONSUMER_LIST_BY_GROUP).await;
    assert!(told.iter().all(|text| text.contains("the rebalance")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_actor_panics_at_every_attempt_shows_it_and_close_is_not_held() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 5);
    let member = Member::new("c1", &cluster, options(), succeeds(1));
    member.line.plant(QUERY_CONSUMER_OFFSET, u32::MAX);
    member.try_start().await.unwrap();
    until("told again and again", || events(&cluster, "ERR_ROCKETMQ_INTERNAL").len() > 3).await;
    until("shown", || member.consumer.health().problems.iter().any(|problem| problem.message().contains("orders@a:0")))
        .await;
    member.close().await;
    assert!(started(&cluster, &at).is_empty() && cluster.owner(&at).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_is_told_though_looking_at_it_panics() {
    let cluster = Cluster::new(&["a"], 3);
    let at = queue("orders", "a", 2);
    cluster.send(&at, 50);
    let member = Member::start("c1", &cluster, options(), succeeds(100)).await;
    until("working", || started(&cluster, &at).len() == 10).await;
    member.line.plant(GET_MAX_OFFSET, 1);
    cluster.set_queues("orders", "a", 2, 2);
    until("told", || !events(&cluster, "ERR_ROCKETMQ_UNREAD_QUEUE").is_empty()).await;
    let told = events(&cluster, "ERR_ROCKETMQ_INTERNAL");
    assert!(told.len() == 1 && told[0].contains("queues that nobody reads"), "{told:?}");
    member.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_on_whose_way_something_panics_gives_back_the_rest_and_ends_the_connections() {
    let cluster = Cluster::new(&["a"], 2);
    let (slow, quick) = (queue("orders", "a", 0), queue("orders", "a", 1));
    cluster.send(&slow, 1);
    let member = Member::start("c1", &cluster, options(), succeeds(60_000)).await;
    until("running", || started(&cluster, &slow).len() == 1).await;
    member.pump.planted.store(true, Ordering::Relaxed);
    member.consumer.close(Duration::from_secs(5)).await;
    let told = events(&cluster, "ERR_ROCKETMQ_INTERNAL");
    assert!(told.len() == 1 && told[0].contains("planted at a signal"), "{told:?}");
    assert!(cluster.owner(&quick).is_none(), "given back");
    assert!(cluster.entries().iter().any(|(_, entry)| matches!(entry, Entry::Closed { .. })));
}
