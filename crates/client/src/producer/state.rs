//! Everything a producer holds, behind one short lock: topics, keys, lanes, messages, and what each broker is given.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use tokio::sync::Semaphore;

use super::choices::Choice;
use super::model::{Broker, Course, Key, Lane, Load, Out, Pending, Phase, Queue, Stage, Topic};
use super::options::{Batching, ProducerOptions};
use super::slab::{NIL, Slab};
use super::unread_queues::UnreadQueues;
use crate::client::Advice;
use crate::env::{Instant, planted};
use crate::error::{ClientError, Code, Outcome, QueueName};
use crate::protocol::MessageQueue;

/// Requests in flight to one broker when a lane is a key: there may be many more keys than a broker has use for.
const KEY_REQUESTS_PER_BROKER: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: ProducerOptions,
    /// For messages to people.
    pub(super) advice: Advice,
    pub(super) phase: Phase,
    pub(super) topics: Slab<Topic>,
    pub(super) topic_ids: HashMap<Arc<str>, u32>,
    pub(super) keys: Slab<Key>,
    pub(super) lanes: Slab<Lane>,
    pub(super) pending: Slab<Pending>,
    /// By number.
    pub(super) brokers: Vec<Broker>,
    pub(super) broker_ids: HashMap<String, u32>,
    /// The pending send of each slot of the caller, or [`NIL`].
    pub(super) slots: Vec<u32>,
    /// When lanes have to be looked at, the first on top.
    pub(super) dues: BinaryHeap<Reverse<(Instant, u32)>>,
    pub(super) load: Load,
    /// Somebody waits for room.
    pub(super) is_room_wanted: bool,
    /// It was told that far too much is held.
    pub(super) is_flood_told: bool,
    /// How many lists of queues there were.
    pub(super) lists: u32,
    /// What the caller has chosen for its next send.
    pub(super) choice: Choice,
    /// How many sends have closed their keys.
    pub(super) failures: u64,
    /// How many runs were stored.
    pub(super) runs: u64,
    /// How many parts refused batches have been divided into.
    pub(super) parts: u64,
    /// How many sends were called.
    pub(super) submits: u64,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) requests: u64,
    pub(super) retries: u64,
}

impl State {
    pub(super) fn new(options: ProducerOptions, advice: Advice) -> Self {
        Self {
            options,
            advice,
            phase: Phase::Idle,
            topics: Slab::default(),
            topic_ids: HashMap::new(),
            keys: Slab::default(),
            lanes: Slab::default(),
            pending: Slab::default(),
            brokers: Vec::new(),
            broker_ids: HashMap::new(),
            slots: Vec::new(),
            dues: BinaryHeap::new(),
            load: Load::default(),
            is_room_wanted: false,
            is_flood_told: false,
            lists: 0,
            choice: Choice::default(),
            failures: 0,
            runs: 0,
            parts: 0,
            submits: 0,
            sent: 0,
            failed: 0,
            requests: 0,
            retries: 0,
        }
    }

    /// The number of a topic; a new one has no queues yet, and somebody must watch its route.
    pub(super) fn topic(&mut self, name: &str, real: impl FnOnce() -> String) -> (u32, bool) {
        if let Some(&topic) = self.topic_ids.get(name) {
            return (topic, false);
        }
        let name: Arc<str> = name.into();
        let topic = self.topics.insert(Topic {
            name: Arc::clone(&name),
            real: real().into(),
            queues: Vec::new(),
            queue_ids: HashMap::new(),
            list: Vec::new(),
            list_number: 0,
            is_asked: false,
            keys: HashMap::new(),
            lane: NIL,
            limits: HashMap::new(),
            used: true,
            error: None,
            route: None,
            unread: UnreadQueues::default(),
        });
        self.topics[topic].lane = self.lanes.insert(Lane::new(topic, None, None));
        self.topic_ids.insert(name, topic);
        (topic, true)
    }

    /// Whether anything of a topic was called since the last look, or is left anywhere.
    pub(super) fn is_used(&mut self, topic: u32) -> bool {
        let it = &mut self.topics[topic];
        let called = std::mem::take(&mut it.used);
        called || !it.keys.is_empty()
    }

    /// Forgets a topic, unless it is used. What is called for it later makes it anew.
    pub(super) fn forget(&mut self, topic: u32) -> bool {
        let it = &self.topics[topic];
        let lanes: Vec<u32> = it.queues.iter().filter_map(|queue| queue.lane).chain([it.lane]).collect();
        if self.is_used(topic) || lanes.iter().any(|&lane| !self.lanes[lane].is_idle()) {
            return false;
        }
        for lane in lanes {
            // Places that hold nothing any more.
            self.take_fifo(lane);
            self.lanes.remove(lane);
        }
        if let Some(it) = self.topics.remove(topic) {
            self.topic_ids.remove(&it.name);
        }
        true
    }

    /// The number of a broker.
    pub(super) fn broker(&mut self, name: &str) -> u32 {
        if let Some(&broker) = self.broker_ids.get(name) {
            return broker;
        }
        let broker = number(self.brokers.len());
        self.broker_ids.insert(name.to_owned(), broker);
        self.brokers.push(Broker { requests: Arc::new(Semaphore::new(KEY_REQUESTS_PER_BROKER)) });
        broker
    }

    /// The number of a queue of a topic.
    pub(super) fn queue(&mut self, topic: u32, queue: &MessageQueue) -> u32 {
        let broker = self.broker(&queue.broker_name);
        let topic = &mut self.topics[topic];
        let next = number(topic.queues.len());
        let id = *topic.queue_ids.entry((broker, queue.queue_id)).or_insert(next);
        if id == next {
            topic.queues.push(Queue { name: Arc::new(queue.clone()), broker, listed: false, lane: None, mark: -1 });
        }
        id
    }

    pub(super) fn queue_of(&self, topic: u32, queue: u32) -> &Queue {
        &self.topics[topic].queues[queue as usize]
    }

    /// The number of a sharding key.
    pub(super) fn key(&mut self, topic: u32, name: &str) -> u32 {
        if let Some(&key) = self.topics[topic].keys.get(name) {
            return key;
        }
        let name: Arc<str> = name.into();
        let key = self.keys.insert(Key {
            topic,
            name: Arc::clone(&name),
            unresolved: 0,
            home: None,
            chosen: None,
            lane: None,
            first: NIL,
            last: NIL,
            undelivered: 0,
            failure: None,
        });
        self.topics[topic].keys.insert(name, key);
        key
    }

    /// The lane of a key whose queue is chosen.
    pub(super) fn lane_of(&mut self, key: u32, queue: u32) -> u32 {
        let topic = self.keys[key].topic;
        if self.options.batching == Batching::Key {
            if let Some(lane) = self.keys[key].lane {
                // Another queue than before only when nothing of the key is in the lane.
                self.lanes[lane].queue = Some(queue);
                return lane;
            }
            let lane = self.lanes.insert(Lane::new(topic, Some(queue), Some(key)));
            self.keys[key].lane = Some(lane);
            return lane;
        }
        if let Some(lane) = self.queue_of(topic, queue).lane {
            return lane;
        }
        let lane = self.lanes.insert(Lane::new(topic, Some(queue), None));
        self.topics[topic].queues[queue as usize].lane = Some(lane);
        lane
    }

    /// The broker that a lane sends to, once its queue is chosen.
    pub(super) fn broker_of(&self, lane: u32) -> Option<u32> {
        let lane = &self.lanes[lane];
        Some(self.queue_of(lane.topic, lane.queue?).broker)
    }

    /// The queue that a lane sends to, once it is chosen.
    pub(super) fn queue_name(&self, lane: u32) -> Option<Arc<MessageQueue>> {
        let lane = &self.lanes[lane];
        Some(Arc::clone(&self.queue_of(lane.topic, lane.queue?).name))
    }

    /// Whether a lane's queue is out of the list, while there is a list.
    pub(super) fn has_vanished(&self, lane: u32) -> bool {
        let lane = &self.lanes[lane];
        let topic = &self.topics[lane.topic];
        lane.queue.is_some_and(|queue| !topic.list.is_empty() && !topic.queues[queue as usize].listed)
    }

    /// Forgets a lane that is empty and idle. The lanes of queues and topics stay: there are few.
    pub(super) fn tidy_lane(&mut self, lane: u32) {
        let Some(it) = self.lanes.get(lane) else { return };
        let Some(key) = it.key else { return };
        if it.is_idle() && it.fifo.is_empty() {
            self.lanes.remove(lane);
            self.keys[key].lane = None;
            self.tidy_key(key);
        }
    }

    /// Forgets a key of which nothing is left anywhere.
    pub(super) fn tidy_key(&mut self, key: u32) {
        let it = &mut self.keys[key];
        if it.unresolved == 0 {
            it.home = None;
            it.chosen = None;
            if it.undelivered == 0 && it.lane.is_none() {
                let name = Arc::clone(&it.name);
                let topic = it.topic;
                self.keys.remove(key);
                self.topics[topic].keys.remove(&name);
            }
        }
    }

    /// Puts a message at the end of a lane and sees that somebody looks after it.
    pub(super) fn push(&mut self, lane: u32, id: u32, out: &mut Out) {
        let message = &mut self.pending[id];
        message.lane = lane;
        message.stage = Stage::Waiting;
        let deadline = message.deadline;
        let it = &mut self.lanes[lane];
        it.fifo.push_back(id);
        it.earliest = Some(it.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
        if it.queue.is_none() {
            if it.fifo.len() == 1 {
                out.refresh.push(Arc::clone(&self.topics[it.topic].real));
                it.wake.notify_one();
            } else if it.armed.is_none_or(|armed| deadline < armed) {
                it.wake.notify_one();
            }
            return;
        }
        match it.course {
            Course::Idle => {
                it.course = Course::Moving;
                out.starts.push(lane);
            }
            Course::Flying(_) if planted("pipeline a key") => out.starts.push(lane),
            Course::Gathering if it.has_gathered() => self.gathered(lane, out),
            Course::Gathering | Course::Flying(_) => self.due(lane, deadline, out),
            Course::Waiting if it.armed.is_none_or(|armed| deadline < armed) => it.wake.notify_one(),
            Course::Waiting | Course::Moving => {}
        }
    }

    /// A message that is no longer anywhere near the wire: out of all counts.
    pub(super) fn release(&mut self, id: u32) {
        let message = &mut self.pending[id];
        message.gone = true;
        message.payload = None;
        let (load, key) = (message.load, message.key);
        self.load.take(load);
        self.keys[key].unresolved -= 1;
        self.tidy_key(key);
    }

    /// A waiting message is out of all counts; its place in the FIFO is left for later.
    pub(super) fn vacate(&mut self, id: u32) {
        self.release(id);
        let lane = &mut self.lanes[self.pending[id].lane];
        lane.dead += 1;
        if lane.dead > 64 && lane.dead * 2 > lane.fifo.len() {
            let lane = self.pending[id].lane;
            self.sweep(lane);
        }
    }

    /// Takes the empty places out of a FIFO.
    fn sweep(&mut self, lane: u32) {
        let lane = &mut self.lanes[lane];
        lane.dead = 0;
        let pending = &mut self.pending;
        lane.fifo.retain(|&id| {
            let is_gone = pending[id].gone;
            if is_gone {
                pending.remove(id);
            }
            !is_gone
        });
    }

    /// The first message of a lane, past places that hold nothing any more.
    pub(super) fn front(&mut self, lane: u32) -> Option<u32> {
        loop {
            let it = &mut self.lanes[lane];
            let id = *it.fifo.front()?;
            if !self.pending[id].gone {
                return Some(id);
            }
            it.fifo.pop_front();
            it.dead = it.dead.saturating_sub(1);
            self.pending.remove(id);
        }
    }

    /// An error about a lane's queue or topic.
    pub(super) fn locate(&self, error: ClientError, topic: u32, queue: Option<u32>) -> ClientError {
        let topic = &self.topics[topic];
        match queue.map(|queue| &topic.queues[queue as usize].name) {
            Some(name) => error.with_queue(QueueName::from(&**name)),
            None => error.with_topic(&*topic.name),
        }
    }
}

/// A count as a number; there are never 2³² of anything here.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NIL)
}

/// The error of a call on a producer that has been closed.
pub(super) fn closed() -> ClientError {
    ClientError::new(Code::Closed, "the producer is closed").with_outcome(Outcome::NotStored)
}
