//! Calls of `commit()`: what was handled before the call is committed at once, wherever the actor stands meanwhile.

use tokio::time::sleep_until;

use super::waiting::done;
use super::{Actor, End};
use crate::consumer::brokers::Brokers;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};

impl<B: Brokers> Actor<B> {
    /// Hears who asks for a commit, and answers those whose commit is acknowledged.
    pub(super) fn attend(&mut self) {
        if !self.queue.flow.is_asked() {
            return;
        }
        // Looked at after the question was: whatever had ended before it is there.
        self.take_outcomes();
        // What was handled under another lock cannot be committed any more, which was told when that was lost.
        let position = if self.positioned { self.buffer.position() } else { self.committed };
        self.queue.flow.wait_for(position);
        if self.commit.is_none() {
            self.commit_at = env::now();
        }
        self.answer_commits();
    }

    /// The broker has acknowledged a commit.
    pub(super) fn has_committed(&mut self) {
        self.is_unsure = false;
        self.commit_at = env::now() + self.shared.options.commit_interval;
        self.queue.flow.has_committed();
        self.answer_commits();
    }

    /// Answers those whose commit is acknowledged; others wait for no interval.
    pub(super) fn answer_commits(&mut self) {
        let committed = if self.is_unsure { -1 } else { self.committed };
        if self.queue.flow.acknowledged(committed) && self.commit.is_none() {
            self.commit_at = self.commit_at.min(env::now());
        }
    }

    /// As [`Actor::nudged`]; what was handled before is committed meanwhile, unless an offset of somebody else is to replace it.
    pub(super) async fn nudged_committing(&mut self, at: Option<Instant>) {
        let may_commit = self.positioned && self.correction.is_none();
        if may_commit {
            self.start_commit();
        }
        let due = (may_commit && self.commit.is_none() && self.must_commit()).then_some(self.commit_at);
        let times = [at, due].into_iter().flatten();
        let until = times.fold(self.lease_end(), Instant::min);
        let Self { queue, wanted, commit, .. } = self;
        tokio::select! {
            answer = done(commit) => self.commit_answered(answer.0, answer.1),
            () = queue.gate.changed() => {}
            _ = wanted.changed() => {}
            () = sleep_until(until) => {}
        }
    }

    /// The queue is handed over or left behind: what was asked for and not done fails.
    pub(super) fn dismiss(&self, end: End) {
        let queue = &self.queue;
        let problem = match end {
            End::Lost => None,
            End::Drained => self.problem.clone(),
            End::Forsaken => self.shared.unreachable(&queue.real.broker_name),
        };
        queue.flow.end(&queue.gate, |call| {
            let text = match end {
                End::Lost => format!(
                    "the lock of {} was lost before {call} was through: another consumer may own it now",
                    queue.shown
                ),
                End::Drained | End::Forsaken => {
                    format!("{} was given back before {call} was through", queue.shown)
                }
            };
            let code = if end == End::Lost { Code::LockLost } else { Code::InvalidState };
            let error = match &problem {
                Some(problem) => problem.clone().with_prefix(&text),
                None => ClientError::new(code, text),
            };
            error.with_queue(queue.name())
        });
    }
}
