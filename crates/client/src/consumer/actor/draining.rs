//! Draining and Committing: nothing new starts, the running handler ends in peace, what is done is committed.

use super::proving::Proof;
use super::waiting::{Interrupted, Patience, done};
use super::{Actor, End, Step};
use crate::client::ResetReason;
use crate::consumer::brokers::Brokers;
use crate::consumer::queue::{Phase, Wanted};
use crate::env;

/// A commit that fails this often is given up.
const COMMIT_ATTEMPTS: u32 = 3;

impl<B: Brokers> Actor<B> {
    /// Drains the queue; wanted again meanwhile, it goes on where it was.
    pub(super) async fn draining(&mut self) -> Step {
        if self.correction.is_some_and(|correction| correction.reason == ResetReason::StoreSetBack) {
            // The next owner knows nothing of the store that this offset belongs to.
            return Step::Reset;
        }
        self.queue.gate.close();
        self.pull = None;
        self.drop_unpacking();
        self.proof = Proof::default();
        self.set_phase(Phase::Draining);
        loop {
            let has_ended = self.take_last_outcomes();
            self.publish();
            if let Some(step) = self.forced() {
                return step;
            }
            if self.wanted() == Wanted::Yes {
                return Step::Run;
            }
            if has_ended {
                break;
            }
            self.nudged(None).await;
        }
        if let Some(step) = self.last_handoff().await {
            return step;
        }
        if let Some(step) = self.last_passing().await {
            return step;
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

    /// One last attempt for a message on its way to the dead-letter queue; else its next owner handles it again.
    async fn last_handoff(&mut self) -> Option<Step> {
        self.handoff_at = env::now();
        self.start_handoff();
        while self.handoff.is_some() {
            if let Some(step) = self.forced() {
                return Some(step);
            }
            let until = self.lease_end();
            let Self { queue, handoff, .. } = self;
            let answer = tokio::select! {
                answer = done(handoff) => Some(answer),
                () = queue.gate.changed() => None,
                () = tokio::time::sleep_until(until) => None,
            };
            if let Some(answer) = answer {
                self.handoff_answered(answer);
            }
        }
        None
    }
}
