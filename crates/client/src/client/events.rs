//! What a client tells its owner, besides answers.

use crate::error::ClientError;
use crate::protocol::MessageQueue;
use serde::Serialize;

/// How serious a log record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the developers of this package.
    Debug,
    /// Worth knowing; nothing is wrong.
    Info,
    /// Something that heals by itself, but should be known.
    Warn,
}

/// Why a queue goes on at another offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetReason {
    /// An administrator wants it.
    Administrator,
    /// Messages are gone.
    Deleted,
    /// The store is another one, or an older state of itself.
    StoreSetBack,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Server {
    /// One that keeps messages.
    Broker,
    /// One that knows where brokers are.
    NameServer,
}

/// Serialized, it is the JSON text that crosses into JavaScript. Topics are as the user sees them.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Event {
    /// A fault in the background.
    Warning {
        /// What happened.
        error: ClientError,
    },
    /// Credentials are wanted, of whoever gives them.
    CredentialsWanted,
    /// A connection is about to be made.
    Connecting {
        /// `host:port`.
        address: String,
        /// Who should be there.
        server: Server,
    },
    /// No connection came of it.
    Unconnected {
        /// `host:port`.
        address: String,
        /// Who should have been there.
        server: Server,
        /// Why.
        error: ClientError,
    },
    /// A connection is ready.
    Connected {
        /// `host:port`.
        address: String,
        /// Who is there.
        server: Server,
    },
    /// A connection that was ready has ended.
    Disconnected {
        /// `host:port`.
        address: String,
        /// Who was there.
        server: Server,
        /// Why it ended.
        reason: String,
    },
    /// The writable queues of a topic in use have changed.
    RouteChanged {
        /// The topic.
        topic: String,
        /// Its writable queues now.
        queues: Vec<MessageQueue>,
    },
    /// A record for the logger.
    Log {
        /// How serious.
        level: Level,
        /// The details; never a secret.
        fields: serde_json::Value,
        /// One sentence.
        text: String,
    },
    /// Queues that are locked and positioned.
    Assigned {
        /// Which.
        queues: Vec<MessageQueue>,
    },
    /// Queues that were given up.
    Revoked {
        /// Which.
        queues: Vec<MessageQueue>,
    },
    /// A lock that was refused or ran out; the queue may belong to another consumer.
    LockLost {
        /// Which.
        queue: MessageQueue,
    },
    /// A position that the broker or an administrator has moved.
    OffsetReset {
        /// Of which queue.
        queue: MessageQueue,
        /// The next offset before.
        from: i64,
        /// The next offset now.
        to: i64,
        /// Why.
        reason: ResetReason,
        /// What is to be known of it, unless somebody wanted it.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ClientError>,
    },
    /// A stored message that cannot be decoded.
    Undecodable {
        /// Where it lies.
        queue: MessageQueue,
        /// Why.
        error: ClientError,
    },
}

impl Event {
    /// A log record.
    pub fn log(level: Level, text: impl Into<String>, fields: serde_json::Value) -> Self {
        Self::Log { level, fields, text: text.into() }
    }

    /// Whether it is a record for the logger.
    pub fn is_record(&self) -> bool {
        matches!(self, Self::Log { .. })
    }

    /// Whether only developers of this package want it.
    pub fn is_debug(&self) -> bool {
        matches!(self, Self::Log { level: Level::Debug, .. })
    }

    /// A warning or a record: one of several equal ones is enough.
    pub fn is_remark(&self) -> bool {
        matches!(self, Self::Log { .. } | Self::Warning { .. })
    }

    /// The text that crosses into JavaScript.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Takes events; never blocks.
pub trait Events: Send + Sync + 'static {
    /// Tells of one event.
    fn emit(&self, event: Event);
}
