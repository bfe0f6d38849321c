//! What is written down of one queue.

use super::gate::Outcome;
use crate::env::Instant;
use crate::protocol::MessageQueue;
use crate::record::History;
use crate::record::event::{Ended, Event, Phase, Queue, Why};

/// The history of the consumer, as far as it is one queue's.
#[derive(Clone, Debug)]
pub(crate) struct QueueRecord {
    history: History,
    /// Real.
    queue: MessageQueue,
}

/// As histories name it.
pub(super) fn name_of(queue: &MessageQueue) -> Queue {
    Queue { topic: queue.topic.clone(), broker: queue.broker_name.clone(), id: queue.queue_id }
}

/// How a request for which somebody waited has ended.
pub(super) fn phase(is_done: bool) -> Phase {
    if is_done { Phase::Done } else { Phase::Unknown }
}

impl QueueRecord {
    /// Of the queue of that real name.
    pub(crate) fn new(history: &History, queue: &MessageQueue) -> Self {
        Self { history: history.clone(), queue: queue.clone() }
    }

    /// Whether anybody wants to know.
    pub(crate) fn is_kept(&self) -> bool {
        self.history.is_kept()
    }

    fn record(&self, event: impl FnOnce(Queue) -> Event) {
        self.history.record(|| event(name_of(&self.queue)));
    }

    // ---- the lock

    /// It became ours, by a request that was sent then.
    pub(crate) fn lock(&self, asked: Instant) {
        self.history.record_since(asked, |asked| Event::Lock { queue: name_of(&self.queue), asked });
    }

    /// It is ours for longer, by a request that was sent then.
    pub(crate) fn renewed(&self, asked: Instant) {
        self.history.record_since(asked, |asked| Event::Renewed { queue: name_of(&self.queue), asked });
    }

    /// It does not count as ours any more.
    pub(crate) fn lost(&self, why: &str) {
        self.record(|queue| Event::Lost { queue, why: why.to_owned() });
    }

    /// It is on its way out.
    pub(crate) fn revoked(&self) {
        self.record(|queue| Event::Revoked { queue });
    }

    /// It is given back.
    pub(crate) fn unlock(&self, phase: Phase) {
        self.record(|queue| Event::Unlock { queue, phase });
    }

    // ---- handlers

    /// Messages are handed over from here on.
    pub(crate) fn position(&self, offset: i64, why: Why) {
        self.record(|queue| Event::Position { queue, offset, why });
    }

    /// A handler may be called now, with the messages from `offset` to `last`.
    pub(crate) fn start(&self, offset: i64, last: i64, key: Option<&str>, attempt: u32) {
        self.record(|queue| Event::Start { queue, offset, last, key: key.map(str::to_owned), attempt });
    }

    /// A handler has ended.
    pub(crate) fn end(&self, offset: i64, outcome: Option<Outcome>, counted: bool) {
        let outcome = match outcome {
            Some(Outcome::Success) => Ended::Success,
            Some(Outcome::Later | Outcome::Suspend(_) | Outcome::DeadLetter) => Ended::Failure,
            None => Ended::Left,
        };
        self.record(|queue| Event::End { queue, offset, outcome, counted });
    }

    /// A handler of several is done with all before this one.
    pub(crate) fn passed(&self, offset: i64) {
        self.record(|queue| Event::Passed { queue, offset });
    }

    /// No handler is called for these.
    pub(crate) fn skipped(&self, from: i64, to: i64, why: &str) {
        if to > from {
            self.record(|queue| Event::Skipped { queue, from, to, why: why.to_owned() });
        }
    }

    /// A message on its way to the dead-letter queue.
    pub(crate) fn dead_letter(&self, offset: i64, phase: Phase) {
        self.record(|queue| Event::DeadLetter { queue, offset, phase });
    }
}
