//! What administrators look at: stored messages, members, how full queues are and how far groups have come.

use std::collections::BTreeMap;

use bytes::BytesMut;
use serde_json::{Value, json};

use super::changes::by_queue;
use crate::env;
use crate::groups::offsets::Place;
use crate::groups::registrations::Members;
use crate::protocol::code::response;
use crate::protocol::properties::{self, name};
use crate::protocol::{Command, json as tolerant};
use crate::requests::reply::{Reply, flag, number, text};
use crate::state::cluster::State;
use crate::store::queues::Topic;
use crate::store::record::property;

/// The group has no member.
const CONSUMER_NOT_ONLINE: i32 = 206;

/// 28: how the broker is.
pub(crate) fn runtime_info(state: &State, index: usize) -> Reply {
    let broker = &state.brokers[index];
    let table = json!({
        "brokerVersion": state.release.version().to_string(),
        "brokerVersionDesc": format!("V{}", state.release.name().replace('.', "_")),
        "commitLogMaxOffset": broker.log_end.to_string(),
        "commitLogMinOffset": "0",
        "dispatchBehindBytes": broker.unseen_bytes().to_string(),
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
pub(crate) fn view(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let offset: i64 = number(command, "offset")?;
    let message = state.brokers[index].message_at(offset);
    let message = message.ok_or_else(|| Reply::error(format!("can not find message by the offset, {offset}")))?;
    let mut body = BytesMut::with_capacity(message.len());
    message.encode(&mut body);
    Ok(Reply::success().with_body(body.freeze()))
}

/// 12: messages by key, or by unique id.
pub(crate) fn query(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
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
    let queues = broker.topics.get(topic).into_iter().flat_map(Topic::used);
    let found = queues.flat_map(|(_, queue)| queue.iter().map(|(_, record)| record));
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
    let one = |member: &crate::groups::registrations::Member| {
        json!({
            "clientAddr": member.address.to_string(), "clientId": member.client_id, "language": member.language,
            "version": member.version,
        })
    };
    members.values().map(one).collect()
}

/// 203: a group's members and what they want.
pub(crate) fn consumer_connections(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
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
pub(crate) fn producer_connections(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let group = text(command, "producerGroup")?;
    let members = state.brokers[index].registrations.producers.get(group);
    let members = members.ok_or_else(|| Reply::error(format!("the producer group[{group}] not exist")))?;
    Ok(Reply::success().with_body(tolerant::to_bytes(&json!({ "connectionSet": connections(members) }))))
}

/// 202: how full a topic's queues are.
pub(crate) fn topic_stats(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
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
pub(crate) fn consume_stats(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
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
pub(crate) fn groups_of_topic(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let topic = text(command, "topic")?;
    let broker = &state.brokers[index];
    let subscribed = broker.registrations.consumers.iter().filter(|(_, group)| group.wanted.contains_key(topic));
    let mut groups: Vec<_> =
        subscribed.map(|(group, _)| group.as_str()).chain(broker.offsets.groups_of(topic)).collect();
    groups.sort_unstable();
    groups.dedup();
    Ok(Reply::success().with_body(tolerant::to_bytes(&json!({ "groupList": groups }))))
}

/// 343, of 5.x: the topics of which a group has committed something.
pub(crate) fn topics_of_group(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let group = text(command, "group")?;
    let mut topics: Vec<_> = state.brokers[index].offsets.of(group).map(|(topic, _, _)| topic).collect();
    topics.dedup();
    let address = state.brokers[index].address.to_string();
    Ok(Reply::success().with_body(tolerant::to_bytes(&json!({ "brokerAddr": address, "topicList": topics }))))
}
