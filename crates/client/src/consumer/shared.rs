//! What all tasks of one consumer share, each thing by its owner.

use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;

use super::brokers::Brokers;
use super::budget::Budget;
use super::group::Group;
use super::health::Watches;
use super::initial_offsets::InitialOffsets;
use super::locks::Locks;
use super::locks::lease::Wall;
use super::masters::Sought;
use super::options::{ConsumerOptions, OrderedBy};
use super::pauses::Pauses;
use super::positions::Positions;
use super::queue::Queue;
use super::queues::Queues;
use super::report::Counters;
use super::sink::Handlers;
use super::subscriptions::Subscriptions;
use crate::client::{Event, Level};
use crate::env::Instant;
use crate::error::ClientError;
use crate::record::event::Role;

/// Answers that are unpacked at one time.
const UNPACKING: usize = 2;

/// See the module.
pub(crate) struct Shared<B> {
    /// The way to the brokers.
    pub(crate) brokers: B,
    /// As given.
    pub(crate) options: ConsumerOptions,
    /// The way to the handlers.
    pub(crate) handlers: Handlers,
    /// What is subscribed.
    pub(crate) subscriptions: Subscriptions,
    /// The group, and who is in it.
    pub(crate) group: Group,
    /// What the program has paused.
    pub(crate) pauses: Pauses,
    /// Every queue there ever was, and its actor.
    pub(crate) queues: Queues,
    /// Their locks.
    pub(crate) locks: Locks,
    /// Where their offsets are kept.
    pub(crate) positions: Positions,
    /// Where they begin without a committed offset.
    pub(crate) initial_offsets: InitialOffsets,
    /// Memory of all queues.
    pub(crate) budget: Arc<Budget>,
    /// Whoever unpacks much takes one: processors are few, and so are bodies in memory twice.
    pub(crate) unpacking: Arc<Semaphore>,
    /// Brokers without a master, and when one was sought.
    pub(super) sought: Sought,
    /// Set when the consumer closes: when the signals of handlers fire that still run.
    pub(crate) last_call: OnceLock<Instant>,
    /// What is looked at from outside.
    pub(crate) watches: Watches,
    /// Counts since the start.
    pub(crate) counters: Counters,
}

impl<B> std::fmt::Debug for Shared<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("group", &self.group.name).finish_non_exhaustive()
    }
}

impl<B: Brokers> Shared<B> {
    /// Nothing runs yet.
    pub(crate) fn new(
        brokers: B,
        options: ConsumerOptions,
        handlers: Handlers,
        group: Group,
        subscriptions: Subscriptions,
    ) -> Self {
        Self {
            handlers,
            subscriptions,
            group,
            pauses: Pauses::default(),
            queues: Queues::default(),
            locks: Locks::default(),
            positions: Positions::of(&options.message_model),
            initial_offsets: InitialOffsets::default(),
            budget: Budget::new(options.prefetch_bytes),
            unpacking: Arc::new(Semaphore::new(UNPACKING)),
            sought: Sought::default(),
            last_call: OnceLock::new(),
            watches: Watches::default(),
            counters: Counters::since(brokers.wall_ms()),
            options,
            brokers,
        }
    }

    /// Writes down who we are.
    pub(super) fn begin_history(&self) {
        self.options.history.begin(Role::Consumer, self.brokers.id(), &self.group.name, |hello| {
            hello.by_key = self.options.ordered_by == OrderedBy::Key;
            hello.broadcasting = self.is_broadcasting();
        });
    }

    /// Runs a task that begins anew after a panic, which is told.
    pub(super) async fn kept<F: Future<Output = ()>>(self: Arc<Self>, what: &str, run: impl Fn(Arc<Self>) -> F) {
        let begin = || run(Arc::clone(&self));
        crate::env::kept(begin, |panic| {
            self.warn(ClientError::panicked(&format!("{what} has failed and begins anew"), &panic));
        })
        .await;
    }

    /// The wall clock for gates.
    pub(crate) fn wall(self: &Arc<Self>) -> Wall {
        let shared = Arc::downgrade(self);
        Arc::new(move || shared.upgrade().map_or_else(crate::env::wall_ms, |shared| shared.brokers.wall_ms()))
    }

    /// A record for developers.
    pub(crate) fn debug(&self, queue: &Queue, text: &str) {
        let fields = serde_json::json!({ "queue": queue.shown, "group": self.options.group });
        self.brokers.emit(Event::log(Level::Debug, text, fields));
    }

    /// A fault in the background.
    pub(crate) fn warn(&self, error: ClientError) {
        self.brokers.warn(error);
    }
}
