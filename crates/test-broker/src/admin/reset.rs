//! 222: an administrator moves a group.

use super::changes::by_queue;
use crate::groups::offsets::Place;
use crate::protocol::code::response;
use crate::protocol::{Command, MessageQueue};
use crate::requests::reply::{Reply, flag, number, optional, text};
use crate::state::cluster::{Shared, State};

/// Moves a group to a time. 4.9 pushes the new offsets to the members, 5.5 stores them itself.
pub(crate) fn reset_offset(
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
        crate::requests::relay::push_reset(state, index, (&topic, &group), timestamp, &table, as_list)?;
    }
    let offsets = by_queue(table.into_iter().map(|(place, offset)| (place, offset.into())));
    Ok(Reply::success().with_body(format!("{{\"offsetTable\":{offsets}}}")))
}
