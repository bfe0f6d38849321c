//! Requests a broker makes on our connection, and the bodies of the answers.

mod reset;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::code::request;
use super::command::{Command, Fields};
use super::json;
use super::message::{Crc, MAX_INFLATED, StoredMessage, Unpacked, records, unpack};
use super::queue::MessageQueue;
use super::request::ResponseError;
use super::subscription::Subscription;

/// A broker's request. All names in it are real (namespaced).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// 40, one-way: wake the rebalance.
    MembersChanged {
        /// The group.
        group: String,
    },
    /// 220, one-way: an administrator moves offsets.
    ResetOffsets {
        /// The topic.
        topic: String,
        /// The group.
        group: String,
        /// The time the administrator asked for, ms since the epoch.
        timestamp: i64,
        /// New offsets by queue.
        offsets: Vec<(MessageQueue, i64)>,
    },
    /// 221: offsets of our queues, answered by [`consumer_status`].
    ConsumerStatus {
        /// The topic.
        topic: String,
        /// The group.
        group: String,
    },
    /// 307: our state, answered by [`RunningInfo`].
    RunningInfo {
        /// The group.
        group: String,
        /// The client asked.
        client_id: String,
        /// Whether thread stacks are wanted.
        jstack: bool,
    },
    /// 309: hand one message to the handler, answered by [`ConsumeDirectlyResult`].
    ConsumeDirectly {
        /// The group.
        group: String,
        /// The client asked.
        client_id: String,
        /// Id of the message, as the administrator named it.
        msg_id: String,
        /// The broker that stores it.
        broker_name: String,
        /// The topic, when the administrator named it.
        topic: Option<String>,
        /// The message.
        message: Box<StoredMessage>,
    },
    /// One-way and not for us.
    Ignored {
        /// Its request code.
        code: i32,
    },
    /// To be answered with code 3.
    Unsupported {
        /// Its request code.
        code: i32,
    },
}

impl Push {
    /// Reads a broker's request; `Malformed` names what is missing.
    pub fn decode(command: &Command) -> Result<Self, ResponseError> {
        let fields = &command.fields;
        Ok(match command.code {
            request::NOTIFY_CONSUMER_IDS_CHANGED => Self::MembersChanged { group: text(fields, "consumerGroup")? },
            request::RESET_CONSUMER_CLIENT_OFFSET => Self::ResetOffsets {
                topic: text(fields, "topic")?,
                group: text(fields, "group")?,
                timestamp: fields.parse("timestamp").unwrap_or_default(),
                offsets: reset::offsets(&command.body)?,
            },
            request::GET_CONSUMER_STATUS_FROM_CLIENT => {
                Self::ConsumerStatus { topic: text(fields, "topic")?, group: text(fields, "group")? }
            }
            request::GET_CONSUMER_RUNNING_INFO => Self::RunningInfo {
                group: text(fields, "consumerGroup")?,
                client_id: text(fields, "clientId")?,
                jstack: fields.get("jstackEnable").is_some_and(|enable| enable.eq_ignore_ascii_case("true")),
            },
            request::CONSUME_MESSAGE_DIRECTLY => Self::ConsumeDirectly {
                group: text(fields, "consumerGroup")?,
                client_id: text(fields, "clientId")?,
                msg_id: fields.get("msgId").unwrap_or_default().to_owned(),
                broker_name: fields.get("brokerName").unwrap_or_default().to_owned(),
                topic: fields.get("topic").filter(|topic| !topic.is_empty()).map(str::to_owned),
                message: Box::new(only_message(&command.body)?),
            },
            request::CHECK_TRANSACTION_STATE => Self::Ignored { code: command.code },
            code if command.is_oneway() => Self::Ignored { code },
            code => Self::Unsupported { code },
        })
    }
}

fn malformed(text: impl Into<String>) -> ResponseError {
    ResponseError::Malformed(text.into())
}

fn text(fields: &Fields, name: &str) -> Result<String, ResponseError> {
    fields.get(name).map(str::to_owned).ok_or_else(|| malformed(format!("field `{name}` is missing")))
}

fn only_message(body: &Bytes) -> Result<StoredMessage, ResponseError> {
    let stored = records(body, Crc::Check).next().ok_or_else(|| malformed("no message"))?;
    let stored = stored.map_err(|error| malformed(error.to_string()))?;
    let first = match unpack(stored, MAX_INFLATED, &|| false) {
        Unpacked::Messages(messages) => messages.into_iter().next(),
        Unpacked::TooLarge | Unpacked::Stopped => None,
    };
    let message = first.ok_or_else(|| malformed("no message"))?.map_err(|error| malformed(error.to_string()))?;
    Ok(message.detached())
}

/// A map keyed by queue objects: no JSON, but what brokers parse.
fn by_queue<'a, T: Serialize + 'a>(entries: impl Iterator<Item = (&'a MessageQueue, T)>) -> String {
    let entries: Vec<_> = entries.map(|(queue, value)| format!("{}:{}", to_text(queue), to_text(&value))).collect();
    format!("{{{}}}", entries.join(","))
}

fn to_text<T: Serialize>(value: &T) -> String {
    String::from_utf8_lossy(&json::to_bytes(value)).into_owned()
}

/// Body of the answer to 221: the offset of the next message by queue.
pub fn consumer_status(offsets: &[(MessageQueue, i64)]) -> Bytes {
    let table = by_queue(offsets.iter().map(|(queue, offset)| (queue, *offset)));
    Bytes::from(format!("{{\"consumerTable\":{{}},\"messageQueueTable\":{table}}}"))
}

/// Answer to 307.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunningInfo {
    /// State of each owned queue.
    pub queues: Vec<(MessageQueue, QueueInfo)>,
    /// `PROP_…` settings, shown by consoles; no secrets.
    pub properties: Vec<(String, String)>,
    /// Rates by topic.
    pub statuses: Vec<(String, TopicStatus)>,
    /// What the group wants.
    pub subscriptions: Vec<Subscription>,
}

/// One queue in [`RunningInfo`]; times are ms since the epoch, 0 for never.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueInfo {
    /// Messages buffered.
    pub cached_msg_count: i64,
    /// Highest offset buffered.
    pub cached_msg_max_offset: i64,
    /// Lowest offset buffered.
    pub cached_msg_min_offset: i64,
    /// Their size in MiB.
    #[serde(rename = "cachedMsgSizeInMiB")]
    pub cached_msg_size_in_mib: i64,
    /// Offset of the next message to consume.
    pub commit_offset: i64,
    /// On its way out (the wire's spelling).
    #[serde(rename = "droped")]
    pub dropped: bool,
    /// Last time a handler ended.
    pub last_consume_timestamp: i64,
    /// Last time the lock was granted.
    pub last_lock_timestamp: i64,
    /// Last pull.
    pub last_pull_timestamp: i64,
    /// Whether the lock is held.
    pub locked: bool,
    /// Messages taken and not done.
    pub transaction_msg_count: i64,
    /// Highest offset of them.
    pub transaction_msg_max_offset: i64,
    /// Lowest offset of them.
    pub transaction_msg_min_offset: i64,
    /// Attempts to unlock.
    pub try_unlock_times: i64,
}

/// Rates of one topic in [`RunningInfo`]; times in ms, TPS per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TopicStatus {
    /// Failed messages.
    #[serde(rename = "consumeFailedMsgs")]
    pub consume_failed_msgs: i64,
    /// Failed messages per second.
    #[serde(rename = "consumeFailedTPS")]
    pub consume_failed_tps: f64,
    /// Handled messages per second.
    #[serde(rename = "consumeOKTPS")]
    pub consume_ok_tps: f64,
    /// Time in the handler.
    #[serde(rename = "consumeRT")]
    pub consume_rt: f64,
    /// Time of a pull.
    #[serde(rename = "pullRT")]
    pub pull_rt: f64,
    /// Messages pulled per second.
    #[serde(rename = "pullTPS")]
    pub pull_tps: f64,
}

impl RunningInfo {
    /// The body of the answer.
    pub fn encode(&self) -> Bytes {
        let queues = by_queue(self.queues.iter().map(|(queue, info)| (queue, info)));
        let properties: BTreeMap<_, _> = self.properties.iter().map(|(name, value)| (name, value)).collect();
        let statuses: BTreeMap<_, _> = self.statuses.iter().map(|(topic, status)| (topic, status)).collect();
        Bytes::from(format!(
            "{{\"mqTable\":{queues},\"properties\":{},\"statusTable\":{},\"subscriptionSet\":{}}}",
            to_text(&properties),
            to_text(&statuses),
            to_text(&self.subscriptions)
        ))
    }
}

/// How a directly consumed message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum DirectOutcome {
    /// Handled.
    #[serde(rename = "CR_SUCCESS")]
    Success,
    /// The handler wants it again.
    #[serde(rename = "CR_LATER")]
    Later,
    /// The handler threw.
    #[serde(rename = "CR_THROW_EXCEPTION")]
    ThrowException,
}

/// Answer to 309.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumeDirectlyResult {
    /// How it went.
    pub outcome: DirectOutcome,
    /// Time in the handler, ms.
    pub spent_ms: i64,
    /// Words about a failure.
    pub remark: Option<String>,
}

impl ConsumeDirectlyResult {
    /// The body of the answer.
    pub fn encode(&self) -> Bytes {
        json::to_bytes(&DirectBody {
            auto_commit: true,
            consume_result: self.outcome,
            order: true,
            remark: self.remark.as_deref(),
            spent_time_mills: self.spent_ms,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DirectBody<'a> {
    auto_commit: bool,
    consume_result: DirectOutcome,
    order: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<&'a str>,
    spent_time_mills: i64,
}

#[cfg(test)]
mod tests;
