//! The routes of the topics in use: fetched once, refreshed every 30 s and on demand, never forgotten because of a failure while
//! anybody follows them.

mod index;

use super::Client;
use super::advice::Missing;
use super::events::Event;
use super::name_servers::{self, Found};
use crate::env::{self, Backoff, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::TopicRoute;
use crate::protocol::namespace::{DLQ_PREFIX, RETRY_PREFIX};
use crate::shutdown::Shutdown;
use index::Index;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Two questions about one topic are at least this far apart, however many ask; while nothing new comes of it, up to the second.
const CLOSEST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));
/// After so long without a question the next ones may be close again.
const CALM: Duration = Duration::from_secs(10);
/// Whoever hears of a loss asks within this time: all clients of a broker hear of its end in one moment.
const SCATTER: Duration = Duration::from_millis(200);
/// Between two looks for a topic whose route is known, after one that has failed: what is wrong shall not show for longer than it is.
const FAILING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// Between two looks for a topic that has no route yet.
const UNKNOWN: Duration = Duration::from_secs(3);

/// Looks under way at most: of thousands of topics, none shall wait for its answer behind all the others until its time is up.
const AT_ONCE: usize = 256;

/// What is known about a topic's route.
#[derive(Clone, Debug, Default)]
pub struct RouteState {
    /// The newest route; a later failure does not take it away. The `Arc` changes only when the route does.
    pub route: Option<Arc<TopicRoute>>,
    /// Why the last look failed; `TopicNotFound` where no name server knows the topic.
    pub error: Option<ClientError>,
    /// How many looks have ended so far.
    pub asked: u64,
}

impl RouteState {
    /// Whether a name server has said that there is no such topic, or none for us.
    pub fn is_refused(&self) -> bool {
        self.error.as_ref().is_some_and(|error| matches!(error.code(), Code::TopicNotFound | Code::AccessDenied))
    }

    /// Whether nothing is lost with it: there is no such topic, or nobody can tell.
    fn is_nowhere(&self) -> bool {
        let nobody_tells = || self.error.as_ref().is_some_and(|error| error.code() == Code::NoMaster);
        self.is_refused() || (self.route.is_none() && nobody_tells())
    }
}

struct Topic {
    state: watch::Sender<RouteState>,
    asked_at: Option<Instant>,
    /// When a name server last gave a route, by either clock.
    learned_at: Option<Instant>,
    last_seen: Option<i64>,
    /// Somebody wants to know, from then on.
    wanted: Option<Instant>,
    /// The next look comes so long after the last one, at least; and if nobody wants one, at most.
    pauses: (Duration, Duration),
    close: Backoff,
    failing: Backoff,
    asking: bool,
    /// Its place in the line of those that are to be looked for.
    line: Option<Instant>,
}

impl Topic {
    fn new(state: watch::Sender<RouteState>) -> Self {
        Self {
            state,
            asked_at: None,
            learned_at: None,
            last_seen: None,
            wanted: None,
            pauses: (CLOSEST.0, UNKNOWN),
            close: Backoff::new(CLOSEST.0, CLOSEST.1),
            failing: Backoff::new(FAILING.0, FAILING.1),
            asking: false,
            line: None,
        }
    }

    /// Whether anybody wants to know what becomes of it.
    fn is_followed(&self) -> bool {
        self.wanted.is_some() || self.state.receiver_count() > 0
    }

    /// When to look again.
    fn due(&self, now: Instant) -> Option<Instant> {
        if self.asking {
            return None;
        }
        let Some(asked_at) = self.asked_at else { return Some(now) };
        let unprompted = asked_at + self.pauses.1;
        Some(self.wanted.map_or(unprompted, |wanted| wanted.max(asked_at + self.pauses.0).min(unprompted)))
    }

    /// Has it looked at soon.
    fn want(&mut self) {
        let now = env::now();
        if self.wanted.is_none() && self.asked_at.is_some_and(|asked_at| asked_at + CALM < now) {
            self.close.reset();
            self.pauses.0 = CLOSEST.0;
        }
        self.wanted.get_or_insert_with(|| now + env::scattered(SCATTER));
    }

    /// A look has ended; `news`: it has changed what is known.
    fn rest(&mut self, news: bool, refresh: Duration) {
        self.asking = false;
        self.asked_at = Some(env::now());
        if news {
            self.close.reset();
        }
        let state = self.state.borrow();
        let next = match (&state.route, &state.error) {
            (Some(_), None) => {
                self.failing.reset();
                refresh
            }
            (Some(_), Some(_)) => self.failing.next().min(refresh),
            (None, _) => env::jittered(UNKNOWN).min(refresh),
        };
        self.pauses = (self.close.next().max(CLOSEST.0), next);
    }
}

/// What is known of all topics. What happens to one costs the same however many there are.
#[derive(Default)]
struct Table {
    topics: HashMap<Arc<str>, Topic>,
    /// Who is to be looked for, the next one first.
    line: BTreeSet<(Instant, Arc<str>)>,
    /// How many are being looked for.
    looking: usize,
    /// The topics whose last look has failed.
    failing: BTreeSet<Arc<str>>,
    brokers: Index,
}

impl Table {
    /// Gives a topic its place in the line, after something of it has changed.
    fn line_up(&mut self, name: &str) {
        let Some(name) = self.topics.get_key_value(name).map(|(name, _)| Arc::clone(name)) else { return };
        let Some(topic) = self.topics.get_mut(&name) else { return };
        let due = topic.due(env::now());
        let before = std::mem::replace(&mut topic.line, due);
        if before == due {
            return;
        }
        if let Some(at) = before {
            self.line.remove(&(at, Arc::clone(&name)));
        }
        if let Some(at) = due {
            self.line.insert((at, name));
        }
    }

    /// Has these topics looked at soon, as far as somebody follows them.
    fn want(&mut self, topics: Vec<Arc<str>>) {
        for name in topics {
            if let Some(topic) = self.topics.get_mut(&name).filter(|topic| topic.is_followed()) {
                topic.want();
                self.line_up(&name);
            }
        }
    }

    /// Takes note of whether the last look for a topic has failed.
    fn note_failure(&mut self, name: &Arc<str>) {
        if self.topics.get(name).is_some_and(|topic| topic.state.borrow().error.is_some()) {
            self.failing.insert(Arc::clone(name));
        } else {
            self.failing.remove(name);
        }
    }

    /// A topic's new route; the one before counts no longer.
    fn learned(&mut self, name: &Arc<str>, route: &TopicRoute, before: Option<(Instant, Arc<TopicRoute>)>) {
        let now = env::now();
        if let Some((at, before)) = before {
            self.brokers.remove(&(at, Arc::clone(name)), &before);
        }
        self.brokers.add(&(now, Arc::clone(name)), route);
        if let Some(topic) = self.topics.get_mut(name) {
            topic.learned_at = Some(now);
            topic.last_seen = Some(env::wall_ms());
        }
    }

    /// Nothing of it is kept.
    fn forget(&mut self, name: &str) {
        let Some((name, topic)) = self.topics.remove_entry(name) else { return };
        self.failing.remove(&name);
        if let Some(at) = topic.line {
            self.line.remove(&(at, Arc::clone(&name)));
        }
        let route = topic.state.borrow().route.clone();
        if let (Some(at), Some(route)) = (topic.learned_at, route) {
            self.brokers.remove(&(at, name), &route);
        }
    }
}

/// The routes of one client, by real topic name.
#[derive(Default)]
pub(super) struct Routes {
    table: Mutex<Table>,
    changed: Notify,
    /// Nobody looks any more.
    shutdown: Shutdown,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a topic, as long as the receiver lives; beyond that only while name servers have a route for it.
    pub(super) fn watch(&self, topic: &str) -> watch::Receiver<RouteState> {
        let mut table = self.lock();
        if let Some(known) = table.topics.get(topic) {
            return known.state.subscribe();
        }
        let state = watch::Sender::new(RouteState::default());
        let receiver = state.subscribe();
        if self.shutdown.is_over() {
            return receiver;
        }
        table.topics.insert(topic.into(), Topic::new(state));
        table.line_up(topic);
        self.changed.notify_one();
        receiver
    }

    /// Nobody looks any more: receivers end with what they know.
    pub(super) fn close(&self) {
        self.shutdown.end();
        *self.lock() = Table::default();
    }

    /// Looks again soon.
    pub(super) fn refresh(&self, topic: &str) {
        let mut table = self.lock();
        if let Some(known) = table.topics.get_mut(topic) {
            known.want();
            table.line_up(topic);
            self.changed.notify_one();
        }
    }

    /// Looks soon at every topic that is followed.
    pub(super) fn refresh_all(&self) {
        let mut table = self.lock();
        let topics: Vec<_> = table.topics.keys().cloned().collect();
        table.want(topics);
        self.changed.notify_one();
    }

    /// Looks soon at every topic that is followed and has a broker at this address.
    pub(super) fn refresh_at(&self, address: &str) {
        let mut table = self.lock();
        let topics = table.brokers.topics_at(address);
        table.want(topics);
        self.changed.notify_one();
    }

    /// The only cluster that routes name; none where there are several.
    pub(super) fn only_cluster(&self) -> Option<String> {
        self.lock().brokers.only_cluster().map(str::to_owned)
    }

    /// The addresses of all masters, each once, sorted.
    pub(super) fn masters(&self) -> Vec<String> {
        self.lock().brokers.masters().map(str::to_owned).collect()
    }

    /// Every broker's address, each once, sorted.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.lock().brokers.addresses().map(str::to_owned).collect()
    }

    /// The address of a broker's master. A broker may have moved since older routes were learned.
    pub(super) fn master(&self, broker_name: &str) -> Option<String> {
        self.lock().brokers.master(broker_name).map(str::to_owned)
    }

    /// The topics that somebody follows and whose last look failed. A retry topic or a dead-letter queue that nobody has made yet is
    /// none of them: the broker makes it in its time. Nor is a topic whose route is known while name servers know no broker at all,
    /// as one that was just started does: it is the way to its brokers that counts.
    pub(super) fn problems(&self) -> Vec<ClientError> {
        let table = self.lock();
        let problem = |name: &Arc<str>| {
            let topic = table.topics.get(name)?;
            let state = topic.state.borrow();
            let error = state.error.as_ref()?;
            let is_to_come = name.starts_with(RETRY_PREFIX)
                || (name.starts_with(DLQ_PREFIX) && state.route.is_none() && state.is_refused());
            let is_stale = state.route.is_some() && error.code() == Code::NoMaster;
            (topic.is_followed() && !is_to_come && !is_stale).then(|| error.clone())
        };
        table.failing.iter().filter_map(problem).collect()
    }

    /// Takes the topics that are due, and forgets those that nobody needs; says when the next one will be due.
    fn take_due(&self) -> (Vec<Arc<str>>, Option<Instant>) {
        let now = env::now();
        let mut due = Vec::new();
        let mut table = self.lock();
        while table.looking < AT_ONCE && table.line.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, name)) = table.line.pop_first() else { break };
            let Some(topic) = table.topics.get_mut(&name) else { continue };
            topic.line = None;
            if !topic.is_followed() && topic.state.borrow().is_nowhere() {
                table.forget(&name);
                continue;
            }
            topic.asking = true;
            topic.wanted = None;
            table.looking += 1;
            due.push(name);
        }
        // Whoever is due and has to wait is taken when a look ends, which tells.
        let next = table.line.first().map(|(at, _)| *at).filter(|_| table.looking < AT_ONCE);
        (due, next)
    }

    /// Keeps the answer; returns the new route if it differs from the one before, and whether it is the first. `missing` is the error
    /// of a topic that has no route, or has none any more and was last seen then.
    fn record(
        &self,
        topic: &Arc<str>,
        refresh: Duration,
        answer: Result<Found, ClientError>,
        missing: impl FnOnce(Missing, Option<i64>) -> ClientError,
    ) -> Option<(bool, Arc<TopicRoute>)> {
        let mut table = self.lock();
        let known = table.topics.get_mut(topic)?;
        let mut changed = None;
        let mut learned = None;
        let last_seen = known.last_seen;
        let before = known.learned_at.zip(known.state.borrow().route.clone());
        known.state.send_modify(|state| {
            state.asked += 1;
            match answer {
                // An empty route says as little as none.
                Ok(Found::Route(route)) if !route.queue_datas.is_empty() => {
                    state.error = None;
                    if state.route.as_deref() != Some(&route) {
                        let route = Arc::new(route);
                        changed = Some((state.route.is_none(), Arc::clone(&route)));
                        state.route = Some(route);
                    }
                    learned.clone_from(&state.route);
                }
                Ok(Found::Route(_)) => state.error = Some(missing(Missing::Topic, last_seen)),
                Ok(Found::Nothing(what)) => state.error = Some(missing(what, last_seen)),
                Err(error) => state.error = Some(error),
            }
        });
        known.rest(changed.is_some(), refresh);
        if matches!(changed, Some((true, _))) {
            // Whoever had none, and wanted it meanwhile, has it.
            known.wanted = None;
        }
        if let Some(route) = learned {
            table.learned(topic, &route, before);
        }
        table.note_failure(topic);
        table.line_up(topic);
        changed
    }

    /// A look has ended, whatever became of it.
    fn looked(&self, topic: &Arc<str>, refresh: Duration) {
        let mut table = self.lock();
        table.looking = table.looking.saturating_sub(1);
        if let Some(known) = table.topics.get_mut(topic).filter(|known| known.asking) {
            known.state.send_modify(|state| {
                state.asked += 1;
                state.error =
                    Some(ClientError::new(Code::Internal, "looking for a route has panicked; it is looked for again"));
            });
            known.rest(false, refresh);
            table.note_failure(topic);
            table.line_up(topic);
        }
        drop(table);
        self.changed.notify_one();
    }
}

/// Looks for routes until the client is closed.
pub(super) async fn run(client: Arc<Client>) {
    loop {
        let (due, next) = client.routes.take_due();
        for topic in due {
            let client = Arc::clone(&client);
            env::spawn(async move { look(&client, &topic).await });
        }
        tokio::select! {
            () = client.routes.changed.notified() => {}
            () = sleep_until(next) => {}
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A look under way; its end is noted also when it panics.
struct Looking<'a>(&'a Client, &'a Arc<str>);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.routes.looked(self.1, self.0.timing().route_refresh);
    }
}

async fn look(client: &Arc<Client>, topic: &Arc<str>) {
    let _looking = Looking(client, topic);
    let answer = name_servers::find(client, topic).await;
    let (shown, advice) = (client.unwrap(topic), client.advice());
    let missing = |what, last_seen| advice.without_route(topic, &shown, what, last_seen);
    if let Some((first, route)) = client.routes.record(topic, client.timing().route_refresh, answer, missing)
        && !first
        && !topic.starts_with(RETRY_PREFIX)
    {
        let topic = shown;
        let queues = route.write_queues(&topic);
        client.events().emit(Event::RouteChanged { topic, queues });
    }
}

#[cfg(test)]
mod pacing;
#[cfg(test)]
mod tests;
