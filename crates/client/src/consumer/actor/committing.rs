//! Commits: when changed, one in flight, awaited; never lower except by a reset or a seek, none after the lock is known lost.

use std::sync::Arc;

use super::Actor;
use super::waiting::{Interrupted, Patience, done};
use crate::client::CallError;
use crate::consumer::brokers::Brokers;
use crate::consumer::positions::Haste;
use crate::consumer::queue::Wanted;
use crate::env::{self, planted};
use crate::protocol::CommitOutcome;

impl<B: Brokers> Actor<B> {
    /// Whether something is done that the broker does not know of.
    pub(super) fn must_commit(&self) -> bool {
        self.buffer.position() > self.committed || self.is_unsure
    }

    /// Starts the next commit when it is time.
    pub(super) fn start_commit(&mut self) {
        let is_busy = self.commit.is_some() && !planted("two commits at once");
        if is_busy || !self.must_commit() || self.commit_at > env::now() {
            return;
        }
        let mut offset = self.buffer.position();
        if planted("commit what runs") && self.queue.gate.count_running() > 0 {
            offset += 1;
        }
        self.last_word.tell(offset);
        let (shared, queue) = (Arc::clone(&self.shared), Arc::clone(&self.queue));
        self.commit = Some(Box::pin(async move { (offset, shared.commit(&queue.real, offset, Haste::Soon).await) }));
    }

    /// Only planted: commits without anybody's waiting for it.
    pub(super) fn commit_aside(&self) {
        if self.must_commit() {
            let (shared, queue, offset) = (Arc::clone(&self.shared), Arc::clone(&self.queue), self.buffer.position());
            env::spawn(async move { shared.commit(&queue.real, offset, Haste::Now).await });
        }
    }

    /// Takes the answer in. `ResetPending` is none to act on: the next pull brings the new offset.
    pub(super) fn commit_answered(&mut self, offset: i64, answer: Result<CommitOutcome, CallError>) {
        match answer {
            Ok(_) => {
                self.committed = self.committed.max(offset);
                self.commit_pause.reset();
                self.has_committed();
            }
            Err(error) => {
                self.commit_at = env::now() + self.commit_pause.next();
                let is_uncertain = error.is_uncertain();
                let error = error.into_error();
                self.queue.flow.has_failed(error.clone(), is_uncertain);
                self.report(error);
            }
        }
    }

    /// Waits for the commit in flight, so that none overtakes it.
    pub(super) async fn finish_commit(&mut self) {
        if self.commit.is_some() {
            let (offset, answer) = done(&mut self.commit).await;
            self.commit_answered(offset, answer);
        }
    }

    /// Commits this offset, whatever it was before.
    pub(super) async fn commit_at_last(
        &mut self,
        offset: i64,
        patience: Patience,
    ) -> Result<CommitOutcome, Interrupted> {
        self.last_word.tell(offset);
        let (shared, queue) = (Arc::clone(&self.shared), Arc::clone(&self.queue));
        self.insist(patience, || shared.commit(&queue.real, offset, Haste::Now)).await
    }

    /// The offset that is committed, if there is one.
    pub(super) async fn ask_committed(&mut self, patience: Patience) -> Result<Option<i64>, Interrupted> {
        let (shared, queue) = (Arc::clone(&self.shared), Arc::clone(&self.queue));
        self.insist(patience, || shared.committed(&queue.real)).await
    }

    /// Commits what is done, now.
    pub(super) async fn commit_now(&mut self, patience: Patience) -> Result<(), Interrupted> {
        self.finish_commit().await;
        let mut offset = self.buffer.position();
        if planted("forget a hole on drain") && self.wanted() != Wanted::Yes {
            offset = offset.max(self.queue.gate.narrow(true).saturating_add(1));
        }
        if self.must_commit() || offset > self.committed {
            self.commit_at_last(offset, patience).await?;
            self.committed = offset;
            self.has_committed();
        }
        self.answer_commits();
        Ok(())
    }
}
