//! Message properties as one string: `name \x01 value \x02`, repeated.

use std::collections::HashMap;

use memchr::memchr;

/// Between a name and its value.
pub const NAME_VALUE_SEPARATOR: char = '\u{1}';
/// Behind each value.
pub const PROPERTY_SEPARATOR: char = '\u{2}';

/// Both, as bytes: in UTF-8 they are part of no other character.
const SEPARATORS: [u8; 2] = [NAME_VALUE_SEPARATOR as u8, PROPERTY_SEPARATOR as u8];

/// Names with a meaning of their own.
pub mod name {
    /// The tag, one text.
    pub const TAGS: &str = "TAGS";
    /// Keys joined by spaces.
    pub const KEYS: &str = "KEYS";
    /// Wait for flush and copy: `true` or `false`.
    pub const WAIT: &str = "WAIT";
    /// The client's unique id, which users see as the message id.
    pub const UNIQ_KEY: &str = "UNIQ_KEY";
    /// The sharding key.
    pub const SHARDING_KEY: &str = "__SHARDINGKEY";
    /// The namespace.
    pub const INSTANCE_ID: &str = "INSTANCE_ID";
    /// Delay level: moves a message out of its queue, so never on an ordered one.
    pub const DELAY: &str = "DELAY";
    /// Original topic of a message in a retry or dead-letter topic.
    pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
    /// Id of a message's first incarnation.
    pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
    /// Attempts so far.
    pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
    /// Attempts allowed.
    pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
    /// Cluster of the broker that stored the message.
    pub const CLUSTER: &str = "CLUSTER";
    /// Region for traces.
    pub const MSG_REGION: &str = "MSG_REGION";
    /// `false`: do not trace.
    pub const TRACE_ON: &str = "TRACE_ON";
}

/// Names users may not set.
pub const RESERVED: [&str; 50] = [
    name::TAGS,
    name::KEYS,
    name::WAIT,
    name::UNIQ_KEY,
    name::SHARDING_KEY,
    name::INSTANCE_ID,
    name::DELAY,
    name::RETRY_TOPIC,
    name::ORIGIN_MESSAGE_ID,
    name::RECONSUME_TIME,
    name::MAX_RECONSUME_TIMES,
    name::CLUSTER,
    name::MSG_REGION,
    name::TRACE_ON,
    "1ST_POP_TIME",
    "ARRIVE_TIME",
    "BORN_TIMESTAMP",
    "BUYER_ID",
    "CHECK_IMMUNITY_TIME_IN_SECONDS",
    "CHECK_TIMES",
    "CONSUME_START_TIME",
    "CORRECTION_FLAG",
    "CORRELATION_ID",
    "DLQ_ORIGIN_MESSAGE_ID",
    "DLQ_ORIGIN_TOPIC",
    "EXTEND_UNIQ_INFO",
    "INNER_BASE",
    "INNER_MULTI_DISPATCH",
    "INNER_MULTI_QUEUE_OFFSET",
    "INNER_NUM",
    "MAX_OFFSET",
    "MIN_OFFSET",
    "MQ2_FLAG",
    "MSG_TYPE",
    "PGROUP",
    "POP_CK",
    "POP_CK_OFFSET",
    "PUSH_REPLY_TIME",
    "REAL_QID",
    "REAL_TOPIC",
    "REPLY_TO_CLIENT",
    "TRACE_CONTEXT",
    "TRANSFER_FLAG",
    "TRAN_MSG",
    "TRAN_PREPARED_QUEUE_OFFSET",
    "TTL",
    "__BORNHOST",
    "__CRC32#",
    "__STARTDELIVERTIME",
    "__transactionId__",
];
/// Beginning of the names of 5.x timer messages.
const TIMER_PREFIX: &str = "TIMER_";

/// Whether a name belongs to RocketMQ: users may not set it, and receivers see it as a system property.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with(TIMER_PREFIX)
}

/// Encodes properties, each closed by `\x02`, as 5.x does; 4.9 takes both forms.
pub fn encode<'a>(properties: impl IntoIterator<Item = (&'a str, &'a str), IntoIter: Clone>) -> String {
    let properties = properties.into_iter();
    let mut text = String::with_capacity(properties.clone().map(|(name, value)| name.len() + value.len() + 2).sum());
    for (name, value) in properties {
        text.push_str(name);
        text.push(NAME_VALUE_SEPARATOR);
        text.push_str(value);
        text.push(PROPERTY_SEPARATOR);
    }
    text
}

/// The properties of an encoded text in stored order, of equal names all; segments without name or value are skipped.
pub fn pairs(text: &str) -> impl DoubleEndedIterator<Item = (&str, &str)> {
    let segments = text.split(PROPERTY_SEPARATOR).filter_map(|segment| segment.split_once(NAME_VALUE_SEPARATOR));
    segments.filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// Hands over the same pairs, from the first to the last, in a third of the time.
pub fn visit<'a>(text: &'a str, mut pair: impl FnMut(&'a str, &'a str)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let segment = &bytes[start..];
        let length = memchr(SEPARATORS[1], segment).unwrap_or(segment.len());
        let name = memchr(SEPARATORS[0], &segment[..length]).unwrap_or(length);
        if name > 0 && name + 1 < length {
            pair(&text[start..start + name], &text[start + name + 1..start + length]);
        }
        start += length + 1;
    }
}

/// The value of a property in an encoded text: the last of equal names.
pub fn value_of<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    pairs(text).rev().find_map(|(name, value)| (name == wanted).then_some(value))
}

/// Decodes properties; segments without name or value are skipped, the last of equal names wins.
pub fn decode(text: &str) -> Vec<(String, String)> {
    let mut properties: Vec<(String, String)> = Vec::new();
    let mut index = HashMap::new();
    for (name, value) in pairs(text) {
        match index.entry(name) {
            std::collections::hash_map::Entry::Occupied(known) => {
                if let Some((_, old)) = properties.get_mut(*known.get()) {
                    value.clone_into(old);
                }
            }
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(properties.len());
                properties.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    properties
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode, is_reserved};

    fn decoded(text: &str) -> Vec<(String, String)> {
        decode(&text.replace("<01>", "\u{1}").replace("<02>", "\u{2}"))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn segments_without_name_or_value_are_skipped() {
        for text in ["", "a", "a<01>", "<01>b<02>", "a<01><02>", "<02><02>"] {
            assert_eq!(decoded(text), [], "{text}");
        }
        assert_eq!(decoded("a<01>b"), pairs(&[("a", "b")]));
        assert_eq!(decoded("a<01>b<02>"), pairs(&[("a", "b")]));
        assert_eq!(decoded("a<01>b<02>c<01>d"), pairs(&[("a", "b"), ("c", "d")]));
        assert_eq!(decoded("a<01>b<02>c"), pairs(&[("a", "b")]));
        assert_eq!(decoded("<02>a<01>b<02><02>c<01>d<02>"), pairs(&[("a", "b"), ("c", "d")]));
    }

    #[test]
    fn a_value_may_contain_the_inner_separator() {
        assert_eq!(decoded("k<01>v<01>w<02>"), pairs(&[("k", "v\u{1}w")]));
    }

    #[test]
    fn the_last_of_equal_names_wins() {
        let stored = "UNIQ_KEY<01>U1<02>WAIT<01>true<02>TAGS<01>A<02>UNIQ_KEY<01>UB<02>CLUSTER<01>DefaultCluster<02>WAIT<01>true";
        let expected = [("UNIQ_KEY", "UB"), ("WAIT", "true"), ("TAGS", "A"), ("CLUSTER", "DefaultCluster")];
        assert_eq!(decoded(stored), pairs(&expected));
    }

    #[test]
    fn every_property_is_closed() {
        let text = encode([("KEYS", "K0"), ("UNIQ_KEY", "U0"), ("WAIT", "true"), ("TAGS", "TagA")]);
        assert_eq!(text, "KEYS\u{1}K0\u{2}UNIQ_KEY\u{1}U0\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}");
        assert_eq!(encode([]), "");
    }

    #[test]
    fn rocketmqs_own_names_are_reserved() {
        for name in ["TAGS", "__SHARDINGKEY", "DELAY", "TIMER_DELAY_MS", "TIMER_ROLL_TIMES", "__CRC32#", "TTL"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["tags", "orderId", "TIMER", "traceparent"] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn visiting_hands_over_the_same_pairs(text in "[a\u{e9}\u{1}\u{2}]{0,20}") {
            let mut visited = Vec::new();
            super::visit(&text, |name, value| visited.push((name, value)));
            prop_assert_eq!(visited, super::pairs(&text).collect::<Vec<_>>());
        }

        #[test]
        fn properties_survive(properties in proptest::collection::btree_map("[^\u{1}\u{2}]{1,8}", "[^\u{2}]{1,8}", 0..30)) {
            let text = encode(properties.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            prop_assert_eq!(decode(&text).into_iter().collect::<std::collections::BTreeMap<_, _>>(), properties);
        }
    }
}
