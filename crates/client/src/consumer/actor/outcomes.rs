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
        let (generation, outcomes) = self.queue.gate.take();
        for ended in outcomes.into_iter().filter(|ended| !ended.direct) {
            self.look_up(ended);
        }
        if generation != self.generation {
            self.generation = generation;
            self.buffer.restart();
        }
    }

    fn look_up(&mut self, ended: Ended) {
        let Some(front) = self.buffer.front().filter(|front| front.message.queue_offset == ended.offset) else {
            return;
        };
        self.last_consumed = self.shared.brokers.wall_ms();
        if ended.verdict == Verdict::Done {
            self.shared.counters.consumed.fetch_add(1, Ordering::Relaxed);
            self.finished(ended.offset);
            return;
        }
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
        self.buffer.done(offset);
        self.queue.gate.drop_attempts(offset);
        self.blocked = None;
        self.suspended_until = None;
        self.giving_up = None;
    }
}
