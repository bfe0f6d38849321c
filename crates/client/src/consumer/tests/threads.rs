//! JavaScript's thread beside the package's own, in any order of their steps: what the checker reads of it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shuttle::thread;

use super::cluster::{Cluster, address, queue};
use super::line::Line;
use super::member::{BOUND, by_key, options};
use super::records::{Stored, plain};
use crate::consumer::gate::Outcome;
use crate::consumer::{Consumer, ConsumerOptions, Delivery, Handover, Sink, Suspend};
use crate::env;
use crate::error::ClientError;
use crate::history::checker::{Options, check};
use crate::protocol::MessageQueue;
use crate::protocol::properties::name;
use crate::record::Lines;
use crate::schedules::{Own, catches, in_any_order};

/// Of a whole consumer's life each, which takes a while.
const ORDERS: usize = 30;
const TICK: Duration = Duration::from_millis(5);
/// Turns of the event loop that a handler takes, besides the one in which it begins.
const TURNS: u32 = 1;
/// Messages of the queue.
const MESSAGES: i64 = 6;

/// What the package's thread has handed over, and JavaScript's has not looked at.
#[derive(Debug, Default)]
struct Door(Mutex<VecDeque<Handover>>);

impl Sink for Arc<Door> {
    fn deliver(&self, handover: Handover) -> bool {
        self.0.lock().unwrap().push_back(handover);
        true
    }

    fn abort(&self, _queue: u32, _generation: u32, _error: ClientError) {}

    fn dead_lettered(&self, _queue: u32, _message: Delivery) {}
}

/// A thread that handles messages, as JavaScript's does: of each generation one after the other, and never two in the same moment, but
/// handlers of several may be under way.
struct Script {
    consumer: Arc<Consumer<Arc<Line>>>,
    door: Arc<Door>,
    /// By queue and generation.
    lanes: BTreeMap<(u32, u32), VecDeque<i64>>,
    /// Of each lane the message whose handler runs, and for how many turns more.
    running: BTreeMap<(u32, u32), (i64, u32)>,
    handled: u32,
}

impl Script {
    fn new(consumer: Arc<Consumer<Arc<Line>>>, door: Arc<Door>) -> Self {
        Self { consumer, door, lanes: BTreeMap::new(), running: BTreeMap::new(), handled: 0 }
    }

    /// Turns of the event loop, until then.
    fn go_on(&mut self, until: impl Fn(&Self) -> bool) {
        while !until(self) {
            self.turn();
            thread::yield_now();
        }
    }

    /// One turn of the event loop.
    fn turn(&mut self) {
        for Handover { queue, generation, messages, .. } in std::mem::take(&mut *self.door.0.lock().unwrap()) {
            let offsets = messages.iter().map(|delivery| delivery.message.queue_offset);
            self.lanes.entry((queue, generation)).or_default().extend(offsets);
        }
        for lane in self.lanes.keys().copied().collect::<Vec<_>>() {
            match self.running.get_mut(&lane) {
                Some((_, turns)) if *turns > 0 => *turns -= 1,
                Some((offset, _)) => {
                    let offset = *offset;
                    self.running.remove(&lane);
                    self.end(lane, offset);
                }
                None => self.start(lane),
            }
        }
        self.lanes.retain(|lane, offsets| !offsets.is_empty() || self.running.contains_key(lane));
    }

    fn start(&mut self, lane: (u32, u32)) {
        let Some(offset) = self.lanes.get_mut(&lane).and_then(VecDeque::pop_front) else { return };
        if self.consumer.may_start(lane.0, lane.1, offset, offset) {
            self.running.insert(lane, (offset, TURNS));
        } else {
            self.lanes.remove(&lane);
        }
    }

    fn end(&mut self, lane: (u32, u32), offset: i64) {
        self.handled += 1;
        if self.handled == 3 {
            self.consumer.failed(lane.0, lane.1, offset, Outcome::Later, None);
            self.lanes.remove(&lane);
            return;
        }
        let next = self.lanes.get(&lane).and_then(|offsets| offsets.front().copied());
        let ack = self.consumer.succeeded(lane.0, lane.1, offset, next);
        if let (true, Some(next), Some(offsets)) = (ack.starts, next, self.lanes.get_mut(&lane)) {
            offsets.pop_front();
            self.running.insert(lane, (next, TURNS));
        } else if next.is_some() {
            self.lanes.remove(&lane);
        }
    }
}

/// What goes wrong with the lock meanwhile.
#[derive(Clone, Copy)]
enum Trouble {
    /// It is in doubt, and granted anew.
    Doubt,
    /// Somebody else gets it.
    Refusal,
    /// The machine sleeps.
    Sleep,
}

impl Trouble {
    fn come(self, cluster: &Cluster, at: &MessageQueue, line: &Line) {
        match self {
            Self::Doubt => line.lose(&address("a")),
            Self::Refusal => {
                let until = env::now() + 20 * TICK;
                let owner = (String::from("another"), until);
                cluster.state().broker(at).locks.insert(at.clone(), owner);
                line.lose(&address("a"));
            }
            Self::Sleep => {
                line.wall.fetch_add(10_000, Ordering::Relaxed);
            }
        }
    }
}

fn fill(cluster: &Cluster, at: &MessageQueue) {
    for offset in 0..MESSAGES {
        let key = (name::SHARDING_KEY.to_owned(), (offset % 3).to_string());
        cluster.store(at, Stored { properties: vec![key], ..plain(b"body") });
    }
}

/// From the start to `close()`, with all that is stored handled and committed.
fn consume(options: ConsumerOptions, trouble: Trouble) {
    let own = Own::new();
    let (cluster, at, door) = (Cluster::new(&["a"], 1), queue("orders", "a", 0), Arc::new(Door::default()));
    fill(&cluster, &at);
    let (lines, line, consumer) = own.alone(async {
        let (lines, line) = (Lines::since(env::now()), Line::new("c", &cluster));
        let suspend = Suspend { initial: TICK, factor: 1.0, max: TICK };
        let options = ConsumerOptions { history: lines.history("c"), suspend, commit_interval: 3 * TICK, ..options };
        let consumer = Consumer::new(Arc::clone(&line), options, Arc::new(Arc::clone(&door))).unwrap();
        consumer.start(BOUND).await.unwrap();
        (lines, line, Arc::new(consumer))
    });
    own.beside(TICK, move || {
        let mut script = Script::new(Arc::clone(&consumer), door);
        script.go_on(|script| script.handled >= 2);
        let (troubled, queue) = (Arc::clone(&cluster), at.clone());
        env::spawn(async move { trouble.come(&troubled, &queue, &line) });
        script.go_on(|_| cluster.committed(&at) == Some(MESSAGES));
        let closed = env::spawn(async move { consumer.close(BOUND).await });
        script.go_on(|_| closed.is_finished());
    });
    let verdict = check(lines.all().into_iter(), &Options { drained: true, ..Options::default() });
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert!(verdict.counts.calls > MESSAGES as u64, "one has failed");
}

#[test]
fn a_doubt_of_the_lock_may_come_in_any_moment() {
    in_any_order(ORDERS, || consume(options(), Trouble::Doubt));
    in_any_order(ORDERS, || consume(by_key(), Trouble::Doubt));
}

#[test]
fn a_refusal_of_the_lock_may_come_in_any_moment() {
    in_any_order(ORDERS, || consume(options(), Trouble::Refusal));
    in_any_order(ORDERS, || consume(by_key(), Trouble::Refusal));
}

#[test]
fn the_machine_may_sleep_in_any_moment() {
    in_any_order(ORDERS, || consume(options(), Trouble::Sleep));
    in_any_order(ORDERS, || consume(by_key(), Trouble::Sleep));
}

#[test]
fn a_failure_that_is_passed_over_would_be_found() {
    assert!(catches("skip what has failed", ORDERS, || consume(options(), Trouble::Doubt)));
}
