//! A cluster of scripted brokers that keeps real semantics: locks with owner and expiry, commits without a check, members by
//! connection, held pulls, pushes. Everything that happens goes into one log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::line::Line;
use super::records::{Stored, plain};
use crate::consumer::gate::Outcome;
use crate::env::{self, Instant};
use crate::protocol::code::{request, response};
use crate::protocol::properties::name;
use crate::protocol::route::{BrokerData, QueueData};
use crate::protocol::{Command, MessageQueue, Push, Subscription, TopicRoute};

pub(super) const GROUP: &str = "GID_test";
pub(super) const RETRY: &str = "%RETRY%GID_test";
const LOCK_TIME: Duration = Duration::from_secs(60);

/// What happened, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    Locked { client: String, queue: MessageQueue, fresh: bool },
    Refused { client: String, queue: MessageQueue },
    UnlockSent { client: String, queue: MessageQueue },
    Unlocked { client: String, queue: MessageQueue },
    CommitSent { client: String, queue: MessageQueue, offset: i64 },
    Committed { client: String, queue: MessageQueue, offset: i64 },
    Pulled { queue: MessageQueue, offset: i64 },
    Started { client: String, queue: MessageQueue, offset: i64, attempt: u32, topic: String },
    Ended { client: String, queue: MessageQueue, offset: i64, outcome: Outcome, counted: bool },
    Aborted { client: String, queue: MessageQueue, code: &'static str },
    DeadLetter { topic: String, body: Bytes, j: i32, l: i32, f: i32, properties: Vec<(String, String)> },
    DeadLettered { client: String, queue: MessageQueue, offset: i64 },
    Event { client: String, text: String },
    Crashed { broker: String },
    Closed { client: String },
}

/// What the cluster does to the next requests of a kind.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Refused with this code and remark.
    Refuse(i32, &'static str),
    /// Not executed, and never answered.
    Swallow,
    /// Executed, but the answer is lost.
    Mute,
    /// Executed after this time.
    Delay(Duration),
    /// Not executed, and answered with this.
    Answer(Nonsense),
}

/// An answer to a pull that no broker should give.
#[derive(Clone, Debug)]
pub(super) struct Nonsense {
    pub(super) code: i32,
    pub(super) remark: &'static str,
    pub(super) next: i64,
    pub(super) min: i64,
    pub(super) max: i64,
    /// Which broker to ask.
    pub(super) suggested: i64,
    /// Topic, queue and offset.
    pub(super) records: Vec<(&'static str, i32, i64)>,
}

#[derive(Default)]
pub(super) struct Broker {
    pub(super) up: bool,
    /// Client ids of connections that sent a heartbeat.
    pub(super) members: BTreeSet<String>,
    pub(super) locks: BTreeMap<MessageQueue, (String, Instant)>,
    pub(super) offsets: BTreeMap<MessageQueue, i64>,
    pub(super) queues: BTreeMap<MessageQueue, Vec<Stored>>,
    pub(super) minimum: BTreeMap<MessageQueue, i64>,
    /// Resets of an administrator that wait for a pull (5.5.0).
    pub(super) pending_resets: BTreeMap<MessageQueue, i64>,
    faults: Vec<(i32, usize, Fault)>,
}

pub(super) struct State {
    pub(super) brokers: BTreeMap<String, Broker>,
    pub(super) lines: BTreeMap<String, Arc<Line>>,
    routes: BTreeMap<String, Arc<TopicRoute>>,
    log: Vec<(Instant, Entry)>,
    /// From the log: offsets started, in order, and offsets that succeeded and counted.
    pub(super) started: BTreeMap<MessageQueue, Vec<i64>>,
    pub(super) succeeded: BTreeMap<MessageQueue, BTreeSet<i64>>,
    /// How often members were asked for.
    pub(super) member_lists: usize,
    /// How often members were asked what they subscribe.
    pub(super) questions: usize,
    /// By members that are none of ours, or by one that has gone.
    pub(super) announced: BTreeMap<String, Subscription>,
    ids: u64,
}

pub(super) struct Cluster {
    state: Mutex<State>,
    arrivals: watch::Sender<u64>,
    pub(super) route_version: watch::Sender<u64>,
}

pub(super) fn queue(topic: &str, broker: &str, id: i32) -> MessageQueue {
    MessageQueue::new(topic, broker, id)
}

pub(super) fn address(broker: &str) -> String {
    format!("{broker}:10911")
}

impl Cluster {
    /// Brokers of these names with one topic, `orders`, of so many queues on each.
    pub(super) fn new(brokers: &[&str], queues: i32) -> Arc<Self> {
        let state = State {
            brokers: BTreeMap::new(),
            lines: BTreeMap::new(),
            routes: BTreeMap::new(),
            log: Vec::new(),
            started: BTreeMap::new(),
            succeeded: BTreeMap::new(),
            member_lists: 0,
            questions: 0,
            announced: BTreeMap::new(),
            ids: 0,
        };
        let (arrivals, route_version) = (watch::Sender::new(0), watch::Sender::new(0));
        let cluster = Arc::new(Self { state: Mutex::new(state), arrivals, route_version });
        for broker in brokers {
            cluster.state().brokers.insert((*broker).to_owned(), Broker { up: true, ..Broker::default() });
        }
        cluster.set_topic("orders", brokers, queues);
        cluster
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Creates a topic or changes its number of queues.
    pub(super) fn set_topic(&self, topic: &str, brokers: &[&str], queues: i32) {
        let mut route = TopicRoute::default();
        let mut state = self.state();
        for broker in brokers {
            let (read_queues, write_queues, perm) = (queues, queues, 6);
            route.queue_datas.push(QueueData { broker_name: (*broker).to_owned(), read_queues, write_queues, perm });
            let addresses = BTreeMap::from([(0, address(broker))]);
            route.broker_datas.push(BrokerData {
                broker_name: (*broker).to_owned(),
                cluster: String::from("c"),
                addresses,
            });
            for id in 0..queues {
                state.brokers.get_mut(*broker).unwrap().queues.entry(queue(topic, broker, id)).or_default();
            }
        }
        state.routes.insert(topic.to_owned(), Arc::new(route));
        drop(state);
        self.route_version.send_modify(|version| *version += 1);
    }

    /// Changes how many queues of a topic a broker lets be read and written.
    pub(super) fn set_queues(&self, topic: &str, broker: &str, read: i32, write: i32) {
        let mut state = self.state();
        let mut route = (*state.routes[topic]).clone();
        for data in route.queue_datas.iter_mut().filter(|data| data.broker_name == broker) {
            (data.read_queues, data.write_queues) = (read, write);
        }
        state.routes.insert(topic.to_owned(), Arc::new(route));
        drop(state);
        self.route_version.send_modify(|version| *version += 1);
    }

    pub(super) fn route(&self, topic: &str) -> Option<Arc<TopicRoute>> {
        self.state().routes.get(topic).cloned()
    }

    pub(super) fn log(&self, entry: Entry) {
        let mut state = self.state();
        match &entry {
            Entry::Started { queue, offset, .. } => state.started.entry(queue.clone()).or_default().push(*offset),
            Entry::Ended { queue, offset, outcome: Outcome::Success, counted: true, .. } => {
                state.succeeded.entry(queue.clone()).or_default().insert(*offset);
            }
            _ => {}
        }
        state.note(entry);
    }

    pub(super) fn entries(&self) -> Vec<(Instant, Entry)> {
        self.state().log.clone()
    }

    pub(super) fn clear_log(&self) {
        self.state().log.clear();
    }

    pub(super) fn store(&self, queue: &MessageQueue, message: Stored) {
        self.state().queue(queue).push(message);
        self.arrivals.send_modify(|arrivals| *arrivals += 1);
    }

    pub(super) fn send(&self, queue: &MessageQueue, count: usize) {
        for _ in 0..count {
            self.store(queue, plain(b"body"));
        }
    }

    /// Messages whose keys take turns: the one at offset `i` has key `i` modulo `keys`.
    pub(super) fn send_by_key(&self, queue: &MessageQueue, count: i64, keys: i64) {
        for offset in 0..count {
            let properties = vec![(name::SHARDING_KEY.to_owned(), (offset % keys).to_string())];
            self.store(queue, Stored { properties, ..plain(b"body") });
        }
    }

    /// Messages with ids of their own, stored at this time.
    pub(super) fn send_at(&self, queue: &MessageQueue, count: usize, time: i64) {
        for _ in 0..count {
            let id = format!("ID{}", self.state().ids());
            self.store(
                queue,
                Stored { timestamp: time, properties: vec![(name::UNIQ_KEY.to_owned(), id)], ..plain(b"x") },
            );
        }
    }

    /// The queue's topic is deleted and made anew; as 4.9 does, with the group's offsets.
    pub(super) fn renew(&self, queue: &MessageQueue) {
        self.cut(queue, 0);
    }

    /// The store is set back.
    pub(super) fn cut(&self, queue: &MessageQueue, end: usize) {
        let mut state = self.state();
        state.queue(queue).truncate(end);
        state.broker(queue).minimum.remove(queue);
    }

    pub(super) fn committed(&self, queue: &MessageQueue) -> Option<i64> {
        self.state().brokers[&queue.broker_name].offsets.get(queue).copied()
    }

    pub(super) fn set_committed(&self, queue: &MessageQueue, offset: i64) {
        self.state().broker(queue).offsets.insert(queue.clone(), offset);
    }

    pub(super) fn owner(&self, queue: &MessageQueue) -> Option<String> {
        self.state().brokers[&queue.broker_name].owner(queue)
    }

    /// The next `times` requests of this code meet this.
    pub(super) fn fault(&self, broker: &str, code: i32, times: usize, fault: Fault) {
        self.state().brokers.get_mut(broker).unwrap().faults.push((code, times, fault));
    }

    /// How many of those are still to come.
    pub(super) fn faults_left(&self, broker: &str, code: i32) -> usize {
        let faults = &self.state().brokers[broker].faults;
        faults.iter().filter(|(kind, _, _)| *kind == code).map(|(_, times, _)| times).sum()
    }

    /// kill -9: locks and members are gone, and with `lose_commits` the offsets of the last seconds.
    pub(super) fn crash(&self, broker: &str, lose_commits: i64) {
        let lines: Vec<_> = {
            let mut state = self.state();
            let down = state.brokers.get_mut(broker).unwrap();
            down.up = false;
            down.members.clear();
            down.locks.clear();
            for offset in down.offsets.values_mut() {
                *offset = (*offset - lose_commits).max(0);
            }
            state.lines.values().cloned().collect()
        };
        self.log(Entry::Crashed { broker: broker.to_owned() });
        for line in lines {
            line.lose(&address(broker));
        }
    }

    pub(super) fn recover(&self, broker: &str) {
        self.state().brokers.get_mut(broker).unwrap().up = true;
    }

    /// A heartbeat has arrived on this client's connection.
    pub(super) fn beat(&self, broker: &str, client: &str) {
        let news = self.state().brokers.get_mut(broker).unwrap().members.insert(client.to_owned());
        {
            let mut state = self.state();
            let retry = queue(RETRY, broker, 0);
            state.broker(&retry).queues.entry(retry.clone()).or_default();
            if !state.routes.contains_key(RETRY) {
                let mut route = (*state.routes["orders"]).clone();
                for data in &mut route.queue_datas {
                    (data.read_queues, data.write_queues) = (1, 1);
                }
                state.routes.insert(RETRY.to_owned(), Arc::new(route));
                self.route_version.send_modify(|version| *version += 1);
            }
        }
        if news {
            self.notify(broker);
        }
    }

    /// A connection has ended, or its client has unregistered.
    pub(super) fn leave(&self, broker: &str, client: &str) {
        let was_member =
            self.state().brokers.get_mut(broker).is_some_and(|broker| broker.up && broker.members.remove(client));
        if was_member {
            self.notify(broker);
        }
    }

    fn notify(&self, broker: &str) {
        let lines: Vec<_> = {
            let state = self.state();
            let members = &state.brokers[broker].members;
            members.iter().filter_map(|member| state.lines.get(member)).cloned().collect()
        };
        for line in lines {
            line.push(Push::MembersChanged { group: GROUP.to_owned() });
        }
    }

    /// What the next request of this code meets; nonsense is told of the users' topics only.
    pub(super) fn take_fault(&self, broker: &str, code: i32, topic: Option<&str>) -> Option<Fault> {
        let mut state = self.state();
        let faults = &mut state.brokers.get_mut(broker)?.faults;
        let at = faults.iter().position(|(kind, times, fault)| {
            *kind == code && *times > 0 && (topic != Some(RETRY) || !matches!(fault, Fault::Answer(_)))
        })?;
        faults[at].1 -= 1;
        Some(faults[at].2.clone())
    }

    /// 203: per topic what was announced with the highest version.
    pub(super) fn kept(&self, broker: &str, command: &Command) -> Command {
        let state = self.state();
        let lines = state.brokers[broker].members.iter().filter_map(|member| state.lines.get(member));
        let mut kept: BTreeMap<String, Subscription> = state.announced.clone();
        for subscription in lines.flat_map(|line| line.subscriptions()) {
            let known = kept.entry(subscription.topic.clone()).or_insert_with(|| subscription.clone());
            if subscription.version > known.version {
                *known = subscription;
            }
        }
        let body = serde_json::json!({ "subscriptionTable": kept }).to_string();
        command.respond(response::SUCCESS, None, Bytes::from(body))
    }

    /// 307: the member's own answer; of one that is none of ours, that it does not know the question.
    pub(super) async fn ask_member(&self, command: &Command) -> Command {
        let line = {
            let mut state = self.state();
            state.questions += 1;
            state.lines.get(command.fields.get("clientId").unwrap()).cloned()
        };
        let Some(line) = line else { return command.respond(3, Some("not supported".into()), Bytes::new()) };
        let answer = line.asked(Push::decode(command).unwrap()).await;
        command.respond(answer.code, answer.remark, answer.body)
    }

    /// Executes a request; a pull may be held.
    pub(super) async fn execute(&self, broker: &str, client: &str, command: &Command) -> Command {
        if command.code != request::PULL_MESSAGE {
            return self.state().execute(broker, client, command);
        }
        let suspend = command.fields.parse::<u64>("suspendTimeoutMillis").unwrap();
        let until = env::now() + Duration::from_millis(suspend);
        let mut arrivals = self.arrivals.subscribe();
        loop {
            let answer = self.state().pull(broker, client, command, env::now() >= until);
            if let Some(answer) = answer {
                return answer;
            }
            let _ = tokio::time::timeout_at(until, arrivals.changed()).await;
        }
    }
}

impl Broker {
    pub(super) fn owner(&self, queue: &MessageQueue) -> Option<String> {
        let (owner, since) = self.locks.get(queue)?;
        (env::now() < *since + LOCK_TIME).then(|| owner.clone())
    }
}

impl State {
    pub(super) fn broker(&mut self, queue: &MessageQueue) -> &mut Broker {
        self.brokers.get_mut(&queue.broker_name).unwrap()
    }

    pub(super) fn queue(&mut self, queue: &MessageQueue) -> &mut Vec<Stored> {
        self.broker(queue).queues.entry(queue.clone()).or_default()
    }

    fn ids(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn note(&mut self, entry: Entry) {
        self.log.push((env::now(), entry));
    }
}

/// A property's value.
pub(super) fn property<'a>(properties: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    properties.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str())
}

/// A message with a tag.
pub(super) fn tagged(tag: &str) -> Stored {
    Stored { properties: vec![(name::TAGS.to_owned(), tag.to_owned())], ..plain(b"tagged") }
}
