//! The end: drain, commit, unlock, unregister, in this order and within a bound.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use super::Consumer;
use super::brokers::Brokers;
use super::queue::{Phase, Queue, Wanted};
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};

/// Kept back for taking leave of the brokers.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long before the bound the signals of running handlers fire, so that some may end in time.
const LAST_CALL: Duration = Duration::from_secs(1);

impl<B: Brokers> Consumer<B> {
    pub(super) async fn close_once(&self, bound: Duration) {
        let deadline = env::now() + bound;
        let firm = deadline - FAREWELL.min(bound / 10);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // Ended for certain: no queue is wanted any more from here on.
            let _ = task.await;
        }
        self.drain(firm - LAST_CALL.min(bound / 5), firm).await;
        for queue in self.shared.all_queues() {
            queue.gate.lose();
        }
        let keepers = std::mem::take(&mut *self.shared.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, (asks, task)) in keepers {
            drop(asks);
            let abort = task.abort_handle();
            if timeout_at(firm, task).await.is_err() {
                abort.abort();
            }
        }
        let _ = timeout_at(deadline, self.shared.brokers.close()).await;
    }

    /// Waits for the actors until `firm`; the signals of handlers that still run fire at `last_call`.
    async fn drain(&self, last_call: Instant, firm: Instant) {
        for queue in self.shared.all_queues() {
            queue.wanted.send_replace(Wanted::Never);
        }
        let mut actors = std::mem::take(&mut *self.shared.actors.lock().unwrap_or_else(PoisonError::into_inner));
        join(&mut actors, last_call).await;
        for (queue, _) in &actors {
            if let Some(running) = queue.gate.running() {
                let error = ClientError::new(Code::Closed, "the consumer is closing and its time is up")
                    .with_queue(queue.name());
                self.shared.sink.abort(queue.index, running.generation, error);
            }
        }
        join(&mut actors, firm).await;
        for (queue, actor) in actors {
            actor.abort();
            // Ended for certain: it asks no lock keeper any more, which would begin a new one.
            let _ = actor.await;
            self.left_behind(&queue);
        }
    }

    /// Neither committed nor unlocked: the broker's lock runs out by itself, later than any handler's excuse.
    fn left_behind(&self, queue: &Arc<Queue>) {
        let shown = &queue.shown;
        if let Some(running) = queue.gate.running() {
            let text = format!(
                "the handler for offset {} of {shown} still runs at the end of close(): its queue is neither committed nor \
                 unlocked, and waits up to 60 s for its next owner",
                running.offset
            );
            self.shared.warn(ClientError::new(Code::Handler, text).with_queue(queue.name()));
        } else if !matches!(queue.view().phase, Phase::Gone | Phase::Locking) {
            let next = queue.view().next;
            let text = format!("{shown} could not be committed at offset {next} or unlocked before the end of close()");
            self.shared.warn(ClientError::new(Code::Timeout, text).with_queue(queue.name()));
        }
    }
}

/// Waits for the actors until that time, and keeps those that have not ended.
async fn join(actors: &mut Vec<(Arc<Queue>, JoinHandle<()>)>, until: Instant) {
    let mut left = Vec::new();
    for (queue, mut actor) in actors.drain(..) {
        if timeout_at(until, &mut actor).await.is_err() {
            left.push((queue, actor));
        }
    }
    *actors = left;
}
