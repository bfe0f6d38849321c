//! A consumer and the program around it, which calls handlers as the facade does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rocketmq_client::client::{Client, ClientOptions};
use rocketmq_client::consumer::{
    Consumer, ConsumerOptions, Delivery, Handover, InitialPosition, MessageModel, OnUndecodable, OrderedBy, Outcome,
    Paused, QueueState, SeekTo, Sink, Suspend, Wish,
};
use rocketmq_client::env::Timing;
use rocketmq_client::error::ClientError;
use rocketmq_client::record::History;
use rocketmq_protocol::{ExpressionKind, MessageQueue};
use rocketmq_simulated_world::{Host, below, chance, pick, spawn};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::app::{Calm, EventLoop, Listener, Surroundings};
use crate::faults::Place;
use crate::names::{self, Starts};
use crate::plan::ConsumerPlan;

/// The consumer of a member, as long as it lives.
type OfMember = Arc<Consumer<Arc<Client>>>;

/// Of a start, and of a close.
const BOUND: Duration = Duration::from_secs(10);

type Chunks = mpsc::UnboundedSender<(u32, Vec<Delivery>)>;

/// What calls the handlers.
struct Pump {
    calm: Calm,
    event_loop: EventLoop,
    plan: ConsumerPlan,
    places: Semaphore,
    consumer: OnceLock<OfMember>,
    lanes: Mutex<BTreeMap<u32, Chunks>>,
}

impl Pump {
    fn consumer(&self) -> &OfMember {
        self.consumer.get().unwrap_or_else(|| panic!("it is set before anything is delivered"))
    }

    async fn lane(self: Arc<Self>, queue: u32, mut chunks: mpsc::UnboundedReceiver<(u32, Vec<Delivery>)>) {
        while let Some((generation, chunk)) = chunks.recv().await {
            Arc::clone(&self).go_through(queue, generation, chunk).await;
        }
    }

    async fn go_through(self: Arc<Self>, queue: u32, generation: u32, chunk: Vec<Delivery>) {
        for batch in chunk.chunks(self.plan.batch) {
            let Ok(_place) = self.places.acquire().await else { return };
            self.event_loop.turn().await;
            if !self.handle(queue, generation, batch).await {
                return;
            }
        }
    }

    /// One call of a handler: of a message, or of several, of which it may say that it is done with the first ones.
    async fn handle(&self, queue: u32, generation: u32, batch: &[Delivery]) -> bool {
        let offsets: Vec<i64> = batch.iter().map(|delivery| delivery.message.queue_offset).collect();
        let [first, .., last] = offsets[..] else { return self.handle_one(queue, generation, &batch[0]).await };
        if !self.consumer().may_start(queue, generation, first, last) {
            return false;
        }
        let mut told = 0;
        for (place, delivery) in batch.iter().enumerate() {
            if place % 4 == 0 {
                sleep(self.takes()).await;
                self.event_loop.turn().await;
            }
            if self.fails(delivery) {
                self.pass(queue, generation, &offsets[told..=place]);
                return self.consumer().failed(queue, generation, offsets[place], Outcome::Later, None).go_on;
            }
            if chance(0.3) {
                self.pass(queue, generation, &offsets[told..=place]);
                told = place;
            }
        }
        self.pass(queue, generation, &offsets[told..]);
        self.consumer().succeeded(queue, generation, last, None).go_on
    }

    /// Done with all of these but the last.
    fn pass(&self, queue: u32, generation: u32, offsets: &[i64]) {
        for next in offsets.windows(2) {
            self.consumer().pass(queue, generation, next[0], next[1]);
        }
    }

    async fn handle_one(&self, queue: u32, generation: u32, delivery: &Delivery) -> bool {
        let offset = delivery.message.queue_offset;
        if !self.consumer().may_start(queue, generation, offset, offset) {
            return false;
        }
        sleep(self.takes()).await;
        self.event_loop.turn().await;
        let ack = if self.fails(delivery) {
            self.consumer().failed(queue, generation, offset, Outcome::Later, None)
        } else {
            self.consumer().succeeded(queue, generation, offset, None)
        };
        ack.go_on
    }

    /// What has failed once fails again, more often than not.
    fn fails(&self, delivery: &Delivery) -> bool {
        let fails = if delivery.attempt > 1 { 0.7 } else { self.plan.fails };
        !self.calm.is_calm() && self.plan.fails > 0.0 && chance(fails)
    }

    fn takes(&self) -> Duration {
        if self.calm.is_calm() {
            return Duration::ZERO;
        }
        if chance(self.plan.slow) {
            return Duration::from_millis(if chance(0.7) { 200 + below(5_000) } else { 1_000 + below(80_000) });
        }
        let mean = u64::try_from(self.plan.handler.as_millis()).unwrap_or(0);
        Duration::from_millis(below(2 * mean + 1))
    }
}

struct Handlers(Arc<Pump>);

impl Sink for Handlers {
    fn deliver(&self, handover: Handover) -> bool {
        let Handover { queue, generation, messages: chunk, .. } = handover;
        if self.0.plan.ordered_by == OrderedBy::Key {
            spawn(Arc::clone(&self.0).go_through(queue, generation, chunk));
            return true;
        }
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(queue).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            spawn(Arc::clone(&self.0).lane(queue, receiver));
            sender
        });
        lane.send((generation, chunk)).is_ok()
    }

    fn abort(&self, _queue: u32, _generation: u32, _error: ClientError) {}

    fn dead_lettered(&self, _queue: u32, _message: Delivery) {}
}

/// A consumer's process.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) host: Host,
    pub(crate) event_loop: EventLoop,
    pub(crate) starts: Arc<Starts>,
    pub(crate) group: usize,
    around: Surroundings,
    now: Arc<Mutex<Option<OfMember>>>,
    leaves: Arc<watch::Sender<bool>>,
    left: Arc<Notify>,
}

impl Member {
    /// Starts, and starts again where that fails, as a supervised service does.
    pub(crate) fn start(name: &str, name_servers: &[String], plan: &ConsumerPlan, around: &Surroundings) -> Self {
        let host = Host::new();
        let around = around.clone();
        let member = Self {
            host,
            around,
            starts: Arc::new(Starts::of(name)),
            group: plan.group,
            now: Arc::default(),
            event_loop: EventLoop::default(),
            leaves: Arc::new(watch::Sender::new(false)),
            left: Arc::default(),
        };
        let (this, plan, name_servers) = (member.clone(), plan.clone(), name_servers.to_vec());
        host.run(async move {
            while !*this.leaves.borrow() {
                this.live(&plan, &name_servers).await;
                let _ = timeout(Duration::from_secs(1), this.asked_to_leave()).await;
            }
            this.left.notify_one();
        });
        member
    }

    /// Until it is asked to leave, or its start fails.
    async fn live(&self, plan: &ConsumerPlan, name_servers: &[String]) {
        let (attempt, name) = (self.starts.next(), self.starts.name.clone());
        let group = names::group(plan.group);
        let mut options = ClientOptions::new(group, name_servers.to_vec(), None, None, None, Timing::default());
        options.client_id = format!("{}@{name}#{attempt}", self.host.ip());
        let client = Client::start(options, Arc::new(Listener { name, says: self.around.says }));
        let pump = Arc::new(Pump {
            calm: self.around.calm.clone(),
            event_loop: self.event_loop.clone(),
            plan: plan.clone(),
            places: Semaphore::new(plan.places),
            consumer: OnceLock::new(),
            lanes: Mutex::default(),
        });
        let consumer = Consumer::new(
            Arc::clone(&client),
            plan.options(&self.around.topics, self.around.histories.history(&self.starts.current())),
            Arc::new(Handlers(Arc::clone(&pump))),
        );
        let consumer = Arc::new(consumer.unwrap_or_else(|error| panic!("{error}")));
        let _ = pump.consumer.set(Arc::clone(&consumer));
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&consumer));
        let started = tokio::select! {
            started = timeout(BOUND, consumer.start(BOUND)) => matches!(started, Ok(Ok(()))),
            () = self.asked_to_leave() => false,
        };
        if started {
            self.asked_to_leave().await;
        }
        self.event_loop.turn().await;
        consumer.close(BOUND).await;
        client.close().await;
    }

    fn consumer(&self) -> Option<OfMember> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its handlers do not start, or they do.
    pub(crate) fn pause(&self, stops: bool) {
        if let Some(consumer) = self.consumer() {
            let paused = if stops { Paused { everything: true, ..Paused::default() } } else { Paused::default() };
            self.host.within(|| consumer.pause(paused));
        }
    }

    /// One of its queues goes on elsewhere.
    pub(crate) async fn seek(&self, to: Place) {
        let Some(consumer) = self.consumer() else { return };
        let queues = self.assignment();
        let Some(queue) = pick(&queues) else { return };
        let name = MessageQueue::new(queue.topic.as_str(), queue.broker_name.as_str(), queue.queue_id);
        let to = match to {
            Place::First => SeekTo::First,
            Place::Last => SeekTo::Last,
            Place::Before(count) => SeekTo::Offset((queue.committed_offset.unwrap_or(0) - count).max(0)),
        };
        let _ = self.host.run(self.host.within(|| consumer.seek(&name, to))).await;
    }

    /// Its queues.
    pub(crate) fn assignment(&self) -> Vec<QueueState> {
        self.consumer().map_or_else(Vec::new, |consumer| self.host.within(|| consumer.assignment()))
    }

    async fn asked_to_leave(&self) {
        let _ = self.leaves.subscribe().wait_for(|leaves| *leaves).await;
    }

    /// Closes in peace; resolves when it has.
    pub(crate) async fn leave(&self) {
        self.leaves.send_replace(true);
        self.left.notified().await;
        self.host.kill();
    }
}

impl ConsumerPlan {
    fn options(&self, topics: &[String], history: History) -> ConsumerOptions {
        let wish =
            |topic: &String| Wish { topic: topic.clone(), kind: ExpressionKind::Tag, expression: String::from("*") };
        ConsumerOptions {
            group: names::group(self.group),
            subscriptions: topics.iter().map(wish).collect(),
            ordered_by: self.ordered_by,
            batch_messages: self.batch,
            initial_position: InitialPosition::First,
            max_reconsume_times: self.max_reconsume_times,
            suspend: Suspend { initial: self.suspend, factor: 1.5, max: Duration::from_secs(5) },
            prefetch_messages: self.prefetch,
            prefetch_bytes: 64 * 1024 * 1024,
            commit_interval: self.commit_interval,
            message_model: if self.broadcasting {
                MessageModel::Broadcasting { offset_file: None }
            } else {
                MessageModel::Clustering
            },
            on_undecodable: OnUndecodable::Hold,
            handler_timeout: None,
            history,
        }
    }
}
