//! The locks of the consumer's queues: one task per broker asks for them, renews them together and gives them back.

mod broker_locks;
pub(crate) mod lease;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use self::broker_locks::LockRequest;
use self::lease::Lease;
use super::brokers::Brokers;
use super::queue::Queue;
use super::shared::Shared;
use crate::env::{self, Instant};

pub(crate) use self::broker_locks::LockAnswer;

/// The way to who keeps the locks at one broker, and its task. Each actor has one question at a time, so there are no more of them than
/// queues; and all that wait go in one request, which tens of thousands could not that come through a narrow door.
type AtBroker = (mpsc::UnboundedSender<LockRequest>, JoinHandle<()>);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    by_broker: Mutex<HashMap<String, AtBroker>>,
    /// How often a lock was granted that had been refused: others of the same owner may be free, too.
    pub(crate) freed: watch::Sender<u64>,
}

impl Locks {
    fn by_broker(&self) -> MutexGuard<'_, HashMap<String, AtBroker>> {
        self.by_broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Brokers> Shared<B> {
    /// Who keeps the locks at a broker; started when first needed, ends with the consumer.
    fn locks_at(self: &Arc<Self>, broker_name: &str) -> mpsc::UnboundedSender<LockRequest> {
        let mut by_broker = self.locks.by_broker();
        let known = by_broker.entry(broker_name.to_owned()).or_insert_with(|| {
            let (requests, receiver) = mpsc::unbounded_channel();
            let task = env::spawn(broker_locks::run(Arc::clone(self), broker_name.to_owned(), receiver));
            (requests, task)
        });
        known.0.clone()
    }

    /// Asks the master for a queue's lock. In broadcasting every member has every queue, and nobody asks.
    pub(crate) async fn lock_queue(self: &Arc<Self>, queue: &Arc<Queue>) -> LockAnswer {
        if self.is_broadcasting() {
            queue.gate.granted(Lease::without_end(env::now()));
            return LockAnswer::Granted;
        }
        let (reply, answer) = oneshot::channel();
        let _ = self.locks_at(&queue.real.broker_name).send(LockRequest::Lock(Arc::clone(queue), reply));
        answer.await.unwrap_or(LockAnswer::Refused)
    }

    /// Gives a queue's lock back.
    pub(crate) async fn unlock_queue(self: &Arc<Self>, queue: &Arc<Queue>) {
        if self.is_broadcasting() {
            return;
        }
        let (reply, answer) = oneshot::channel();
        let _ = self.locks_at(&queue.real.broker_name).send(LockRequest::Unlock(Arc::clone(queue), reply));
        let _ = answer.await;
    }

    /// No lock is asked for any more: waits until then for those that are still given back.
    pub(crate) async fn end_locks(&self, firm: Instant) {
        let by_broker = std::mem::take(&mut *self.locks.by_broker());
        for (broker_name, (requests, task)) in by_broker {
            drop(requests);
            let abort = task.abort_handle();
            // What it still waits for would not come.
            let is_gone = self.unreachable(&broker_name).is_some();
            if is_gone || timeout_at(firm, task).await.is_err() {
                abort.abort();
            }
        }
    }
}
