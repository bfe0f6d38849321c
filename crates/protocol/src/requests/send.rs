//! 310 and 320: one message, or a batch of them, into one queue.

use bytes::Bytes;

use crate::code::{request, response};
use crate::command::{Command, Fields};
use crate::request::{Request, ResponseError, refused};
use crate::requests::offset::place;

/// Template topic of auto-creation; the header demands it.
const DEFAULT_TOPIC: &str = "TBW102";
/// Queues an auto-created topic would get; the header demands it too.
const DEFAULT_TOPIC_QUEUES: &str = "4";
/// The sysFlag bits a sender may set: compressed and its type. Others, the IPv6 ones above all, ruin the broker's log.
const SEND_SYS_FLAGS: i32 = 0x701;
/// Header properties of a batch. 4.9 appends them to every message of it, so nothing else belongs here.
const BATCH_PROPERTIES: &str = "WAIT\u{1}true";

/// Stores one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessage {
    /// Producer group; `CLIENT_INNER_PRODUCER` for a hand-off to the dead-letter queue.
    pub producer_group: String,
    /// Real (namespaced) topic.
    pub topic: String,
    /// Broker name of the queue; a proxy needs it.
    pub broker_name: String,
    /// Queue, from 0. A negative one would make the broker choose.
    pub queue_id: i32,
    /// Compression bits; everything outside 0x701 is masked away.
    pub sys_flag: i32,
    /// Milliseconds since the epoch.
    pub born_timestamp: i64,
    /// The user's own flag, normally 0.
    pub flag: i32,
    /// Encoded properties, see [`crate::properties::encode`].
    pub properties: String,
    /// Header `j`: 0, or attempts so far on a hand-off.
    pub reconsume_times: i32,
    /// Header `l`: only on a hand-off.
    pub max_reconsume_times: Option<i32>,
    /// The payload as stored, 1 byte at least.
    pub body: Bytes,
}

/// Stores several messages of one topic in one queue, whole or not at all, at consecutive offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendBatch {
    /// Producer group.
    pub producer_group: String,
    /// Real (namespaced) topic; not a retry topic.
    pub topic: String,
    /// Broker name of the queue; a proxy needs it.
    pub broker_name: String,
    /// Queue, from 0.
    pub queue_id: i32,
    /// Milliseconds since the epoch.
    pub born_timestamp: i64,
    /// The entries, see [`crate::batch`]; 4 MiB at most.
    pub body: Bytes,
}

/// How safely a message is stored. Stored it is in all four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredStatus {
    /// As the broker is configured.
    Ok,
    /// The flush to disk was not confirmed in time.
    FlushDiskTimeout,
    /// There was no slave to copy to.
    SlaveNotAvailable,
    /// The copy at the slave was not confirmed in time.
    FlushSlaveTimeout,
}

/// Where a message or batch was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendReceipt {
    /// How safely.
    pub status: StoredStatus,
    /// The queue.
    pub queue_id: i32,
    /// Offset in the queue; of the first message for a batch.
    pub queue_offset: i64,
    /// Offset message id, or those of a batch joined by commas.
    pub msg_ids: String,
    /// `false` when the broker asks not to trace.
    pub trace_on: bool,
    /// Region the broker names for traces.
    pub region: Option<String>,
}

impl Request for SendMessage {
    const CODE: i32 = request::SEND_MESSAGE_V2;
    const IS_BULK: bool = true;
    type Response = SendReceipt;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("a", self.producer_group.as_str());
        fields.push("b", self.topic.as_str());
        fields.push("c", DEFAULT_TOPIC);
        fields.push("d", DEFAULT_TOPIC_QUEUES);
        fields.push_display("e", self.queue_id);
        fields.push_display("f", self.sys_flag & SEND_SYS_FLAGS);
        fields.push_display("g", self.born_timestamp);
        fields.push_display("h", self.flag);
        fields.push("i", self.properties.as_str());
        fields.push_display("j", self.reconsume_times);
        fields.push("k", "false");
        if let Some(max) = self.max_reconsume_times {
            fields.push_display("l", max);
        }
        fields.push("m", "false");
        fields.push("n", self.broker_name.as_str());
        (fields, self.body.clone())
    }

    fn decode(response: Command) -> Result<SendReceipt, ResponseError> {
        SendReceipt::decode(response)
    }
}

impl Request for SendBatch {
    const CODE: i32 = request::SEND_BATCH_MESSAGE;
    const IS_BULK: bool = true;
    type Response = SendReceipt;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("a", self.producer_group.as_str());
        fields.push("b", self.topic.as_str());
        fields.push("c", DEFAULT_TOPIC);
        fields.push("d", DEFAULT_TOPIC_QUEUES);
        fields.push_display("e", self.queue_id);
        fields.push("f", "0");
        fields.push_display("g", self.born_timestamp);
        fields.push("h", "0");
        fields.push("i", BATCH_PROPERTIES);
        fields.push("j", "0");
        fields.push("k", "false");
        fields.push("m", "true");
        fields.push("n", self.broker_name.as_str());
        (fields, self.body.clone())
    }

    fn decode(response: Command) -> Result<SendReceipt, ResponseError> {
        SendReceipt::decode(response)
    }
}

impl SendReceipt {
    fn decode(response: Command) -> Result<Self, ResponseError> {
        let status = match response.code {
            response::SUCCESS => StoredStatus::Ok,
            response::FLUSH_DISK_TIMEOUT => StoredStatus::FlushDiskTimeout,
            response::SLAVE_NOT_AVAILABLE => StoredStatus::SlaveNotAvailable,
            response::FLUSH_SLAVE_TIMEOUT => StoredStatus::FlushSlaveTimeout,
            _ => return Err(refused(response)),
        };
        let mut fields = response.fields;
        Ok(Self {
            status,
            queue_id: fields.parse("queueId")?,
            queue_offset: place(&fields, "queueOffset")?,
            trace_on: fields.get("TRACE_ON") != Some("false"),
            msg_ids: fields.take("msgId").unwrap_or_default(),
            region: fields.take("MSG_REGION").filter(|region| !region.is_empty()),
        })
    }
}
