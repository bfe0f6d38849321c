//! Answers, and what every handler asks of a request's fields.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use bytes::Bytes;

use crate::protocol::code::response;
use crate::protocol::{Command, Fields, Language};
use crate::release::Release;

/// Flag bit of a response.
const RESPONSE: i32 = 1;

/// What a server says to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Response code.
    pub(crate) code: i32,
    /// Words about it.
    pub(crate) remark: Option<String>,
    /// The header's fields.
    pub(crate) fields: Fields,
    /// The payload.
    pub(crate) body: Bytes,
    /// An exception in the broker: what the header already held is lost, and so is the codec of the request.
    pub(crate) thrown: bool,
}

impl Reply {
    /// Code 0, nothing else.
    pub(crate) fn success() -> Self {
        Self::default()
    }

    /// A refusal.
    pub(crate) fn refuse(code: i32, remark: impl Into<String>) -> Self {
        Self { code, remark: Some(remark.into()), ..Self::default() }
    }

    /// Code 1, with the text of an exception.
    pub(crate) fn thrown(remark: impl Into<String>) -> Self {
        Self { thrown: true, ..Self::error(remark) }
    }

    /// Code 1 with these words.
    pub(crate) fn error(remark: impl Into<String>) -> Self {
        Self::refuse(response::SYSTEM_ERROR, remark)
    }

    /// Adds a header field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.fields.push_display(name, value);
        self
    }

    /// Sets the payload.
    pub(crate) fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The response frame's command, in the server's name.
    pub(crate) fn into_command(self, opaque: i32, release: Release) -> Command {
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
pub(crate) type Pending = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// What becomes of a request.
pub(crate) enum Answer {
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
pub(crate) fn text<'a>(request: &'a Command, name: &str) -> Result<&'a str, Reply> {
    request.fields.get(name).ok_or_else(|| Reply::thrown(format!("the custom field <{name}> is null")))
}

/// A required number.
pub(crate) fn number<T: FromStr>(request: &Command, name: &str) -> Result<T, Reply> {
    let value = text(request, name)?;
    value.parse().map_err(|_| Reply::thrown(format!("java.lang.NumberFormatException: For input string: \"{value}\"")))
}

/// A number that may be missing.
pub(crate) fn optional<T: FromStr>(request: &Command, name: &str) -> Option<T> {
    request.fields.get(name)?.parse().ok()
}

/// Java's `Boolean.parseBoolean`: only a case-insensitive "true" is true.
pub(crate) fn flag(request: &Command, name: &str) -> bool {
    request.fields.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
