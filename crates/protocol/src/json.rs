//! JSON as fastjson writes it: map keys may be bare integers or whole objects.
//!
//! Such text is rewritten with those keys as strings, and parsed by `serde_json`.

mod bounded;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::request::ResponseError;

pub use self::bounded::{Few, Filled, Integer, Members};

/// Deepest nesting read; beyond it a body is refused.
pub const MAX_DEPTH: usize = 128;

/// Why a text is not JSON, not even fastjson's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("json: {0}")]
pub struct JsonError(pub(crate) String);

impl From<JsonError> for ResponseError {
    fn from(error: JsonError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Reads a body as it is, which takes a hundred times its memory: not for what a stranger may have sent. Object keys arrive as the text of
/// the object, integer keys as their digits.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    from_bytes(text)
}

/// Reads a body into a type; unknown members are skipped.
pub fn from_bytes<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    check_depth(text)?;
    // Nearly every body is standard JSON; the others are told from broken ones by the second attempt.
    if let Ok(value) = serde_json::from_slice(text) {
        return Ok(value);
    }
    let standard = standardise(text, true)?;
    serde_json::from_slice(&standard).map_err(|error| JsonError(error.to_string()))
}

/// Writes a body of ours.
pub fn to_bytes<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("our bodies have string keys, nothing else can fail"))
}

/// An integer written as a number, as text, or not at all (0).
pub fn integer(value: Option<&Value>) -> Result<i64, JsonError> {
    match value {
        None | Some(Value::Null) => Ok(0),
        Some(Value::Number(number)) => number.as_i64().ok_or_else(|| JsonError(format!("{number} is no integer"))),
        Some(Value::String(text)) => text.trim().parse().map_err(|_| JsonError(format!("{text:?} is no integer"))),
        Some(_) => Err(JsonError("an integer is expected".into())),
    }
}

/// [`integer`] for a field of a derived type.
pub fn integer_field<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<N, D::Error> {
    Integer::deserialize(deserializer).map(|Integer(number)| number)
}

/// Refuses what is nested too deeply, also where nobody would look at it.
fn check_depth(text: &[u8]) -> Result<(), JsonError> {
    let mut depth = 0_usize;
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        match byte {
            b'"' => {
                index += string_len(&text[index..])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(JsonError("nested too deeply".into()));
        }
        index += 1;
    }
    Ok(())
}

/// Rewrites integer and object keys as strings; what else is wrong with the text is left to the parser.
///
/// A key object may not itself have object keys: each level of quoting would double the text.
fn standardise(text: &[u8], object_keys: bool) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    let mut open = Vec::new();
    let mut at_key = false;
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let taken = match byte {
            b'"' => {
                at_key = false;
                string_len(rest)?
            }
            b'{' if at_key => {
                if !object_keys {
                    return Err(JsonError("an object key inside an object key".into()));
                }
                let length = object_len(rest)?;
                let key = String::from_utf8(standardise(&rest[..length], false)?);
                let key = key.map_err(|_| JsonError("a key is not UTF-8".into()))?;
                serde_json::to_writer(&mut out, &key).map_err(|error| JsonError(error.to_string()))?;
                at_key = false;
                rest = &rest[length..];
                continue;
            }
            b'-' | b'0'..=b'9' if at_key => {
                let length = rest.iter().take_while(|byte| matches!(byte, b'-' | b'0'..=b'9')).count();
                out.push(b'"');
                out.extend_from_slice(&rest[..length]);
                out.push(b'"');
                at_key = false;
                rest = &rest[length..];
                continue;
            }
            b'{' | b'[' => {
                open.push(byte);
                at_key = byte == b'{';
                1
            }
            b'}' | b']' => {
                open.pop();
                at_key = false;
                1
            }
            b',' => {
                at_key = open.last() == Some(&b'{');
                1
            }
            _ => 1,
        };
        out.extend_from_slice(&rest[..taken]);
        rest = &rest[taken..];
    }
    Ok(out)
}

/// Bytes of the string `text` begins with, quotes included.
fn string_len(text: &[u8]) -> Result<usize, JsonError> {
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Ok(index + 1),
            _ => {}
        }
    }
    Err(JsonError("a string does not end".into()))
}

/// Bytes of the object `text` begins with, braces included.
fn object_len(text: &[u8]) -> Result<usize, JsonError> {
    let mut depth = 0_usize;
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        match byte {
            b'"' => {
                index += string_len(&text[index..])?;
                continue;
            }
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        index += 1;
        if depth == 0 {
            return Ok(index);
        }
    }
    Err(JsonError("a key object does not end".into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{integer, parse};

    #[test]
    fn bare_integers_are_keys() {
        assert_eq!(parse(br#"{0:"a:1",1:"b:2"}"#).unwrap(), json!({"0": "a:1", "1": "b:2"}));
        assert_eq!(
            parse(br#"{ 0 : "a" , "1":"b", -3:[{7:1}] }"#).unwrap(),
            json!({"0": "a", "1": "b", "-3": [{"7": 1}]})
        );
    }

    #[test]
    fn objects_are_keys() {
        let table = parse(br#"{"t":{{"topic":"a}b","queueId":1,"brokerName":"x\"{"}:5,{"topic":"c"}:[6]}}"#).unwrap();
        let keys: Vec<_> = table["t"].as_object().unwrap().iter().map(|(key, value)| (key.as_str(), value)).collect();
        assert_eq!(keys[0], (r#"{"topic":"a}b","queueId":1,"brokerName":"x\"{"}"#, &json!(5)));
        assert_eq!(keys[1], (r#"{"topic":"c"}"#, &json!([6])));
    }

    #[test]
    fn numbers_and_braces_elsewhere_are_left_alone() {
        let standard = br#"{"a":[1,-2,{"b":3.5e1}],"c":"{0:1}","d":"\\\"{1:","e":null,"f":"\u4e2d"}"#;
        let mut odd = standard.to_vec();
        odd.splice(1..1, *b"9:8,");
        let mut expected: serde_json::Value = serde_json::from_slice(standard).unwrap();
        expected["9"] = json!(8);
        assert_eq!(parse(&odd).unwrap(), expected);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "{",
            "{0",
            "{0:",
            "{0:1",
            "{{}",
            "{{}:1",
            "{\"a",
            "{0:1,}",
            "{'a':1}",
            "{0:1}}",
            "{{\"a\":1}}",
            "{1 2:3}",
            "{0:\"\\",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"{0:\"\xff\"}").is_err());
        assert!(parse(b"{{\"a\":\"\xff\"}:1}").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        for (open, close) in [("[", "]"), ("{0:", "}"), ("{{", "}:1}")] {
            let nested = |depth: usize| format!("{{9:{}1{}}}", open.repeat(depth), close.repeat(depth));
            assert!(parse(nested(100_000).as_bytes()).is_err());
        }
        assert!(parse(format!("{{9:{}{}}}", "[".repeat(120), "]".repeat(120)).as_bytes()).is_ok());
        let doubling = format!("{}\"a\":1{}", "{{".repeat(60), "}:1}".repeat(60));
        assert!(parse(doubling.as_bytes()).is_err());
    }

    #[test]
    fn integers_may_be_text_or_missing() {
        assert_eq!(integer(Some(&json!("9007199254740993"))), Ok(9_007_199_254_740_993));
        assert_eq!(integer(Some(&json!(-4))), Ok(-4));
        assert_eq!((integer(None), integer(Some(&json!(null)))), (Ok(0), Ok(0)));
        assert!(
            integer(Some(&json!("x"))).is_err()
                && integer(Some(&json!(1.5))).is_err()
                && integer(Some(&json!([]))).is_err()
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-{}\\[\\],:\"\\\\0-9a ]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
