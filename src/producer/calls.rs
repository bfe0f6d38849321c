//! What goes in and out of a producer: messages, receipts, and the one who is told.

use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ClientError;
use crate::protocol::MessageQueue;

/// One message of a batch that the user made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// The payload, 1 byte at least.
    pub(crate) body: Bytes,
    /// The tag.
    pub(crate) tags: Option<String>,
    /// The keys, joined by a space.
    pub(crate) keys: Option<String>,
    /// The user's own properties.
    pub(crate) properties: Vec<(String, String)>,
}

/// A message on its way in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    /// The caller's number of this send; settled exactly once, then free again.
    pub(crate) slot: u32,
    /// The topic as the user sees it.
    pub(crate) topic: String,
    /// The sharding key.
    pub(crate) sharding_key: String,
    /// The payload, 1 byte at least.
    pub(crate) body: Bytes,
    /// The tag.
    pub(crate) tags: Option<String>,
    /// The keys, joined by a space.
    pub(crate) keys: Option<String>,
    /// The user's own properties.
    pub(crate) properties: Vec<(String, String)>,
    /// This send's time, instead of the producer's own.
    pub(crate) timeout: Option<Duration>,
}

/// Several messages for one request: stored whole or not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutgoingBatch {
    /// The caller's number of this send; settled exactly once, then free again.
    pub(crate) slot: u32,
    /// The topic as the user sees it.
    pub(crate) topic: String,
    /// The sharding key of all of them.
    pub(crate) sharding_key: String,
    /// The messages, 1 at least.
    pub(crate) messages: Vec<Content>,
    /// This send's time, instead of the producer's own.
    pub(crate) timeout: Option<Duration>,
}

/// Where a message was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// `SendStatus`: 0 stored as configured, 1 flush to disk unconfirmed, 2 copy to a slave unconfirmed, 3 no slave there.
    pub(crate) status: i32,
    /// The unique id that consumers see.
    pub(crate) msg_id: String,
    /// The broker's own id of the stored copy; empty where it gave none.
    pub(crate) offset_msg_id: String,
    /// The queue, with the topic as the user sees it.
    pub(crate) queue: Arc<MessageQueue>,
    /// The offset in that queue.
    pub(crate) queue_offset: i64,
}

/// Single sends that one answer has stored, at consecutive offsets of one queue.
#[derive(Clone, Debug)]
pub(crate) struct StoredRun {
    /// The lane they were in; it gathers what their callers send next, until [`turned`](super::Producer::turned).
    pub(crate) lane: u32,
    /// As of a receipt.
    pub(crate) status: i32,
    /// The queue, with the topic as the user sees it.
    pub(crate) queue: Arc<MessageQueue>,
    /// The offset of the first.
    pub(crate) queue_offset: i64,
    /// The broker's own ids of the stored copies, joined by commas; fewer where it gave fewer.
    pub(crate) offset_msg_ids: String,
    /// In the order of their offsets; 1 at least.
    pub(crate) sends: Vec<StoredSend>,
}

/// One send of a run.
#[derive(Clone, Debug)]
pub(crate) struct StoredSend {
    /// The caller's number of it.
    pub(crate) slot: u32,
    /// The unique id that consumers see.
    pub(crate) msg_id: String,
}

impl StoredRun {
    /// One more, at the next offset.
    pub(crate) fn push(&mut self, slot: u32, msg_id: String, offset_msg_id: &str) {
        if !self.sends.is_empty() {
            self.offset_msg_ids.push(',');
        }
        self.offset_msg_ids.push_str(offset_msg_id);
        self.sends.push(StoredSend { slot, msg_id });
    }
}

/// Sends that one failure takes along, in the order of their calls.
#[derive(Clone, Debug)]
pub(crate) struct FailedRun {
    /// The caller's numbers of them; 1 at least.
    pub(crate) slots: Vec<u32>,
    /// The error of each.
    pub(crate) error: ClientError,
    /// Of the send that closes its key, alone in its run.
    pub(crate) failure: Option<Failure>,
    /// The number of the failure that has taken them along; 0 for none.
    pub(crate) cause: u64,
}

/// A failure that has closed its key, until [`heard`](super::Producer::heard) reports its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// 1 and up.
    pub(crate) number: u64,
    /// The topic as the user sees it.
    pub(crate) topic: Arc<str>,
    /// The sharding key.
    pub(crate) sharding_key: Arc<str>,
}

/// Outcome of a send, or of several, for whoever called.
#[derive(Clone, Debug)]
pub(crate) enum Settlement {
    /// Single sends that were stored.
    Stored(StoredRun),
    /// A batch of the user's that was stored, one receipt per message.
    Batch {
        /// The caller's number of it.
        slot: u32,
        /// In the order of the messages.
        receipts: Vec<Receipt>,
    },
    /// What failed.
    Failed(FailedRun),
}

/// The side that called.
pub(crate) trait Calls: Send + Sync + 'static {
    /// Takes what has been decided, to be heard in this order. Called under the producer's lock: it does nothing else.
    fn settled(&self, settlements: Vec<Settlement>);
    /// There is something to be heard. Never blocks and never calls the producer back on the same stack.
    fn ring(&self);
}

/// Counts for `stats()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProducerStats {
    /// Messages held above the high-water mark; where bytes are what is above it, as many of the mean size.
    pub(crate) waiting: usize,
    /// Messages held here: waiting, or not yet answered.
    pub(crate) pending_messages: usize,
    /// Their bodies and properties, in bytes.
    pub(crate) pending_bytes: usize,
    /// Messages stored.
    pub(crate) sent: u64,
    /// Messages rejected.
    pub(crate) failed: u64,
    /// Requests to brokers, repeated ones included.
    pub(crate) requests: u64,
    /// Requests that repeated an earlier one.
    pub(crate) retries: u64,
}
