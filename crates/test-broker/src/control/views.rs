//! What tests read: messages, offsets, locks, requests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::faults::request_names::code_name;
use crate::faults::requests_seen::Seen;
use crate::groups::offsets::Place;
use crate::protocol::MessageQueue;
use crate::protocol::properties::{self, name};
use crate::state::cluster::State;
use crate::store::record::{Record, property};

/// Where a publication was stored.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    pub(crate) msg_id: String,
    pub(crate) offset_msg_id: String,
    pub(crate) queue: MessageQueue,
    pub(crate) queue_offset: i64,
}

/// A stored message, body aside.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    topic: String,
    queue: MessageQueue,
    queue_offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sharding_key: Option<String>,
    msg_id: String,
    offset_msg_id: String,
    properties: Vec<(String, String)>,
    store_timestamp: i64,
    born_timestamp: i64,
    reconsume_times: i32,
    /// Base64.
    body: String,
}

impl MessageView {
    /// A record as tests see it.
    pub(crate) fn of(broker: &str, record: &Record) -> Self {
        let properties = properties::decode(&record.properties);
        let text = |wanted: &str| property(&properties, wanted).map(str::to_owned);
        let keys = text(name::KEYS).unwrap_or_default();
        Self {
            topic: record.topic.clone(),
            queue: MessageQueue::new(record.topic.as_str(), broker, record.queue_id),
            queue_offset: record.queue_offset,
            tags: text(name::TAGS),
            keys: keys.split(' ').filter(|key| !key.is_empty()).map(str::to_owned).collect(),
            sharding_key: text(name::SHARDING_KEY),
            msg_id: text(name::UNIQ_KEY).unwrap_or_else(|| record.offset_id()),
            offset_msg_id: record.offset_id(),
            store_timestamp: record.store_timestamp,
            born_timestamp: record.born_timestamp,
            reconsume_times: record.reconsume_times,
            body: STANDARD.encode(&record.body),
            properties,
        }
    }
}

/// How far a group has come in one queue.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OffsetView {
    /// The queue.
    pub queue: MessageQueue,
    /// -1 for nothing.
    pub committed_offset: i64,
    /// Offset behind the last message stored.
    pub max_offset: i64,
    /// Messages between the two.
    pub lag: i64,
}

/// A lock that is held.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockView {
    pub(crate) queue: MessageQueue,
    pub(crate) client_id: String,
    /// Wall clock, ms.
    pub(crate) expires_at: i64,
}

/// A request that came.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestView {
    code: i32,
    name: String,
    client: String,
    broker: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sharding_keys: Option<Vec<String>>,
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<i64>,
}

impl RequestView {
    /// A request as tests see it.
    pub(crate) fn of(seen: &Seen) -> Self {
        let first = seen.asked.queues.first();
        Self {
            code: seen.asked.code,
            name: code_name(seen.asked.code),
            client: seen.asked.client.clone(),
            broker: seen.broker.clone(),
            topic: first.map(|(topic, _)| topic.clone()),
            queue_id: first.and_then(|(_, id)| *id),
            sharding_keys: Some(seen.asked.sharding_keys.clone()).filter(|keys| !keys.is_empty()),
            at: seen.at,
            answered: seen.answered,
        }
    }
}

/// Messages behind these places of the brokers' logs; moves the places behind them.
pub(crate) fn stored_behind(state: &State, places: &mut Vec<i64>) -> Vec<MessageView> {
    let mut stored = Vec::new();
    places.resize(state.brokers.len(), 0);
    for (broker, place) in state.brokers.iter().zip(places) {
        let records = broker.log.range(*place..).filter_map(|(offset, _)| broker.message_at(*offset));
        stored.extend(records.map(|record| MessageView::of(&broker.name, record)));
        *place = broker.log_end;
    }
    stored
}

/// How far a group has come everywhere.
pub(crate) fn offsets_of(state: &State, group: &str) -> Vec<OffsetView> {
    let mut views = Vec::new();
    for broker in &state.brokers {
        let wanted =
            broker.registrations.consumers.get(group).into_iter().flat_map(|group| group.wanted.keys().cloned());
        let committed = broker.offsets.of(group).map(|(topic, _, _)| topic.to_owned());
        let mut topics: Vec<String> = wanted.chain(committed).collect();
        topics.sort();
        topics.dedup();
        for queue in topics.iter().flat_map(|topic| broker.kept_queues(topic)) {
            let place = Place::new(group, &queue.topic, queue.queue_id);
            let known = broker.topics.get(&queue.topic).and_then(|topic| topic.queue(queue.queue_id));
            let (min, max) = known.map_or((0, 0), |queue| (queue.min, queue.end()));
            let committed_offset = broker.offsets.committed(&place).unwrap_or(-1);
            let lag = max - committed_offset.max(min);
            views.push(OffsetView { queue, committed_offset, max_offset: max, lag });
        }
    }
    views
}
