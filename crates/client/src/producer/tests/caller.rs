//! The side that calls, as the facade does it: what was decided is looked at in turns of its own.

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

use super::cluster::Cluster;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code, Outcome};
use crate::producer::{
    Calls, Content, FailedRun, Failure, Gathered, Outgoing, OutgoingBatch, Producer, ProducerOptions, Receipt,
    Settlement, ShardingHash, StoredRun, StoredSend,
};

/// What the producer has decided and the caller has not looked at yet.
#[derive(Debug)]
struct Said {
    slot: u32,
    result: Result<Vec<Receipt>, ClientError>,
    attempts: u32,
    failure: Option<Failure>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) result: Result<Vec<Receipt>, ClientError>,
    /// How many requests have carried it.
    pub(super) attempts: u32,
    /// When the producer, or the caller itself, decided it.
    pub(super) at: Instant,
}

#[derive(Debug, Default)]
struct Mailbox {
    said: Mutex<VecDeque<(Instant, Said)>>,
    runs: Mutex<Vec<(usize, Option<u64>, u64)>>,
    gathered: Mutex<Vec<Gathered>>,
    /// Topics that it has to choose for.
    undecided: Mutex<Vec<String>>,
    rang: Notify,
    /// A defect: failures cannot be told.
    planted: AtomicBool,
}

impl Mailbox {
    fn put(&self, slot: u32, result: Result<Vec<Receipt>, ClientError>, attempts: u32, failure: Option<Failure>) {
        self.said.lock().unwrap().push_back((env::now(), Said { slot, result, attempts, failure }));
    }
}

impl Calls for Mailbox {
    fn settled(&self, settlements: Vec<Settlement>) {
        for settlement in settlements {
            match settlement {
                Settlement::Stored(StoredRun { status, queue, queue_offset, offset_msg_ids, sends, gathered }) => {
                    self.gathered.lock().unwrap().push(gathered);
                    let mut offset_msg_ids = offset_msg_ids.split(',').map(str::to_owned);
                    for (send, queue_offset) in sends.into_iter().zip(queue_offset..) {
                        let StoredSend { slot, msg_id, attempts } = send;
                        let offset_msg_id = offset_msg_ids.next().unwrap();
                        let queue = Arc::clone(&queue);
                        let receipt = Receipt { status, msg_id, offset_msg_id, queue, queue_offset };
                        self.put(slot, Ok(vec![receipt]), attempts, None);
                    }
                }
                Settlement::Batch { slot, receipts, attempts } => self.put(slot, Ok(receipts), attempts, None),
                Settlement::Failed(FailedRun { slots, error, mut failure, cause, attempts }) => {
                    assert!(!self.planted.load(Ordering::Relaxed), "planted at a failure");
                    let number = failure.as_ref().map(|failure| failure.number);
                    self.runs.lock().unwrap().push((slots.len(), number, cause));
                    assert!(failure.is_none() || slots.len() == 1, "what closes a key is alone in its run");
                    for slot in slots {
                        self.put(slot, Err(error.clone()), attempts, failure.take());
                    }
                }
            }
        }
    }

    fn undecided(&self, topic: &str) {
        self.undecided.lock().unwrap().push(topic.to_owned());
        self.rang.notify_one();
    }

    fn ring(&self) {
        self.rang.notify_one();
    }
}

/// One call: a message, or a batch when it has several bodies.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) topic: String,
    pub(super) key: String,
    pub(super) bodies: Vec<String>,
    pub(super) batch: bool,
    pub(super) timeout: Duration,
    pub(super) called: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) calls: Vec<Call>,
    pub(super) ended: BTreeMap<usize, Ended>,
    slots: Vec<Option<usize>>,
    /// Failures as they were delivered: the call that failed and how many calls had been made.
    pub(super) failures: Vec<(usize, usize)>,
}

pub(super) struct Caller {
    pub(super) producer: Arc<Producer<Arc<Cluster>>>,
    mailbox: Arc<Mailbox>,
    pub(super) inner: Mutex<Inner>,
    send_timeout: Duration,
    /// Its own hash: an index of so many queues, or none, and then it refuses.
    hash: Mutex<Option<Hash>>,
}

/// What a caller chooses for a key.
type Hash = Box<dyn FnMut(&str, usize) -> Option<usize> + Send>;

impl Caller {
    pub(super) fn new(cluster: &Arc<Cluster>, options: ProducerOptions) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let send_timeout = options.send_timeout;
        let producer = Producer::new(Arc::clone(cluster), options, Arc::clone(&mailbox) as _);
        Self { producer, mailbox, inner: Mutex::default(), send_timeout, hash: Mutex::default() }
    }

    /// It chooses by itself, as the facade does it for a function of the user's.
    pub(super) fn choose_by(&self, hash: impl FnMut(&str, usize) -> Option<usize> + Send + 'static) {
        *self.hash.lock().unwrap() = Some(Box::new(hash));
    }

    /// At the call of a send. False when it refuses.
    fn chooses(&self, topic: &str, key: &str) -> bool {
        if self.producer.core.with(|state, _| state.options.sharding_hash) != ShardingHash::Caller {
            return true;
        }
        let mut hash = self.hash.lock().unwrap();
        let hash = hash.as_mut().expect("no hash");
        while let Some(list) = self.producer.queue_list(topic) {
            let Some(index) = hash(key, list.queues.len()) else { return false };
            if self.producer.choose(topic, key, list.number, index) {
                break;
            }
        }
        true
    }

    /// Answers what it was asked.
    pub(super) fn decide(&self) {
        for topic in std::mem::take(&mut *self.mailbox.undecided.lock().unwrap()) {
            let mut hash = self.hash.lock().unwrap();
            let hash = hash.as_mut().expect("asked without a hash");
            while let Some((list, keys)) = self.producer.undecided(&topic) {
                let all = keys.iter().all(|key| {
                    if let Some(index) = hash(key, list.queues.len()) {
                        return self.producer.choose(&topic, key, list.number, index);
                    }
                    self.producer.refuse(&topic, key, "shardingHash: refuses");
                    true
                });
                if all {
                    self.producer.decided(&topic);
                    break;
                }
            }
        }
    }

    /// From now on it panics when it is told of a failure.
    pub(super) fn plant(&self) {
        self.mailbox.planted.store(true, Ordering::Relaxed);
    }

    /// Calls `sendOrderly`; the number of the call.
    pub(super) fn send(&self, key: &str, body: &str) -> usize {
        self.call("T", key, &[body], false, None)
    }

    /// Calls `sendOrderly` and lets it get onto the wire.
    pub(super) async fn launch(&self, cluster: &Cluster, key: &str, body: &str) -> usize {
        let before = cluster.inner().seized.len();
        let call = self.send(key, body);
        while cluster.inner().seized.len() == before {
            tokio::task::yield_now().await;
        }
        call
    }

    pub(super) fn send_batch(&self, key: &str, bodies: &[&str]) -> usize {
        self.call("T", key, bodies, true, None)
    }

    pub(super) fn call(
        &self,
        topic: &str,
        key: &str,
        bodies: &[&str],
        batch: bool,
        timeout: Option<Duration>,
    ) -> usize {
        let call = {
            let mut inner = self.inner.lock().unwrap();
            inner.calls.push(Call {
                topic: topic.to_owned(),
                key: key.to_owned(),
                bodies: bodies.iter().map(|&body| body.to_owned()).collect(),
                batch,
                timeout: timeout.unwrap_or(self.send_timeout),
                called: env::now(),
            });
            inner.calls.len() - 1
        };
        self.offer(call);
        call
    }

    fn offer(&self, call: usize) {
        let (slot, it) = {
            let mut inner = self.inner.lock().unwrap();
            let slot = inner.slots.iter().position(Option::is_none).unwrap_or(inner.slots.len());
            if slot == inner.slots.len() {
                inner.slots.push(None);
            }
            inner.slots[slot] = Some(call);
            (u32::try_from(slot).unwrap(), inner.calls[call].clone())
        };
        let timeout =
            Some((it.called + it.timeout).saturating_duration_since(env::now()).max(Duration::from_millis(1)));
        let content = |body: &String| Content { body: Bytes::from(body.clone()), ..Content::default() };
        let admission = if !self.chooses(&it.topic, &it.key) {
            Err(ClientError::new(Code::InvalidArgument, "shardingHash: refuses").with_outcome(Outcome::NotStored))
        } else if it.batch {
            let messages = it.bodies.iter().map(content).collect();
            let batch = OutgoingBatch { slot, topic: it.topic, sharding_key: it.key, messages, timeout };
            self.producer.send_batch(batch)
        } else {
            let body = Bytes::from(it.bodies[0].clone());
            let message =
                Outgoing { slot, topic: it.topic, sharding_key: it.key, body, timeout, ..Outgoing::default() };
            self.producer.send(message)
        };
        if let Err(error) = admission {
            self.end(call, Err(error));
            self.inner.lock().unwrap().slots[slot as usize] = None;
        }
    }

    fn end(&self, call: usize, result: Result<Vec<Receipt>, ClientError>) {
        self.end_at(call, result, 0, env::now());
    }

    fn end_at(&self, call: usize, result: Result<Vec<Receipt>, ClientError>, attempts: u32, at: Instant) {
        let before = self.inner.lock().unwrap().ended.insert(call, Ended { result, attempts, at });
        assert!(before.is_none(), "call {call} was settled twice");
    }

    /// Looks at one thing the producer has decided. False when there is none.
    pub(super) fn deliver_one(&self) -> bool {
        let Some((at, Said { slot, result, attempts, failure })) = self.mailbox.said.lock().unwrap().pop_front() else {
            return false;
        };
        let call = self.inner.lock().unwrap().slots[slot as usize].take().expect("a slot is settled twice");
        self.end_at(call, result, attempts, at);
        if let Some(Failure { topic, sharding_key, .. }) = failure {
            let mut inner = self.inner.lock().unwrap();
            let calls = inner.calls.len();
            inner.failures.push((call, calls));
            drop(inner);
            self.producer.heard(&topic, &sharding_key);
        }
        true
    }

    pub(super) fn deliver(&self) {
        while self.deliver_one() {}
    }

    /// Fires a signal.
    pub(super) fn abort(&self, call: usize) {
        let slot = self.inner.lock().unwrap().slots.iter().position(|&slot| slot == Some(call));
        if let Some(slot) = slot {
            self.producer.abort(&[u32::try_from(slot).unwrap()]);
        }
    }

    /// Fires a signal that several sends share.
    pub(super) fn abort_all(&self, calls: &[usize]) {
        let slots: Vec<u32> = {
            let inner = self.inner.lock().unwrap();
            let slot_of = |call| inner.slots.iter().position(|&slot| slot == Some(call)).unwrap();
            calls.iter().map(|&call| u32::try_from(slot_of(call)).unwrap()).collect()
        };
        self.producer.abort(&slots);
    }

    /// Says that all whose sends were stored have had their turn.
    pub(super) fn turn(&self) {
        let gathered = std::mem::take(&mut *self.mailbox.gathered.lock().unwrap());
        self.producer.turned(&gathered);
    }

    /// The runs of failures so far: how many sends, the number of the failure, and of what has caused it.
    pub(super) fn runs(&self) -> Vec<(usize, Option<u64>, u64)> {
        self.mailbox.runs.lock().unwrap().clone()
    }

    /// Delivers what is said until these calls have ended.
    pub(super) async fn until(&self, calls: impl IntoIterator<Item = usize>) -> Vec<Ended> {
        let mut ended = Vec::new();
        for call in calls {
            loop {
                self.deliver();
                self.decide();
                if let Some(it) = self.inner.lock().unwrap().ended.get(&call) {
                    ended.push(it.clone());
                    break;
                }
                self.mailbox.rang.notified().await;
            }
        }
        ended
    }

    /// Waits for one call; its receipt.
    pub(super) async fn receipt(&self, call: usize) -> Receipt {
        let ended = self.until([call]).await.remove(0);
        ended.result.expect("a receipt").remove(0)
    }

    /// Waits for one call; its error.
    pub(super) async fn error(&self, call: usize) -> ClientError {
        let ended = self.until([call]).await.remove(0);
        ended.result.expect_err("an error")
    }

    pub(super) fn has_ended(&self, call: usize) -> bool {
        self.inner.lock().unwrap().ended.contains_key(&call)
    }
}
