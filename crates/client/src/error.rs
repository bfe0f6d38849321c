//! Every failure that a user of the package can see.
//!
//! One type, many codes: the code says what kind of failure it is, the text says what happened and what to do about it, and the
//! optional fields say where. No text ever holds a secret.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Longest message, in bytes. What servers say may be as long as a frame, and errors are kept, logged and cloned.
const MAX_MESSAGE: usize = 4096;
/// So much of a longer one's end stays: there it says what to do.
const END: usize = 1024;
/// In place of what is left out.
const ELLIPSIS: &str = " … ";

/// The stable codes of `RocketMQError.code`; `as_str` gives the text that JavaScript sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A bad option, message, key or call; the text names the field and nothing was written.
    InvalidArgument,
    /// Not started, or changed after the start.
    InvalidState,
    /// Used after `close()`, or still waiting when `close()` ran out of time.
    Closed,
    /// A caller's signal.
    Aborted,
    /// No answer in time.
    Timeout,
    /// Refused, reset or half-open connection.
    Connection,
    /// The peer broke the protocol.
    Protocol,
    /// A handshake, or what a certificate is good for.
    Tls,
    /// Signature, key or permission refused.
    AccessDenied,
    /// No route for the topic.
    TopicNotFound,
    /// The broker does not know the group and will not create it.
    GroupNotFound,
    /// The topic has a route, but no queue that takes messages.
    NoWritableQueue,
    /// The broker has no master at the moment.
    NoMaster,
    /// Any other refusal of a broker.
    Broker,
    /// A retriable refusal that outlasted the time.
    BrokerBusy,
    /// Not sent, since an earlier message of the same key failed.
    OrderBroken,
    /// The queue may belong to another consumer now.
    LockLost,
    /// A stored message that cannot be decoded.
    Undecodable,
    /// Messages lie, or are being written, in queues that consumers are not told of.
    UnreadQueue,
    /// A tag or SQL expression was refused.
    Filter,
    /// A handler returned something that is no outcome, or still runs at the end of `close()`.
    Handler,
    /// The file of offsets is torn, another's, in use, or cannot be read or written.
    OffsetFile,
    /// Members of the group differ in who handles what.
    MessageModel,
    /// Messages of a queue are gone, or its store is another one.
    OffsetReset,
    /// A defect of this package.
    Internal,
}

impl Code {
    /// The text of `RocketMQError.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "ERR_ROCKETMQ_INVALID_ARGUMENT",
            Self::InvalidState => "ERR_ROCKETMQ_INVALID_STATE",
            Self::Closed => "ERR_ROCKETMQ_CLOSED",
            Self::Aborted => "ERR_ROCKETMQ_ABORTED",
            Self::Timeout => "ERR_ROCKETMQ_TIMEOUT",
            Self::Connection => "ERR_ROCKETMQ_CONNECTION",
            Self::Protocol => "ERR_ROCKETMQ_PROTOCOL",
            Self::Tls => "ERR_ROCKETMQ_TLS",
            Self::AccessDenied => "ERR_ROCKETMQ_ACCESS_DENIED",
            Self::TopicNotFound => "ERR_ROCKETMQ_TOPIC_NOT_FOUND",
            Self::GroupNotFound => "ERR_ROCKETMQ_GROUP_NOT_FOUND",
            Self::NoWritableQueue => "ERR_ROCKETMQ_NO_WRITABLE_QUEUE",
            Self::NoMaster => "ERR_ROCKETMQ_NO_MASTER",
            Self::Broker => "ERR_ROCKETMQ_BROKER",
            Self::BrokerBusy => "ERR_ROCKETMQ_BROKER_BUSY",
            Self::OrderBroken => "ERR_ROCKETMQ_ORDER_BROKEN",
            Self::LockLost => "ERR_ROCKETMQ_LOCK_LOST",
            Self::Undecodable => "ERR_ROCKETMQ_UNDECODABLE",
            Self::UnreadQueue => "ERR_ROCKETMQ_UNREAD_QUEUE",
            Self::Filter => "ERR_ROCKETMQ_FILTER",
            Self::Handler => "ERR_ROCKETMQ_HANDLER",
            Self::OffsetFile => "ERR_ROCKETMQ_OFFSET_FILE",
            Self::MessageModel => "ERR_ROCKETMQ_MESSAGE_MODEL",
            Self::OffsetReset => "ERR_ROCKETMQ_OFFSET_RESET",
            Self::Internal => "ERR_ROCKETMQ_INTERNAL",
        }
    }

    /// Whether it tells of the way to a server, whose ends and failures have events of their own.
    pub fn is_of_connection(self) -> bool {
        matches!(self, Self::Connection | Self::Tls)
    }

    /// Whether the same call may succeed later, unless the error itself says otherwise.
    fn retriable(self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Connection
                | Self::NoWritableQueue
                | Self::NoMaster
                | Self::BrokerBusy
                | Self::OrderBroken
                | Self::LockLost
        )
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What is known about a failed send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The message is not in the broker's store and never will be.
    NotStored,
    /// The broker may have stored it, now or later.
    Unknown,
}

/// The queue that an error is about, by name: `error` knows no other room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueName {
    /// The topic as the user sees it.
    pub topic: String,
    /// The broker's name, as in the route.
    pub broker_name: String,
    /// The queue's number on that broker, from 0.
    pub queue_id: i32,
}

/// A failure. Cheap to move and to clone: one may be the cause of tens of thousands. Clones share everything until one is changed.
///
/// Serialized, it is the JSON text that crosses into JavaScript, where the facade makes a `RocketMQError` of it.
#[derive(Clone, Debug)]
pub struct ClientError(Arc<Detail>);

impl Serialize for ClientError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    code: Code,
    message: String,
    retriable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<ClientError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keepsake: Option<u32>,
}

impl ClientError {
    /// A failure of this kind; `message` says what happened and what to do.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Arc::new(Detail {
            code,
            message: shortened(message.into()),
            retriable: code.retriable(),
            outcome: None,
            msg_id: None,
            broker_code: None,
            address: None,
            topic: None,
            queue: None,
            cause: None,
            keepsake: None,
        }))
    }

    /// The detail for this one alone.
    fn change(&mut self) -> &mut Detail {
        Arc::make_mut(&mut self.0)
    }

    /// Whether two failures are one in memory.
    #[cfg(test)]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The broker's own response code, where a broker refused.
    pub fn broker_code(&self) -> Option<i32> {
        self.0.broker_code
    }

    /// The peer, `host:port`, where one is named.
    pub fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// Whether the same call may succeed later.
    pub fn retriable(&self) -> bool {
        self.0.retriable
    }

    /// What is known about the message of a failed send.
    #[cfg(test)]
    pub fn outcome(&self) -> Option<Outcome> {
        self.0.outcome
    }

    /// Overrides what the code says about trying again.
    pub fn with_retriable(mut self, retriable: bool) -> Self {
        self.change().retriable = retriable;
        self
    }

    /// Says what is known about the message of a failed send.
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        if self.0.outcome != Some(outcome) {
            self.change().outcome = Some(outcome);
        }
        self
    }

    /// Names the message that reached the wire.
    pub fn with_msg_id(mut self, msg_id: impl Into<String>) -> Self {
        self.change().msg_id = Some(msg_id.into());
        self
    }

    /// Whether it names one message.
    pub(crate) fn has_msg_id(&self) -> bool {
        self.0.msg_id.is_some()
    }

    /// Keeps the broker's response code.
    pub fn with_broker_code(mut self, code: i32) -> Self {
        self.change().broker_code = Some(code);
        self
    }

    /// Names the peer, `host:port`.
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.change().address = Some(address.into());
        self
    }

    /// Names the topic as the user sees it.
    pub fn with_topic(mut self, topic: impl Into<String>) -> Self {
        self.change().topic = Some(topic.into());
        self
    }

    /// Names the queue; the topic too.
    pub fn with_queue(mut self, queue: QueueName) -> Self {
        let detail = self.change();
        detail.topic = Some(queue.topic.clone());
        detail.queue = Some(queue);
        self
    }

    /// Names no single queue any more: it is about several.
    pub fn without_queue(mut self) -> Self {
        if self.0.queue.is_some() {
            self.change().queue = None;
        }
        self
    }

    /// Says first what it has led to; all else stays as it is.
    pub fn with_prefix(mut self, text: &str) -> Self {
        let detail = self.change();
        detail.message = shortened(format!("{text}: {}", detail.message));
        self
    }

    /// A defect of this package that has shown itself; `what` says what became of it.
    pub fn panicked(what: &str, panic: &str) -> Self {
        Self::new(
            Code::Internal,
            format!("{what} (a panic: {panic}). This is a defect of rocketmq-orderly: please report it"),
        )
    }

    /// Keeps what led to this failure.
    pub fn with_cause(mut self, cause: ClientError) -> Self {
        self.change().cause = Some(cause);
        self
    }

    /// Keeps what led to this failure, where that is known.
    pub fn caused_by(self, cause: Option<ClientError>) -> Self {
        match cause {
            Some(cause) => self.with_cause(cause),
            None => self,
        }
    }

    /// Stands for something that JavaScript keeps under this number: what a user's function has thrown.
    pub fn with_keepsake(mut self, number: u32) -> Self {
        self.change().keepsake = Some(number);
        self
    }

    /// The text that crosses into JavaScript.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| String::from("{\"code\":\"ERR_ROCKETMQ_INTERNAL\"}"))
    }
}

/// A message without its middle, where it is too long.
fn shortened(message: String) -> String {
    if message.len() <= MAX_MESSAGE {
        return message;
    }
    let is_start = |at: &usize| message.is_char_boundary(*at);
    let head = (0..=MAX_MESSAGE - END - ELLIPSIS.len()).rev().find(is_start).unwrap_or_default();
    let tail = (message.len() - END..message.len()).find(is_start).unwrap_or(message.len());
    [&message[..head], ELLIPSIS, &message[tail..]].concat()
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_beginning_and_its_end_whatever_a_server_has_said() {
        for said in ["x".repeat(1_000_000), "é".repeat(500_001), "中".repeat(400_000)] {
            let error = ClientError::new(Code::Broker, format!("refused: {said} (see there)"));
            let message = error.message();
            assert!(message.len() <= MAX_MESSAGE && message.len() > MAX_MESSAGE - 8, "{}", message.len());
            assert!(
                message.starts_with("refused: ") && message.contains(ELLIPSIS) && message.ends_with(" (see there)")
            );
            let prefixed = error.with_prefix("while closing");
            assert!(
                prefixed.message().len() <= MAX_MESSAGE && prefixed.message().starts_with("while closing: refused")
            );
        }
        let whole = "é".repeat(MAX_MESSAGE / 2);
        assert_eq!(ClientError::new(Code::Broker, whole.as_str()).message(), whole);
    }

    #[test]
    fn crosses_into_javascript_as_json_with_its_cause() {
        let cause = ClientError::new(Code::Broker, "no").with_broker_code(16).with_address("127.0.0.1:10911");
        let error = ClientError::new(Code::OrderBroken, "not sent")
            .with_outcome(Outcome::NotStored)
            .with_queue(QueueName { topic: "orders".into(), broker_name: "a".into(), queue_id: 3 })
            .with_cause(cause);
        assert_eq!(
            error.to_json(),
            concat!(
                r#"{"code":"ERR_ROCKETMQ_ORDER_BROKEN","message":"not sent","retriable":true,"outcome":"not-stored","topic":"orders","#,
                r#""queue":{"topic":"orders","brokerName":"a","queueId":3},"#,
                r#""cause":{"code":"ERR_ROCKETMQ_BROKER","message":"no","retriable":false,"brokerCode":16,"address":"127.0.0.1:10911"}}"#
            )
        );
    }
}
