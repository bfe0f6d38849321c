//! Keeps the locks at one broker: requests for them, renews them together, gives them back.
//!
//! One request at a time, so that a renewal and an unlock of one queue are never in flight together: a renewal that arrives
//! after the unlock would lock the queue for a client that has gone.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::lease::Lease;
use crate::client::CallError;
use crate::consumer::brokers::Brokers;
use crate::consumer::gate::Tenure;
use crate::consumer::queue::{Queue, Wanted};
use crate::consumer::record;
use crate::consumer::shared::Shared;
use crate::env::{self, Backoff, Instant, planted};
use crate::error::ClientError;
use crate::protocol::{LockQueues, MessageQueue, UnlockQueues};
use crate::record::event::Phase;

/// How often the clocks are compared.
const WATCH: Duration = Duration::from_secs(1);
/// An unlock that may have been overtaken by a late lock is repeated after this time.
const STRAGGLER: Duration = Duration::from_secs(1);
/// How long a lock request without an answer may still take effect.
const LATE: Duration = Duration::from_secs(10);
/// An unlock that fails is tried this often.
const UNLOCK_ATTEMPTS: u32 = 3;
/// The answer to a first lock.
#[derive(Debug)]
pub(crate) enum LockAnswer {
    /// Ours; the gate knows.
    Granted,
    /// Somebody else's.
    Refused,
    /// Unknown.
    Failed(ClientError),
}

/// What actors ask for.
#[derive(Debug)]
pub(super) enum LockRequest {
    /// Lock this queue and renew it from then on.
    Lock(Arc<Queue>, oneshot::Sender<LockAnswer>),
    /// Unlock it; answered when the broker has, or when it was tried often enough.
    Unlock(Arc<Queue>, oneshot::Sender<()>),
}

/// Keeps the locks at one broker until nobody requests for any. After a panic it begins anew, in doubt of all the locks it had.
pub(super) async fn run<B: Brokers>(
    shared: Arc<Shared<B>>,
    broker_name: String,
    mut requests: mpsc::UnboundedReceiver<LockRequest>,
) {
    let mut locks = BrokerLocks::new(Arc::clone(&shared), broker_name.clone());
    while let Err(panic) = env::caught(locks.run(&mut requests)).await {
        let text = format!("the locks at {broker_name} are asked for anew, as keeping them has failed");
        shared.warn(ClientError::panicked(&text, &panic));
        tokio::time::sleep(WATCH).await;
        locks = BrokerLocks::new(Arc::clone(&shared), broker_name.clone());
        locks.resume();
    }
}

/// Queues by number, so that requests list them in a steady order.
type ByIndex = BTreeMap<u32, Arc<Queue>>;

struct Unlocking {
    queue: Arc<Queue>,
    reply: oneshot::Sender<()>,
    attempts: u32,
    not_before: Instant,
}

/// What is held at one broker, asked for, and given back.
struct BrokerLocks<B> {
    shared: Arc<Shared<B>>,
    broker_name: String,
    held: ByIndex,
    locking: Vec<(Arc<Queue>, oneshot::Sender<LockAnswer>)>,
    unlocking: Vec<Unlocking>,
    /// To be unlocked once more, at that time.
    stragglers: BTreeMap<u32, (Arc<Queue>, Instant)>,
    /// A lock request without an answer may take effect until then.
    late_until: Option<Instant>,
    renew_at: Instant,
    pause: Backoff,
    /// Doubts that a lock request is on its way to settle.
    doubtful: bool,
    address: Option<String>,
    losses: Option<watch::Receiver<u64>>,
}

impl<B: Brokers> BrokerLocks<B> {
    fn new(shared: Arc<Shared<B>>, broker_name: String) -> Self {
        let timing = shared.brokers.timing();
        let (pause, renew_at) = (Backoff::new(timing.backoff.0, timing.backoff.1), env::now() + timing.lock_renewal);
        Self {
            shared,
            broker_name,
            held: ByIndex::new(),
            locking: Vec::new(),
            unlocking: Vec::new(),
            stragglers: BTreeMap::new(),
            late_until: None,
            renew_at,
            pause,
            doubtful: false,
            address: None,
            losses: None,
        }
    }

    /// Takes over from one that has failed: locks that are ours are renewed, and those of queues that nobody wants given back by their actors.
    fn resume(&mut self) {
        let ours = self.shared.queues.all().into_iter().filter(|queue| queue.real.broker_name == self.broker_name);
        let held = ours.filter(|queue| !matches!(queue.gate.tenure(), Tenure::Absent | Tenure::Lost));
        self.held = held.map(|queue| (queue.index, queue)).collect();
        // What it asked for last may still take effect.
        self.late_until = Some(env::now() + LATE);
        self.doubt_all();
    }

    async fn run(&mut self, requests: &mut mpsc::UnboundedReceiver<LockRequest>) {
        let mut open = true;
        while open || !self.unlocking.is_empty() || !self.stragglers.is_empty() {
            while let Ok(request) = requests.try_recv() {
                self.note(request);
            }
            self.look();
            let now = env::now();
            if self.unlocks_due(now) {
                self.unlock(now).await;
            } else if !self.locking.is_empty() || (!self.held.is_empty() && self.renew_at <= now) {
                self.lock().await;
            } else {
                let next = self.next(now);
                tokio::select! {
                    request = requests.recv(), if open => match request {
                        Some(request) => self.note(request),
                        None => open = false,
                    },
                    () = lost(&mut self.losses) => self.doubt_all(),
                    () = tokio::time::sleep_until(next) => {}
                }
            }
        }
    }

    fn note(&mut self, request: LockRequest) {
        match request {
            LockRequest::Lock(queue, reply) => {
                self.stragglers.remove(&queue.index);
                self.locking.push((queue, reply));
            }
            LockRequest::Unlock(queue, reply) => {
                self.held.remove(&queue.index);
                self.unlocking.push(Unlocking { queue, reply, attempts: 0, not_before: env::now() });
            }
        }
    }

    /// Looks at what may have changed by itself: the master's address, the clocks, locks that were given up.
    fn look(&mut self) {
        let address = self.shared.brokers.master(&self.broker_name);
        if address != self.address {
            // Another master has another table of locks.
            self.losses = address.as_deref().map(|address| self.shared.brokers.losses(address));
            let known = self.address.is_some();
            self.address = address;
            if known {
                self.doubt_all();
            }
        }
        if self.losses.as_mut().is_some_and(|losses| losses.has_changed().unwrap_or(false)) {
            self.losses.as_mut().map(watch::Receiver::borrow_and_update);
            self.doubt_all();
        }
        self.held.retain(|_, queue| !matches!(queue.gate.tenure(), Tenure::Absent | Tenure::Lost));
        let slept = self.held.values().any(|queue| queue.gate.slept());
        let doubtful = self.held.values().any(|queue| matches!(queue.gate.tenure(), Tenure::Doubtful(_)));
        if slept {
            self.doubt_all();
        } else if doubtful && !self.doubtful {
            // A gate has noticed before us.
            self.doubtful = true;
            self.renew_at = env::now();
        }
    }

    /// Nothing starts at this broker's queues until their locks are granted anew, which is asked for at once.
    fn doubt_all(&mut self) {
        let mut news = false;
        for queue in self.held.values() {
            news |= queue.gate.doubt();
        }
        if news {
            self.doubtful = true;
            self.pause.reset();
            self.renew_at = env::now();
        }
    }

    fn next(&self, now: Instant) -> Instant {
        let unlocks = self.unlocking.iter().map(|unlocking| unlocking.not_before);
        let stragglers = self.stragglers.values().map(|(_, at)| *at);
        let renewal = (!self.held.is_empty()).then_some(self.renew_at);
        unlocks.chain(stragglers).chain(renewal).fold(now + WATCH, Instant::min)
    }

    /// One 41 for everything at this broker: what is asked for and what is to be renewed.
    async fn lock(&mut self) {
        let locking = std::mem::take(&mut self.locking);
        let mut asked = self.held.clone();
        asked.extend(locking.iter().map(|(queue, _)| (queue.index, Arc::clone(queue))));
        let length = self.shared.brokers.timing().lease;
        let Some(lease) = asked.values().next().map(|queue| queue.gate.lease(length)) else { return };
        let request = LockQueues {
            client_id: self.shared.brokers.id().to_owned(),
            group: self.shared.group.name.clone(),
            queues: asked.values().map(|queue| queue.real.clone()).collect(),
        };
        let timeout = self.shared.brokers.timing().lock_timeout;
        match self.shared.ask_master(&self.broker_name, &request, timeout).await {
            Ok(granted) => self.answered(&granted, lease, locking),
            Err(_) if planted("take a lock without an answer") => self.answered(&request.queues, lease, locking),
            Err(error) => self.unanswered(&error, locking),
        }
    }

    fn answered(
        &mut self,
        granted: &[MessageQueue],
        lease: Lease,
        locking: Vec<(Arc<Queue>, oneshot::Sender<LockAnswer>)>,
    ) {
        self.pause.reset();
        self.doubtful = false;
        self.renew_at = env::now() + self.shared.brokers.timing().lock_renewal;
        let granted: HashSet<&MessageQueue> = granted.iter().collect();
        self.held.retain(|_, queue| {
            let ours = granted.contains(&queue.real) || planted("ignore a refusal");
            if ours {
                queue.gate.renewed(lease);
            } else {
                queue.gate.refused();
            }
            ours
        });
        for (queue, reply) in locking {
            if granted.contains(&queue.real) {
                queue.gate.granted(lease);
                self.held.insert(queue.index, Arc::clone(&queue));
                let _ = reply.send(LockAnswer::Granted);
            } else {
                let _ = reply.send(LockAnswer::Refused);
            }
        }
    }

    fn unanswered(&mut self, error: &CallError, locking: Vec<(Arc<Queue>, oneshot::Sender<LockAnswer>)>) {
        if error.is_uncertain() {
            self.late_until = Some(env::now() + LATE);
        }
        self.doubt_all();
        self.renew_at = env::now() + self.pause.next();
        // Whoever closes need not wait for a broker that has gone.
        for queue in self.held.values() {
            queue.gate.nudge();
        }
        let error = error.clone().into_error();
        for (_, reply) in locking {
            let _ = reply.send(LockAnswer::Failed(error.clone()));
        }
    }

    fn unlocks_due(&self, now: Instant) -> bool {
        self.unlocking.iter().any(|unlocking| unlocking.not_before <= now)
            || self.stragglers.values().any(|(_, at)| *at <= now)
    }

    /// One 42 for everything that is to be unlocked now.
    async fn unlock(&mut self, now: Instant) {
        let (due, waiting) =
            std::mem::take(&mut self.unlocking).into_iter().partition(|unlocking| unlocking.not_before <= now);
        self.unlocking = waiting;
        let mut due: Vec<Unlocking> = due;
        let late: Vec<u32> =
            self.stragglers.iter().filter(|(_, (_, at))| *at <= now).map(|(index, _)| *index).collect();
        let stragglers: Vec<_> =
            late.iter().filter_map(|index| self.stragglers.remove(index)).map(|(queue, _)| queue).collect();
        let request = UnlockQueues {
            client_id: self.shared.brokers.id().to_owned(),
            group: self.shared.group.name.clone(),
            queues: due.iter().map(|unlocking| &unlocking.queue).chain(&stragglers).map(|q| q.real.clone()).collect(),
        };
        let timing = self.shared.brokers.timing();
        let (timeout, pause) = (timing.lock_timeout, timing.relock_fast);
        for unlocking in &due {
            unlocking.queue.gate.record.unlock(Phase::Sent);
        }
        let result = self.shared.ask_master(&self.broker_name, &request, timeout).await;
        for unlocking in &due {
            unlocking.queue.gate.record.unlock(record::phase(result.is_ok()));
        }
        let now = env::now();
        let is_gone = result.is_err() && self.shared.unreachable(&self.broker_name).is_some();
        let unsure = self.late_until.is_some_and(|until| now < until);
        for mut unlocking in due.drain(..) {
            unlocking.attempts += 1;
            // Its locks are gone with it, and whoever closes waits for nothing that cannot be.
            let is_hopeless = is_gone && *unlocking.queue.wanted.borrow() == Wanted::Never;
            if result.is_ok() || unlocking.attempts == UNLOCK_ATTEMPTS || is_hopeless {
                if unsure || result.is_err() {
                    self.stragglers.insert(unlocking.queue.index, (Arc::clone(&unlocking.queue), now + STRAGGLER));
                }
                let _ = unlocking.reply.send(());
            } else {
                unlocking.not_before = now + env::jittered(pause);
                self.unlocking.push(unlocking);
            }
        }
    }
}

async fn lost(losses: &mut Option<watch::Receiver<u64>>) {
    match losses {
        Some(losses) => {
            if losses.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        None => std::future::pending().await,
    }
}
