//! What a request is: a code, what it writes, and the type of its answer.

use bytes::Bytes;

use super::code::response;
use super::command::{Command, Fields};

/// A typed request. The request decides the type of the response.
pub trait Request {
    /// Request code, see [`super::code::request`].
    const CODE: i32;
    /// Whether it carries messages: it may be large, and small requests on which leases and order depend pass it on its way.
    const IS_BULK: bool = false;
    /// What a good answer says.
    type Response: Send + 'static;

    /// Header fields and body, in wire order.
    fn encode(&self) -> (Fields, Bytes);

    /// Reads the answer; codes that are no answer to this question become [`ResponseError::Refused`].
    fn decode(response: Command) -> Result<Self::Response, ResponseError>;

    /// The command to send; `opaque` is the connection's to choose.
    fn command(&self) -> Command {
        let (fields, body) = self.encode();
        Command::request(Self::CODE, fields, body)
    }
}

/// The server's "no", with its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("code {code}: {remark}")]
pub struct Refusal {
    /// Response code, see [`super::code::response`].
    pub code: i32,
    /// The server's text, possibly empty; never machine-readable beyond what the accessors here know.
    pub remark: String,
}

impl Refusal {
    /// Texts with which a 5.x proxy, which answers code 1, reports a failed authentication or authorisation.
    const PROXY_TEXTS: [&str; 3] = ["username cannot be null", "check signature failed", "has no permission to access"];

    /// Whether the account is at fault: unknown, wrongly signed, or without the right.
    pub fn is_access_denied(&self) -> bool {
        match self.code {
            response::NO_PERMISSION => true,
            response::SYSTEM_ERROR => {
                let text = &self.remark;
                text.contains("AclException")
                    || Self::PROXY_TEXTS.iter().any(|known| text.contains(known))
                    || (text.contains("User:") && text.contains("is not found"))
            }
            _ => false,
        }
    }
}

/// Why a response is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The server refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server broke the protocol.
    #[error("malformed response: {0}")]
    Malformed(String),
}

/// Passes a response with code 0 on, refuses any other.
pub(super) fn success(response: Command) -> Result<Command, ResponseError> {
    if response.code == response::SUCCESS { Ok(response) } else { Err(refused(response)) }
}

/// The refusal a response stands for.
pub(super) fn refused(response: Command) -> ResponseError {
    ResponseError::Refused(Refusal { code: response.code, remark: response.remark.unwrap_or_default() })
}
