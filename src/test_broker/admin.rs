//! What administrators ask of a broker: topics, groups, settings, stored messages, statistics.

use bytes::BytesMut;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::acl::Right;
use super::cluster::{Shared, State, is_name};
use super::groups::{GroupConfig, Members};
use super::name_server::{properties_text, read_properties};
use super::offsets::Place;
use super::record::property;
use super::release::Release;
use super::reply::{Reply, flag, number, optional, text};
use super::store::{Topic, TopicConfig};
use crate::env;
use crate::protocol::code::response;
use crate::protocol::properties::{self, name};
use crate::protocol::{Command, MessageQueue, json as tolerant};

/// The group has no member.
const CONSUMER_NOT_ONLINE: i32 = 206;
/// Values of the topic attribute `message.type`.
const MESSAGE_TYPES: [&str; 6] = ["NORMAL", "FIFO", "DELAY", "TRANSACTION", "LITE", "PRIORITY"];
/// Most queues of a topic.
const MAX_QUEUES: i32 = 65_536;

/// A map keyed by queue objects, as fastjson writes it.
pub(super) fn by_queue(entries: impl Iterator<Item = (MessageQueue, Value)>) -> String {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let entries: Vec<_> =
        entries.map(|(queue, value)| format!("{}:{value}", text(&tolerant::to_bytes(&queue)))).collect();
    format!("{{{}}}", entries.join(","))
}

fn json_body(command: &Command) -> Result<Value, Reply> {
    tolerant::parse(&command.body).map_err(|error| Reply::error(format!("com.alibaba.fastjson: {error}")))
}

fn data_version() -> Value {
    json!({ "counter": 0, "stateVersion": 0, "timestamp": env::wall_ms() })
}

/// 17: makes a topic, or changes it.
pub(super) fn create_topic(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let topic = text(command, "topic")?.to_owned();
    let release = state.release;
    if !is_name(&topic, 127) {
        return Err(Reply::refuse(release.illegal_argument(), format!("The specified topic is illegal: {topic}")));
    }
    if topic == super::cluster::CLUSTER || topic == super::cluster::TEMPLATE_TOPIC {
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
pub(super) fn put_topic(state: &mut State, index: usize, topic: &str, config: TopicConfig) {
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
pub(super) fn topics(state: &State, index: usize) -> Reply {
    let topics = state.brokers[index].topics.iter();
    let table: BTreeMap<_, _> =
        topics.map(|(name, topic)| (name, topic_json(name, &topic.config, state.release))).collect();
    let count = table.len();
    let body = json!({ "dataVersion": data_version(), "topicConfigTable": table });
    let reply = Reply::success().with_body(tolerant::to_bytes(&body));
    if state.release.is_v5() { reply.with("totalTopicNum", count) } else { reply }
}

/// 18: several topics at once, of 5.x.
pub(super) fn create_topics(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
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
pub(super) fn topic(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let name = text(command, "topic")?;
    let topic = state.brokers[index].topics.get(name);
    let topic = topic
        .ok_or_else(|| Reply::refuse(response::TOPIC_NOT_EXIST, format!("No topic in this broker. topic: {name}")))?;
    Ok(Reply::success().with_body(tolerant::to_bytes(&topic_json(name, &topic.config, state.release))))
}

/// 215: deletes a topic with its messages and offsets; the name server has a request of its own.
pub(super) fn delete_topic(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let topic = text(command, "topic")?;
    let broker = state.broker(index);
    broker.topics.remove(topic);
    broker.offsets.remove_topic(topic);
    broker.log.retain(|_, (known, _, _)| known != topic);
    Ok(Reply::success())
}

/// 200: makes a group, or changes it.
pub(super) fn create_group(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
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
pub(super) fn groups(state: &State, index: usize) -> Reply {
    let table: BTreeMap<_, _> = state.brokers[index].groups.iter().map(|(name, config)| (name, &config.0)).collect();
    let body = json!({ "dataVersion": data_version(), "subscriptionGroupTable": table });
    let reply = Reply::success().with_body(tolerant::to_bytes(&body));
    if state.release.is_v5() { reply.with("totalGroupNum", state.brokers[index].groups.len()) } else { reply }
}

/// 352: one group, of 5.x.
pub(super) fn group(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let name = text(command, "group")?;
    let known = state.broker(index).groups.get(name);
    let known = known.ok_or_else(|| {
        Reply::refuse(response::SUBSCRIPTION_GROUP_NOT_EXIST, format!("No group in this broker. group: {name}"))
    })?;
    Ok(Reply::success().with_body(tolerant::to_bytes(&known.0)))
}

/// 207: deletes a group; its offsets stay unless told.
pub(super) fn delete_group(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let name = text(command, "groupName")?;
    let broker = state.broker(index);
    broker.groups.remove(name);
    if flag(command, "cleanOffset") || flag(command, "removeOffset") {
        broker.offsets.remove_group(name);
    }
    Ok(Reply::success())
}

/// 25: changes settings while the broker runs.
pub(super) fn update_config(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let body = std::str::from_utf8(&command.body).map_err(|_| Reply::error("string2Properties error"))?;
    state.broker(index).config.extend(read_properties(body));
    Ok(Reply::success())
}

/// 26: all settings.
pub(super) fn config(state: &State, index: usize) -> Reply {
    let body = properties_text(&state.brokers[index].config);
    Reply::success().with("version", data_version()).with_body(body)
}

/// 28: how the broker is.
pub(super) fn runtime_info(state: &State, index: usize) -> Reply {
    let broker = &state.brokers[index];
    let table = json!({
        "brokerVersion": state.release.version().to_string(),
        "brokerVersionDesc": format!("V{}", state.release.name().replace('.', "_")),
        "commitLogMaxOffset": broker.log_end.to_string(),
        "commitLogMinOffset": "0",
        "msgPutTotalTodayNow": broker.log.len().to_string(),
        "brokerActive": "true",
        "putTps": "0.0 0.0 0.0",
        "getTransferedTps": "0.0 0.0 0.0",
        "getFoundTps": "0.0 0.0 0.0",
        "runtime": "[ 0 days, 0 hours, 0 minutes, 0 seconds ]",
        "sendThreadPoolQueueSize": "0",
        "sendThreadPoolQueueHeadWaitTimeMills": "0",
        "pullThreadPoolQueueSize": "0",
        "pullThreadPoolQueueHeadWaitTimeMills": "0",
    });
    Reply::success().with_body(tolerant::to_bytes(&json!({ "table": table })))
}

/// 33: the message at a place of the commit log.
pub(super) fn view(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let offset: i64 = number(command, "offset")?;
    let message = state.brokers[index].message_at(offset);
    let message = message.ok_or_else(|| Reply::error(format!("can not find message by the offset, {offset}")))?;
    let mut body = BytesMut::with_capacity(message.len());
    message.encode(&mut body);
    Ok(Reply::success().with_body(body.freeze()))
}

/// 12: messages by key, or by unique id.
pub(super) fn query(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let (topic, key) = (text(command, "topic")?, text(command, "key")?);
    let most = number::<usize>(command, "maxNum")?.min(64);
    let times = number::<i64>(command, "beginTimestamp")?..=number::<i64>(command, "endTimestamp")?;
    let unique = flag(command, "_UNIQUE_KEY_QUERY");
    let broker = &state.brokers[index];
    let has_key = |encoded: &str| {
        let pairs = properties::decode(encoded);
        property(&pairs, name::UNIQ_KEY) == Some(key)
            || (!unique && property(&pairs, name::KEYS).is_some_and(|keys| keys.split(' ').any(|one| one == key)))
    };
    let mut body = BytesMut::new();
    let queues = broker.topics.get(topic).into_iter().flat_map(|topic| topic.queues.iter());
    let found = queues.flat_map(|queue| queue.iter().map(|(_, record)| record));
    let found = found.filter(|record| times.contains(&record.store_timestamp) && has_key(&record.properties));
    found.take(most).for_each(|record| record.encode(&mut body));
    let reply = if body.is_empty() {
        Reply::refuse(response::QUERY_NOT_FOUND, "can not find message, maybe time range not correct")
    } else {
        Reply::success().with_body(body.freeze())
    };
    Ok(reply.with("indexLastUpdateTimestamp", env::wall_ms()).with("indexLastUpdatePhyoffset", broker.log_end))
}

fn connections(members: &Members) -> Vec<Value> {
    let one = |member: &super::groups::Member| {
        json!({
            "clientAddr": member.address.to_string(), "clientId": member.client_id, "language": member.language,
            "version": member.version,
        })
    };
    members.values().map(one).collect()
}

/// 203: a group's members and what they want.
pub(super) fn consumer_connections(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let group = text(command, "consumerGroup")?;
    let known = state.brokers[index].registrations.consumers.get(group);
    let known =
        known.ok_or_else(|| Reply::refuse(CONSUMER_NOT_ONLINE, format!("the consumer group[{group}] not online")))?;
    let wanted: BTreeMap<_, _> = known.wanted.iter().map(|(topic, wanted)| (topic, &wanted.data)).collect();
    Ok(Reply::success().with_body(tolerant::to_bytes(&json!({
        "connectionSet": connections(&known.members), "consumeFromWhere": known.consume_from, "consumeType": known.consume_type,
        "messageModel": known.message_model, "subscriptionTable": wanted,
    }))))
}

/// 204: a producer group's members.
pub(super) fn producer_connections(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let group = text(command, "producerGroup")?;
    let members = state.brokers[index].registrations.producers.get(group);
    let members = members.ok_or_else(|| Reply::error(format!("the producer group[{group}] not exist")))?;
    Ok(Reply::success().with_body(tolerant::to_bytes(&json!({ "connectionSet": connections(members) }))))
}

/// 202: how full a topic's queues are.
pub(super) fn topic_stats(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let name = text(command, "topic")?;
    let broker = &state.brokers[index];
    let topic = broker.topics.get(name);
    let topic = topic.ok_or_else(|| Reply::refuse(response::TOPIC_NOT_EXIST, format!("topic[{name}] not exist")))?;
    let table = by_queue(broker.read_queues(name).into_iter().map(|place| {
        let queue = topic.queue(place.queue_id);
        let last = queue.and_then(|queue| queue.at(queue.end() - 1)).map_or(0, |record| record.store_timestamp);
        let (min, max) = queue.map_or((0, 0), |queue| (queue.min, queue.visible));
        (place, json!({ "lastUpdateTimestamp": last, "maxOffset": max, "minOffset": min }))
    }));
    let rate = if state.release.is_v5() { ",\"topicPutTps\":0.0" } else { "" };
    Ok(Reply::success().with_body(format!("{{\"offsetTable\":{table}{rate}}}")))
}

/// 208: how far a group has come.
pub(super) fn consume_stats(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let group = text(command, "consumerGroup")?;
    let broker = &state.brokers[index];
    let topics = if let Some(topic) = command.fields.get("topic").filter(|topic| !topic.is_empty()) {
        vec![topic.to_owned()]
    } else {
        let known = broker.registrations.consumers.get(group);
        let wanted = known.into_iter().flat_map(|group| group.wanted.keys().cloned());
        let mut topics: Vec<_> = wanted.chain(broker.offsets.of(group).map(|(topic, _, _)| topic.to_owned())).collect();
        topics.sort();
        topics.dedup();
        topics
    };
    // 4.9 leaves topics out that the members do not subscribe.
    let members = broker.registrations.consumers.get(group);
    let shown = |topic: &String| state.release.is_v5() || members.is_none_or(|known| known.wanted.contains_key(topic));
    let queues = topics.iter().filter(|topic| shown(topic)).flat_map(|topic| broker.read_queues(topic));
    let table = by_queue(queues.map(|place| {
        let queue = broker.topics.get(&place.topic).and_then(|topic| topic.queue(place.queue_id));
        let committed = broker.offsets.committed(&Place::new(group, &place.topic, place.queue_id)).unwrap_or(0);
        let last = queue.and_then(|queue| queue.at(committed - 1)).map_or(0, |record| record.store_timestamp);
        let mut entry = json!({
            "brokerOffset": queue.map_or(0, |queue| queue.visible), "consumerOffset": committed, "lastTimestamp": last,
        });
        if state.release.is_v5() {
            let pulled = broker.offsets.pull_offset(&Place::new(group, &place.topic, place.queue_id));
            entry["pullOffset"] = pulled.unwrap_or(0).into();
        }
        (place, entry)
    }));
    Ok(Reply::success().with_body(format!("{{\"consumeTps\":0.0,\"offsetTable\":{table}}}")))
}

/// 300: the groups that consume a topic: who subscribes it, or has committed something of it.
pub(super) fn groups_of_topic(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let topic = text(command, "topic")?;
    let broker = &state.brokers[index];
    let subscribed = broker.registrations.consumers.iter().filter(|(_, group)| group.wanted.contains_key(topic));
    let mut groups: Vec<_> =
        subscribed.map(|(group, _)| group.as_str()).chain(broker.offsets.groups_of(topic)).collect();
    groups.sort_unstable();
    groups.dedup();
    Ok(Reply::success().with_body(tolerant::to_bytes(&json!({ "groupList": groups }))))
}

/// 343: the topics of which a group has committed something.
pub(super) fn topics_of_group(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let group = text(command, "group")?;
    let mut topics: Vec<_> = state.brokers[index].offsets.of(group).map(|(topic, _, _)| topic).collect();
    topics.dedup();
    Ok(Reply::success().with_body(tolerant::to_bytes(&json!({ "topicList": topics }))))
}

/// 222: moves a group to a time. 4.9 pushes the new offsets to the members, 5.5 stores them itself.
pub(super) fn reset_offset(
    shared: &Shared,
    state: &mut State,
    index: usize,
    command: &Command,
) -> Result<Reply, Reply> {
    let (topic, group) = (text(command, "topic")?.to_owned(), text(command, "group")?.to_owned());
    let timestamp: i64 = number(command, "timestamp")?;
    let one_queue: Option<i32> = optional(command, "queueId").filter(|id| *id >= 0);
    let to: Option<i64> = optional(command, "offset").filter(|offset| *offset >= 0);
    let broker = state.broker(index);
    let by_server = broker.release.is_v5() && broker.is_set("useServerSideResetOffset");
    if broker.release.is_v5() && !broker.groups.contains_key(&group) {
        let remark = format!("Group[{group}] not exist");
        return Err(Reply::refuse(response::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
    }
    let Some(known) = broker.topics.get(&topic) else {
        let code = if broker.release.is_v5() { response::TOPIC_NOT_EXIST } else { response::SYSTEM_ERROR };
        return Err(Reply::refuse(
            code,
            format!("[reset-offset] reset offset failed, no topic in this broker. topic={topic}"),
        ));
    };
    let mut table: Vec<(MessageQueue, i64)> = Vec::new();
    for place in broker.read_queues(&topic) {
        let Some(queue) = known.queue(place.queue_id).filter(|_| one_queue.is_none_or(|id| id == place.queue_id))
        else {
            continue;
        };
        let offset = to.unwrap_or_else(|| if timestamp < 0 { queue.end() } else { queue.at_or_after(timestamp) });
        let committed = broker.offsets.committed(&Place::new(&group, &topic, place.queue_id));
        if committed.is_none() && !by_server {
            return Err(Reply::error(format!("THe consumer group <{group}> not exist")));
        }
        let forced = flag(command, "isForce") || committed.is_none_or(|committed| offset < committed);
        table.push((place, if forced || by_server { offset } else { committed.unwrap_or(offset) }));
    }
    if by_server {
        let period = broker.period(shared.time_factor);
        for (place, offset) in &table {
            broker.offsets.reset(Place::new(&group, &topic, place.queue_id), *offset, period);
        }
        shared.change();
    } else {
        let as_list = command.language == crate::protocol::Language::Cpp;
        super::relay::push_reset(state, index, (&topic, &group), timestamp, &table, as_list)?;
    }
    let offsets = by_queue(table.into_iter().map(|(place, offset)| (place, offset.into())));
    Ok(Reply::success().with_body(format!("{{\"offsetTable\":{offsets}}}")))
}

/// 50: makes an account of 4.9, or changes it; its rights come with it.
pub(super) fn update_acl(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let (name, secret) = (text(command, "accessKey")?, text(command, "secretKey")?);
    if name.len() <= 6 || secret.len() <= 6 {
        return Err(Reply::error("The accessKey or secretKey's length should be bigger than 6"));
    }
    state.accounts.create(name, secret);
    let action = |action: &str| match action {
        "PUB" => Some("Pub".to_owned()),
        "SUB" => Some("Sub".to_owned()),
        _ => None,
    };
    let mut rights = Vec::new();
    for (kind, default, own) in
        [("Topic", "defaultTopicPerm", "topicPerms"), ("Group", "defaultGroupPerm", "groupPerms")]
    {
        let field = |name: &str| command.fields.get(name).unwrap_or_default();
        let own = field(own).split(',').filter_map(|entry| entry.split_once('='));
        for (resource, perm) in own.chain([("*", field(default))]) {
            let actions = perm.split('|').map(str::trim).filter_map(action).collect();
            rights.push(Right { resource: format!("{kind}:{resource}"), actions });
        }
    }
    state.accounts.grant(name, rights);
    if flag(command, "admin") {
        state.accounts.promote(name);
    }
    Ok(Reply::success())
}

/// 3001: makes an account of 5.x.
pub(super) fn create_user(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let body = json_body(command)?;
    let string = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = command.fields.get("username").unwrap_or_else(|| string("username"));
    if name.is_empty() || string("password").is_empty() {
        return Err(Reply::refuse(response::INVALID_PARAMETER, "The username and password are required"));
    }
    state.accounts.create(name, string("password"));
    Ok(Reply::success())
}

/// 3006: gives an account of 5.x its rights.
pub(super) fn create_acl(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let body = json_body(command)?;
    let subject = command.fields.get("subject").unwrap_or_default().trim_start_matches("User:");
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let entries = list(&body, "policies").iter().flat_map(|policy| list(policy, "entries")).collect::<Vec<_>>();
    let rights = entries
        .iter()
        .filter(|entry| entry.get("decision").and_then(Value::as_str) == Some("Allow"))
        .map(|entry| Right {
            resource: entry.get("resource").and_then(Value::as_str).unwrap_or_default().to_owned(),
            actions: list(entry, "actions").iter().filter_map(|action| action.as_str().map(str::to_owned)).collect(),
        })
        .collect();
    if state.accounts.grant(subject, rights) {
        Ok(Reply::success())
    } else {
        Err(Reply::error(format!("The subject of User:{subject} is not exist.")))
    }
}
