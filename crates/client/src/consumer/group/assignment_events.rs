//! Many queues, one event: what changes hands together is told together.
//!
//! Whoever is ready waits for those that are about to be, never for long, and not for those of which it is known that they take longer.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::client::Event;
use crate::consumer::brokers::Brokers;
use crate::consumer::queue::Queue;
use crate::env::{self, Instant};
use crate::protocol::MessageQueue;

/// The longest that one queue waits for the others.
const LONGEST: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct State {
    /// By number: about to be ready, or to be excused.
    awaited: BTreeSet<u32>,
    ready: Vec<MessageQueue>,
    due: Option<Instant>,
}

/// One kind of event on its way.
#[derive(Debug)]
pub(crate) struct EventBatch {
    make: fn(Vec<MessageQueue>) -> Event,
    state: Mutex<State>,
    /// How often something was told.
    told: watch::Sender<u64>,
}

impl EventBatch {
    /// Of queues that are ours from now on.
    pub(crate) fn of_assigned() -> Self {
        Self::new(|queues| Event::Assigned { queues })
    }

    /// Of queues that are ours no longer.
    pub(crate) fn of_revoked() -> Self {
        Self::new(|queues| Event::Revoked { queues })
    }

    fn new(make: fn(Vec<MessageQueue>) -> Event) -> Self {
        Self { make, state: Mutex::default(), told: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This queue will soon be ready, or excused.
    pub(crate) fn expect(&self, queue: &Queue) {
        if !queue.hidden {
            self.lock().awaited.insert(queue.index);
        }
    }

    /// Nobody needs to wait for this queue: it comes later, or not at all.
    pub(crate) fn excuse(&self, queue: &Queue, brokers: &impl Brokers) {
        let mut state = self.lock();
        if state.awaited.remove(&queue.index) && state.awaited.is_empty() {
            self.tell_all(&mut state, brokers);
        }
    }

    /// This queue is ready; resolves when that was told. Users know nothing of the retry topic.
    pub(crate) async fn tell(&self, queue: &Queue, brokers: &impl Brokers) {
        if queue.hidden {
            return;
        }
        let (due, mut told) = {
            let mut state = self.lock();
            state.awaited.remove(&queue.index);
            state.ready.push(queue.shown.clone());
            if state.awaited.is_empty() {
                return self.tell_all(&mut state, brokers);
            }
            // Under the lock: what is told from here on has this queue in it.
            (*state.due.get_or_insert_with(|| env::now() + LONGEST), self.told.subscribe())
        };
        if timeout_at(due, told.changed()).await.is_err() {
            let mut state = self.lock();
            // They had their time.
            state.awaited.clear();
            self.tell_all(&mut state, brokers);
        }
    }

    /// Whatever is ready, now: nobody waits any more.
    pub(crate) fn end(&self, brokers: &impl Brokers) {
        self.tell_all(&mut self.lock(), brokers);
    }

    fn tell_all(&self, state: &mut State, brokers: &impl Brokers) {
        let mut queues = std::mem::take(&mut state.ready);
        state.due = None;
        if !queues.is_empty() {
            queues.sort_unstable();
            brokers.emit((self.make)(queues));
            self.told.send_modify(|told| *told += 1);
        }
    }
}
