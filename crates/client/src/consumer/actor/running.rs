//! Running, and Suspended and Paused, which are Running without deliveries: one pull ahead, chunks to the sink, commits behind.

use std::time::Duration;

use super::buffer::Chunk;
use super::waiting::{at, done};
use super::{Actor, Correction, Step};
use crate::client::ResetReason;
use crate::consumer::brokers::Brokers;
use crate::consumer::options::OrderedBy;
use crate::consumer::queue::{Order, Phase, Wanted};
use crate::consumer::sink::{Delivery, Handover};
use crate::env::{self, Instant};
use crate::protocol::properties::name;
use crate::record::event::Why;

/// How late successes may be noticed.
const PROGRESS: Duration = Duration::from_millis(100);

/// What ended a turn of the loop.
enum Turn {
    Nothing,
    Pulled(Result<crate::protocol::Pulled, crate::client::CallError>),
    Unpacked(super::unpacking::Unpacked),
    Looked(Result<crate::protocol::Pulled, crate::client::CallError>),
    Committed((i64, Result<crate::protocol::CommitOutcome, crate::client::CallError>)),
    HandedOff((i64, Result<crate::protocol::SendReceipt, crate::client::CallError>)),
    PassedOn(Result<crate::protocol::SendReceipt, crate::client::CallError>),
    Ordered(Order),
}

impl<B: Brokers> Actor<B> {
    /// Works until the lock, an administrator, or what is wanted leads elsewhere.
    pub(super) async fn running(&mut self) -> Step {
        // A drain that is called off leaves it open: what starts behind the last look would count in the runs to come.
        self.queue.gate.close();
        if let Some(step) = self.settle().await {
            return step;
        }
        if self.wanted() != Wanted::Yes {
            return Step::Drain;
        }
        // Wanted again before it was given back.
        self.shared.group.assigned.excuse(&self.queue, &self.shared.brokers);
        self.shared.group.revoked.excuse(&self.queue, &self.shared.brokers);
        if !self.reopen() {
            // Doubted in this very moment, which the next look tells.
            return self.forced().unwrap_or(Step::Run);
        }
        if std::mem::take(&mut self.is_revoked) {
            // Wanted again before it was given back.
            self.queue.gate.record.position(self.buffer.position(), Why::Memory);
        }
        self.want_landmark();
        loop {
            if let Some(step) = self.elsewhere() {
                return step;
            }
            self.again_at = self.buffer.wake_troubled(env::now());
            if !self.queue.gate.is_paused() {
                self.deliver(i64::MAX);
            }
            // Of those that stand still there may be a thousand: the first success of such a queue wakes its actor.
            let watched = self.is_watched();
            self.queue.gate.wake_after(if watched { self.buffer.patience() } else { 1 });
            self.start_pull();
            self.start_look();
            self.start_commit();
            self.start_handoff();
            self.start_passing();
            self.phase = match (self.queue.gate.is_paused(), self.stands_still()) {
                (true, _) => Phase::Paused,
                (false, true) => Phase::Suspended,
                (false, false) => Phase::Running,
            };
            self.publish();
            let turn = self.turn(watched).await;
            self.take_outcomes();
            self.attend();
            match turn {
                Turn::Nothing => {}
                Turn::Pulled(answer) => self.pulled(answer),
                Turn::Unpacked(unpacked) => self.unpacked(unpacked),
                Turn::Looked(answer) => self.looked(answer),
                Turn::Committed((offset, answer)) => self.commit_answered(offset, answer),
                Turn::HandedOff((offset, answer)) => self.handoff_answered(offset, answer),
                Turn::PassedOn(answer) => self.passed_on(answer),
                Turn::Ordered(Order::Reset(to)) => {
                    self.correction = Some(Correction { to, reason: ResetReason::Administrator });
                }
                Turn::Ordered(Order::Direct { reply, .. }) if reply.is_closed() => {}
                Turn::Ordered(Order::Direct { message, reply }) => return Step::Direct { message, reply },
            }
        }
    }

    /// Opens the gate, with nothing handed over. False: the lock is not certain.
    pub(super) fn reopen(&mut self) -> bool {
        self.opened_after = self.queue.gate.generation();
        let is_open = self.queue.gate.open();
        if is_open {
            self.buffer.restart();
        }
        is_open
    }

    fn elsewhere(&mut self) -> Option<Step> {
        if let Some(step) = self.forced() {
            return Some(step);
        }
        // Before a drain: the next owner would not hear of an administrator's reset.
        let is_due = |reason| reason == ResetReason::Administrator || self.buffer.is_empty();
        if self.correction.is_some_and(|correction| is_due(correction.reason)) {
            return Some(Step::Reset);
        }
        if self.queue.flow.next_seek().is_some() {
            return Some(Step::Seek);
        }
        (self.wanted() != Wanted::Yes).then_some(Step::Drain)
    }

    /// Whether nothing goes on before what has failed does, or what cannot be delivered. While a key is held, the others go on until there
    /// are as many messages behind it as may come again.
    fn stands_still(&self) -> bool {
        if self.buffer.is_empty() {
            return self.held.is_some() || self.passing.is_refused();
        }
        let is_blocked = self.buffer.sent() == 0 && self.buffer.troubles().any(|(_, trouble)| !trouble.is_over());
        let is_all = self.shared.options.ordered_by == OrderedBy::Queue || self.held.is_some() || !self.may_pull();
        is_blocked && is_all
    }

    /// Chunks to the sink, of messages up to this offset.
    pub(super) fn deliver(&mut self, limit: i64) {
        while let Some(Chunk { lane, run, last, messages }) = self.buffer.take_chunk(limit) {
            for delivery in messages.iter().filter(|delivery| delivery.message.reconsume_times > 0) {
                self.queue.gate.note_attempts(delivery.message.queue_offset, delivery.message.reconsume_times);
            }
            let is_one = self.shared.options.ordered_by == OrderedBy::Queue;
            let generation = run.unwrap_or_else(|| {
                // That of a queue has no end: chunk follows chunk.
                let run = self.queue.gate.begin_run(lane, if is_one { i64::MAX } else { last });
                self.buffer.set_run(lane, run);
                self.name_run(run, &messages);
                run
            });
            let after = if is_one { generation.wrapping_sub(1) } else { self.opened_after };
            let handover = Handover { queue: self.queue.index, generation, after, messages };
            if !self.shared.handlers.sink().deliver(handover) {
                self.shared.handlers.leave();
                return;
            }
        }
    }

    /// Histories name the key of a handler's messages.
    fn name_run(&self, run: u32, messages: &[Delivery]) {
        if self.shared.options.ordered_by == OrderedBy::Key
            && self.queue.gate.record.is_kept()
            && let Some(key) = messages.first().and_then(|first| first.message.property(name::SHARDING_KEY))
        {
            self.queue.gate.name_run(run, key.into());
        }
    }

    async fn turn(&mut self, watched: bool) -> Turn {
        let next = self.next_deadline(watched);
        let Self { queue, wanted, orders, pull, unpacking, proof, commit, handoff, passing, .. } = self;
        tokio::select! {
            // Quick handlers change the gate all the time; answers must not wait for a pause of theirs.
            biased;
            answer = done(pull) => Turn::Pulled(answer),
            unpacked = done(unpacking) => Turn::Unpacked(unpacked),
            answer = done(&mut proof.look) => Turn::Looked(answer),
            answer = done(commit) => Turn::Committed(answer),
            answer = done(handoff) => Turn::HandedOff(answer),
            answer = done(&mut passing.send) => Turn::PassedOn(answer),
            Some(order) = orders.recv() => Turn::Ordered(order),
            () = queue.gate.changed() => Turn::Nothing,
            _ = wanted.changed() => Turn::Nothing,
            () = at(Some(next)) => Turn::Nothing,
        }
    }

    /// Whether successes are looked for from time to time, as some have come just now.
    fn is_watched(&self) -> bool {
        self.buffer.patience() > 1 && self.progress_at.is_some_and(|at| env::now() < at + PROGRESS)
    }

    fn next_deadline(&self, watched: bool) -> Instant {
        let commit = (self.commit.is_none() && self.must_commit()).then_some(self.commit_at);
        let handoff = if self.handoff.is_none() { self.handoff_due() } else { None };
        // Successes wake nobody until a chunk is through; slow ones are to be seen and committed before.
        let progress = watched.then(|| env::now() + PROGRESS);
        let passing = self.passing.due(self.queue.gate.is_paused());
        let times = [commit, handoff, passing, self.pull_due(), self.proof.due(), self.again_at, progress];
        times.into_iter().flatten().fold(self.lease_end(), Instant::min)
    }
}
