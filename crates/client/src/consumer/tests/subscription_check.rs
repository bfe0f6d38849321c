//! Members that do not subscribe alike: told on each side, as long as it lasts, and to nobody else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::checks::events;
use super::cluster::{Cluster, Fault};
use super::member::{Member, options, succeeds, until};
use crate::consumer::{ConsumerOptions, Wish};
use crate::protocol::code::request::{GET_CONSUMER_CONNECTION_LIST, GET_CONSUMER_RUNNING_INFO};
use crate::protocol::{ExpressionKind, Subscription};

fn subscribing(wishes: &[(&str, &str)]) -> ConsumerOptions {
    let wish = |(topic, expression): &(&str, &str)| Wish {
        topic: (*topic).to_owned(),
        kind: ExpressionKind::Tag,
        expression: (*expression).to_owned(),
    };
    ConsumerOptions { subscriptions: wishes.iter().map(wish).collect(), ..options() }
}

async fn member(id: &str, cluster: &Arc<Cluster>, wishes: &[(&str, &str)]) -> Member {
    Member::start(id, cluster, subscribing(wishes), succeeds(1)).await
}

fn problems(member: &Member) -> Vec<String> {
    member.consumer.health().problems.iter().map(|problem| problem.message().to_owned()).collect()
}

fn warnings(cluster: &Cluster, client: &str) -> Vec<String> {
    let of = |(_, entry)| match entry {
        super::cluster::Entry::Event { client: who, text } if who == client && text.contains("warning") => Some(text),
        _ => None,
    };
    cluster.entries().into_iter().filter_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn members_with_other_expressions_are_told_of_on_each_side_until_they_leave() {
    let cluster = Cluster::new(&["a", "b"], 2);
    let old = member("old", &cluster, &[("orders", "created || paid")]).await;
    let new = member("new", &cluster, &[("orders", "created")]).await;
    until("both know", || !problems(&old).is_empty() && !problems(&new).is_empty()).await;
    for (member, other) in [(&old, "new"), (&new, "old")] {
        let told = problems(member);
        assert_eq!(told.len(), 1, "{told:?}");
        for part in [&format!("member {other} "), "'created || paid'", "'created'", "GID_test", "topic orders"] {
            assert!(told[0].contains(part), "{part} in {}", told[0]);
        }
    }
    sleep(Duration::from_secs(600)).await;
    for client in ["old", "new"] {
        assert_eq!(warnings(&cluster, client).len(), 1, "once, not at each look");
    }
    new.close().await;
    until("forgotten", || problems(&old).is_empty()).await;
    assert_eq!(events(&cluster, "no member is left").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn members_with_equal_expressions_are_not_told_of_however_they_are_written() {
    let cluster = Cluster::new(&["a"], 4);
    let first = member("c1", &cluster, &[("orders", "created || paid")]).await;
    let second = member("c2", &cluster, &[("orders", "paid||created")]).await;
    sleep(Duration::from_secs(300)).await;
    assert!(cluster.state().questions >= 2, "each has asked the other");
    assert!(problems(&first).is_empty() && problems(&second).is_empty());
    assert!(warnings(&cluster, "c1").is_empty() && warnings(&cluster, "c2").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_one_side_does_not_subscribe_is_told_on_each_side() {
    let cluster = Cluster::new(&["a"], 2);
    cluster.set_topic("bills", &["a"], 2);
    let both = member("both", &cluster, &[("orders", "*"), ("bills", "*")]).await;
    let one = member("one", &cluster, &[("orders", "*")]).await;
    until("both know", || !problems(&both).is_empty() && !problems(&one).is_empty()).await;
    assert!(problems(&both)[0].contains("member one of group GID_test does not subscribe topic bills"));
    assert!(problems(&one)[0].contains("member both of group GID_test subscribes topic bills, this consumer does not"));
    assert_eq!((problems(&both).len(), problems(&one).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_tell_is_found_by_what_the_broker_keeps() {
    let cluster = Cluster::new(&["a"], 2);
    let ours = member("ours", &cluster, &[("orders", "created || paid")]).await;
    let theirs = Subscription::by_tags("orders", "created", i64::MAX).unwrap();
    cluster.state().announced.insert("orders".into(), theirs);
    cluster.state().brokers.get_mut("a").unwrap().members.insert("foreign".into());
    until("told", || !problems(&ours).is_empty()).await;
    let told = problems(&ours);
    assert!(
        told[0].contains("a member (foreign, which does not tell)") && told[0].contains("with 'created', this"),
        "{told:?}"
    );
    cluster.state().brokers.get_mut("a").unwrap().members.remove("foreign");
    until("forgotten", || problems(&ours).is_empty()).await;
    // What a member that has gone has left at the broker harms nobody.
    let second = member("second", &cluster, &[("orders", "created || paid")]).await;
    sleep(Duration::from_secs(300)).await;
    assert!(problems(&ours).is_empty() && problems(&second).is_empty());
    assert_eq!(warnings(&cluster, "ours").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn topics_of_a_member_that_does_not_tell_are_found_by_what_the_broker_keeps() {
    let cluster = Cluster::new(&["a"], 2);
    let ours = member("ours", &cluster, &[("orders", "*")]).await;
    cluster.state().brokers.get_mut("a").unwrap().members.insert("foreign".into());
    let theirs = Subscription::by_tags("bills", "*", 1).unwrap();
    cluster.state().announced.insert("bills".into(), theirs);
    until("told", || !problems(&ours).is_empty()).await;
    // The next heartbeat is ours: the broker has forgotten the other's topic until its own.
    cluster.state().announced.clear();
    sleep(Duration::from_secs(100)).await;
    let told = problems(&ours);
    assert!(told[0].contains("foreign, which does not tell") && told[0].contains("subscribes topic bills"), "{told:?}");
    cluster.state().brokers.get_mut("a").unwrap().members.remove("foreign");
    until("forgotten", || problems(&ours).is_empty()).await;
    assert_eq!(warnings(&cluster, "ours").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_ask_is_not_told_and_not_ill() {
    for (code, remark) in [
        (16, "no permission"),
        (1, "org.apache.rocketmq.acl.common.AclException: no"),
        (3, "not supported"),
        (1, "any"),
    ] {
        let cluster = Cluster::new(&["a"], 2);
        for request in [GET_CONSUMER_CONNECTION_LIST, GET_CONSUMER_RUNNING_INFO] {
            cluster.fault("a", request, usize::MAX, Fault::Refuse(code, remark));
        }
        let first = member("c1", &cluster, &[("orders", "created || paid")]).await;
        let _second = member("c2", &cluster, &[("orders", "created")]).await;
        sleep(Duration::from_secs(300)).await;
        assert!(problems(&first).is_empty(), "{:?}", problems(&first));
        assert!(warnings(&cluster, "c1").is_empty());
        assert_eq!(cluster.state().questions, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_large_group_few_are_asked_at_a_time_and_each_of_them_once() {
    let cluster = Cluster::new(&["a"], 2);
    let crowd = (0..200).map(|number| format!("m{number:03}"));
    cluster.state().brokers.get_mut("a").unwrap().members.extend(crowd);
    let _ours = member("m100x", &cluster, &[("orders", "created")]).await;
    sleep(Duration::from_secs(12)).await;
    let soon = cluster.state().questions;
    assert!((1..=24).contains(&soon), "{soon}");
    sleep(Duration::from_secs(600)).await;
    assert_eq!(cluster.state().questions, 48);
}
