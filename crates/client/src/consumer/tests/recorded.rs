//! What a consumer writes down of a queue, line by line.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cluster::{Cluster, Fault, GROUP, queue};
use super::member::{Handler, Member, options, succeeds, until};
use super::records::{Stored, plain};
use crate::consumer::gate::Outcome;
use crate::consumer::{ConsumerOptions, Delivery, MessageModel, OnUndecodable, OrderedBy, SeekTo};
use crate::env;
use crate::protocol::MessageQueue;
use crate::protocol::code::request;
use crate::protocol::properties::name;
use crate::record::Lines;
use crate::record::event::{Ended, Event, Phase, Why};

/// A line of the queue `orders@a:0` in words; none of other queues, as the retry topic's.
fn words(event: &Event) -> Option<String> {
    let (at, text) = match event {
        Event::Lock { queue, .. } => (queue, String::from("lock")),
        Event::Renewed { queue, .. } => (queue, String::from("renewed")),
        Event::Lost { queue, why } => (queue, format!("lost: {why}")),
        Event::Revoked { queue } => (queue, String::from("revoked")),
        Event::Unlock { queue, phase } => (queue, format!("unlock {}", phase_of(*phase))),
        Event::Position { queue, offset, why } => (queue, format!("position {offset}: {}", why_of(*why))),
        Event::Start { queue, offset, last, key, attempt } => {
            let last = if last == offset { String::new() } else { format!("-{last}") };
            let key = key.as_ref().map(|key| format!(" of {key}")).unwrap_or_default();
            let attempt = if *attempt == 1 { String::new() } else { format!(" again, {attempt}") };
            (queue, format!("start {offset}{last}{key}{attempt}"))
        }
        Event::End { queue, offset, outcome, counted } => {
            let outcome = match outcome {
                Ended::Success => "success",
                Ended::Failure => "failure",
                Ended::Left => "left",
            };
            (queue, format!("end {offset}: {outcome}{}", if *counted { "" } else { ", not counted" }))
        }
        Event::Passed { queue, offset } => (queue, format!("passed {offset}")),
        Event::Skipped { queue, from, to, why } => (queue, format!("skipped {from}-{}: {why}", to - 1)),
        Event::Commit { queue, offset, phase } => (queue, format!("commit {offset} {}", phase_of(*phase))),
        Event::DeadLetter { queue, offset, phase } => (queue, format!("deadLetter {offset} {}", phase_of(*phase))),
        Event::Hello(_) => return Some(String::from("hello")),
        Event::Closed {} => return Some(String::from("closed")),
        other => panic!("{other:?} is no consumer's"),
    };
    (at.to_string() == "orders@a:0").then_some(text)
}

fn phase_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Sent => "sent",
        Phase::Done => "done",
        Phase::Unknown => "unknown",
    }
}

fn why_of(why: Why) -> &'static str {
    match why {
        Why::Committed => "committed",
        Why::Initial => "initial",
        Why::Memory => "memory",
        Why::Reset => "reset",
        Why::Seek => "seek",
        Why::Correction => "correction",
    }
}

/// A cluster of one queue, and what its members write down.
struct World {
    cluster: Arc<Cluster>,
    lines: Lines,
    at: MessageQueue,
}

impl World {
    fn new() -> Self {
        let lines = Lines::since(env::now());
        Self { cluster: Cluster::new(&["a"], 1), lines, at: queue("orders", "a", 0) }
    }

    fn send(&self, keys: &[&str]) {
        for key in keys {
            let properties = vec![(name::SHARDING_KEY.to_owned(), (*key).to_owned())];
            self.cluster.store(&self.at, Stored { properties, ..plain(b"body") });
        }
    }

    async fn member(&self, id: &str, options: ConsumerOptions, handler: Handler) -> Member {
        let options = ConsumerOptions { history: self.lines.history(id), ..options };
        Member::start(id, &self.cluster, options, handler).await
    }

    /// What this member has written down.
    fn of(&self, id: &str) -> Vec<String> {
        self.lines.all().iter().filter(|line| line.by == id).filter_map(|line| words(&line.event)).collect()
    }

    /// Its lines from the last of these on, without commits, which come beside all the rest.
    fn since(&self, id: &str, first: &str) -> String {
        let lines = self.all_since(id, first).into_iter().filter(|line| !line.starts_with("commit"));
        lines.collect::<Vec<_>>().join(" | ")
    }

    /// Its lines from the last of these on.
    fn all_since(&self, id: &str, first: &str) -> Vec<String> {
        let mut lines = self.of(id);
        let at = lines.iter().rposition(|line| line == first).unwrap_or_else(|| panic!("no {first:?}: {lines:?}"));
        lines.split_off(at)
    }

    async fn told(&self, id: &str, last: &str) {
        let told = tokio::time::timeout(Duration::from_secs(100), async {
            while !self.of(id).iter().any(|line| line == last) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(told.await.is_ok(), "no {last:?}: {:#?}", self.of(id));
    }
}

/// Fails the message at this offset, so often.
fn fails(at: i64, times: u32, outcome: Outcome) -> Handler {
    Arc::new(move |delivery: &Delivery| {
        let fails = delivery.message.queue_offset == at && delivery.attempt <= times;
        (Duration::from_millis(5), if fails { outcome } else { Outcome::Success })
    })
}

#[tokio::test(start_paused = true)]
async fn from_the_first_line_to_the_last() {
    let world = World::new();
    world.send(&["x"]);
    let member = world.member("c1", options(), succeeds(5)).await;
    until("committed", || world.cluster.committed(&world.at) == Some(1)).await;
    member.close().await;
    assert_eq!(
        world.of("c1").join(" | "),
        "hello | lock | position 0: initial | commit 0 sent | commit 0 done | start 0 | end 0: success | commit 1 sent | commit 1 done | \
         revoked | unlock sent | unlock done | closed"
    );
    let lines = world.lines.all();
    let Event::Hello(hello) = &lines[0].event else { panic!("{lines:?}") };
    assert_eq!((hello.client.as_str(), hello.group.as_str()), ("c1", GROUP));
    assert!(!hello.by_key && !hello.broadcasting && !hello.mixes_keys);
    let lock = lines.iter().find_map(|line| match &line.event {
        Event::Lock { queue, asked } if queue.topic == "orders" => Some((line.t, *asked)),
        _ => None,
    });
    let (told, asked) = lock.unwrap();
    assert!(told - asked >= 2_000, "the request was sent 2 ms before its answer: {told} {asked}");
    assert!(lines.windows(2).all(|two| two[0].t <= two[1].t));
}

#[tokio::test(start_paused = true)]
async fn nobody_who_does_not_ask_gets_lines() {
    let world = World::new();
    world.send(&["x"]);
    let member = Member::start("c1", &world.cluster, options(), succeeds(1)).await;
    until("committed", || world.cluster.committed(&world.at) == Some(1)).await;
    member.close().await;
    assert!(world.lines.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_from_one_to_the_other() {
    let world = World::new();
    world.send(&["x"; 3]);
    let first = world.member("c1", options(), succeeds(2_000)).await;
    world.told("c1", "start 1").await;
    let second = world.member("c2", options(), succeeds(5)).await;
    first.close().await;
    until("committed", || world.cluster.committed(&world.at) == Some(3)).await;
    assert_eq!(world.since("c1", "start 1"), "start 1 | revoked | end 1: success | unlock sent | unlock done | closed");
    assert_eq!(world.all_since("c1", "end 1: success")[1..3], ["commit 2 sent", "commit 2 done"]);
    second.close().await;
    assert_eq!(
        world.since("c2", "lock"),
        "lock | position 2: committed | start 2 | end 2: success | revoked | unlock sent | unlock done | closed"
    );
    let lines = world.lines.all();
    let place = |by: &str, text: &str| {
        lines.iter().position(|line| line.by == by && words(&line.event).as_deref() == Some(text)).unwrap()
    };
    assert!(place("c1", "unlock done") < place("c2", "lock"));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_wanted_again_before_it_is_given_back_goes_on_at_a_position() {
    let world = World::new();
    world.send(&["x"; 3]);
    let _first = world.member("c1", options(), succeeds(5_000)).await;
    world.told("c1", "start 0").await;
    // With one queue the first of two members has it.
    let second = world.member("a-first", options(), succeeds(5)).await;
    world.told("c1", "revoked").await;
    second.close().await;
    until("committed", || world.cluster.committed(&world.at) == Some(3)).await;
    let lines = world.since("c1", "start 0").replace(" | renewed", "");
    assert!(lines.starts_with("start 0 | revoked | end 0: success | position 1: memory | start 1"), "{lines}");
}

#[tokio::test(start_paused = true)]
async fn locks_are_renewed_and_one_that_somebody_else_got_is_lost() {
    let world = World::new();
    world.send(&["x"]);
    let _member = world.member("c1", options(), succeeds(25_000)).await;
    world.told("c1", "renewed").await;
    let stranger = ("stranger".to_owned(), env::now());
    world.cluster.state().broker(&world.at).locks.insert(world.at.clone(), stranger);
    world.told("c1", "end 0: success, not counted").await;
    assert_eq!(world.since("c1", "start 0"), "start 0 | renewed | lost: refused | end 0: success, not counted");
}

#[tokio::test(start_paused = true)]
async fn a_doubt_ends_with_a_fresh_lock_and_a_new_position() {
    let world = World::new();
    world.send(&["x"; 2]);
    let member = world.member("c1", options(), succeeds(2_500)).await;
    world.told("c1", "start 0").await;
    member.line.lose("a:10911");
    until("committed", || world.cluster.committed(&world.at) == Some(2)).await;
    assert_eq!(
        world.since("c1", "start 0"),
        "start 0 | lost: doubt | lock | end 0: success | position 1: memory | start 1 | end 1: success"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_runs_out_is_told_as_it_is() {
    let world = World::new();
    world.send(&["x"]);
    let member = world.member("c1", options(), succeeds(60_000)).await;
    world.told("c1", "start 0").await;
    member.line.silent.store(true, Ordering::Relaxed);
    world.told("c1", "end 0: success, not counted").await;
    assert_eq!(world.since("c1", "start 0"), "start 0 | lost: doubt | lost: expired | end 0: success, not counted");
}

#[tokio::test(start_paused = true)]
async fn a_failure_comes_again_and_a_dead_letter_moves_the_queue() {
    let world = World::new();
    world.send(&["x"; 3]);
    let limited = ConsumerOptions { max_reconsume_times: Some(1), ..options() };
    let _member = world.member("c1", limited, fails(1, 9, Outcome::Later)).await;
    until("committed", || world.cluster.committed(&world.at) == Some(3)).await;
    assert_eq!(
        world.since("c1", "start 1"),
        "start 1 | end 1: failure | start 1 again, 2 | end 1: failure | deadLetter 1 sent | deadLetter 1 done | \
         skipped 1-1: deadLettered | start 2 | end 2: success"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_refused_is_sent_again() {
    let world = World::new();
    world.send(&["x"]);
    world.cluster.fault("a", request::SEND_MESSAGE_V2, 1, Fault::Refuse(1, "no"));
    let _member = world.member("c1", options(), fails(0, 9, Outcome::DeadLetter)).await;
    until("committed", || world.cluster.committed(&world.at) == Some(1)).await;
    assert_eq!(
        world.since("c1", "start 0"),
        "start 0 | end 0: failure | deadLetter 0 sent | deadLetter 0 unknown | deadLetter 0 sent | deadLetter 0 done | \
         skipped 0-0: deadLettered"
    );
}

#[tokio::test(start_paused = true)]
async fn by_key_each_start_names_its_key() {
    let world = World::new();
    world.send(&["x", "y", "x"]);
    world.cluster.send(&world.at, 1);
    let by_key = ConsumerOptions { ordered_by: OrderedBy::Key, ..options() };
    let _member = world.member("c1", by_key, succeeds(50)).await;
    until("committed", || world.cluster.committed(&world.at) == Some(4)).await;
    let mut starts: Vec<_> = world.of("c1").into_iter().filter(|line| line.starts_with("start")).collect();
    starts.sort();
    assert_eq!(starts, ["start 0 of x", "start 1 of y", "start 2 of x", "start 3"]);
    let Event::Hello(hello) = &world.lines.all()[0].event else { panic!("no hello") };
    assert!(hello.by_key);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_start_and_says_how_far_it_has_come() {
    let world = World::new();
    world.send(&["x"; 3]);
    let options = ConsumerOptions { batch_messages: 3, ..options() };
    let member = world.member("c1", options, succeeds(60_000)).await;
    world.told("c1", "start 0").await;
    // Handed over once more, and put together as the facade does it.
    let generation = || member.consumer.shared.queues.at(0).unwrap().gate.generation();
    let before = generation();
    member.consumer.left(0, before, 0);
    until("again", || generation() > before).await;
    assert!(member.consumer.may_start(0, generation(), 0, 2));
    member.consumer.pass(0, generation(), 0, 1);
    member.consumer.failed(0, generation(), 1, Outcome::Later, None);
    assert_eq!(world.since("c1", "end 0: left"), "end 0: left | start 0-2 | passed 1 | end 1: failure");
}

#[tokio::test(start_paused = true)]
async fn in_broadcasting_a_queue_is_ours_without_a_request() {
    let world = World::new();
    world.send(&["x"; 2]);
    let options = ConsumerOptions {
        message_model: MessageModel::Broadcasting { offset_file: None },
        max_reconsume_times: Some(0),
        ..options()
    };
    let member = world.member("c1", options, fails(1, 9, Outcome::Later)).await;
    world.told("c1", "commit 2 done").await;
    member.close().await;
    assert_eq!(
        world.since("c1", "hello"),
        "hello | lock | position 0: initial | start 0 | end 0: success | start 1 | end 1: failure | skipped 1-1: givenUp | \
         revoked | closed"
    );
    let Event::Hello(hello) = &world.lines.all()[0].event else { panic!("no hello") };
    assert!(hello.broadcasting);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_handles_is_skipped_for_a_reason() {
    let world = World::new();
    let tagged = |tag: &str| Stored { properties: vec![(name::TAGS.to_owned(), tag.to_owned())], ..plain(b"x") };
    let bad = Stored { damaged: true, ..tagged("A") };
    for message in [tagged("A"), tagged("B"), tagged("A"), bad, tagged("B"), tagged("A")] {
        world.cluster.store(&world.at, message);
    }
    let mut options = ConsumerOptions { on_undecodable: OnUndecodable::Skip, ..options() };
    options.subscriptions[0].expression = String::from("A");
    let _member = world.member("c1", options, succeeds(5)).await;
    until("committed", || world.cluster.committed(&world.at) == Some(6)).await;
    let lines = world.of("c1");
    let mut told: Vec<_> = lines.iter().filter(|line| line.starts_with("start") || line.starts_with("skip")).collect();
    told.sort();
    told.dedup();
    let skipped = ["skipped 1-1: filtered", "skipped 3-3: undecodable", "skipped 4-4: filtered"];
    assert_eq!(told[..3], skipped);
    assert_eq!(told[3..], ["start 0", "start 2", "start 5"]);
}

#[tokio::test(start_paused = true)]
async fn a_seek_is_a_position_before_its_commit() {
    let world = World::new();
    world.send(&["x"; 4]);
    let member = world.member("c1", options(), succeeds(5)).await;
    until("committed", || world.cluster.committed(&world.at) == Some(4)).await;
    member.consumer.seek(&world.at, SeekTo::Offset(3)).await.unwrap();
    until("again", || world.cluster.committed(&world.at) == Some(4)).await;
    let lines = world.all_since("c1", "position 3: seek");
    assert_eq!(lines[..5], ["position 3: seek", "commit 3 sent", "commit 3 done", "start 3", "end 3: success"]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_a_position_before_its_commit() {
    let world = World::new();
    world.send(&["x"; 4]);
    let _member = world.member("c1", options(), succeeds(5)).await;
    until("committed", || world.cluster.committed(&world.at) == Some(4)).await;
    world.cluster.state().broker(&world.at).pending_resets.insert(world.at.clone(), 2);
    world.send(&["x"]);
    world.told("c1", "end 4: success").await;
    assert_eq!(world.all_since("c1", "position 2: reset")[1..4], ["commit 2 sent", "commit 2 done", "start 2"]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_gone_are_skipped_as_removed() {
    let world = World::new();
    world.send(&["x"; 4]);
    world.cluster.set_committed(&world.at, 1);
    world.cluster.state().broker(&world.at).minimum.insert(world.at.clone(), 3);
    let _member = world.member("c1", options(), succeeds(5)).await;
    world.told("c1", "end 3: success").await;
    assert_eq!(
        world.since("c1", "lock"),
        "lock | position 1: committed | skipped 1-2: removed | position 3: correction | start 3 | end 3: success"
    );
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_a_program_that_has_ended_is_left_before_its_queue_is_given_back() {
    let world = World::new();
    world.send(&["x"; 2]);
    let member = world.member("c1", options(), succeeds(100_000)).await;
    world.told("c1", "start 0").await;
    member.consumer.abandon(Duration::from_secs(5)).await;
    assert_eq!(
        world.since("c1", "start 0"),
        "start 0 | revoked | end 0: left, not counted | unlock sent | unlock done | closed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_an_answer_is_unknown() {
    let world = World::new();
    world.send(&["x"]);
    let _member = world.member("c1", options(), succeeds(2_000)).await;
    world.told("c1", "start 0").await;
    world.cluster.fault("a", request::UPDATE_CONSUMER_OFFSET, 1, Fault::Mute);
    world.told("c1", "commit 1 done").await;
    assert_eq!(
        world.all_since("c1", "end 0: success"),
        ["end 0: success", "commit 1 sent", "commit 1 unknown", "commit 1 sent", "commit 1 done"]
    );
}
