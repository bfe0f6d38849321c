//! What a program asks of the queues that are ours: to commit, and to go on elsewhere.

use std::sync::Arc;

use tokio::time::timeout_at;

use super::Consumer;
use super::brokers::Brokers;
use super::flow::SeekTo;
use super::queue::Queue;
use super::shared::Shared;
use crate::env;
use crate::error::{ClientError, Code, Outcome, QueueName};
use crate::protocol::MessageQueue;

impl<B: Brokers> Consumer<B> {
    /// Commits what is handled at the call, of all queues that are ours. It is tried again for the time of one request; what is not
    /// acknowledged then is in the list, an error for each queue.
    pub fn commit(&self) -> impl Future<Output = Vec<ClientError>> + Send + use<B> {
        let shared = Arc::clone(&self.shared);
        let ask = |queue: Arc<Queue>| {
            let answer = queue.flow.commit()?;
            queue.gate.nudge();
            Some((queue, answer))
        };
        // Before anything is awaited: what is handled from now on does not count.
        let asked: Vec<_> = shared.queues.all().into_iter().filter_map(ask).collect();
        let until = env::now() + shared.brokers.timing().request_timeout;
        async move {
            let mut failures = Vec::new();
            for (queue, answer) in asked {
                match timeout_at(until, answer).await {
                    Ok(Ok(Ok(()))) => {}
                    Ok(Ok(Err(error))) => failures.push(error),
                    Ok(Err(_)) => failures.push(closed("commit()")),
                    Err(_) => failures.push(shared.uncommitted(&queue)),
                }
            }
            failures
        }
    }

    /// Has a queue go on elsewhere, by the name that users see: once its running handler has ended, and the broker has acknowledged the
    /// new position. Nothing starts at the old one from the call on. Calls for one queue are obeyed one after the other.
    pub fn seek(
        &self,
        name: &MessageQueue,
        to: SeekTo,
    ) -> impl Future<Output = Result<(), ClientError>> + Send + use<B> {
        let queues = self.shared.queues.all();
        let queue = queues.into_iter().find(|queue| !queue.hidden && queue.shown == *name);
        let asked = queue.and_then(|queue| {
            let answer = queue.flow.seek(to, &queue.gate)?;
            queue.gate.nudge();
            Some(answer)
        });
        let name = name.clone();
        async move {
            match asked {
                Some(answer) => answer.await.unwrap_or_else(|_| Err(closed("seek()"))),
                None => Err(not_ours(&name)),
            }
        }
    }
}

impl<B: Brokers> Shared<B> {
    /// Why what was handled of a queue is not acknowledged in time.
    fn uncommitted(&self, queue: &Queue) -> ClientError {
        let timeout = self.brokers.timing().request_timeout;
        let text = format!(
            "commit(): what was handled of {} is not acknowledged within {} ms (requestTimeoutMs); it is tried again",
            queue.shown,
            timeout.as_millis()
        );
        let error = match queue.flow.failure() {
            Some(failure) => failure.with_prefix(&text),
            None => match self.unreachable(&queue.real.broker_name) {
                Some(error) => error.with_prefix(&text).with_outcome(Outcome::NotStored),
                None => ClientError::new(Code::Timeout, text).with_outcome(Outcome::Unknown),
            },
        };
        error.with_queue(queue.name())
    }
}

fn closed(call: &str) -> ClientError {
    ClientError::new(Code::Closed, format!("the consumer was closed before {call} was through"))
}

fn not_ours(name: &MessageQueue) -> ClientError {
    let text = format!(
        "seek(): {name} is not this consumer's, so another may be working on it: seek where `assignment()` lists the queue as locked"
    );
    ClientError::new(Code::InvalidState, text).with_queue(QueueName::from(name))
}
