//! One remoting command, request or response, in memory.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;

use super::request::ResponseError;

/// Version we announce: `V4_9_8`. It gets standard JSON routes and is served through a graceful stop.
pub const VERSION: i32 = 409;

/// Flag bit of a response.
const RESPONSE: i32 = 1;
/// Flag bit of a request that wants no answer, not even for an error.
const ONEWAY: i32 = 2;

/// Implementation language of the sender; brokers show it to administrators and do nothing else with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the wire's own")]
pub enum Language {
    Java,
    Cpp,
    DotNet,
    Python,
    Delphi,
    Erlang,
    Ruby,
    Other,
    Http,
    Go,
    Php,
    Oms,
    Rust,
    NodeJs,
    /// A name or ordinal newer than this list; written as `OTHER`.
    Unknown,
}

impl Language {
    /// Names in the order of their ordinals.
    const NAMES: [(Self, &'static str); 14] = [
        (Self::Java, "JAVA"),
        (Self::Cpp, "CPP"),
        (Self::DotNet, "DOTNET"),
        (Self::Python, "PYTHON"),
        (Self::Delphi, "DELPHI"),
        (Self::Erlang, "ERLANG"),
        (Self::Ruby, "RUBY"),
        (Self::Other, "OTHER"),
        (Self::Http, "HTTP"),
        (Self::Go, "GO"),
        (Self::Php, "PHP"),
        (Self::Oms, "OMS"),
        (Self::Rust, "RUST"),
        (Self::NodeJs, "NODE_JS"),
    ];

    /// Name in a JSON header.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(language, _)| *language == self).map_or("OTHER", |(_, name)| name)
    }

    /// Byte in a binary header.
    pub fn ordinal(self) -> u8 {
        let ordinal = if self == Self::Unknown { Self::Other as isize } else { self as isize };
        u8::try_from(ordinal).unwrap_or(7)
    }

    /// The language of that name; any text is tolerated.
    pub fn from_name(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(Self::Unknown, |(language, _)| *language)
    }

    /// The language of that ordinal; any byte is tolerated.
    pub fn from_ordinal(ordinal: u8) -> Self {
        Self::NAMES.get(usize::from(ordinal)).map_or(Self::Unknown, |(language, _)| *language)
    }
}

/// The `extFields` of a header: the arguments of a request or the values of a response, all as text, in wire order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Cow<'static, str>, String)>);

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a field. Names are not compared with those already there.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Appends a number or a boolean in its decimal or `true`/`false` form.
    pub fn push_display(&mut self, name: impl Into<Cow<'static, str>>, value: impl Display) {
        self.0.push((name.into(), value.to_string()));
    }

    /// The value of a field; the last one where a peer repeats a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Takes a field out and returns its value; all of them where the name is repeated.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let mut taken = None;
        self.0.retain_mut(|(key, value)| {
            let hit = key == name;
            if hit {
                taken = Some(std::mem::take(value));
            }
            !hit
        });
        taken
    }

    /// A required field of a response, parsed; `Malformed` names the field that is missing or unreadable.
    pub fn parse<T: FromStr>(&self, name: &str) -> Result<T, ResponseError> {
        let text = self.get(name).ok_or_else(|| ResponseError::Malformed(format!("field `{name}` is missing")))?;
        text.parse().map_err(|_| ResponseError::Malformed(format!("field `{name}` is unreadable: {text:?}")))
    }

    /// The fields in wire order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<String>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A request, a response or a push: header and body of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Request code or response code, see [`super::code`].
    pub code: i32,
    /// Language of the sender.
    pub language: Language,
    /// `MQVersion` ordinal of the sender.
    pub version: i32,
    /// Chosen by the requester, repeated in the response; may be negative.
    pub opaque: i32,
    /// Bit 0: response. Bit 1: one-way.
    pub flag: i32,
    /// Text of an error, for people.
    pub remark: Option<String>,
    /// The header's `extFields`.
    pub fields: Fields,
    /// The payload; empty and absent are the same thing.
    pub body: Bytes,
}

impl Command {
    /// A request in our name; its `opaque` is still 0.
    pub fn request(code: i32, fields: Fields, body: Bytes) -> Self {
        Self { code, language: Language::Other, version: VERSION, opaque: 0, flag: 0, remark: None, fields, body }
    }

    /// The answer to this request, under its `opaque`.
    pub fn respond(&self, code: i32, remark: Option<String>, body: Bytes) -> Self {
        let fields = Fields::new();
        let (language, version) = (Language::Other, VERSION);
        Self { code, language, version, opaque: self.opaque, flag: RESPONSE, remark, fields, body }
    }

    /// The same request, marked to be left unanswered.
    pub fn oneway(mut self) -> Self {
        self.flag |= ONEWAY;
        self
    }

    /// Whether this answers a request of ours; everything else is a push.
    pub fn is_response(&self) -> bool {
        self.flag & RESPONSE != 0
    }

    /// Whether the sender expects no answer.
    pub fn is_oneway(&self) -> bool {
        self.flag & ONEWAY != 0
    }

    /// The remark, empty when there is none.
    pub fn remark_text(&self) -> &str {
        self.remark.as_deref().unwrap_or_default()
    }
}
