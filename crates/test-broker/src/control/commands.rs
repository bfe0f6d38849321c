//! What a test does to its broker.

use bytes::Bytes;

use super::views::Published;
use crate::Effect;
use crate::FaultMatch;
use crate::TestBroker;
use crate::admin::changes::put_topic;
use crate::env;
use crate::error::{Code, Refused};
use crate::groups::locks;
use crate::groups::offsets::Place;
use crate::groups::registrations::GroupConfig;
use crate::protocol::properties::name;
use crate::protocol::{MessageQueue, java_string_hash};
use crate::requests::relay;
use crate::requests::retry::put_in_time;
use crate::state::names::is_name;
use crate::store::append::Draft;
use crate::store::queues::TopicConfig;
use crate::store::record::{encode_properties, property, set_property};

/// Owner of locks that were stolen.
const THIEF: &str = "127.0.0.1@thief#0";

/// What may be done with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Perm {
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
pub struct Publication {
    /// Its topic.
    pub topic: String,
    /// Chooses the queue, as Java does.
    pub sharding_key: String,
    /// The payload.
    pub body: Bytes,
    /// Properties, RocketMQ's own among them.
    pub properties: Vec<(String, String)>,
}

/// Where a group is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// This offset in every queue.
    Offset(i64),
    /// The first message stored at or after this time, ms.
    Time(i64),
}

fn invalid(text: impl Into<String>) -> Refused {
    Refused::new(Code::InvalidArgument, text)
}

pub(crate) fn no_topic(topic: &str) -> Refused {
    let text = format!("there is no topic {topic}; createTopic() makes one");
    Refused::new(Code::TopicNotFound, text).with_topic(topic)
}

impl TestBroker {
    /// Makes a topic, or changes it; its queues are spread over the brokers, the first of them get what is left over.
    pub fn create_topic(&self, topic: &str, queues: i32, perm: Perm) -> Result<(), Refused> {
        self.resize_topic(topic, queues, queues, perm)
    }

    /// The same with numbers of their own for reading and writing: as a topic is that somebody has not grown or shrunk to the end.
    pub fn resize_topic(&self, topic: &str, read: i32, write: i32, perm: Perm) -> Result<(), Refused> {
        self.open()?;
        if !is_name(topic, 127) {
            return Err(invalid("topic: must be 1 to 127 letters, digits, %, |, _ or -"));
        }
        for queues in [read, write] {
            if !(1..=65_536).contains(&queues) {
                return Err(invalid(format!("queues: must be from 1 to 65536, not {queues}")));
            }
        }
        let mut state = self.shared.lock();
        let count = i32::try_from(state.brokers.len()).unwrap_or(1);
        for (place, index) in (0..count).zip(0..state.brokers.len()) {
            let share = |queues: i32| queues / count + i32::from(place < queues % count);
            let (read_queues, write_queues) = (share(read), share(write));
            if read_queues.max(write_queues) > 0 {
                let config = TopicConfig { read_queues, write_queues, perm: perm.bits(), ..TopicConfig::of(0) };
                put_topic(&mut state, index, topic, config);
            } else {
                state.broker(index).topics.remove(topic);
            }
        }
        drop(state);
        self.shared.change();
        Ok(())
    }

    /// Has routes show a fixed list of a topic's queues, `broker:count` for each broker; without one it is as brokers tell.
    pub fn fix_queues(&self, topic: &str, conf: Option<String>) -> Result<(), Refused> {
        self.open()?;
        self.shared.lock().name_server.set_order(topic, conf);
        self.shared.change();
        Ok(())
    }

    /// Makes a group.
    pub fn create_group(&self, group: &str) -> Result<(), Refused> {
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
    pub fn publish(&self, publication: Publication) -> Result<Published, Refused> {
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
        set_property(&mut pairs, name::CLUSTER, crate::state::names::CLUSTER);
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

    /// Moves a group, as the console does: a 5.5 broker tells the next pull, a 4.9 one the members that are there.
    pub fn reset_offset(&self, group: &str, topic: &str, to: Position) -> Result<(), Refused> {
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

    /// Gives the group's locks, or one queue's, to a client that does not exist.
    pub fn steal_locks(&self, group: &str, queue: Option<&MessageQueue>) -> Result<(), Refused> {
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
    pub fn forget_locks(&self) -> Result<(), Refused> {
        self.open()?;
        self.shared.lock().brokers.iter_mut().for_each(|broker| broker.locks.forget());
        self.shared.change();
        Ok(())
    }

    /// Deletes what lies before an offset, as retention does.
    pub fn truncate(&self, queue: &MessageQueue, offset: i64) -> Result<(), Refused> {
        self.open()?;
        let mut state = self.shared.lock();
        let broker = state.brokers.iter_mut().find(|broker| broker.name == queue.broker_name);
        let known = broker.and_then(|broker| broker.topics.get_mut(&queue.topic)?.queue_mut(queue.queue_id));
        known.ok_or_else(|| invalid(format!("queue: there is no {queue}")))?.truncate_before(offset);
        Ok(())
    }

    /// Deletes what lies at and behind an offset, as a restored disk or an unclean change of master does.
    pub fn set_back(&self, queue: &MessageQueue, offset: i64) -> Result<(), Refused> {
        self.open()?;
        let mut state = self.shared.lock();
        let broker = state.brokers.iter_mut().find(|broker| broker.name == queue.broker_name);
        let nowhere = || invalid(format!("queue: there is no {queue}"));
        let broker = broker.ok_or_else(nowhere)?;
        let known = broker.topics.get_mut(&queue.topic).and_then(|topic| topic.queue_mut(queue.queue_id));
        known.ok_or_else(nowhere)?.set_back(offset);
        broker.log.retain(|_, (topic, id, at)| *topic != queue.topic || *id != queue.queue_id || *at < offset);
        drop(state);
        self.shared.change();
        Ok(())
    }

    /// Makes a rule; its number.
    pub fn fault(&self, request: FaultMatch, effect: Effect) -> Result<u32, Refused> {
        self.open()?;
        Ok(self.shared.lock().faults.add(request, effect))
    }

    /// Takes a rule back.
    pub fn remove_fault(&self, id: u32) {
        self.shared.lock().faults.remove(id);
    }

    /// Takes all rules back.
    pub fn clear_faults(&self) -> Result<(), Refused> {
        self.open()?;
        self.shared.lock().faults.clear();
        Ok(())
    }
}
