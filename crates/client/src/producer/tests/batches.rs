//! Batches that are refused: only the guilty message fails, and what is not its fault is learned, told once and tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::caller::Caller;
use super::cluster::{Answer, Cluster, OK, Seized, Step};
use super::{ProducerOptions, one_queue, options, started};
use crate::error::{Code, Outcome};
use crate::producer::options::Batching;

const KIB: usize = 1024;

/// Bodies of a KiB that can be told apart.
fn kib(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|i| format!("{i:0>1024}")).collect()
}

/// A broker that takes this much in a batch, until the limit is changed; 0: it takes none.
fn takes(cluster: &Cluster, bytes: usize) -> Arc<AtomicUsize> {
    let limit = Arc::new(AtomicUsize::new(bytes));
    let known = Arc::clone(&limit);
    cluster.script(move |seized| {
        let is_refused = seized.batch && seized.bytes > known.load(Ordering::Relaxed);
        Step::from(if is_refused { Answer::Refused(13, "message body size exceeded") } else { OK })
    });
    limit
}

async fn send_all(caller: &Caller, bodies: &[String]) {
    let calls: Vec<usize> = bodies.iter().map(|body| caller.send("k", body)).collect();
    for ended in caller.until(calls).await {
        assert!(ended.result.is_ok(), "{:?}", ended.result);
    }
}

fn warnings(cluster: &Cluster) -> Vec<String> {
    cluster.inner().warnings.iter().map(|warning| warning.message().to_owned()).collect()
}

/// The attempts since then.
fn seized(cluster: &Cluster, since: usize) -> Vec<Seized> {
    cluster.inner().seized[since..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_broker_with_a_smaller_limit_gets_batches_of_its_size_in_order() {
    for batching in [Batching::Queue, Batching::Key] {
        let (cluster, caller) = started(ProducerOptions { batching, ..options() }, &[("a", 1)]).await;
        takes(&cluster, 64 * KIB);
        let all = kib(0, 4_000);
        send_all(&caller, &all).await;
        assert_eq!(cluster.stored("a", 0), all);
        let requests = seized(&cluster, 0).len();
        assert!(requests < 110, "{requests} requests for 4 MiB in 64 KiB each");

        let more = kib(4_000, 1_000);
        send_all(&caller, &more).await;
        let later = seized(&cluster, requests);
        assert!(later.iter().all(|it| it.bytes <= 64 * KIB), "nothing is refused any more");
        assert!(later.len() < 24, "{} requests for 1 000 messages", later.len());
        let [warning] = &warnings(&cluster)[..] else { panic!("{:?}", warnings(&cluster)) };
        assert!(warning.contains("maxMessageSize") && warning.starts_with("broker a has refused a batch"), "{warning}");
        let inner = cluster.inner();
        let json: serde_json::Value = serde_json::from_str(&inner.warnings[0].to_json()).unwrap();
        assert_eq!(
            (&json["topic"], &json["brokerCode"], &json["address"]),
            (&"T".into(), &13.into(), &"a:10911".into())
        );
        assert_eq!(json["cause"]["message"], "message body size exceeded");
    }
}

#[tokio::test(start_paused = true)]
async fn a_larger_batch_is_tried_again_after_minutes_and_a_changed_setting_heals() {
    let (cluster, caller) = one_queue().await;
    let limit = takes(&cluster, 64 * KIB);
    send_all(&caller, &kib(0, 1_000)).await;
    let largest = |since: usize| seized(&cluster, since).iter().map(|it| it.bytes).max().unwrap();

    // As it was: one larger batch, which is refused, and then as before.
    tokio::time::sleep(Duration::from_secs(301)).await;
    let before = seized(&cluster, 0).len();
    send_all(&caller, &kib(0, 1_000)).await;
    let refused = seized(&cluster, before).iter().filter(|it| it.bytes > 64 * KIB).count();
    assert_eq!(refused, 1);
    assert_eq!(warnings(&cluster).len(), 1, "told once");

    limit.store(4 * KIB * KIB, Ordering::Relaxed);
    let before = seized(&cluster, 0).len();
    send_all(&caller, &kib(0, 1_000)).await;
    assert!(largest(before) <= 64 * KIB, "not before its time");
    tokio::time::sleep(Duration::from_secs(301)).await;
    let before = seized(&cluster, 0).len();
    send_all(&caller, &kib(0, 1_000)).await;
    assert!(largest(before) > 1_000 * KIB, "healed");

    // And it is told again when it is as bad again.
    limit.store(32 * KIB, Ordering::Relaxed);
    send_all(&caller, &kib(0, 1_000)).await;
    assert_eq!(warnings(&cluster).len(), 2);
    assert_eq!(cluster.stored("a", 0).len(), 5_000);
}

#[tokio::test(start_paused = true)]
async fn batches_that_are_refused_as_such_go_one_by_one_are_told_once_and_tried_again_after_minutes() {
    for refusal in [
        Answer::Refused(3, "request code 320 unsupported"),
        Answer::Refused(1, "the topic[T] is batch send , not support"),
        Answer::Refused(13, "the message is illegal"),
    ] {
        let (cluster, caller) = one_queue().await;
        let takes = Arc::new(AtomicUsize::new(0));
        let known = Arc::clone(&takes);
        let answer = refusal.clone();
        cluster.script(move |seized| {
            Step::from(if seized.batch && known.load(Ordering::Relaxed) == 0 { answer.clone() } else { OK })
        });
        let bodies = |from: usize| (from..from + 64).map(|i| format!("m{i}")).collect::<Vec<_>>();
        send_all(&caller, &bodies(0)).await;
        let batches = |since: usize| seized(&cluster, since).iter().filter(|it| it.batch).count();
        assert!(batches(0) < 8, "{} batches", batches(0));
        let before = seized(&cluster, 0).len();
        send_all(&caller, &bodies(64)).await;
        assert_eq!(batches(before), 0);
        let [warning] = &warnings(&cluster)[..] else { panic!("{:?}", warnings(&cluster)) };
        assert!(warning.starts_with("broker a takes no batches of this topic"), "{warning}");

        tokio::time::sleep(Duration::from_secs(301)).await;
        let before = seized(&cluster, 0).len();
        send_all(&caller, &bodies(128)).await;
        assert_eq!(batches(before), 1, "one batch asks");

        takes.store(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(301)).await;
        let before = seized(&cluster, 0).len();
        send_all(&caller, &bodies(192)).await;
        assert!(seized(&cluster, before).len() < 5, "as if nothing had been");
        assert_eq!(warnings(&cluster).len(), 1);
        assert_eq!(
            cluster.stored("a", 0),
            bodies(0).into_iter().chain((64..256).map(|i| format!("m{i}"))).collect::<Vec<_>>()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_guilty_messages_of_a_batch_fail_and_nothing_is_learned_from_them() {
    let (cluster, caller) = one_queue().await;
    cluster.script(|seized| {
        let is_guilty = seized.messages.iter().any(|message| message.body.starts_with("guilty"));
        Step::from(if is_guilty { Answer::Refused(13, "the message is illegal") } else { OK })
    });
    let key = |i: usize| format!("k{i}");
    let is_guilty = |i: usize| i % 250 == 100;
    let body = |i: usize| if is_guilty(i) { format!("guilty{i}") } else { format!("m{i}") };
    let calls: Vec<usize> = (0..1_000).map(|i| caller.send(&key(i), &body(i))).collect();
    for (i, ended) in caller.until(calls).await.into_iter().enumerate() {
        match ended.result {
            Ok(_) => assert!(!is_guilty(i)),
            Err(error) => {
                assert!(is_guilty(i), "{i}: {error}");
                assert_eq!((error.code(), error.outcome()), (Code::Broker, Some(Outcome::NotStored)));
            }
        }
    }
    let expected: Vec<String> = (0..1_000).filter(|&i| !is_guilty(i)).map(body).collect();
    assert_eq!(cluster.stored("a", 0), expected);
    let requests = cluster.attempts().len();
    assert!(requests < 100, "{requests} requests to find 4 among 1 000");
    assert_eq!(warnings(&cluster), Vec::<String>::new());
    let more: Vec<usize> = (0..100).map(|i| caller.send(&key(i), "m")).collect();
    caller.until(more).await;
    assert_eq!(cluster.attempts().len(), requests + 1, "batching goes on");
}

#[tokio::test(start_paused = true)]
async fn each_broker_is_known_by_its_own_limit() {
    let (cluster, caller) = started(options(), &[("a", 1), ("b", 1)]).await;
    cluster.script(|seized| {
        let is_refused = seized.broker == "a" && seized.batch && seized.bytes > 64 * KIB;
        Step::from(if is_refused { Answer::Refused(1, "message body size exceeded") } else { OK })
    });
    // "b" goes to the queue of a, "a" to that of b.
    let calls: Vec<usize> =
        kib(0, 2_000).iter().flat_map(|body| [caller.send("b", body), caller.send("a", body)]).collect();
    assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
    let largest = |broker: &str| seized(&cluster, 0).iter().filter(|it| it.broker == broker).map(|it| it.bytes).max();
    assert!(largest("b") > Some(KIB * KIB));
    assert_eq!(cluster.stored("a", 0), kib(0, 2_000));
    assert_eq!(warnings(&cluster).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_the_users_that_is_too_large_says_what_to_do_and_stays_whole() {
    let (cluster, caller) = one_queue().await;
    takes(&cluster, 64 * KIB);
    let bodies = kib(0, 100);
    let batch = caller.send_batch("k", &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    let error = caller.error(batch).await;
    assert_eq!(
        (error.code(), error.broker_code(), error.outcome()),
        (Code::Broker, Some(13), Some(Outcome::NotStored))
    );
    assert!(
        error.message().contains("batch of 100 messages") && error.message().contains("send fewer at once"),
        "{error}"
    );
    assert!(cluster.stored("a", 0).is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_time_out_batches_are_smaller_for_a_while_and_the_one_that_timed_out_stays_whole() {
    let (cluster, caller) = one_queue().await;
    let bodies = kib(0, 6_001);
    let mut calls = vec![caller.launch(&cluster, "k", &bodies[0]).await];
    cluster.then([Answer::Silent { reset: None, stored: false }]);
    calls.extend(bodies[1..].iter().map(|body| caller.send("k", body)));
    assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
    assert_eq!(cluster.stored("a", 0), bodies);
    let sizes: Vec<usize> = seized(&cluster, 0).iter().filter(|it| it.batch).map(|it| it.bytes / (KIB * KIB)).collect();
    // 2 048 messages twice, as its outcome is unknown; its success has doubled the half already.
    assert_eq!(sizes[..3], [2, 2, 2], "{sizes:?}");
    let first = &seized(&cluster, 0)[1];
    cluster.then([Answer::Silent { reset: None, stored: false }, Answer::Silent { reset: None, stored: false }]);
    let more = kib(6_001, 6_000);
    let before = seized(&cluster, 0).len();
    send_all(&caller, &more).await;
    let sizes: Vec<usize> = seized(&cluster, before).iter().map(|it| it.bytes).collect();
    assert!(sizes.iter().skip(3).any(|size| *size < first.bytes * 3 / 4), "{sizes:?}");
    assert_eq!(cluster.stored("a", 0)[6_001..], more);
}
