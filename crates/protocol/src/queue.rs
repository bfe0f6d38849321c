//! The unit of order: one queue of a topic on one broker.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::hash::java_string_cmp;

/// One queue of a topic. Serialised as in the bodies of 41, 42 and 220: `brokerName`, `queueId`, `topic`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueue {
    /// Name of the broker pair, as the route spells it: it is part of the broker's lock key.
    pub broker_name: String,
    /// Number of the queue at that broker, from 0.
    #[serde(deserialize_with = "super::json::integer_field")]
    pub queue_id: i32,
    /// Real (namespaced) topic.
    pub topic: String,
}

impl MessageQueue {
    /// The queue `queue_id` of `topic` at `broker_name`.
    pub fn new(topic: impl Into<String>, broker_name: impl Into<String>, queue_id: i32) -> Self {
        Self { broker_name: broker_name.into(), queue_id, topic: topic.into() }
    }
}

/// Java's order, which every member of a group must share: topic, broker name, id.
impl Ord for MessageQueue {
    fn cmp(&self, other: &Self) -> Ordering {
        java_string_cmp(&self.topic, &other.topic)
            .then_with(|| java_string_cmp(&self.broker_name, &other.broker_name))
            .then_with(|| self.queue_id.cmp(&other.queue_id))
    }
}

impl PartialOrd for MessageQueue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.topic, self.broker_name, self.queue_id)
    }
}

#[cfg(test)]
mod tests {
    use super::MessageQueue;

    #[test]
    fn queues_sort_as_java_sorts_them() {
        let sorted: Vec<_> = [
            ("A", "broker-10", 0),
            ("A", "broker-2", 0),
            ("A", "broker-2", 2),
            ("A", "broker-2", 10),
            ("A", "broker-a", 1),
            ("A", "broker-b", 0),
            ("a", "b", 0),
            ("a-1", "b", 0),
            ("a_1", "b", 0),
            ("b", "b", 0),
            ("\u{1F600}", "b", 0),
            ("\u{FF21}", "b", 0),
        ]
        .map(|(topic, broker, id)| MessageQueue::new(topic, broker, id))
        .into();
        let mut shuffled = sorted.clone();
        shuffled.reverse();
        shuffled.sort();
        assert_eq!(shuffled, sorted);
    }

    #[test]
    fn queues_have_the_wires_field_names() {
        let queue = MessageQueue::new("orders", "broker-a", 0);
        let text = r#"{"brokerName":"broker-a","queueId":0,"topic":"orders"}"#;
        assert_eq!(serde_json::to_string(&queue).unwrap(), text);
        assert_eq!(serde_json::from_str::<MessageQueue>(text).unwrap(), queue);
    }
}
