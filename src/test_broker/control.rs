//! What a test does to its broker, and reads of it.

use std::time::Duration;

use bytes::Bytes;

use super::admin::put_topic;
use super::cluster::{Broker, is_name};
use super::groups::GroupConfig;
use super::offsets::Place;
use super::record::{encode_properties, property, set_property};
use super::retry::put_in_time;
use super::send::Draft;
use super::store::TopicConfig;
use super::views::{LockView, MessageView, OffsetView, Published, RequestView, offsets_of, stored_behind};
use super::{Effect, FaultMatch, TestBroker, locks, relay};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::code::request;
use crate::protocol::properties::name;
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
        Ok(state.seen.iter().map(RequestView::of).collect())
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
