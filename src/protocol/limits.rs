//! What is refused before a byte is written.

/// Longest topic, in characters (both broker lines refuse 128).
pub(crate) const MAX_TOPIC: usize = 127;
/// Longest group, in characters: with `%RETRY%` it fits a topic exactly.
pub(crate) const MAX_GROUP: usize = 120;
/// Longest encoded properties, in bytes: 32 767 less what brokers add.
pub(crate) const MAX_PROPERTIES: usize = 32_000;
/// Largest body by default, in bytes.
pub(crate) const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// An argument that is refused, by the name the user knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub(crate) struct Invalid {
    /// The field.
    pub(crate) field: &'static str,
    /// What is wrong with it.
    pub(crate) problem: String,
}

/// A topic to send to or to subscribe.
pub(crate) fn topic(topic: &str) -> Result<(), Invalid> {
    let _ = topic;
    todo!()
}

/// A producer or consumer group.
pub(crate) fn group(group: &str) -> Result<(), Invalid> {
    let _ = group;
    todo!()
}

/// A message's tag.
pub(crate) fn tags(tags: &str) -> Result<(), Invalid> {
    let _ = tags;
    todo!()
}

/// One of a message's keys.
pub(crate) fn key(key: &str) -> Result<(), Invalid> {
    let _ = key;
    todo!()
}

/// A user property: its name and its value.
pub(crate) fn property(name: &str, value: &str) -> Result<(), Invalid> {
    let _ = (name, value);
    todo!()
}

/// The encoded properties of one message, all together.
pub(crate) fn properties(encoded: &str) -> Result<(), Invalid> {
    let _ = encoded;
    todo!()
}

/// A sharding key.
pub(crate) fn sharding_key(key: &str) -> Result<(), Invalid> {
    let _ = key;
    todo!()
}

/// A body's length against the client's limit.
pub(crate) fn body(length: usize, max: usize) -> Result<(), Invalid> {
    let _ = (length, max);
    todo!()
}
