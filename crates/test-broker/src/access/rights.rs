//! Which rights a request asks for, as each version sees it, and whether an account has them.

use std::fmt;

use serde_json::Value;

use crate::protocol::Command;
use crate::protocol::code::request;
use crate::release::Release;
use crate::requests::bodies::{self, Locking};
use crate::state::names::{CLUSTER, DEAD_LETTERS, RETRY};

/// What an account may do with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    /// `Topic:orders`, `Group:*`, ….
    pub(crate) resource: String,
    /// `Pub`, `Sub`, `Get`, ….
    pub(crate) actions: Vec<String>,
}

/// What rights are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A topic.
    Topic,
    /// A group; its retry topic belongs to it.
    Group,
    /// Everything: what an administrator may.
    Cluster,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topic => "Topic",
            Self::Group => "Group",
            Self::Cluster => "Cluster",
        })
    }
}

/// One thing that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// One of them is enough.
    actions: &'static [&'static str],
}

impl Demand {
    fn topic(name: impl Into<String>, actions: &'static [&'static str]) -> Self {
        let name = name.into();
        match name.strip_prefix(RETRY) {
            Some(group) => Self::group(group, SUB),
            None => Self { kind: Kind::Topic, name, actions },
        }
    }

    fn group(name: impl Into<String>, actions: &'static [&'static str]) -> Self {
        Self { kind: Kind::Group, name: name.into(), actions }
    }

    fn cluster(actions: &'static [&'static str]) -> Self {
        Self { kind: Kind::Cluster, name: CLUSTER.into(), actions }
    }

    /// Whether one of these rights is enough.
    pub(crate) fn is_met_by(&self, rights: &[Right]) -> bool {
        rights.iter().any(|right| {
            let Some((kind, pattern)) = right.resource.split_once(':') else { return false };
            let fits = match pattern.strip_suffix('*') {
                Some(prefix) => self.name.starts_with(prefix),
                None => self.name == pattern || self.name.strip_prefix(DEAD_LETTERS) == Some(pattern),
            };
            let allowed = right.actions.iter().any(|action| action == "All" || self.actions.contains(&action.as_str()));
            kind == self.kind.to_string() && fits && allowed
        })
    }
}

const PUB: &[&str] = &["Pub"];
const SUB: &[&str] = &["Sub"];
const GET: &[&str] = &["Get"];
const SUB_OR_GET: &[&str] = &["Sub", "Get"];

/// What a broker asks for; it names the first that is missing.
pub(crate) fn demands(release: Release, command: &Command) -> Vec<Demand> {
    match release {
        Release::V4 => demands_of_4_9(command),
        Release::V5 => demands_of_5_5(command),
    }
}

/// 4.9 looks at few requests, and not at 320: what is not here everybody may who has an account.
fn demands_of_4_9(command: &Command) -> Vec<Demand> {
    let field = |name: &str| command.fields.get(name);
    let topic = |name: &str, actions| field(name).map(|topic| Demand::topic(topic, actions));
    let group = |name: &str| field(name).map(|group| Demand::group(group, SUB));
    match command.code {
        17 | 25 | 200 | 207 | 215 => vec![Demand::cluster(&[])],
        // A retry is the matter of the producer's group.
        request::SEND_MESSAGE_V2 if field("b").is_some_and(|topic| topic.starts_with(RETRY)) => {
            group("a").into_iter().collect()
        }
        10 if field("topic").is_some_and(|topic| topic.starts_with(RETRY)) => group("group").into_iter().collect(),
        request::SEND_MESSAGE_V2 => topic("b", PUB).into_iter().collect(),
        10 => topic("topic", PUB).into_iter().collect(),
        request::PULL_MESSAGE | request::UPDATE_CONSUMER_OFFSET => {
            group("consumerGroup").into_iter().chain(topic("topic", SUB)).collect()
        }
        12 => topic("topic", SUB).into_iter().collect(),
        36 => group("group").into_iter().collect(),
        request::GET_CONSUMER_LIST_BY_GROUP | request::UNREGISTER_CLIENT => {
            group("consumerGroup").into_iter().collect()
        }
        request::HEART_BEAT => subscriptions(command),
        _ => Vec::new(),
    }
}

/// 5.5 looks at what the header names; requests whose matter is in their body everybody may who has an account.
fn demands_of_5_5(command: &Command) -> Vec<Demand> {
    let field = |name: &str| command.fields.get(name).unwrap_or("null");
    let topic = |actions| Demand::topic(field("topic"), actions);
    let group = |name: &str, actions| Demand::group(field(name), actions);
    match command.code {
        request::SEND_MESSAGE_V2 | request::SEND_BATCH_MESSAGE => vec![Demand::topic(field("b"), PUB)],
        10 => vec![topic(PUB)],
        request::PULL_MESSAGE | request::UPDATE_CONSUMER_OFFSET => vec![topic(SUB), group("consumerGroup", SUB)],
        request::QUERY_CONSUMER_OFFSET => vec![topic(SUB_OR_GET), group("consumerGroup", SUB_OR_GET)],
        29..=33 if command.fields.get("topic").is_none_or(str::is_empty) => Vec::new(),
        12 => vec![topic(SUB_OR_GET)],
        29..=33 | 202 | 300 | 351 => vec![topic(GET)],
        17 => vec![topic(&["Create"])],
        215 => vec![topic(&["Delete"])],
        36 => vec![group("group", SUB)],
        request::GET_CONSUMER_LIST_BY_GROUP => vec![group("consumerGroup", SUB_OR_GET)],
        request::UNREGISTER_CLIENT if command.fields.get("consumerGroup").is_some() => {
            vec![group("consumerGroup", SUB)]
        }
        203 | request::GET_CONSUMER_RUNNING_INFO => vec![group("consumerGroup", GET)],
        request::CONSUME_MESSAGE_DIRECTLY => vec![group("consumerGroup", SUB), topic(SUB)],
        223 => vec![topic(GET), group("group", GET)],
        208 => vec![group("consumerGroup", GET), topic(GET)],
        343 | 352 => vec![group("group", GET)],
        207 => vec![group("groupName", &["Delete"])],
        222 => vec![group("group", &["Update"]), topic(&["Update"])],
        204 => vec![Demand::cluster(GET)],
        3001 | 3006 => vec![Demand::cluster(&["Update"])],
        request::HEART_BEAT => subscriptions(command),
        request::LOCK_BATCH_MQ | request::UNLOCK_BATCH_MQ => {
            let locking = Locking::of(command).ok().flatten().unwrap_or_default();
            let (_, group, queues) = locking.parts().unwrap_or_default();
            let queues = queues.iter().map(|queue| Demand::topic(&queue.topic, SUB));
            std::iter::once(Demand::group(&group, SUB)).chain(queues).collect()
        }
        _ => Vec::new(),
    }
}

/// The groups of a heartbeat, and their topics.
fn subscriptions(command: &Command) -> Vec<Demand> {
    let mut demands = Vec::new();
    for consumer in members(&body(command), "consumerDataSet") {
        demands.push(Demand::group(text(consumer, "groupName"), SUB));
        demands.extend(members(consumer, "subscriptionDataSet").map(|data| Demand::topic(text(data, "topic"), SUB)));
    }
    demands
}

fn body(command: &Command) -> Value {
    bodies::value(command).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn members<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}
