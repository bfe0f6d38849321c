//! The end: drain, commit, unlock, unregister, in this order and within a bound.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::timeout_at;

use super::Consumer;
use super::brokers::Brokers;
use super::gate::Running;
use super::queue::{Phase, Queue, Wanted};
use super::queues::Actor;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};

/// Kept back for taking leave of the brokers.
const FAREWELL: Duration = Duration::from_millis(500);
/// Offsets that a warning names.
const MOST_NAMED: usize = 5;
/// How long before the bound the signals of running handlers fire, so that some may end in time.
const LAST_CALL: Duration = Duration::from_secs(1);

impl<B: Brokers> Consumer<B> {
    pub(super) async fn close_once(&self, bound: Duration) {
        let deadline = env::now() + bound;
        let firm = deadline - FAREWELL.min(bound / 10);
        // Whatever fails on the way: what comes after it is done all the same, or brokers would think of us as alive.
        self.though_it_panics(self.give_back(bound, firm)).await;
        for queue in self.shared.queues.all() {
            queue.gate.lose("closed");
            queue.flow.end(&queue.gate, |call| {
                let text = format!("the consumer was closed before {call} of {} was through", queue.shown);
                ClientError::new(Code::Closed, text).with_queue(queue.name())
            });
        }
        self.though_it_panics(self.shared.end_locks(firm)).await;
        self.though_it_panics(self.shared.close_positions(firm)).await;
        let _ = timeout_at(deadline, self.shared.brokers.close()).await;
        self.shared.options.history.end();
    }

    async fn though_it_panics(&self, step: impl Future<Output = ()>) {
        if let Err(panic) = env::caught(step).await {
            self.shared.warn(ClientError::panicked("close() could not give everything back", &panic));
        }
    }

    /// Ends what wants queues, and then their actors.
    async fn give_back(&self, bound: Duration, firm: Instant) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // Ended for certain: no queue is wanted any more from here on.
            let _ = task.await;
        }
        self.drain(firm - LAST_CALL.min(bound / 5), firm).await;
    }

    /// Waits for the actors until `firm`; the signals of handlers that still run fire at `last_call`.
    async fn drain(&self, last_call: Instant, firm: Instant) {
        let queues = self.shared.queues.all();
        for queue in &queues {
            self.shared.group.expect_revoked(queue);
        }
        let _ = self.shared.last_call.set(last_call);
        for queue in &queues {
            queue.wanted.send_replace(Wanted::Never);
        }
        let mut actors = self.shared.queues.take_actors();
        join(&mut actors, last_call).await;
        for (queue, _) in &actors {
            for running in queue.gate.all_running() {
                let error = ClientError::new(Code::Closed, "the consumer is closing and its time is up")
                    .with_queue(queue.name());
                let signal = || self.shared.handlers.sink().abort(queue.index, running.generation, error);
                if let Err(panic) = env::caught_now(signal) {
                    self.shared.warn(ClientError::panicked("the signal of a handler could not fire", &panic));
                }
            }
        }
        join(&mut actors, firm).await;
        // All of them first: between two waits, each that is left may do some more of its work.
        for (_, actor) in &actors {
            actor.abort();
        }
        for (_, actor) in actors {
            // Ended for certain: it asks for no lock any more, for which a new task would begin.
            let _ = actor.await;
        }
        self.shared.group.revoked.end(&self.shared.brokers);
        self.tell_unfinished(&queues);
    }

    /// What was not given back: of each handler that still runs, and once of all the rest of a broker.
    fn tell_unfinished(&self, queues: &[Arc<Queue>]) {
        let mut rest: BTreeMap<&str, Vec<&Arc<Queue>>> = BTreeMap::new();
        for queue in queues {
            let (phase, is_left) = {
                let view = queue.view();
                (view.phase, view.left.is_some())
            };
            let running = queue.gate.all_running();
            if !running.is_empty() && phase != Phase::Gone {
                self.still_running(queue, &running);
            } else if is_left || !matches!(phase, Phase::Gone | Phase::Locking) {
                rest.entry(queue.real.broker_name.as_str()).or_default().push(queue);
            }
        }
        for (broker_name, queues) in rest {
            self.left_behind(broker_name, &queues);
        }
    }

    /// Neither committed nor unlocked: the broker's lock runs out by itself, later than any handler's excuse.
    fn still_running(&self, queue: &Queue, running: &[Running]) {
        let offsets: Vec<_> = running.iter().take(MOST_NAMED).map(|running| running.offset.to_string()).collect();
        let (subject, runs) = match running.len() {
            1 => (format!("the handler for offset {}", offsets[0]), "runs"),
            all if all <= MOST_NAMED => (format!("handlers for offsets {}", offsets.join(", ")), "run"),
            all => (format!("{all} handlers, for offsets {} and so on,", offsets.join(", ")), "run"),
        };
        let consequence = if self.shared.is_broadcasting() {
            "its message is not committed, and comes again"
        } else {
            "its queue is neither committed nor unlocked, and waits up to 60 s for its next owner"
        };
        let text = format!("{subject} of {} still {runs} at the end of close(): {consequence}", queue.shown);
        self.shared.warn(ClientError::new(Code::Handler, text).with_queue(queue.name()));
    }

    /// Users know nothing of the retry topic.
    fn left_behind(&self, broker_name: &str, queues: &[&Arc<Queue>]) {
        let why = self.shared.unreachable(broker_name);
        let why = why.or_else(|| {
            queues.iter().find_map(|queue| {
                let view = queue.view();
                view.left.clone().or_else(|| view.problem.clone())
            })
        });
        let mut again = Vec::new();
        for queue in queues {
            let view = queue.view();
            if let (Some(committed), Some(next), false) = (view.committed, view.next, queue.hidden)
                && next > committed
            {
                let (topic, id) = (&queue.shown.topic, queue.shown.queue_id);
                again.push(format!("topic {topic}, queue {id}: offsets {committed} to {}", next - 1));
            }
        }
        let consequence = if again.is_empty() {
            String::from("nothing that was handled comes again")
        } else {
            format!("what was handled and not committed comes again ({})", again.join("; "))
        };
        let text = format!("close() could not give everything back to {broker_name}: {consequence}");
        let shown: Vec<_> = queues.iter().filter(|queue| !queue.hidden).collect();
        let error = match why {
            Some(why) => why.without_queue().with_prefix(&text),
            None => ClientError::new(Code::Timeout, format!("{text}: its time was up")),
        };
        self.shared.warn(match shown.as_slice() {
            [queue] => error.with_queue(queue.name()),
            [queue, ..] => error.with_topic(queue.shown.topic.as_str()),
            [] => error,
        });
    }
}

/// Waits for the actors until that time, and keeps those that have not ended.
async fn join(actors: &mut Vec<Actor>, until: Instant) {
    let mut left = Vec::new();
    for (queue, mut actor) in actors.drain(..) {
        if timeout_at(until, &mut actor).await.is_err() {
            left.push((queue, actor));
        }
    }
    *actors = left;
}
