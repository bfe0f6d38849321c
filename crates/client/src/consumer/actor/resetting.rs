//! An offset that somebody else has set: an administrator's reset, or a correction because messages are gone or the store is another.

use super::waiting::{Interrupted, Patience};
use super::{Actor, Correction, Origin, Step};
use crate::client::{Event, ResetReason};
use crate::consumer::brokers::Brokers;
use crate::consumer::queue::LastReset;
use crate::error::{ClientError, Code};
use crate::protocol::SearchOffset;
use crate::record::event::Why;

/// In another store we go on with what was stored so long before the last message that came, ms: its broker may have another clock.
const CLOCKS: i64 = 5_000;

impl<B: Brokers> Actor<B> {
    /// Drains, commits the new offset and goes on there; the lock is kept, and nothing of it is silent.
    pub(super) async fn reset(&mut self) -> Step {
        let Some(correction) = self.correction else { return Step::Run };
        self.queue.gate.close();
        self.pull = None;
        self.drop_unpacking();
        if let Some(step) = self.settle().await {
            return step;
        }
        self.finish_commit().await;
        let from = self.buffer.position();
        let to = match self.aim(correction, from).await {
            Ok(to) => to,
            Err(Interrupted::Forced(step)) => return step,
            Err(Interrupted::GivenUp) => return Step::Reset,
        };
        self.note_reset(from, to, correction.reason);
        match self.commit_at_last(to, Patience::WhileHeld).await {
            Ok(_) => {}
            Err(Interrupted::Forced(step)) => return step,
            Err(Interrupted::GivenUp) => return Step::Reset,
        }
        self.done = None;
        self.begin(to);
        self.committed = to;
        match correction.reason {
            ResetReason::Administrator => {
                self.memory.forget();
                self.origin = Origin::Appointed;
            }
            ResetReason::Deleted => {}
            ResetReason::StoreSetBack => self.memory.lose_landmark(),
        }
        if to != from || correction.reason != ResetReason::StoreSetBack {
            self.tell_reset(from, to, correction.reason);
        }
        Step::Run
    }

    /// Where to go on. In another store: with the first message stored after the last one that came, never behind where we are; when none
    /// has come, or the account may not ask, with the first.
    async fn aim(&mut self, Correction { to, reason }: Correction, from: i64) -> Result<i64, Interrupted> {
        let Some(stored) = self.memory.stored().filter(|_| reason == ResetReason::StoreSetBack) else { return Ok(to) };
        let queue = &self.queue.real;
        let request = SearchOffset {
            topic: queue.topic.clone(),
            broker_name: queue.broker_name.clone(),
            queue_id: queue.queue_id,
            timestamp: stored.saturating_sub(CLOCKS),
        };
        match self.ask(&request, Patience::WhileHeldUnlessDenied).await {
            Ok(found) => Ok(found.max(to).min(from)),
            Err(Interrupted::GivenUp) => Ok(to),
            Err(forced) => Err(forced),
        }
    }

    /// Before the commit, which may be lower than the last.
    fn note_reset(&self, from: i64, to: i64, reason: ResetReason) {
        let record = &self.queue.gate.record;
        if reason == ResetReason::Deleted {
            record.skipped(from, to, "removed");
        }
        record.position(
            to,
            match reason {
                ResetReason::Administrator => Why::Reset,
                ResetReason::Deleted | ResetReason::StoreSetBack => Why::Correction,
            },
        );
    }

    fn tell_reset(&mut self, from: i64, to: i64, reason: ResetReason) {
        let queue = &self.queue.shown;
        let text = match reason {
            ResetReason::Administrator => None,
            ResetReason::Deleted => Some(format!(
                "messages of {queue} are gone: the broker has deleted, or cannot read, what lay from offset {from} to {}, before this group \
                 came to it; nobody handles it any more. Let the broker keep messages longer (fileReservedTime), or more consumers keep up",
                to - 1
            )),
            ResetReason::StoreSetBack => Some(format!(
                "{queue} has another store than before: its topic was made anew, or its broker was set back to an older state. Handling goes \
                 on at offset {to} instead of {from}, so that nothing is skipped; some messages may come again"
            )),
        };
        let problem = text.map(|text| ClientError::new(Code::OffsetReset, text).with_queue(self.queue.name()));
        if let Some(problem) = problem.as_ref().filter(|_| self.queue.hidden) {
            self.shared.warn(problem.clone());
        }
        let at = self.shared.brokers.wall_ms();
        self.queue.view().last_reset = Some(LastReset { from, to, reason, at, problem: problem.clone() });
        self.emit(|queue| Event::OffsetReset { queue, from, to, reason, error: problem });
    }
}
