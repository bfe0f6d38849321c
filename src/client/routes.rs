//! The routes of the topics in use: fetched once, refreshed every 30 s and on demand, never forgotten because of a failure while
//! anybody follows them.

use super::events::Event;
use super::{Client, name_servers};
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::TopicRoute;
use crate::protocol::namespace::RETRY_PREFIX;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Two questions about one topic are at least this far apart, however many ask.
const CLOSEST: Duration = Duration::from_millis(500);
/// Between two looks for a topic that has no route yet.
const UNKNOWN: Duration = Duration::from_secs(3);

/// What is known about a topic's route.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteState {
    /// The newest route; a later failure does not take it away. The `Arc` changes only when the route does.
    pub(crate) route: Option<Arc<TopicRoute>>,
    /// Why the last look failed; `TopicNotFound` where no name server knows the topic.
    pub(crate) error: Option<ClientError>,
    /// How many looks have ended so far.
    pub(crate) asked: u64,
}

impl RouteState {
    /// Whether a name server has said that there is no such topic, or none for us.
    pub(crate) fn is_refused(&self) -> bool {
        self.error.as_ref().is_some_and(|error| matches!(error.code(), Code::TopicNotFound | Code::AccessDenied))
    }
}

struct Topic {
    state: watch::Sender<RouteState>,
    asked_at: Option<Instant>,
    /// When a name server last gave a route.
    learned_at: Option<Instant>,
    /// Somebody wants to know now.
    wanted: bool,
    asking: bool,
}

impl Topic {
    /// Whether anybody wants to know what becomes of it.
    fn is_followed(&self) -> bool {
        self.wanted || self.state.receiver_count() > 0
    }

    /// When to look again.
    fn due(&self, refresh: Duration, now: Instant) -> Option<Instant> {
        if self.asking {
            return None;
        }
        let Some(asked_at) = self.asked_at else { return Some(now) };
        let pause = match (self.wanted, &self.state.borrow().route) {
            (true, _) => CLOSEST,
            (false, None) => UNKNOWN.min(refresh),
            (false, Some(_)) => refresh,
        };
        Some(asked_at + pause)
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
        topics
            .insert(topic.to_owned(), Topic { state, asked_at: None, learned_at: None, wanted: false, asking: false });
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
            known.wanted = true;
            self.changed.notify_one();
        }
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

    /// The topics that somebody follows and whose last look failed. A retry topic that nobody has made yet is none of them: the broker
    /// makes it in its time.
    pub(super) fn problems(&self) -> Vec<ClientError> {
        let topics = self.lock();
        let of_users = topics.iter().filter(|(name, _)| !name.starts_with(RETRY_PREFIX));
        let followed = of_users.filter(|(_, topic)| topic.is_followed());
        followed.filter_map(|(_, topic)| topic.state.borrow().error.clone()).collect()
    }

    /// Takes the topics that are due; says when the next one will be.
    fn take_due(&self, refresh: Duration) -> (Vec<String>, Option<Instant>) {
        let now = env::now();
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        let mut topics = self.lock();
        topics.retain(|_, topic| topic.asking || topic.is_followed() || !topic.state.borrow().is_refused());
        for (name, topic) in topics.iter_mut() {
            match topic.due(refresh, now) {
                Some(at) if at <= now => {
                    topic.asking = true;
                    topic.wanted = false;
                    due.push(name.clone());
                }
                Some(at) => next = Some(next.map_or(at, |earliest| earliest.min(at))),
                None => {}
            }
        }
        (due, next)
    }

    /// Keeps the answer; returns the new route if it differs from the one before. `shown`: the topic's name for users.
    fn record(
        &self,
        topic: &str,
        shown: &str,
        answer: Result<Option<TopicRoute>, ClientError>,
    ) -> Option<(bool, Arc<TopicRoute>)> {
        let mut topics = self.lock();
        let known = topics.get_mut(topic)?;
        known.asking = false;
        known.asked_at = Some(env::now());
        let mut changed = None;
        let mut learned = false;
        known.state.send_modify(|state| {
            state.asked += 1;
            match answer {
                // An empty route says as little as none.
                Ok(Some(route)) if !route.queue_datas.is_empty() => {
                    state.error = None;
                    learned = true;
                    if state.route.as_deref() != Some(&route) {
                        let route = Arc::new(route);
                        changed = Some((state.route.is_none(), Arc::clone(&route)));
                        state.route = Some(route);
                    }
                }
                Ok(_) => {
                    let real = if shown == topic { String::new() } else { format!(" ({topic})") };
                    let text = format!(
                        "no route for topic {shown}{real}: it does not exist, or its brokers are down. Topics are not created by sending \
                         to them; create it with, for example: mqadmin updateTopic -c <cluster> -t {topic} -r 8 -w 8"
                    );
                    state.error = Some(ClientError::new(Code::TopicNotFound, text).with_topic(shown));
                }
                Err(error) => state.error = Some(error),
            }
        });
        if learned {
            known.learned_at = known.asked_at;
        }
        self.changed.notify_one();
        changed
    }
}

/// Looks for routes until the client is closed.
pub(super) async fn run(client: Arc<Client>) {
    let refresh = client.timing().route_refresh;
    loop {
        let (due, next) = client.routes.take_due(refresh);
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
    let answer = name_servers::route(client, topic).await;
    let shown = client.unwrap(topic);
    if let Some((first, route)) = client.routes.record(topic, &shown, answer)
        && !first
        && !topic.starts_with(RETRY_PREFIX)
    {
        let topic = shown;
        let queues = route.write_queues(&topic);
        client.events().emit(Event::RouteChanged { topic, queues });
    }
}

#[cfg(test)]
mod tests;
