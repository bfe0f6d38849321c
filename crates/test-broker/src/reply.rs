//! Answers, and what every handler asks of a request's fields.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use bytes::Bytes;

use super::release::Release;
use crate::protocol::code::response;
use crate::protocol::{Command, Fields, Language};

/// Flag bit of a response.
const RESPONSE: i32 = 1;

/// What a server says to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// Response code.
    pub(super) code: i32,
    /// Words about it.
    pub(super) remark: Option<String>,
    /// The header's fields.
    pub(super) fields: Fields,
    /// The payload.
    pub(super) body: Bytes,
    /// An exception in the broker: what the header already held is lost, and so is the codec of the request.
    pub(super) thrown: bool,
}

impl Reply {
    /// Code 0, nothing else.
    pub(super) fn success() -> Self {
        Self::default()
    }

    /// A refusal.
    pub(super) fn refuse(code: i32, remark: impl Into<String>) -> Self {
        Self { code, remark: Some(remark.into()), ..Self::default() }
    }

    /// Code 1, with the text of an exception.
    pub(super) fn thrown(remark: impl Into<String>) -> Self {
        Self { thrown: true, ..Self::error(remark) }
    }

    /// Code 1 with these words.
    pub(super) fn error(remark: impl Into<String>) -> Self {
        Self::refuse(response::SYSTEM_ERROR, remark)
    }

    /// Adds a header field.
    pub(super) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.fields.push_display(name, value);
        self
    }

    /// Sets the payload.
    pub(super) fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The response frame's command, in the server's name.
    pub(super) fn into_command(self, opaque: i32, release: Release) -> Command {
        Command {
            code: self.code,
            language: Language::Java,
            version: release.version(),
            opaque,
            flag: RESPONSE,
            remark: self.remark,
            fields: self.fields,
            body: self.body,
        }
    }
}

/// A reply that takes its time.
pub(super) type Pending = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// What becomes of a request.
pub(super) enum Answer {
    /// Answered in the same breath.
    Now(Reply),
    /// Answered later; `json` whatever the codec of the request was, as brokers do when a held pull wakes up.
    Later {
        /// The answer.
        reply: Pending,
        /// Whether the codec of the request is forgotten.
        json: bool,
    },
    /// Never answered.
    Silent,
}

/// A required text field. Missing it is code 1 in every version.
pub(super) fn text<'a>(request: &'a Command, name: &str) -> Result<&'a str, Reply> {
    request.fields.get(name).ok_or_else(|| Reply::thrown(format!("the custom field <{name}> is null")))
}

/// A required number.
pub(super) fn number<T: FromStr>(request: &Command, name: &str) -> Result<T, Reply> {
    let value = text(request, name)?;
    value.parse().map_err(|_| Reply::thrown(format!("java.lang.NumberFormatException: For input string: \"{value}\"")))
}

/// A number that may be missing.
pub(super) fn optional<T: FromStr>(request: &Command, name: &str) -> Option<T> {
    request.fields.get(name)?.parse().ok()
}

/// Java's `Boolean.parseBoolean`: only a case-insensitive "true" is true.
pub(super) fn flag(request: &Command, name: &str) -> bool {
    request.fields.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
