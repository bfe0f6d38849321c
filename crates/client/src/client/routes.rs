//! The routes of the topics in use: fetched once, refreshed every 30 s and on demand, never forgotten because of a failure while
//! anybody follows them.

use super::Client;
use super::advice::Missing;
use super::events::Event;
use super::name_servers::{self, Found};
use crate::env::{self, Backoff, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::TopicRoute;
use crate::protocol::namespace::{DLQ_PREFIX, RETRY_PREFIX};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The routes of one client, by real topic name.
#[derive(Default)]
pub(super) struct Routes {
    topics: Mutex<HashMap<String, Topic>>,
    changed: Notify,
    /// Nobody looks any more.
    closed: AtomicBool,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a topic, as long as the receiver lives; beyond that only while name servers have a route for it.
    pub(super) fn watch(&self, topic: &str) -> watch::Receiver<RouteState> {
        let mut topics = self.lock();
        if let Some(known) = topics.get(topic) {
            return known.state.subscribe();
        }
        let state = watch::Sender::new(RouteState::default());
        let receiver = state.subscribe();
        if self.closed.load(Ordering::Relaxed) {
            return receiver;
        }
        topics.insert(topic.to_owned(), Topic::new(state));
        self.changed.notify_one();
        receiver
    }

    /// Nobody looks any more: receivers end with what they know.
    pub(super) fn close(&self) {
        let mut topics = self.lock();
        self.closed.store(true, Ordering::Relaxed);
        topics.clear();
    }

    /// Looks again soon.
    pub(super) fn refresh(&self, topic: &str) {
        if let Some(known) = self.lock().get_mut(topic) {
            known.want();
            self.changed.notify_one();
        }
    }

    /// Looks soon at every topic that is followed.
    pub(super) fn refresh_all(&self) {
        self.refresh_if(|_| true);
    }

    /// Looks soon at every topic that is followed and has a broker at this address.
    pub(super) fn refresh_at(&self, address: &str) {
        self.refresh_if(|state| {
            state.route.as_ref().is_some_and(|route| route.brokers().any(|(_, _, known)| known == address))
        });
    }

    fn refresh_if(&self, concerned: impl Fn(&RouteState) -> bool) {
        let mut topics = self.lock();
        let followed = topics.values_mut().filter(|topic| topic.is_followed());
        for topic in followed {
            if concerned(&topic.state.borrow()) {
                topic.want();
            }
        }
        self.changed.notify_one();
    }

    /// Every known route.
    pub(super) fn known(&self) -> Vec<Arc<TopicRoute>> {
        self.lock().values().filter_map(|topic| topic.state.borrow().route.clone()).collect()
    }

    /// The address of a broker's master. A broker may have moved since older routes were learned.
    pub(super) fn master(&self, broker_name: &str) -> Option<String> {
        let topics = self.lock();
        let named = topics.values().filter_map(|topic| {
            let state = topic.state.borrow();
            let address = state.route.as_ref()?.master_of(broker_name)?.to_owned();
            Some((topic.learned_at, address))
        });
        named.max().map(|(_, address)| address)
    }

    /// The topics that somebody follows and whose last look failed. A retry topic or a dead-letter queue that nobody has made yet is
    /// none of them: the broker makes it in its time. Nor is a topic whose route is known while name servers know no broker at all,
    /// as one that was just started does: it is the way to its brokers that counts.
    pub(super) fn problems(&self) -> Vec<ClientError> {
        let topics = self.lock();
        let problem = |(name, topic): (&String, &Topic)| {
            let state = topic.state.borrow();
            let error = state.error.as_ref()?;
            let is_to_come = name.starts_with(RETRY_PREFIX)
                || (name.starts_with(DLQ_PREFIX) && state.route.is_none() && state.is_refused());
            let is_stale = state.route.is_some() && error.code() == Code::NoMaster;
            (topic.is_followed() && !is_to_come && !is_stale).then(|| error.clone())
        };
        topics.iter().filter_map(problem).collect()
    }

    /// Takes the topics that are due; says when the next one will be.
    fn take_due(&self) -> (Vec<String>, Option<Instant>) {
        let now = env::now();
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        let mut topics = self.lock();
        topics.retain(|_, topic| topic.asking || topic.is_followed() || !topic.state.borrow().is_nowhere());
        for (name, topic) in topics.iter_mut() {
            match topic.due(now) {
                Some(at) if at <= now => {
                    topic.asking = true;
                    topic.wanted = None;
                    due.push(name.clone());
                }
                Some(at) => next = Some(next.map_or(at, |earliest| earliest.min(at))),
                None => {}
            }
        }
        (due, next)
    }

    /// Keeps the answer; returns the new route if it differs from the one before, and whether it is the first. `missing` is the error
    /// of a topic that has no route, or has none any more and was last seen then.
    fn record(
        &self,
        topic: &str,
        refresh: Duration,
        answer: Result<Found, ClientError>,
        missing: impl FnOnce(Missing, Option<i64>) -> ClientError,
    ) -> Option<(bool, Arc<TopicRoute>)> {
        let mut topics = self.lock();
        let known = topics.get_mut(topic)?;
        let mut changed = None;
        let mut learned = false;
        let last_seen = known.last_seen;
        known.state.send_modify(|state| {
            state.asked += 1;
            match answer {
                // An empty route says as little as none.
                Ok(Found::Route(route)) if !route.queue_datas.is_empty() => {
                    state.error = None;
                    learned = true;
                    if state.route.as_deref() != Some(&route) {
                        let route = Arc::new(route);
                        changed = Some((state.route.is_none(), Arc::clone(&route)));
                        state.route = Some(route);
                    }
                }
                Ok(Found::Route(_)) => state.error = Some(missing(Missing::Topic, last_seen)),
                Ok(Found::Nothing(what)) => state.error = Some(missing(what, last_seen)),
                Err(error) => state.error = Some(error),
            }
        });
        known.rest(changed.is_some(), refresh);
        if learned {
            known.learned_at = known.asked_at;
            known.last_seen = Some(env::wall_ms());
        }
        self.changed.notify_one();
        changed
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

async fn look(client: &Arc<Client>, topic: &str) {
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
