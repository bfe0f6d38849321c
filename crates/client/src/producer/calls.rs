//! What goes in and out of a producer: messages, receipts, and the one who is told.

use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ClientError;
use crate::protocol::MessageQueue;

/// One message of a batch that the user made.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The payload, 1 byte at least.
    pub body: Bytes,
    /// The tag.
    pub tags: Option<String>,
    /// The keys, joined by a space.
    pub keys: Option<String>,
    /// The user's own properties.
    pub properties: Vec<(String, String)>,
}

/// A message on its way in.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// The caller's number of this send; settled exactly once, then free again.
    pub slot: u32,
    /// The topic as the user sees it.
    pub topic: String,
    /// The sharding key.
    pub sharding_key: String,
    /// The payload, 1 byte at least.
    pub body: Bytes,
    /// The tag.
    pub tags: Option<String>,
    /// The keys, joined by a space.
    pub keys: Option<String>,
    /// The user's own properties.
    pub properties: Vec<(String, String)>,
    /// This send's time, instead of the producer's own.
    pub timeout: Option<Duration>,
}

/// Several messages for one request: stored whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct OutgoingBatch {
    /// The caller's number of this send; settled exactly once, then free again.
    pub slot: u32,
    /// The topic as the user sees it.
    pub topic: String,
    /// The sharding key of all of them.
    pub sharding_key: String,
    /// The messages, 1 at least.
    pub messages: Vec<Content>,
    /// This send's time, instead of the producer's own.
    pub timeout: Option<Duration>,
}

/// Where a message was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `SendStatus`: 0 stored as configured, 1 flush to disk unconfirmed, 2 copy to a slave unconfirmed, 3 no slave there.
    pub status: i32,
    /// The unique id that consumers see.
    pub msg_id: String,
    /// The broker's own id of the stored copy; empty where it gave none.
    pub offset_msg_id: String,
    /// The queue, with the topic as the user sees it.
    pub queue: Arc<MessageQueue>,
    /// The offset in that queue.
    pub queue_offset: i64,
}

/// Single sends that one answer has stored, at consecutive offsets of one queue.
#[derive(Clone, Debug)]
pub struct StoredRun {
    /// The lane they were in gathers what their callers send next, until [`turned`](super::Producer::turned) says that they had a turn.
    pub gathered: Gathered,
    /// As of a receipt.
    pub status: i32,
    /// The queue, with the topic as the user sees it.
    pub queue: Arc<MessageQueue>,
    /// The offset of the first.
    pub queue_offset: i64,
    /// The broker's own ids of the stored copies, joined by commas; fewer where it gave fewer.
    pub offset_msg_ids: String,
    /// In the order of their offsets; 1 at least.
    pub sends: Vec<StoredSend>,
}

/// One send of a run.
#[derive(Clone, Debug)]
pub struct StoredSend {
    /// The caller's number of it.
    pub slot: u32,
    /// The unique id that consumers see.
    pub msg_id: String,
    /// How many requests have carried it; 1 as a rule.
    pub attempts: u32,
}

impl StoredRun {
    /// One more, at the next offset.
    pub fn push(&mut self, send: StoredSend, offset_msg_id: &str) {
        if !self.sends.is_empty() {
            self.offset_msg_ids.push(',');
        }
        self.offset_msg_ids.push_str(offset_msg_id);
        self.sends.push(send);
    }
}

/// A lane that waits for the callers of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// The number of the lane.
    pub lane: u32,
    /// The number of the run.
    pub run: u64,
}

/// Sends that one failure takes along, in the order of their calls.
#[derive(Clone, Debug)]
pub struct FailedRun {
    /// The caller's numbers of them; 1 at least.
    pub slots: Vec<u32>,
    /// The error of each.
    pub error: ClientError,
    /// Of the send that closes its key, alone in its run.
    pub failure: Option<Failure>,
    /// The number of the failure that has taken them along; 0 for none.
    pub cause: u64,
    /// How many requests have carried each.
    pub attempts: u32,
}

/// A failure that has closed its key, until [`heard`](super::Producer::heard) reports its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// 1 and up.
    pub number: u64,
    /// The topic as the user sees it.
    pub topic: Arc<str>,
    /// The sharding key.
    pub sharding_key: Arc<str>,
}

/// Outcome of a send, or of several, for whoever called.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// Single sends that were stored.
    Stored(StoredRun),
    /// A batch of the user's that was stored, one receipt per message.
    Batch {
        /// The caller's number of it.
        slot: u32,
        /// In the order of the messages.
        receipts: Vec<Receipt>,
        /// How many requests have carried it; 1 as a rule.
        attempts: u32,
    },
    /// What failed.
    Failed(FailedRun),
}

/// The side that called.
pub trait Calls: Send + Sync + 'static {
    /// Takes what has been decided, to be heard in this order. Called under the producer's lock: it does nothing else.
    fn settled(&self, settlements: Vec<Settlement>);
    /// Keys of this topic wait for the caller's choice ([`undecided`](super::Producer::undecided)). Never calls back on the same stack.
    fn undecided(&self, topic: &str);
    /// There is something to be heard. Never blocks and never calls the producer back on the same stack.
    fn ring(&self);
}

/// Counts for `stats()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerStats {
    /// Messages held above the high-water mark; where bytes are what is above it, as many of the mean size.
    pub waiting: usize,
    /// Messages held here: waiting, or not yet answered.
    pub pending_messages: usize,
    /// Their bodies and properties, in bytes.
    pub pending_bytes: usize,
    /// Messages stored.
    pub sent: u64,
    /// Messages rejected.
    pub failed: u64,
    /// Requests to brokers, repeated ones included.
    pub requests: u64,
    /// Requests that repeated an earlier one.
    pub retries: u64,
}
