//! What is refused before a byte is written.

use super::properties::{NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, is_reserved};

/// Longest topic, in characters (both broker lines refuse 128).
pub const MAX_TOPIC: usize = 127;
/// Longest group, in characters: with `%RETRY%` it fits a topic exactly.
pub const MAX_GROUP: usize = 120;
/// Longest encoded properties, in bytes: 32 767 less what brokers add.
pub const MAX_PROPERTIES: usize = 32_000;
/// Largest body by default, in bytes.
#[cfg(test)]
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// An argument that is refused, by the name the user knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Invalid {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Topics of the broker itself, which clients may neither send to nor subscribe.
const FORBIDDEN_TOPICS: [&str; 6] = [
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

/// A topic to send to or to subscribe, with its namespace: 1 to 127 of `A-Z a-z 0-9 _ - % |`.
pub fn topic(topic: &str) -> Result<(), Invalid> {
    name("topic", topic, MAX_TOPIC)?;
    if FORBIDDEN_TOPICS.contains(&topic) {
        return Err(Invalid::new("topic", format!("`{topic}` belongs to the broker")));
    }
    Ok(())
}

/// A producer or consumer group, with its namespace: 1 to 120 of the characters of a topic, no default name.
pub fn group(group: &str) -> Result<(), Invalid> {
    name("groupId", group, MAX_GROUP)?;
    if matches!(group, "DEFAULT_PRODUCER" | "DEFAULT_CONSUMER") {
        return Err(Invalid::new("groupId", format!("`{group}` is a default name: give the group its own")));
    }
    Ok(())
}

fn name(field: &'static str, name: &str, max: usize) -> Result<(), Invalid> {
    not_blank(field, name)?;
    if let Some(odd) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "%|_-".contains(*c))) {
        return Err(Invalid::new(
            field,
            format!("character {odd:?} is not allowed, only letters, digits and `%|_-` are"),
        ));
    }
    if name.len() > max {
        return Err(Invalid::new(field, format!("{} characters are too long, {max} are allowed", name.len())));
    }
    Ok(())
}

fn not_blank(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(field, "must not be empty"));
    }
    Ok(())
}

fn no_separators(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.contains([NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR]) {
        return Err(Invalid::new(field, "must not contain the characters U+0001 and U+0002"));
    }
    Ok(())
}

/// A message's tag.
pub fn tags(tags: &str) -> Result<(), Invalid> {
    not_blank("tags", tags)?;
    no_separators("tags", tags)
}

/// One of a message's keys. They are joined by spaces, so a key has none.
pub fn key(key: &str) -> Result<(), Invalid> {
    not_blank("keys", key)?;
    no_separators("keys", key)?;
    if key.contains(' ') {
        return Err(Invalid::new("keys", format!("a key must not contain a space: {key:?}")));
    }
    Ok(())
}

/// A user property: its name and its value.
pub fn property(name: &str, value: &str) -> Result<(), Invalid> {
    not_blank("properties", name)?;
    no_separators("properties", name)?;
    if is_reserved(name) {
        return Err(Invalid::new("properties", format!("`{name}` is a name of RocketMQ's own")));
    }
    let of_value = |invalid: Invalid| Invalid::new("properties", format!("value of `{name}` {}", invalid.problem));
    not_blank("properties", value).map_err(of_value)?;
    no_separators("properties", value).map_err(of_value)
}

/// The encoded properties of one message, all together.
pub fn properties(encoded: &str) -> Result<(), Invalid> {
    if encoded.len() > MAX_PROPERTIES {
        let problem =
            format!("{} bytes with tags, keys and ids are too long, {MAX_PROPERTIES} are allowed", encoded.len());
        return Err(Invalid::new("properties", problem));
    }
    Ok(())
}

/// A sharding key: any text that can travel as a property.
pub fn sharding_key(key: &str) -> Result<(), Invalid> {
    if key.is_empty() {
        return Err(Invalid::new("shardingKey", "must not be empty"));
    }
    no_separators("shardingKey", key)
}

/// A body's length against the client's limit.
pub fn body(length: usize, max: usize) -> Result<(), Invalid> {
    if length == 0 {
        return Err(Invalid::new("body", "must not be empty"));
    }
    if length > max {
        return Err(Invalid::new("body", format!("{length} bytes are too large, {max} are allowed")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Invalid, MAX_MESSAGE, body, group, key, properties, property, sharding_key, tags, topic};

    fn refused(result: Result<(), Invalid>) -> &'static str {
        let invalid = result.unwrap_err();
        assert!(invalid.to_string().starts_with(invalid.field));
        invalid.field
    }

    #[test]
    fn topics_have_brokers_characters_and_length() {
        for good in ["orders", "a_b-c|d%9", "%RETRY%GID", "%DLQ%GID", &"t".repeat(127)] {
            topic(good).unwrap();
        }
        for bad in [
            "",
            "  ",
            "a b",
            "a!",
            "a@",
            "a#",
            "订单",
            "a\u{1}",
            &"t".repeat(128),
            "SCHEDULE_TOPIC_XXXX",
            "OFFSET_MOVED_EVENT",
        ] {
            assert_eq!(refused(topic(bad)), "topic", "{bad}");
        }
    }

    #[test]
    fn groups_fit_their_retry_topic() {
        let longest = "g".repeat(120);
        group(&longest).unwrap();
        topic(&format!("%RETRY%{longest}")).unwrap();
        for bad in ["", "\t", "a.b", "DEFAULT_PRODUCER", "DEFAULT_CONSUMER", &"g".repeat(121)] {
            assert_eq!(refused(group(bad)), "groupId", "{bad}");
        }
    }

    #[test]
    fn separators_and_empty_texts_are_refused_everywhere() {
        for bad in ["", " ", "a\u{1}", "\u{2}a"] {
            assert_eq!(refused(tags(bad)), "tags");
            assert_eq!(refused(key(bad)), "keys");
            assert_eq!(refused(property(bad, "v")), "properties");
            assert_eq!(refused(property("n", bad)), "properties");
        }
        assert_eq!(refused(key("a b")), "keys");
        for bad in ["", "a\u{1}", "\u{2}a"] {
            assert_eq!(refused(sharding_key(bad)), "shardingKey");
        }
        sharding_key(" ").unwrap();
        for good in ["订单 1", "a||b"] {
            tags(good).unwrap();
            sharding_key(good).unwrap();
            property(good, good).unwrap();
        }
    }

    #[test]
    fn reserved_names_are_refused() {
        for name in ["TAGS", "UNIQ_KEY", "__SHARDINGKEY", "DELAY", "TIMER_DELAY_SEC"] {
            assert_eq!(refused(property(name, "1")), "properties");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        properties(&"p".repeat(32_000)).unwrap();
        assert_eq!(refused(properties(&"p".repeat(32_001))), "properties");
        for good in [1, MAX_MESSAGE] {
            body(good, MAX_MESSAGE).unwrap();
        }
        for bad in [0, MAX_MESSAGE + 1] {
            assert_eq!(refused(body(bad, MAX_MESSAGE)), "body");
        }
    }
}
