//! What administrators change at a broker: topics, groups, settings.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::env;
use crate::groups::registrations::GroupConfig;
use crate::protocol::code::response;
use crate::protocol::{Command, MessageQueue, json as tolerant};
use crate::release::Release;
use crate::requests::bodies;
use crate::requests::name_server::{properties_text, read_properties};
use crate::requests::reply::{Reply, flag, number, optional, text};
use crate::state::cluster::State;
use crate::state::names::is_name;
use crate::store::queues::{Topic, TopicConfig};

/// Values of the topic attribute `message.type`.
const MESSAGE_TYPES: [&str; 6] = ["NORMAL", "FIFO", "DELAY", "TRANSACTION", "LITE", "PRIORITY"];
/// Most queues of a topic.
const MAX_QUEUES: i32 = 65_536;

/// A map keyed by queue objects, as fastjson writes it.
pub(crate) fn by_queue(entries: impl Iterator<Item = (MessageQueue, Value)>) -> String {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let entries: Vec<_> =
        entries.map(|(queue, value)| format!("{}:{value}", text(&tolerant::to_bytes(&queue)))).collect();
    format!("{{{}}}", entries.join(","))
}

/// A body of JSON.
pub(crate) fn json_body(command: &Command) -> Result<Value, Reply> {
    bodies::value(command).map_err(|error| Reply::thrown(format!("com.alibaba.fastjson: {error}")))
}

fn data_version() -> Value {
    json!({ "counter": 0, "stateVersion": 0, "timestamp": env::wall_ms() })
}

/// 17: makes a topic, or changes it.
pub(crate) fn create_topic(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let topic = text(command, "topic")?.to_owned();
    let release = state.release;
    if !is_name(&topic, 127) {
        return Err(Reply::refuse(release.illegal_argument(), format!("The specified topic is illegal: {topic}")));
    }
    if topic == crate::state::names::CLUSTER || topic == crate::state::names::TEMPLATE_TOPIC {
        return Err(Reply::error(format!("The topic[{topic}] is conflict with system topic.")));
    }
    let config = TopicConfig {
        read_queues: number::<i32>(command, "readQueueNums")?.clamp(0, MAX_QUEUES),
        write_queues: number::<i32>(command, "writeQueueNums")?.clamp(0, MAX_QUEUES),
        perm: number(command, "perm")?,
        order: flag(command, "order"),
        sys_flag: optional(command, "topicSysFlag").unwrap_or(0),
        attributes: BTreeMap::new(),
    };
    let known = state.brokers[index].topics.get(&topic).map(|topic| topic.config.attributes.clone());
    let attributes = match release {
        Release::V4 => BTreeMap::new(),
        Release::V5 => {
            change_attributes(known.unwrap_or_default(), command.fields.get("attributes").unwrap_or_default())?
        }
    };
    put_topic(state, index, &topic, TopicConfig { attributes, ..config });
    Ok(Reply { remark: Some("not set any response code".into()), ..Reply::success() })
}

/// Makes a topic, or changes its settings; the name server learns of it.
pub(crate) fn put_topic(state: &mut State, index: usize, topic: &str, config: TopicConfig) {
    let broker = state.broker(index);
    match broker.topics.get_mut(topic) {
        Some(known) => known.configure(config),
        None => {
            broker.topics.insert(topic.to_owned(), Topic::new(config));
        }
    }
    state.name_server.register(topic);
}

/// `+k=v,-k2`.
fn change_attributes(mut known: BTreeMap<String, String>, changes: &str) -> Result<BTreeMap<String, String>, Reply> {
    for change in changes.split(',').map(str::trim).filter(|change| !change.is_empty()) {
        if let Some(name) = change.strip_prefix('-') {
            known.remove(name);
            continue;
        }
        let pair = change.strip_prefix('+').and_then(|pair| pair.split_once('='));
        let Some((name, value)) = pair else { return Err(Reply::error(format!("wrong attribute format: {change}"))) };
        match (name, value) {
            ("message.type", "MIXED") => {
                return Err(Reply::refuse(response::INVALID_PARAMETER, "MIXED message type is not supported."));
            }
            ("message.type", value) if MESSAGE_TYPES.contains(&value) => {}
            _ => return Err(Reply::error(format!("unsupported key or value: {change}"))),
        }
        known.insert(name.to_owned(), value.to_owned());
    }
    Ok(known)
}

fn topic_json(name: &str, config: &TopicConfig, release: Release) -> Value {
    let mut topic = json!({
        "order": config.order, "perm": config.perm, "readQueueNums": config.read_queues, "topicFilterType": "SINGLE_TAG",
        "topicName": name, "topicSysFlag": config.sys_flag, "writeQueueNums": config.write_queues,
    });
    if release.is_v5() {
        topic["attributes"] = json!(config.attributes);
    }
    topic
}

/// 21: all topics.
pub(crate) fn topics(state: &State, index: usize) -> Reply {
    let topics = state.brokers[index].topics.iter();
    let table: BTreeMap<_, _> =
        topics.map(|(name, topic)| (name, topic_json(name, &topic.config, state.release))).collect();
    let count = table.len();
    let body = json!({ "dataVersion": data_version(), "topicConfigTable": table });
    let reply = Reply::success().with_body(tolerant::to_bytes(&body));
    if state.release.is_v5() { reply.with("totalTopicNum", count) } else { reply }
}

/// 18: several topics at once, of 5.x.
pub(crate) fn create_topics(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let body = json_body(command)?;
    let list = body.get("topicConfigList").and_then(Value::as_array).cloned();
    for topic in list.ok_or_else(|| Reply::thrown("java.lang.NullPointerException"))? {
        let number = |name: &str| tolerant::integer(topic.get(name)).ok().and_then(|number| i32::try_from(number).ok());
        let name = topic.get("topicName").and_then(Value::as_str).unwrap_or_default();
        if !is_name(name, 127) {
            return Err(Reply::refuse(response::INVALID_PARAMETER, format!("The specified topic is illegal: {name}")));
        }
        let config = TopicConfig {
            read_queues: number("readQueueNums").unwrap_or(8).clamp(0, MAX_QUEUES),
            write_queues: number("writeQueueNums").unwrap_or(8).clamp(0, MAX_QUEUES),
            perm: number("perm").unwrap_or(6),
            ..TopicConfig::of(0)
        };
        put_topic(state, index, name, config);
    }
    Ok(Reply::success())
}

/// 351: one topic, of 5.x.
pub(crate) fn topic(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let name = text(command, "topic")?;
    let topic = state.brokers[index].topics.get(name);
    let topic = topic
        .ok_or_else(|| Reply::refuse(response::TOPIC_NOT_EXIST, format!("No topic in this broker. topic: {name}")))?;
    Ok(Reply::success().with_body(tolerant::to_bytes(&topic_json(name, &topic.config, state.release))))
}

/// 215: deletes a topic with its messages, and with its offsets on 5.5; the name server has a request of its own.
pub(crate) fn delete_topic(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let topic = text(command, "topic")?;
    let broker = state.broker(index);
    broker.topics.remove(topic);
    if broker.release.is_v5() {
        broker.offsets.remove_topic(topic);
    }
    broker.log.retain(|_, (known, _, _)| known != topic);
    Ok(Reply::success())
}

/// 200: makes a group, or changes it.
pub(crate) fn create_group(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let body = json_body(command)?;
    let name = body.get("groupName").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !is_name(&name, 255) {
        return Err(Reply::error(format!("illegal group name: {name}")));
    }
    let mut config = GroupConfig::of(&name, state.release);
    config.0.extend(body.as_object().cloned().unwrap_or_default());
    state.broker(index).groups.insert(name, config);
    Ok(Reply::success())
}

/// 201: all groups.
pub(crate) fn groups(state: &State, index: usize) -> Reply {
    let table: BTreeMap<_, _> = state.brokers[index].groups.iter().map(|(name, config)| (name, &config.0)).collect();
    let body = json!({ "dataVersion": data_version(), "subscriptionGroupTable": table });
    let reply = Reply::success().with_body(tolerant::to_bytes(&body));
    if state.release.is_v5() { reply.with("totalGroupNum", state.brokers[index].groups.len()) } else { reply }
}

/// 352: one group, of 5.x; it comes into being where that is allowed.
pub(crate) fn group(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let name = text(command, "group")?;
    let known = state.broker(index).group(name);
    let known = known.ok_or_else(|| {
        Reply::refuse(response::SUBSCRIPTION_GROUP_NOT_EXIST, format!("No group in this broker. group: {name}"))
    })?;
    Ok(Reply::success().with_body(tolerant::to_bytes(&known.0)))
}

/// 207: deletes a group; its offsets stay unless told.
pub(crate) fn delete_group(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let name = text(command, "groupName")?;
    let broker = state.broker(index);
    broker.groups.remove(name);
    if flag(command, "cleanOffset") || flag(command, "removeOffset") {
        broker.offsets.remove_group(name);
    }
    Ok(Reply::success())
}

/// 25: changes settings while the broker runs.
pub(crate) fn update_config(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let body = std::str::from_utf8(&command.body).map_err(|_| Reply::error("string2Properties error"))?;
    state.broker(index).config.extend(read_properties(body));
    Ok(Reply::success())
}

/// 26: all settings.
pub(crate) fn config(state: &State, index: usize) -> Reply {
    let body = properties_text(&state.brokers[index].config);
    Reply::success().with("version", data_version()).with_body(body)
}
