//! One client's way to the scripted brokers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use super::broker::queues_of;
use super::cluster::{Cluster, Entry, Fault, address};
use crate::client::{self, Advice, Answer, CallError, Event, PushCall, Registration, RouteState};
use crate::consumer::Brokers;
use crate::env::{self, Timing};
use crate::error::{ClientError, Code};
use crate::protocol::code::request;
use crate::protocol::{
    Command, ConsumerData, MessageQueue, Push, Refusal, Request, ResponseError, Subscription, TopicRoute,
};

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
    /// Why the last attempt to connect to an address failed.
    failures: Mutex<BTreeMap<String, ClientError>>,
    routes: Mutex<BTreeMap<String, watch::Sender<RouteState>>>,
    pushes: mpsc::Sender<PushCall>,
    receiver: Mutex<Option<mpsc::Receiver<PushCall>>>,
    /// Nothing comes through, and nobody is told.
    pub(super) silent: AtomicBool,
    /// The master of every broker is at this port now.
    pub(super) port: Mutex<Option<u16>>,
    /// The wall clock beside virtual time.
    pub(super) wall: AtomicI64,
    epoch: env::Instant,
    closed: AtomicBool,
    /// New connections are not greeted: the broker will not have our group.
    ungreeted: AtomicBool,
    /// A defect: so many requests of this code panic.
    planted: Mutex<(i32, u32)>,
}

impl Line {
    pub(super) fn new(id: &str, cluster: &Arc<Cluster>) -> Arc<Self> {
        let (pushes, receiver) = mpsc::channel(64);
        let line = Arc::new(Self {
            id: id.to_owned(),
            cluster: Arc::clone(cluster),
            timing: Timing::default(),
            registration: Mutex::default(),
            connected: Mutex::default(),
            losses: Mutex::default(),
            failures: Mutex::default(),
            routes: Mutex::default(),
            pushes,
            receiver: Mutex::new(Some(receiver)),
            silent: AtomicBool::new(false),
            port: Mutex::default(),
            wall: AtomicI64::new(1_700_000_000_000),
            epoch: env::now(),
            closed: AtomicBool::new(false),
            ungreeted: AtomicBool::new(false),
            planted: Mutex::default(),
        });
        cluster.state().lines.insert(id.to_owned(), Arc::clone(&line));
        line
    }

    /// From now on, so many requests of this code panic in whoever makes them.
    pub(super) fn plant(&self, code: i32, times: u32) {
        *self.planted.lock().unwrap() = (code, times);
    }

    fn trip(&self, code: i32) {
        let is_planted = {
            let mut planted = self.planted.lock().unwrap();
            let is_planted = planted.0 == code && planted.1 > 0;
            planted.1 -= u32::from(is_planted);
            is_planted
        };
        assert!(!is_planted, "planted at {code}");
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
        let _ = self.pushes.try_send(PushCall { push, reply: None });
    }

    /// A broker's request, and what we answer.
    pub(super) async fn asked(&self, push: Push) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.pushes.try_send(PushCall { push, reply: Some(reply) }).unwrap();
        answer.await.unwrap()
    }

    /// One request at the broker, with whatever faults it meets.
    async fn exchange(self: Arc<Self>, broker: String, command: Command) -> Command {
        let fault = self.cluster.take_fault(&broker, command.code, command.fields.get("topic"));
        match fault {
            Some(Fault::Refuse(code, remark)) => {
                return command.respond(code, Some(remark.into()), bytes::Bytes::new());
            }
            Some(Fault::Answer(nonsense)) => return nonsense.answer(&command),
            Some(Fault::Swallow) => std::future::pending::<()>().await,
            Some(Fault::Delay(time)) => sleep(time).await,
            Some(Fault::Mute) | None => {}
        }
        match command.code {
            request::UPDATE_CONSUMER_OFFSET => {
                let topic = command.fields.get("topic").unwrap();
                let queue = MessageQueue::new(topic, &broker, command.fields.parse("queueId").unwrap());
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
        let answer = match command.code {
            request::GET_CONSUMER_CONNECTION_LIST => self.cluster.kept(&broker, &command),
            request::GET_CONSUMER_RUNNING_INFO => self.cluster.ask_member(&command).await,
            _ => self.cluster.execute(&broker, &self.id, &command).await,
        };
        if matches!(fault, Some(Fault::Mute)) || self.silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        sleep(LATENCY).await;
        answer
    }

    /// What heartbeats say.
    pub(super) fn registration(&self) -> Option<ConsumerData> {
        self.registration.lock().unwrap().clone()
    }

    /// Of that, what is subscribed.
    pub(super) fn subscriptions(&self) -> Vec<Subscription> {
        self.registration.lock().unwrap().as_ref().map(|data| data.subscriptions.clone()).unwrap_or_default()
    }

    /// From now on greetings register nothing.
    pub(super) fn forget_greetings(&self) {
        self.ungreeted.store(true, Ordering::Relaxed);
    }

    fn connect(&self, broker: &str) -> Result<(), CallError> {
        let up = self.cluster.state().brokers[broker].up;
        if !up || self.closed.load(Ordering::Relaxed) {
            let error = ClientError::new(Code::Connection, "connection refused");
            self.failures.lock().unwrap().insert(address(broker), error.clone());
            return Err(CallError::NotSent(error));
        }
        self.failures.lock().unwrap().remove(&address(broker));
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

impl client::Cluster for Arc<Line> {
    fn id(&self) -> &str {
        &self.id
    }

    fn timing(&self) -> &Timing {
        &self.timing
    }

    fn namespace(&self) -> Option<&str> {
        None
    }

    fn wrap(&self, resource: &str) -> String {
        resource.to_owned()
    }

    fn advice(&self) -> Advice {
        Advice { name_servers: self.name_servers(), ..Advice::default() }
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
        let port = *self.port.lock().unwrap();
        Some(port.map_or_else(|| address(broker_name), |port| format!("{broker_name}:{port}")))
    }

    fn register(&self, registration: Registration) {
        *self.registration.lock().unwrap() = registration.consumer;
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
            let fault = self.cluster.take_fault(&broker, request::HEART_BEAT, None);
            let result = match fault {
                Some(Fault::Refuse(code, remark)) => {
                    let refusal = Refusal { code, remark: remark.to_owned() };
                    Err(CallError::Refused { refusal, address: address(&broker), renewal: None })
                }
                // As 5.5.0 does with a group that it will not create.
                Some(Fault::Swallow) => Ok(()),
                _ => self.connect(&broker).map(|()| self.cluster.beat(&broker, &self.id)),
            };
            results.push((address(&broker), result));
        }
        results
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
}

impl Brokers for Arc<Line> {
    fn unwrap(&self, resource: &str) -> String {
        resource.to_owned()
    }

    fn name_servers(&self) -> String {
        String::from("ns:9876")
    }

    async fn call<R>(&self, address: &str, request: &R, timeout: Duration) -> Result<R::Response, CallError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let broker = address.split(':').next().unwrap();
        let command = request.command();
        self.trip(command.code);
        if self.silent.load(Ordering::Relaxed) {
            sleep(timeout).await;
            return Err(unanswered());
        }
        sleep(LATENCY).await;
        self.connect(broker)?;
        let mut losses = self.sender(address).subscribe();
        // On the wire, whoever waits for the answer: a request that was given up is executed all the same.
        let mut exchange = tokio::spawn(Arc::clone(self).exchange(broker.to_owned(), command));
        let answer = tokio::select! {
            answer = tokio::time::timeout(timeout, &mut exchange) => {
                answer.ok().and_then(Result::ok).ok_or_else(unanswered)?
            }
            _ = losses.changed() => {
                exchange.abort();
                return Err(CallError::Unanswered(ClientError::new(Code::Connection, "connection reset")));
            }
        };
        R::decode(answer).map_err(|error| match error {
            ResponseError::Refused(refusal) => {
                CallError::Refused { refusal, address: address.to_owned(), renewal: None }
            }
            ResponseError::Malformed(why) => CallError::Malformed(ClientError::new(Code::Protocol, why)),
        })
    }

    fn losses(&self, address: &str) -> watch::Receiver<u64> {
        self.sender(address).subscribe()
    }

    fn unreachable(&self, address: &str) -> Option<ClientError> {
        self.failures.lock().unwrap().get(address).cloned()
    }

    fn pushes(&self) -> Option<mpsc::Receiver<PushCall>> {
        self.receiver.lock().unwrap().take()
    }

    fn wall_ms(&self) -> i64 {
        self.wall.load(Ordering::Relaxed) + i64::try_from(self.epoch.elapsed().as_millis()).unwrap()
    }
}
