//! Messages that this group is never given: in queues that are written and not read, and in queues that have left the route before
//! the group had handled what is in them. Nobody else says so: such queues have no owner, no lag and no errors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout_at;

use crate::client::{CallError, Event, Left, Level, left_behind, written_unread};
use crate::consumer::brokers::Brokers;
use crate::consumer::queue::View;
use crate::consumer::shared::Shared;
use crate::env::{self, Instant};
use crate::error::ClientError;
use crate::protocol::{MaxOffset, MessageQueue, MinOffset, TopicRoute};

/// A queue that has gone is being drained and committed by its owner, whoever that is.
const SETTLES: Duration = Duration::from_secs(5);
/// So many queues behind the last one may never have had a message while one behind them has.
const GAP: i32 = 4;

/// What is wrong now, by real topic.
#[derive(Debug, Default)]
pub(crate) struct UnreadQueues(Mutex<BTreeMap<String, [Option<ClientError>; 2]>>);

impl UnreadQueues {
    /// For `health()`.
    pub(crate) fn problems(&self) -> Vec<ClientError> {
        self.lock().values().flatten().flatten().cloned().collect()
    }

    fn set(&self, topic: &str, which: Which, problem: Option<ClientError>) {
        self.lock().entry(topic.to_owned()).or_default()[which as usize] = problem;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, [Option<ClientError>; 2]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the two things that can be wrong with a topic.
#[derive(Clone, Copy, Debug)]
enum Which {
    Written,
    Left,
}

/// How a queue that cannot be read is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It was in the route.
    Seen,
    /// It may have been there before this consumer was.
    Supposed,
}

/// Compares the routes of a topic as they come, and asks for what has been left behind.
struct Watch<B> {
    shared: Arc<Shared<B>>,
    topic: String,
    /// In the route at some time.
    seen: BTreeSet<MessageQueue>,
    /// Not to be read at a broker that is in the route, and perhaps not empty.
    gone: BTreeMap<MessageQueue, Known>,
    /// Of those, the ones with messages for the group, as of the last answers.
    left: BTreeMap<MessageQueue, Left>,
    /// Of both kinds, what was told last.
    told: [BTreeSet<MessageQueue>; 2],
}

/// Runs as long as the group is looked at.
pub(crate) async fn watch<B: Brokers>(shared: Arc<Shared<B>>, topic: String) {
    let mut routes = shared.brokers.watch_route(&topic);
    let interval = shared.brokers.timing().rebalance_interval;
    let mut watch = Watch {
        shared,
        topic,
        seen: BTreeSet::new(),
        gone: BTreeMap::new(),
        left: BTreeMap::new(),
        told: <[BTreeSet<_>; 2]>::default(),
    };
    let mut known: Option<Arc<TopicRoute>> = None;
    let mut due: Option<Instant> = None;
    loop {
        let route = routes.borrow_and_update().route.clone();
        if let Some(route) = route.filter(|now| known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, now))) {
            if watch.compare(&route, known.is_none()) {
                due = Some(env::now() + SETTLES);
            }
            known = Some(route);
        }
        let changed = match due {
            Some(due) => timeout_at(due, routes.changed()).await.ok(),
            None => Some(routes.changed().await),
        };
        match (changed, &known) {
            (Some(Err(_)), _) => return,
            (Some(Ok(())), _) | (None, None) => {}
            (None, Some(route)) => {
                watch.look(route).await;
                due = (!watch.gone.is_empty()).then(|| env::now() + interval);
            }
        }
    }
}

impl<B: Brokers> Watch<B> {
    /// A route has come. True if there is something to be asked.
    fn compare(&mut self, route: &TopicRoute, is_first: bool) -> bool {
        let readable: BTreeSet<MessageQueue> = route.read_queues(&self.topic).into_iter().collect();
        // A topic of which nothing may be read is told of as such.
        let written = if readable.is_empty() { Vec::new() } else { route.unread_queues(&self.topic) };
        let problem = written_unread(route, &written, &self.shown(), &self.shared.brokers.advice());
        self.tell(Which::Written, written.into_iter().collect(), problem);
        // A broker that has left altogether takes its queues with it, and brings them back.
        let is_there = |queue: &MessageQueue| route.queue_data(&queue.broker_name).is_some();
        self.gone.retain(|queue, _| !readable.contains(queue) && is_there(queue));
        let gone = self.seen.difference(&readable).filter(|queue| is_there(queue));
        self.gone.extend(gone.map(|queue| (queue.clone(), Known::Seen)));
        if is_first {
            for data in &route.queue_datas {
                self.suppose(&data.broker_name, if data.is_readable() { data.read_queues } else { 0 });
            }
        }
        self.seen.extend(readable);
        self.left.retain(|queue, _| self.gone.contains_key(queue));
        self.tell_left(route);
        !self.gone.is_empty()
    }

    /// The queues from this one on may have been there once.
    fn suppose(&mut self, broker_name: &str, first: i32) {
        for queue_id in first..first.saturating_add(GAP) {
            self.gone.entry(MessageQueue::new(&self.topic, broker_name, queue_id)).or_insert(Known::Supposed);
        }
    }

    /// Asks what lies in the queues that have gone, for this group; those with nothing are forgotten.
    async fn look(&mut self, route: &TopicRoute) {
        let mut asked = BTreeSet::new();
        while let Some((queue, known)) = self.gone.iter().find(|(queue, _)| !asked.contains(*queue)) {
            let (queue, known) = (queue.clone(), *known);
            asked.insert(queue.clone());
            match self.ask(&queue, known).await {
                Ok((is_used, left)) => {
                    if is_used && known == Known::Supposed {
                        self.suppose(&queue.broker_name, queue.queue_id.saturating_add(1));
                    }
                    self.keep(queue, left);
                }
                // We may not ask: what we know ourselves has to do.
                Err(CallError::Refused { .. }) => {
                    let left = self.remembered(&queue);
                    self.keep(queue, left);
                }
                Err(_) => {}
            }
        }
        self.tell_left(route);
    }

    /// Whether the queue ever had a message, and what of it the group has not handled.
    async fn ask(&self, queue: &MessageQueue, known: Known) -> Result<(bool, Option<Left>), CallError> {
        let MessageQueue { topic, broker_name, queue_id } = queue.clone();
        let (broker, bound) = (broker_name.clone(), self.shared.brokers.timing().request_timeout);
        let end = MaxOffset { topic: topic.clone(), broker_name: broker_name.clone(), queue_id };
        let end = self.shared.ask_master(&broker, &end, bound).await?;
        if end <= 0 {
            return Ok((false, None));
        }
        let first = MinOffset { topic, broker_name, queue_id };
        let first = self.shared.ask_master(&broker, &first, bound).await?;
        let committed = match self.shared.committed(queue).await? {
            // 4.x answers 0 for nothing, too: this group may never have consumed it.
            None | Some(0) if known == Known::Supposed => return Ok((true, None)),
            committed => committed.unwrap_or(0).max(first),
        };
        let left = Left { queue: queue.clone(), committed, end };
        Ok((true, (committed < end).then_some(left)))
    }

    /// What our own actor knew of it last.
    fn remembered(&self, queue: &MessageQueue) -> Option<Left> {
        let ours = self.shared.queues.find(queue)?;
        let View { committed: Some(committed), max: Some(end), .. } = ours.view().clone() else { return None };
        (committed < end).then(|| Left { queue: queue.clone(), committed, end })
    }

    fn keep(&mut self, queue: MessageQueue, left: Option<Left>) {
        if let Some(left) = left {
            self.left.insert(queue, left);
        } else {
            self.left.remove(&queue);
            self.gone.remove(&queue);
            self.seen.remove(&queue);
        }
    }

    fn tell_left(&mut self, route: &TopicRoute) {
        if route.read_queues(&self.topic).is_empty() {
            return self.tell(Which::Left, BTreeSet::new(), None);
        }
        let left: Vec<Left> = self.left.values().cloned().collect();
        let (group, advice) = (&self.shared.options.group, self.shared.brokers.advice());
        let problem = left_behind(route, &left, &self.shown(), group, &advice);
        self.tell(Which::Left, self.left.keys().cloned().collect(), problem);
    }

    /// Once for each state.
    fn tell(&mut self, which: Which, queues: BTreeSet<MessageQueue>, problem: Option<ClientError>) {
        self.shared.watches.unread_queues.set(&self.topic, which, problem.clone());
        let told = std::mem::replace(&mut self.told[which as usize], queues);
        if told == self.told[which as usize] {
            return;
        }
        if let Some(problem) = problem {
            self.shared.warn(problem);
            return;
        }
        let fields = serde_json::json!({ "group": self.shared.options.group, "topic": self.shown() });
        let text = match which {
            Which::Written => "all queues of the topic that are written can be read again",
            Which::Left => "no queue with messages for the group is out of the topic's route any more",
        };
        self.shared.brokers.emit(Event::log(Level::Info, text, fields));
    }

    fn shown(&self) -> String {
        self.shared.brokers.unwrap(&self.topic)
    }
}
