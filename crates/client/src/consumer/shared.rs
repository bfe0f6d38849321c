//! What all tasks of one consumer share.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::agreement::Others;
use super::brokers::Brokers;
use super::budget::Budget;
use super::gate::Gate;
use super::gathering::Gathering;
use super::keeper::Ask;
use super::lease::Wall;
use super::notes::Notes;
use super::options::ConsumerOptions;
use super::queue::{Queue, Queues};
use super::roll::Roll;
use super::sink::Sink;
use super::unread::Unread;
use crate::client::{CallError, Event, Level};
use crate::env::Instant;
use crate::error::{ClientError, Code};
use crate::protocol::{MessageQueue, Request, Subscription};

/// The way to a lock keeper, and its task.
type KeeperHandle = (mpsc::Sender<Ask>, JoinHandle<()>);

/// Between two questions for the routes of a broker that has no master.
const SEEK: Duration = Duration::from_millis(200);
/// Answers that are unpacked at one time.
const UNPACKING: usize = 2;

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Messages whose handler succeeded.
    pub(crate) consumed: AtomicU64,
    /// Failed attempts.
    pub(crate) failed: AtomicU64,
    /// Messages handed to the dead-letter queue.
    pub(crate) dead_lettered: AtomicU64,
}

/// See the module.
pub(crate) struct Shared<B> {
    /// The way to the brokers.
    pub(crate) brokers: B,
    /// The way to the handlers.
    pub(crate) sink: Arc<dyn Sink>,
    /// Nobody takes messages any more: Node's environment has ended.
    pub(crate) sink_gone: AtomicBool,
    /// As given.
    pub(crate) options: ConsumerOptions,
    /// Real name.
    pub(crate) group: String,
    /// Real name.
    pub(crate) retry_topic: String,
    /// The topics that have handlers, real name to user's name.
    pub(crate) topics: HashMap<String, Arc<str>>,
    /// All subscriptions, the retry topic's too. Their versions never change: every pull brings its own expression, so nobody's has to
    /// be the newest, and members that pull by what the broker keeps, as Java's do, are not overruled by ours again and again.
    pub(crate) subscriptions: Vec<Subscription>,
    /// Their places, by topic: every pull needs one.
    subscribed: HashMap<String, usize>,
    /// When routes were last asked for because of a broker without a master, by its name.
    sought: Mutex<HashMap<String, Instant>>,
    notes: Mutex<Notes>,
    /// Memory of all queues.
    pub(crate) budget: Arc<Budget>,
    /// Whoever unpacks much takes one: processors are few, and so are bodies in memory twice.
    pub(crate) unpacking: Arc<Semaphore>,
    /// Every queue there ever was.
    pub(crate) queues: RwLock<Queues>,
    /// The lock keepers by broker name.
    pub(crate) keepers: Mutex<HashMap<String, KeeperHandle>>,
    /// The actors, with their queues.
    pub(crate) actors: Mutex<Vec<(Arc<Queue>, JoinHandle<()>)>>,
    /// Masters whose connection ended and that have not answered since.
    pub(crate) lost_masters: Mutex<BTreeSet<String>>,
    /// Wakes the rebalance.
    pub(crate) wake: Notify,
    /// A broker seems not to know our subscriptions.
    pub(crate) heartbeat_wanted: AtomicBool,
    /// The group's other members, as of the last look.
    pub(super) others: watch::Sender<Others>,
    /// In what members differ.
    differences: Mutex<Vec<ClientError>>,
    /// Who is in the group, and who had which queue.
    pub(crate) roll: Mutex<Roll>,
    /// Wakes who tells of queues that wait.
    pub(crate) standing: Notify,
    /// Wakes who asks how queues stand that wait.
    pub(crate) outlook: Notify,
    /// How often a lock was granted that had been refused: others of the same owner may be free, too.
    pub(crate) freed: watch::Sender<u64>,
    /// Queues that are ours from now on, on their way to be told.
    pub(crate) assigned: Gathering,
    /// Queues that are ours no longer, on their way to be told.
    pub(crate) revoked: Gathering,
    /// Messages in queues that the routes do not let us read.
    pub(crate) unread: Unread,
    /// Counts since the start.
    pub(crate) counters: Counters,
    /// When the consumer was made, ms since 1970.
    pub(crate) started: i64,
}

impl<B> std::fmt::Debug for Shared<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("group", &self.group).finish_non_exhaustive()
    }
}

impl<B: Brokers> Shared<B> {
    /// Nothing runs yet.
    pub(crate) fn new(
        brokers: B,
        options: ConsumerOptions,
        sink: Arc<dyn Sink>,
        group: String,
        subscriptions: Vec<Subscription>,
        topics: HashMap<String, Arc<str>>,
    ) -> Self {
        Self {
            sink,
            sink_gone: AtomicBool::new(false),
            retry_topic: crate::protocol::namespace::retry_topic(&group),
            group,
            topics,
            subscribed: subscriptions.iter().enumerate().map(|(place, it)| (it.topic.clone(), place)).collect(),
            sought: Mutex::default(),
            subscriptions,
            notes: Mutex::default(),
            budget: Budget::new(options.prefetch_bytes),
            unpacking: Arc::new(Semaphore::new(UNPACKING)),
            queues: RwLock::default(),
            keepers: Mutex::default(),
            actors: Mutex::default(),
            lost_masters: Mutex::default(),
            wake: Notify::new(),
            heartbeat_wanted: AtomicBool::new(false),
            others: watch::Sender::default(),
            differences: Mutex::default(),
            roll: Mutex::default(),
            standing: Notify::new(),
            outlook: Notify::new(),
            freed: watch::Sender::new(0),
            assigned: Gathering::of_assigned(),
            revoked: Gathering::of_revoked(),
            unread: Unread::default(),
            counters: Counters::default(),
            started: brokers.wall_ms(),
            options,
            brokers,
        }
    }

    /// Where to begin without a committed offset.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wall clock for gates.
    pub(crate) fn wall(self: &Arc<Self>) -> Wall {
        let shared = Arc::downgrade(self);
        Arc::new(move || shared.upgrade().map_or_else(crate::env::wall_ms, |shared| shared.brokers.wall_ms()))
    }

    /// The subscription of a real topic.
    pub(crate) fn subscription(&self, topic: &str) -> Option<&Subscription> {
        self.subscriptions.get(*self.subscribed.get(topic)?)
    }

    /// In what the group's members differ at the moment.
    pub(crate) fn differences(&self) -> Vec<ClientError> {
        self.differences.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// See [`Shared::differences`].
    pub(crate) fn set_differences(&self, problems: Vec<ClientError>) {
        *self.differences.lock().unwrap_or_else(PoisonError::into_inner) = problems;
    }

    /// The queue of that number.
    pub(crate) fn queue(&self, index: u32) -> Option<Arc<Queue>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).at(index).cloned()
    }

    /// Asks the gate of the queue of that number.
    pub(crate) fn at_gate<T>(&self, index: u32, ask: impl FnOnce(&Gate) -> T) -> Option<T> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).at(index).map(|queue| ask(&queue.gate))
    }

    /// The queue of that real name.
    pub(crate) fn find(&self, name: &MessageQueue) -> Option<Arc<Queue>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).find(name).cloned()
    }

    /// Every queue there ever was, by number.
    pub(crate) fn all_queues(&self) -> Vec<Arc<Queue>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Why nothing can be asked of a broker: no master, or the last attempt to connect to it failed.
    pub(crate) fn unreachable(&self, broker_name: &str) -> Option<ClientError> {
        match self.brokers.master(broker_name) {
            Some(address) => self.brokers.unreachable(&address),
            None => Some(no_master(broker_name)),
        }
    }

    /// Whether this queue's being given up will be told.
    pub(crate) fn expect_revoked(&self, queue: &Queue) {
        if queue.view().is_assigned() {
            self.revoked.expect(queue);
        }
    }

    /// One request to the master of a broker name.
    pub(crate) async fn ask_master<R>(
        &self,
        broker_name: &str,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, CallError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let Some(address) = self.brokers.master(broker_name) else {
            // One may have been chosen, or have registered, since the last look.
            self.seek(broker_name);
            return Err(CallError::NotSent(no_master(broker_name)));
        };
        self.brokers.call(&address, request, timeout).await
    }

    /// Has the routes of a broker looked at again soon. Its queues may be thousands, and each of them comes here.
    fn seek(&self, broker_name: &str) {
        let now = crate::env::now();
        {
            let mut sought = self.sought.lock().unwrap_or_else(PoisonError::into_inner);
            if sought.get(broker_name).is_some_and(|before| now < *before + SEEK) {
                return;
            }
            sought.insert(broker_name.to_owned(), now);
        }
        for topic in self.topics.keys().filter(|topic| self.has_broker(topic, broker_name)) {
            self.brokers.refresh_route(topic);
        }
    }

    fn has_broker(&self, topic: &str, broker_name: &str) -> bool {
        let state = self.brokers.watch_route(topic).borrow().route.clone();
        state.is_some_and(|route| route.queue_datas.iter().any(|queues| queues.broker_name == broker_name))
    }

    /// Has the next rebalance begin with a heartbeat, and soon.
    pub(crate) fn want_heartbeat(&self) {
        self.heartbeat_wanted.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// A record for developers.
    pub(crate) fn debug(&self, queue: &Queue, text: &str) {
        let fields = serde_json::json!({ "queue": queue.shown, "group": self.options.group });
        self.brokers.emit(Event::log(Level::Debug, text, fields));
    }

    /// A fault in the background.
    pub(crate) fn warn(&self, error: ClientError) {
        self.brokers.warn(error);
    }

    /// Whether Node's environment has ended.
    pub(crate) fn is_sink_gone(&self) -> bool {
        self.sink_gone.load(Ordering::Acquire)
    }
}

fn no_master(broker_name: &str) -> ClientError {
    let text = format!("broker {broker_name} has no master at the moment; its queues pause until it has");
    ClientError::new(Code::NoMaster, text)
}
