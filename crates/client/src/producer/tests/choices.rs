//! The caller chooses the queues.

use std::time::Duration;

use super::caller::Caller;
use super::cluster::{Answer, Cluster, OK, Step};
use super::{ProducerOptions, options, started};
use crate::error::{Code, Outcome};
use crate::producer::options::{Batching, ShardingHash};

const MODES: [Batching; 3] = [Batching::Queue, Batching::Key, Batching::Off];

fn choosing(batching: Batching) -> ProducerOptions {
    ProducerOptions { batching, sharding_hash: ShardingHash::Caller, ..options() }
}

/// Of keys that are numbers: the number's queue.
fn by_number(key: &str, queues: usize) -> usize {
    key.parse::<usize>().unwrap() % queues
}

/// Whose caller chooses so.
async fn started_with(
    options: ProducerOptions,
    queues: &[(&str, i32)],
    hash: impl FnMut(&str, usize) -> Option<usize> + Send + 'static,
) -> (std::sync::Arc<Cluster>, Caller) {
    let (cluster, caller) = started(options, queues).await;
    caller.choose_by(hash);
    (cluster, caller)
}

fn numbers(bodies: &[String]) -> Vec<usize> {
    bodies.iter().map(|body| body.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_choice_at_the_call_counts_for_a_key_that_has_nothing_pending() {
    for batching in MODES {
        let mut calls = 0;
        let (cluster, caller) = started_with(choosing(batching), &[("a", 2), ("b", 1)], move |_, _| {
            calls += 1;
            Some(if calls == 1 { 0 } else { 2 })
        })
        .await;
        caller.receipt(caller.send("first", "0")).await; // asked, as nobody knew the topic
        cluster.script(|_| Step { delay: Duration::from_millis(50), answer: OK });
        let pending = caller.launch(&cluster, "k", "1").await;
        caller.until([pending]).await;
        assert_eq!(
            (cluster.stored("a", 0), cluster.stored("b", 0)),
            (vec!["0".into()], vec!["1".into()]),
            "{batching:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_whatever_is_chosen_while_anything_of_it_is_unresolved() {
    for batching in MODES {
        let mut next = 0;
        let (cluster, caller) = started_with(choosing(batching), &[("a", 4)], move |_, queues| {
            next += 1;
            Some(next % queues)
        })
        .await;
        caller.receipt(caller.send("k", "0")).await;
        let calls: Vec<usize> = (1..20).map(|i| caller.send("k", &i.to_string())).collect();
        let queues: Vec<i32> =
            caller.until(calls).await.into_iter().map(|it| it.result.unwrap()[0].queue.queue_id).collect();
        assert!(queues.iter().all(|queue| *queue == queues[0]), "{batching:?}: {queues:?}");
        let before = numbers(&cluster.stored("a", queues[0]));
        assert!(before.is_sorted(), "{before:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_what_waits_for_a_choice() {
    for batching in MODES {
        let (cluster, caller) = started_with(choosing(batching), &[], |key, queues| Some(by_number(key, queues))).await;
        // Keys 0 and 2 share a queue, as 1 and 3 do.
        let mut calls: Vec<usize> = (0..12).map(|i| caller.send(&(i % 3).to_string(), &i.to_string())).collect();
        cluster.set_route("T", &[("x", 2)]);
        tokio::time::sleep(Duration::from_millis(200)).await;
        // The route is there, and the caller has not answered.
        calls.extend((12..40).map(|i| caller.send(&(i % 4).to_string(), &i.to_string())));
        assert!(cluster.inner().seized.is_empty());
        assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
        for queue in 0..2 {
            let stored = numbers(&cluster.stored("x", queue));
            for key in 0..4 {
                let of_key: Vec<usize> =
                    stored.iter().copied().filter(|i| if *i < 12 { i % 3 == key } else { i % 4 == key }).collect();
                assert!(of_key.is_sorted() && (of_key.is_empty() || key % 2 == usize::try_from(queue).unwrap()));
            }
            assert!(batching == Batching::Key || stored.is_sorted(), "{batching:?}: the whole queue is in order");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_later_fails_with_its_key_and_nothing_else() {
    for batching in MODES {
        let (cluster, caller) = started_with(choosing(batching), &[], |key, _| (key != "bad").then_some(0)).await;
        let calls = ["bad", "good", "bad", "good"].map(|key| caller.send(key, key));
        cluster.set_route("T", &[("x", 1)]);
        let ended = caller.until(calls).await;
        let codes = ended.iter().map(|it| it.result.as_ref().err().map(|error| (error.code(), error.outcome())));
        let not_stored = Some(Outcome::NotStored);
        let expected = [Some((Code::InvalidArgument, not_stored)), None, Some((Code::OrderBroken, not_stored)), None];
        assert_eq!(codes.collect::<Vec<_>>(), expected, "{batching:?}");
        assert_eq!(cluster.stored("x", 0), ["good", "good"]);
        assert_eq!(caller.producer.stats().pending_messages, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_a_queue_that_has_gone_are_chosen_anew_in_order() {
    for batching in MODES {
        let (cluster, caller) =
            started_with(choosing(batching), &[("a", 1), ("b", 1)], |key, queues| Some(by_number(key, queues))).await;
        for key in ["0", "2"] {
            caller.receipt(caller.send(key, "first")).await;
        }
        cluster.script(|seized| match seized.broker.as_str() {
            "a" => Step::from(Answer::NotSent),
            _ => Step::from(OK),
        });
        let mut calls: Vec<usize> = (0..10).map(|i| caller.send(["0", "2"][i % 2], &i.to_string())).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.set_route("T", &[("b", 1)]);
        tokio::time::sleep(Duration::from_millis(1)).await;
        calls.extend((10..20).map(|i| caller.send(["0", "2"][i % 2], &i.to_string())));
        assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()), "{batching:?}");
        let stored = numbers(&cluster.stored("b", 0));
        assert_eq!(stored.len(), 20);
        for key in 0..2 {
            let of_key: Vec<usize> = stored.iter().copied().filter(|i| i % 2 == key).collect();
            assert!(of_key.is_sorted(), "{batching:?}: {of_key:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_be_stored_stays_with_its_key_until_it_is_known() {
    for batching in MODES {
        let (cluster, caller) =
            started_with(choosing(batching), &[("a", 1), ("b", 1)], |key, queues| Some(by_number(key, queues))).await;
        caller.receipt(caller.send("0", "first")).await;
        cluster.script(|seized| match seized.broker.as_str() {
            "a" => Step::from(Answer::Silent { reset: Some(Duration::ZERO), stored: false }),
            _ => Step::from(OK),
        });
        let unknown = caller.send("0", "1");
        tokio::time::sleep(Duration::from_millis(1)).await;
        let behind = caller.send("0", "2");
        cluster.set_route("T", &[("b", 1)]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        caller.decide();
        assert!(!caller.has_ended(unknown) && !caller.has_ended(behind), "{batching:?}");
        cluster.script(|_| Step::from(OK));
        cluster.set_route("T", &[("a", 1), ("b", 1)]);
        caller.until([unknown, behind]).await;
        assert_eq!(cluster.stored("a", 0), ["first", "1", "2"], "{batching:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_never_chooses_waits_for_the_time_of_the_send() {
    let (_cluster, caller) =
        started_with(choosing(Batching::Queue), &[("a", 1)], |key, queues| Some(by_number(key, queues))).await;
    let call = caller.send("0", "m");
    tokio::time::sleep(Duration::from_secs(31)).await;
    caller.deliver();
    assert!(caller.has_ended(call));
    let error = caller.error(call).await;
    assert_eq!((error.code(), error.outcome()), (Code::Timeout, Some(Outcome::NotStored)));
    assert!(error.message().contains("shardingHash could be asked"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_choice_in_an_old_list_is_none() {
    let (cluster, caller) =
        started_with(choosing(Batching::Queue), &[("a", 4)], |key, queues| Some(by_number(key, queues))).await;
    caller.receipt(caller.send("3", "0")).await;
    let old = caller.producer.queue_list("T").unwrap();
    cluster.set_route("T", &[("b", 1)]);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!caller.producer.choose("T", "3", old.number, 3));
    let new = caller.producer.queue_list("T").unwrap();
    assert_ne!(old.number, new.number);
    assert_eq!(new.queues.len(), 1);
    assert!(!caller.producer.choose("T", "3", new.number, 1), "no such index");
    assert!(caller.producer.choose("T", "3", new.number, 0));
    assert_eq!(caller.producer.queue_list("nowhere"), None);
}
