//! One client's way to the scripted brokers, and a consumer on top with a pump like JavaScript's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use super::cluster::{Cluster, Entry, Fault, GROUP, address, queues_of};
use crate::client::{Answer, CallError, Event, PushCall, RouteState};
use crate::consumer::gate::Outcome;
use crate::consumer::{Brokers, Consumer, ConsumerOptions, Delivery, InitialPosition, Sink, Suspend, Wish};
use crate::env::{self, Timing};
use crate::error::{ClientError, Code};
use crate::protocol::code::request;
use crate::protocol::{ConsumerData, ExpressionKind, MessageQueue, Push, Refusal, Request, ResponseError, TopicRoute};

/// One way, per direction.
const LATENCY: Duration = Duration::from_millis(1);

/// One client's connections.
pub(super) struct Line {
    id: String,
    pub(super) cluster: Arc<Cluster>,
    timing: Timing,
    registration: Mutex<Option<ConsumerData>>,
    connected: Mutex<BTreeSet<String>>,
    losses: Mutex<BTreeMap<String, watch::Sender<u64>>>,
    routes: Mutex<BTreeMap<String, watch::Sender<RouteState>>>,
    pushes: mpsc::Sender<PushCall>,
    receiver: Mutex<Option<mpsc::Receiver<PushCall>>>,
    /// Nothing comes through, and nobody is told.
    pub(super) silent: AtomicBool,
    /// The wall clock beside virtual time.
    pub(super) wall: AtomicI64,
    epoch: env::Instant,
    closed: AtomicBool,
    /// New connections are not greeted: the broker will not have our group.
    ungreeted: AtomicBool,
}

impl Line {
    fn new(id: &str, cluster: &Arc<Cluster>) -> Arc<Self> {
        let (pushes, receiver) = mpsc::channel(64);
        let line = Arc::new(Self {
            id: id.to_owned(),
            cluster: Arc::clone(cluster),
            timing: Timing::default(),
            registration: Mutex::default(),
            connected: Mutex::default(),
            losses: Mutex::default(),
            routes: Mutex::default(),
            pushes,
            receiver: Mutex::new(Some(receiver)),
            silent: AtomicBool::new(false),
            wall: AtomicI64::new(1_700_000_000_000),
            epoch: env::now(),
            closed: AtomicBool::new(false),
            ungreeted: AtomicBool::new(false),
        });
        cluster.state().lines.insert(id.to_owned(), Arc::clone(&line));
        line
    }

    /// The connection to this address ends.
    pub(super) fn lose(&self, address: &str) {
        let was = self.connected.lock().unwrap().remove(address);
        if was {
            let broker = address.split(':').next().unwrap();
            self.cluster.leave(broker, &self.id);
            self.sender(address).send_modify(|losses| *losses += 1);
        }
    }

    fn sender(&self, address: &str) -> watch::Sender<u64> {
        self.losses.lock().unwrap().entry(address.to_owned()).or_insert_with(|| watch::Sender::new(0)).clone()
    }

    pub(super) fn push(&self, push: Push) {
        let _ = self.pushes.try_send(PushCall { push, address: String::new(), reply: None });
    }

    /// A broker's request, and what we answer.
    pub(super) async fn asked(&self, push: Push) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.pushes.try_send(PushCall { push, address: String::new(), reply: Some(reply) }).unwrap();
        answer.await.unwrap()
    }

    /// From now on greetings register nothing.
    pub(super) fn forget_greetings(&self) {
        self.ungreeted.store(true, Ordering::Relaxed);
    }

    fn connect(&self, broker: &str) -> Result<(), CallError> {
        let up = self.cluster.state().brokers[broker].up;
        if !up || self.closed.load(Ordering::Relaxed) {
            return Err(CallError::NotSent(ClientError::new(Code::Connection, "connection refused")));
        }
        let greeted = self.registration.lock().unwrap().is_some() && !self.ungreeted.load(Ordering::Relaxed);
        if self.connected.lock().unwrap().insert(address(broker)) && greeted {
            // A registration belongs to a connection, and nothing may come before it.
            self.cluster.beat(broker, &self.id);
        }
        Ok(())
    }
}

fn unanswered() -> CallError {
    CallError::Unanswered(ClientError::new(Code::Timeout, "no answer in time"))
}

impl Brokers for Arc<Line> {
    fn id(&self) -> &str {
        &self.id
    }

    fn timing(&self) -> &Timing {
        &self.timing
    }

    fn wrap(&self, resource: &str) -> String {
        resource.to_owned()
    }

    fn unwrap(&self, resource: &str) -> String {
        resource.to_owned()
    }

    fn namespace(&self) -> Option<&str> {
        None
    }

    fn name_servers(&self) -> String {
        String::from("ns:9876")
    }

    fn problems(&self) -> Vec<ClientError> {
        Vec::new()
    }

    fn watch_route(&self, topic: &str) -> watch::Receiver<RouteState> {
        let mut routes = self.routes.lock().unwrap();
        if let Some(known) = routes.get(topic) {
            return known.subscribe();
        }
        let sender = watch::Sender::new(RouteState { route: self.cluster.route(topic), ..RouteState::default() });
        routes.insert(topic.to_owned(), sender.clone());
        let (cluster, topic, receiver) = (Arc::clone(&self.cluster), topic.to_owned(), sender.subscribe());
        tokio::spawn(async move {
            let mut version = cluster.route_version.subscribe();
            while version.changed().await.is_ok() {
                let route = cluster.route(&topic);
                sender.send_if_modified(|state| {
                    let changed = state.route != route;
                    if changed {
                        state.route = route;
                    }
                    changed
                });
            }
        });
        receiver
    }

    fn refresh_route(&self, _topic: &str) {}

    async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, ClientError> {
        sleep(LATENCY).await;
        self.cluster.route(topic).ok_or_else(|| ClientError::new(Code::TopicNotFound, "no route").with_topic(topic))
    }

    fn master(&self, broker_name: &str) -> Option<String> {
        Some(address(broker_name))
    }

    async fn call<R>(&self, address: &str, request: &R, timeout: Duration) -> Result<R::Response, CallError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let broker = address.split(':').next().unwrap();
        let command = request.command();
        if self.silent.load(Ordering::Relaxed) {
            sleep(timeout).await;
            return Err(unanswered());
        }
        sleep(LATENCY).await;
        self.connect(broker)?;
        let mut losses = self.sender(address).subscribe();
        let exchange = async {
            match self.cluster.take_fault(broker, R::CODE) {
                Some(Fault::Refuse(code, remark)) => {
                    return command.respond(code, Some(remark.into()), bytes::Bytes::new());
                }
                Some(Fault::Swallow) => std::future::pending().await,
                Some(Fault::Mute) => {
                    self.cluster.execute(broker, &self.id, &command).await;
                    std::future::pending::<()>().await;
                }
                Some(Fault::Delay(time)) => sleep(time).await,
                None => {}
            }
            match R::CODE {
                request::UPDATE_CONSUMER_OFFSET => {
                    let topic = command.fields.get("topic").unwrap();
                    let queue = MessageQueue::new(topic, broker, command.fields.parse("queueId").unwrap());
                    let offset = command.fields.parse("commitOffset").unwrap();
                    self.cluster.log(Entry::CommitSent { client: self.id.clone(), queue, offset });
                }
                request::UNLOCK_BATCH_MQ => {
                    for queue in queues_of(&command) {
                        self.cluster.log(Entry::UnlockSent { client: self.id.clone(), queue });
                    }
                }
                _ => {}
            }
            let answer = self.cluster.execute(broker, &self.id, &command).await;
            if self.silent.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            sleep(LATENCY).await;
            answer
        };
        let answer = tokio::select! {
            answer = tokio::time::timeout(timeout, exchange) => answer.map_err(|_| unanswered())?,
            _ = losses.changed() => {
                return Err(CallError::Unanswered(ClientError::new(Code::Connection, "connection reset")));
            }
        };
        R::decode(answer).map_err(|error| match error {
            ResponseError::Refused(refusal) => CallError::Refused { refusal, address: address.to_owned() },
            ResponseError::Malformed(why) => CallError::Malformed(ClientError::new(Code::Protocol, why)),
        })
    }

    fn losses(&self, address: &str) -> watch::Receiver<u64> {
        self.sender(address).subscribe()
    }

    fn register(&self, consumer: Option<ConsumerData>) {
        *self.registration.lock().unwrap() = consumer;
    }

    async fn heartbeat_all(&self) -> Vec<(String, Result<(), CallError>)> {
        let brokers: Vec<String> = self.cluster.state().brokers.keys().cloned().collect();
        let mut results = Vec::new();
        for broker in brokers {
            if self.silent.load(Ordering::Relaxed) {
                sleep(self.timing.request_timeout).await;
                results.push((address(&broker), Err(unanswered())));
                continue;
            }
            sleep(LATENCY).await;
            let fault = self.cluster.take_fault(&broker, request::HEART_BEAT);
            let result = match fault {
                Some(Fault::Refuse(code, remark)) => {
                    let refusal = Refusal { code, remark: remark.to_owned() };
                    Err(CallError::Refused { refusal, address: address(&broker) })
                }
                // As 5.5.0 does with a group that it will not create.
                Some(Fault::Swallow) => Ok(()),
                _ => self.connect(&broker).map(|()| self.cluster.beat(&broker, &self.id)),
            };
            results.push((address(&broker), result));
        }
        results
    }

    fn pushes(&self) -> Option<mpsc::Receiver<PushCall>> {
        self.receiver.lock().unwrap().take()
    }

    fn emit(&self, event: Event) {
        if !event.is_debug() {
            self.cluster.log(Entry::Event { client: self.id.clone(), text: event.to_json() });
        }
    }

    async fn close(&self) {
        sleep(LATENCY).await;
        self.closed.store(true, Ordering::Relaxed);
        let connected: Vec<_> = self.connected.lock().unwrap().iter().cloned().collect();
        for address in connected {
            self.lose(&address);
        }
        self.cluster.log(Entry::Closed { client: self.id.clone() });
    }

    fn wall_ms(&self) -> i64 {
        self.wall.load(Ordering::Relaxed) + i64::try_from(self.epoch.elapsed().as_millis()).unwrap()
    }
}

/// How long a handler takes, and how it ends.
pub(super) type Handler = Arc<dyn Fn(&Delivery) -> (Duration, Outcome) + Send + Sync>;

type Chunks = mpsc::UnboundedSender<(u32, Vec<Delivery>)>;

/// The pump: one lane per queue, as JavaScript's.
pub(super) struct Pump {
    client: String,
    cluster: Arc<Cluster>,
    handler: Handler,
    consumer: OnceLock<Arc<Consumer<Arc<Line>>>>,
    lanes: Mutex<BTreeMap<u32, Chunks>>,
    /// Nobody takes messages any more.
    pub(super) gone: AtomicBool,
}

impl Pump {
    fn consumer(&self) -> &Arc<Consumer<Arc<Line>>> {
        self.consumer.get().unwrap()
    }

    fn name(&self, queue: u32) -> MessageQueue {
        self.consumer().queue(queue).unwrap()
    }

    async fn lane(self: Arc<Self>, index: u32, mut chunks: mpsc::UnboundedReceiver<(u32, Vec<Delivery>)>) {
        while let Some((generation, chunk)) = chunks.recv().await {
            for delivery in chunk {
                // A turn of the event loop between two messages.
                tokio::task::yield_now().await;
                if !self.run(index, generation, &delivery).await {
                    break;
                }
            }
        }
    }

    async fn run(&self, index: u32, generation: u32, delivery: &Delivery) -> bool {
        let (offset, queue) = (delivery.message.queue_offset, self.name(index));
        if !self.consumer().may_start(index, generation, offset) {
            return false;
        }
        let client = self.client.clone();
        let (attempt, topic) = (delivery.attempt, delivery.topic.to_string());
        self.cluster.log(Entry::Started { client: client.clone(), queue: queue.clone(), offset, attempt, topic });
        let (time, outcome) = (self.handler)(delivery);
        sleep(time).await;
        let ack = self.consumer().ack(index, generation, offset, outcome, None);
        self.cluster.log(Entry::Ended { client, queue, offset, outcome, counted: ack.counted });
        ack.go_on
    }
}

impl Sink for Arc<Pump> {
    fn deliver(&self, queue: u32, generation: u32, chunk: Vec<Delivery>) -> bool {
        if self.gone.load(Ordering::Relaxed) {
            return false;
        }
        let mut lanes = self.lanes.lock().unwrap();
        let lane = lanes.entry(queue).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(Arc::clone(self).lane(queue, receiver));
            sender
        });
        lane.send((generation, chunk)).is_ok()
    }

    fn abort(&self, queue: u32, _generation: u32, error: ClientError) {
        let code = error.code().as_str();
        self.cluster.log(Entry::Aborted { client: self.client.clone(), queue: self.name(queue), code });
    }

    fn dead_lettered(&self, queue: u32, message: Delivery) {
        let offset = message.message.queue_offset;
        self.cluster.log(Entry::DeadLettered { client: self.client.clone(), queue: self.name(queue), offset });
    }
}

/// A consumer, its line and its pump.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) consumer: Arc<Consumer<Arc<Line>>>,
    pub(super) line: Arc<Line>,
    pub(super) pump: Arc<Pump>,
}

/// Everything from the first message of `orders`, retries after 1 s for ever.
pub(super) fn options() -> ConsumerOptions {
    let second = Duration::from_secs(1);
    ConsumerOptions {
        group: GROUP.to_owned(),
        subscriptions: vec![Wish {
            topic: String::from("orders"),
            kind: ExpressionKind::Tag,
            expression: String::from("*"),
        }],
        initial_position: InitialPosition::First,
        max_reconsume_times: None,
        suspend: Suspend { initial: second, factor: 1.0, max: second },
        prefetch_messages: 1_000,
        prefetch_bytes: 64 * 1024 * 1024,
        commit_interval: second,
    }
}

/// A handler that takes this long and succeeds.
pub(super) fn succeeds(millis: u64) -> Handler {
    Arc::new(move |_| (Duration::from_millis(millis), Outcome::Success))
}

impl Member {
    /// Not started.
    pub(super) fn new(id: &str, cluster: &Arc<Cluster>, options: ConsumerOptions, handler: Handler) -> Self {
        let line = Line::new(id, cluster);
        let pump = Arc::new(Pump {
            client: id.to_owned(),
            cluster: Arc::clone(cluster),
            handler,
            consumer: OnceLock::new(),
            lanes: Mutex::default(),
            gone: AtomicBool::new(false),
        });
        let consumer = Arc::new(Consumer::new(Arc::clone(&line), options, Arc::new(Arc::clone(&pump))).unwrap());
        let _ = pump.consumer.set(Arc::clone(&consumer));
        Self { consumer, line, pump }
    }

    /// Started.
    pub(super) async fn start(id: &str, cluster: &Arc<Cluster>, options: ConsumerOptions, handler: Handler) -> Self {
        let member = Self::new(id, cluster, options, handler);
        member.consumer.start(Duration::from_secs(10)).await.unwrap();
        member
    }

    pub(super) async fn close(&self) {
        self.consumer.close(Duration::from_secs(15)).await;
    }
}

/// Waits, in virtual time, until the cluster's state is as described; 120 s at most.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = env::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(env::now() < deadline, "waited in vain for: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
