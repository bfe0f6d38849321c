//! How a request to a broker or a name server can fail.

use crate::error::{ClientError, Code};
use crate::protocol::Refusal;
use crate::protocol::code::response;

/// A request that did not succeed, by what is known of its effect.
#[derive(Clone, Debug)]
pub enum CallError {
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
        /// Why there were no other credentials to try it with, where they were asked for.
        renewal: Option<ClientError>,
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
    pub fn into_error(self) -> ClientError {
        match self {
            Self::NotSent(error) | Self::Unanswered(error) | Self::Malformed(error) => error,
            Self::Refused { refusal, address, renewal } => refused(&refusal, &address).caused_by(renewal),
        }
    }

    /// Keeps why there were no other credentials.
    pub(super) fn with_renewal(self, why: Option<ClientError>) -> Self {
        match self {
            Self::Refused { refusal, address, .. } => Self::Refused { refusal, address, renewal: why },
            other => other,
        }
    }

    /// The peer's own "no", where that is how the request failed.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// Whether the peer may have done what was asked, or may still do it.
    pub(crate) fn is_uncertain(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::Malformed(_))
    }

    /// Whether the credentials or the rights were refused.
    pub fn is_access_denied(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.is_access_denied())
            || matches!(self, Self::NotSent(error) if error.code() == Code::AccessDenied)
    }
}

/// A refusal of a peer as a user sees it: what was refused, and what to do.
fn refused(refusal: &Refusal, address: &str) -> ClientError {
    let (code, advice) = if refusal.is_access_denied() {
        (Code::AccessDenied, what_is_denied(&refusal.remark))
    } else {
        match refusal.code {
            response::TOPIC_NOT_EXIST => (
                Code::TopicNotFound,
                "this broker does not have the topic, though it was in its route: it was deleted there, or is being made; the route is \
                 looked at again",
            ),
            response::SUBSCRIPTION_GROUP_NOT_EXIST => (
                Code::GroupNotFound,
                "create the group first, or let the broker create groups: autoCreateSubscriptionGroup=true",
            ),
            response::SYSTEM_BUSY | response::SERVICE_NOT_AVAILABLE | response::FLOW_CONTROL | response::GO_AWAY => {
                (Code::BrokerBusy, "it may succeed later")
            }
            response::SUBSCRIPTION_PARSE_FAILED => (Code::Filter, "correct the filter expression"),
            _ => (Code::Broker, "see the broker's remark"),
        }
    };
    let remark = first_line(&refusal.remark);
    let error = ClientError::new(code, format!("{address} refused with code {}: {remark} ({advice})", refusal.code))
        .with_broker_code(refusal.code)
        .with_address(address);
    // It had a route a moment ago.
    if code == Code::TopicNotFound { error.with_retriable(true) } else { error }
}

/// Whether it may be the account's fault: its keys, its token, its rights.
pub(super) fn is_of_account(refusal: &Refusal) -> bool {
    const OTHERS: [&str; 4] = [NO_GROUP, FORBIDDEN[0], FORBIDDEN[1], RESERVED];
    refusal.is_access_denied() && !OTHERS.iter().any(|text| refusal.remark.contains(text))
}

/// Of a group that may not consume.
const NO_GROUP: &str = "subscription group no permission";
/// Of topics and brokers without permission.
const FORBIDDEN: [&str; 2] = ["pulling message is forbidden", "sending message is forbidden"];
/// Of a topic of RocketMQ's own.
const RESERVED: &str = "Sending message to topic[";

/// Which of the things that are refused alike it is: what the brokers of 4.9 and 5.5 say.
fn what_is_denied(remark: &str) -> &'static str {
    let says = |texts: &[&str]| texts.iter().any(|text| remark.contains(text));
    if says(&[NO_GROUP]) {
        "the group is disabled at this broker, consumeEnable=false: an administrator has to enable it; the account is not at fault"
    } else if says(&["the topic["]) && says(&FORBIDDEN[..1]) {
        "the topic has no read permission: an administrator has to give it perm 6; the account is not at fault"
    } else if says(&FORBIDDEN) {
        "the broker itself does not allow it, brokerPermission: an administrator has to; the account is not at fault"
    } else if says(&[RESERVED]) {
        "nobody may send to this topic: it is one of RocketMQ's own"
    } else if says(&["signature failed"]) {
        "the signature does not match: check secretKey; and securityToken and channel, which are signed, too"
    } else if says(&["No accessKey is configured", "username cannot be null"]) {
        "the server asks for credentials: give accessKey and secretKey"
    } else if says(&["No acl config for", "is not found"]) {
        "the server does not know this accessKey"
    } else if says(&["no permission to access", "No default permission", "Need admin permission"]) {
        "the keys are right, but the account lacks a right on the topic or the group"
    } else {
        "check accessKey, secretKey and channel, and the account's rights on the topic and the group"
    }
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
