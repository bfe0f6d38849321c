//! Messages into queues, and when they can be seen there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::queues::Queue;
use super::record::{Record, tag_code};
use crate::env;
use crate::protocol::{OffsetId, properties};
use crate::state::cluster::{Shared, State};

/// Bits of a sysFlag that say a host is IPv6: from a sender they ruin the log.
pub(crate) const RUINOUS: i32 = 0x30;
/// How many acknowledged messages cannot be pulled at once, and for how long at most, in ms.
const LATE: (f64, u64) = (0.25, 4);

/// A message on its way into a queue.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) topic: String,
    pub(crate) queue_id: i32,
    pub(crate) flag: i32,
    pub(crate) sys_flag: i32,
    pub(crate) born_timestamp: i64,
    pub(crate) born_host: SocketAddr,
    pub(crate) reconsume_times: i32,
    pub(crate) body: Bytes,
    /// Encoded, as they will be stored.
    pub(crate) properties: String,
}

/// Where a message was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) queue_offset: i64,
    pub(crate) offset_id: String,
}

/// Appends a message to its queue. Nobody sees it before [`show`].
pub(crate) fn put(state: &mut State, index: usize, draft: Draft) -> Stored {
    let broker = state.broker(index);
    let physical_offset = broker.log_end;
    let store_host = broker.address;
    let ruined = draft.sys_flag & RUINOUS != 0;
    let Some(queue) = broker.topics.get_mut(&draft.topic).and_then(|topic| topic.queue_mut(draft.queue_id)) else {
        // A queue that vanished between a delayed send and its time.
        return Stored { queue_offset: -1, offset_id: String::new() };
    };
    let record = Record {
        queue_offset: queue.next_offset(),
        physical_offset,
        tag_code: tag_code(&properties::decode(&draft.properties)),
        topic: draft.topic,
        queue_id: draft.queue_id,
        flag: draft.flag,
        sys_flag: draft.sys_flag,
        born_timestamp: draft.born_timestamp,
        born_host: draft.born_host,
        store_timestamp: env::wall_ms(),
        store_host,
        reconsume_times: draft.reconsume_times,
        body: draft.body,
        properties: draft.properties,
    };
    let offset_id = OffsetId { address: store_host, offset: physical_offset }.to_string();
    let stored = Stored { queue_offset: record.queue_offset, offset_id };
    broker.log_end += i64::try_from(record.len()).unwrap_or(0);
    if ruined {
        queue.lose();
        broker.log_cut.get_or_insert(physical_offset);
        return stored;
    }
    broker.log.insert(physical_offset, (record.topic.clone(), record.queue_id, queue.end()));
    queue.push(record);
    stored
}

/// Lets a queue's new messages be seen: mostly at once, sometimes some ms after the acknowledgement, as on a real broker.
pub(crate) fn show(shared: &Arc<Shared>, state: &mut State, index: usize, topic: &str, queue_id: i32) {
    shared.change();
    let broker = state.broker(index);
    let Some(end) = broker.topics.get(topic).and_then(|topic| topic.queue(queue_id)).map(Queue::end) else {
        return;
    };
    if !state.happens(LATE.0) {
        state.broker(index).reveal(topic, queue_id, end);
        return;
    }
    let delay = Duration::from_millis(1 + state.draw_bits() % LATE.1);
    let (shared, topic) = (Arc::clone(shared), topic.to_owned());
    env::spawn(async move {
        tokio::time::sleep(delay).await;
        shared.lock().broker(index).reveal(&topic, queue_id, end);
    });
}
