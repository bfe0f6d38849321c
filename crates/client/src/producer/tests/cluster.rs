//! A cluster that follows a script, keeps what it stores, and complains when a key is in two requests at once.

use flate2::read::ZlibDecoder;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;

use crate::client::{self, Advice, CallError, Event, Registration, RouteState};
use crate::env::{self, Instant, Timing};
use crate::error::{ClientError, Code};
use crate::producer::{Masters, Unsent, Wire};
use crate::protocol::route::{BrokerData, QueueData};
use crate::protocol::{Compression, Refusal, SendMessage, SendReceipt, StoredStatus, TopicRoute, properties};

/// A message as the broker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) body: String,
    pub(super) properties: BTreeMap<String, String>,
}

impl Seen {
    fn new(body: &[u8], encoded: &str) -> Self {
        let properties = properties::decode(encoded).into_iter().collect();
        Self { body: String::from_utf8_lossy(body).into_owned(), properties }
    }

    pub(super) fn key(&self) -> &str {
        &self.properties["__SHARDINGKEY"]
    }

    pub(super) fn id(&self) -> &str {
        &self.properties["UNIQ_KEY"]
    }
}

/// One attempt as the broker sees it.
#[derive(Clone, Debug)]
pub(super) struct Seized {
    pub(super) at: Instant,
    pub(super) broker: String,
    pub(super) queue: i32,
    pub(super) batch: bool,
    pub(super) group: String,
    pub(super) topic: String,
    /// Length of the body.
    pub(super) bytes: usize,
    pub(super) sys_flag: i32,
    pub(super) messages: Vec<Seen>,
}

impl Seized {
    pub(super) fn bodies(&self) -> Vec<&str> {
        self.messages.iter().map(|message| message.body.as_str()).collect()
    }
}

/// What the broker does with an attempt.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Stored(StoredStatus),
    /// Refused, with the remark.
    Refused(i32, &'static str),
    /// The frame is not written.
    NotSent,
    /// The frame is not written, as the greeting of the connection was refused.
    Denied,
    /// No answer until the time-out, or a reset after this time; whether it is stored.
    Silent {
        reset: Option<Duration>,
        stored: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) delay: Duration,
    pub(super) answer: Answer,
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Self { delay: Duration::from_millis(5), answer }
    }
}

pub(super) const OK: Answer = Answer::Stored(StoredStatus::Ok);

/// One stored copy.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) order: usize,
    pub(super) message: Seen,
}

type Script = Box<dyn FnMut(&Seized) -> Step + Send>;

#[derive(Default)]
pub(super) struct Inner {
    pub(super) seized: Vec<Seized>,
    pub(super) stored: BTreeMap<(String, i32), Vec<Stored>>,
    pub(super) in_flight: HashSet<String>,
    pub(super) by_broker: HashMap<String, usize>,
    pub(super) most_by_broker: usize,
    pub(super) unknown: HashSet<String>,
    pub(super) attempts: HashMap<String, usize>,
    pub(super) warnings: Vec<ClientError>,
    pub(super) registered: Option<String>,
    pub(super) beats: Vec<(String, Result<(), ClientError>)>,
    pub(super) reach: Option<ClientError>,
    pub(super) refreshed: usize,
    pub(super) closed: bool,
    /// A defect: the next attempt panics.
    pub(super) planted: bool,
    /// Nothing is said to be under way on any connection.
    pub(super) is_idle: bool,
    /// How many requests were written.
    pub(super) written: usize,
    copies: usize,
    steps: VecDeque<Step>,
    script: Option<Script>,
    masters: HashMap<String, String>,
    /// Addresses to which no connection is made.
    pub(super) dead: HashSet<String>,
    routes: HashMap<String, watch::Sender<RouteState>>,
    /// Offsets that the next answers claim instead of the true ones.
    pub(super) lies: VecDeque<i64>,
}

pub(super) struct Cluster {
    inner: Mutex<Inner>,
    timing: Timing,
    pub(super) namespace: Option<String>,
}

/// What one attempt holds: whatever ends the attempt, a time-out of ours included, lets go of its keys.
struct InFlight<'a> {
    cluster: &'a Cluster,
    keys: HashSet<String>,
    broker: String,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut inner = self.cluster.inner();
        for key in &self.keys {
            inner.in_flight.remove(key);
        }
        if let Some(count) = inner.by_broker.get_mut(&self.broker) {
            *count -= 1;
        }
    }
}

impl Cluster {
    pub(super) fn new() -> Arc<Self> {
        Self::with_namespace(None)
    }

    pub(super) fn with_namespace(namespace: Option<&str>) -> Arc<Self> {
        let namespace = namespace.map(str::to_owned);
        Arc::new(Self { inner: Mutex::default(), timing: Timing::default(), namespace })
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next attempts are answered so, one each; then by the script; without one they are stored.
    pub(super) fn then(&self, answers: impl IntoIterator<Item = impl Into<Step>>) {
        self.inner().steps.extend(answers.into_iter().map(Into::into));
    }

    pub(super) fn script(&self, script: impl FnMut(&Seized) -> Step + Send + 'static) {
        self.inner().script = Some(Box::new(script));
    }

    fn sender(inner: &mut Inner, topic: &str) -> watch::Sender<RouteState> {
        inner.routes.entry(topic.to_owned()).or_insert_with(|| watch::Sender::new(RouteState::default())).clone()
    }

    pub(super) fn route_of(queues: &[(&str, i32)]) -> TopicRoute {
        TopicRoute {
            order_topic_conf: None,
            queue_datas: queues
                .iter()
                .map(|&(broker, count)| QueueData {
                    broker_name: broker.to_owned(),
                    read_queues: count,
                    write_queues: count,
                    perm: 6,
                })
                .collect(),
            broker_datas: queues
                .iter()
                .map(|&(broker, _)| BrokerData {
                    broker_name: broker.to_owned(),
                    cluster: String::from("C"),
                    addresses: BTreeMap::from([(0, format!("{broker}:10911"))]),
                })
                .collect(),
        }
    }

    /// The route of a topic by real name: broker name and number of queues, sorted by name.
    pub(super) fn set_route(&self, topic: &str, queues: &[(&str, i32)]) {
        self.set(topic, Self::route_of(queues));
    }

    pub(super) fn set(&self, topic: &str, route: TopicRoute) {
        let mut inner = self.inner();
        for broker in &route.broker_datas {
            if let Some(address) = broker.addresses.get(&0) {
                inner.masters.insert(broker.broker_name.clone(), address.clone());
            }
        }
        Self::sender(&mut inner, topic).send_modify(|state| {
            state.asked += 1;
            state.error = None;
            state.route = Some(Arc::new(route));
        });
    }

    pub(super) fn fail_route(&self, topic: &str, error: ClientError) {
        Self::sender(&mut self.inner(), topic).send_modify(|state| {
            state.asked += 1;
            state.error = Some(error);
        });
    }

    /// How many follow the route of a topic.
    pub(super) fn followers(&self, topic: &str) -> usize {
        Self::sender(&mut self.inner(), topic).receiver_count()
    }

    pub(super) fn forget_master(&self, broker: &str) {
        self.inner().masters.remove(broker);
    }

    /// Bodies stored in a queue.
    pub(super) fn stored(&self, broker: &str, queue: i32) -> Vec<String> {
        let inner = self.inner();
        let stored = inner.stored.get(&(broker.to_owned(), queue));
        stored.into_iter().flatten().map(|stored| stored.message.body.clone()).collect()
    }

    /// Bodies of each attempt so far.
    pub(super) fn attempts(&self) -> Vec<Vec<String>> {
        let inner = self.inner();
        inner.seized.iter().map(|seized| seized.bodies().iter().map(|&body| body.to_owned()).collect()).collect()
    }

    async fn attempt(&self, address: &str, seized: Seized, timeout: Duration) -> Result<SendReceipt, Unsent> {
        let keys: HashSet<String> =
            seized.messages.iter().map(|message| format!("{}/{}", seized.topic, message.key())).collect();
        let broker = seized.broker.clone();
        let (step, _guard) = {
            let mut inner = self.inner();
            assert_eq!(inner.masters.get(&broker).map(String::as_str), Some(address));
            for key in &keys {
                assert!(inner.in_flight.insert(key.clone()), "key {key} is in two requests at once");
            }
            let count = inner.by_broker.entry(broker.clone()).or_default();
            *count += 1;
            let count = *count;
            inner.most_by_broker = inner.most_by_broker.max(count);
            inner.seized.push(seized.clone());
            let step = inner.steps.pop_front();
            let step = match (step, &mut inner.script) {
                (Some(step), _) => step,
                (None, Some(script)) => script(&seized),
                (None, None) => Step::from(OK),
            };
            if !matches!(step.answer, Answer::NotSent | Answer::Denied) {
                for message in &seized.messages {
                    *inner.attempts.entry(message.id().to_owned()).or_default() += 1;
                }
            }
            if matches!(step.answer, Answer::Silent { .. } | Answer::Refused(1, "unknown")) {
                inner.unknown.extend(seized.messages.iter().map(|message| message.id().to_owned()));
            }
            (step, InFlight { cluster: self, keys, broker })
        };
        match step.answer {
            Answer::Stored(status) => {
                tokio::time::sleep(step.delay / 2).await;
                let receipt = self.store(&seized, status);
                tokio::time::sleep(step.delay / 2).await;
                Ok(receipt)
            }
            Answer::Refused(code, remark) => {
                tokio::time::sleep(step.delay).await;
                let error = match code {
                    2 | 14 | 215 | 1500 => ClientError::new(Code::BrokerBusy, remark),
                    16 => ClientError::new(Code::AccessDenied, remark),
                    17 => ClientError::new(Code::TopicNotFound, remark),
                    26 => ClientError::new(Code::GroupNotFound, remark),
                    _ => ClientError::new(Code::Broker, remark),
                };
                let error = error.with_broker_code(code).with_address(address);
                Err(Unsent::Refused { refusal: Refusal { code, remark: remark.to_owned() }, error })
            }
            Answer::Denied => {
                Err(Unsent::NotSent(ClientError::new(Code::AccessDenied, "wrong keys").with_address(address)))
            }
            Answer::NotSent => {
                tokio::time::sleep(step.delay).await;
                Err(Unsent::NotSent(ClientError::new(Code::Connection, "connection refused").with_address(address)))
            }
            Answer::Silent { reset, stored } => {
                tokio::time::sleep(step.delay).await;
                if stored {
                    self.store(&seized, StoredStatus::Ok);
                }
                if let Some(reset) = reset {
                    tokio::time::sleep(reset).await;
                    return Err(Unsent::Unanswered(ClientError::new(Code::Connection, "reset").with_address(address)));
                }
                tokio::time::sleep(timeout.saturating_sub(step.delay)).await;
                Err(Unsent::Unanswered(ClientError::new(Code::Timeout, "no answer").with_address(address)))
            }
        }
    }

    fn store(&self, seized: &Seized, status: StoredStatus) -> SendReceipt {
        let mut inner = self.inner();
        let order = inner.copies;
        inner.copies += seized.messages.len();
        let queue = inner.stored.entry((seized.broker.clone(), seized.queue)).or_default();
        let first = queue.len();
        let copies = seized.messages.iter().zip(order..);
        queue.extend(copies.map(|(message, order)| Stored { order, message: message.clone() }));
        let ids: Vec<String> = (first..queue.len()).map(|offset| format!("{}:{offset}", seized.broker)).collect();
        let true_offset = i64::try_from(first).unwrap();
        SendReceipt {
            status,
            queue_id: seized.queue,
            queue_offset: inner.lies.pop_front().unwrap_or(true_offset),
            msg_ids: ids.join(","),
            trace_on: false,
            region: None,
        }
    }
}

/// The body as it was before it was compressed.
fn plain(request: &SendMessage) -> Vec<u8> {
    if request.sys_flag != Compression::Zlib.sys_flag() {
        return request.body.to_vec();
    }
    let mut plain = Vec::new();
    ZlibDecoder::new(&request.body[..]).read_to_end(&mut plain).unwrap();
    plain
}

fn entries(mut body: &[u8]) -> Vec<Seen> {
    let int = |bytes: &[u8], at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut seen = Vec::new();
    while !body.is_empty() {
        let total = usize::try_from(int(body, 0)).unwrap();
        let length = usize::try_from(int(body, 16)).unwrap();
        let properties = 20 + length;
        let properties_length =
            usize::try_from(i16::from_be_bytes(body[properties..properties + 2].try_into().unwrap())).unwrap();
        assert_eq!(total, properties + 2 + properties_length);
        let text = std::str::from_utf8(&body[properties + 2..total]).unwrap();
        seen.push(Seen::new(&body[20..properties], text));
        body = &body[total..];
    }
    seen
}

impl client::Cluster for Arc<Cluster> {
    fn id(&self) -> &'static str {
        "127.0.0.1@1"
    }

    fn timing(&self) -> &Timing {
        &self.timing
    }

    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    fn wrap(&self, resource: &str) -> String {
        self.namespace.as_ref().map_or_else(|| resource.to_owned(), |namespace| format!("{namespace}%{resource}"))
    }

    fn advice(&self) -> Advice {
        Advice { name_servers: String::from("ns:9876"), ..Advice::default() }
    }

    fn problems(&self) -> Vec<ClientError> {
        Vec::new()
    }

    fn watch_route(&self, topic: &str) -> watch::Receiver<RouteState> {
        Cluster::sender(&mut self.inner(), topic).subscribe()
    }

    fn refresh_route(&self, _topic: &str) {
        self.inner().refreshed += 1;
    }

    async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, ClientError> {
        let state = Cluster::sender(&mut self.inner(), topic).borrow().clone();
        let RouteState { route, error, .. } = state;
        route.ok_or_else(|| error.unwrap_or_else(|| ClientError::new(Code::TopicNotFound, "no such topic")))
    }

    fn master(&self, broker_name: &str) -> Option<String> {
        self.inner().masters.get(broker_name).cloned()
    }

    fn register(&self, registration: Registration) {
        self.inner().registered = registration.producer_group;
    }

    async fn heartbeat_all(&self) -> Vec<(String, Result<(), CallError>)> {
        let beats = self.inner().beats.clone();
        beats.into_iter().map(|(address, outcome)| (address, outcome.map_err(CallError::NotSent))).collect()
    }

    fn emit(&self, event: Event) {
        if let Event::Warning { error } = event {
            self.inner().warnings.push(error);
        }
    }

    async fn close(&self) {
        self.inner().closed = true;
    }
}

impl Masters for Arc<Cluster> {
    type Room = String;

    async fn reach(&self) -> Result<(), ClientError> {
        self.inner().reach.clone().map_or(Ok(()), Err)
    }

    fn is_connected(&self, address: &str) -> bool {
        !self.inner().dead.contains(address)
    }

    fn trouble(&self, _address: &str) -> Option<ClientError> {
        None
    }

    fn try_room(&self, address: &str) -> Option<String> {
        self.is_connected(address).then(|| address.to_owned())
    }

    async fn room(&self, address: &str, timeout: Duration) -> Result<String, Unsent> {
        if self.is_connected(address) {
            return Ok(address.to_owned());
        }
        tokio::time::sleep(timeout).await;
        Err(Unsent::NotSent(ClientError::new(Code::Connection, "no connection").with_address(address)))
    }

    fn is_idle(&self, _room: &String) -> bool {
        self.inner().is_idle
    }

    fn post(
        &self,
        room: String,
        request: &Wire,
        timeout: Duration,
        answered: impl FnOnce(Result<SendReceipt, Unsent>) + Send + 'static,
    ) {
        let is_planted = std::mem::take(&mut self.inner().planted);
        assert!(!is_planted, "planted");
        self.inner().written += 1;
        let at = env::now();
        let seized = match request {
            Wire::One(request) => Seized {
                at,
                broker: request.broker_name.clone(),
                queue: request.queue_id,
                batch: false,
                group: request.producer_group.clone(),
                topic: request.topic.clone(),
                bytes: request.body.len(),
                sys_flag: request.sys_flag,
                messages: vec![Seen::new(&plain(request), &request.properties)],
            },
            Wire::Batch(request) => Seized {
                at,
                broker: request.broker_name.clone(),
                queue: request.queue_id,
                batch: true,
                group: request.producer_group.clone(),
                topic: request.topic.clone(),
                bytes: request.body.len(),
                sys_flag: 0,
                messages: entries(&request.body),
            },
        };
        let cluster = Arc::clone(self);
        env::spawn(async move {
            let answer = cluster.attempt(&room, seized, timeout).await;
            answered(answer);
        });
    }
}
