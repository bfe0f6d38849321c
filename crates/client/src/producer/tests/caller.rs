//! The side that calls, as the facade does it: FIFOs of refused lanes, and deliveries in turns of their own.

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

use super::cluster::Cluster;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code, Outcome};
use crate::producer::{
    Admission, Calls, Content, FailureKey, Outgoing, OutgoingBatch, Producer, ProducerOptions, Receipt, StoredRun,
    StoredSend,
};

/// What the producer has said and the caller has not looked at yet.
#[derive(Debug)]
enum Said {
    Settled { slot: u32, result: Result<Vec<Receipt>, ClientError>, failure: Option<FailureKey> },
    Room(u32),
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) result: Result<Vec<Receipt>, ClientError>,
    /// When the producer, or the caller itself, decided it.
    pub(super) at: Instant,
}

#[derive(Debug, Default)]
struct Mailbox {
    said: Mutex<VecDeque<(Instant, Said)>>,
    rang: Notify,
}

impl Mailbox {
    fn put(&self, said: Said) {
        self.said.lock().unwrap().push_back((env::now(), said));
        self.rang.notify_one();
    }
}

impl Calls for Mailbox {
    fn stored(&self, run: StoredRun) {
        let StoredRun { status, queue, queue_offset, offset_msg_ids, sends } = run;
        let mut offset_msg_ids = offset_msg_ids.split(',').map(str::to_owned);
        for (send, queue_offset) in sends.into_iter().zip(queue_offset..) {
            let StoredSend { slot, msg_id } = send;
            let offset_msg_id = offset_msg_ids.next().unwrap();
            let receipt = Receipt { status, msg_id, offset_msg_id, queue: Arc::clone(&queue), queue_offset };
            self.put(Said::Settled { slot, result: Ok(vec![receipt]), failure: None });
        }
    }

    fn failed(&self, slot: u32, error: ClientError, failure: Option<FailureKey>) {
        self.put(Said::Settled { slot, result: Err(error), failure });
    }

    fn settle_batch(&self, slot: u32, result: Result<Vec<Receipt>, ClientError>, failure: Option<FailureKey>) {
        self.put(Said::Settled { slot, result, failure });
    }

    fn room(&self, lane: u32) {
        self.put(Said::Room(lane));
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
    /// By lane.
    pub(super) fifos: HashMap<u32, VecDeque<usize>>,
    keys: HashMap<(String, String), (u32, usize)>,
    /// Failures as they were delivered: the call that failed and how many calls had been made.
    pub(super) failures: Vec<(usize, usize)>,
}

pub(super) struct Caller {
    pub(super) producer: Arc<Producer<Arc<Cluster>>>,
    mailbox: Arc<Mailbox>,
    pub(super) inner: Mutex<Inner>,
    send_timeout: Duration,
}

impl Caller {
    pub(super) fn new(cluster: &Arc<Cluster>, options: ProducerOptions) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let send_timeout = options.send_timeout;
        let producer = Producer::new(Arc::clone(cluster), options, Arc::clone(&mailbox) as _);
        Self { producer, mailbox, inner: Mutex::default(), send_timeout }
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
        let waits = self.inner.lock().unwrap().keys.get(&(topic.to_owned(), key.to_owned())).map(|&(lane, _)| lane);
        if let Some(lane) = waits.or_else(|| self.offer(call, false)) {
            self.wait(call, lane);
        }
        call
    }

    fn offer(&self, call: usize, feeding: bool) -> Option<u32> {
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
        let admission = if it.batch {
            let messages = it.bodies.iter().map(content).collect();
            let batch = OutgoingBatch { slot, topic: it.topic, sharding_key: it.key, messages, timeout };
            self.producer.send_batch(batch, feeding)
        } else {
            let body = Bytes::from(it.bodies[0].clone());
            let message =
                Outgoing { slot, topic: it.topic, sharding_key: it.key, body, timeout, ..Outgoing::default() };
            self.producer.send(message, feeding)
        };
        let lane = match admission {
            Ok(Admission::Taken) => return None,
            Ok(Admission::Full { lane }) => Some(lane),
            Err(error) => {
                self.end(call, Err(error));
                None
            }
        };
        self.inner.lock().unwrap().slots[slot as usize] = None;
        lane
    }

    fn wait(&self, call: usize, lane: u32) {
        let mut inner = self.inner.lock().unwrap();
        let key = (inner.calls[call].topic.clone(), inner.calls[call].key.clone());
        let entry = inner.keys.entry(key).or_insert((lane, 0));
        assert_eq!(entry.0, lane, "a key waits for two lanes");
        entry.1 += 1;
        inner.fifos.entry(lane).or_default().push_back(call);
    }

    /// Takes a call out of its FIFO.
    fn forget(&self, call: usize, lane: u32) {
        let is_empty = {
            let mut inner = self.inner.lock().unwrap();
            let key = (inner.calls[call].topic.clone(), inner.calls[call].key.clone());
            let fifo = inner.fifos.get_mut(&lane).unwrap();
            fifo.retain(|&it| it != call);
            let is_empty = fifo.is_empty();
            if is_empty {
                inner.fifos.remove(&lane);
            }
            let entry = inner.keys.get_mut(&key).unwrap();
            entry.1 -= 1;
            if entry.1 == 0 {
                inner.keys.remove(&key);
            }
            is_empty
        };
        if is_empty {
            self.producer.drained(lane);
        }
    }

    fn end(&self, call: usize, result: Result<Vec<Receipt>, ClientError>) {
        self.end_at(call, result, env::now());
    }

    fn end_at(&self, call: usize, result: Result<Vec<Receipt>, ClientError>, at: Instant) {
        let before = self.inner.lock().unwrap().ended.insert(call, Ended { result, at });
        assert!(before.is_none(), "call {call} was settled twice");
    }

    /// The calls of a key that wait here, in order.
    fn waiting(&self, topic: &str, key: &str) -> Vec<(usize, u32)> {
        let inner = self.inner.lock().unwrap();
        let Some(&(lane, _)) = inner.keys.get(&(topic.to_owned(), key.to_owned())) else { return Vec::new() };
        let of_key = |&&call: &&usize| inner.calls[call].topic == topic && inner.calls[call].key == key;
        inner.fifos[&lane].iter().filter(of_key).map(|&call| (call, lane)).collect()
    }

    /// Looks at one thing the producer has said. False when there is none.
    pub(super) fn deliver_one(&self) -> bool {
        let Some((at, said)) = self.mailbox.said.lock().unwrap().pop_front() else { return false };
        match said {
            Said::Room(lane) => self.feed(lane),
            Said::Settled { slot, result, failure } => {
                let call = self.inner.lock().unwrap().slots[slot as usize].take().expect("a slot is settled twice");
                self.end_at(call, result, at);
                if let Some(FailureKey { topic, sharding_key }) = failure {
                    for (call, lane) in self.waiting(&topic, &sharding_key) {
                        self.forget(call, lane);
                        self.end(call, Err(ClientError::new(Code::OrderBroken, "").with_outcome(Outcome::NotStored)));
                    }
                    let mut inner = self.inner.lock().unwrap();
                    let calls = inner.calls.len();
                    inner.failures.push((call, calls));
                    drop(inner);
                    self.producer.heard(&topic, &sharding_key);
                }
            }
        }
        true
    }

    pub(super) fn deliver(&self) {
        while self.deliver_one() {}
    }

    fn feed(&self, lane: u32) {
        loop {
            let next = self.inner.lock().unwrap().fifos.get(&lane).and_then(|fifo| fifo.front().copied());
            let Some(call) = next else { return };
            if let Some(full) = self.offer(call, true) {
                assert_eq!(full, lane, "fed messages stay in their lane");
                return;
            }
            self.forget(call, lane);
        }
    }

    /// Ends calls that wait here: aborted ones and those whose time is up, and what of their keys waits behind them.
    pub(super) fn take_out(&self, due: impl Fn(usize, &Call) -> Option<Code>) {
        let waiting: Vec<usize> = {
            let inner = self.inner.lock().unwrap();
            let mut waiting: Vec<usize> = inner.fifos.values().flatten().copied().collect();
            waiting.sort_unstable();
            waiting
        };
        for call in waiting {
            let it = {
                let inner = self.inner.lock().unwrap();
                if inner.ended.contains_key(&call) {
                    continue;
                }
                inner.calls[call].clone()
            };
            let Some(code) = due(call, &it) else { continue };
            for (behind, lane) in self.waiting(&it.topic, &it.key).into_iter().filter(|&(other, _)| other >= call) {
                let code = if behind == call { code } else { Code::OrderBroken };
                self.forget(behind, lane);
                self.end(behind, Err(ClientError::new(code, "").with_outcome(Outcome::NotStored)));
            }
        }
    }

    /// Fires a signal.
    pub(super) fn abort(&self, call: usize) {
        let slot = self.inner.lock().unwrap().slots.iter().position(|&slot| slot == Some(call));
        match slot {
            Some(slot) => self.producer.abort(u32::try_from(slot).unwrap()),
            None => self.take_out(|it, _| (it == call).then_some(Code::Aborted)),
        }
    }

    /// Delivers what is said until these calls have ended.
    pub(super) async fn until(&self, calls: impl IntoIterator<Item = usize>) -> Vec<Ended> {
        let mut ended = Vec::new();
        for call in calls {
            loop {
                self.deliver();
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

    /// Calls that wait here.
    pub(super) fn waits(&self) -> usize {
        self.inner.lock().unwrap().fifos.values().map(VecDeque::len).sum()
    }
}
