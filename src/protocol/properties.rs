//! Message properties as one string: `name \x01 value \x02`, repeated.

/// Between a name and its value.
pub(crate) const NAME_VALUE_SEPARATOR: char = '\u{1}';
/// Behind each value.
pub(crate) const PROPERTY_SEPARATOR: char = '\u{2}';

/// Names with a meaning of their own.
pub(crate) mod name {
    /// The tag, one text.
    pub(crate) const TAGS: &str = "TAGS";
    /// Keys joined by spaces.
    pub(crate) const KEYS: &str = "KEYS";
    /// Wait for flush and copy: `true` or `false`.
    pub(crate) const WAIT: &str = "WAIT";
    /// The client's unique id, which users see as the message id.
    pub(crate) const UNIQ_KEY: &str = "UNIQ_KEY";
    /// The sharding key.
    pub(crate) const SHARDING_KEY: &str = "__SHARDINGKEY";
    /// The namespace.
    pub(crate) const INSTANCE_ID: &str = "INSTANCE_ID";
    /// Delay level: moves a message out of its queue, so never on an ordered one.
    pub(crate) const DELAY: &str = "DELAY";
    /// Original topic of a message in a retry or dead-letter topic.
    pub(crate) const RETRY_TOPIC: &str = "RETRY_TOPIC";
    /// Id of a message's first incarnation.
    pub(crate) const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
    /// Attempts so far.
    pub(crate) const RECONSUME_TIME: &str = "RECONSUME_TIME";
    /// Attempts allowed.
    pub(crate) const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
    /// Cluster of the broker that stored the message.
    pub(crate) const CLUSTER: &str = "CLUSTER";
    /// Region for traces.
    pub(crate) const MSG_REGION: &str = "MSG_REGION";
    /// `false`: do not trace.
    pub(crate) const TRACE_ON: &str = "TRACE_ON";
}

/// Whether a name belongs to RocketMQ: users may not set it, and receivers see it as a system property.
pub(crate) fn is_reserved(name: &str) -> bool {
    let _ = name;
    todo!()
}

/// Encodes properties, each closed by `\x02`, as 5.x does; 4.9 takes both forms.
pub(crate) fn encode<'a>(properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let _ = properties.into_iter();
    todo!()
}

/// Decodes properties; segments without name or value are skipped, the last of equal names wins.
pub(crate) fn decode(text: &str) -> Vec<(String, String)> {
    let _ = text;
    todo!()
}
