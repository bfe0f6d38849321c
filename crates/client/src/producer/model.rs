//! What a producer holds: messages, keys, lanes, queues, topics, and what follows from a change of them.

use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

use super::batch_limit::BatchLimit;
use super::batches::Trial;
use super::calls::Settlement;
use super::flight::Flying;
use super::unread_queues::UnreadQueues;
use crate::env::Instant;
use crate::error::ClientError;
use crate::protocol::{Compression, MessageQueue, TopicRoute};

/// Where the producer is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started.
    Idle,
    /// Takes everything.
    Running,
    /// Takes nothing, and ends what it has.
    Closing,
    /// Takes nothing and has nothing.
    Closed,
}

/// Messages and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Load {
    pub(super) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    pub(super) fn take(&mut self, other: Self) {
        self.messages -= other.messages;
        self.bytes -= other.bytes;
    }
}

/// One message as it goes onto the wire.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) body: Bytes,
    pub(super) form: Form,
    /// Encoded.
    pub(super) properties: String,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As the user gave it.
    Plain,
    /// The same, to be compressed before it leaves.
    Compressible(Compression),
    /// Compressed.
    Compressed(Compression),
}

/// What a pending send carries.
#[derive(Debug)]
pub(super) enum Payload {
    One(Entry),
    /// A batch of the user's: one request, whole.
    Batch(Vec<Entry>),
}

/// Where a pending send is between the call and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// In its lane's FIFO.
    Waiting,
    /// In its lane's request, which was not stored and rests before the next attempt.
    Resting,
    /// In its lane's request: on the wire, or unknown.
    Flying,
}

/// A send that has been taken in, until nothing of it can be on the wire any more.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub(super) struct Pending {
    pub(super) slot: u32,
    /// The number of the call, for histories.
    pub(super) send: u64,
    pub(super) key: u32,
    pub(super) lane: u32,
    pub(super) stage: Stage,
    /// The caller has its outcome.
    pub(super) settled: bool,
    /// Counts no more; only a place in the FIFO is left of it.
    pub(super) gone: bool,
    /// How many requests have carried it, the one on the wire included.
    pub(super) attempts: u32,
    /// Some attempt of it has an unknown outcome.
    pub(super) unknown: bool,
    pub(super) deadline: Instant,
    pub(super) load: Load,
    /// Bytes in the body of a batch.
    pub(super) encoded: usize,
    /// When it was called, wall clock.
    pub(super) born: i64,
    /// Unique ids, joined by commas.
    pub(super) msg_id: String,
    /// With its request while it flies or rests.
    pub(super) payload: Option<Payload>,
    pub(super) is_batch: bool,
    /// It is compressed, or was not worth it: it shares a request with no other.
    pub(super) is_apart: bool,
    /// Of a refused batch: only its own part shares a request with it. 0 for none.
    pub(super) part: u64,
    /// Neighbours among the unsettled messages of the key, in the order of the calls.
    pub(super) before: u32,
    pub(super) after: u32,
}

/// A sharding key with something pending or undelivered.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) topic: u32,
    pub(super) name: Arc<str>,
    /// Pending sends, settled ones included while they are on the wire.
    pub(super) unresolved: usize,
    /// The topic's queue it goes to; kept while anything is unresolved.
    pub(super) home: Option<u32>,
    /// The caller's choice, until it is its home.
    pub(super) chosen: Option<u32>,
    /// Its own lane, where lanes are keys.
    pub(super) lane: Option<u32>,
    /// First and last unsettled message.
    pub(super) first: u32,
    pub(super) last: u32,
    /// The fence: failures that the caller has not delivered yet.
    pub(super) undelivered: usize,
    /// The number of the first of them, and how it failed.
    pub(super) failure: Option<(u64, ClientError)>,
}

/// A queue of a topic that is or was in its list.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: Arc<MessageQueue>,
    pub(super) broker: u32,
    /// In the list now.
    pub(super) listed: bool,
    /// Its lane, where lanes are queues; stays once made.
    pub(super) lane: Option<u32>,
    /// The highest offset acknowledged, −1 before the first.
    pub(super) mark: i64,
}

/// A topic that was sent to.
#[derive(Debug)]
pub(super) struct Topic {
    /// As the user sees it.
    pub(super) name: Arc<str>,
    /// With the namespace.
    pub(super) real: Arc<str>,
    pub(super) queues: Vec<Queue>,
    pub(super) queue_ids: HashMap<(u32, i32), u32>,
    /// What a key's index addresses: numbers into `queues`. Empty while nothing can be chosen.
    pub(super) list: Vec<u32>,
    /// Of this list, to be known by.
    pub(super) list_number: u32,
    /// The caller was told that it has to choose, and has not looked yet.
    pub(super) is_asked: bool,
    pub(super) keys: HashMap<Arc<str>, u32>,
    /// The lane of messages without a queue.
    pub(super) lane: u32,
    /// What brokers, by number, take of its batches.
    pub(super) limits: HashMap<u32, BatchLimit>,
    /// It was called for since its watcher looked last.
    pub(super) used: bool,
    /// How the last look at the route failed.
    pub(super) error: Option<ClientError>,
    /// The route the list was made of, by address.
    pub(super) route: Option<Arc<TopicRoute>>,
    /// Queues of it that nobody reads.
    pub(super) unread: UnreadQueues,
}

/// The unit of order.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) topic: u32,
    /// Where it sends to; none for messages without a queue.
    pub(super) queue: Option<u32>,
    /// Its key, where lanes are keys.
    pub(super) key: Option<u32>,
    pub(super) fifo: VecDeque<u32>,
    /// How many places of the FIFO hold nothing any more.
    pub(super) dead: usize,
    /// What it does at the moment.
    pub(super) course: Course,
    /// No message in the FIFO ends before this.
    pub(super) earliest: Option<Instant>,
    /// It waits for those whose sends it has just settled.
    pub(super) gathering: Option<Gathering>,
    /// When its task will look at deadlines by itself, while it has one.
    pub(super) armed: Option<Instant>,
    /// When the tick will, otherwise.
    pub(super) due: Option<Instant>,
    pub(super) wake: Arc<Notify>,
    /// The last refused batch, whose halves are being tried.
    pub(super) trial: Option<Trial>,
    /// How the last attempt failed.
    pub(super) error: Option<ClientError>,
}

/// What a lane does.
#[derive(Debug)]
pub(super) enum Course {
    /// Nothing, and it has nothing to do.
    Idle,
    /// Somebody is about to compose or to write its next request, and nobody else may.
    Moving,
    /// It waits for the callers of what was stored last.
    Gathering,
    /// It has a task, which waits for what its next request needs.
    Waiting,
    /// Its request is on the wire.
    Flying(Box<Flying>),
}

/// What one broker is given at a time.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) requests: Arc<Semaphore>,
}

/// What is to be done once the lock is released, in this order.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) settled: Vec<Settlement>,
    /// Lanes that are [moving](Course::Moving), and that nobody moves yet.
    pub(super) starts: Vec<u32>,
    /// There is something to look at before the tick would.
    pub(super) tick: bool,
    /// Topics, by real name, whose route is wanted.
    pub(super) refresh: Vec<Arc<str>>,
    /// Topics whose keys wait for the caller's choice.
    pub(super) asks: Vec<Arc<str>>,
    pub(super) warnings: Vec<ClientError>,
}

/// A lane whose request was just stored: whoever awaited it is about to send again, and all of that goes in one request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gathering {
    /// So many sends were settled with this run, and nobody waits for their callers yet.
    Settled { count: usize, run: u64 },
    /// The lane waits until so many are there, or until then.
    Awaited { count: usize, run: u64, until: Instant },
}

impl Lane {
    /// Whether it has nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.course, Course::Idle)
    }

    /// An empty one.
    pub(super) fn new(topic: u32, queue: Option<u32>, key: Option<u32>) -> Self {
        Self {
            topic,
            queue,
            key,
            fifo: VecDeque::new(),
            dead: 0,
            course: Course::Idle,
            earliest: None,
            armed: None,
            due: None,
            wake: Arc::new(Notify::new()),
            trial: None,
            gathering: None,
            error: None,
        }
    }
}
