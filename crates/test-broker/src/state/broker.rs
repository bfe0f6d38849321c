//! One broker: a master, id 0, with all that it keeps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex as FairMutex, oneshot};

use super::held::HeldPulls;
use super::names::{CLUSTER, TEMPLATE_TOPIC, is_name};
use crate::env::{self, Instant};
use crate::groups::locks::Locks;
use crate::groups::offsets::Offsets;
use crate::groups::registrations::{GroupConfig, Registrations};
use crate::protocol::code::request;
use crate::protocol::{Codec, Command, Fields, Language, MessageQueue, frame, namespace};
use crate::release::Release;
use crate::store::queues::{Topic, TopicConfig};
use crate::store::record::Record;
use crate::wire::outbox::Outbox;

/// Queues of the template.
const TEMPLATE_QUEUES: i32 = 8;
/// How often offsets are written out; scaled.
const WRITE_OUT: Duration = Duration::from_secs(5);

/// A connection as the state knows it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) address: SocketAddr,
    pub(crate) out: Outbox,
    /// Of the last heartbeat.
    pub(crate) client_id: Option<String>,
    pub(crate) last_heartbeat: Option<Instant>,
    /// Open, and never to be heard of again.
    pub(crate) silent: Arc<AtomicBool>,
    /// Requests of the broker that wait for this client's answer, by opaque.
    pub(crate) asked: BTreeMap<i32, oneshot::Sender<Command>>,
}

/// One broker: a master, id 0.
pub(crate) struct Broker {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) release: Release,
    pub(crate) running: bool,
    /// Stopping in peace: newer clients are sent away.
    pub(crate) leaving: bool,
    /// Registered at the name server until then; `None` while it runs.
    pub(crate) route_until: Option<Instant>,
    /// When it registers with a name server that was started after it; none: it has.
    pub(crate) registers_at: Option<Instant>,
    /// When the first offsets were written out.
    epoch: Instant,
    /// When held pulls were looked at first.
    pub(crate) started: Instant,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) groups: BTreeMap<String, GroupConfig>,
    pub(crate) registrations: Registrations,
    pub(crate) locks: Locks,
    pub(crate) offsets: Offsets,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) held: HeldPulls,
    /// End of the commit log.
    pub(crate) log_end: i64,
    /// Where each message of the log is: topic, queue, offset.
    pub(crate) log: BTreeMap<i64, (String, i32, i64)>,
    /// From here on the log is unreadable: a restart cuts it.
    pub(crate) log_cut: Option<i64>,
    /// Held while the store stands still; first come, first served.
    pub(crate) store: Arc<FairMutex<()>>,
    next_opaque: i32,
}

impl Broker {
    pub(crate) fn new(name: String, address: SocketAddr, release: Release, config: BTreeMap<String, String>) -> Self {
        let mut broker = Self {
            name,
            address,
            release,
            running: true,
            leaving: false,
            route_until: None,
            registers_at: None,
            epoch: env::now(),
            started: env::now(),
            config,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            registrations: Registrations::default(),
            locks: Locks::default(),
            offsets: Offsets::default(),
            connections: BTreeMap::new(),
            held: HeldPulls::default(),
            log_end: 0,
            log: BTreeMap::new(),
            log_cut: None,
            store: Arc::new(FairMutex::new(())),
            next_opaque: 0,
        };
        broker
            .topics
            .insert(TEMPLATE_TOPIC.into(), Topic::new(TopicConfig { perm: 7, ..TopicConfig::of(TEMPLATE_QUEUES) }));
        for system in [broker.name.clone(), CLUSTER.to_owned(), "SELF_TEST_TOPIC".to_owned()] {
            broker.topics.insert(system, Topic::new(TopicConfig::of(1)));
        }
        broker
    }

    /// Whether a setting is true.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.config.get(name).is_some_and(|value| value == "true")
    }

    /// A setting that is a number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.config.get(name)?.trim().parse().ok()
    }

    /// Whether the topic can be found by clients here.
    pub(crate) fn shows(&self, topic: &str) -> bool {
        self.topics.contains_key(topic) && (topic != TEMPLATE_TOPIC || self.is_set("autoCreateTopicEnable"))
    }

    /// The period of offsets that has not been written out yet.
    pub(crate) fn period(&self, factor: f64) -> u64 {
        let period = WRITE_OUT.mul_f64(factor).max(Duration::from_millis(1));
        let since = env::now().saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos() / period.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The settings of a group, which comes into being where that is allowed.
    pub(crate) fn group(&mut self, name: &str) -> Option<&GroupConfig> {
        if !self.groups.contains_key(name) {
            let legal = !self.release.is_v5() || is_name(name, 120);
            if !legal || !self.is_set("autoCreateSubscriptionGroup") {
                return None;
            }
            self.groups.insert(name.to_owned(), GroupConfig::of(name, self.release));
        }
        self.groups.get(name)
    }

    /// The group's retry topic, made when it is not there.
    pub(crate) fn ensure_retry_topic(&mut self, group: &str) {
        let queues = self.groups.get(group).map_or(1, GroupConfig::retry_queues);
        self.ensure_topic(&namespace::retry_topic(group), queues);
    }

    /// A topic, made when it is not there.
    pub(crate) fn ensure_topic(&mut self, topic: &str, queues: i32) {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), Topic::new(TopicConfig::of(queues)));
        }
    }

    /// The message at a place of the commit log.
    pub(crate) fn message_at(&self, physical_offset: i64) -> Option<&Record> {
        let (topic, queue_id, offset) = self.log.get(&physical_offset)?;
        self.topics.get(topic)?.queue(*queue_id)?.at(*offset)
    }

    /// How much of what is stored no pull sees yet.
    pub(crate) fn unseen_bytes(&self) -> usize {
        self.topics.values().flat_map(Topic::used).flat_map(|(_, queue)| queue.unseen()).map(Record::len).sum()
    }

    /// Makes messages visible up to an offset, and wakes the pulls that wait for one of them.
    pub(crate) fn reveal(&mut self, topic: &str, queue_id: i32, to: i64) {
        let Some(queue) = self.topics.get_mut(topic).and_then(|topic| topic.queue_mut(queue_id)) else { return };
        let to = to.min(queue.end());
        if to <= queue.visible {
            return;
        }
        let from = std::mem::replace(&mut queue.visible, to);
        for held in self.held.of(topic, queue_id) {
            let wanted = (from.max(held.offset)..to).filter_map(|offset| queue.at(offset));
            if wanted.into_iter().any(|record| held.filter.wants(record)) {
                held.wake.notify_one();
            }
        }
    }

    /// A request of the broker's own to a client; nothing when the client does not read.
    pub(crate) fn push(&self, connection: u64, command: &Command) {
        let Some(connection) = self.connections.get(&connection) else { return };
        if connection.silent.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(bytes) = frame::encode(command, Codec::Json) {
            connection.out.push(bytes);
        }
    }

    /// A request of the broker's own that is not answered.
    pub(crate) fn notice(&mut self, code: i32, fields: Fields, body: Bytes) -> Command {
        self.own_request(code, fields, body).oneway()
    }

    /// A request of the broker's own.
    pub(crate) fn own_request(&mut self, code: i32, fields: Fields, body: Bytes) -> Command {
        self.next_opaque = self.next_opaque.wrapping_add(1);
        let mut command = Command::request(code, fields, body);
        command.opaque = self.next_opaque;
        command.language = Language::Java;
        command.version = self.release.version();
        command
    }

    /// Tells all members of a group that they have changed.
    pub(crate) fn notify_members(&mut self, group: &str) {
        let Some(known) = self.registrations.consumers.get(group) else { return };
        if !self.groups.get(group).is_none_or(GroupConfig::notifies) {
            return;
        }
        // Broadcasting members share nothing out; 4.9 tells them all the same.
        if self.release.is_v5() && known.message_model == "BROADCASTING" {
            return;
        }
        let connections: Vec<_> = known.members.keys().copied().collect();
        for connection in connections {
            let fields = [("consumerGroup", group)].into_iter().collect();
            let notice = self.notice(request::NOTIFY_CONSUMER_IDS_CHANGED, fields, Bytes::new());
            self.push(connection, &notice);
        }
    }

    /// A connection has ended: its registrations go, its locks stay.
    pub(crate) fn forget_connection(&mut self, connection: u64) {
        self.connections.remove(&connection);
        for group in self.registrations.forget(connection) {
            self.notify_members(&group);
        }
    }

    /// The queues of a topic that can be read here.
    pub(crate) fn read_queues(&self, topic: &str) -> Vec<MessageQueue> {
        let count = self.topics.get(topic).map_or(0, |topic| topic.config.read_queues);
        (0..count).map(|id| MessageQueue::new(topic, self.name.as_str(), id)).collect()
    }

    /// The queues of a topic that can be read here, and those that cannot and have messages.
    pub(crate) fn kept_queues(&self, topic: &str) -> Vec<MessageQueue> {
        let mut kept = self.read_queues(topic);
        let count = i32::try_from(kept.len()).unwrap_or(i32::MAX);
        let all = self.topics.get(topic).into_iter().flat_map(Topic::used);
        let behind = all.filter(|(id, queue)| *id >= count && queue.end() > queue.min);
        kept.extend(behind.map(|(id, _)| MessageQueue::new(topic, self.name.as_str(), id)));
        kept
    }

    /// What a crash and a restart leave: no locks, offsets as last written out, the log up to its first unreadable record.
    pub(crate) fn lose_memory(&mut self, time_factor: f64) {
        self.locks.forget();
        let period = self.period(time_factor);
        self.offsets.crash(period);
        if let Some(cut) = self.log_cut.take() {
            self.log.retain(|offset, _| *offset < cut);
            self.topics.values_mut().flat_map(Topic::used_mut).for_each(|queue| queue.cut_log_at(cut));
            self.log_end = cut;
        }
    }
}
