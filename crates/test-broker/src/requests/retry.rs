//! Retry topics, dead letters, delays, and 36: a consumer that hands a message back.

use std::sync::Arc;
use std::time::Duration;

use super::reply::{Reply, number, optional, text};
use crate::env::{self, Instant};
use crate::protocol::code::response;
use crate::protocol::properties::{self, name};
use crate::protocol::{Command, namespace};
use crate::state::broker::Broker;
use crate::state::cluster::{Shared, State};
use crate::state::names::DEAD_LETTERS;
use crate::store::append::{Draft, Stored, put, show};
use crate::store::record::{encode_properties, property, set_property};

/// Where delayed messages wait.
pub(crate) const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Delays of the 18 levels, in seconds; scaled.
const LEVELS: [u64; 18] = [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
/// First version whose `maxReconsumeTimes` is honoured: 3.4.9.
const HONOURED: i32 = 121;
/// Original topic and queue of a message that waits.
const REAL_TOPIC: &str = "REAL_TOPIC";
const REAL_QUEUE: &str = "REAL_QID";

/// Whether a send to a group's retry topic becomes a dead letter. `attempts`: header j and l, and the client's version.
pub(crate) fn is_dead(
    broker: &mut Broker,
    group: &str,
    attempts: (i32, Option<i32>, i32),
    now: Instant,
) -> Result<bool, Reply> {
    let (reconsumed, max, version) = attempts;
    let Some(config) = broker.group(group) else {
        let remark = format!("subscription group not exist, {group}");
        return Err(Reply::refuse(response::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
    };
    let max = max.filter(|_| version >= HONOURED).unwrap_or_else(|| config.retry_max_times());
    Ok(if broker.release.is_v5() { reconsumed > max || broker.locks.any_held(group, now) } else { reconsumed >= max })
}

/// Stores a message now, or after the delay that its properties ask for; it waits in a topic of the broker's own.
pub(crate) fn put_in_time(shared: &Arc<Shared>, state: &mut State, index: usize, draft: Draft) -> Stored {
    let mut pairs = properties::decode(&draft.properties);
    let level = property(&pairs, name::DELAY).and_then(|level| level.parse::<usize>().ok()).unwrap_or(0);
    let Some(seconds) = level.checked_sub(1).map(|at| LEVELS[at.min(LEVELS.len() - 1)]) else {
        let (topic, queue_id) = (draft.topic.clone(), draft.queue_id);
        let stored = put(state, index, draft);
        show(shared, state, index, &topic, queue_id);
        return stored;
    };
    set_property(&mut pairs, REAL_TOPIC, draft.topic.as_str());
    set_property(&mut pairs, REAL_QUEUE, draft.queue_id.to_string());
    state.broker(index).ensure_topic(SCHEDULE_TOPIC, 18);
    let last_separator = state.release.is_v5();
    let waiting = Draft {
        topic: SCHEDULE_TOPIC.into(),
        queue_id: i32::try_from(level.min(LEVELS.len()) - 1).unwrap_or(0),
        properties: encode_properties(&pairs, last_separator),
        ..draft.clone()
    };
    let (waiting_topic, waiting_queue) = (waiting.topic.clone(), waiting.queue_id);
    let stored = put(state, index, waiting);
    show(shared, state, index, &waiting_topic, waiting_queue);
    let due = Draft { properties: encode_properties(&pairs, last_separator), ..draft };
    let (shared, delay) = (Arc::clone(shared), shared.scaled(Duration::from_secs(seconds)));
    env::spawn(async move {
        let mut closing = shared.closing();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = closing.wait_for(|closed| *closed) => return,
        }
        let mut state = shared.lock();
        let (topic, queue_id) = (due.topic.clone(), due.queue_id);
        put(&mut state, index, due);
        show(&shared, &mut state, index, &topic, queue_id);
    });
    stored
}

/// 36: the broker copies a message of its own log to the group's retry topic, or to its dead letters.
pub(crate) fn send_back(
    shared: &Arc<Shared>,
    state: &mut State,
    index: usize,
    command: &Command,
) -> Result<Reply, Reply> {
    let group = text(command, "group")?.to_owned();
    let offset: i64 = number(command, "offset")?;
    let level: i32 = number(command, "delayLevel")?;
    let asked_max: Option<i32> = optional(command, "maxReconsumeTimes");
    let broker = state.broker(index);
    let Some(config) = broker.group(&group) else {
        let remark = format!("subscription group not exist, {group}");
        return Err(Reply::refuse(response::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
    };
    let max = asked_max.filter(|_| command.version >= HONOURED).unwrap_or_else(|| config.retry_max_times());
    let Some(message) = broker.message_at(offset).cloned() else {
        return Err(Reply::error(format!("look message by offset failed, {offset}")));
    };
    let mut pairs = properties::decode(&message.properties);
    if property(&pairs, name::RETRY_TOPIC).is_none() {
        set_property(&mut pairs, name::RETRY_TOPIC, message.topic.as_str());
    }
    if property(&pairs, name::ORIGIN_MESSAGE_ID).is_none() {
        set_property(&mut pairs, name::ORIGIN_MESSAGE_ID, message.offset_id());
    }
    set_property(&mut pairs, name::WAIT, "false");
    let topic = if message.reconsume_times >= max || level < 0 {
        let topic = format!("{DEAD_LETTERS}{group}");
        broker.ensure_topic(&topic, 1);
        set_property(&mut pairs, name::DELAY, "0");
        topic
    } else {
        broker.ensure_retry_topic(&group);
        let level = if level == 0 { message.reconsume_times.saturating_add(3) } else { level };
        set_property(&mut pairs, name::DELAY, level.to_string());
        namespace::retry_topic(&group)
    };
    state.name_server.register(&topic);
    let draft = Draft {
        topic,
        queue_id: 0,
        flag: message.flag,
        sys_flag: message.sys_flag,
        born_timestamp: message.born_timestamp,
        born_host: message.born_host,
        reconsume_times: message.reconsume_times.saturating_add(1),
        body: message.body,
        properties: encode_properties(&pairs, state.release.is_v5()),
    };
    put_in_time(shared, state, index, draft);
    Ok(Reply::success())
}
