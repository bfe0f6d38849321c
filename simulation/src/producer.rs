//! A producer and the program around it: it calls without waiting, and hears what came of it in turns of its event loop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client::client::{Client, ClientOptions};
use rocketmq_client::env::Timing;
use rocketmq_client::producer::{
    Calls, Content, FailedRun, Failure, Gathered, OnRouteChange, Outgoing, OutgoingBatch, Producer, ProducerOptions,
    Settlement, ShardingHash, StoredRun,
};
use rocketmq_client::record::History;
use rocketmq_simulated_world::{Host, below, chance, pick, spawn};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::app::{EventLoop, Listener, Surroundings};
use crate::names::Starts;
use crate::plan::ProducerPlan;

const BOUND: Duration = Duration::from_secs(10);

/// What the producer has decided and nobody has looked at yet.
enum Said {
    Ended { slot: u32, failure: Option<Failure> },
    Gathered(Gathered),
}

#[derive(Default)]
struct Mailbox {
    said: Mutex<VecDeque<Said>>,
    rang: Notify,
}

impl Calls for Mailbox {
    fn settled(&self, settlements: Vec<Settlement>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for settlement in settlements {
            match settlement {
                Settlement::Stored(StoredRun { sends, gathered, .. }) => {
                    said.extend(sends.into_iter().map(|send| Said::Ended { slot: send.slot, failure: None }));
                    said.push_back(Said::Gathered(gathered));
                }
                Settlement::Batch { slot, .. } => said.push_back(Said::Ended { slot, failure: None }),
                Settlement::Failed(FailedRun { slots, mut failure, .. }) => {
                    said.extend(slots.into_iter().map(|slot| Said::Ended { slot, failure: failure.take() }));
                }
            }
        }
    }

    fn undecided(&self, _topic: &str) {}

    fn ring(&self) {
        self.rang.notify_one();
    }
}

/// Numbers of calls, used again once they are settled.
#[derive(Default)]
struct Slots {
    free: Vec<u32>,
    pending: Vec<bool>,
}

impl Slots {
    fn take(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.pending[slot as usize] = true;
            return slot;
        }
        self.pending.push(true);
        u32::try_from(self.pending.len() - 1).unwrap_or(u32::MAX)
    }

    fn give_back(&mut self, slot: u32) {
        assert!(std::mem::take(&mut self.pending[slot as usize]), "slot {slot} is settled twice");
        self.free.push(slot);
    }
}

/// A producer's process.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) host: Host,
    pub(crate) event_loop: EventLoop,
    pub(crate) starts: Arc<Starts>,
    ends: Arc<AtomicBool>,
    ended: Arc<Notify>,
}

impl Sender {
    /// Sends until it is told to end. Programs with the same `keys_of` have the same keys.
    pub(crate) fn start(
        (name, keys_of): (&str, &str),
        name_servers: &[String],
        plan: &ProducerPlan,
        keys: u64,
        around: &Surroundings,
    ) -> Self {
        let host = Host::new();
        let sender = Self {
            host,
            event_loop: EventLoop::default(),
            starts: Arc::new(Starts::of(name)),
            ends: Arc::default(),
            ended: Arc::default(),
        };
        let (this, name, name_servers) = (sender.clone(), name.to_owned(), name_servers.to_vec());
        let program = Program { plan: plan.clone(), keys, keys_of: keys_of.to_owned(), topics: around.topics.clone() };
        let around = around.clone();
        host.run(async move {
            while !this.ends.load(Ordering::Relaxed) {
                let attempt = this.starts.next();
                let mut client =
                    ClientOptions::new(String::from("P"), name_servers.clone(), None, None, None, Timing::default());
                client.client_id = format!("{}@{name}#{attempt}", host.ip());
                let client = Client::start(client, Arc::new(Listener { name: name.clone(), says: around.says }));
                let history = around.histories.history(&this.starts.current());
                this.live(&client, program.plan.options(&program.topics, history), &program).await;
                client.close().await;
            }
            this.ended.notify_one();
        });
        sender
    }

    async fn live(&self, client: &Arc<Client>, options: ProducerOptions, program: &Program) {
        let mailbox = Arc::new(Mailbox::default());
        let producer = Producer::new(Arc::clone(client), options, Arc::clone(&mailbox) as _);
        if !matches!(timeout(BOUND, producer.start()).await, Ok(Ok(()))) {
            producer.close(BOUND).await;
            return sleep(Duration::from_secs(1)).await;
        }
        let slots = Arc::new(Mutex::new(Slots::default()));
        let hears = spawn(hear(Arc::clone(&producer), mailbox, Arc::clone(&slots), self.event_loop.clone()));
        while !self.ends.load(Ordering::Relaxed) {
            self.event_loop.turn().await;
            program.burst(&producer, &slots);
            let pause = u64::try_from(program.plan.pause.as_millis()).unwrap_or(0);
            sleep(Duration::from_millis(below(2 * pause + 1))).await;
        }
        producer.close(Duration::from_secs(30)).await;
        hears.abort();
    }

    /// No more calls; resolves when all of them have ended.
    pub(crate) async fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
        self.ended.notified().await;
    }
}

/// What it sends.
#[derive(Clone)]
struct Program {
    plan: ProducerPlan,
    keys: u64,
    keys_of: String,
    topics: Vec<String>,
}

impl Program {
    fn burst(&self, producer: &Arc<Producer<Arc<Client>>>, slots: &Mutex<Slots>) {
        for _ in 0..=below(2 * self.plan.burst) {
            let sharding_key = format!("{}-{}", self.keys_of, below(self.keys));
            let topic = pick(&self.topics).cloned().unwrap_or_default();
            let body = Bytes::from(vec![b'x'; self.plan.body]);
            let slot = slots.lock().unwrap_or_else(PoisonError::into_inner).take();
            let called = if chance(self.plan.batches) {
                let messages = vec![Content { body, ..Content::default() }; usize::try_from(2 + below(4)).unwrap_or(2)];
                producer.send_batch(OutgoingBatch { slot, topic, sharding_key, messages, timeout: None })
            } else {
                producer.send(Outgoing { slot, topic, sharding_key, body, ..Outgoing::default() })
            };
            if called.is_err() {
                slots.lock().unwrap_or_else(PoisonError::into_inner).give_back(slot);
            }
        }
    }
}

/// Looks at what was decided, in turns.
async fn hear(
    producer: Arc<Producer<Arc<Client>>>,
    mailbox: Arc<Mailbox>,
    slots: Arc<Mutex<Slots>>,
    event_loop: EventLoop,
) {
    loop {
        mailbox.rang.notified().await;
        // What the event loop has to do before it looks: it may call again meanwhile.
        if chance(0.2) {
            sleep(Duration::from_millis(below(50))).await;
        }
        event_loop.turn().await;
        let mut gathered = Vec::new();
        loop {
            let next = mailbox.said.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match next {
                Some(Said::Ended { slot, failure }) => {
                    slots.lock().unwrap_or_else(PoisonError::into_inner).give_back(slot);
                    if let Some(Failure { topic, sharding_key, .. }) = failure {
                        producer.heard(&topic, &sharding_key);
                    }
                }
                Some(Said::Gathered(lane)) => gathered.push(lane),
                None => break,
            }
        }
        event_loop.turn().await;
        producer.turned(&gathered);
    }
}

impl ProducerPlan {
    fn options(&self, topics: &[String], history: History) -> ProducerOptions {
        ProducerOptions {
            group: String::from("P"),
            topics: topics.to_vec(),
            sharding_hash: ShardingHash::Java,
            batching: self.batching,
            send_timeout: self.send_timeout,
            max_pending_messages: 100_000,
            max_pending_bytes: 64 * 1024 * 1024,
            gather: Duration::from_millis(5),
            on_route_change: if self.holds { OnRouteChange::Hold } else { OnRouteChange::Follow },
            max_message_bytes: 4 * 1024 * 1024,
            compression: None,
            compress_over_bytes: 4096,
            history,
        }
    }
}
