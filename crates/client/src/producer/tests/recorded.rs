//! What a producer writes down of its sends, line by line.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::cluster::{Answer, Cluster};
use super::{ProducerOptions, options, started};
use crate::env;
use crate::error::Code;
use crate::producer::options::Batching;
use crate::record::Lines;
use crate::record::event::{self, Event, Settled};

/// A line in words.
fn words(event: &Event) -> String {
    match event {
        Event::Hello(hello) if hello.mixes_keys => String::from("hello, mixing keys"),
        Event::Hello(_) => String::from("hello"),
        Event::Closed {} => String::from("closed"),
        Event::Route { topic, queues } => {
            let queues: Vec<_> = queues.iter().map(|queue| format!("{}:{}", queue.broker, queue.id)).collect();
            format!("route {topic} [{}]", queues.join(", "))
        }
        Event::Heard { topic, key } => format!("heard {topic} {key}"),
        Event::Submit { send, topic, key, ids } => format!("submit {send} {topic} {key} ({})", ids.len()),
        Event::Wire { request, queue, sends } => format!("wire {request} {queue} {sends:?}"),
        Event::Answer { request, outcome } => match outcome {
            event::Answer::Stored { offset } => format!("answer {request} stored {offset}"),
            event::Answer::Refused { code } => format!("answer {request} refused {code}"),
            event::Answer::Unsent => format!("answer {request} unsent"),
            event::Answer::Unknown => format!("answer {request} unknown"),
        },
        Event::Settle { send, outcome } => match outcome {
            Settled::Stored { queue, offset } => format!("settle {send} {queue} {offset}"),
            Settled::Failed { code } => format!("settle {send} failed {code}"),
            Settled::Unknown { code } => format!("settle {send} unknown {code}"),
        },
        other => panic!("{other:?} is no producer's"),
    }
}

struct World {
    cluster: Arc<Cluster>,
    caller: Caller,
    lines: Lines,
}

impl World {
    async fn new(options: ProducerOptions) -> Self {
        let lines = Lines::since(env::now());
        let (cluster, caller) = started(ProducerOptions { history: lines.history("p"), ..options }, &[("a", 1)]).await;
        Self { cluster, caller, lines }
    }

    /// All behind the first line, and that of the route.
    fn told(&self) -> String {
        let lines: Vec<_> = self.lines.all().iter().skip(1).map(|line| words(&line.event)).collect();
        assert_eq!(lines[0], "route T [a:0]");
        lines[1..].join(" | ")
    }
}

#[tokio::test(start_paused = true)]
async fn from_the_first_line_to_the_last() {
    let world = World::new(options()).await;
    let receipt = world.caller.receipt(world.caller.send("k", "m")).await;
    world.caller.producer.close(Duration::from_secs(1)).await;
    world.caller.producer.close(Duration::from_secs(1)).await;
    assert_eq!(world.told(), "submit 1 T k (1) | wire 1 T@a:0 [1] | answer 1 stored 0 | settle 1 T@a:0 0 | closed");
    let lines = world.lines.all();
    let Event::Hello(hello) = &lines[0].event else { panic!("{lines:?}") };
    assert_eq!((hello.group.as_str(), hello.mixes_keys), ("G", true));
    let Event::Submit { ids, .. } = &lines[2].event else { panic!("{lines:?}") };
    assert_eq!(*ids, [receipt.msg_id]);
    assert!(lines[3].t < lines[4].t && lines.windows(2).all(|two| two[0].t <= two[1].t));
}

#[tokio::test(start_paused = true)]
async fn each_route_that_spreads_keys_anew() {
    let world = World::new(options()).await;
    world.caller.receipt(world.caller.send("k", "m")).await;
    world.cluster.set_route("T", &[("a", 1)]);
    world.cluster.set_route("T", &[("a", 1), ("b", 2)]);
    world.caller.receipt(world.caller.send("k", "n")).await;
    let told = world.told();
    assert!(told.contains(" | route T [a:0, b:0, b:1] | wire 2 "), "{told}");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_answer() {
    let world = World::new(options()).await;
    world.cluster.then([Answer::Refused(2, "[TIMEOUT_CLEAN_QUEUE]"), Answer::NotSent]);
    world.caller.receipt(world.caller.send("k", "m")).await;
    assert_eq!(
        world.told(),
        "submit 1 T k (1) | wire 1 T@a:0 [1] | answer 1 refused 2 | wire 2 T@a:0 [1] | answer 2 unsent | wire 3 T@a:0 [1] | \
         answer 3 stored 0 | settle 1 T@a:0 0"
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_is_unknown_and_takes_the_rest_of_its_key_along() {
    let world = World::new(ProducerOptions { send_timeout: Duration::from_secs(2), ..options() }).await;
    world.cluster.then([Answer::Silent { reset: None, stored: true }]);
    let first = world.caller.launch(&world.cluster, "k", "m").await;
    let second = world.caller.send("k", "n");
    assert_eq!(world.caller.error(first).await.code(), Code::Timeout);
    world.caller.error(second).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let told = world.told();
    assert!(
        told.starts_with(
            "submit 1 T k (1) | wire 1 T@a:0 [1] | submit 2 T k (1) | settle 1 unknown ERR_ROCKETMQ_TIMEOUT | \
             settle 2 failed ERR_ROCKETMQ_ORDER_BROKEN | heard T k | answer 1 unknown"
        ),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_a_failure_and_so_is_what_is_called_before_it_is_heard() {
    let world = World::new(options()).await;
    world.cluster.then([Answer::Refused(16, "no permission")]);
    let first = world.caller.launch(&world.cluster, "k", "m").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let late = world.caller.send("k", "n");
    world.caller.error(first).await;
    world.caller.error(late).await;
    world.caller.receipt(world.caller.send("k", "o")).await;
    assert_eq!(
        world.told(),
        "submit 1 T k (1) | wire 1 T@a:0 [1] | answer 1 refused 16 | settle 1 failed ERR_ROCKETMQ_ACCESS_DENIED | \
         submit 2 T k (1) | settle 2 failed ERR_ROCKETMQ_ORDER_BROKEN | heard T k | submit 3 T k (1) | wire 2 T@a:0 [3] | answer 2 stored 0 | \
         settle 3 T@a:0 0"
    );
}

#[tokio::test(start_paused = true)]
async fn what_gathers_is_one_request_and_a_batch_of_the_users_one_send() {
    let world = World::new(options()).await;
    world.caller.launch(&world.cluster, "k", "1").await;
    let (second, third) = (world.caller.send("k", "2"), world.caller.send("l", "3"));
    let batch = world.caller.send_batch("k", &["4", "5"]);
    world.caller.until([second, third, batch]).await;
    assert_eq!(
        world.told(),
        "submit 1 T k (1) | wire 1 T@a:0 [1] | submit 2 T k (1) | submit 3 T l (1) | submit 4 T k (2) | answer 1 stored 0 | \
         settle 1 T@a:0 0 | wire 2 T@a:0 [2, 3] | answer 2 stored 1 | settle 2 T@a:0 1 | settle 3 T@a:0 2 | \
         wire 3 T@a:0 [4] | answer 3 stored 3 | settle 4 T@a:0 3"
    );
}

#[tokio::test(start_paused = true)]
async fn one_key_a_request_is_said_at_the_beginning() {
    let world = World::new(ProducerOptions { batching: Batching::Key, ..options() }).await;
    let lines = world.lines.all();
    assert_eq!(words(&lines[0].event), "hello");
}
