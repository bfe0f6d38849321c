//! P10: nothing is refused above the high-water mark, it shows, and whoever wants to can wait for room.

use std::time::Duration;

use super::cluster::{Answer, Step};
use super::{ProducerOptions, options, started};
use crate::error::Code;
use crate::producer::options::Batching;

fn bodies(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}{i}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_burst_past_the_mark_is_stored_in_the_order_of_the_calls_and_counts_as_waiting() {
    for batching in [Batching::Queue, Batching::Key, Batching::Off] {
        let options = ProducerOptions { batching, max_pending_messages: 20, ..options() };
        let (cluster, caller) = started(options, &[("a", 1)]).await;
        let all = bodies("m", 100);
        let calls: Vec<usize> = all.iter().map(|body| caller.send("k", body)).collect();
        let stats = caller.producer.stats();
        assert_eq!((stats.pending_messages, stats.waiting), (100, 80));
        for call in calls {
            caller.receipt(call).await;
        }
        assert_eq!(cluster.stored("a", 0), all);
        assert_eq!(caller.producer.stats().waiting, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_count_as_messages_do() {
    let options = ProducerOptions { max_pending_bytes: 4_000, ..options() };
    let (_cluster, caller) = started(options, &[("a", 1)]).await;
    let calls: Vec<usize> = (0..40).map(|i| caller.send("k", &format!("{i:0400}"))).collect();
    // 40 messages of 400 bytes and their properties: about a fourth is below the mark.
    let waiting = caller.producer.stats().waiting;
    assert!((30..36).contains(&waiting), "{waiting}");
    assert!(!caller.producer.has_room());
    caller.until(calls).await;
    assert!(caller.producer.has_room());
}

#[tokio::test(start_paused = true)]
async fn ready_waits_until_there_is_room_and_ends_with_the_producer() {
    let options = ProducerOptions { max_pending_messages: 10, ..options() };
    let (cluster, caller) = started(options, &[("a", 1)]).await;
    caller.producer.ready().await.unwrap();
    cluster.script(|_| Step { delay: Duration::from_secs(1), answer: super::cluster::OK });
    let calls: Vec<usize> = bodies("m", 10).iter().map(|body| caller.send("k", body)).collect();
    assert!(!caller.producer.has_room());
    caller.producer.ready().await.unwrap();
    assert!(caller.producer.has_room());
    caller.until(calls).await;
    cluster.script(|_| Step::from(Answer::NotSent));
    let stuck: Vec<usize> = bodies("m", 10).iter().map(|body| caller.send("k", body)).collect();
    let (refused, ()) = tokio::join!(caller.producer.ready(), caller.producer.close(Duration::from_secs(1)));
    assert_eq!(refused.unwrap_err().code(), Code::Closed);
    assert!(caller.until(stuck).await.iter().all(|ended| ended.result.is_err()));
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_told_once() {
    let options = ProducerOptions { max_pending_messages: 10, ..options() };
    let (cluster, caller) = started(options, &[("a", 1)]).await;
    let told = || cluster.inner().warnings.iter().filter(|it| it.message().contains("maxPendingMessages 10")).count();
    let mut calls: Vec<usize> = bodies("m", 79).iter().map(|body| caller.send("k", body)).collect();
    assert_eq!(told(), 0);
    calls.extend(bodies("n", 50).iter().map(|body| caller.send("k", body)));
    assert_eq!(told(), 1);
    caller.until(calls).await;
    assert_eq!(cluster.inner().warnings.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_lanes_above_the_mark_all_end_and_leave_nothing() {
    let options = ProducerOptions { batching: Batching::Key, max_pending_messages: 16, ..options() };
    let (cluster, caller) = started(options, &[("a", 2), ("b", 2)]).await;
    let calls: Vec<usize> = (0..600).map(|i| caller.send(&format!("k{}", i % 100), &format!("{}", i / 100))).collect();
    assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
    let inner = cluster.inner();
    let mut by_key = std::collections::HashMap::<String, Vec<String>>::new();
    for stored in inner.stored.values().flatten() {
        by_key.entry(stored.message.key().to_owned()).or_default().push(stored.message.body.clone());
    }
    assert_eq!(by_key.len(), 100);
    assert!(by_key.values().all(|bodies| *bodies == ["0", "1", "2", "3", "4", "5"]));
    drop(inner);
    let left = caller.producer.core.with(|state, _| (state.keys.iter().count(), state.lanes.iter().count()));
    assert_eq!(left, (0, 1));
}
