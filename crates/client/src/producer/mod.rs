//! The ordered producer: a sharding key's messages are stored in the order of the calls, or not at all.
//!
//! A message is let in under one short lock (`admission`), waits in its lane, and leaves with what else has gathered there when the
//! lane's one request has been answered (`lane`, `flight`). `answers` is the table of what an answer means, `outcomes` does it; `batches`
//! learns how large they may be. A failure takes with
//! it what of its key was called before it was delivered (`fence`). Whoever sends more than brokers take can wait (`high_water`).

mod admission;
mod answers;
mod batch_limit;
mod batches;
mod calls;
mod choices;
mod core;
mod dispatch;
mod encoder;
mod fence;
mod flight;
mod gathering;
mod high_water;
mod lane;
mod lane_panic;
mod masters;
mod model;
mod options;
mod outcomes;
mod packing;
mod queue_selector;
mod record;
mod route_watch;
mod slab;
mod start;
mod state;
#[cfg(test)]
mod tests;
mod ticking;
mod unread_queues;
mod waiting;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use self::core::Core;
use self::encoder::Encoder;
use self::model::Phase;
use self::state::State;
use crate::client::LastFailure;
use crate::env;
use crate::error::{ClientError, Outcome};
use crate::protocol::{MessageQueue, UniqueIds};

/// The least time for taking leave of the brokers.
const LEAVE: Duration = Duration::from_millis(500);

#[allow(unused_imports, reason = "the binding takes what it needs from this list")]
pub use self::{
    calls::{
        Calls, Content, FailedRun, Failure, Gathered, Outgoing, OutgoingBatch, ProducerStats, Receipt, Settlement,
        StoredRun, StoredSend,
    },
    choices::QueueList,
    flight::Wire,
    masters::{Masters, Unsent},
    options::{Batching, OnRouteChange, ProducerOptions, ShardingHash},
};

/// Sends messages in order. Its methods may be called from any thread, but the calls of one caller from one at a time: their order
/// is the order of the messages.
pub struct Producer<B> {
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

impl<B: Masters> Producer<B> {
    /// A producer that is not started. `calls` is told of every outcome.
    pub fn new(brokers: B, options: ProducerOptions, calls: Arc<dyn Calls>) -> Arc<Self> {
        let random = i32::from_ne_bytes(env::random_u32().to_ne_bytes());
        let ids = UniqueIds::new(local_ip(brokers.id()), env::process_id(), random);
        let encoder = Encoder::new(&options, brokers.namespace(), ids);
        let real_group = brokers.wrap(&options.group);
        let (topics, group) = (options.topics.clone(), options.group.clone());
        let state = State::new(options, brokers.advice());
        Arc::new(Self {
            core: Core::new(brokers, calls, encoder, real_group, state),
            topics,
            group,
            last: LastFailure::default(),
        })
    }

    /// Takes a message in; it will be settled.
    ///
    /// An error means that nothing has happened and nothing will be settled.
    pub fn send(&self, mut message: Outgoing) -> Result<(), ClientError> {
        let prepared = self.core.encoder.message(&mut message)?;
        self.admit(&message.topic, &message.sharding_key, prepared)
    }

    /// Takes a batch in, as `send` does: one request, stored whole or not at all.
    pub fn send_batch(&self, mut batch: OutgoingBatch) -> Result<(), ClientError> {
        let prepared = self.core.encoder.batch(&mut batch)?;
        self.admit(&batch.topic, &batch.sharding_key, prepared)
    }

    fn admit(&self, topic: &str, sharding_key: &str, message: admission::Prepared) -> Result<(), ClientError> {
        let mut message = Some(message);
        loop {
            let admission = self.core.called(|state, out| -> Result<_, ClientError> {
                state.is_open().map_err(|error| error.with_outcome(Outcome::NotStored))?;
                let Some(&topic) = state.topic_ids.get(topic) else { return Ok(None) };
                Ok(message.take().map(|message| state.admit(topic, sharding_key, message, out)))
            })?;
            if admission.is_some() {
                return Ok(());
            }
            // The first of its topic.
            self.core.follow_topic(topic);
        }
    }

    /// Whether less is held than the high-water mark.
    pub fn has_room(&self) -> bool {
        self.core.with(|state, _| state.has_room())
    }

    /// Waits until there is room, or until the producer is closed.
    pub async fn ready(&self) -> Result<(), ClientError> {
        loop {
            let room = self.core.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let has_room = self.core.with(|state, _| -> Result<bool, ClientError> {
                state.is_open()?;
                let has_room = state.has_room();
                state.is_room_wanted |= !has_room;
                Ok(has_room)
            })?;
            if has_room {
                return Ok(());
            }
            room.await;
        }
    }

    /// Keeps the lanes that still wait for the callers of their last sends.
    pub fn retain_gathering(&self, lanes: &mut Vec<Gathered>) {
        self.core.with(|state, _| lanes.retain(|&gathered| state.is_gathering(gathered)));
    }

    /// The callers of these runs have had a turn to send again.
    pub fn turned(&self, lanes: &[Gathered]) {
        self.core.called(|state, out| state.turned(lanes, out));
    }

    /// The caller is delivering a failure of this key; what it calls from now on starts afresh.
    pub fn heard(&self, topic: &str, sharding_key: &str) {
        self.core.with(|state, _| state.heard(topic, sharding_key));
    }

    /// A caller's signal, of these sends: what waits is taken out, and its key's successors with it; on the wire it has no effect.
    pub fn abort(&self, slots: &[u32]) {
        self.core.with(|state, out| state.abort(slots, out));
    }

    /// The queues a key of this topic may go to, in the order its index addresses.
    pub async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        self.core.encoder.topic(topic)?;
        self.core.with(|state, _| state.is_open())?;
        let listed = self.core.with(|state, _| state.topic_ids.get(topic).map(|&topic| state.list(topic)));
        match listed {
            Some(queues) if !queues.is_empty() => Ok(queues),
            _ => {
                let route = self.core.brokers.route(&self.core.brokers.wrap(topic)).await;
                let route = route.map_err(|error| error.with_topic(topic))?;
                let hash = self.core.with(|state, _| state.options.sharding_hash);
                Ok(queue_selector::write_queues(&route, topic, hash))
            }
        }
    }

    /// Counts.
    pub fn stats(&self) -> ProducerStats {
        self.core.with(|state, _| ProducerStats {
            waiting: state.above_mark(),
            pending_messages: state.load.messages,
            pending_bytes: state.load.bytes,
            sent: state.sent,
            failed: state.failed,
            requests: state.requests,
            retries: state.retries,
        })
    }

    /// Ends what was called before, as long as `timeout` allows; then rejects what is left. New calls are refused at once. At
    /// the end the client is closed.
    pub async fn close(&self, timeout: Duration) {
        let is_first = self.core.with(|state, _| match state.phase {
            Phase::Closing | Phase::Closed => false,
            Phase::Idle | Phase::Running => {
                state.phase = Phase::Closing;
                true
            }
        });
        let deadline = env::now() + timeout;
        // Its outcome does not matter: either nothing is left, or the time is up.
        let _ = tokio::time::timeout_at(deadline, self.emptied()).await;
        let rejected = env::caught_now(|| self.reject_the_rest());
        if let Err(panic) = rejected {
            self.core.brokers.warn(ClientError::panicked("what was left at close() could not be rejected", &panic));
        }
        // Brokers that are gone cannot be taken leave of.
        let deadline = deadline.max(env::now() + LEAVE);
        let _ = tokio::time::timeout_at(deadline, self.core.brokers.close()).await;
        if is_first {
            self.core.with(|state, _| state.options.history.end());
        }
    }

    /// What is wrong at the moment.
    pub fn problems(&self) -> Vec<ClientError> {
        let mut problems = self.core.brokers.problems();
        problems.extend(self.core.with(|state, _| state.unread()));
        problems
    }

    fn reject_the_rest(&self) {
        self.core.with(|state, out| {
            state.phase = Phase::Closed;
            state.reject_all(out);
            for (_, lane) in state.lanes.iter() {
                lane.wake.notify_one();
            }
            out.tick = true;
        });
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

/// Our own address, for unique ids: a client id begins with the one from which the name server is reached.
fn local_ip(client_id: &str) -> IpAddr {
    let address = client_id.split('@').next().and_then(|address| address.parse().ok());
    address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
