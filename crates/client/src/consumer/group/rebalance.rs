//! The rebalance: who the members of the group are, and which queues are ours among them.
//!
//! Towards the actors it only says what is wanted, level-triggered; they end when they have ended, and it never waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::subscription_check::Others;
use crate::client::{CallError, Event, Level, RouteState};
use crate::consumer::actor;
use crate::consumer::brokers::Brokers;
use crate::consumer::gate::Gate;
use crate::consumer::health::unread_queues;
use crate::consumer::options::InitialPosition;
use crate::consumer::queue::{Queue, Wanted};
use crate::consumer::record::QueueRecord;
use crate::consumer::shared::Shared;
use crate::env::{self, Instant, JoinSet};
use crate::protocol::allocation::averagely;
use crate::protocol::{ConsumeFrom, ConsumerData, ConsumerList, MessageQueue, Subscription};

/// Between two rebalances that something called for.
const CLOSEST: Duration = Duration::from_millis(200);
/// After a reconnect: members come back with their next heartbeat, and a list read before shows too few.
const REFILL: Duration = Duration::from_secs(3);
/// Until the next look while we, or a master, are missing.
const MISSING: Duration = Duration::from_secs(1);
/// Orders that may wait for one queue.
const ORDERS: usize = 8;

impl<B: Brokers> Shared<B> {
    /// What heartbeats say.
    pub(crate) fn registration(&self) -> ConsumerData {
        ConsumerData {
            group: self.group.name.clone(),
            from: match self.options.initial_position {
                InitialPosition::Last => ConsumeFrom::LastOffset,
                InitialPosition::First => ConsumeFrom::FirstOffset,
                InitialPosition::Timestamp(_) => ConsumeFrom::Timestamp,
            },
            broadcasting: self.is_broadcasting(),
            subscriptions: self.subscriptions.all.clone(),
        }
    }

    /// The masters of all our topics, each once.
    pub(crate) fn masters(&self) -> BTreeSet<String> {
        let routes = self
            .subscriptions
            .all
            .iter()
            .filter_map(|subscription| self.brokers.watch_route(&subscription.topic).borrow().route.clone());
        routes.flat_map(|route| route.masters().map(|(_, address)| address.to_owned()).collect::<Vec<_>>()).collect()
    }

    /// The group's members as each master sees them.
    pub(crate) async fn member_lists(self: &Arc<Self>) -> Vec<(String, Result<Vec<String>, CallError>)> {
        self.member_lists_of(self.masters()).await
    }

    /// The same of some masters only.
    pub(crate) async fn member_lists_of(
        self: &Arc<Self>,
        masters: BTreeSet<String>,
    ) -> Vec<(String, Result<Vec<String>, CallError>)> {
        let mut questions = JoinSet::new();
        for address in masters {
            let shared = Arc::clone(self);
            questions.spawn(async move {
                let request = ConsumerList { group: shared.group.name.clone() };
                let answer = shared.brokers.call(&address, &request, shared.brokers.timing().request_timeout).await;
                (address, answer)
            });
        }
        questions.join_all().await
    }

    /// The queue of that name, with an actor of its own from the first time on.
    fn queue_for(self: &Arc<Self>, real: &MessageQueue) -> Arc<Queue> {
        let (orders, receiver) = mpsc::channel(ORDERS);
        let make = |index| {
            let hidden = real.topic == self.group.retry_topic;
            let record = QueueRecord::new(&self.options.history, real);
            let gate = Gate::new(self.options.suspend, self.options.max_reconsume_times, self.wall(), record);
            let shown = MessageQueue { topic: self.brokers.unwrap(&real.topic), ..real.clone() };
            let queue = Queue::new(index, real.clone(), shown, hidden, gate, orders);
            self.pauses.tell(&queue);
            Arc::new(queue)
        };
        let begin = |queue: &Arc<Queue>| env::spawn(actor::run(Arc::clone(self), Arc::clone(queue), receiver));
        self.queues.find_or_add(real, make, begin)
    }
}

/// See the module.
struct Rebalance<B> {
    shared: Arc<Shared<B>>,
    /// What is ours by the last allocation, by topic.
    allocated: BTreeMap<String, BTreeSet<MessageQueue>>,
    /// No allocation before: lists are refilling.
    quiet_until: Option<Instant>,
    /// Ended with the group.
    watchers: JoinSet<()>,
    watched_masters: BTreeSet<String>,
    /// Topics that nobody may read, as was told.
    unreadable: BTreeSet<String>,
}

/// Rebalances until it is aborted.
pub(crate) async fn run<B: Brokers>(shared: Arc<Shared<B>>) {
    // Nothing at the start; after a panic, what was said last.
    let mut allocated: BTreeMap<String, BTreeSet<MessageQueue>> = BTreeMap::new();
    for queue in shared.queues.all().iter().filter(|queue| *queue.wanted.borrow() == Wanted::Yes) {
        allocated.entry(queue.real.topic.clone()).or_default().insert(queue.real.clone());
    }
    let mut rebalance = Rebalance {
        shared,
        allocated,
        quiet_until: None,
        watchers: JoinSet::new(),
        watched_masters: BTreeSet::new(),
        unreadable: BTreeSet::new(),
    };
    for subscription in &Arc::clone(&rebalance.shared).subscriptions.all {
        rebalance.watch_route(&subscription.topic);
        if subscription.topic != rebalance.shared.group.retry_topic {
            let (shared, topic) = (Arc::clone(&rebalance.shared), subscription.topic.clone());
            let watch = move |shared| unread_queues::watch(shared, topic.clone());
            rebalance.watchers.spawn(shared.kept("the look at queues that nobody reads", watch));
        }
    }
    loop {
        rebalance.watch_masters();
        rebalance.unreadable = rebalance.shared.tell_unreadable_topics(&rebalance.unreadable);
        let pause = rebalance.rebalance().await;
        let (soonest, due) = (env::now() + CLOSEST, env::now() + pause);
        tokio::select! {
            () = rebalance.shared.group.rebalance.notified() => sleep_until(soonest).await,
            () = sleep_until(due) => {}
        }
    }
}

impl<B: Brokers> Rebalance<B> {
    fn watch_route(&mut self, topic: &str) {
        let mut route = self.shared.brokers.watch_route(topic);
        let shared = Arc::clone(&self.shared);
        self.watchers.spawn(async move {
            let mut known = route.borrow_and_update().route.clone();
            while route.changed().await.is_ok() {
                let RouteState { route: now, .. } = route.borrow_and_update().clone();
                // The `Arc` changes only when the route does.
                if now.as_ref().map(Arc::as_ptr) != known.as_ref().map(Arc::as_ptr) {
                    known = now;
                    shared.group.want_rebalance();
                }
            }
        });
    }

    fn watch_masters(&mut self) {
        for address in self.shared.masters() {
            if self.watched_masters.insert(address.clone()) {
                let mut losses = self.shared.brokers.losses(&address);
                let shared = Arc::clone(&self.shared);
                self.watchers.spawn(async move {
                    while losses.changed().await.is_ok() {
                        shared.group.lost_masters().insert(address.clone());
                        shared.group.want_rebalance();
                    }
                });
            }
        }
    }

    /// One look at the group; returns when the next one is due.
    async fn rebalance(&mut self) -> Duration {
        if self.shared.group.heartbeat_wanted.swap(false, Ordering::AcqRel) {
            self.shared.brokers.heartbeat_all().await;
        }
        if self.shared.is_broadcasting() {
            // Whoever else is there.
            let changed = self.allocate(&[]);
            self.tell_allocated(&changed);
        }
        if self.shared.masters().is_empty() {
            // Nobody to ask; a route that comes wakes us.
            return self.shared.brokers.timing().rebalance_interval;
        }
        let listed = self.members().await;
        let now = env::now();
        if let Some(until) = self.quiet_until.filter(|until| now < *until) {
            return until - now;
        }
        self.quiet_until = None;
        self.publish_others(&listed);
        let members: Vec<String> = listed.into_keys().collect();
        if !members.iter().any(|member| member == self.shared.brokers.id()) {
            // Nothing is released for it: our heartbeat has not arrived, or nobody answers.
            self.shared.brokers.heartbeat_all().await;
            return env::jittered(MISSING);
        }
        if !self.shared.is_broadcasting() {
            self.shared.note_members(&members);
            let changed = self.allocate(&members);
            self.tell_allocated(&changed);
        }
        if self.shared.group.lost_masters().is_empty() {
            self.shared.brokers.timing().rebalance_interval
        } else {
            MISSING
        }
    }

    fn tell_allocated(&self, topics: &[String]) {
        if !topics.is_empty() {
            let fields = serde_json::json!({ "group": self.shared.options.group, "topics": topics });
            self.shared.brokers.emit(Event::log(Level::Debug, "the group was rebalanced", fields));
        }
    }

    /// All members that any master knows, each once, sorted, with one that knows it.
    async fn members(&mut self) -> Others {
        let mut members = BTreeMap::new();
        let masters = self.shared.masters();
        // One that has left the routes need not come back.
        self.shared.group.lost_masters().retain(|address| masters.contains(address));
        for (address, answer) in self.shared.member_lists().await {
            let back = match answer {
                Ok(list) => {
                    members.extend(list.into_iter().map(|member| (member, address.clone())));
                    true
                }
                // "No consumer" is code 1, and so is much else: nothing is known from this master.
                Err(error) => matches!(error, CallError::Refused { .. }),
            };
            if back && self.shared.group.lost_masters().remove(&address) {
                self.quiet_until = Some(env::now() + env::jittered(REFILL));
            }
        }
        members
    }

    /// Lets those know who look at what the others subscribe.
    fn publish_others(&self, members: &Others) {
        let own = self.shared.brokers.id();
        let others: Others = members.clone().into_iter().filter(|(member, _)| member != own).collect();
        self.shared.group.others.send_if_modified(|known| {
            let changed = *known != others;
            *known = others;
            changed
        });
    }

    /// Says what is wanted from now on; the topics for which that has changed.
    fn allocate(&mut self, members: &[String]) -> Vec<String> {
        let shared = Arc::clone(&self.shared);
        let mut changed = Vec::new();
        for Subscription { topic, .. } in &shared.subscriptions.all {
            let Some(route) = shared.brokers.watch_route(topic).borrow().route.clone() else { continue };
            let queues = route.read_queues(topic);
            let ours =
                if shared.is_broadcasting() { Some(queues) } else { averagely(&queues, members, shared.brokers.id()) };
            let Some(ours) = ours else { continue };
            let ours: BTreeSet<_> = ours.into_iter().collect();
            let before = self.allocated.insert(topic.clone(), ours.clone()).unwrap_or_default();
            if ours == before {
                continue;
            }
            self.want(before.difference(&ours), Wanted::No);
            self.want(ours.difference(&before), Wanted::Yes);
            changed.push(topic.clone());
        }
        changed
    }

    /// Says it of all before any of them may have followed, so that it is told of them together.
    fn want<'a>(&self, queues: impl Iterator<Item = &'a MessageQueue>, wanted: Wanted) {
        let queues: Vec<_> = queues.map(|queue| self.shared.queue_for(queue)).collect();
        for queue in &queues {
            match wanted {
                Wanted::Yes => self.shared.group.assigned.expect(queue),
                Wanted::No | Wanted::Never => self.shared.group.expect_revoked(queue),
            }
        }
        for queue in queues {
            queue.wanted.send_replace(wanted);
        }
    }
}
