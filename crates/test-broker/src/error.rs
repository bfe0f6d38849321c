//! What a test broker refuses to those who have it; what it refuses to clients are answers of the protocol.

use serde::Serialize;
use std::fmt;

/// The kinds of refusal; serialized as the text of `RocketMQError.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Code {
    /// A bad option or argument; the text names it.
    #[serde(rename = "ERR_ROCKETMQ_INVALID_ARGUMENT")]
    InvalidArgument,
    /// It is closed, or not started.
    #[serde(rename = "ERR_ROCKETMQ_CLOSED")]
    Closed,
    /// What was waited for has not come in time.
    #[serde(rename = "ERR_ROCKETMQ_TIMEOUT")]
    Timeout,
    /// No such topic.
    #[serde(rename = "ERR_ROCKETMQ_TOPIC_NOT_FOUND")]
    TopicNotFound,
    /// A client has broken the protocol.
    #[serde(rename = "ERR_ROCKETMQ_PROTOCOL")]
    Protocol,
}

/// A refused call. Serialized, it is the JSON text of which the facade makes a `RocketMQError`; whether trying again helps, it knows.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    code: Code,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
}

impl Refused {
    /// A refusal of this kind; `message` says what happened and what to do.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), topic: None }
    }

    /// The kind of refusal.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Names the topic.
    pub(crate) fn with_topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}
