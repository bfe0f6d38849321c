//! Waiting for a route, and routes that change.

use std::time::Duration;

use super::caller::Caller;
use super::cluster::{Answer, Cluster, OK, Step};
use super::{ProducerOptions, options, started};
use crate::env;
use crate::error::{ClientError, Code, Outcome};
use crate::producer::options::{Batching, OnRouteChange};

const MODES: [Batching; 3] = [Batching::Queue, Batching::Key, Batching::Off];

fn with(batching: Batching) -> ProducerOptions {
    ProducerOptions { batching, ..options() }
}

/// Bodies of a key over all queues, in the order of storing.
fn stored_of(cluster: &Cluster, key: &str) -> Vec<String> {
    let inner = cluster.inner();
    let mut stored: Vec<_> = inner.stored.values().flatten().filter(|stored| stored.message.key() == key).collect();
    stored.sort_by_key(|stored| stored.order);
    stored.iter().map(|stored| stored.message.body.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_wait_for_a_route_in_the_order_of_the_calls() {
    for batching in MODES {
        let (cluster, caller) = started(with(batching), &[]).await;
        let calls: Vec<usize> = (0..20).map(|i| caller.send(["a", "b"][i % 2], &format!("{i}"))).collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(cluster.inner().refreshed > 1, "the route is asked for meanwhile");
        cluster.set_route("T", &[("x", 1)]);
        caller.until(calls).await;
        if batching == Batching::Key {
            assert_eq!(stored_of(&cluster, "a"), (0..20).step_by(2).map(|i| i.to_string()).collect::<Vec<_>>());
        } else {
            assert_eq!(cluster.stored("x", 0), (0..20).map(|i| i.to_string()).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_on_the_way_from_waiting_for_a_route_to_the_lanes() {
    for batching in MODES {
        let (cluster, caller) = started(with(batching), &[]).await;
        let mut calls: Vec<usize> = (0..12).map(|i| caller.send(["a", "b"][i % 2], &format!("{i}"))).collect();
        cluster.set_route("T", &[("x", 1)]);
        tokio::time::sleep(Duration::from_millis(200)).await;
        calls.extend((12..40).map(|i| caller.send(["a", "b", "c"][i % 3], &format!("{i}"))));
        caller.deliver_one();
        calls.extend((40..60).map(|i| caller.send(["a", "b", "c"][i % 3], &format!("{i}"))));
        caller.until(calls).await;
        for key in ["a", "b", "c"] {
            let stored: Vec<usize> = stored_of(&cluster, key).iter().map(|body| body.parse().unwrap()).collect();
            assert!(stored.is_sorted(), "{batching:?} {key}: {stored:?}");
        }
        if batching != Batching::Key {
            assert_eq!(cluster.stored("x", 0), (0..60).map(|i| i.to_string()).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_no_name_server_knows_fails_at_once() {
    let (cluster, caller) = started(options(), &[]).await;
    let calls = [caller.send("k", "m0"), caller.send("k", "m1"), caller.send("l", "n0")];
    tokio::time::sleep(Duration::from_millis(10)).await;
    cluster.fail_route("T", ClientError::new(Code::TopicNotFound, "create it"));
    let ended = caller.until(calls).await;
    let codes: Vec<Code> = ended.iter().map(|ended| ended.result.as_ref().unwrap_err().code()).collect();
    assert_eq!(codes, [Code::TopicNotFound, Code::OrderBroken, Code::TopicNotFound]);
    assert_eq!(ended[0].result.as_ref().unwrap_err().outcome(), Some(Outcome::NotStored));
    // It is made, and looked for again.
    let call = caller.send("k", "m2");
    cluster.set_route("T", &[("a", 1)]);
    caller.receipt(call).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_name_server_a_send_waits_for_its_time() {
    let (cluster, caller) = started(options(), &[]).await;
    cluster.fail_route("T", ClientError::new(Code::Connection, "no name server answers"));
    let began = env::now();
    let error = caller.error(caller.send("k", "m0")).await;
    assert_eq!((error.code(), error.outcome()), (Code::Timeout, Some(Outcome::NotStored)));
    assert!(error.to_json().contains("no name server answers"));
    assert!((Duration::from_secs(30)..Duration::from_millis(30_050)).contains(&(env::now() - began)));
}

#[tokio::test(start_paused = true)]
async fn a_topic_without_writable_queues_is_waited_for() {
    let (cluster, caller) = started(options(), &[("a", 1)]).await;
    caller.receipt(caller.send("k", "m0")).await;
    let mut read_only = Cluster::route_of(&[("a", 1)]);
    read_only.queue_datas[0].perm = 4;
    cluster.set("T", read_only);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let error = caller.error(caller.send("k", "m1")).await;
    assert_eq!((error.code(), error.outcome()), (Code::NoWritableQueue, Some(Outcome::NotStored)));
    let call = caller.send("k", "m2");
    cluster.set_route("T", &[("a", 1)]);
    caller.receipt(call).await;
    assert_eq!(cluster.stored("a", 0), ["m0", "m2"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_in_its_queue_while_anything_of_it_is_unresolved_and_then_follows_the_route() {
    for batching in MODES {
        let (cluster, caller) = started(with(batching), &[("a", 1)]).await;
        cluster.then([Answer::Refused(2, "busy"), Answer::Refused(2, "busy")]);
        // Over two queues, "a" goes to the second.
        let first = caller.send("a", "m0");
        tokio::time::sleep(Duration::from_millis(1)).await;
        cluster.set_route("T", &[("a", 2)]);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let behind = caller.send("a", "m1");
        caller.until([first, behind]).await;
        assert_eq!(cluster.stored("a", 0), ["m0", "m1"]);
        caller.receipt(caller.send("a", "m2")).await;
        assert_eq!(cluster.stored("a", 1), ["m2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_a_queue_that_has_gone_is_chosen_anew_in_order() {
    for batching in MODES {
        let (cluster, caller) = started(with(batching), &[("a", 1), ("b", 1)]).await;
        cluster.script(|seized| match seized.broker.as_str() {
            "a" => Step { delay: Duration::from_secs(1), answer: OK },
            _ => Step::from(OK),
        });
        // "b" and "d" go to the queue of a.
        let mut calls = vec![caller.launch(&cluster, "b", "0").await];
        if batching == Batching::Key {
            calls.push(caller.launch(&cluster, "d", "1").await);
        }
        calls.extend((calls.len()..10).map(|i| caller.send(["b", "d"][i % 2], &format!("{i}"))));
        cluster.set_route("T", &[("b", 1)]);
        assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
        // What was on the wire ended where it was.
        let on_wire = if batching == Batching::Key { 2 } else { 1 };
        assert_eq!((cluster.stored("a", 0).len(), cluster.stored("b", 0).len()), (on_wire, 10 - on_wire));
        for (key, first) in [("b", 0), ("d", 1)] {
            assert_eq!(stored_of(&cluster, key), (first..10).step_by(2).map(|i| i.to_string()).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_not_stored_leaves_with_the_queue() {
    for batching in MODES {
        let (cluster, caller) = started(with(batching), &[("a", 1), ("b", 1)]).await;
        cluster.script(|seized| Step::from(if seized.broker == "a" { Answer::NotSent } else { OK }));
        let calls: Vec<usize> = (0..4).map(|i| caller.send("b", &format!("{i}"))).collect();
        tokio::time::sleep(Duration::from_secs(3)).await;
        cluster.set_route("T", &[("b", 1)]);
        let began = env::now();
        caller.until(calls).await;
        assert!(env::now() - began < Duration::from_millis(40), "without waiting for the next attempt");
        assert_eq!(cluster.stored("b", 0), ["0", "1", "2", "3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_be_stored_stays_and_only_other_keys_leave() {
    let (cluster, caller) = started(options(), &[("a", 1), ("b", 1)]).await;
    cluster.script(|seized| match seized.broker.as_str() {
        "a" => Step::from(Answer::Silent { reset: Some(Duration::ZERO), stored: false }),
        _ => Step::from(OK),
    });
    let unknown = caller.send("b", "b0");
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (behind, other) = (caller.send("b", "b1"), caller.send("d", "d0"));
    tokio::time::sleep(Duration::from_millis(1)).await;
    cluster.set_route("T", &[("b", 1)]);
    caller.receipt(other).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!caller.has_ended(unknown) && !caller.has_ended(behind));
    // The broker is back, and so is the queue.
    cluster.script(|_| Step::from(OK));
    cluster.set_route("T", &[("a", 1), ("b", 1)]);
    caller.until([unknown, behind]).await;
    assert_eq!((cluster.stored("a", 0), cluster.stored("b", 0)), (vec!["b0".into(), "b1".into()], vec!["d0".into()]));
}

#[tokio::test(start_paused = true)]
async fn hold_lets_the_sends_of_a_lost_broker_wait_and_moves_no_key() {
    let options = ProducerOptions { on_route_change: OnRouteChange::Hold, ..options() };
    let (cluster, caller) = started(options, &[("a", 1), ("b", 1)]).await;
    caller.receipt(caller.send("b", "b0")).await;
    cluster.forget_master("a");
    cluster.set_route("T", &[("b", 1)]);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(caller.producer.queues("T").await.unwrap().len(), 2);
    let error = caller.error(caller.send("b", "b1")).await;
    assert_eq!((error.code(), error.outcome()), (Code::NoMaster, Some(Outcome::NotStored)));
    caller.receipt(caller.send("a", "a0")).await;
    let waiting = caller.send("b", "b2");
    cluster.set_route("T", &[("a", 1), ("b", 1)]);
    caller.receipt(waiting).await;
    assert_eq!((cluster.stored("a", 0), cluster.stored("b", 0)), (vec!["b0".into(), "b2".into()], vec!["a0".into()]));
}

#[tokio::test(start_paused = true)]
async fn what_waits_above_the_mark_survives_a_change_of_the_route() {
    for batching in MODES {
        let (cluster, caller) =
            started(ProducerOptions { max_pending_messages: 8, ..with(batching) }, &[("a", 1), ("b", 1)]).await;
        cluster.script(|seized| match seized.broker.as_str() {
            "a" => Step { delay: Duration::from_millis(400), answer: OK },
            _ => Step::from(OK),
        });
        let mut calls: Vec<usize> = (0..30).map(|i| caller.send(["b", "d"][i % 2], &format!("{i}"))).collect();
        assert_eq!(caller.producer.stats().waiting, 22);
        cluster.set_route("T", &[("b", 3)]);
        tokio::time::sleep(Duration::from_millis(100)).await;
        calls.extend((30..40).map(|i| caller.send(["b", "d"][i % 2], &format!("{i}"))));
        assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
        for (key, first) in [("b", 0), ("d", 1)] {
            assert_eq!(stored_of(&cluster, key), (first..40).step_by(2).map(|i| i.to_string()).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn queues_are_listed_before_and_after_the_first_send() {
    let cluster = Cluster::new();
    cluster.set_route("T", &[("a", 2), ("b", 1)]);
    let caller = Caller::new(&cluster, options());
    assert_eq!(caller.producer.queues("T").await.unwrap_err().code(), Code::InvalidState);
    caller.producer.start().await.unwrap();
    let names = |queues: Vec<crate::protocol::MessageQueue>| {
        queues.iter().map(|queue| format!("{}{}", queue.broker_name, queue.queue_id)).collect::<Vec<_>>()
    };
    assert_eq!(names(caller.producer.queues("T").await.unwrap()), ["a0", "a1", "b0"]);
    caller.receipt(caller.send("k", "m")).await;
    assert_eq!(names(caller.producer.queues("T").await.unwrap()), ["a0", "a1", "b0"]);
    assert_eq!(caller.producer.queues("nowhere").await.unwrap_err().code(), Code::TopicNotFound);
}

#[tokio::test(start_paused = true)]
async fn queues_that_nobody_reads_are_written_as_by_java_and_told_as_long_as_it_lasts() {
    let route = |read: i32, write: i32, perm: i32| {
        let mut route = Cluster::route_of(&[("a", write)]);
        (route.queue_datas[0].read_queues, route.queue_datas[0].perm) = (read, perm);
        route
    };
    let cluster = Cluster::new();
    cluster.set("T", route(2, 4, 6));
    let caller = Caller::new(&cluster, options());
    caller.producer.start().await.unwrap();
    let calls: Vec<usize> = (0..40).map(|i| caller.send(&format!("k{i}"), "m")).collect();
    assert!(caller.until(calls).await.iter().all(|ended| ended.result.is_ok()));
    assert!((0..4).all(|queue| !cluster.stored("a", queue).is_empty()), "no key moves");
    let warnings = || cluster.inner().warnings.iter().map(|warning| warning.message().to_owned()).collect::<Vec<_>>();
    let problems = || caller.producer.problems().into_iter().map(|it| it.message().to_owned()).collect::<Vec<_>>();
    assert_eq!(warnings().len(), 1);
    assert_eq!(problems(), warnings());
    assert!(warnings()[0].contains("queues 2 to 3 of a (the topic has 4 queues to write there and 2 to read)"));
    assert_eq!(caller.producer.problems()[0].code(), Code::UnreadQueue);

    let changed = async |read: i32, write: i32, perm: i32| {
        cluster.set("T", route(read, write, perm));
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    changed(2, 4, 6).await;
    assert_eq!(warnings().len(), 1, "nothing has changed");
    changed(4, 4, 2).await;
    assert!(
        warnings()[1].contains("queues 0 to 3 of a (the topic has no permission to read there)"),
        "{:?}",
        warnings()
    );
    changed(8, 4, 6).await;
    assert_eq!((problems().len(), warnings().len()), (0, 2), "draining is no fault");
}
