//! P5: a failure takes what was called before its delivery, and nothing that was called after.

use std::time::Duration;

use super::cluster::{Answer, OK, Step};
use super::{ProducerOptions, one_queue, options, started};
use crate::error::{ClientError, Code, Outcome};
use crate::producer::options::Batching;

const MODES: [Batching; 3] = [Batching::Queue, Batching::Key, Batching::Off];

fn code(error: &ClientError) -> Code {
    error.code()
}

#[tokio::test(start_paused = true)]
async fn what_is_called_before_the_delivery_goes_with_the_failure_and_what_comes_after_starts_afresh() {
    for batching in MODES {
        let (cluster, caller) = started(ProducerOptions { batching, ..options() }, &[("a", 1)]).await;
        cluster.then([OK, Answer::Refused(16, "no")]);
        let first = caller.send("k", "m0");
        tokio::time::sleep(Duration::from_millis(1)).await;
        let failing = caller.send("k", "m1");
        // Both have been decided, and neither was delivered.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let between = caller.send("k", "m2");
        let other = caller.send("l", "n0");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(caller.receipt(first).await.queue_offset, 0);
        assert_eq!(code(&caller.error(failing).await), Code::AccessDenied);
        let after = caller.send("k", "m3");
        assert_eq!(code(&caller.error(between).await), Code::OrderBroken);
        assert!(caller.until([other, after]).await.iter().all(|ended| ended.result.is_ok()));
        assert_eq!(cluster.stored("a", 0), ["m0", "n0", "m3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_failure_on_its_way_keeps_the_key_closed() {
    for batching in MODES {
        let (cluster, caller) = started(ProducerOptions { batching, ..options() }, &[("a", 1)]).await;
        cluster.then([Answer::Silent { reset: None, stored: false }]);
        let on_wire = caller.call("T", "k", &["m0"], false, Some(Duration::from_secs(1)));
        while cluster.attempts().is_empty() {
            tokio::task::yield_now().await;
        }
        let middle = caller.send("k", "m1");
        let aborted = caller.send("k", "m2");
        let last = caller.send("k", "m3");
        tokio::time::sleep(Duration::from_millis(100)).await;
        // The first failure: m2, which takes m3; the second: m0, whose time is up, which takes m1.
        caller.abort(aborted);
        tokio::time::sleep(Duration::from_secs(1)).await;
        while !caller.has_ended(aborted) {
            assert!(caller.deliver_one());
        }
        assert!(!caller.has_ended(on_wire));
        let too_early = caller.send("k", "m4");
        caller.deliver();
        let afresh = caller.send("k", "m5");
        let ended = caller.until([on_wire, middle, aborted, last, too_early, afresh]).await;
        let codes: Vec<Option<Code>> = ended.iter().map(|ended| ended.result.as_ref().err().map(code)).collect();
        let broken = Some(Code::OrderBroken);
        assert_eq!(codes, [Some(Code::Timeout), broken, Some(Code::Aborted), broken, broken, None]);
        let outcomes: Vec<_> = ended[..4].iter().map(|it| it.result.as_ref().unwrap_err().outcome().unwrap()).collect();
        assert_eq!(outcomes, [Outcome::Unknown, Outcome::NotStored, Outcome::NotStored, Outcome::NotStored]);
        assert_eq!(cluster.stored("a", 0), ["m5"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_takes_out_what_waits_and_its_successors_but_nothing_before() {
    for batching in MODES {
        let (cluster, caller) = started(ProducerOptions { batching, ..options() }, &[("a", 1)]).await;
        let mut calls = vec![caller.launch(&cluster, "k", "m0").await];
        calls.extend((1..5).map(|i| caller.send("k", &format!("m{i}"))));
        caller.abort(calls[0]);
        caller.abort(calls[2]);
        caller.abort(calls[2]);
        let ended = caller.until(calls).await;
        let codes: Vec<Option<Code>> = ended.iter().map(|ended| ended.result.as_ref().err().map(code)).collect();
        let broken = Some(Code::OrderBroken);
        assert_eq!(codes, [None, None, Some(Code::Aborted), broken, broken], "on the wire it has no effect");
        assert_eq!(cluster.stored("a", 0), ["m0", "m1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_between_two_attempts_takes_out_what_was_not_stored_but_not_what_may_be() {
    let (cluster, caller) = one_queue().await;
    cluster.then([Answer::Refused(2, "busy")]);
    let call = caller.send("k", "m0");
    tokio::time::sleep(Duration::from_millis(10)).await;
    caller.abort(call);
    assert_eq!(caller.error(call).await.code(), Code::Aborted);

    cluster.then([Answer::Silent { reset: Some(Duration::ZERO), stored: false }]);
    let call = caller.launch(&cluster, "k", "m1").await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    caller.abort(call);
    caller.receipt(call).await;
    assert_eq!(cluster.stored("a", 0), ["m1"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_takes_what_waits_above_the_mark_too() {
    for batching in MODES {
        let options = ProducerOptions { batching, max_pending_messages: 4, ..options() };
        let (cluster, caller) = started(options, &[("a", 1)]).await;
        cluster.then([Answer::Refused(16, "no")]);
        let calls: Vec<usize> = (0..6).map(|i| caller.send("k", &format!("m{i}"))).collect();
        assert_eq!(caller.producer.stats().waiting, 2);
        let ended = caller.until(calls).await;
        let codes: Vec<Option<Code>> = ended.iter().map(|ended| ended.result.as_ref().err().map(code)).collect();
        assert_eq!(codes[0], Some(Code::AccessDenied));
        assert!(codes[1..].iter().all(|&code| code == Some(Code::OrderBroken)), "{codes:?}");
        caller.receipt(caller.send("k", "m6")).await;
        assert_eq!(cluster.stored("a", 0), ["m6"]);
        assert_eq!(cluster.attempts().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_on_the_wire_takes_its_keys_later_messages_of_the_same_batch_as_unknown() {
    let (cluster, caller) = one_queue().await;
    cluster.then([OK, Answer::Silent { reset: None, stored: true }]);
    let first = caller.launch(&cluster, "l", "l0").await;
    let hasty = caller.call("T", "k", &["m0"], false, Some(Duration::from_secs(1)));
    let same_batch = caller.send("k", "m1");
    let other = caller.send("l", "l1");
    let ended = caller.until([first, hasty, same_batch, other]).await;
    let outcomes: Vec<_> =
        ended.iter().map(|it| it.result.as_ref().err().map(|error| (error.code(), error.outcome().unwrap()))).collect();
    let unknown = |code| Some((code, Outcome::Unknown));
    assert_eq!(outcomes, [None, unknown(Code::Timeout), unknown(Code::OrderBroken), None]);
    // The other key was tried again, without them.
    assert_eq!(cluster.attempts().last().unwrap(), &["l1"]);
}

#[tokio::test(start_paused = true)]
async fn keys_of_other_topics_have_the_same_name_and_nothing_else_in_common() {
    let (cluster, caller) = one_queue().await;
    cluster.set_route("U", &[("a", 1)]);
    cluster.script(|seized| Step::from(if seized.topic == "T" { Answer::Refused(16, "no") } else { OK }));
    let failing = caller.send("k", "m0");
    let other = caller.call("U", "k", &["u0"], false, None);
    let ended = caller.until([failing, other]).await;
    assert!(ended[0].result.is_err() && ended[1].result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_that_one_failure_takes_with_it_share_one_error() {
    let (cluster, caller) = one_queue().await;
    cluster.then([Answer::Refused(16, "no")]);
    let failing = caller.launch(&cluster, "k", "m").await;
    let behind: Vec<usize> = (0..1_000).map(|i| caller.send("k", &format!("m{i}"))).collect();
    caller.error(failing).await;
    let errors: Vec<ClientError> =
        caller.until(behind).await.into_iter().map(|ended| ended.result.unwrap_err()).collect();
    assert_eq!((errors[0].code(), errors[0].outcome()), (Code::OrderBroken, Some(Outcome::NotStored)));
    assert!(errors.iter().all(|error| error.is_same(&errors[0])));
}

#[tokio::test(start_paused = true)]
async fn one_signal_of_many_sends_aborts_them_and_takes_the_others_of_their_keys_along() {
    for batching in MODES {
        let (cluster, caller) = started(ProducerOptions { batching, ..options() }, &[("a", 1)]).await;
        let sent = caller.launch(&cluster, "k", "m0").await;
        let calls = ["m1", "m2", "m3", "m4"].map(|body| caller.send("k", body));
        let other = caller.send("l", "n0");
        // Of the five sends of the key the first is on the wire; the second and the fourth of the others are not aborted.
        caller.abort_all(&[sent, calls[0], calls[2]]);
        let codes: Vec<Code> =
            caller.until(calls).await.iter().map(|it| code(it.result.as_ref().unwrap_err())).collect();
        assert_eq!(codes, [Code::Aborted, Code::OrderBroken, Code::Aborted, Code::OrderBroken]);
        assert!(caller.until([sent, other]).await.iter().all(|ended| ended.result.is_ok()));
        caller.receipt(caller.send("k", "m5")).await;
        assert_eq!(cluster.stored("a", 0), ["m0", "n0", "m5"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_failure_takes_along_is_one_run_that_names_it() {
    let (cluster, caller) = one_queue().await;
    cluster.then([Answer::Refused(16, "no")]);
    let calls: Vec<usize> = (0..1_000).map(|i| caller.send("k", &format!("m{i}"))).collect();
    caller.until(calls).await;
    let runs = caller.runs();
    assert_eq!(runs.iter().map(|(count, ..)| count).sum::<usize>(), 1_000);
    let (first, followers) = runs.split_first().unwrap();
    assert_eq!(*first, (1, Some(1), 0));
    assert!(followers.iter().all(|&(_, failure, cause)| failure.is_none() && cause == 1), "{followers:?}");
    // Those that were in the same request are known by their ids, and so alone; the others are one run.
    assert!(followers.iter().any(|&(count, ..)| count > 500) || followers.len() == 999, "{followers:?}");
}
