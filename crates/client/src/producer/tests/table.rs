//! The table of answers, row by row.

use std::time::Duration;

use super::cluster::{Answer, OK, Step};
use super::{ProducerOptions, one_queue, options, started};
use crate::env;
use crate::error::{ClientError, Code, Outcome};
use crate::producer::options::Batching;
use crate::protocol::StoredStatus;

const SILENT: Answer = Answer::Silent { reset: None, stored: false };

fn assert_failed(error: &ClientError, code: Code, outcome: Outcome) {
    assert_eq!((error.code(), error.outcome()), (code, Some(outcome)), "{error}");
}

fn json(error: &ClientError) -> serde_json::Value {
    serde_json::from_str(&error.to_json()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn codes_0_10_11_and_12_are_stored_and_never_sent_again() {
    use StoredStatus::{FlushDiskTimeout, FlushSlaveTimeout, Ok, SlaveNotAvailable};
    for (stored, status) in [(Ok, 0), (FlushDiskTimeout, 1), (FlushSlaveTimeout, 2), (SlaveNotAvailable, 3)] {
        let (cluster, caller) = one_queue().await;
        cluster.then([Answer::Stored(stored)]);
        let receipt = caller.receipt(caller.send("k", "m")).await;
        assert_eq!((receipt.status, receipt.queue_offset), (status, 0));
        assert_eq!((receipt.offset_msg_id.as_str(), receipt.queue.topic.as_str()), ("a:0", "T"));
        assert_eq!(cluster.attempts().len(), 1);
        assert_eq!(receipt.msg_id, cluster.inner().seized[0].messages[0].id());
    }
}

#[tokio::test(start_paused = true)]
async fn busy_answers_are_tried_again_with_the_same_ids_until_they_pass() {
    let busy = [
        Answer::Refused(2, "[TIMEOUT_CLEAN_QUEUE]"),
        Answer::Refused(14, "service not available"),
        Answer::Refused(1500, "go away"),
        Answer::Refused(215, "flow control"),
        Answer::Refused(2, "[PC_SYNCHRONIZED]"),
        Answer::Refused(1, "[PC_SYNCHRONIZED] too many requests"),
        Answer::NotSent,
    ];
    let (cluster, caller) = one_queue().await;
    let attempts = busy.len() + 1;
    cluster.then(busy);
    let began = env::now();
    let receipt = caller.receipt(caller.send("k", "m")).await;
    assert_eq!(receipt.queue_offset, 0);
    assert_eq!(cluster.stored("a", 0), ["m"]);
    let inner = cluster.inner();
    assert_eq!(inner.seized.len(), attempts);
    assert!(inner.seized.iter().all(|it| it.queue == 0 && it.messages == inner.seized[0].messages));
    // 50 ms, doubling up to a second, ± 20 %.
    let pauses: Vec<u128> = inner.seized.windows(2).map(|two| (two[1].at - two[0].at).as_millis() - 5).collect();
    for (pause, base) in pauses.iter().zip([50, 100, 200, 400, 800, 1000, 1000]) {
        assert!((base * 8 / 10..=base * 12 / 10 + 2).contains(pause), "{pauses:?}");
    }
    assert!(env::now() - began < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_outlasts_the_time_is_broker_busy_and_not_stored() {
    let (cluster, caller) = one_queue().await;
    // At once, so that none is under way when the time is up.
    cluster.script(|_| Step { delay: Duration::ZERO, answer: Answer::Refused(2, "[PCBUSY_CLEAN_QUEUE]") });
    let began = env::now();
    let error = caller.error(caller.send("k", "m")).await;
    assert_failed(&error, Code::BrokerBusy, Outcome::NotStored);
    assert_eq!(error.broker_code(), Some(2));
    assert!(error.retriable());
    assert!(json(&error)["msgId"].is_string(), "it has reached the wire");
    let took = env::now() - began;
    assert!((Duration::from_secs(30)..Duration::from_millis(30_050)).contains(&took), "{took:?}");
    // F6: no busy loop.
    assert!(cluster.attempts().len() < 50);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_until_the_end_is_not_stored_and_has_no_id() {
    let (cluster, caller) = one_queue().await;
    // At once, so that none is under way when the time is up.
    cluster.script(|_| Step { delay: Duration::ZERO, answer: Answer::NotSent });
    let error = caller.error(caller.send("k", "m")).await;
    assert_failed(&error, Code::Connection, Outcome::NotStored);
    assert!(json(&error)["msgId"].is_null());
    assert_eq!(json(&error)["queue"]["brokerName"], "a");
    assert!(cluster.inner().refreshed > 0, "the route is looked at again");
}

#[tokio::test(start_paused = true)]
async fn a_broker_without_a_master_is_waited_for() {
    let (cluster, caller) = one_queue().await;
    let first = caller.send("k", "m0");
    caller.receipt(first).await;
    cluster.forget_master("a");
    let error = caller.error(caller.send("k", "m1")).await;
    assert_failed(&error, Code::NoMaster, Outcome::NotStored);

    let call = caller.send("k", "m2");
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.set_route("T", &[("a", 1)]);
    assert_eq!(caller.receipt(call).await.queue_offset, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_on_the_wire_while_there_is_no_connection() {
    for batching in [Batching::Queue, Batching::Key, Batching::Off] {
        let (cluster, caller) = started(ProducerOptions { batching, ..options() }, &[("a", 1)]).await;
        cluster.inner().dead.insert(String::from("a:10911"));
        let late = caller.call("T", "k", &["m0"], false, Some(Duration::from_secs(1)));
        let error = caller.error(late).await;
        assert_failed(&error, Code::Timeout, Outcome::NotStored);
        assert!(json(&error)["msgId"].is_null());
        assert_eq!(json(&error)["address"], "a:10911");

        let aborted = caller.send("k", "m1");
        tokio::time::sleep(Duration::from_millis(10)).await;
        caller.abort(aborted);
        assert_failed(&caller.error(aborted).await, Code::Aborted, Outcome::NotStored);

        let call = caller.send("k", "m2");
        tokio::time::sleep(Duration::from_secs(10)).await;
        cluster.inner().dead.clear();
        assert_eq!(caller.receipt(call).await.queue_offset, 0);
        assert_eq!(cluster.attempts(), [["m2"]]);
        let stats = caller.producer.stats();
        assert_eq!((stats.requests, stats.retries), (1, 0), "attempts to connect are no requests");
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_are_true_behind_a_message_whose_time_was_up_on_the_wire() {
    let (cluster, caller) = one_queue().await;
    let first = caller.launch(&cluster, "x", "m0").await;
    let calls = ["a", "b", "c", "d"].map(|key| {
        let timeout = (key == "b").then(|| Duration::from_secs(1));
        caller.call("T", key, &[key], false, timeout)
    });
    cluster.then([Step { delay: Duration::from_secs(2), answer: OK }]);
    caller.receipt(first).await;
    assert_failed(&caller.error(calls[1]).await, Code::Timeout, Outcome::Unknown);
    for (call, offset) in [(calls[0], 1), (calls[2], 3), (calls[3], 4)] {
        let receipt = caller.receipt(call).await;
        assert_eq!((receipt.queue_offset, receipt.offset_msg_id), (offset, format!("a:{offset}")));
    }
}

#[tokio::test(start_paused = true)]
async fn batches_refused_by_code_3_go_one_by_one_and_the_topic_is_remembered() {
    for refusal in [
        Answer::Refused(3, "request code 320 unsupported"),
        Answer::Refused(1, "the topic[T] is batch send , not support"),
    ] {
        let (cluster, caller) = one_queue().await;
        cluster.then([OK, refusal]);
        let mut calls = vec![caller.launch(&cluster, "k", "m0").await];
        calls.extend((1..4).map(|i| caller.send("k", &format!("m{i}"))));
        for ended in caller.until(calls).await {
            assert!(ended.result.is_ok());
        }
        let more = ["m4", "m5"].map(|body| caller.send("k", body));
        caller.until(more).await;
        assert_eq!(cluster.stored("a", 0), ["m0", "m1", "m2", "m3", "m4", "m5"]);
        let batch = ["m1", "m2", "m3"].map(str::to_owned).to_vec();
        let one = |body: &str| vec![body.to_owned()];
        let expected = [one("m0"), batch, one("m1"), one("m2"), one("m3"), one("m4"), one("m5")];
        assert_eq!(cluster.attempts(), expected);
        let inner = cluster.inner();
        assert!(inner.seized[1].batch && !inner.seized[2].batch);
        assert_eq!(inner.seized[1].messages[0].id(), inner.seized[2].messages[0].id(), "the same ids");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_guilty_message_of_an_illegal_batch_fails_and_batching_goes_on() {
    for refusal in [Answer::Refused(13, "the message is illegal"), Answer::Refused(1, "message body size exceeded")] {
        let (cluster, caller) = one_queue().await;
        cluster.script(move |seized| {
            let guilty = seized.bodies().contains(&"guilty");
            Step::from(if guilty { refusal.clone() } else { OK })
        });
        let calls: Vec<usize> = [("k", "m0"), ("k", "m1"), ("l", "guilty"), ("k", "m2"), ("l", "after"), ("j", "m3")]
            .map(|(key, body)| caller.send(key, body))
            .to_vec();
        let ended = caller.until(calls).await;
        let failed = ended[2].result.clone().unwrap_err();
        assert_failed(&failed, Code::Broker, Outcome::NotStored);
        let broken = ended[4].result.clone().unwrap_err();
        assert_failed(&broken, Code::OrderBroken, Outcome::NotStored);
        assert_eq!(json(&broken)["cause"]["code"], "ERR_ROCKETMQ_BROKER");
        assert_eq!(cluster.stored("a", 0), ["m0", "m1", "m2", "m3"]);
        assert!(!cluster.attempts().iter().skip(1).any(|bodies| bodies.contains(&String::from("after"))));

        // Batches are taken here: it was the message.
        let more = ["a", "b", "c"].map(|body| caller.send("k", body));
        caller.until(more).await;
        assert_eq!(cluster.attempts().last().unwrap(), &["a", "b", "c"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_the_users_is_refused_with_its_own_text_where_there_are_no_batches() {
    let (cluster, caller) = one_queue().await;
    cluster.then([Answer::Refused(3, "request code 320 unsupported")]);
    let batch = caller.send_batch("k", &["m0", "m1"]);
    let behind = caller.send("k", "m2");
    let error = caller.error(batch).await;
    assert_failed(&error, Code::Broker, Outcome::NotStored);
    assert!(error.message().contains("takes no batches"), "{error}");
    assert_eq!(error.broker_code(), Some(3));
    assert_eq!(caller.error(behind).await.code(), Code::OrderBroken);
    assert!(cluster.stored("a", 0).is_empty());
}

#[tokio::test(start_paused = true)]
async fn refusals_for_good_fail_the_whole_batch_at_once() {
    let refusals = [
        (16, "No permission", Code::AccessDenied),
        (17, "topic not exist", Code::TopicNotFound),
        (26, "group not exist", Code::GroupNotFound),
        (29, "illegal queue id", Code::Broker),
        (1, "org.apache.rocketmq.acl.common.AclException: Check signature failed", Code::Broker),
    ];
    for (code, remark, expected) in refusals {
        let (cluster, caller) = one_queue().await;
        cluster.then([OK, Answer::Refused(code, remark)]);
        let mut calls = vec![caller.launch(&cluster, "k", "m0").await];
        calls.extend([("k", "m1"), ("l", "n1"), ("k", "m2")].map(|(key, body)| caller.send(key, body)));
        let ended = caller.until(calls).await;
        assert!(ended[0].result.is_ok());
        for failed in [1, 2] {
            assert_failed(ended[failed].result.as_ref().unwrap_err(), expected, Outcome::NotStored);
        }
        assert_failed(ended[3].result.as_ref().unwrap_err(), Code::OrderBroken, Outcome::NotStored);
        assert_eq!(cluster.attempts().len(), 2, "never sent again");
        // The fence has been lifted by the deliveries.
        caller.receipt(caller.send("k", "m3")).await;
        assert_eq!(cluster.stored("a", 0), ["m0", "m3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_is_refused_fails_at_once_and_has_no_id() {
    let (cluster, caller) = one_queue().await;
    cluster.then([Answer::Denied]);
    let error = caller.error(caller.send("k", "m")).await;
    assert_failed(&error, Code::AccessDenied, Outcome::NotStored);
    assert!(json(&error)["msgId"].is_null());
    assert_eq!(cluster.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_tried_again_whole_while_the_lane_waits() {
    for unknown in [
        Answer::Silent { reset: None, stored: true },
        Answer::Silent { reset: Some(Duration::from_millis(1)), stored: false },
        Answer::Refused(1, "unknown"),
    ] {
        let (cluster, caller) = one_queue().await;
        cluster.then([OK, unknown]);
        let mut calls = vec![caller.launch(&cluster, "k", "m0").await];
        calls.extend((1..3).map(|i| caller.send("k", &format!("m{i}"))));
        tokio::time::sleep(Duration::from_millis(8)).await;
        calls.push(caller.send("k", "m3"));
        assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
        let inner = cluster.inner();
        assert_eq!(inner.seized[1].messages, inner.seized[2].messages);
        assert_eq!(inner.seized[3].bodies(), ["m3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_refusal_does_not_make_an_unknown_outcome_known() {
    for refusal in [Answer::Refused(16, "no"), Answer::Refused(2, "[OVERLOAD]"), Answer::NotSent] {
        let (cluster, caller) = one_queue().await;
        cluster.then([SILENT]);
        let busy = !matches!(refusal, Answer::Refused(16, _));
        cluster.script(move |_| Step::from(refusal.clone()));
        let error = caller.error(caller.send("k", "m")).await;
        assert_failed(&error, if busy { Code::Timeout } else { Code::AccessDenied }, Outcome::Unknown);
        assert!(json(&error)["msgId"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_1_without_a_known_meaning_is_tried_again_three_times() {
    let (cluster, caller) = one_queue().await;
    cluster.script(|_| Step::from(Answer::Refused(1, "unknown")));
    let error = caller.error(caller.send("k", "m")).await;
    assert_failed(&error, Code::Broker, Outcome::Unknown);
    assert_eq!(cluster.attempts().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_rejects_on_the_wire_with_unknown_and_the_lane_stays_occupied_until_the_request_has_ended() {
    let (cluster, caller) =
        started(super::ProducerOptions { send_timeout: Duration::from_secs(2), ..options() }, &[("a", 1)]).await;
    cluster.then([SILENT]);
    let began = env::now();
    let first = caller.launch(&cluster, "k", "m0").await;
    let second = caller.send("l", "n0");
    let error = caller.error(first).await;
    assert_failed(&error, Code::Timeout, Outcome::Unknown);
    assert_eq!((env::now() - began).as_secs(), 2);
    // The other message waited behind it, and its time was up, too.
    assert_failed(&caller.error(second).await, Code::Timeout, Outcome::NotStored);
    let after = caller.send("k", "m1");
    assert!(caller.receipt(after).await.queue_offset == 0);
    let inner = cluster.inner();
    assert_eq!(inner.seized.len(), 2);
    let apart = inner.seized[1].at - inner.seized[0].at;
    assert!(apart >= Duration::from_secs(3), "the request took its own time-out: {apart:?}");
}

#[tokio::test(start_paused = true)]
async fn each_send_has_its_own_time() {
    let (cluster, caller) = one_queue().await;
    cluster.then([SILENT]);
    let on_wire = caller.launch(&cluster, "k", "m0").await;
    let patient = caller.send("l", "n0");
    let hasty = caller.call("T", "j", &["j0"], false, Some(Duration::from_millis(200)));
    let began = env::now();
    assert_failed(&caller.error(hasty).await, Code::Timeout, Outcome::NotStored);
    let took = env::now() - began;
    assert!((Duration::from_millis(200)..Duration::from_millis(230)).contains(&took), "{took:?}");
    assert!(caller.until([on_wire, patient]).await.iter().all(|ended| ended.result.is_ok()));
    assert_eq!(cluster.stored("a", 0), ["m0", "n0"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_time_is_up_between_attempts_leaves_its_batch() {
    let (cluster, caller) = one_queue().await;
    cluster.then([OK]);
    let first = caller.launch(&cluster, "k", "m0").await;
    let late = caller.call("T", "k", &["m1"], false, Some(Duration::from_millis(100)));
    let behind = caller.send("k", "m2");
    let other = caller.send("l", "n0");
    cluster.then([Answer::Refused(2, "busy"), Answer::Refused(2, "busy"), Answer::Refused(2, "busy")]);
    let ended = caller.until([first, late, behind, other]).await;
    assert_failed(ended[1].result.as_ref().unwrap_err(), Code::BrokerBusy, Outcome::NotStored);
    assert_failed(ended[2].result.as_ref().unwrap_err(), Code::OrderBroken, Outcome::NotStored);
    assert!(ended[3].result.is_ok());
    assert_eq!(cluster.attempts().last().unwrap(), &["n0"]);
    assert_eq!(cluster.stored("a", 0), ["m0", "n0"]);
}

#[tokio::test(start_paused = true)]
async fn offsets_that_do_not_rise_are_warned_about() {
    let (cluster, caller) = started(super::ProducerOptions { batching: Batching::Off, ..options() }, &[("a", 1)]).await;
    cluster.inner().lies.extend([7, 3, 4]);
    let calls = ["m0", "m1", "m2"].map(|body| caller.send("k", body));
    let ended = caller.until(calls).await;
    let offsets: Vec<i64> = ended.iter().map(|ended| ended.result.as_ref().unwrap()[0].queue_offset).collect();
    assert_eq!(offsets, [7, 3, 4]);
    let inner = cluster.inner();
    assert_eq!(inner.warnings.len(), 1, "{:?}", inner.warnings);
    assert!(inner.warnings[0].message().contains("offset 3"));
}
