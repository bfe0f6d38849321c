//! 10, 310 and 320: what is stored, where, and what is refused.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::reply::{Reply, flag, number, optional};
use super::retry::{self, SCHEDULE_TOPIC};
use crate::env;
use crate::protocol::Command;
use crate::protocol::code::{request, response};
use crate::protocol::properties::{self, name};
use crate::release::Release;
use crate::state::cluster::{Shared, State};
use crate::state::names::{CLUSTER, DEAD_LETTERS, REGION, RETRY, TEMPLATE_TOPIC, is_name};
use crate::store::append::{Draft, RUINOUS, put, show};
use crate::store::queues::{Topic, TopicConfig};
use crate::store::record::{batch_entries, encode_properties, property, set_property, take_property};

/// Topics of the broker itself.
const FORBIDDEN: [&str; 6] = [
    SCHEDULE_TOPIC,
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];
/// Largest body, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// So many are told.
const MAX_VIOLATIONS: usize = 1_000;
/// Longest stored properties, in bytes.
const MAX_PROPERTIES: usize = 32_767;

/// What a send's header says.
struct Header {
    topic: String,
    template: String,
    template_queues: i32,
    queue_id: i32,
    sys_flag: i32,
    born_timestamp: i64,
    flag: i32,
    properties: String,
    reconsume_times: i32,
    max_reconsume_times: Option<i32>,
    batch: bool,
}

impl Header {
    fn read(command: &Command) -> Result<Self, Reply> {
        // Under its long name a field is found by the long request only.
        let names: [&str; 12] = if command.code == 10 {
            [
                "topic",
                "defaultTopic",
                "defaultTopicQueueNums",
                "queueId",
                "sysFlag",
                "bornTimestamp",
                "flag",
                "properties",
                "reconsumeTimes",
                "maxReconsumeTimes",
                "batch",
                "producerGroup",
            ]
        } else {
            ["b", "c", "d", "e", "f", "g", "h", "i", "j", "l", "m", "a"]
        };
        let text = |at: usize| command.fields.get(names[at]).unwrap_or_default().to_owned();
        Ok(Self {
            topic: text(0),
            template: text(1),
            template_queues: optional(command, names[2]).unwrap_or(0),
            queue_id: number(command, names[3])?,
            sys_flag: number(command, names[4])?,
            born_timestamp: number(command, names[5])?,
            flag: number(command, names[6])?,
            properties: text(7),
            reconsume_times: optional(command, names[8]).unwrap_or(0),
            max_reconsume_times: optional(command, names[9]),
            batch: command.code == request::SEND_BATCH_MESSAGE || flag(command, names[10]),
        })
    }
}

/// Executes a send.
pub(crate) fn send(
    shared: &Arc<Shared>,
    state: &mut State,
    index: usize,
    from: SocketAddr,
    command: &Command,
) -> Reply {
    let reply = try_send(shared, state, index, from, command).unwrap_or_else(|refusal| refusal);
    if reply.thrown { reply } else { reply.with("MSG_REGION", REGION).with("TRACE_ON", "true") }
}

fn try_send(
    shared: &Arc<Shared>,
    state: &mut State,
    index: usize,
    from: SocketAddr,
    command: &Command,
) -> Result<Reply, Reply> {
    let mut header = Header::read(command)?;
    if state.release.is_v5() && command.fields.get(if command.code == 10 { "topic" } else { "b" }).is_none() {
        return Err(Reply::thrown("java.lang.NullPointerException"));
    }
    check_topic(state, index, &header)?;
    let broker = state.broker(index);
    let release = broker.release;
    let writable = broker.number("brokerPermission").is_none_or(|perm| perm & 2 != 0);
    let config = ensure_topic(state, index, &header)?;
    if !writable && config.order && release.is_v5() {
        return Err(Reply::refuse(response::NO_PERMISSION, "the broker sending message is forbidden"));
    }
    let queues = config.read_queues.max(config.write_queues);
    if header.queue_id >= queues {
        let remark = format!("request queueId[{}] is illegal, {config:?}", header.queue_id);
        return Err(Reply::refuse(release.illegal_argument(), remark));
    }
    if header.queue_id < 0 {
        let spread = u64::try_from(config.write_queues.max(1)).unwrap_or(1);
        header.queue_id = i32::try_from(state.draw_bits() % spread).unwrap_or(0);
    }
    if header.topic.starts_with(RETRY) && header.batch && release.is_v5() {
        return Err(Reply::refuse(response::MESSAGE_ILLEGAL, "batch request does not support retry group"));
    }
    let queue_id = header.queue_id;
    let now = env::now();
    let dead = header.topic.starts_with(RETRY)
        && retry::is_dead(
            state.broker(index),
            &header.topic[RETRY.len()..],
            (header.reconsume_times, header.max_reconsume_times, command.version),
            now,
        )?;
    if dead {
        header.topic = format!("{DEAD_LETTERS}{}", &header.topic[RETRY.len()..]);
        header.queue_id = 0;
        state.broker(index).ensure_topic(&header.topic, 1);
        state.name_server.register(&header.topic);
    }
    note_ruin(state, &header);
    if header.batch {
        return store_batch(shared, state, index, from, &header, &command.body);
    }
    let properties = single_properties(state, &header.properties, dead);
    let max = max_body(state, index);
    if command.body.is_empty() && release.is_v5() {
        return Err(Reply::thrown("java.lang.NullPointerException"));
    }
    let encoded = encode_properties(&properties, release.is_v5());
    if command.body.len() > max || encoded.len() > MAX_PROPERTIES {
        let limits = format!("msg body length limit {max}B, msg properties length limit 32767B");
        let remark = format!("the message is illegal, maybe msg body or properties length not matched. {limits}");
        return Err(Reply::refuse(response::MESSAGE_ILLEGAL, remark));
    }
    let unique_id = property(&properties, name::UNIQ_KEY).map(str::to_owned);
    let draft = Draft {
        topic: header.topic,
        queue_id: header.queue_id,
        flag: header.flag,
        sys_flag: header.sys_flag,
        born_timestamp: header.born_timestamp,
        born_host: from,
        reconsume_times: header.reconsume_times,
        body: command.body.clone(),
        properties: encoded,
    };
    let stored = retry::put_in_time(shared, state, index, draft);
    let reply = Reply::success()
        .with("queueId", queue_id)
        .with("queueOffset", stored.queue_offset)
        .with("msgId", stored.offset_id);
    Ok(match unique_id.filter(|_| release.is_v5()) {
        Some(unique_id) => reply.with("transactionId", unique_id),
        None => reply,
    })
}

/// The largest body of a request: of a message, and of a batch.
fn max_body(state: &mut State, index: usize) -> usize {
    state.broker(index).number("maxMessageSize").and_then(|max| usize::try_from(max).ok()).unwrap_or(MAX_BODY)
}

fn check_topic(state: &State, index: usize, header: &Header) -> Result<(), Reply> {
    let release = state.brokers[index].release;
    if !is_name(&header.topic, 127) {
        let remark =
            format!("The specified topic is illegal, allowing only ^[%|a-zA-Z0-9_-]+$, at most 127: {}", header.topic);
        return Err(Reply::refuse(release.illegal_argument(), remark));
    }
    if FORBIDDEN.contains(&header.topic.as_str()) {
        let remark = format!("Sending message to topic[{}] is forbidden.", header.topic);
        return Err(Reply::refuse(response::NO_PERMISSION, remark));
    }
    Ok(())
}

/// The topic's settings; it comes into being where the template allows that, even when the send is refused later.
fn ensure_topic(state: &mut State, index: usize, header: &Header) -> Result<TopicConfig, Reply> {
    let topic = &header.topic;
    let broker = state.broker(index);
    if !broker.topics.contains_key(topic) {
        let auto = broker.is_set("autoCreateTopicEnable");
        let template = broker.topics.get(&header.template).map(|template| template.config.clone());
        let made = match template {
            Some(template) if template.perm & 1 != 0 && (auto || header.template != TEMPLATE_TOPIC) => {
                let queues = header.template_queues.min(template.write_queues).max(0);
                TopicConfig { perm: template.perm & !1, ..TopicConfig::of(queues) }
            }
            _ if topic.starts_with(RETRY) => TopicConfig::of(1),
            _ => {
                let remark = format!("topic[{topic}] not exist, apply first please!");
                return Err(Reply::refuse(response::TOPIC_NOT_EXIST, remark));
            }
        };
        broker.topics.insert(topic.clone(), Topic::new(made));
        state.name_server.register(topic);
    }
    let known = state.brokers[index].topics.get(topic);
    known.map(|known| known.config.clone()).ok_or_else(|| Reply::error("no topic"))
}

fn note_ruin(state: &mut State, header: &Header) {
    if header.sys_flag & RUINOUS != 0 && state.violations.len() < MAX_VIOLATIONS {
        state.violations.push(format!(
            "a send to {} had sysFlag {:#x}: a real broker acknowledges it, loses it, and cuts its log there at the next restart",
            header.topic, header.sys_flag
        ));
    }
}

/// The properties of a single message as its broker keeps them.
fn single_properties(state: &mut State, encoded: &str, dead: bool) -> Vec<(String, String)> {
    let mut pairs = properties::decode(encoded);
    set_property(&mut pairs, name::CLUSTER, CLUSTER);
    if state.release.is_v5() {
        if property(&pairs, name::UNIQ_KEY).is_none() {
            let id = state.unique_id();
            set_property(&mut pairs, name::UNIQ_KEY, id);
        }
        set_property(&mut pairs, name::MSG_REGION, REGION);
        set_property(&mut pairs, name::TRACE_ON, "true");
        if dead {
            set_property(&mut pairs, name::DELAY, "-1");
        }
    } else {
        take_property(&mut pairs, name::WAIT);
    }
    pairs
}

fn store_batch(
    shared: &Arc<Shared>,
    state: &mut State,
    index: usize,
    from: SocketAddr,
    header: &Header,
    body: &Bytes,
) -> Result<Reply, Reply> {
    let release = state.release;
    if body.len() > max_body(state, index) {
        let remark = "message body size exceeded";
        return Err(match release {
            Release::V4 => Reply::refuse(response::MESSAGE_ILLEGAL, remark),
            Release::V5 => Reply::thrown(format!("java.lang.RuntimeException: {remark}")),
        });
    }
    let mut common = properties::decode(&header.properties);
    if property(&common, name::DELAY).is_some() {
        return Err(Reply::refuse(response::MESSAGE_ILLEGAL, "batch message does not support delay"));
    }
    let unique_id = property(&common, name::UNIQ_KEY).map(str::to_owned);
    set_property(&mut common, name::CLUSTER, CLUSTER);
    let common = encode_properties(&common, false);
    let entries = batch_entries(body).ok_or_else(|| Reply::thrown("java.nio.BufferUnderflowException"))?;
    let stored_properties = |own: &str| match release.is_v5() {
        true => own.to_owned(),
        false if own.is_empty() => common.clone(),
        false => format!("{}\u{2}{common}", own.trim_end_matches('\u{2}')),
    };
    if entries.iter().any(|entry| stored_properties(&entry.properties).len() > MAX_PROPERTIES) {
        return Err(Reply::refuse(response::MESSAGE_ILLEGAL, "message properties length too long."));
    }
    let mut stored = Vec::with_capacity(entries.len());
    for entry in entries {
        let draft = Draft {
            topic: header.topic.clone(),
            queue_id: header.queue_id,
            flag: entry.flag,
            sys_flag: header.sys_flag,
            born_timestamp: header.born_timestamp,
            born_host: from,
            reconsume_times: header.reconsume_times,
            properties: stored_properties(&entry.properties),
            body: entry.body,
        };
        stored.push(put(state, index, draft));
    }
    show(shared, state, index, &header.topic, header.queue_id);
    let ids: Vec<_> = stored.iter().map(|stored| stored.offset_id.as_str()).collect();
    let reply = Reply::success()
        .with("queueId", header.queue_id)
        .with("queueOffset", stored.first().map_or(0, |first| first.queue_offset))
        .with("msgId", ids.join(","));
    Ok(match unique_id.filter(|_| release.is_v5()) {
        Some(unique_id) => reply.with("transactionId", unique_id),
        None => reply,
    })
}
