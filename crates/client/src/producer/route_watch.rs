//! The task of a topic: follows its route, looks after the messages that wait for a queue, and ends when the topic is none.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

use super::core::Core;
use super::masters::Masters;
use super::model::Phase;
use crate::client::RouteState;
use crate::env::{self, Instant};
use crate::error::ClientError;

/// How often the route is wanted while messages wait for it.
const ASK: Duration = Duration::from_secs(1);
/// A topic that had a route is given up only after so many of its refreshes: a name server that was just started knows nothing
/// until the brokers have told it.
const KNOWN_BEFORE: u32 = 4;

/// Runs until the producer is closed, or until the topic is forgotten: unknown to the name servers, and not sent to for a while. It is
/// looked for anew when it is sent to again.
pub(super) async fn run<B: Masters>(core: Arc<Core<B>>, topic: u32, mut route: watch::Receiver<RouteState>) {
    while let Err(panic) = env::caught(follow(&core, topic, &mut route)).await {
        let text = "the route of a topic is followed anew, as following it has failed";
        core.brokers.warn(ClientError::panicked(text, &panic));
        tokio::time::sleep(ASK).await;
    }
}

async fn follow<B: Masters>(core: &Arc<Core<B>>, topic: u32, route: &mut watch::Receiver<RouteState>) {
    let (lane, wake, kept) = core.with(|state, _| {
        let it = &state.topics[topic];
        let kept = state.options.topics.iter().any(|name| **name == *it.name);
        (it.lane, Arc::clone(&state.lanes[it.lane].wake), kept)
    });
    let (core, now) = (Arc::clone(core), env::now());
    RouteWatch { core, topic, lane, wake, route, kept, used_at: now, refused_since: None }.run().await;
}

struct RouteWatch<'a, B> {
    core: Arc<Core<B>>,
    topic: u32,
    lane: u32,
    wake: Arc<Notify>,
    route: &'a mut watch::Receiver<RouteState>,
    /// Named in the options: never forgotten.
    kept: bool,
    /// Up to when it is known to have been in use.
    used_at: Instant,
    /// Since when name servers say that there is no such topic for us.
    refused_since: Option<Instant>,
}

impl<B: Masters> RouteWatch<'_, B> {
    async fn run(mut self) {
        loop {
            let seen = self.route.borrow_and_update().clone();
            self.refused_since = seen.is_refused().then(|| self.refused_since.unwrap_or_else(env::now));
            let closed = self.core.with(|state, out| {
                state.look(self.topic, seen.route.as_ref(), seen.error, out);
                // `close()` may have come before this task listened.
                state.phase == Phase::Closed
            });
            if closed {
                return;
            }
            loop {
                let (due, waits, used) = self.core.with(|state, _| {
                    let waits = state.front(self.lane).is_some();
                    let it = &mut state.lanes[self.lane];
                    if !waits {
                        it.earliest = None;
                    }
                    it.armed = it.earliest;
                    (it.earliest, waits, state.is_used(self.topic))
                });
                if used {
                    self.used_at = env::now();
                }
                let forgotten_at = self.forgotten_at();
                tokio::select! {
                    changed = self.route.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        break;
                    }
                    () = self.wake.notified() => {}
                    () = env::until(due) => {}
                    () = tokio::time::sleep(ASK), if waits => {
                        self.core.with(|state, out| out.refresh.push(Arc::clone(&state.topics[self.topic].real)));
                    }
                    () = env::until(forgotten_at) => {
                        if self.is_gone() && self.core.with(|state, _| state.forget(self.topic)) {
                            return;
                        }
                        self.used_at = env::now();
                    }
                }
                let closed = self.core.with(|state, out| {
                    state.expire_waiting(self.lane, env::now(), out);
                    state.phase == Phase::Closed
                });
                if closed {
                    return;
                }
            }
        }
    }

    /// When the topic is to be forgotten, if nothing happens until then.
    fn forgotten_at(&self) -> Option<Instant> {
        let refused_since = self.refused_since.filter(|_| !self.kept)?;
        let refresh = self.core.brokers.timing().route_refresh;
        Some(match self.route.borrow().route {
            None => self.used_at + refresh,
            Some(_) => self.used_at.max(refused_since) + refresh * KNOWN_BEFORE,
        })
    }

    /// Whether it is the topic that is gone, and not its brokers, which may come back with it.
    fn is_gone(&self) -> bool {
        let brokers = &self.core.brokers;
        let is_up = |name: &str| brokers.master(name).is_some_and(|address| brokers.is_connected(&address));
        // No guard of the route while the routes are locked: who records a route takes the two the other way round.
        let route = self.route.borrow().route.clone();
        route.is_none_or(|route| route.broker_datas.iter().all(|broker| is_up(&broker.broker_name)))
    }
}
