//! What stands says so, and what does not stand any more says no longer that it does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::checks::{events, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, queue};
use super::member::{Handler, Member, options, succeeds, until};
use crate::consumer::gate::Outcome;
use crate::consumer::{ConsumerOptions, QueueState};
use crate::env;
use crate::protocol::code::request::{GET_MAX_OFFSET, LOCK_BATCH_MQ};

fn state_of(member: &Member, id: i32) -> QueueState {
    member.consumer.assignment().into_iter().find(|state| state.queue_id == id).unwrap()
}

fn problems(member: &Member) -> Vec<String> {
    member.consumer.health().problems.iter().map(ToString::to_string).collect()
}

/// kill -9: the socket closes, the locks stay.
fn kill(member: &Member) {
    member.line.silent.store(true, Ordering::Relaxed);
    member.line.lose("a:10911");
}

/// Another program has the locks of these queues, for a minute from now on.
fn hold(cluster: &Cluster, ids: &[i32]) {
    for id in ids {
        let at = queue("orders", "a", *id);
        cluster.state().broker(&at).locks.insert(at.clone(), ("stranger".into(), env::now()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_queues_of_a_killed_member_are_told_at_once_and_taken_over_together() {
    let cluster = Cluster::new(&["a"], 4);
    let killed = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let heir = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("shared", || [&killed, &heir].iter().all(|member| member.consumer.assignment().len() == 2)).await;
    until("ours", || heir.consumer.assignment().iter().all(|state| state.state == "running")).await;
    kill(&killed);
    let died = env::now();
    for id in 0..4 {
        cluster.send(&queue("orders", "a", id), 100);
    }
    until("told", || events(&cluster, "member that has gone").len() == 1).await;
    assert!(died.elapsed() < Duration::from_secs(1), "{:?}", died.elapsed());
    let told = events(&cluster, "member that has gone").remove(0);
    for part in ["queues 0, 1 of orders at a", "(c1)", "60 s", "\"queueIds\":[0,1]", "\"level\":\"info\""] {
        assert!(told.contains(part), "{part}: {told}");
    }
    until("asked", || state_of(&heir, 0).lag.is_some()).await;
    assert!(died.elapsed() < Duration::from_secs(2), "{:?}", died.elapsed());
    let waits = state_of(&heir, 0);
    assert_eq!(
        (waits.state, waits.committed_offset, waits.next_offset, waits.lag),
        ("locking", Some(0), None, Some(100))
    );
    until("its own are handled", || (2..4).all(|id| succeeded(&cluster, &queue("orders", "a", id)).len() == 100)).await;
    until("committed", || heir.consumer.stats().lag == 200).await;
    // What comes while they wait is seen, too.
    cluster.send(&queue("orders", "a", 1), 50);
    until("seen", || heir.consumer.stats().lag == 250).await;
    assert_eq!(state_of(&heir, 0).since, waits.since, "since it waits, not since it was asked for last");
    let assigned = events(&cluster, "\"assigned\"").len();
    until("taken over", || heir.consumer.assignment().iter().all(|state| state.state == "running")).await;
    assert!(died.elapsed() < Duration::from_secs(75), "{:?}", died.elapsed());
    let assigned = events(&cluster, "\"assigned\"").split_off(assigned);
    assert_eq!(assigned.len(), 1, "locks that run out together are taken over together: {assigned:?}");
    assert!(state_of(&heir, 0).since > waits.since);
    let warned = cluster.entries().into_iter().filter(
        |(_, entry)| matches!(entry, Entry::Event { client, text } if client == "c2" && text.contains("\"warning\"")),
    );
    assert_eq!((problems(&heir), warned.count()), (vec![], 0));
    until("handled", || heir.consumer.stats().lag == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_held_for_longer_than_a_dead_member_could_is_a_warning_and_a_problem_until_it_ends() {
    let cluster = Cluster::new(&["a"], 2);
    cluster.send(&queue("orders", "a", 0), 3);
    hold(&cluster, &[0, 1]);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let began = env::now();
    until("told", || events(&cluster, "wait for the lock of a member that has gone").len() == 1).await;
    while began.elapsed() < Duration::from_secs(64) {
        assert!(problems(&member).is_empty() && events(&cluster, "\"warning\"").is_empty());
        hold(&cluster, &[0, 1]);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    hold(&cluster, &[0, 1]);
    until("warned", || events(&cluster, "\"warning\"").len() == 1).await;
    assert!(began.elapsed() < Duration::from_secs(68), "{:?}", began.elapsed());
    let warning = events(&cluster, "\"warning\"").remove(0);
    for part in
        ["queues 0, 1 of orders at a", "no other member", "ERR_ROCKETMQ_LOCK_LOST", "GID_test", "\"topic\":\"orders\""]
    {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    for _ in 0..60 {
        hold(&cluster, &[0, 1]);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(events(&cluster, "\"warning\"").len(), 1, "once");
    let problems_now = problems(&member);
    assert_eq!(problems_now.len(), 1, "{problems_now:?}");
    assert!(problems_now[0].contains("queues 0, 1 of orders at a"), "{problems_now:?}");
    cluster.state().brokers.get_mut("a").unwrap().locks.clear();
    until("healed", || problems(&member).is_empty()).await;
    until("handled", || succeeded(&cluster, &queue("orders", "a", 0)).len() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_its_owner_is_still_busy_with_is_no_news_until_it_takes_long() {
    let cluster = Cluster::new(&["a"], 2);
    for id in 0..2 {
        cluster.send(&queue("orders", "a", id), 1);
    }
    let slow: Handler = Arc::new(|_| (Duration::from_secs(5), Outcome::Success));
    let _first = Member::start("c1", &cluster, options(), slow).await;
    until("busy", || (0..2).all(|id| !started(&cluster, &queue("orders", "a", id)).is_empty())).await;
    let second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("allocated", || second.consumer.assignment().len() == 1).await;
    let began = env::now();
    until("told", || !events(&cluster, "waits for member c1 to give").is_empty()).await;
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    until("handed over", || second.consumer.assignment()[0].state == "running").await;
    assert!(events(&cluster, "has gone").is_empty() && events(&cluster, "\"warning\"").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_asked_is_unknown_and_no_failure() {
    let cluster = Cluster::new(&["a"], 1);
    cluster.send(&queue("orders", "a", 0), 3);
    hold(&cluster, &[0]);
    let denied = Fault::Refuse(1, "org.apache.rocketmq.acl.common.AclException: No default permission for orders");
    cluster.fault("a", GET_MAX_OFFSET, 100, denied);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let waits = state_of(&member, 0);
    assert_eq!((waits.committed_offset, waits.next_offset, waits.lag), (None, None, None));
    assert!(problems(&member).is_empty() && events(&cluster, "\"warning\"").is_empty());
    until("handled", || succeeded(&cluster, &queue("orders", "a", 0)).len() == 3).await;
    until("known by pulls", || state_of(&member, 0).lag == Some(0)).await;
}

#[tokio::test(start_paused = true)]
async fn queues_of_a_broker_that_refuses_to_lock_are_one_warning_and_a_problem_until_it_does() {
    let cluster = Cluster::new(&["a"], 3);
    cluster.fault("a", LOCK_BATCH_MQ, 20, Fault::Refuse(1, "not now"));
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("told", || !events(&cluster, "\"warning\"").is_empty()).await;
    assert!(!problems(&member).is_empty());
    until("ours", || member.consumer.assignment().iter().filter(|state| state.state == "running").count() == 3).await;
    let warnings = events(&cluster, "\"warning\"");
    let orders: Vec<_> = warnings.iter().filter(|text| text.contains("of orders at a")).collect();
    assert_eq!(orders.len(), 1, "{warnings:?}");
    assert!(orders[0].contains("queues 0..2") && orders[0].contains("not now"), "{orders:?}");
    until("healed", || problems(&member).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_knows_that_it_is_empty_before_its_first_pull_is_answered() {
    let cluster = Cluster::new(&["a"], 1);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let began = env::now();
    until("known", || member.consumer.assignment().iter().any(|state| state.lag == Some(0))).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_runs_for_60_s_is_told_once_and_is_a_problem_while_it_lasts() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2);
    let hangs: Handler = Arc::new(|delivery| {
        let seconds = if delivery.message.queue_offset == 0 { 150 } else { 59 };
        (Duration::from_secs(seconds), Outcome::Success)
    });
    let member = Member::start("c1", &cluster, options(), hangs).await;
    until("running", || started(&cluster, &at) == [0]).await;
    let running = state_of(&member, 0);
    let since = running.running_since.unwrap();
    assert!(since >= running.since);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(problems(&member).is_empty() && events(&cluster, "\"warning\"").is_empty());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let warnings = events(&cluster, "\"warning\"");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for part in ["ERR_ROCKETMQ_TIMEOUT", "offset 0", "\"queueId\":0", "handlerTimeoutMs"] {
        assert!(warnings[0].contains(part), "{part}: {}", warnings[0]);
    }
    assert_eq!(problems(&member).len(), 1);
    assert_eq!(state_of(&member, 0).running_since, Some(since));
    until("the next one", || started(&cluster, &at) == [0, 1]).await;
    assert!(problems(&member).is_empty());
    until("the end", || succeeded(&cluster, &at).len() == 2).await;
    assert_eq!(events(&cluster, "\"warning\"").len(), 1);
    assert_eq!(state_of(&member, 0).running_since, None);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_set_a_bound_for_handlers_is_told_elsewhere_and_shown_by_health() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 1);
    let bounded = ConsumerOptions { handler_timeout: Some(Duration::from_secs(100)), ..options() };
    let member = Member::start("c1", &cluster, bounded, succeeds(150_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert!(problems(&member).is_empty());
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(problems(&member).len(), 1);
    assert!(events(&cluster, "\"warning\"").is_empty());
}
