//! Pulls that found nothing and wait: as many as there is memory for.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::groups::registrations::Filter;

/// Most that one broker holds.
const MOST: usize = 65_536;
/// Most bytes of what they select by; a filter that many of them share counts for each.
const BYTES: usize = 32 * 1024 * 1024;

/// A pull that found nothing and waits.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) queue: (String, i32),
    pub(crate) offset: i64,
    pub(crate) filter: Arc<Filter>,
    /// What it takes besides, in bytes.
    pub(crate) names: usize,
    pub(crate) wake: Arc<Notify>,
}

impl Held {
    fn bytes(&self) -> usize {
        self.names + self.filter.bytes()
    }
}

/// All of one broker, by number.
#[derive(Debug, Default)]
pub(crate) struct HeldPulls {
    by_id: BTreeMap<u64, Held>,
    bytes: usize,
}

impl HeldPulls {
    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.by_id.len() < MOST && self.bytes < BYTES
    }

    /// One more.
    pub(crate) fn insert(&mut self, id: u64, held: Held) {
        self.bytes += held.bytes();
        self.by_id.insert(id, held);
    }

    /// It waits no more.
    pub(crate) fn remove(&mut self, id: u64) {
        if let Some(held) = self.by_id.remove(&id) {
            self.bytes -= held.bytes();
        }
    }

    /// Those of a queue.
    pub(crate) fn of<'a>(&'a self, topic: &'a str, queue_id: i32) -> impl Iterator<Item = &'a Held> {
        self.by_id.values().filter(move |held| held.queue.0 == topic && held.queue.1 == queue_id)
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}
