//! What handlers have brought.

use std::sync::atomic::Ordering;

use super::Actor;
use super::handoff::GivingUp;
use crate::consumer::brokers::Brokers;
use crate::consumer::gate::{Ended, Verdict};
use crate::consumer::queue::Blocked;
use crate::env;

impl<B: Brokers> Actor<B> {
    /// Reads what handlers have brought, and follows the generation.
    pub(super) fn take_outcomes(&mut self) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let generation = self.queue.gate.take(&mut outcomes);
        if !outcomes.is_empty() {
            self.progress_at = Some(env::now());
            self.take_each(outcomes.drain(..));
        }
        self.outcomes = outcomes;
        if generation != self.generation {
            self.generation = generation;
            self.buffer.restart();
        }
    }

    /// The same where no handler may start any more: true once all that there will be is taken.
    pub(super) fn take_last_outcomes(&mut self) -> bool {
        // Looked at first: a handler that ends in between, on another thread, has brought what is not taken yet.
        let has_ended = !self.is_running();
        self.take_outcomes();
        has_ended
    }

    fn take_each(&mut self, outcomes: impl Iterator<Item = Ended>) {
        let wall_ms = self.shared.brokers.wall_ms();
        let (mut done, mut last) = (0, None);
        for ended in outcomes {
            if ended.direct || !self.buffer.begins_at(ended.offset) {
                continue;
            }
            self.last_consumed = wall_ms;
            if ended.verdict == Verdict::Done {
                self.pass(ended.offset);
                (done, last) = (done + 1, Some(ended.offset));
            } else {
                self.take_failure(ended);
            }
        }
        if let Some(offset) = last {
            self.shared.counters.consumed.fetch_add(done, Ordering::Relaxed);
            self.queue.gate.drop_attempts(offset);
        }
    }

    fn take_failure(&mut self, ended: Ended) {
        let Some(front) = self.buffer.front() else { return };
        self.shared.counters.failed.fetch_add(1, Ordering::Relaxed);
        let since = self.blocked.as_ref().map_or(self.last_consumed, |blocked| blocked.since);
        self.blocked = Some(Blocked {
            msg_id: front.message.msg_id(),
            offset: ended.offset,
            attempt: front.attempt,
            since,
            reason: ended.reason,
        });
        match ended.verdict {
            Verdict::Again(at) => {
                self.buffer.failed();
                self.suspended_until = Some(at);
            }
            Verdict::GiveUp { asked } => {
                self.giving_up = Some(GivingUp { asked });
                self.handoff_at = env::now();
            }
            Verdict::Done => {}
        }
    }

    /// The front message is done with, one way or the other.
    pub(super) fn finished(&mut self, offset: i64) {
        self.pass(offset);
        self.queue.gate.drop_attempts(offset);
    }

    fn pass(&mut self, offset: i64) {
        self.buffer.done(offset);
        self.blocked = None;
        self.suspended_until = None;
        self.giving_up = None;
    }
}
