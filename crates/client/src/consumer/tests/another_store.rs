//! A topic that was made anew, a store that was set back, messages that are gone: nothing is skipped in silence.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{events, started, succeeded};
use super::cluster::{Cluster, Fault, Nonsense, queue};
use super::member::{Handler, Member, options, succeeds, until};
use crate::consumer::InitialPosition;
use crate::consumer::gate::Outcome;
use crate::protocol::MessageQueue;
use crate::protocol::code::request::{GET_MAX_OFFSET, PULL_MESSAGE, SEARCH_OFFSET_BY_TIMESTAMP};

const T0: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;

/// A member that has handled ten messages stored at `T0`, and a queue that is idle.
async fn ten_handled(cluster: &Arc<Cluster>, at: &MessageQueue) -> Member {
    cluster.send_at(at, 10, T0);
    let member = Member::start("c1", cluster, options(), succeeds(1)).await;
    until("committed", || cluster.committed(at) == Some(10)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    member
}

fn set_back(cluster: &Cluster, from: i64, to: i64) -> bool {
    let wanted = format!("\"from\":{from},\"to\":{to},\"reason\":\"store-set-back\"");
    events(cluster, "offsetReset").iter().any(|text| text.contains(&wanted))
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_anew_with_fewer_messages_is_handled_from_its_first() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = ten_handled(&cluster, &at).await;
    cluster.renew(&at);
    cluster.send_at(&at, 5, T0 + 60_000);
    until("told", || set_back(&cluster, 10, 0)).await;
    until("all handled", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(started(&cluster, &at)[10..], [0, 1, 2, 3, 4]);
    // The broker knows a moment before its answer has come.
    until("seen", || member.consumer.assignment()[0].lag == Some(0)).await;
    let state = &member.consumer.assignment()[0];
    assert_eq!(state.last_reset.as_ref().map(|reset| (reset.from, reset.to)), Some((10, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_anew_with_more_messages_is_handled_from_its_first() {
    for count in [11, 12, 200] {
        let cluster = Cluster::new(&["a"], 1);
        let at = queue("orders", "a", 0);
        let _member = ten_handled(&cluster, &at).await;
        // The pull that is held at offset 10 hears nothing before the new queue is longer than the old one.
        cluster.renew(&at);
        cluster.send_at(&at, count, T0 + 60_000);
        let count = i64::try_from(count).unwrap();
        until("all handled", || cluster.committed(&at) == Some(count)).await;
        assert_eq!(started(&cluster, &at)[10..], (0..count).collect::<Vec<_>>());
        assert!(set_back(&cluster, 10, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_stopped_meanwhile_begins_with_the_first_message() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.set_committed(&at, 50);
    cluster.send_at(&at, 3, T0);
    let last = crate::consumer::ConsumerOptions { initial_position: InitialPosition::Last, ..options() };
    let _member = Member::start("c1", &cluster, last, succeeds(1)).await;
    until("told", || set_back(&cluster, 50, 0)).await;
    until("all handled", || cluster.committed(&at) == Some(3)).await;
    assert_eq!(started(&cluster, &at), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_set_back_goes_on_with_what_was_stored_since() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_at(&at, 6, T0);
    cluster.send_at(&at, 1, T0 + HOUR);
    cluster.send_at(&at, 3, T0 + HOUR + 4_000);
    let _member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("committed", || cluster.committed(&at) == Some(10)).await;
    cluster.crash("a", 0);
    cluster.cut(&at, 7);
    cluster.send_at(&at, 1, T0 + 2 * HOUR);
    cluster.recover("a");
    until("told", || set_back(&cluster, 10, 6)).await;
    until("all handled", || cluster.committed(&at) == Some(8)).await;
    assert_eq!(started(&cluster, &at)[10..], [6, 7], "what was stored 5 s before the last one comes again");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_set_back_and_grew_past_us_skips_nothing() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = ten_handled(&cluster, &at).await;
    cluster.crash("a", 0);
    cluster.cut(&at, 7);
    cluster.send_at(&at, 20, T0 + HOUR);
    cluster.recover("a");
    until("all handled", || cluster.committed(&at) == Some(27)).await;
    let again = started(&cluster, &at)[10..].to_vec();
    assert!(again.ends_with(&(7..27).collect::<Vec<_>>()), "{again:?}");
    assert!(again.is_sorted_by(|left, right| left + 1 == *right), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_member_knows_the_store_by_the_message_before_its_offset() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_at(&at, 10, T0);
    cluster.set_committed(&at, 10);
    let _member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("locked", || cluster.owner(&at).is_some()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.renew(&at);
    cluster.send_at(&at, 30, T0 + HOUR);
    until("all handled", || cluster.committed(&at) == Some(30)).await;
    assert_eq!(started(&cluster, &at), (0..30).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_handed_over_before_a_blocked_message_is_done_takes_the_other_store_along() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_at(&at, 10, T0);
    let blocked: Handler = Arc::new(|delivery| {
        let outcome = if delivery.message.queue_offset < 10 { Outcome::Success } else { Outcome::Later };
        (Duration::from_millis(1), outcome)
    });
    let old = Member::start("c1", &cluster, options(), blocked).await;
    cluster.send_at(&at, 3, T0 + 1);
    until("blocked", || started(&cluster, &at).ends_with(&[10])).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.renew(&at);
    cluster.send_at(&at, 40, T0 + HOUR);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!set_back(&cluster, 10, 0), "the blocked message comes first");
    old.close().await;
    assert!(set_back(&cluster, 10, 0), "the next owner knows nothing of the old store");
    let before = started(&cluster, &at).len();
    let _next = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("all handled", || cluster.committed(&at) == Some(40)).await;
    assert_eq!(started(&cluster, &at)[before..], (0..40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_member_that_gets_a_queue_back_forgets_the_store_that_another_has_left_behind() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let old = ten_handled(&cluster, &at).await;
    // The first by name has the only queue.
    let first = Member::start("c0", &cluster, options(), succeeds(1)).await;
    until("handed over", || cluster.owner(&at).as_deref() == Some("c0")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.renew(&at);
    cluster.send_at(&at, 5, T0 + HOUR);
    until("all handled", || cluster.committed(&at) == Some(5)).await;
    first.close().await;
    until("back", || cluster.owner(&at).as_deref() == Some("c1")).await;
    cluster.send_at(&at, 1, T0 + 2 * HOUR);
    until("handled", || cluster.committed(&at) == Some(6)).await;
    assert_eq!(started(&cluster, &at)[10..], [0, 1, 2, 3, 4, 5], "what another has handled does not come again");
    assert_eq!(events(&cluster, "offsetReset").len(), 1);
    drop(old);
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_search_another_store_begins_with_its_first_message() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = ten_handled(&cluster, &at).await;
    cluster.fault("a", SEARCH_OFFSET_BY_TIMESTAMP, 9, Fault::Refuse(16, "no permission"));
    cluster.cut(&at, 8);
    until("told", || set_back(&cluster, 10, 0)).await;
    until("all handled", || cluster.committed(&at) == Some(8)).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_true_for_a_moment_only_sets_nothing_back() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = ten_handled(&cluster, &at).await;
    for suggested in [0, 1] {
        let (next, min, max) = (4, 0, 4);
        let nonsense =
            Nonsense { code: 21, remark: "OFFSET_OVERFLOW_BADLY", next, min, max, suggested, records: Vec::new() };
        // A master that has just begun asks for patience of a second, what points at a slave for more.
        let times = if suggested == 0 { 1 } else { 8 };
        cluster.fault("a", PULL_MESSAGE, times, Fault::Answer(nonsense));
        cluster.send_at(&at, 1, T0);
        let end = 11 + suggested;
        until("handled", || cluster.committed(&at) == Some(end)).await;
    }
    assert!(events(&cluster, "offsetReset").is_empty());
    assert_eq!(started(&cluster, &at), (0..12).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_idle_queue_of_the_same_store_repeats_nothing() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = ten_handled(&cluster, &at).await;
    for round in 1..20 {
        tokio::time::sleep(Duration::from_secs(round)).await;
        cluster.send_at(&at, 1, T0 + i64::try_from(round).unwrap());
    }
    until("all handled", || cluster.committed(&at) == Some(29)).await;
    assert_eq!(started(&cluster, &at), (0..29).collect::<Vec<_>>());
    assert!(events(&cluster, "offsetReset").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_administrator_may_name_an_offset_that_is_not_there_yet() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = ten_handled(&cluster, &at).await;
    {
        let mut state = cluster.state();
        let broker = state.broker(&at);
        broker.offsets.insert(at.clone(), 500);
        broker.pending_resets.insert(at.clone(), 500);
    }
    until("followed to the end", || cluster.committed(&at) == Some(10)).await;
    cluster.send_at(&at, 1, T0);
    until("handled", || cluster.committed(&at) == Some(11)).await;
    assert_eq!(started(&cluster, &at), (0..11).collect::<Vec<_>>(), "nothing comes again");
    assert!(events(&cluster, "offsetReset").iter().all(|text| text.contains("\"reason\":\"administrator\"")));
}

#[tokio::test(start_paused = true)]
async fn an_administrator_may_name_an_offset_that_is_not_there_any_more() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = ten_handled(&cluster, &at).await;
    {
        let mut state = cluster.state();
        let broker = state.broker(&at);
        broker.minimum.insert(at.clone(), 4);
        broker.offsets.insert(at.clone(), 0);
        broker.pending_resets.insert(at.clone(), 0);
    }
    until("handled again", || started(&cluster, &at).len() == 16).await;
    assert_eq!(started(&cluster, &at)[10..], [4, 5, 6, 7, 8, 9]);
    assert!(events(&cluster, "offsetReset").iter().all(|text| text.contains("\"reason\":\"administrator\"")));
    assert!(member.consumer.health().problems.is_empty(), "it was his wish");
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_gone_are_a_problem_for_ten_minutes() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_at(&at, 10, T0);
    cluster.state().broker(&at).minimum.insert(at.clone(), 4);
    cluster.set_committed(&at, 1);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("all handled", || cluster.committed(&at) == Some(10)).await;
    assert_eq!(started(&cluster, &at), (4..10).collect::<Vec<_>>());
    let told = events(&cluster, "offsetReset");
    assert!(
        told[0].contains("\"from\":1,\"to\":4,\"reason\":\"deleted\"") && told[0].contains("offset 1 to 3"),
        "{told:?}"
    );
    let problems =
        || member.consumer.health().problems.iter().map(|problem| problem.code().as_str()).collect::<Vec<_>>();
    tokio::time::sleep(Duration::from_secs(9 * 60)).await;
    assert_eq!(problems(), ["ERR_ROCKETMQ_OFFSET_RESET"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(problems(), [""; 0]);
    let state = &member.consumer.assignment()[0];
    assert_eq!(state.last_reset.as_ref().map(|reset| (reset.from, reset.to)), Some((1, 4)), "that stays");
}

#[tokio::test(start_paused = true)]
async fn a_date_in_the_brokers_future_skips_nothing_that_is_stored_after_the_start() {
    for before in [0, 3] {
        let cluster = Cluster::new(&["a"], 1);
        let at = queue("orders", "a", 0);
        cluster.send_at(&at, before, T0);
        // The first message is no longer in the broker's memory: it tells that nothing is committed.
        let ahead = InitialPosition::Timestamp(T0 + 3_000);
        let ahead = crate::consumer::ConsumerOptions { initial_position: ahead, ..options() };
        let not_young = Fault::Refuse(22, "Not found");
        cluster.fault("a", crate::protocol::code::request::QUERY_CONSUMER_OFFSET, 1_000, not_young);
        let _member = Member::start("c1", &cluster, ahead, succeeds(1)).await;
        cluster.send_at(&at, 5, T0 + 1);
        let before = i64::try_from(before).unwrap();
        until("all handled", || succeeded(&cluster, &at).len() == 5).await;
        assert_eq!(started(&cluster, &at), (before..before + 5).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_behind_the_last_message_does_not_begin_with_it() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_at(&at, 3, T0);
    let after = InitialPosition::Timestamp(T0 + 1);
    let after = crate::consumer::ConsumerOptions { initial_position: after, ..options() };
    cluster.fault("a", crate::protocol::code::request::QUERY_CONSUMER_OFFSET, 1_000, Fault::Refuse(22, "Not found"));
    // One arrives between the two questions of the start.
    cluster.fault("a", GET_MAX_OFFSET, 1, Fault::Delay(Duration::from_millis(10)));
    let _member = Member::start("c1", &cluster, after, succeeds(1)).await;
    cluster.send_at(&at, 2, T0 + 2);
    until("all handled", || succeeded(&cluster, &at).len() == 2).await;
    assert_eq!(started(&cluster, &at), [3, 4]);
}
