//! P10: what is held natively stays below the limits, and who waits with the caller gets in, in order.

use std::time::Duration;

use super::cluster::{Answer, OK, Step};
use super::{ProducerOptions, options, started};
use crate::error::Code;
use crate::producer::options::Batching;

fn bodies(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}{i}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_burst_past_the_limits_is_stored_in_the_order_of_the_calls() {
    for batching in [Batching::Queue, Batching::Key, Batching::Off] {
        let options = ProducerOptions { batching, max_pending_messages: 20, ..options() };
        let (cluster, caller) = started(options, &[("a", 1)]).await;
        let all = bodies("m", 300);
        let calls: Vec<usize> = all.iter().map(|body| caller.send("k", body)).collect();
        assert_eq!((caller.producer.stats().pending_messages, caller.waits()), (10, 290));
        for call in calls {
            caller.receipt(call).await;
            assert!(caller.producer.stats().pending_messages <= 10);
        }
        assert_eq!(cluster.stored("a", 0), all);
        assert_eq!(caller.waits(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_queue_holds_across_keys_past_the_limits() {
    let options = ProducerOptions { max_pending_messages: 8, ..options() };
    let (cluster, caller) = started(options, &[("a", 1)]).await;
    let all = bodies("m", 200);
    let mut calls = Vec::new();
    for (i, body) in all.iter().enumerate() {
        calls.push(caller.send(&format!("k{i}"), body));
        if i % 11 == 0 {
            // Sometimes there is room before the caller has fed what it holds.
            tokio::time::sleep(Duration::from_millis(7)).await;
            if i % 3 == 0 {
                caller.deliver();
            }
        }
    }
    caller.until(calls).await;
    assert_eq!(cluster.stored("a", 0), all);
}

#[tokio::test(start_paused = true)]
async fn bytes_count_as_messages_do() {
    let options = ProducerOptions { max_pending_bytes: 4000, ..options() };
    let (cluster, caller) = started(options, &[("a", 1)]).await;
    let all: Vec<String> = (0..40).map(|i| format!("{i:0400}")).collect();
    let calls: Vec<usize> = all.iter().map(|body| caller.send("k", body)).collect();
    assert!(caller.waits() > 30);
    for call in calls {
        caller.receipt(call).await;
        assert!(caller.producer.stats().pending_bytes <= 2000);
    }
    assert_eq!(cluster.stored("a", 0), all);
}

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_limit_gets_in_alone() {
    let options = ProducerOptions { max_pending_bytes: 1000, ..options() };
    let (cluster, caller) = started(options, &[("a", 1)]).await;
    let huge = "x".repeat(5000);
    let calls = ["m0", &huge, "m1"].map(|body| caller.send("k", body));
    caller.until(calls).await;
    assert_eq!(cluster.stored("a", 0), ["m0", &huge, "m1"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_broker_holds_half_and_the_others_go_on() {
    for batching in [Batching::Queue, Batching::Key] {
        let options = ProducerOptions { batching, max_pending_messages: 40, ..options() };
        let (cluster, caller) = started(options, &[("a", 1), ("b", 1)]).await;
        cluster.script(|seized| Step::from(if seized.broker == "a" { Answer::NotSent } else { OK }));
        // "b" goes to the queue of a, "a" to that of b.
        let dead: Vec<usize> = bodies("d", 100).iter().map(|body| caller.send("b", body)).collect();
        let all = bodies("m", 500);
        let alive: Vec<usize> = all.iter().map(|body| caller.send("a", body)).collect();
        for call in alive {
            caller.receipt(call).await;
        }
        assert_eq!(caller.producer.stats().pending_messages, 20);
        assert_eq!(cluster.stored("b", 0), all);
        caller.take_out(|call, _| dead.contains(&call).then_some(Code::Timeout));
        let ended = caller.until(dead).await;
        assert!(ended.iter().all(|ended| ended.result.is_err()));
        // What was being tried when its time was up counts until that attempt has ended.
        let emptied = async {
            while caller.producer.stats().pending_messages > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), emptied).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn many_refused_lanes_all_get_their_turn() {
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
    let left =
        caller.producer.core.with(|state, _| (state.refused, state.keys.iter().count(), state.lanes.iter().count()));
    assert_eq!(left, (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn close_lets_the_caller_feed_what_it_holds() {
    let options = ProducerOptions { max_pending_messages: 4, ..options() };
    let (cluster, caller) = started(options, &[("a", 1)]).await;
    let all = bodies("m", 50);
    let calls: Vec<usize> = all.iter().map(|body| caller.send("k", body)).collect();
    let close = caller.producer.close(Duration::from_secs(5));
    let (ended, ()) = tokio::join!(caller.until(calls), close);
    assert!(ended.iter().all(|ended| ended.result.is_ok()));
    assert_eq!(cluster.stored("a", 0), all);
}
