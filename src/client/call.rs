//! How a request to a broker or a name server can fail.

use crate::error::{ClientError, Code};
use crate::protocol::Refusal;
use crate::protocol::code::response;

/// A request that did not succeed, by what is known of its effect.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// The frame was never written: no connection, or it ended before.
    NotSent(ClientError),
    /// Written; reset or timed out. What the peer did is unknown.
    Unanswered(ClientError),
    /// The peer said no.
    Refused {
        /// Its code and remark.
        refusal: Refusal,
        /// Who refused.
        address: String,
    },
    /// The answer broke the protocol. What the peer did is unknown.
    Malformed(ClientError),
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> Self {
        Self::NotSent(error)
    }
}

impl CallError {
    /// The failure as a user sees it.
    pub(crate) fn into_error(self) -> ClientError {
        match self {
            Self::NotSent(error) | Self::Unanswered(error) | Self::Malformed(error) => error,
            Self::Refused { refusal, address } => refused(&refusal, &address),
        }
    }

    /// Whether the credentials or the rights were refused.
    pub(crate) fn is_access_denied(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.is_access_denied())
            || matches!(self, Self::NotSent(error) if error.code() == Code::AccessDenied)
    }
}

/// A refusal of a peer as a user sees it: what was refused, and what to do.
fn refused(refusal: &Refusal, address: &str) -> ClientError {
    let (code, advice) = if refusal.is_access_denied() {
        (
            Code::AccessDenied,
            "check accessKey, secretKey and channel, and the account's rights on the topic and the group",
        )
    } else {
        match refusal.code {
            response::TOPIC_NOT_EXIST => (
                Code::TopicNotFound,
                "create it first, for example with: mqadmin updateTopic -c <cluster> -t <topic> -r 8 -w 8",
            ),
            response::SUBSCRIPTION_GROUP_NOT_EXIST => {
                (Code::GroupNotFound, "create the group first, or let the broker create groups")
            }
            response::SYSTEM_BUSY | response::SERVICE_NOT_AVAILABLE | response::FLOW_CONTROL | response::GO_AWAY => {
                (Code::BrokerBusy, "it may succeed later")
            }
            response::SUBSCRIPTION_PARSE_FAILED => (Code::Filter, "correct the filter expression"),
            _ => (Code::Broker, "see the broker's remark"),
        }
    };
    let remark = first_line(&refusal.remark);
    ClientError::new(code, format!("{address} refused with code {}: {remark} ({advice})", refusal.code))
        .with_broker_code(refusal.code)
        .with_address(address)
}

/// Brokers put whole stack traces into remarks.
fn first_line(remark: &str) -> &str {
    let line = remark.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(400) {
        Some((end, _)) => &line[..end],
        None if line.is_empty() => "no remark",
        None => line,
    }
}
