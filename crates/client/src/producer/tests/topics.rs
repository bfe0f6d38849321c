//! Topics that nobody knows: how long they are looked for.

use std::time::Duration;

use super::cluster::{Answer, Cluster};
use super::{ProducerOptions, options, started};
use crate::env;
use crate::error::{ClientError, Code};
use crate::producer::options::Batching;

const REFRESH: Duration = Duration::from_secs(30);

fn unknown() -> ClientError {
    ClientError::new(Code::TopicNotFound, "create it")
}

/// A name server that keeps saying no, for this long.
async fn refuse(cluster: &Cluster, topic: &str, time: Duration) {
    let until = env::now() + time;
    while env::now() < until {
        cluster.fail_route(topic, unknown());
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

fn topics(caller: &super::caller::Caller) -> (usize, usize) {
    caller.producer.core.with(|state, _| (state.topics.iter().count(), state.lanes.iter().count()))
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_nobody_knows_is_looked_for_while_it_is_sent_to_and_a_while_longer() {
    let (cluster, caller) = started(options(), &[]).await;
    for _ in 0..3 {
        let call = caller.send("k", "m");
        cluster.fail_route("T", unknown());
        assert_eq!(caller.error(call).await.code(), Code::TopicNotFound);
        refuse(&cluster, "T", Duration::from_secs(27)).await;
        assert_eq!(cluster.followers("T"), 1, "sent to less than 30 s ago");
    }
    refuse(&cluster, "T", Duration::from_secs(6)).await;
    assert_eq!((cluster.followers("T"), topics(&caller)), (0, (0, 0)));
    // It is made, and sent to again.
    let call = caller.send("k", "m0");
    assert_eq!(cluster.followers("T"), 1);
    cluster.set_route("T", &[("a", 1)]);
    caller.receipt(call).await;
    assert_eq!(cluster.stored("a", 0), ["m0"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_route_that_no_name_server_could_give_yet_keeps_its_topic() {
    let (cluster, caller) = started(options(), &[]).await;
    cluster.fail_route("T", ClientError::new(Code::Connection, "no name server answers"));
    let call = caller.call("T", "k", &["m0"], false, Some(Duration::from_secs(600)));
    tokio::time::sleep(Duration::from_secs(500)).await;
    cluster.set_route("T", &[("a", 1)]);
    caller.receipt(call).await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_of_the_options_is_never_forgotten() {
    let cluster = Cluster::new();
    cluster.set_route("T", &[("a", 1)]);
    let options = ProducerOptions { topics: vec![String::from("T")], ..options() };
    let caller = super::Caller::new(&cluster, options);
    caller.producer.start().await.unwrap();
    refuse(&cluster, "T", Duration::from_secs(600)).await;
    assert_eq!(cluster.followers("T"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_is_forgotten_with_its_queues_and_one_whose_brokers_are_down_is_not() {
    for batching in [Batching::Queue, Batching::Key, Batching::Off] {
        let (cluster, caller) = started(ProducerOptions { batching, ..options() }, &[("a", 2)]).await;
        caller.receipt(caller.send("a", "m0")).await;
        caller.receipt(caller.send("b", "m1")).await;
        cluster.inner().dead.insert(String::from("a:10911"));
        refuse(&cluster, "T", Duration::from_secs(600)).await;
        assert_eq!(cluster.followers("T"), 1, "the broker may come back, and the topic with it");
        let waiting = caller.send("a", "m2");
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.inner().dead.clear();
        caller.receipt(waiting).await;
        // A name server that was just started knows nothing for a while.
        refuse(&cluster, "T", 3 * REFRESH).await;
        assert_eq!(cluster.followers("T"), 1);
        refuse(&cluster, "T", 2 * REFRESH).await;
        assert_eq!((cluster.followers("T"), topics(&caller)), (0, (0, 0)));
        // Made anew, its offsets begin anew, which is no reason to warn.
        cluster.inner().stored.clear();
        let call = caller.send("a", "m3");
        cluster.set_route("T", &[("a", 2)]);
        assert_eq!(caller.receipt(call).await.queue_offset, 0);
        assert!(cluster.inner().warnings.is_empty(), "{:?}", cluster.inner().warnings);
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_with_a_send_on_the_wire_is_not_forgotten() {
    let (cluster, caller) = started(options(), &[("a", 1)]).await;
    cluster.script(|_| super::cluster::Step::from(Answer::Silent { reset: None, stored: false }));
    let call = caller.call("T", "k", &["m0"], false, Some(Duration::from_secs(1_000)));
    refuse(&cluster, "T", Duration::from_secs(600)).await;
    assert_eq!(cluster.followers("T"), 1);
    cluster.script(|_| super::cluster::Step::from(super::cluster::OK));
    caller.receipt(call).await;
}
