//! The caller's thread beside the package's own, in any order of their steps: what the checker reads of it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use shuttle::thread;

use super::caller::Caller;
use super::cluster::{Answer, Cluster, OK, Seized, Step};
use super::{ProducerOptions, options};
use crate::env;
use crate::history::checker::{Options, check};
use crate::producer::options::Batching;
use crate::record::Lines;
use crate::schedules::{Own, catches, in_any_order};

/// Keys of the sends, in the order of their calls.
const KEYS: [&str; 7] = ["a", "b", "a", "a", "b", "a", "b"];
const TICK: Duration = Duration::from_millis(1);

/// The brokers store, refuse, take nothing, and are silent, each in its turn.
fn answers() -> impl FnMut(&Seized) -> Step {
    let silent = Answer::Silent { reset: Some(Duration::ZERO), stored: true };
    let turns = [OK, Answer::Refused(2, "busy"), OK, Answer::NotSent, OK, silent, Answer::Refused(13, "illegal")];
    let mut turns = turns.into_iter().cycle();
    move |_| Step { delay: Duration::ZERO, answer: turns.next().expect("it has no end") }
}

/// Calls, a signal in between, and `close()` before the last ones.
fn calls(batching: Batching) {
    let own = Own::new();
    let cluster = Cluster::new();
    cluster.set_route("T", &[("x", 1), ("y", 1)]);
    cluster.script(answers());
    // Whoever calls writes by himself.
    cluster.inner().is_idle = true;
    let (lines, caller) = own.alone(async {
        let lines = Lines::since(env::now());
        let options = ProducerOptions { batching, history: lines.history("p"), gather: TICK, ..options() };
        let caller = Arc::new(Caller::new(&cluster, options));
        caller.producer.start().await.expect("it starts");
        (lines, caller)
    });
    let calling = Arc::clone(&caller);
    own.beside(TICK, move || {
        let mut closed = None;
        for (at, key) in KEYS.into_iter().enumerate() {
            let call = calling.send(key, &at.to_string());
            match at {
                3 => calling.abort(call),
                5 => {
                    let producer = Arc::clone(&calling.producer);
                    closed = Some(env::spawn(async move { producer.close(Duration::from_secs(5)).await }));
                }
                _ => {}
            }
            calling.deliver_one();
        }
        let closed = closed.expect("it was called");
        while !closed.is_finished() {
            calling.deliver_one();
            calling.turn();
            thread::yield_now();
        }
        calling.deliver();
    });
    assert!((0..KEYS.len()).all(|call| caller.has_ended(call)), "each call has an end");
    let verdict = check(lines.all().into_iter(), &Options::default());
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert!(verdict.counts.acknowledged > 0, "{:?}", verdict.counts);
}

#[test]
fn calls_answers_and_the_end_come_in_any_order() {
    in_any_order(300, || calls(Batching::Queue));
}

#[test]
fn the_same_where_lanes_are_keys() {
    in_any_order(300, || calls(Batching::Key));
}

#[test]
fn two_requests_of_a_key_at_once_would_be_found() {
    assert!(catches("pipeline a key", 300, || calls(Batching::Queue)));
}
