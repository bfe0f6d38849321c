//! Bodies that are compressed on their way out.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

use super::caller::Caller;
use super::cluster::{Answer, OK, Step};
use super::{ProducerOptions, options, started};
use crate::error::Code;
use crate::producer::options::Batching;
use crate::producer::packing::AT_ONCE;
use crate::protocol::Compression;

const BATCHINGS: [Batching; 3] = [Batching::Queue, Batching::Key, Batching::Off];
/// Of what is compressed where requests are made, and elsewhere.
const SIZES: [usize; 7] = [10, 200, 10, 10, 30_000, 99, 60_000];

fn compressing(batching: Batching) -> ProducerOptions {
    ProducerOptions { batching, compression: Some(Compression::Zlib), compress_over_bytes: 100, ..options() }
}

fn body(i: usize) -> String {
    let size = SIZES[i % SIZES.len()];
    format!("{i:<size$}")
}

#[tokio::test(start_paused = true)]
async fn compressed_and_plain_sends_keep_their_order_whatever_is_answered() {
    for batching in BATCHINGS {
        let (cluster, caller) = started(compressing(batching), &[("a", 1)]).await;
        let silent = Answer::Silent { reset: Some(Duration::ZERO), stored: false };
        let mut answers = [OK, Answer::Refused(2, "busy"), OK, Answer::NotSent, silent].into_iter().cycle();
        cluster.script(move |_| Step::from(answers.next().unwrap()));
        let bodies: Vec<String> = (0..70).map(body).collect();
        let calls: Vec<usize> = bodies.iter().map(|body| caller.send("k", body)).collect();
        assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
        assert_eq!(cluster.stored("a", 0), bodies, "{batching:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_compressed_travels_alone_and_the_rest_in_batches_as_ever() {
    let (cluster, caller) = started(compressing(Batching::Queue), &[("a", 1)]).await;
    let calls: Vec<usize> = (0..21).map(|i| caller.send("k", &body(i))).collect();
    caller.until(calls).await;
    let inner = cluster.inner();
    for seized in &inner.seized {
        let is_large = seized.messages.iter().any(|message| message.body.len() >= 100);
        assert_eq!(seized.sys_flag, if is_large { 0x301 } else { 0 });
        assert!(!is_large || seized.messages.len() == 1 && seized.bytes < seized.messages[0].body.len());
    }
    assert!(inner.seized.iter().any(|seized| seized.batch));
}

#[tokio::test(start_paused = true)]
async fn a_body_is_compressed_once_for_all_its_attempts_and_goes_as_it_is_where_that_is_no_smaller() {
    let (cluster, caller) = started(compressing(Batching::Queue), &[("a", 1)]).await;
    cluster.then([Answer::Refused(2, "busy"), Answer::Refused(2, "busy")]);
    let call = caller.send("k", &body(6));
    assert_eq!(caller.receipt(call).await.queue_offset, 0);
    let seen: Vec<(i32, usize)> = cluster.inner().seized.iter().map(|seized| (seized.sys_flag, seized.bytes)).collect();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|it| *it == seen[0] && it.1 < 1000), "{seen:?}");
    let mut rng = StdRng::seed_from_u64(1);
    let noise: String = (0..100).map(|_| char::from(rng.random_range(b'!'..b'~'))).collect();
    let call = caller.send("k", &noise);
    caller.receipt(call).await;
    let last = cluster.inner().seized.last().cloned().unwrap();
    assert_eq!((last.sys_flag, last.bodies()), (0, vec![noise.as_str()]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_the_callers_is_not_compressed() {
    let (cluster, caller) = started(compressing(Batching::Queue), &[("a", 1)]).await;
    let large = body(6);
    for bodies in [vec![large.as_str()], vec![&large, &large]] {
        let call = caller.send_batch("k", &bodies);
        caller.until([call]).await;
    }
    assert!(cluster.inner().seized.iter().all(|seized| seized.sys_flag == 0 && seized.bytes >= large.len()));
}

/// No large body is compressed until it is dropped.
fn all_busy(caller: &Caller) -> OwnedSemaphorePermit {
    let slots = Arc::clone(&caller.producer.core.packing);
    slots.try_acquire_many_owned(u32::try_from(AT_ONCE).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_aborted_while_it_is_compressed_is_not_sent() {
    for batching in BATCHINGS {
        let (cluster, caller) = started(compressing(batching), &[("a", 1)]).await;
        let busy = all_busy(&caller);
        let large = caller.send("k", &body(6));
        tokio::task::yield_now().await;
        caller.abort(large);
        let ended = caller.until([large]).await;
        assert_eq!(ended[0].result.as_ref().unwrap_err().code(), Code::Aborted, "{batching:?}");
        drop(busy);
        let call = caller.send("k", "afresh");
        caller.receipt(call).await;
        assert_eq!(cluster.stored("a", 0), ["afresh"], "{batching:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_compressed_again_where_its_key_moves_meanwhile() {
    for batching in BATCHINGS {
        let (cluster, caller) = started(compressing(batching), &[("a", 1)]).await;
        let busy = all_busy(&caller);
        let call = caller.send("k", &body(6));
        tokio::task::yield_now().await;
        cluster.set_route("T", &[("b", 1)]);
        tokio::task::yield_now().await;
        drop(busy);
        caller.receipt(call).await;
        let stored = [cluster.stored("a", 0), cluster.stored("b", 0)].concat();
        assert_eq!(stored, [body(6)], "{batching:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn large_bodies_of_a_hundred_keys_at_once_are_all_compressed_and_sent() {
    let (cluster, caller) = started(compressing(Batching::Key), &[("a", 4)]).await;
    let calls: Vec<usize> = (0..100).map(|i| caller.send(&format!("k{i}"), &body(6))).collect();
    assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
    assert!(cluster.inner().seized.iter().all(|seized| seized.sys_flag == 0x301));
}
