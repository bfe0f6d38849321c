//! The start: what can be checked is, and what may come yet is waited for.

use std::sync::Arc;

use super::Producer;
use super::masters::Masters;
use super::model::Phase;
use super::ticking;
use crate::client::{CallError, Registration};
use crate::env::{self, Backoff, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::{TopicRoute, limits};
use crate::record::event::Role;

/// The pauses between the attempts of one step.
struct Pauses(Backoff);

impl Pauses {
    async fn rest(&mut self) {
        let until: Instant = crate::env::now() + self.0.next();
        tokio::time::sleep_until(until).await;
    }
}

impl<B: Masters> Producer<B> {
    /// Checks what can be checked: the topics' routes, their permission to write, and a heartbeat to their masters; without topics,
    /// that a name server answers. Servers that are not up yet are waited for; the caller sets the bound.
    pub async fn start(&self) -> Result<(), ClientError> {
        let brokers = &self.core.brokers;
        self.core.with(|state, _| {
            let history = state.options.history.clone();
            history.begin(Role::Producer, brokers.id(), &self.core.group, |hello| state.introduce(hello));
        });
        limits::group(&self.group)?;
        for topic in &self.topics {
            self.core.encoder.topic(topic)?;
        }
        // Followed from here on, so that questions that are asked again keep their distance.
        let _followed: Vec<_> = self.topics.iter().map(|topic| brokers.watch_route(&brokers.wrap(topic))).collect();
        for topic in &self.topics {
            self.writable_route(topic).await?;
        }
        let producer_group = Some(self.core.group.clone());
        brokers.register(Registration { producer_group, ..Registration::default() });
        for topic in &self.topics {
            self.core.follow_topic(topic);
        }
        if self.topics.is_empty() {
            self.reach().await?;
        } else {
            self.greet().await?;
        }
        self.core.with(|state, _| {
            if state.phase == Phase::Idle {
                state.phase = Phase::Running;
            }
        });
        env::spawn(ticking::run(Arc::clone(&self.core)));
        Ok(())
    }

    /// What the start tries again and again, if it does.
    pub fn obstacle(&self) -> Option<ClientError> {
        self.last.get()
    }

    fn pauses(&self) -> Pauses {
        let (first, most) = self.core.brokers.timing().start_backoff;
        Pauses(Backoff::new(first, most))
    }

    async fn reach(&self) -> Result<(), ClientError> {
        let mut pauses = self.pauses();
        loop {
            match self.core.brokers.reach().await {
                Err(error) if error.retriable() => self.last.set(error),
                done => return done,
            }
            pauses.rest().await;
        }
    }

    /// Waits for a route with a queue to write to.
    async fn writable_route(&self, topic: &str) -> Result<(), ClientError> {
        let brokers = &self.core.brokers;
        let real = brokers.wrap(topic);
        let mut pauses = self.pauses();
        loop {
            let found = brokers.route(&real).await.and_then(|route| writable(&route, topic));
            let Err(error) = found.map_err(|error| error.with_topic(topic)) else { return Ok(()) };
            match error.code() {
                Code::TopicNotFound if brokers.waits_for_topics() => {}
                Code::TopicNotFound => return Err(error),
                _ if !error.retriable() => return Err(error),
                _ => {}
            }
            self.last.set(error);
            pauses.rest().await;
            // A route without a master is one all the same, and would be asked for no more.
            brokers.refresh_route(&real);
        }
    }

    /// A heartbeat that some master accepts: wrong keys fail here. A broker that is down is no obstacle while another is up.
    async fn greet(&self) -> Result<(), ClientError> {
        let mut pauses = self.pauses();
        loop {
            let mut passing = None;
            let mut reached = false;
            for (_, outcome) in self.core.brokers.heartbeat_all().await {
                match outcome.map_err(CallError::into_error) {
                    Ok(()) => reached = true,
                    Err(error) if error.retriable() => _ = passing.get_or_insert(error),
                    Err(error) => return Err(error),
                }
            }
            match passing {
                Some(error) if !reached => self.last.set(error),
                _ => return Ok(()),
            }
            pauses.rest().await;
        }
    }
}

/// A topic that nobody may write to stays so; one whose brokers have no master gets one in time.
fn writable(route: &Arc<TopicRoute>, topic: &str) -> Result<(), ClientError> {
    if !route.write_queues(topic).is_empty() {
        return Ok(());
    }
    Err(if route.queue_datas.iter().any(|queues| queues.is_writable() && queues.write_queues > 0) {
        let text = "no broker of the topic has a master at the moment, and so it has no queue that takes messages";
        ClientError::new(Code::NoWritableQueue, text)
    } else {
        let text = "the topic has no queue that takes messages: it, or its broker, has no write permission";
        ClientError::new(Code::NoWritableQueue, text).with_retriable(false)
    })
}
