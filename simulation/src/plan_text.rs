//! Plans as text: JSON with a line for each client and each fault, so that a person can change them, and files keep them.

use rocketmq_client::consumer::OrderedBy;
use rocketmq_client::producer::Batching;
use rocketmq_test_broker::Release;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::Plan;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Release")]
pub(crate) enum OfRelease {
    V4,
    V5,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OrderedBy")]
pub(crate) enum OfOrderedBy {
    Queue,
    Key,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Batching")]
pub(crate) enum OfBatching {
    Queue,
    Key,
    Off,
}

/// Durations in whole milliseconds.
pub(crate) mod ms_of {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

impl Plan {
    /// Its text; of one that is kept the first line tells its story.
    pub(crate) fn to_text(&self) -> String {
        let json = |value: &dyn Fn() -> serde_json::Result<Value>| value().unwrap_or_else(|error| panic!("{error}"));
        let Value::Object(members) = json(&|| serde_json::to_value(self)) else { return String::new() };
        // The story first, then the seed, and the others as serde_json has them.
        let (mut first, others): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|(name, _)| name == "story" || name == "seed");
        first.sort_by_key(|(name, _)| name == "seed");
        let lines: Vec<String> = first.into_iter().chain(others).map(|(name, value)| line(&name, &value)).collect();
        format!("{{ {} }}\n", lines.join(",\n  "))
    }

    /// What a text says.
    pub(crate) fn of_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

fn line(name: &str, value: &Value) -> String {
    match value {
        Value::Array(things) if things.iter().any(Value::is_object) => {
            let things: Vec<String> = things.iter().map(|thing| format!("    {thing}")).collect();
            format!("\"{name}\": [\n{}\n  ]", things.join(",\n"))
        }
        value => format!("\"{name}\": {value}"),
    }
}
