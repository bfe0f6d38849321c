//! Draining and Committing: nothing new starts, the running handlers end in peace, what is done is committed.

use std::time::Duration;

use super::proving::Proof;
use super::waiting::{Interrupted, Patience};
use super::{Actor, End, Step};
use crate::client::ResetReason;
use crate::consumer::brokers::Brokers;
use crate::consumer::options::OrderedBy;
use crate::consumer::queue::{Phase, Wanted};
use crate::env::{self, Instant, planted};

/// A commit that fails this often is given up.
const COMMIT_ATTEMPTS: u32 = 3;
/// So long messages begin that lie before the furthest.
const HOLES: Duration = Duration::from_secs(10);
/// So long what may still be handled waits for a handler to be free, while none of the queue runs.
const NO_PLACE: Duration = Duration::from_secs(5);

impl<B: Brokers> Actor<B> {
    /// Drains the queue; wanted again meanwhile, it goes on where it was.
    pub(super) async fn draining(&mut self) -> Step {
        if self.correction.is_some_and(|correction| correction.reason == ResetReason::StoreSetBack) {
            // The next owner knows nothing of the store that this offset belongs to.
            return Step::Reset;
        }
        self.pull = None;
        self.drop_unpacking();
        self.proof = Proof::default();
        self.set_phase(Phase::Draining);
        if let Some(step) = self.close_holes().await {
            return step;
        }
        if let Some(step) = self.last_passing().await {
            return step;
        }
        self.queue.gate.close();
        // One may have begun since the last look.
        if let Some(step) = self.settle().await {
            return step;
        }
        if planted("unlock before commit") {
            self.commit_aside();
            return Step::End(End::Drained);
        }
        match self.commit_now(Patience::Attempts(COMMIT_ATTEMPTS)).await {
            // The next owner handles those messages again: told at the end of close(), otherwise already.
            Err(Interrupted::GivenUp) if self.wanted() == Wanted::Never => {
                self.queue.view().left.clone_from(&self.problem);
            }
            Ok(()) | Err(Interrupted::GivenUp) => {}
            Err(Interrupted::Forced(step)) => return step,
        }
        self.publish();
        if self.wanted() == Wanted::Yes { Step::Run } else { Step::End(End::Drained) }
    }

    /// Nothing begins behind what has begun: the running handlers end in peace, and what lies between their messages is handled, too, else
    /// all behind it would come again. What waits after a failure is left to the next owner, as is what no handler is free for.
    async fn close_holes(&mut self) -> Option<Step> {
        // In a queue's own order nothing is done behind what is not: the rest of a batch of which one message has failed is the next owner's.
        let has_holes = self.shared.options.ordered_by == OrderedBy::Key;
        let mut furthest = self.queue.gate.narrow(has_holes);
        self.note_revoked();
        if self.buffer.has_holes(furthest) && !self.queue.gate.is_open() {
            // After a doubt, or what an administrator has handed over.
            self.reopen();
            furthest = self.queue.gate.narrow(has_holes);
        }
        let until = self.holes_until();
        let mut is_handing_over = true;
        let mut idle_since = None;
        loop {
            let has_ended = self.take_last_outcomes();
            let may_begin = !self.queue.gate.is_paused() && env::now() < until;
            if may_begin {
                self.deliver(furthest);
            } else {
                self.queue.gate.close();
            }
            self.attend();
            self.publish();
            if let Some(step) = self.forced() {
                return Some(step);
            }
            if self.queue.flow.next_seek().is_some() {
                // The next owner would not hear of it.
                return Some(Step::Seek);
            }
            if self.wanted() == Wanted::Yes {
                return Some(Step::Run);
            }
            idle_since = if has_ended { idle_since.or(Some(env::now())) } else { None };
            let patient_until = idle_since.map_or(until, |since| until.min(since + NO_PLACE));
            let is_patient = may_begin && !self.shared.handlers.are_gone() && env::now() < patient_until;
            if !has_ended || (is_patient && self.buffer.has_holes(furthest)) {
                self.nudged_committing(may_begin.then_some(patient_until)).await;
                continue;
            }
            // What gets into the dead-letter queue is no hole any more, and what lies behind it may follow.
            let offset = self.way_out().filter(|_| is_handing_over)?;
            if let Some(step) = self.last_handoff(offset).await {
                return Some(step);
            }
            is_handing_over = self.buffer.trouble(offset).is_none();
        }
    }

    /// Nothing new begins from here on, which is written down once.
    pub(super) fn note_revoked(&mut self) {
        if !std::mem::replace(&mut self.is_revoked, true) {
            self.queue.gate.record.revoked();
        }
    }

    /// How long messages may begin: another queue's owner waits, and the end of `close()` has to find the queue given back.
    fn holes_until(&self) -> Instant {
        let until = env::now() + HOLES;
        match self.shared.last_call.get() {
            Some(last_call) => until.min(env::now() + last_call.saturating_duration_since(env::now()) / 2),
            None => until,
        }
    }

    /// The first message on its way to the dead-letter queue.
    fn way_out(&self) -> Option<i64> {
        self.buffer.troubles().find(|(_, trouble)| trouble.way_out().is_some()).map(|(offset, _)| offset)
    }

    /// One last attempt for a message on its way to the dead-letter queue; else its next owner handles it again.
    async fn last_handoff(&mut self, offset: i64) -> Option<Step> {
        if let Some(step) = self.finish_handoff().await {
            return Some(step);
        }
        self.hand_off(offset);
        self.finish_handoff().await
    }

    async fn finish_handoff(&mut self) -> Option<Step> {
        match self.answer_of(|actor| &mut actor.handoff).await {
            Ok(Some((offset, answer))) => self.handoff_answered(offset, answer),
            Ok(None) => {}
            Err(step) => return Some(step),
        }
        None
    }
}
