//! All queues the consumer ever had, and their actors.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tokio::task::JoinHandle;

use super::gate::Gate;
use super::queue::Queue;
use crate::protocol::MessageQueue;
use crate::sync::{Mutex, RwLock, RwLockReadGuard};

/// A queue, and the task of its actor.
pub(crate) type Actor = (Arc<Queue>, JoinHandle<()>);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    table: RwLock<Table>,
    actors: Mutex<Vec<Actor>>,
}

/// By number and by name.
#[derive(Debug, Default)]
struct Table {
    by_index: Vec<Arc<Queue>>,
    by_name: BTreeMap<MessageQueue, u32>,
}

impl Table {
    fn at(&self, index: u32) -> Option<&Arc<Queue>> {
        self.by_index.get(index as usize)
    }

    fn find(&self, name: &MessageQueue) -> Option<&Arc<Queue>> {
        self.by_name.get(name).and_then(|index| self.at(*index))
    }
}

impl Queues {
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue of that number.
    pub(crate) fn at(&self, index: u32) -> Option<Arc<Queue>> {
        self.read().at(index).cloned()
    }

    /// Asks the gate of the queue of that number.
    pub(crate) fn at_gate<T>(&self, index: u32, ask: impl FnOnce(&Gate) -> T) -> Option<T> {
        self.read().at(index).map(|queue| ask(&queue.gate))
    }

    /// The queue of that real name.
    pub(crate) fn find(&self, name: &MessageQueue) -> Option<Arc<Queue>> {
        self.read().find(name).cloned()
    }

    /// All of them, by number.
    pub(crate) fn all(&self) -> Vec<Arc<Queue>> {
        self.read().by_index.clone()
    }

    /// The queue of that real name; where there is none, it is made with the next number, and its actor begins.
    pub(crate) fn find_or_add(
        &self,
        name: &MessageQueue,
        make: impl FnOnce(u32) -> Arc<Queue>,
        begin: impl FnOnce(&Arc<Queue>) -> JoinHandle<()>,
    ) -> Arc<Queue> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.find(name) {
            return Arc::clone(known);
        }
        let queue = make(u32::try_from(table.by_index.len()).unwrap_or(u32::MAX));
        table.by_name.insert(queue.real.clone(), queue.index);
        table.by_index.push(Arc::clone(&queue));
        let actor = begin(&queue);
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).push((Arc::clone(&queue), actor));
        queue
    }

    /// The actors, for whoever waits for their end.
    pub(crate) fn take_actors(&self) -> Vec<Actor> {
        std::mem::take(&mut *self.actors.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
