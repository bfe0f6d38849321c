//! The ordered producer: a sharding key's messages are stored in the order of the calls, or not at all.
//!
//! A message is let in under one short lock (`admission`), waits in its lane, and leaves with what else has gathered there when the
//! lane's one request has been answered (`lane`, `flight`). `answers` is the table of what an answer means, `landing` does it; `batches`
//! learns how large they may be. A failure takes with
//! it what of its key was called before it was delivered (`fence`). Past the limits the caller keeps its messages (`room`).

mod admission;
mod answers;
mod batch_limit;
mod batches;
mod brokers;
mod calls;
mod core;
mod dispatch;
mod entities;
mod fence;
mod flight;
mod landing;
mod lane;
mod message;
mod options;
mod panicked;
mod queue_selector;
mod room;
mod slab;
mod start;
mod state;
#[cfg(test)]
mod tests;
mod unread;
mod watching;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::core::Core;
use self::entities::Phase;
use self::message::Press;
use self::state::State;
use crate::client::LastFailure;
use crate::env;
use crate::error::{ClientError, Outcome};
use crate::protocol::{MessageQueue, UniqueIds};

/// The least time for taking leave of the brokers.
const LEAVE: Duration = Duration::from_millis(500);

#[allow(unused_imports, reason = "the binding takes what it needs from this list")]
pub(crate) use self::{
    brokers::{Brokers, Unsent},
    calls::{
        Admission, Calls, Content, FailureKey, Outgoing, OutgoingBatch, ProducerStats, Receipt, StoredRun, StoredSend,
    },
    options::{Batching, OnRouteChange, ProducerOptions, ShardingHash},
};

/// Sends messages in order. Its methods may be called from any thread, but the calls of one caller from one at a time: their order
/// is the order of the messages.
pub(crate) struct Producer<B> {
    core: Arc<Core<B>>,
    topics: Vec<String>,
    group: String,
    last: LastFailure,
}

impl<B> fmt::Debug for Producer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("group", &self.group).finish_non_exhaustive()
    }
}

impl<B: Brokers> Producer<B> {
    /// A producer that is not started. `calls` is told of every outcome.
    pub(crate) fn new(brokers: B, options: ProducerOptions, calls: Arc<dyn Calls>) -> Arc<Self> {
        let random = i32::from_ne_bytes(env::random_u32().to_ne_bytes());
        let ids = UniqueIds::new(brokers.local_ip(), std::process::id(), random);
        let press = Press::new(&options, brokers.namespace(), ids);
        let real_group = brokers.wrap(&options.group);
        let (topics, group) = (options.topics.clone(), options.group.clone());
        let state = State::new(options, brokers.advice());
        Arc::new(Self {
            core: Core::new(brokers, calls, press, real_group, state),
            topics,
            group,
            last: LastFailure::default(),
        })
    }

    /// Takes a message in, or names the lane that has no room. `feeding`: it comes from the caller's FIFO of such a lane.
    ///
    /// An error means that nothing has happened and nothing will be settled.
    pub(crate) fn send(&self, mut message: Outgoing, feeding: bool) -> Result<Admission, ClientError> {
        let prepared = self.core.press.message(&mut message)?;
        self.admit(&message.topic, &message.sharding_key, prepared, feeding)
    }

    /// Takes a batch in, as `send` does: one request, stored whole or not at all.
    pub(crate) fn send_batch(&self, mut batch: OutgoingBatch, feeding: bool) -> Result<Admission, ClientError> {
        let prepared = self.core.press.batch(&mut batch)?;
        self.admit(&batch.topic, &batch.sharding_key, prepared, feeding)
    }

    fn admit(
        &self,
        topic: &str,
        sharding_key: &str,
        message: admission::Prepared,
        feeding: bool,
    ) -> Result<Admission, ClientError> {
        let mut message = Some(message);
        loop {
            let admission = self.core.with(|state, out| -> Result<_, ClientError> {
                state.is_open(feeding).map_err(|error| error.with_outcome(Outcome::NotStored))?;
                let Some(&topic) = state.topic_ids.get(topic) else { return Ok(None) };
                Ok(message.take().map(|message| state.admit(topic, sharding_key, message, feeding, out)))
            })?;
            match admission {
                Some(admission) => return Ok(admission),
                // The first of its topic.
                None => self.core.follow_topic(topic),
            }
        }
    }

    /// The caller's FIFO of this lane is empty: its messages may come directly again.
    pub(crate) fn drained(&self, lane: u32) {
        self.core.with(|state, out| state.drained(lane, out));
    }

    /// The caller is delivering a failure of this key; what it calls from now on starts afresh.
    pub(crate) fn heard(&self, topic: &str, sharding_key: &str) {
        self.core.with(|state, _| state.heard(topic, sharding_key));
    }

    /// A caller's signal: a message that waits is taken out, and its key's successors with it; on the wire it has no effect.
    pub(crate) fn abort(&self, slot: u32) {
        self.core.with(|state, out| state.abort(slot, out));
    }

    /// The queues a key of this topic may go to, in the order its index addresses.
    pub(crate) async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        self.core.press.topic(topic)?;
        self.core.with(|state, _| state.is_open(false))?;
        let listed = self.core.with(|state, _| state.topic_ids.get(topic).map(|&topic| state.list(topic)));
        match listed {
            Some(queues) if !queues.is_empty() => Ok(queues),
            _ => {
                let route = self.core.brokers.route(&self.core.brokers.wrap(topic)).await;
                Ok(route.map_err(|error| error.with_topic(topic))?.write_queues(topic))
            }
        }
    }

    /// Counts.
    pub(crate) fn stats(&self) -> ProducerStats {
        self.core.with(|state, _| ProducerStats {
            pending_messages: state.load.messages,
            pending_bytes: state.load.bytes,
            sent: state.sent,
            failed: state.failed,
            requests: state.requests,
            retries: state.retries,
        })
    }

    /// Ends what was called before, as long as `timeout` allows; then rejects what is left. New calls are refused at once, but the
    /// caller's FIFOs may still be fed. At the end the client is closed.
    pub(crate) async fn close(&self, timeout: Duration) {
        self.core.with(|state, _| {
            if state.phase != Phase::Closed {
                state.phase = Phase::Closing;
            }
        });
        let deadline = env::now() + timeout;
        // Its outcome does not matter: either nothing is left, or the time is up.
        let _ = tokio::time::timeout_at(deadline, self.emptied()).await;
        self.core.with(|state, out| {
            state.phase = Phase::Closed;
            state.reject_all(out);
            for (_, lane) in state.lanes.iter() {
                lane.wake.notify_one();
            }
        });
        // Brokers that are gone cannot be taken leave of.
        let deadline = deadline.max(env::now() + LEAVE);
        let _ = tokio::time::timeout_at(deadline, self.core.brokers.close()).await;
    }

    /// What is wrong at the moment.
    pub(crate) fn problems(&self) -> Vec<ClientError> {
        let mut problems = self.core.brokers.problems();
        problems.extend(self.core.with(|state, _| state.unread()));
        problems
    }

    async fn emptied(&self) {
        loop {
            let ended = self.core.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.core.is_empty() {
                return;
            }
            ended.await;
        }
    }
}
