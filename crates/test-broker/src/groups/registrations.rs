//! Who is registered: on which connection, in which group, wanting what.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::protocol::json as tolerant;
use crate::protocol::subscription::tags_of;
use crate::protocol::{java_string_hash, properties};
use crate::release::Release;
use crate::sql::Condition;
use crate::store::record::Record;

/// A registration of one client on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) client_id: String,
    pub(crate) language: &'static str,
    pub(crate) version: i32,
    pub(crate) address: SocketAddr,
}

/// Members by connection.
pub(crate) type Members = BTreeMap<u64, Member>;

/// What a broker selects by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    /// Everything.
    All,
    /// Tags with one of these Java hash codes.
    Tags(Vec<i32>),
    /// A condition over properties.
    Sql(Condition),
    /// A condition that could not be read: pulls answer 27.
    Broken,
}

impl Filter {
    /// Reads an expression; the text says why not.
    pub(crate) fn of(kind: &str, expression: &str, release: Release) -> Result<Self, String> {
        match kind {
            "TAG" | "" => Ok(Self::of_tags(expression)),
            "SQL92" => Condition::parse(expression, release.is_v5()).map(Self::Sql),
            other => Err(format!("unknown expression type {other}")),
        }
    }

    fn of_tags(expression: &str) -> Self {
        if matches!(expression, "" | "*") {
            return Self::All;
        }
        Self::Tags(tags_of(expression).map(java_string_hash).collect())
    }

    /// Whether Java's `split` finds nothing at all between the separators, not even a space: that is no expression.
    pub(crate) fn has_no_parts(expression: &str) -> bool {
        !expression.is_empty() && expression.split("||").all(str::is_empty)
    }

    /// By the hash codes that a heartbeat brings: the broker does not read tags itself.
    fn by_codes(expression: &str, codes: Option<&Value>) -> Self {
        if matches!(expression, "" | "*") {
            return Self::All;
        }
        let codes = codes.and_then(Value::as_array).into_iter().flatten();
        let code = |code: &Value| tolerant::integer(Some(code)).ok().and_then(|code| i32::try_from(code).ok());
        Self::Tags(codes.filter_map(code).collect())
    }

    /// The most memory that it may take.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::All | Self::Broken => 0,
            Self::Tags(codes) => size_of_val(codes.as_slice()),
            Self::Sql(condition) => condition.bytes(),
        }
    }

    /// Whether a message is wanted, as far as a broker looks.
    pub(crate) fn wants(&self, record: &Record) -> bool {
        match self {
            Self::All => true,
            Self::Tags(codes) => codes.contains(&record.tag_code),
            Self::Sql(condition) => condition.matches(&properties::decode(&record.properties)),
            Self::Broken => false,
        }
    }
}

/// A group's interest in one topic.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// As the heartbeat said it; shown to administrators.
    pub(crate) data: Value,
    pub(crate) version: i64,
    pub(crate) filter: Arc<Filter>,
}

/// A consumer group that has members.
#[derive(Debug, Default)]
pub(crate) struct ConsumerGroup {
    pub(crate) consume_type: String,
    pub(crate) message_model: String,
    pub(crate) consume_from: String,
    pub(crate) members: Members,
    pub(crate) wanted: BTreeMap<String, Wanted>,
}

impl ConsumerGroup {
    /// Client ids, one per connection.
    pub(crate) fn client_ids(&self) -> Vec<&str> {
        self.members.values().map(|member| member.client_id.as_str()).collect()
    }

    /// Takes a heartbeat's subscriptions over: higher versions replace, missing topics go. Whether a topic came or went.
    fn subscribe(&mut self, subscriptions: &[Value], release: Release) -> bool {
        let mut changed = false;
        let topic = |data: &Value| data.get("topic").and_then(Value::as_str).unwrap_or_default().to_owned();
        for data in subscriptions {
            let version = tolerant::integer(data.get("subVersion")).unwrap_or_default();
            if self.wanted.get(&topic(data)).is_some_and(|known| known.version >= version) {
                continue;
            }
            let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
            let filter = match text("expressionType") {
                "TAG" | "" => Filter::by_codes(text("subString"), data.get("codeSet")),
                kind => Filter::of(kind, text("subString"), release).unwrap_or(Filter::Broken),
            };
            let wanted = Wanted { data: data.clone(), version, filter: Arc::new(filter) };
            let before = self.wanted.insert(topic(data), wanted);
            changed |= before.is_none();
        }
        let count = self.wanted.len();
        self.wanted.retain(|known, _| subscriptions.iter().any(|data| topic(data) == *known));
        changed || self.wanted.len() != count
    }
}

/// All registrations of one broker.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    pub(crate) consumers: BTreeMap<String, ConsumerGroup>,
    pub(crate) producers: BTreeMap<String, Members>,
}

impl Registrations {
    /// Registers a consumer's connection; whether the group's members have to be told.
    pub(crate) fn consumer(&mut self, connection: u64, member: &Member, data: &Value, release: Release) -> bool {
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        let group = self.consumers.entry(text("groupName").to_owned()).or_default();
        text("consumeType").clone_into(&mut group.consume_type);
        text("messageModel").clone_into(&mut group.message_model);
        text("consumeFromWhere").clone_into(&mut group.consume_from);
        let new = group.members.insert(connection, member.clone()).is_none_or(|old| old.client_id != member.client_id);
        let none = Vec::new();
        let subscriptions = data.get("subscriptionDataSet").and_then(Value::as_array).unwrap_or(&none);
        group.subscribe(subscriptions, release) || new
    }

    /// Takes a connection out of a consumer group; whether it was there.
    pub(crate) fn leave(&mut self, connection: u64, group: &str) -> bool {
        let Some(known) = self.consumers.get_mut(group) else { return false };
        let was = known.members.remove(&connection).is_some();
        if known.members.is_empty() {
            self.consumers.remove(group);
        }
        was
    }

    /// Takes a connection out of a producer group.
    pub(crate) fn leave_producers(&mut self, connection: u64, group: &str) {
        if let Some(members) = self.producers.get_mut(group) {
            members.remove(&connection);
            if members.is_empty() {
                self.producers.remove(group);
            }
        }
    }

    /// Forgets a connection; the consumer groups that it leaves.
    pub(crate) fn forget(&mut self, connection: u64) -> Vec<String> {
        let producers: Vec<_> = self.producers.keys().cloned().collect();
        for group in producers {
            self.leave_producers(connection, &group);
        }
        let groups: Vec<_> = self.consumers.keys().cloned().collect();
        groups.into_iter().filter(|group| self.leave(connection, group)).collect()
    }
}

/// Settings of a group at one broker, as the console shows and changes them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupConfig(pub(crate) Map<String, Value>);

impl GroupConfig {
    /// The defaults of an auto-created group.
    pub(crate) fn of(group: &str, release: Release) -> Self {
        let mut config = json!({
            "groupName": group, "consumeEnable": true, "consumeFromMinEnable": true, "consumeBroadcastEnable": true,
            "retryQueueNums": 1, "retryMaxTimes": 16, "brokerId": 0, "whichBrokerWhenConsumeSlowly": 1,
            "notifyConsumerIdsChangedEnable": true,
        });
        if release.is_v5() {
            for (name, value) in [
                ("attributes", json!({})),
                ("consumeMessageOrderly", json!(false)),
                ("consumeTimeoutMinute", json!(15)),
                ("groupRetryPolicy", json!({"type": "CUSTOMIZED"})),
                ("groupSysFlag", json!(0)),
            ] {
                config[name] = value;
            }
        }
        Self(config.as_object().cloned().unwrap_or_default())
    }

    /// Whether members may pull.
    pub(crate) fn consumes(&self) -> bool {
        self.0.get("consumeEnable").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Whether members may pull that have registered as broadcasting ones.
    pub(crate) fn broadcasts(&self) -> bool {
        self.0.get("consumeBroadcastEnable").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Whether members are told of each other.
    pub(crate) fn notifies(&self) -> bool {
        self.0.get("notifyConsumerIdsChangedEnable").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Attempts before a retried message becomes a dead letter.
    pub(crate) fn retry_max_times(&self) -> i32 {
        self.number("retryMaxTimes", 16)
    }

    /// Queues of the retry topic.
    pub(crate) fn retry_queues(&self) -> i32 {
        self.number("retryQueueNums", 1)
    }

    fn number(&self, name: &str, default: i32) -> i32 {
        tolerant::integer(self.0.get(name))
            .ok()
            .and_then(|number| i32::try_from(number).ok())
            .filter(|number| *number > 0)
            .unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Filter, Member, Registrations};
    use crate::release::Release;

    fn member(client_id: &str) -> Member {
        Member { client_id: client_id.into(), language: "OTHER", version: 409, address: "127.0.0.1:1".parse().unwrap() }
    }

    fn heartbeat(topics: &[(&str, &str, i64)]) -> serde_json::Value {
        let subscriptions: Vec<_> = topics
            .iter()
            .map(|(topic, expression, version)| {
                json!({"topic": topic, "subString": expression, "subVersion": version, "expressionType": "TAG"})
            })
            .collect();
        json!({"groupName": "g", "subscriptionDataSet": subscriptions})
    }

    #[test]
    fn only_a_higher_version_replaces_and_only_topics_and_channels_are_news() {
        let mut known = Registrations::default();
        assert!(known.consumer(1, &member("c1"), &heartbeat(&[("t", "A", 5)]), Release::V5), "a new channel");
        assert!(!known.consumer(1, &member("c1"), &heartbeat(&[("t", "B", 5)]), Release::V5));
        let version = |known: &Registrations| known.consumers["g"].wanted["t"].data["subString"].clone();
        assert_eq!(version(&known), "A", "an equal version is ignored");
        assert!(!known.consumer(1, &member("c1"), &heartbeat(&[("t", "B", 6)]), Release::V5), "no news");
        assert_eq!(version(&known), "B");
        assert!(known.consumer(2, &member("c2"), &heartbeat(&[("t", "B", 1), ("u", "*", 1)]), Release::V5));
        assert!(known.consumer(1, &member("c1"), &heartbeat(&[("u", "*", 1)]), Release::V5), "a topic went");
        assert_eq!(known.consumers["g"].client_ids(), ["c1", "c2"]);
        assert_eq!(known.forget(1), ["g"]);
        assert_eq!(known.forget(2), ["g"]);
        assert!(known.consumers.is_empty(), "a group without members has no subscription");
    }

    #[test]
    fn tags_are_compared_by_hash() {
        let Ok(Filter::Tags(codes)) = Filter::of("TAG", "Aa || c", Release::V4) else { panic!() };
        assert_eq!(codes, [2112, 99]);
        assert_eq!(Filter::of("TAG", "*", Release::V4), Ok(Filter::All));
        assert!(Filter::of("XPATH", "*", Release::V4).is_err());
        assert_eq!(Filter::by_codes("Aa || c", Some(&json!([7, "8"]))), Filter::Tags(vec![7, 8]));
        assert_eq!(Filter::by_codes("Aa", None), Filter::Tags(Vec::new()), "without codes nothing is wanted");
    }
}
