//! What handlers have brought.

use std::sync::atomic::Ordering;

use super::Actor;
use super::troubles::Trouble;
use crate::consumer::brokers::Brokers;
use crate::consumer::gate::{Ended, Verdict};
use crate::consumer::queue::Blocked;
use crate::consumer::sink::Delivery;
use crate::env;
use crate::protocol::properties::name;

impl<B: Brokers> Actor<B> {
    /// Reads what handlers have brought, and what the gate has refused.
    pub(super) fn take_outcomes(&mut self) {
        let (mut outcomes, mut over) = (std::mem::take(&mut self.outcomes), std::mem::take(&mut self.over));
        self.queue.gate.take(&mut outcomes, &mut over);
        if !outcomes.is_empty() {
            self.progress_at = Some(env::now());
            self.take_each(outcomes.drain(..));
        }
        for (lane, run) in over.drain(..) {
            self.buffer.run_over(lane, run);
        }
        (self.outcomes, self.over) = (outcomes, over);
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
        let mut done = 0;
        for ended in outcomes {
            if ended.direct {
                continue;
            }
            if ended.verdict != Verdict::Done {
                self.take_failure(ended, wall_ms);
            } else if self.buffer.done(ended.offset) {
                self.last_consumed = wall_ms;
                done += 1;
            }
        }
        self.shared.counters.consumed.fetch_add(done, Ordering::Relaxed);
    }

    fn take_failure(&mut self, ended: Ended, wall_ms: i64) {
        let Ended { offset, verdict, reason, .. } = ended;
        let Some(Delivery { message, attempt, .. }) = self.buffer.message(offset) else { return };
        self.last_consumed = wall_ms;
        self.shared.counters.failed.fetch_add(1, Ordering::Relaxed);
        let before = self.buffer.trouble(offset);
        let (failures, since) = before.map_or((0, wall_ms), |trouble| (trouble.failures, trouble.blocked.since));
        let sharding_key = message.property(name::SHARDING_KEY).map(str::to_owned);
        let blocked = Blocked { msg_id: message.msg_id(), sharding_key, offset, attempt, since, reason };
        self.buffer.set_trouble(
            offset,
            match verdict {
                Verdict::GiveUp { asked } => Trouble::giving_up(failures, blocked, asked, env::now()),
                Verdict::Again(at) => Trouble::again(failures.saturating_add(1), blocked, at),
                Verdict::Done => return,
            },
        );
    }
}
