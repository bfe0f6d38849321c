//! The ordered push consumer: group membership, allocation, one actor and one gate per owned queue, delivery.

mod actor;
mod brokers;
mod budget;
mod calls;
mod close;
mod flow;
mod gate;
mod group;
mod health;
mod initial_offsets;
mod locks;
mod masters;
mod options;
mod pauses;
mod positions;
mod pushes;
mod queue;
mod queues;
mod record;
mod report;
mod shared;
mod sink;
mod start;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

pub use self::brokers::Brokers;
pub use self::flow::SeekTo;
pub use self::gate::{Ack, Outcome};
pub use self::options::{ConsumerOptions, InitialPosition, MessageModel, OnUndecodable, OrderedBy, Suspend, Wish};
pub use self::pauses::Paused;
pub use self::report::{ConsumerStats, Health, QueueState};
pub use self::sink::{Delivery, Handover, Sink};

use self::gate::Gate;
use self::group::{Group, rebalance, subscription_check};
use self::health::{lag_probe, stalls};
use self::shared::Shared;
use self::sink::Handlers;
use self::subscriptions::Subscriptions;
use crate::error::{ClientError, Code};
use crate::protocol::MessageQueue;
use crate::shutdown::Shutdown;

/// An ordered push consumer. Each queue has at most one running handler in the whole group.
pub struct Consumer<B> {
    shared: Arc<Shared<B>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    shutdown: Shutdown,
    last: start::LastFailure,
}

impl<B> std::fmt::Debug for Consumer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl<B: Brokers> Consumer<B> {
    /// Nothing is asked of anybody before [`Consumer::start`]. Refuses an expression that can match nothing.
    pub fn new(brokers: B, options: ConsumerOptions, sink: Arc<dyn Sink>) -> Result<Self, ClientError> {
        let group = Group::new(brokers.wrap(&options.group));
        let wishes = &options.subscriptions;
        let model = &options.message_model;
        let subscriptions = Subscriptions::new(&brokers, wishes, model, &group)?;
        let shared = Arc::new(Shared::new(brokers, options, Handlers::new(sink), group, subscriptions));
        Ok(Self { shared, tasks: Mutex::default(), shutdown: Shutdown::default(), last: start::LastFailure::default() })
    }

    /// Resolves when routes are known, heartbeats are accepted, subscriptions are valid and the brokers list us. The caller keeps the
    /// bound, and closes what has failed to start: brokers may know it already.
    pub async fn start(&self, bound: Duration) -> Result<(), ClientError> {
        self.shared.begin_history();
        let patient_until = crate::env::now() + bound / 2;
        tokio::select! {
            prepared = start::prepare(&self.shared, &self.last, patient_until) => prepared?,
            () = self.shutdown.left() => return Err(ClientError::new(Code::Closed, "closed while starting")),
        }
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shutdown.is_open() {
            return Err(ClientError::new(Code::Closed, "closed while starting"));
        }
        tasks.push(self.keep("the rebalance", rebalance::run));
        tasks.push(self.keep("the comparison of subscriptions", subscription_check::run));
        tasks.push(self.keep("the look at queues that wait", stalls::run));
        tasks.push(self.keep("the look at how queues stand", lag_probe::run));
        if let Some(calls) = self.shared.brokers.pushes() {
            let calls = Arc::new(tokio::sync::Mutex::new(calls));
            tasks.push(self.keep("the answers to brokers", move |shared| pushes::run(shared, Arc::clone(&calls))));
        }
        Ok(())
    }

    /// A task that begins anew after a panic, which is told.
    fn keep<F>(&self, what: &'static str, run: impl Fn(Arc<Shared<B>>) -> F + Send + Sync + 'static) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        crate::env::spawn(Arc::clone(&self.shared).kept(what, run))
    }

    /// What the start tries again and again, if it does.
    pub fn obstacle(&self) -> Option<ClientError> {
        self.last.get()
    }

    /// The queue of that number, with the topic as the user sees it.
    pub fn queue(&self, index: u32) -> Option<MessageQueue> {
        self.shared.queues.at(index).map(|queue| queue.shown.clone())
    }

    /// Whether the handler of the messages from `offset` to `last`, mostly one, may be called now, in this very tick.
    pub fn may_start(&self, queue: u32, generation: u32, offset: i64, last: i64) -> bool {
        self.shared.queues.at_gate(queue, |gate| gate.may_start(generation, offset, last)).unwrap_or(false)
    }

    /// A handler of several messages is done with one of them, and goes on with the next.
    pub fn pass(&self, queue: u32, generation: u32, offset: i64, next: i64) {
        self.shared.queues.at_gate(queue, |gate| gate.pass(generation, offset, next));
    }

    /// A handler has succeeded. Where there is a `next` message, its handler may be called in the same tick, if the answer says so.
    pub fn succeeded(&self, queue: u32, generation: u32, offset: i64, next: Option<i64>) -> Ack {
        let ack = |gate: &Gate| gate.ack(generation, offset, Outcome::Success, None, next);
        self.shared.queues.at_gate(queue, ack).unwrap_or(Ack::IGNORED)
    }

    /// A handler has ended in another way.
    pub fn failed(&self, queue: u32, generation: u32, offset: i64, outcome: Outcome, reason: Option<String>) -> Ack {
        let ack = |gate: &Gate| gate.ack(generation, offset, outcome, reason, None);
        self.shared.queues.at_gate(queue, ack).unwrap_or(Ack::IGNORED)
    }

    /// A handler says nothing of its message, which is as if it had not begun.
    pub fn left(&self, queue: u32, generation: u32, offset: i64) {
        self.shared.queues.at_gate(queue, |gate| gate.left(generation, offset));
    }

    /// From now on the handlers of these do not start, and those of all others do. What runs ends in peace.
    pub fn pause(&self, paused: Paused) {
        self.shared.pauses.replace(paused);
        for queue in self.shared.queues.all() {
            self.shared.pauses.tell(&queue);
        }
    }

    /// The queues that are ours, or on their way in or out.
    pub fn assignment(&self) -> Vec<QueueState> {
        self.shared.assignment()
    }

    /// Counts.
    pub fn stats(&self) -> ConsumerStats {
        self.shared.stats()
    }

    /// What is wrong at the moment.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// As [`Consumer::close`], when nobody runs handlers any more: what was running never ends.
    pub async fn abandon(&self, bound: Duration) {
        self.shared.handlers.leave();
        self.close(bound).await;
    }

    /// Drains, commits, unlocks, unregisters; at its bound it returns with what is done. Again: waits for the first call.
    pub async fn close(&self, bound: Duration) {
        self.shutdown.through(self.close_once(bound)).await;
    }
}
