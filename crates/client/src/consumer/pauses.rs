//! What the program has paused. It outlives epochs of ownership, and covers queues that come later.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::queue::Queue;
use crate::protocol::MessageQueue;

/// Whose handlers may not start, by the names that users see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    /// Nobody's.
    pub everything: bool,
    /// Those of whole topics.
    pub topics: BTreeSet<String>,
    /// Those of single queues.
    pub queues: BTreeSet<MessageQueue>,
}

impl Paused {
    fn covers(&self, queue: &Queue) -> bool {
        // Messages of any topic are in a hidden one.
        let by_topic = if queue.hidden { !self.topics.is_empty() } else { self.topics.contains(&queue.shown.topic) };
        self.everything || by_topic || self.queues.contains(&queue.shown)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<Paused>);

impl Pauses {
    /// From now on these, and no others.
    pub(crate) fn replace(&self, paused: Paused) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = paused;
    }

    /// Tells a queue's gate whether it is paused.
    pub(crate) fn tell(&self, queue: &Queue) {
        let paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.gate.pause(paused.covers(queue));
    }
}
