//! C1 to C5 and C11 while nothing goes wrong.

use std::time::Duration;

use super::checks::{assert_fifo_without_gaps, assert_safe_commits, events, overlaps, started, succeeded};
use super::cluster::{Cluster, Entry, queue, tagged};
use super::member::{Member, options, succeeds, until};
use super::records::{Stored, plain};
use crate::consumer::gate::Outcome;
use crate::consumer::{ConsumerOptions, InitialPosition, Wish};
use crate::protocol::ExpressionKind;

#[tokio::test(start_paused = true)]
async fn c2_c3_each_queue_is_handled_in_order_and_without_gaps() {
    let cluster = Cluster::new(&["a", "b"], 4);
    let queues: Vec<_> = ["a", "b"].iter().flat_map(|broker| (0..4).map(|id| queue("orders", broker, id))).collect();
    for at in &queues {
        cluster.send(at, 100);
    }
    let member = Member::start("c1", &cluster, options(), succeeds(3)).await;
    until("all handled", || queues.iter().all(|at| succeeded(&cluster, at).len() == 100)).await;
    for at in &queues {
        assert_eq!(started(&cluster, at), (0..100).collect::<Vec<_>>());
        until("committed", || cluster.committed(at) == Some(100)).await;
    }
    assert_eq!(overlaps(&cluster), 0);
    assert_fifo_without_gaps(&cluster);
    assert_safe_commits(&cluster);
    until("acknowledged", || member.consumer.stats().lag == 0).await;
    let stats = member.consumer.stats();
    assert_eq!((stats.consumed, stats.queues, stats.buffered), (800, 8, 0));
    let assigned = events(&cluster, "\"assigned\"");
    assert_eq!(assigned.len(), 1, "one rebalance, one event: {assigned:?}");
    assert_eq!(assigned[0].matches("queueId").count(), 8, "the retry topic's queues are no user's business");
    assert!(member.consumer.assignment().iter().all(|state| state.state == "running" && state.topic == "orders"));
    assert!(member.consumer.health().problems.is_empty());
}

#[tokio::test(start_paused = true)]
async fn c1_different_queues_run_side_by_side_and_one_queue_never_twice() {
    let cluster = Cluster::new(&["a"], 2);
    for id in 0..2 {
        cluster.send(&queue("orders", "a", id), 5);
    }
    let _member = Member::start("c1", &cluster, options(), succeeds(1_000)).await;
    until("both run", || {
        let (mut running, mut most) = (0, 0);
        for (_, entry) in cluster.entries() {
            running +=
                i32::from(matches!(entry, Entry::Started { .. })) - i32::from(matches!(entry, Entry::Ended { .. }));
            most = most.max(running);
        }
        most == 2
    })
    .await;
    until("all handled", || (0..2).all(|id| succeeded(&cluster, &queue("orders", "a", id)).len() == 5)).await;
    assert_eq!(overlaps(&cluster), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_that_arrive_later_are_handled_within_a_round_trip() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let _member = Member::start("c1", &cluster, options(), succeeds(0)).await;
    until("positioned", || !events(&cluster, "\"assigned\"").is_empty()).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let sent = crate::env::now();
    cluster.send(&at, 1);
    until("handled", || succeeded(&cluster, &at).len() == 1).await;
    assert!(sent.elapsed() < Duration::from_millis(20), "a held pull answers at once: {:?}", sent.elapsed());
}

#[tokio::test(start_paused = true)]
async fn c11_one_commit_in_flight_and_only_when_changed() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 3_000);
    let _member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("committed", || cluster.committed(&at) == Some(3_000)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let mut in_flight = 0;
    let mut commits = Vec::new();
    for (time, entry) in cluster.entries() {
        match entry {
            Entry::CommitSent { queue, .. } if queue == at => {
                in_flight += 1;
                assert_eq!(in_flight, 1);
                commits.push(time);
            }
            Entry::Committed { queue, .. } if queue == at => in_flight -= 1,
            _ => {}
        }
    }
    assert!(commits.len() < 20, "a commit per second while something changes, none afterwards: {}", commits.len());
    let gaps = commits.windows(2).skip(1);
    assert!(gaps.into_iter().all(|pair| pair[1] - pair[0] >= Duration::from_millis(999)));
}

/// The most messages that were in memory at once while so many were handled in order, with this limit.
async fn most_buffered(limit: usize, messages: usize) -> usize {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, messages);
    let limited = ConsumerOptions { prefetch_messages: limit, ..options() };
    let member = Member::start("c1", &cluster, limited, succeeds(20)).await;
    let mut most = 0;
    until("all handled", || {
        most = most.max(member.consumer.stats().buffered);
        succeeded(&cluster, &at).len() == messages
    })
    .await;
    assert_eq!(started(&cluster, &at), (0..i64::try_from(messages).unwrap()).collect::<Vec<_>>());
    most
}

#[tokio::test(start_paused = true)]
async fn c11_messages_in_memory_stay_within_the_limit() {
    let most = most_buffered(40, 500).await;
    assert!((33..=40).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn c11_a_limit_below_one_answer_holds_too() {
    assert_eq!(most_buffered(5, 50).await, 5);
}

#[tokio::test(start_paused = true)]
async fn c11_bytes_of_all_queues_stay_within_the_limit() {
    let cluster = Cluster::new(&["a"], 4);
    for id in 0..4 {
        for _ in 0..200 {
            cluster.store(&queue("orders", "a", id), plain(&[7; 10_000]));
        }
    }
    let mut limited = options();
    limited.prefetch_bytes = 2_000_000;
    let member = Member::start("c1", &cluster, limited, succeeds(5)).await;
    let mut most = 0;
    until("all handled", || {
        most = most.max(member.consumer.stats().buffered_bytes);
        (0..4).all(|id| succeeded(&cluster, &queue("orders", "a", id)).len() == 200)
    })
    .await;
    let one_pull_each = 4 * 32 * 10_200;
    assert!(most > 1_000_000 && most <= 2_000_000 + one_pull_each, "{most}");
}

#[tokio::test(start_paused = true)]
async fn tags_are_compared_exactly_and_filtered_messages_advance_the_commit() {
    // "Aa" and "BB" have the same hash code, so the broker lets both through.
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    for tag in ["Aa", "BB", "Aa", "BB", "BB"] {
        cluster.store(&at, tagged(tag));
    }
    let mut wishes = options();
    wishes.subscriptions =
        vec![Wish { topic: "orders".into(), kind: ExpressionKind::Tag, expression: "Aa || C".into() }];
    let _member = Member::start("c1", &cluster, wishes, succeeds(50)).await;
    until("committed to the end", || cluster.committed(&at) == Some(5)).await;
    assert_eq!(started(&cluster, &at), [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_filtered_message_does_not_hold_or_skip_an_unfinished_one() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    for tag in ["A", "B", "B"] {
        cluster.store(&at, tagged(tag));
    }
    let mut wishes = options();
    wishes.subscriptions = vec![Wish { topic: "orders".into(), kind: ExpressionKind::Tag, expression: "A".into() }];
    let _member = Member::start("c1", &cluster, wishes, succeeds(5_000)).await;
    until("running", || started(&cluster, &at) == [0]).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(cluster.committed(&at).unwrap_or(0) == 0, "0 is not done");
    until("jumped over the filtered ones", || cluster.committed(&at) == Some(3)).await;
}

#[tokio::test(start_paused = true)]
async fn initial_position_last_skips_nothing_stored_after_the_start() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    let mut last = options();
    last.initial_position = InitialPosition::Last;
    let member = Member::new("c1", &cluster, last, succeeds(1));
    member.consumer.start(Duration::from_secs(10)).await.unwrap();
    // The first answers about the committed offset are lost, and messages are stored meanwhile.
    cluster.fault("a", crate::protocol::code::request::QUERY_CONSUMER_OFFSET, 4, super::cluster::Fault::Swallow);
    cluster.send(&at, 5);
    until("all handled", || succeeded(&cluster, &at).len() == 5).await;
    assert_eq!(started(&cluster, &at), [10, 11, 12, 13, 14]);
    let first = cluster.entries().into_iter().find_map(|(_, entry)| match entry {
        Entry::Committed { queue, offset, .. } if queue == at => Some(offset),
        _ => None,
    });
    assert_eq!(first, Some(10), "frozen before the first handler");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_appears_later_begins_at_its_first_message() {
    let cluster = Cluster::new(&["a"], 1);
    let mut last = options();
    last.initial_position = InitialPosition::Last;
    let _member = Member::start("c1", &cluster, last, succeeds(1)).await;
    cluster.set_topic("orders", &["a"], 2);
    let young = queue("orders", "a", 1);
    cluster.send(&young, 3);
    until("all handled", || succeeded(&cluster, &young).len() == 3).await;
    assert_eq!(started(&cluster, &young), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_date_begins_with_the_first_message_at_or_after_it() {
    let cluster = Cluster::new(&["a"], 2);
    let stored_at = |timestamp| Stored { timestamp, ..plain(b"dated") };
    let (early, late) = (queue("orders", "a", 0), queue("orders", "a", 1));
    for timestamp in [10, 20, 30] {
        cluster.store(&early, stored_at(timestamp));
        cluster.store(&late, stored_at(timestamp + 10));
    }
    let mut dated = options();
    dated.initial_position = InitialPosition::Timestamp(35);
    let _member = Member::start("c1", &cluster, dated, succeeds(1)).await;
    until("the later queue is done", || succeeded(&cluster, &late).len() == 1).await;
    assert_eq!(started(&cluster, &late), [2]);
    cluster.store(&early, stored_at(40));
    until("the new one is done", || succeeded(&cluster, &early).len() == 1).await;
    assert_eq!(started(&cluster, &early), [3], "4.9 names the last message, which is too old");
}

#[tokio::test(start_paused = true)]
async fn a_committed_offset_wins_over_the_initial_position() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 10);
    cluster.set_committed(&at, 7);
    let mut last = options();
    last.initial_position = InitialPosition::Last;
    let _member = Member::start("c1", &cluster, last, succeeds(1)).await;
    until("all handled", || succeeded(&cluster, &at).len() == 3).await;
    assert_eq!(started(&cluster, &at), [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn c5_a_commit_that_fails_is_sent_again_and_never_lower() {
    use super::cluster::Fault;
    use crate::protocol::code::request::UPDATE_CONSUMER_OFFSET;
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 2_000);
    cluster.set_committed(&at, 0);
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 1, Fault::Swallow);
    cluster.fault("a", UPDATE_CONSUMER_OFFSET, 2, Fault::Refuse(2, "[REJECTREQUEST]"));
    let _member =
        Member::start("c1", &cluster, options(), Arc::new(|_| (Duration::from_millis(5), Outcome::Success))).await;
    until("committed", || cluster.committed(&at) == Some(2_000)).await;
    assert_safe_commits(&cluster);
}

use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn a_stored_0_is_committed_at_once_too_since_it_may_be_none() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 5);
    // As 4.9 answers about a group that has committed nothing, until the messages are no longer in its memory; then it says
    // "none", and a group that begins at the end would skip what it could not handle so far.
    cluster.set_committed(&at, 0);
    let fails = std::sync::Arc::new(|_: &crate::consumer::Delivery| (Duration::from_millis(1), Outcome::Later));
    let _member = Member::start("c1", &cluster, options(), fails).await;
    until("tried", || started(&cluster, &at).len() > 2).await;
    let committed = cluster
        .entries()
        .into_iter()
        .find(|(_, entry)| matches!(entry, Entry::Committed { queue, offset: 0, .. } if *queue == at));
    assert!(committed.is_some());
}
