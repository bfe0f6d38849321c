//! Doubtful: the connection broke, a renewal stayed unanswered, or the machine slept.
//!
//! Nothing starts; a running handler ends and its result is kept. After a fresh lock the greater of what we know and what is
//! committed counts: another owner may have worked in between. Refused, or the lease over: lost.

use super::waiting::{Interrupted, Patience};
use super::{Actor, End, Step};
use crate::consumer::brokers::Brokers;
use crate::consumer::gate::Tenure;
use crate::consumer::queue::{Phase, Wanted};
use crate::env;
use crate::record::event::Why;

impl<B: Brokers> Actor<B> {
    /// Waits for what the broker says of the lock, and looks around when it is ours again.
    pub(super) async fn doubtful(&mut self) -> Step {
        self.queue.gate.close();
        self.set_phase(Phase::Doubtful);
        loop {
            let has_ended = self.take_last_outcomes();
            self.attend();
            self.publish();
            match self.queue.gate.tenure() {
                Tenure::Absent | Tenure::Lost => return Step::End(End::Lost),
                Tenure::Held(lease) | Tenure::Regained(lease) | Tenure::Doubtful(lease)
                    if lease.until() <= env::now() =>
                {
                    return Step::End(End::Lost);
                }
                Tenure::Held(_) | Tenure::Regained(_) if !self.positioned || has_ended => break,
                Tenure::Held(_) | Tenure::Regained(_) | Tenure::Doubtful(_) => {}
            }
            if has_ended && self.is_forsaken() {
                return Step::End(End::Forsaken);
            }
            let nothing_left = has_ended && (!self.positioned || !self.must_commit());
            if self.wanted() != Wanted::Yes && nothing_left {
                return Step::End(End::Drained);
            }
            self.nudged(None).await;
        }
        if !self.queue.gate.acknowledge() {
            return Step::Doubt;
        }
        if !self.positioned {
            return Step::Position;
        }
        match self.look_around().await {
            Ok(()) if self.wanted() == Wanted::Yes => Step::Run,
            Ok(()) | Err(Interrupted::GivenUp) => Step::Drain,
            Err(Interrupted::Forced(step)) => step,
        }
    }

    async fn look_around(&mut self) -> Result<(), Interrupted> {
        self.finish_commit().await;
        // A broker that has begun anew may have another store.
        self.memory.doubt();
        let stored = self.ask_committed(Patience::WhileHeld).await?;
        let committed = stored.unwrap_or(0);
        // Else it is what we told it before a seek, or a reset, has led us back.
        let is_further = committed > self.buffer.position() && !self.last_word.is_ours(committed);
        self.is_unsure |= committed > self.buffer.position() && !is_further;
        if is_further {
            self.buffer.advance_to(committed);
            self.queue.gate.drop_attempts_below(committed);
            // Of a message that is somebody else's by now, or soon begun anew.
            self.handoff = None;
        }
        self.committed = committed;
        // What we have handled of it ourselves, behind what others have committed, stays handled.
        let from = if is_further { committed } else { self.buffer.position() };
        // Committed by whomever: by ourselves, too, where we have heard no answer.
        let why = if from == committed { Why::Committed } else { Why::Memory };
        self.queue.gate.record.position(from, why);
        self.commit_now(Patience::WhileHeld).await
    }
}
