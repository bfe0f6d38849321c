//! What a test does to its broker, and reads of it.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::admin::put_topic;
use super::cluster::{Broker, State, is_name};
use super::groups::GroupConfig;
use super::offsets::Place;
use super::record::{Record, encode_properties, property, set_property};
use super::requests_seen::code_name;
use super::retry::put_in_time;
use super::send::Draft;
use super::store::TopicConfig;
use super::{Effect, FaultMatch, TestBroker, locks, relay};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::code::request;
use crate::protocol::properties::{self, name};
use crate::protocol::{MessageQueue, java_string_hash};

/// Owner of locks that were stolen.
const THIEF: &str = "127.0.0.1@thief#0";

/// What may be done with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Perm {
    /// Read and write.
    #[default]
    ReadWrite,
    /// Read only.
    Read,
    /// Write only.
    Write,
}

impl Perm {
    fn bits(self) -> i32 {
        match self {
            Self::ReadWrite => 6,
            Self::Read => 4,
            Self::Write => 2,
        }
    }
}

/// A message to store without a producer.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    /// Its topic.
    pub(crate) topic: String,
    /// Chooses the queue, as Java does.
    pub(crate) sharding_key: String,
    /// The payload.
    pub(crate) body: Bytes,
    /// Properties, RocketMQ's own among them.
    pub(crate) properties: Vec<(String, String)>,
}

/// Where a publication was stored.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Published {
    msg_id: String,
    offset_msg_id: String,
    queue: MessageQueue,
    queue_offset: i64,
}

/// A stored message, body aside.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageView {
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
    fn of(broker: &str, record: &Record) -> Self {
        use base64::Engine;
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
            body: base64::engine::general_purpose::STANDARD.encode(&record.body),
            properties,
        }
    }
}

/// How far a group has come in one queue.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OffsetView {
    /// The queue.
    pub(crate) queue: MessageQueue,
    /// -1 for nothing.
    pub(crate) committed_offset: i64,
    /// Offset behind the last message stored.
    pub(crate) max_offset: i64,
    /// Messages between the two.
    pub(crate) lag: i64,
}

/// A lock that is held.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LockView {
    queue: MessageQueue,
    client_id: String,
    /// Wall clock, ms.
    expires_at: i64,
}

/// A request that came.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestView {
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

/// Where a group is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// This offset in every queue.
    Offset(i64),
    /// The first message stored at or after this time, ms.
    Time(i64),
}

fn invalid(text: impl Into<String>) -> ClientError {
    ClientError::new(Code::InvalidArgument, text)
}

fn no_topic(topic: &str) -> ClientError {
    let text = format!("there is no topic {topic}; createTopic() makes one");
    ClientError::new(Code::TopicNotFound, text).with_topic(topic)
}

impl TestBroker {
    /// Makes a topic, or changes it; its queues are spread over the brokers, the first of them get what is left over.
    pub(crate) fn create_topic(&self, topic: &str, queues: i32, perm: Perm) -> Result<(), ClientError> {
        self.open()?;
        if !is_name(topic, 127) {
            return Err(invalid("topic: must be 1 to 127 letters, digits, %, |, _ or -"));
        }
        if !(1..=65_536).contains(&queues) {
            return Err(invalid(format!("queues: must be from 1 to 65536, not {queues}")));
        }
        let mut state = self.shared.lock();
        let count = i32::try_from(state.brokers.len()).unwrap_or(1);
        for (place, index) in (0..count).zip(0..state.brokers.len()) {
            let share = queues / count + i32::from(place < queues % count);
            if share > 0 {
                put_topic(&mut state, index, topic, TopicConfig { perm: perm.bits(), ..TopicConfig::of(share) });
            } else {
                state.broker(index).topics.remove(topic);
            }
        }
        drop(state);
        self.shared.change();
        Ok(())
    }

    /// Makes a group.
    pub(crate) fn create_group(&self, group: &str) -> Result<(), ClientError> {
        self.open()?;
        if !is_name(group, 120) {
            return Err(invalid("group: must be 1 to 120 letters, digits, %, |, _ or -"));
        }
        let release = self.shared.release;
        for broker in &mut self.shared.lock().brokers {
            broker.groups.entry(group.to_owned()).or_insert_with(|| GroupConfig::of(group, release));
        }
        Ok(())
    }

    /// Stores a message as a producer would.
    pub(crate) fn publish(&self, publication: Publication) -> Result<Published, ClientError> {
        self.open()?;
        let Publication { topic, sharding_key, body, properties: mut pairs } = publication;
        let mut state = self.shared.lock();
        let mut queues: Vec<(usize, MessageQueue)> = Vec::new();
        for (index, broker) in state.brokers.iter().enumerate().filter(|(_, broker)| broker.running) {
            let config = broker.topics.get(&topic).map(|topic| &topic.config).filter(|config| config.perm & 2 != 0);
            let count = config.map_or(0, |config| config.write_queues);
            queues.extend((0..count).map(|id| (index, MessageQueue::new(topic.as_str(), broker.name.as_str(), id))));
        }
        queues.sort_by(|(_, left), (_, right)| left.cmp(right));
        let count = i64::try_from(queues.len()).unwrap_or(i64::MAX);
        if count == 0 {
            return Err(no_topic(&topic));
        }
        let at = (i64::from(java_string_hash(&sharding_key)) % count).unsigned_abs();
        let (index, queue) = queues.swap_remove(usize::try_from(at).unwrap_or(0));
        let msg_id = match property(&pairs, name::UNIQ_KEY) {
            Some(id) => id.to_owned(),
            None => state.unique_id(),
        };
        set_property(&mut pairs, name::UNIQ_KEY, msg_id.as_str());
        set_property(&mut pairs, name::SHARDING_KEY, sharding_key);
        set_property(&mut pairs, name::CLUSTER, super::cluster::CLUSTER);
        let draft = Draft {
            topic,
            queue_id: queue.queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp: env::wall_ms(),
            born_host: ([127, 0, 0, 1], 0).into(),
            reconsume_times: 0,
            body,
            properties: encode_properties(&pairs, self.shared.release.is_v5()),
        };
        let stored = put_in_time(&self.shared, &mut state, index, draft);
        Ok(Published { msg_id, offset_msg_id: stored.offset_id, queue, queue_offset: stored.queue_offset })
    }

    /// Everything stored in a topic, by broker, queue and offset.
    pub(crate) fn messages(&self, topic: &str) -> Result<Vec<MessageView>, ClientError> {
        self.open()?;
        let state = self.shared.lock();
        if !state.brokers.iter().any(|broker| broker.topics.contains_key(topic)) {
            // A group's dead letters begin with the first one.
            return if topic.starts_with('%') { Ok(Vec::new()) } else { Err(no_topic(topic)) };
        }
        let of = |broker: &Broker| -> Vec<MessageView> {
            let queues = broker.topics.get(topic).into_iter().flat_map(|topic| topic.queues.iter());
            queues.flat_map(|queue| queue.iter().map(|(_, record)| MessageView::of(&broker.name, record))).collect()
        };
        Ok(state.brokers.iter().flat_map(of).collect())
    }

    /// How far a group has come, in every queue of the topics that it wants or has committed.
    pub(crate) fn offsets(&self, group: &str) -> Result<Vec<OffsetView>, ClientError> {
        self.open()?;
        Ok(offsets_of(&self.shared.lock(), group))
    }

    /// Waits until a group has committed everything that is stored for it. A group that nobody has heard of is waited for.
    pub(crate) async fn caught_up(&self, group: &str, timeout: Duration) -> Result<(), ClientError> {
        self.open()?;
        let mut changes = self.shared.changes();
        let caught_up = async {
            loop {
                changes.borrow_and_update();
                self.open()?;
                let offsets = offsets_of(&self.shared.lock(), group);
                if !offsets.is_empty() && offsets.iter().all(|queue| queue.lag <= 0) {
                    return Ok(());
                }
                if changes.changed().await.is_err() {
                    return Err(super::closed());
                }
            }
        };
        tokio::time::timeout(timeout, caught_up).await.unwrap_or_else(|_| {
            let behind: Vec<_> =
                offsets_of(&self.shared.lock(), group).into_iter().filter(|queue| queue.lag > 0).collect();
            let what = if behind.is_empty() {
                "no consumer of this group has come".to_owned()
            } else {
                let lag = |queue: &OffsetView| format!("{} lacks {}", queue.queue, queue.lag);
                behind.iter().take(5).map(lag).collect::<Vec<_>>().join(", ")
            };
            let text = format!("{group} has not caught up within {} ms: {what}", timeout.as_millis());
            Err(ClientError::new(Code::Timeout, text))
        })
    }

    /// Moves a group, as the console does: a 5.5 broker tells the next pull, a 4.9 one the members that are there.
    pub(crate) fn reset_offset(&self, group: &str, topic: &str, to: Position) -> Result<(), ClientError> {
        self.open()?;
        let mut state = self.shared.lock();
        if !state.brokers.iter().any(|broker| broker.topics.contains_key(topic)) {
            return Err(no_topic(topic));
        }
        for index in 0..state.brokers.len() {
            let broker = state.broker(index);
            let Some(known) = broker.topics.get(topic) else { continue };
            let target = |place: &MessageQueue| {
                known.queue(place.queue_id).map_or(0, |queue| match to {
                    Position::Offset(offset) => offset.clamp(queue.min, queue.end()),
                    Position::Time(time) => queue.at_or_after(time),
                })
            };
            let table: Vec<_> =
                broker.read_queues(topic).into_iter().map(|place| (place.clone(), target(&place))).collect();
            let period = broker.period(self.shared.time_factor);
            let by_server = broker.release.is_v5() && broker.is_set("useServerSideResetOffset");
            let members = broker.registrations.consumers.contains_key(group);
            if !by_server && members {
                let timestamp = if let Position::Time(time) = to { time } else { 0 };
                let _ = relay::push_reset(&mut state, index, (topic, group), timestamp, &table, false);
                continue;
            }
            for (place, offset) in table {
                let place = Place::new(group, topic, place.queue_id);
                if by_server {
                    broker.offsets.reset(place, offset, period);
                } else {
                    broker.offsets.commit(place, offset, period);
                }
            }
        }
        drop(state);
        self.shared.change();
        Ok(())
    }

    /// Client ids of a group's members at all brokers, each once, sorted.
    pub(crate) fn members(&self, group: &str) -> Result<Vec<String>, ClientError> {
        self.open()?;
        let state = self.shared.lock();
        let groups = state.brokers.iter().filter_map(|broker| broker.registrations.consumers.get(group));
        let mut ids: Vec<_> = groups.flat_map(|group| group.client_ids()).map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// The locks that a group's members hold.
    pub(crate) fn locks(&self, group: &str) -> Result<Vec<LockView>, ClientError> {
        self.open()?;
        let (now, wall) = (env::now(), env::wall_ms());
        let state = self.shared.lock();
        let held = state.brokers.iter().flat_map(|broker| broker.locks.of(group, now));
        let view = |(queue, lock): (&MessageQueue, &locks::Lock)| LockView {
            queue: queue.clone(),
            client_id: lock.client_id.clone(),
            expires_at: wall + i64::try_from(lock.until.saturating_duration_since(now).as_millis()).unwrap_or(0),
        };
        Ok(held.map(view).collect())
    }

    /// Gives the group's locks, or one queue's, to a client that does not exist.
    pub(crate) fn steal_locks(&self, group: &str, queue: Option<&MessageQueue>) -> Result<(), ClientError> {
        self.open()?;
        let life = self.shared.scaled(locks::LIFE);
        for broker in &mut self.shared.lock().brokers {
            if queue.is_none_or(|queue| queue.broker_name == broker.name) {
                broker.locks.steal(group, queue, THIEF, env::now(), life);
            }
        }
        self.shared.change();
        Ok(())
    }

    /// Forgets all locks, as a restart does.
    pub(crate) fn forget_locks(&self) -> Result<(), ClientError> {
        self.open()?;
        self.shared.lock().brokers.iter_mut().for_each(|broker| broker.locks.forget());
        self.shared.change();
        Ok(())
    }

    /// Deletes what lies before an offset, as retention does.
    pub(crate) fn truncate(&self, queue: &MessageQueue, offset: i64) -> Result<(), ClientError> {
        self.open()?;
        let mut state = self.shared.lock();
        let broker = state.brokers.iter_mut().find(|broker| broker.name == queue.broker_name);
        let known = broker.and_then(|broker| broker.topics.get_mut(&queue.topic)?.queue_mut(queue.queue_id));
        known.ok_or_else(|| invalid(format!("queue: there is no {queue}")))?.truncate_before(offset);
        Ok(())
    }

    /// The requests that came, oldest first.
    pub(crate) fn requests(&self) -> Result<Vec<RequestView>, ClientError> {
        self.open()?;
        let state = self.shared.lock();
        let view = |seen: &super::requests_seen::Seen| {
            let first = seen.asked.queues.first();
            RequestView {
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
        };
        Ok(state.seen.iter().map(view).collect())
    }

    /// The most sends of one sharding key that were here and not answered at one time.
    pub(crate) fn max_in_flight_per_key(&self) -> Result<usize, ClientError> {
        self.open()?;
        Ok(self.shared.lock().seen.most_in_flight())
    }

    /// What clients did that ruins a real broker; `close` does not fail because of what was read here.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().violations)
    }

    /// Makes a rule; its number.
    pub(crate) fn fault(&self, request: FaultMatch, effect: Effect) -> Result<u32, ClientError> {
        self.open()?;
        Ok(self.shared.lock().faults.add(request, effect))
    }

    /// How often a rule has hit, also after it was taken back.
    pub(crate) fn fault_hits(&self, id: u32) -> u64 {
        self.shared.lock().faults.hits(id)
    }

    /// Takes a rule back.
    pub(crate) fn remove_fault(&self, id: u32) {
        self.shared.lock().faults.remove(id);
    }

    /// Takes all rules back.
    pub(crate) fn clear_faults(&self) -> Result<(), ClientError> {
        self.open()?;
        self.shared.lock().faults.clear();
        Ok(())
    }

    /// Waits for messages stored behind these places of the brokers' logs; the messages and the new places. For whoever prints
    /// what is stored.
    pub(crate) async fn stored_since(&self, mut places: Vec<i64>) -> Result<(Vec<MessageView>, Vec<i64>), ClientError> {
        let mut changes = self.shared.changes();
        loop {
            changes.borrow_and_update();
            self.open()?;
            let stored = stored_behind(&self.shared.lock(), &mut places);
            if !stored.is_empty() {
                return Ok((stored, places));
            }
            changes.changed().await.map_err(|_| super::closed())?;
        }
    }
}

/// Messages behind these places of the brokers' logs; moves the places behind them.
fn stored_behind(state: &State, places: &mut Vec<i64>) -> Vec<MessageView> {
    let mut stored = Vec::new();
    places.resize(state.brokers.len(), 0);
    for (broker, place) in state.brokers.iter().zip(places) {
        let records = broker.log.range(*place..).filter_map(|(offset, _)| broker.message_at(*offset));
        stored.extend(records.map(|record| MessageView::of(&broker.name, record)));
        *place = broker.log_end;
    }
    stored
}

fn offsets_of(state: &State, group: &str) -> Vec<OffsetView> {
    let mut views = Vec::new();
    for broker in &state.brokers {
        let wanted =
            broker.registrations.consumers.get(group).into_iter().flat_map(|group| group.wanted.keys().cloned());
        let committed = broker.offsets.of(group).map(|(topic, _, _)| topic.to_owned());
        let mut topics: Vec<String> = wanted.chain(committed).collect();
        topics.sort();
        topics.dedup();
        for queue in topics.iter().flat_map(|topic| broker.read_queues(topic)) {
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

impl Broker {
    /// What a crash and a restart leave: no locks, offsets as last written out, the log up to its first unreadable record.
    pub(super) fn lose_memory(&mut self, time_factor: f64) {
        self.locks.forget();
        let period = self.period(time_factor);
        self.offsets.crash(period);
        if let Some(cut) = self.log_cut.take() {
            self.log.retain(|offset, _| *offset < cut);
            self.topics.values_mut().flat_map(|topic| topic.queues.iter_mut()).for_each(|queue| queue.cut_log_at(cut));
            self.log_end = cut;
        }
    }
}

/// Codes behind the names that rules give requests.
pub(crate) fn codes_of(name: &str) -> Option<&'static [i32]> {
    Some(match name {
        "send" => &[10, request::SEND_MESSAGE_V2, request::SEND_BATCH_MESSAGE],
        "pull" => &[request::PULL_MESSAGE, super::pull::LITE_PULL],
        "lock" => &[request::LOCK_BATCH_MQ],
        "unlock" => &[request::UNLOCK_BATCH_MQ],
        "commit" => &[request::UPDATE_CONSUMER_OFFSET],
        "heartbeat" => &[request::HEART_BEAT],
        "route" => &[request::GET_ROUTEINFO_BY_TOPIC],
        _ => return None,
    })
}
