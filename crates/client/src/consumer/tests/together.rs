//! What changes hands together is one event; and an end without a broker is a quick one.

use std::time::Duration;

use super::checks::{events, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, queue};
use super::member::{Member, options, succeeds, until};
use crate::env;
use crate::protocol::code::request::{LOCK_BATCH_MQ, QUERY_CONSUMER_OFFSET, UPDATE_CONSUMER_OFFSET};

fn running(member: &Member) -> usize {
    member.consumer.assignment().iter().filter(|state| state.state == "running").count()
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_is_one_event_on_each_side_and_so_is_the_end() {
    let cluster = Cluster::new(&["a", "b"], 4);
    let first = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("all", || running(&first) == 8).await;
    let second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("half", || running(&first) == 4 && running(&second) == 4).await;
    let queues = |text: &String| text.matches("queueId").count();
    assert_eq!(events(&cluster, "\"revoked\"").iter().map(queues).collect::<Vec<_>>(), [4]);
    assert_eq!(events(&cluster, "\"assigned\"").iter().map(queues).collect::<Vec<_>>(), [8, 4]);
    second.close().await;
    until("all again", || running(&first) == 8).await;
    assert_eq!(events(&cluster, "\"revoked\"").iter().map(queues).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(events(&cluster, "\"assigned\"").iter().map(queues).collect::<Vec<_>>(), [8, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_assigned_before_its_first_message() {
    let cluster = Cluster::new(&["a"], 4);
    let queues: Vec<_> = (0..4).map(|id| queue("orders", "a", id)).collect();
    for at in &queues {
        cluster.send(at, 1);
    }
    let _member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("handled", || queues.iter().all(|at| !started(&cluster, at).is_empty())).await;
    let entries: Vec<_> = cluster.entries().into_iter().map(|(_, entry)| entry).collect();
    let assigned =
        entries.iter().position(|entry| matches!(entry, Entry::Event { text, .. } if text.contains("\"assigned\"")));
    let first = entries.iter().position(|entry| matches!(entry, Entry::Started { .. }));
    assert!(assigned.unwrap() < first.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_somebody_else_has_holds_up_no_other() {
    let cluster = Cluster::new(&["a"], 3);
    let (taken, free) = (queue("orders", "a", 0), queue("orders", "a", 2));
    cluster.state().broker(&taken).locks.insert(taken.clone(), ("stranger".into(), env::now()));
    cluster.send(&free, 1);
    let _member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let began = env::now();
    until("handled", || succeeded(&cluster, &free).len() == 1).await;
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
    assert_eq!(events(&cluster, "\"assigned\"").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_broker_is_slow_holds_up_the_others_for_a_tenth_of_a_second() {
    let cluster = Cluster::new(&["a", "b"], 1);
    let (slow, quick) = (queue("orders", "b", 0), queue("orders", "a", 0));
    cluster.send(&slow, 1);
    cluster.send(&quick, 1);
    let member = Member::new("c1", &cluster, options(), succeeds(1));
    cluster.fault("b", LOCK_BATCH_MQ, 1, Fault::Delay(Duration::from_secs(2)));
    member.try_start().await.unwrap();
    let began = env::now();
    until("handled", || succeeded(&cluster, &quick).len() == 1).await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    until("the other, too", || succeeded(&cluster, &slow).len() == 1).await;
    assert_eq!(events(&cluster, "\"assigned\"").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn closing_without_a_broker_ends_at_once_and_names_what_was_not_committed() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 500);
    let member = Member::start("c1", &cluster, options(), succeeds(10)).await;
    until("working", || succeeded(&cluster, &at).len() > 50).await;
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 1_000, Fault::Refuse(1, "not now"));
    let committed = cluster.committed(&at).unwrap();
    until("more to commit", || i64::try_from(succeeded(&cluster, &at).len()).unwrap() > committed + 20).await;
    let before = events(&cluster, "\"warning\"").len();
    cluster.crash("a", 0);
    // The connection is down, and the next attempt finds nobody.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = env::now();
    member.close().await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    let warnings = events(&cluster, "\"warning\"").split_off(before);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let text = &warnings[0];
    assert!(text.contains(&format!("topic orders, queue 0: offsets {committed} to ")), "{text}");
    assert!(text.contains("connection refused") && !text.contains("RETRY"), "{text}");
    assert_eq!(events(&cluster, "\"revoked\"").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_when_the_broker_dies_in_that_moment_waits_for_its_handler_and_for_nothing_else() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 5);
    let member = Member::start("c1", &cluster, options(), succeeds(2_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    cluster.crash("a", 0);
    let began = env::now();
    member.close().await;
    let took = began.elapsed();
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(events(&cluster, "\"warning\"").len(), 1);
    assert!(events(&cluster, "\"warning\"")[0].contains("offsets 0 to 0"));
}

#[tokio::test(start_paused = true)]
async fn closing_with_everything_committed_and_no_broker_says_that_nothing_comes_again() {
    let cluster = Cluster::new(&["a", "b"], 1);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("ours", || running(&member) == 2).await;
    cluster.crash("b", 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = env::now();
    member.close().await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    let warnings = events(&cluster, "\"warning\"");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("to b: nothing that was handled comes again"), "{warnings:?}");
    assert_eq!(cluster.owner(&queue("orders", "a", 0)), None, "what can be given back is");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_positioned_holds_up_no_other_for_long() {
    let cluster = Cluster::new(&["a", "b"], 1);
    let quick = queue("orders", "b", 0);
    cluster.send(&quick, 1);
    cluster.fault("a", QUERY_CONSUMER_OFFSET, 1_000, Fault::Refuse(1, "not now"));
    let _member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let began = env::now();
    until("handled", || succeeded(&cluster, &quick).len() == 1).await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
}
