//! The JSON form of a header: one object, keys sorted, absent members left out.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::command::{Command, Fields, Language};
use crate::frame::FrameError;

/// Appends the header's text.
pub(crate) fn encode(command: &Command, out: &mut BytesMut) -> Result<(), FrameError> {
    text(out, "{\"code\":");
    number(out, command.code);
    if !command.fields.is_empty() {
        text(out, ",\"extFields\":{");
        for (index, (name, value)) in command.fields.iter().enumerate() {
            if index > 0 {
                text(out, ",");
            }
            string(out, name)?;
            text(out, ":");
            string(out, value)?;
        }
        text(out, "}");
    }
    text(out, ",\"flag\":");
    number(out, command.flag);
    text(out, ",\"language\":\"");
    text(out, command.language.name());
    text(out, "\",\"opaque\":");
    number(out, command.opaque);
    if let Some(remark) = &command.remark {
        text(out, ",\"remark\":");
        string(out, remark)?;
    }
    text(out, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    number(out, command.version);
    text(out, "}");
    Ok(())
}

/// Reads a header's text. Members may be missing (all but `code`), null, unknown, and in any order.
pub(crate) fn decode(header: &[u8]) -> Result<Command, FrameError> {
    let header: Header<'_> = serde_json::from_slice(header).map_err(|error| FrameError::Header(error.to_string()))?;
    Ok(Command {
        code: header.code,
        language: match header.language {
            Some(Scalar(Some(name))) => Language::from_name(&name),
            _ => Language::Unknown,
        },
        version: header.version.unwrap_or_default(),
        opaque: header.opaque.unwrap_or_default(),
        flag: header.flag.unwrap_or_default(),
        remark: header.remark.and_then(|Scalar(remark)| remark).map(Cow::into_owned),
        fields: header.fields.map(|ExtFields(fields)| fields).unwrap_or_default(),
        body: Bytes::new(),
    })
}

fn text(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut BytesMut, number: i32) {
    text(out, &number.to_string());
}

fn string(out: &mut BytesMut, string: &str) -> Result<(), FrameError> {
    serde_json::to_writer(out.writer(), string).map_err(|error| FrameError::Header(error.to_string()))
}

#[derive(serde::Deserialize)]
struct Header<'a> {
    code: i32,
    #[serde(borrow)]
    language: Option<Scalar<'a>>,
    version: Option<i32>,
    opaque: Option<i32>,
    flag: Option<i32>,
    #[serde(borrow)]
    remark: Option<Scalar<'a>>,
    #[serde(rename = "extFields")]
    fields: Option<ExtFields>,
}

/// Any value as text; `None` for null and for what has no text (objects, arrays).
struct Scalar<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Borrowed(if truth { "true" } else { "false" }))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }
}

struct ExtFields(Fields);

impl<'de> Deserialize<'de> for ExtFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ExtFieldsVisitor)
    }
}

struct ExtFieldsVisitor;

impl<'de> Visitor<'de> for ExtFieldsVisitor {
    type Value = ExtFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of header fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExtFields, A::Error> {
        let mut fields = Fields::new();
        while let Some((name, Scalar(value))) = map.next_entry::<String, Scalar<'de>>()? {
            if let Some(value) = value {
                fields.push(name, value);
            }
        }
        Ok(ExtFields(fields))
    }
}
