//! A consumer on its line, with a pump like JavaScript's on top.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::cluster::{Cluster, Entry, GROUP};
use super::line::Line;
use crate::consumer::gate::Outcome;
use crate::consumer::{
    Consumer, ConsumerOptions, Delivery, Handover, InitialPosition, MessageModel, OnUndecodable, OrderedBy, Sink,
    Suspend, Wish,
};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::{ExpressionKind, MessageQueue};
use crate::record::History;

/// How long a handler takes, and how it ends.
pub(super) type Handler = Arc<dyn Fn(&Delivery) -> (Duration, Outcome) + Send + Sync>;

type Chunks = mpsc::UnboundedSender<(u32, Vec<Delivery>)>;

/// The pump: one lane per queue, or per run, as JavaScript's.
pub(super) struct Pump {
    client: String,
    cluster: Arc<Cluster>,
    handler: Handler,
    /// Each run on its own, as many at once as there are places.
    by_key: bool,
    pub(super) places: Semaphore,
    consumer: OnceLock<Arc<Consumer<Arc<Line>>>>,
    lanes: Mutex<BTreeMap<u32, Chunks>>,
    /// Nobody takes messages any more.
    pub(super) gone: AtomicBool,
    /// A defect: signals of handlers panic.
    pub(super) planted: AtomicBool,
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
            Arc::clone(&self).go_through(index, generation, chunk).await;
        }
    }

    async fn go_through(self: Arc<Self>, index: u32, generation: u32, chunk: Vec<Delivery>) {
        for delivery in chunk {
            // A turn of the event loop between two messages.
            tokio::task::yield_now().await;
            let _place = self.places.acquire().await.unwrap();
            if !self.run(index, generation, &delivery).await {
                break;
            }
        }
    }

    async fn run(&self, index: u32, generation: u32, delivery: &Delivery) -> bool {
        let (offset, queue) = (delivery.message.queue_offset, self.name(index));
        if !self.consumer().may_start(index, generation, offset, offset) {
            return false;
        }
        let client = self.client.clone();
        let (attempt, topic) = (delivery.attempt, delivery.topic.to_string());
        self.cluster.log(Entry::Started { client: client.clone(), queue: queue.clone(), offset, attempt, topic });
        let (time, outcome) = (self.handler)(delivery);
        sleep(time).await;
        let ack = match outcome {
            Outcome::Success => self.consumer().succeeded(index, generation, offset, None),
            outcome => self.consumer().failed(index, generation, offset, outcome, None),
        };
        self.cluster.log(Entry::Ended { client, queue, offset, outcome, counted: ack.counted });
        ack.go_on
    }
}

impl Sink for Arc<Pump> {
    fn deliver(&self, handover: Handover) -> bool {
        if self.gone.load(Ordering::Relaxed) {
            return false;
        }
        let Handover { queue, generation, messages: chunk, .. } = handover;
        if self.by_key {
            tokio::spawn(Arc::clone(self).go_through(queue, generation, chunk));
            return true;
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
        assert!(!self.planted.load(Ordering::Relaxed), "planted at a signal");
        let code = error.code().as_str();
        self.cluster.log(Entry::Aborted { client: self.client.clone(), queue: self.name(queue), code });
    }

    fn dead_lettered(&self, queue: u32, message: Delivery) {
        let offset = message.message.queue_offset;
        self.cluster.log(Entry::DeadLettered { client: self.client.clone(), queue: self.name(queue), offset });
    }
}

/// Handlers at once, unless a test takes some away.
pub(super) const PLACES: usize = 1_000_000;

/// Of a start.
pub(super) const BOUND: Duration = Duration::from_secs(10);

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
        ordered_by: OrderedBy::Queue,
        batch_messages: 1,
        initial_position: InitialPosition::First,
        max_reconsume_times: None,
        suspend: Suspend { initial: second, factor: 1.0, max: second },
        prefetch_messages: 1_000,
        prefetch_bytes: 64 * 1024 * 1024,
        commit_interval: second,
        message_model: MessageModel::Clustering,
        on_undecodable: OnUndecodable::Hold,
        handler_timeout: None,
        history: History::default(),
    }
}

/// The same, in order per key.
pub(super) fn by_key() -> ConsumerOptions {
    ConsumerOptions { ordered_by: OrderedBy::Key, ..options() }
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
            by_key: options.ordered_by == OrderedBy::Key,
            places: Semaphore::new(PLACES),
            consumer: OnceLock::new(),
            lanes: Mutex::default(),
            gone: AtomicBool::new(false),
            planted: AtomicBool::new(false),
        });
        let consumer = Arc::new(Consumer::new(Arc::clone(&line), options, Arc::new(Arc::clone(&pump))).unwrap());
        let _ = pump.consumer.set(Arc::clone(&consumer));
        Self { consumer, line, pump }
    }

    /// Started.
    pub(super) async fn start(id: &str, cluster: &Arc<Cluster>, options: ConsumerOptions, handler: Handler) -> Self {
        let member = Self::new(id, cluster, options, handler);
        member.try_start().await.unwrap();
        member
    }

    /// Starts it as the binding does: within a bound, and closed if it fails.
    pub(super) async fn try_start(&self) -> Result<(), ClientError> {
        let started = tokio::time::timeout(BOUND, self.consumer.start(BOUND)).await.unwrap_or_else(|_| {
            let silence = || ClientError::new(Code::Timeout, "nobody answered");
            Err(self.consumer.obstacle().unwrap_or_else(silence))
        });
        if started.is_err() {
            self.close().await;
        }
        started
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
