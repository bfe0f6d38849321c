//! What is handled when the program asks is acknowledged when it is answered.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{assert_safe_commits, overlaps, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, queue};
use super::member::{Member, options, succeeds, until};
use crate::consumer::{ConsumerOptions, Delivery, Outcome};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::MessageQueue;
use crate::protocol::code::request::UPDATE_CONSUMER_OFFSET;

/// Commits of themselves hardly ever.
fn lazy() -> ConsumerOptions {
    ConsumerOptions { commit_interval: Duration::from_secs(600), ..options() }
}

fn sent(cluster: &Cluster, at: &MessageQueue) -> Vec<i64> {
    let entries = cluster.entries().into_iter();
    entries
        .filter_map(|(_, entry)| match entry {
            Entry::CommitSent { queue, offset, .. } if queue == *at => Some(offset),
            _ => None,
        })
        .collect()
}

/// The only failure, as a user sees it.
fn only(failures: Vec<ClientError>) -> serde_json::Value {
    let [failure] = <[ClientError; 1]>::try_from(failures).unwrap();
    serde_json::from_str(&failure.to_json()).unwrap()
}

/// A member that has handled so many messages of a queue, and stands still.
async fn handled(cluster: &Arc<Cluster>, at: &MessageQueue, count: usize) -> Member {
    cluster.send(at, count);
    let member = Member::start("c1", cluster, lazy(), succeeds(1)).await;
    until("handled", || succeeded(cluster, at).len() == count).await;
    member
}

#[tokio::test(start_paused = true)]
async fn all_queues_are_committed_at_once_and_not_when_the_interval_is_over() {
    let cluster = Cluster::new(&["a", "b"], 2);
    let queues: Vec<_> =
        ["a", "b"].into_iter().flat_map(|name| (0..2).map(move |id| queue("orders", name, id))).collect();
    for at in &queues {
        cluster.send(at, 50);
    }
    let member = Member::start("c1", &cluster, lazy(), succeeds(1)).await;
    until("handled", || queues.iter().all(|at| succeeded(&cluster, at).len() == 50)).await;
    let asked = env::now();
    assert!(member.consumer.commit().await.is_empty());
    assert!(asked.elapsed() < Duration::from_millis(10), "{:?}", asked.elapsed());
    for at in &queues {
        assert_eq!(cluster.committed(at), Some(50));
    }
    let before: Vec<_> = queues.iter().map(|at| sent(&cluster, at)).collect();
    assert!(member.consumer.commit().await.is_empty());
    assert_eq!(before, queues.iter().map(|at| sent(&cluster, at)).collect::<Vec<_>>(), "nothing new: nobody is asked");
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn what_is_handled_at_the_call_counts_whatever_runs_or_is_under_way() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2_000);
    let member = Member::start("c1", &cluster, options(), succeeds(3)).await;
    until("begun", || !succeeded(&cluster, &at).is_empty()).await;
    while succeeded(&cluster, &at).len() < 2_000 {
        let handled = i64::try_from(succeeded(&cluster, &at).len()).unwrap();
        let (first, second) = tokio::join!(member.consumer.commit(), member.consumer.commit());
        assert!(first.is_empty() && second.is_empty());
        assert!(cluster.committed(&at) >= Some(handled), "{:?} of {handled}", cluster.committed(&at));
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_long_handler_does_not_keep_what_was_handled_before_it_even_while_the_queue_is_on_its_way_out() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send(&at, 11);
    let handler = Arc::new(|delivery: &Delivery| {
        let millis = if delivery.message.queue_offset == 10 { 20_000 } else { 1 };
        (Duration::from_millis(millis), Outcome::Success)
    });
    let first = Member::start("c1", &cluster, lazy(), handler).await;
    until("in the long one", || started(&cluster, &at).len() == 11).await;
    let second = Member::start("c2", &cluster, lazy(), succeeds(1)).await;
    until("on its way out", || first.consumer.assignment().iter().any(|queue| queue.state == "draining")).await;
    let asked = env::now();
    assert!(first.consumer.commit().await.is_empty());
    assert!(asked.elapsed() < Duration::from_millis(50), "{:?}", asked.elapsed());
    assert_eq!(cluster.committed(&at), Some(10));
    until("handed over", || cluster.owner(&at).as_deref() == Some("c2")).await;
    assert_eq!((cluster.committed(&at), overlaps(&cluster)), (Some(11), 0));
    assert!(second.consumer.commit().await.is_empty());
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_tried_again_and_told_when_the_time_of_a_request_is_over() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = handled(&cluster, &at, 20).await;
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 2, Fault::Refuse(2, "busy"));
    assert!(member.consumer.commit().await.is_empty());
    assert_eq!((cluster.committed(&at), cluster.faults_left("a", UPDATE_CONSUMER_OFFSET)), (Some(20), 0));

    cluster.send(&at, 1);
    until("handled", || succeeded(&cluster, &at).len() == 21).await;
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 12, Fault::Refuse(1, "no"));
    let asked = env::now();
    let failure = only(member.consumer.commit().await);
    assert!((2_900..3_100).contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());
    assert_eq!(
        (failure["code"].as_str(), failure["outcome"].as_str()),
        (Some("ERR_ROCKETMQ_BROKER"), Some("not-stored"))
    );
    assert_eq!(failure["queue"], serde_json::json!({ "topic": "orders", "brokerName": "a", "queueId": 0 }));
    assert!(failure["message"].as_str().unwrap().contains("of orders@a:0 is not acknowledged within 3000 ms"));
    until("through", || cluster.committed(&at) == Some(21)).await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_may_have_been_executed_is_told_as_unknown() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = handled(&cluster, &at, 20).await;
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 1, Fault::Mute);
    let failure = only(member.consumer.commit().await);
    assert_eq!(
        (failure["code"].as_str(), failure["outcome"].as_str()),
        (Some("ERR_ROCKETMQ_TIMEOUT"), Some("unknown"))
    );
    assert_eq!(cluster.committed(&at), Some(20));
    assert!(member.consumer.commit().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_down_is_told_of_in_time_and_the_others_are_committed() {
    let cluster = Cluster::new(&["a", "b"], 1);
    let [down, up] = [queue("orders", "a", 0), queue("orders", "b", 0)];
    cluster.send(&down, 20);
    let member = handled(&cluster, &up, 20).await;
    until("handled", || succeeded(&cluster, &down).len() == 20).await;
    cluster.crash("a", 0);
    let asked = env::now();
    let failure = only(member.consumer.commit().await);
    assert!(asked.elapsed() < Duration::from_millis(3_100), "{:?}", asked.elapsed());
    assert_eq!(
        (failure["code"].as_str(), failure["outcome"].as_str()),
        (Some("ERR_ROCKETMQ_CONNECTION"), Some("not-stored"))
    );
    assert_eq!(failure["queue"]["brokerName"], "a");
    assert_eq!(cluster.committed(&up), Some(20));
    assert!(cluster.committed(&down) < Some(20));
    cluster.recover("a");
    until("committed", || cluster.committed(&down) == Some(20)).await;
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn close_commits_what_was_asked_for() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = handled(&cluster, &at, 20).await;
    let commit = member.consumer.commit();
    member.close().await;
    assert!(commit.await.is_empty());
    assert_eq!(cluster.committed(&at), Some(20));
    assert!(member.consumer.commit().await.is_empty(), "there is nothing that is ours");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_lock_goes_while_it_waits_says_so() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = handled(&cluster, &at, 20).await;
    // Renewed every 20 s: the next time is refused.
    until("just renewed", || {
        cluster.entries().iter().filter(|(_, entry)| matches!(entry, Entry::Locked { .. })).count() > 5
    })
    .await;
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 1_000, Fault::Refuse(1, "no"));
    cluster.state().broker(&at).locks.insert(at.clone(), ("thief".into(), env::now() + Duration::from_secs(100)));
    let failure = loop {
        let failures = member.consumer.commit().await;
        if failures[0].code() != Code::Broker {
            break only(failures);
        }
    };
    assert_eq!(failure["code"], "ERR_ROCKETMQ_LOCK_LOST");
    assert_eq!(failure["queue"], serde_json::json!({ "topic": "orders", "brokerName": "a", "queueId": 0 }));
    assert!(
        failure["message"].as_str().unwrap().contains("the lock of orders@a:0 was lost before commit() was through")
    );
    assert!(cluster.committed(&at) < Some(20));
}
