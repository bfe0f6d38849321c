//! The start finds out what can be wrong.

use std::time::Duration;

use super::checks::succeeded;
use super::cluster::{Cluster, Fault, queue};
use super::member::{BOUND, Member, options, succeeds, until};
use crate::consumer::{ConsumerOptions, InitialPosition, Wish};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::ExpressionKind;
use crate::protocol::code::request::{CHECK_CLIENT_CONFIG, GET_CONSUMER_LIST_BY_GROUP, GET_MAX_OFFSET, HEART_BEAT};

fn wish(topic: &str, kind: ExpressionKind, expression: &str) -> ConsumerOptions {
    let wish = Wish { topic: topic.to_owned(), kind, expression: expression.to_owned() };
    ConsumerOptions { subscriptions: vec![wish], ..options() }
}

async fn failure(cluster: &std::sync::Arc<Cluster>, options: ConsumerOptions) -> ClientError {
    let member = Member::new("c1", cluster, options, succeeds(1));
    let error = member.try_start().await.unwrap_err();
    let began = env::now();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(cluster.entries().iter().all(|(time, _)| *time <= began), "a failed start leaves nothing running");
    error
}

/// A start that goes on beside the test.
fn begin(member: &Member) -> tokio::task::JoinHandle<Result<(), ClientError>> {
    let member = member.clone();
    tokio::spawn(async move { member.try_start().await })
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_is_named() {
    let cluster = Cluster::new(&["a"], 1);
    let error = failure(&cluster, wish("nowhere", ExpressionKind::Tag, "*")).await;
    assert_eq!(error.code(), Code::TopicNotFound);
    assert!(error.to_json().contains("\"topic\":\"nowhere\""));
}

#[tokio::test(start_paused = true)]
async fn a_refused_account_fails_at_once() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.fault(
        "a",
        HEART_BEAT,
        99,
        Fault::Refuse(1, "org.apache.rocketmq.acl.common.AclException: no acl config for X"),
    );
    let began = env::now();
    assert_eq!(failure(&cluster, options()).await.code(), Code::AccessDenied);
    assert!(began.elapsed() < Duration::from_secs(62));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_the_broker_will_not_create_is_told() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.fault("a", HEART_BEAT, 99, Fault::Swallow);
    let member = Member::new("c1", &cluster, options(), succeeds(1));
    // The greeting of a new connection registers nothing either.
    member.line.forget_greetings();
    let error = member.try_start().await.unwrap_err();
    assert_eq!(error.code(), Code::GroupNotFound);
    // Also by a start that has little time: what it has found out is worth more than that its time is up.
    for millis in [800, 2_000] {
        let bound = Duration::from_millis(millis);
        let member = Member::new("c2", &cluster, options(), succeeds(1));
        member.line.forget_greetings();
        let started = tokio::time::timeout(bound, member.consumer.start(bound)).await;
        assert_eq!(started.expect("an answer in time").unwrap_err().code(), Code::GroupNotFound, "{millis}");
    }
    assert!(error.message().contains("GID_test"));
}

#[tokio::test(start_paused = true)]
async fn an_expression_is_checked_by_a_broker() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.fault("a", CHECK_CLIENT_CONFIG, 1, Fault::Refuse(23, "parse failed"));
    let error = failure(&cluster, wish("orders", ExpressionKind::Sql92, "a >")).await;
    assert_eq!((error.code(), error.broker_code()), (Code::Filter, Some(23)));
}

#[tokio::test(start_paused = true)]
async fn a_tag_expression_that_matches_nothing_is_refused_before_anything_is_asked() {
    let cluster = Cluster::new(&["a"], 1);
    let line = Member::new("c1", &cluster, options(), succeeds(1)).line;
    let sink = std::sync::Arc::new(std::sync::Arc::clone(&Member::new("c2", &cluster, options(), succeeds(1)).pump));
    let error = crate::consumer::Consumer::new(line, wish("orders", ExpressionKind::Tag, " || "), sink).unwrap_err();
    assert_eq!(error.code(), Code::Filter);
}

#[tokio::test(start_paused = true)]
async fn dead_brokers_fail_the_start_within_its_bound() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.state().brokers.get_mut("a").unwrap().up = false;
    let member = Member::new("c1", &cluster, options(), succeeds(1));
    let began = env::now();
    let error = member.try_start().await.unwrap_err();
    assert_eq!(error.code(), Code::Connection);
    assert!(began.elapsed() < BOUND + Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_comes_up_in_time_is_waited_for() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.state().brokers.get_mut("a").unwrap().up = false;
    let member = Member::new("c1", &cluster, options(), succeeds(1));
    let starting = begin(&member);
    tokio::time::sleep(Duration::from_secs(4)).await;
    cluster.recover("a");
    starting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_ask_for_offsets_the_error_names_it() {
    let cluster = Cluster::new(&["a"], 1);
    let denied = Fault::Refuse(16, "User:x has no permission to access Topic:orders");
    cluster.fault("a", GET_MAX_OFFSET, 99, denied);
    let last = ConsumerOptions { initial_position: InitialPosition::Last, ..options() };
    let error = failure(&cluster, last.clone()).await;
    assert_eq!(error.code(), Code::AccessDenied);
    assert!(error.message().contains("Get"));
    // A committed offset makes the question useless.
    cluster.set_committed(&queue("orders", "a", 0), 0);
    let member = Member::new("c2", &cluster, last, succeeds(1));
    member.try_start().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_ends_a_start() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.state().brokers.get_mut("a").unwrap().up = false;
    let member = Member::new("c1", &cluster, options(), succeeds(1));
    let starting = begin(&member);
    tokio::time::sleep(Duration::from_secs(1)).await;
    member.close().await;
    assert_eq!(starting.await.unwrap().unwrap_err().code(), Code::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_dead_broker_of_two_does_not_keep_a_consumer_from_the_other() {
    let cluster = Cluster::new(&["b", "a"], 1);
    cluster.state().brokers.get_mut("a").unwrap().up = false;
    let (at, dead) = (queue("orders", "b", 0), queue("orders", "a", 0));
    cluster.send(&at, 1);
    let last =
        ConsumerOptions { initial_position: InitialPosition::Last, ..wish("orders", ExpressionKind::Sql92, "a > 0") };
    let member = Member::new("c1", &cluster, last, succeeds(1));
    let began = env::now();
    member.try_start().await.unwrap();
    assert!(began.elapsed() >= BOUND / 2, "it had time to come back: {:?}", began.elapsed());
    assert_eq!(super::checks::events(&cluster, "\"warning\"").len(), 1);
    cluster.send(&at, 1);
    until("working", || succeeded(&cluster, &at).contains(&1)).await;
    cluster.recover("a");
    cluster.send(&dead, 1);
    until("the other, too", || succeeded(&cluster, &dead).contains(&0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_list_that_nobody_answers_is_no_missing_group() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.fault("a", GET_CONSUMER_LIST_BY_GROUP, 99, Fault::Swallow);
    let error = failure(&cluster, options()).await;
    assert_eq!(error.code(), Code::Timeout);
}

fn last() -> ConsumerOptions {
    ConsumerOptions { initial_position: InitialPosition::Last, ..options() }
}

#[tokio::test(start_paused = true)]
async fn a_new_group_begins_behind_what_is_stored_already() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send(&at, 10);
    let member = Member::new("c1", &cluster, last(), succeeds(1));
    member.try_start().await.unwrap();
    cluster.send(&at, 1);
    until("the new one", || !succeeded(&cluster, &at).is_empty()).await;
    assert_eq!(succeeded(&cluster, &at), [10].into());
}

/// The first message that a member handles of a queue in which its group has committed nothing, while it has in another.
async fn first_of_an_added_queue(cluster: &std::sync::Arc<Cluster>) -> Option<i64> {
    let (known, added) = (queue("orders", "a", 0), queue("orders", "a", 1));
    cluster.set_committed(&known, 0);
    cluster.send(&added, 10);
    let member = Member::new("c1", cluster, last(), succeeds(1));
    member.try_start().await.unwrap();
    cluster.send(&added, 1);
    until("the newest", || succeeded(cluster, &added).contains(&10)).await;
    succeeded(cluster, &added).first().copied()
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_was_added_while_the_group_looked_elsewhere_begins_with_its_first_message() {
    assert_eq!(first_of_an_added_queue(&Cluster::new(&["a"], 2)).await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_old_queue_that_the_group_never_consumed_begins_at_its_end() {
    let cluster = Cluster::new(&["a"], 2);
    cluster.state().brokers.get_mut("a").unwrap().minimum.insert(queue("orders", "a", 1), 3);
    assert_eq!(first_of_an_added_queue(&cluster).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn that_the_initial_position_does_not_apply_is_told_once_per_topic() {
    let cluster = Cluster::new(&["a"], 4);
    let told = || super::checks::events(&cluster, "initialPosition").len();
    let first = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let assigned = || super::checks::events(&cluster, "\"assigned\"").len();
    until("positioned", || assigned() == 1).await;
    assert_eq!(told(), 0);
    for id in 0..4 {
        cluster.send(&queue("orders", "a", id), 1);
    }
    until("handled", || (0..4).all(|id| succeeded(&cluster, &queue("orders", "a", id)) == [0].into())).await;
    first.close().await;
    let _second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("positioned", || assigned() == 2).await;
    assert_eq!(told(), 1);
}
