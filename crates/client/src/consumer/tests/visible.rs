//! What holds a queue is seen, and can be lifted, from outside.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{events, started, succeeded};
use super::cluster::{Cluster, Fault, queue};
use super::member::{Handler, Member, options, succeeds, until};
use crate::consumer::ConsumerOptions;
use crate::consumer::gate::Outcome;
use crate::protocol::code::request::{PULL_MESSAGE, QUERY_CONSUMER_OFFSET};

fn fails() -> Handler {
    Arc::new(|_| (Duration::from_millis(1), Outcome::Later))
}

fn small_prefetch() -> ConsumerOptions {
    ConsumerOptions { prefetch_messages: 64, ..options() }
}

#[tokio::test(start_paused = true)]
async fn a_blocked_queue_with_a_full_buffer_hears_of_a_reset_by_21() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 300);
    let _member = Member::start("c1", &cluster, small_prefetch(), fails()).await;
    until("blocked", || started(&cluster, &at).len() > 3).await;
    {
        // As 5.5.0 does when an operator moves the group past a message that cannot be handled.
        let mut state = cluster.state();
        let broker = state.broker(&at);
        broker.offsets.insert(at.clone(), 250);
        broker.pending_resets.insert(at.clone(), 250);
    }
    let asked = crate::env::now();
    until("reset", || !events(&cluster, "offsetReset").is_empty()).await;
    assert!(asked.elapsed() < Duration::from_secs(7), "{:?}", asked.elapsed());
    until("going on behind it", || started(&cluster, &at).contains(&250)).await;
}

#[tokio::test(start_paused = true)]
async fn the_lag_of_a_blocked_queue_grows_while_nothing_is_pulled() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 300);
    let member = Member::start("c1", &cluster, small_prefetch(), fails()).await;
    until("blocked", || started(&cluster, &at).len() > 3).await;
    assert_eq!(member.consumer.stats().lag, 300);
    cluster.send(&at, 700);
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(member.consumer.stats().lag, 1_000);
    assert!(member.consumer.stats().buffered <= 64);
    assert!(started(&cluster, &at).iter().all(|offset| *offset == 0));
}

#[tokio::test(start_paused = true)]
async fn a_queue_given_up_before_it_was_assigned_is_not_revoked() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.fault("a", QUERY_CONSUMER_OFFSET, 1_000, Fault::Refuse(1, "not now"));
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("locked", || cluster.owner(&at).is_some()).await;
    cluster.set_topic("orders", &["a"], 1);
    until("given back", || cluster.owner(&at).is_none()).await;
    member.close().await;
    assert!(events(&cluster, "\"assigned\"").is_empty());
    assert!(events(&cluster, "\"revoked\"").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_master_that_has_left_the_route_is_not_waited_for() {
    let cluster = Cluster::new(&["a", "b"], 1);
    let at = queue("orders", "a", 0);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("both", || member.consumer.assignment().iter().filter(|queue| queue.state == "running").count() == 2).await;
    cluster.crash("b", 0);
    cluster.set_topic("orders", &["a"], 1);
    cluster.set_topic(super::cluster::RETRY, &["a"], 1);
    until("given up", || member.consumer.assignment().len() == 1).await;
    cluster.send(&at, 1);
    until("handled", || succeeded(&cluster, &at).len() == 1).await;
    let before = cluster.state().member_lists;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let lists = cluster.state().member_lists - before;
    assert!(lists <= 5, "one look in 20 s, not one a second: {lists}");
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_an_old_master_holds_is_given_up_when_the_route_shows_the_new_one() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    cluster.fault("a", PULL_MESSAGE, 1, Fault::Swallow);
    cluster.send(&at, 1);
    until("handled", || succeeded(&cluster, &at).len() == 1).await;
    until("held for ever", || cluster.faults_left("a", PULL_MESSAGE) == 0).await;
    cluster.send(&at, 1);
    *member.line.port.lock().unwrap() = Some(20_911);
    // Another look at the routes, as whatever fails or the next tick brings it.
    cluster.set_topic("orders", &["a"], 2);
    let moved = crate::env::now();
    until("handled at the new address", || succeeded(&cluster, &at).len() == 2).await;
    assert!(moved.elapsed() < Duration::from_secs(3), "{:?}", moved.elapsed());
}
