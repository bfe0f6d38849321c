//! 14, 15, 29, 30, 31 and 32: offsets, committed and of the queues themselves.

use super::reply::{Reply, number, text};
use crate::groups::offsets::Place;
use crate::protocol::Command;
use crate::protocol::code::response;
use crate::state::cluster::{Shared, State};
use crate::store::queues::Queue;

fn queue<'a>(state: &'a State, index: usize, command: &Command) -> Result<Option<&'a Queue>, Reply> {
    let topic = text(command, "topic")?;
    let queue_id: i32 = number(command, "queueId")?;
    Ok(state.brokers[index].topics.get(topic).and_then(|topic| topic.queue(queue_id)))
}

fn offset(offset: i64) -> Reply {
    Reply::success().with("offset", offset)
}

/// 14: the committed offset. A group that never committed is told 0 for a young queue.
pub(crate) fn query(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let place = Place::new(text(command, "consumerGroup")?, text(command, "topic")?, number(command, "queueId")?);
    if let Some(committed) = state.brokers[index].offsets.committed(&place) {
        return Ok(offset(committed));
    }
    let queue = queue(state, index, command)?;
    let young = if state.release.is_v5() {
        let has_data = queue.is_some_and(|queue| queue.min == 0 && queue.visible > 0);
        has_data && command.fields.get("setZeroIfNotFound") != Some("false")
    } else {
        queue.is_none_or(|queue| queue.min == 0)
    };
    if young {
        return Ok(offset(0));
    }
    Err(Reply::refuse(response::QUERY_NOT_FOUND, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"))
}

/// 15: commits, whatever the value.
pub(crate) fn commit(shared: &Shared, state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let place = Place::new(text(command, "consumerGroup")?, text(command, "topic")?, number(command, "queueId")?);
    let release = state.release;
    let broker = state.broker(index);
    if release.is_v5() {
        if !broker.groups.contains_key(&place.group) {
            let remark = format!("subscription group not exist, {}", place.group);
            return Err(Reply::refuse(response::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        if !broker.topics.contains_key(&place.topic) {
            return Err(Reply::refuse(response::TOPIC_NOT_EXIST, format!("topic not exist, {}", place.topic)));
        }
        if command.fields.get("commitOffset").is_none() {
            return Err(Reply::refuse(response::INVALID_PARAMETER, "Offset should not be null"));
        }
        if broker.offsets.is_reset(&place) {
            return Ok(Reply { remark: Some("Offset has been previously reset".into()), ..Reply::success() });
        }
    }
    let value = number(command, "commitOffset")?;
    let period = broker.period(shared.time_factor);
    broker.offsets.commit(place, value, period);
    shared.change();
    Ok(Reply::success())
}

/// 29: the offset of a time.
pub(crate) fn search(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let timestamp: i64 = number(command, "timestamp")?;
    let upper = command.fields.get("boundaryType").is_some_and(|kind| kind.eq_ignore_ascii_case("UPPER"));
    let found = queue(state, index, command)?.map_or(0, |queue| {
        let lower = queue.at_or_after(timestamp);
        let last = (queue.end() - 1).max(queue.min);
        if lower < queue.end() {
            let exact = queue.at(lower).is_some_and(|record| record.store_timestamp == timestamp);
            if upper && state.release.is_v5() && !exact { (lower - 1).max(queue.min) } else { lower }
        } else if state.release.is_v5() && !upper {
            queue.end()
        } else {
            last
        }
    });
    Ok(offset(found))
}

/// 30: the offset behind the last message that can be seen.
pub(crate) fn max(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    Ok(offset(queue(state, index, command)?.map_or(0, |queue| queue.visible)))
}

/// 31: the offset of the first message.
pub(crate) fn min(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    Ok(offset(queue(state, index, command)?.map_or(0, |queue| queue.min)))
}

/// 32: when the first message was stored; -1 without one.
pub(crate) fn earliest(state: &State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let first = queue(state, index, command)?.and_then(|queue| queue.at(queue.min));
    Ok(Reply::success().with("timestamp", first.map_or(-1, |record| record.store_timestamp)))
}
