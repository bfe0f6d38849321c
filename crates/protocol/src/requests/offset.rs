//! 14, 15, 29, 30, 31: offsets, committed and of the queue itself.

use bytes::Bytes;

use crate::code::{request, response};
use crate::command::{Command, Fields};
use crate::request::{Request, ResponseError, success};

/// Remark of a commit that 5.5.0 answers with 0 and ignores, while an administrator's reset waits for the next pull.
const RESET_PENDING: &str = "Offset has been previously reset";

/// The first offset that no queue reaches, and that JavaScript cannot count.
pub const NOWHERE: i64 = 1 << 53;

/// The committed offset of a group and queue; `None` when nothing is committed.
///
/// A queue is young while its first message is there and in the broker's memory. For a young one 4.9 always answers 0 instead of
/// `None`, 5.5.0 where it is not told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryOffset {
    /// Real (namespaced) group.
    pub group: String,
    /// Real (namespaced) topic.
    pub topic: String,
    /// Broker name of the queue; a proxy needs it.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
    /// Whether 0 is wanted for a young queue.
    pub zero_if_young: bool,
}

/// Commits the offset of the next message to consume. The broker checks nothing: lower and absurd values are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOffset {
    /// Real (namespaced) group.
    pub group: String,
    /// Real (namespaced) topic.
    pub topic: String,
    /// Broker name of the queue.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
    /// Offset of the next message to consume.
    pub offset: i64,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Stored.
    Committed,
    /// Ignored: an administrator's reset waits for the next pull (5.5.0).
    ResetPending,
}

/// The offset of the first message stored at or after a time.
///
/// After the last message 4.9 answers with the last message's offset, 5.5.0 with the one behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchOffset {
    /// Real (namespaced) topic.
    pub topic: String,
    /// Broker name of the queue.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

/// The offset behind a queue's last message; 0 for an unknown queue. Lags some ms behind acknowledged sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxOffset {
    /// Real (namespaced) topic.
    pub topic: String,
    /// Broker name of the queue.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
}

/// The offset of a queue's first message; 0 for an unknown queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinOffset {
    /// Real (namespaced) topic.
    pub topic: String,
    /// Broker name of the queue.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
}

impl Request for QueryOffset {
    const CODE: i32 = request::QUERY_CONSUMER_OFFSET;
    type Response = Option<i64>;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("consumerGroup", self.group.as_str());
        push_queue(&mut fields, &self.topic, self.queue_id, &self.broker_name);
        if !self.zero_if_young {
            fields.push("setZeroIfNotFound", "false");
        }
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<Option<i64>, ResponseError> {
        if response.code == response::QUERY_NOT_FOUND {
            return Ok(None);
        }
        let fields = success(response)?.fields;
        match fields.parse("offset")? {
            -1 => Ok(None),
            offset => check_place("offset", offset).map(Some),
        }
    }
}

impl Request for CommitOffset {
    const CODE: i32 = request::UPDATE_CONSUMER_OFFSET;
    type Response = CommitOutcome;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("consumerGroup", self.group.as_str());
        fields.push_display("commitOffset", self.offset);
        push_queue(&mut fields, &self.topic, self.queue_id, &self.broker_name);
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<CommitOutcome, ResponseError> {
        let response = success(response)?;
        let pending = response.remark_text().contains(RESET_PENDING);
        Ok(if pending { CommitOutcome::ResetPending } else { CommitOutcome::Committed })
    }
}

impl Request for SearchOffset {
    const CODE: i32 = request::SEARCH_OFFSET_BY_TIMESTAMP;
    type Response = i64;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push_display("timestamp", self.timestamp);
        push_queue(&mut fields, &self.topic, self.queue_id, &self.broker_name);
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<i64, ResponseError> {
        offset(response)
    }
}

impl Request for MaxOffset {
    const CODE: i32 = request::GET_MAX_OFFSET;
    type Response = i64;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        push_queue(&mut fields, &self.topic, self.queue_id, &self.broker_name);
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<i64, ResponseError> {
        offset(response)
    }
}

impl Request for MinOffset {
    const CODE: i32 = request::GET_MIN_OFFSET;
    type Response = i64;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        push_queue(&mut fields, &self.topic, self.queue_id, &self.broker_name);
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<i64, ResponseError> {
        offset(response)
    }
}

fn push_queue(fields: &mut Fields, topic: &str, queue_id: i32, broker_name: &str) {
    fields.push("topic", topic);
    fields.push_display("queueId", queue_id);
    fields.push("bname", broker_name);
}

fn offset(response: Command) -> Result<i64, ResponseError> {
    place(&success(response)?.fields, "offset")
}

/// A field that says where something lies in a queue.
pub(super) fn place(fields: &Fields, name: &str) -> Result<i64, ResponseError> {
    check_place(name, fields.parse(name)?)
}

/// Passes an offset on that can be one.
pub(super) fn check_place(name: &str, offset: i64) -> Result<i64, ResponseError> {
    if (0..NOWHERE).contains(&offset) {
        return Ok(offset);
    }
    Err(ResponseError::Malformed(format!("`{name}` is {offset}, which lies in no queue")))
}
