//! Lanes, batches, and what messages look like on the wire.

use bytes::Bytes;
use std::time::Duration;

use super::caller::Caller;
use super::cluster::{Answer, Cluster, OK, Step};
use super::{ProducerOptions, one_queue, options, started};
use crate::env;
use crate::error::{Code, Outcome};
use crate::producer::Outgoing;
use crate::producer::options::Batching;

fn batching(batching: Batching) -> ProducerOptions {
    ProducerOptions { batching, ..options() }
}

#[tokio::test(start_paused = true)]
async fn what_gathers_while_a_request_is_in_flight_leaves_as_one_batch() {
    let (cluster, caller) = one_queue().await;
    let mut calls = vec![caller.launch(&cluster, "k", "m0").await];
    calls.extend((1..100).map(|i| caller.send(["k", "l"][i % 2], &format!("m{i}"))));
    let ended = caller.until(calls).await;
    for (i, ended) in ended.iter().enumerate() {
        let receipt = &ended.result.as_ref().unwrap()[0];
        assert_eq!(receipt.queue_offset, i64::try_from(i).unwrap());
        assert_eq!(receipt.offset_msg_id, format!("a:{i}"));
        let inner = cluster.inner();
        assert_eq!(receipt.msg_id, inner.stored[&(String::from("a"), 0)][i].message.id());
    }
    let attempts = cluster.attempts();
    assert_eq!((attempts[0].len(), attempts[1].len(), attempts.len()), (1, 99, 2));
    assert!(!cluster.inner().seized[0].batch && cluster.inner().seized[1].batch);
    assert_eq!(caller.producer.stats().requests, 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_writes_by_itself_where_nothing_is_under_way_and_leaves_the_rest_to_others() {
    let (cluster, caller) = started(options(), &[("a", 2)]).await;
    for (is_idle, written) in [(true, 1), (false, 0)] {
        cluster.inner().is_idle = is_idle;
        cluster.inner().written = 0;
        let mut calls = vec![caller.send("k", "m0")];
        assert_eq!(cluster.inner().written, written, "before anybody else had a turn");
        calls.extend((1..10).map(|i| caller.send("k", &format!("m{i}"))));
        assert_eq!(cluster.inner().written, written, "the second request of a lane follows the answer to the first");
        caller.until(calls).await;
    }
    assert_eq!([0, 1].map(|queue| cluster.stored("a", queue).len()).iter().sum::<usize>(), 20);
}

#[tokio::test(start_paused = true)]
async fn moments_at_which_nothing_has_to_be_looked_at_any_more_are_not_kept() {
    for batching in [Batching::Key, Batching::Queue] {
        let options = ProducerOptions { batching, gather: Duration::from_millis(5), ..options() };
        let (_cluster, caller) = started(options, &[("a", 1)]).await;
        for i in 0..5_000 {
            let call = caller.send(&format!("k{i}"), "m");
            caller.receipt(call).await;
            tokio::time::advance(Duration::from_millis(i % 3 * 4)).await;
        }
        let kept = caller.producer.core.with(|state, _| state.dues.len());
        assert!(kept < 1_100, "{batching:?}: {kept}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_one_is_a_single_send() {
    let (cluster, caller) = one_queue().await;
    let calls = [caller.launch(&cluster, "k", "m0").await, caller.send("k", "m1")];
    caller.until(calls).await;
    assert_eq!(cluster.attempts().len(), 2);
    assert!(cluster.inner().seized.iter().all(|seized| !seized.batch));
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_at_most_2048_messages() {
    let (cluster, caller) = one_queue().await;
    let calls: Vec<usize> = (0..5000).map(|i| caller.send("k", &format!("m{i}"))).collect();
    caller.until(calls).await;
    let sizes: Vec<usize> = cluster.attempts().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2048, 2048, 904]);
    let expected: Vec<String> = (0..5000).map(|i| format!("m{i}")).collect();
    assert_eq!(cluster.stored("a", 0), expected);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_at_most_max_message_bytes() {
    let (cluster, caller) = started(ProducerOptions { max_message_bytes: 1000, ..options() }, &[("a", 1)]).await;
    let bodies: Vec<String> = (0..20).map(|i| format!("{i:0300}")).collect();
    let mut calls: Vec<usize> = bodies.iter().map(|body| caller.send("k", body)).collect();
    calls.push(caller.send("k", &"x".repeat(1000)));
    assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
    let inner = cluster.inner();
    assert!(inner.seized.iter().all(|seized| seized.bytes <= 1000), "a single one may have it all");
    assert_eq!(inner.seized[0].messages.len(), 2);
    assert_eq!(inner.seized.last().unwrap().messages.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn off_sends_one_by_one_in_the_order_of_the_queue() {
    let (cluster, caller) = started(batching(Batching::Off), &[("a", 1)]).await;
    let calls: Vec<usize> = (0..20).map(|i| caller.send(["k", "l"][i % 2], &format!("m{i}"))).collect();
    caller.until(calls).await;
    assert!(cluster.attempts().iter().all(|bodies| bodies.len() == 1));
    let expected: Vec<String> = (0..20).map(|i| format!("m{i}")).collect();
    assert_eq!(cluster.stored("a", 0), expected);
}

#[tokio::test(start_paused = true)]
async fn key_lanes_overlap_but_never_mix_keys() {
    let (cluster, caller) = started(batching(Batching::Key), &[("a", 1)]).await;
    let mut calls = Vec::new();
    for (i, key) in ["k", "l", "j"].into_iter().enumerate() {
        calls.push(caller.launch(&cluster, key, &format!("m{i}")).await);
    }
    calls.extend((3..60).map(|i| caller.send(["k", "l", "j"][i % 3], &format!("m{i}"))));
    caller.until(calls).await;
    let inner = cluster.inner();
    assert_eq!(inner.seized.len(), 6);
    assert_eq!(inner.most_by_broker, 3);
    for seized in &inner.seized {
        assert!(seized.messages.iter().all(|message| message.key() == seized.messages[0].key()));
    }
}

#[tokio::test(start_paused = true)]
async fn key_lanes_have_at_most_256_requests_in_flight_at_one_broker() {
    let (cluster, caller) = started(batching(Batching::Key), &[("a", 2), ("b", 2)]).await;
    let calls: Vec<usize> = (0..3000).map(|i| caller.send(&format!("k{i}"), &format!("m{i}"))).collect();
    assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
    assert_eq!(cluster.inner().most_by_broker, 256);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_leave_gathers_and_keeps_its_time() {
    let (cluster, caller) =
        started(ProducerOptions { send_timeout: Duration::from_secs(1), ..batching(Batching::Key) }, &[("a", 1)]).await;
    cluster.script(|_| Step { delay: Duration::from_millis(2500), answer: OK });
    for i in 0..256 {
        caller.send(&format!("k{i}"), "m");
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let began = env::now();
    let waiting = caller.send("waiting", "w0");
    let error = caller.error(waiting).await;
    assert_eq!((error.code(), error.outcome()), (Code::Timeout, Some(Outcome::NotStored)));
    assert!(env::now() - began < Duration::from_millis(1050));
    tokio::time::sleep(Duration::from_millis(900)).await;
    let calls = [caller.send("waiting", "w1"), caller.send("waiting", "w2")];
    caller.until(calls).await;
    let attempts = cluster.attempts();
    assert_eq!(attempts.len(), 257);
    assert_eq!(attempts[256], ["w1", "w2"]);
}

#[tokio::test(start_paused = true)]
async fn queues_are_independent_of_each_other() {
    let (cluster, caller) = started(options(), &[("a", 2)]).await;
    // "a" has hash 97 and goes to 1, "b" to 0.
    cluster.script(|seized| match seized.queue {
        0 => Step::from(Answer::Refused(2, "busy")),
        _ => Step::from(OK),
    });
    let stuck = caller.send("b", "stuck");
    let calls: Vec<usize> = (0..10).map(|i| caller.send("a", &format!("m{i}"))).collect();
    caller.until(calls).await;
    assert!(!caller.has_ended(stuck));
    assert_eq!(cluster.stored("a", 1).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_the_users_is_one_request_between_the_others() {
    for mode in [Batching::Queue, Batching::Key, Batching::Off] {
        let (cluster, caller) = started(batching(mode), &[("a", 1)]).await;
        let before = [caller.send("k", "m0"), caller.send("k", "m1")];
        let batch = caller.send_batch("k", &["b0", "b1", "b2"]);
        let alone = caller.send_batch("k", &["b3"]);
        let after = caller.send("k", "m2");
        let mut ended = caller.until(before).await;
        ended.extend(caller.until([batch, alone, after]).await);
        let receipts: Vec<Vec<(i64, String)>> = ended
            .iter()
            .map(|it| it.result.as_ref().unwrap().iter().map(|r| (r.queue_offset, r.msg_id.clone())).collect())
            .collect();
        let offsets: Vec<Vec<i64>> =
            receipts.iter().map(|receipts| receipts.iter().map(|&(offset, _)| offset).collect()).collect();
        assert_eq!(offsets, [vec![0], vec![1], vec![2, 3, 4], vec![5], vec![6]]);
        assert_eq!(cluster.stored("a", 0), ["m0", "m1", "b0", "b1", "b2", "b3", "m2"]);
        let inner = cluster.inner();
        let whole = inner.seized.iter().find(|seized| seized.bodies() == ["b0", "b1", "b2"]).expect("one request");
        let ids: Vec<&str> = whole.messages.iter().map(super::cluster::Seen::id).collect();
        assert_eq!(ids, receipts[2].iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>());
        assert!(inner.seized.iter().any(|seized| seized.bodies() == ["b3"] && !seized.batch));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_have_the_properties_of_the_wire() {
    let cluster = Cluster::with_namespace(Some("NS"));
    cluster.set_route("NS%T", &[("a", 1)]);
    let caller = Caller::new(&cluster, options());
    caller.producer.start().await.unwrap();
    assert_eq!(cluster.inner().registered.as_deref(), Some("NS%G"));
    let message = Outgoing {
        slot: 500,
        topic: String::from("T"),
        sharding_key: String::from("order-1"),
        body: Bytes::from_static(b"body"),
        tags: Some(String::from("TagA")),
        keys: Some(String::from("k1 k2")),
        properties: vec![(String::from("colour"), String::from("blue"))],
        timeout: None,
    };
    caller.producer.send(message).unwrap();
    while cluster.stored("a", 0).is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let inner = cluster.inner();
    let seized = &inner.seized[0];
    assert_eq!((seized.topic.as_str(), seized.group.as_str()), ("NS%T", "NS%G"));
    let mut properties = seized.messages[0].properties.clone();
    assert_eq!(properties.remove("UNIQ_KEY").unwrap().len(), 32);
    let expected = [
        ("INSTANCE_ID", "NS"),
        ("KEYS", "k1 k2"),
        ("TAGS", "TagA"),
        ("WAIT", "true"),
        ("__SHARDINGKEY", "order-1"),
        ("colour", "blue"),
    ];
    assert_eq!(properties.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn bad_messages_are_refused_before_anything_is_written() {
    let (cluster, caller) = one_queue().await;
    let good = || Outgoing {
        slot: 0,
        topic: String::from("T"),
        sharding_key: String::from("k"),
        body: Bytes::from_static(b"b"),
        ..Outgoing::default()
    };
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let bad = [
        (Outgoing { topic: String::new(), ..good() }, "topic"),
        (Outgoing { sharding_key: String::new(), ..good() }, "shardingKey"),
        (Outgoing { body: Bytes::new(), ..good() }, "body"),
        (Outgoing { body: Bytes::from(vec![0; (4 << 20) + 1]), ..good() }, "body"),
        (Outgoing { tags: Some(String::from("a\u{2}b")), ..good() }, "tags"),
        (Outgoing { keys: Some(String::from("a  b")), ..good() }, "keys"),
        (Outgoing { properties: pair("UNIQ_KEY", "x"), ..good() }, "properties"),
        (Outgoing { properties: pair("p", &"x".repeat(32_000)), ..good() }, "properties"),
    ];
    for (message, field) in bad {
        let error = caller.producer.send(message).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains(field), "{error}");
    }
    assert_eq!(caller.producer.stats().pending_messages, 0);
    assert!(cluster.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn close_ends_what_was_called_and_refuses_what_is_called_then() {
    let (cluster, caller) = one_queue().await;
    let calls: Vec<usize> = (0..10).map(|i| caller.send("k", &format!("m{i}"))).collect();
    caller.producer.close(Duration::from_secs(5)).await;
    assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
    assert!(cluster.inner().closed);
    assert_eq!(caller.error(caller.send("k", "late")).await.code(), Code::Closed);
    assert_eq!(caller.producer.queues("T").await.unwrap_err().code(), Code::Closed);
    caller.producer.close(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn close_rejects_what_is_left_when_its_time_is_up() {
    let (cluster, caller) = started(options(), &[("a", 2)]).await;
    cluster.script(|seized| match seized.queue {
        0 => Step::from(Answer::Refused(2, "busy")),
        _ => Step { delay: Duration::from_secs(2), answer: OK },
    });
    let (on_wire, behind) = (caller.launch(&cluster, "a", "m0").await, caller.send("a", "m1"));
    let resting = caller.send("b", "n0");
    let nowhere = caller.call("nowhere", "k", &["x"], false, None);
    tokio::time::sleep(Duration::from_millis(30)).await;
    let began = env::now();
    caller.producer.close(Duration::from_millis(500)).await;
    assert!(env::now() - began < Duration::from_millis(510));
    let ended = caller.until([on_wire, behind, resting, nowhere]).await;
    let outcomes: Vec<Outcome> =
        ended.iter().map(|ended| ended.result.as_ref().unwrap_err().outcome().unwrap()).collect();
    assert!(ended.iter().all(|ended| ended.result.as_ref().unwrap_err().code() == Code::Closed));
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::NotStored, Outcome::NotStored, Outcome::NotStored]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(caller.producer.stats().pending_messages, 0);
    let bodies: Vec<String> = cluster.attempts().into_iter().flatten().collect();
    assert!(!bodies.contains(&String::from("m1")));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_what_has_ended() {
    let (_cluster, caller) = started(batching(Batching::Key), &[("a", 4)]).await;
    let calls: Vec<usize> = (0..2000).map(|i| caller.send(&format!("k{}", i % 500), "m")).collect();
    caller.until(calls).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (keys, lanes, pending) = caller
        .producer
        .core
        .with(|state, _| (state.keys.iter().count(), state.lanes.iter().count(), state.pending.iter().count()));
    assert_eq!((keys, lanes, pending), (0, 1, 0), "but for the lane of the topic");
    let stats = caller.producer.stats();
    assert_eq!((stats.pending_messages, stats.pending_bytes, stats.sent, stats.failed), (0, 0, 2000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lane_waits_for_the_callers_it_has_just_settled_and_no_longer() {
    let gather = Duration::from_millis(500);
    for (back, waits) in [(3, false), (2, true)] {
        let (cluster, caller) = started(ProducerOptions { gather, ..options() }, &[("a", 1)]).await;
        let first = caller.launch(&cluster, "k", "m0").await;
        let calls = ["m1", "m2", "m3"].map(|body| caller.send("k", body));
        caller.until([first]).await;
        caller.until(calls).await;
        let (began, before) = (env::now(), cluster.attempts().len());
        let again: Vec<usize> = (0..back).map(|i| caller.send(&format!("k{i}"), "again")).collect();
        caller.until(again).await;
        assert_eq!((cluster.attempts().len() - before, began.elapsed() >= gather), (1, waits), "{back} of 3 came back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_goes_on_when_its_callers_have_had_their_turn() {
    let gather = Duration::from_secs(60);
    let (cluster, caller) = started(ProducerOptions { gather, ..options() }, &[("a", 1)]).await;
    caller.receipt(caller.send("k", "m0")).await;
    let others = ["m1", "m2"].map(|body| caller.send("k", body));
    caller.turn();
    caller.until(others).await;
    let began = env::now();
    // One of two comes back, and then all have had their turn.
    let back = caller.send("k", "m3");
    caller.turn();
    caller.receipt(back).await;
    assert_eq!(cluster.stored("a", 0), ["m0", "m1", "m2", "m3"]);
    assert!(began.elapsed() < Duration::from_secs(1));
}
