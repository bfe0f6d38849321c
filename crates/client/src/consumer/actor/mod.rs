//! The queue actor: one task per queue that was ever ours. It owns the queue's lock, buffer, pull, offset and commits.
//!
//! ```text
//! Locking → Positioning → Running ⇄ Suspended
//!               ↑            ⇅ Doubtful ──refused or 30 s──→ Lost
//! any state → Draining → Committing → Unlocking → gone        Draining → Running when assigned again with a valid lock
//! ```

mod answers;
mod attending;
mod buffer;
mod committing;
mod direct;
mod doubtful;
mod draining;
mod giving_up;
mod handoff;
mod locking;
mod memory;
mod outcomes;
mod positioning;
mod proving;
mod pulling;
mod resetting;
mod running;
mod seeking;
mod told;
mod troubles;
mod undecodable;
mod unpacking;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use self::buffer::{Buffer, Done};
use self::memory::Memory;
use self::proving::Proof;
use self::told::LastWord;
use self::undecodable::Passing;
use self::unpacking::Unpacked;
use self::waiting::Pending;
use super::brokers::Brokers;
use super::budget::Share;
use super::gate::{Ended, Over, Tenure};
use super::queue::{Order, Phase, Queue, Wanted};
use super::shared::Shared;
use crate::client::{Answer, CallError, Event, ResetReason};
use crate::env::{self, Backoff, Instant, planted};
use crate::error::{ClientError, Code};
use crate::protocol::{CommitOutcome, MessageQueue, Pulled, SendReceipt, StoredMessage};

/// First and longest pause before a queue begins anew whose work has ended in a panic.
const PANIC_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How an epoch of ownership ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The lock was refused, or ran out.
    Lost,
    /// Nothing runs, everything is committed.
    Drained,
    /// We close, and the broker cannot be reached any more: nothing can be committed, and its locks have gone with it.
    Forsaken,
}

/// What the actor does next while it owns the lock.
#[derive(Debug)]
enum Step {
    Position,
    Run,
    Doubt,
    Drain,
    Reset,
    Seek,
    Direct { message: Box<StoredMessage>, reply: oneshot::Sender<Answer> },
    End(End),
}

/// An offset that somebody else has set.
#[derive(Clone, Copy, Debug)]
struct Correction {
    /// In another store it is the lowest that comes into question.
    to: i64,
    /// Unless it is an administrator's, what is buffered comes first.
    reason: ResetReason,
}

/// Where the offset has come from that no answer has borne out yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// From what the group has committed, or from the broker.
    Known,
    /// It is a guess, whose correction is no news: the account may not ask where the queue begins.
    Guessed,
    /// From an administrator, who may name one that is not there yet.
    Appointed,
}

/// A record that cannot be delivered, and holds the queue.
#[derive(Clone, Debug)]
struct Held {
    offset: i64,
    error: ClientError,
}

/// See the module.
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
struct Actor<B> {
    shared: Arc<Shared<B>>,
    queue: Arc<Queue>,
    wanted: watch::Receiver<Wanted>,
    orders: mpsc::Receiver<Order>,

    phase: Phase,
    /// The committed offset was read, or set, in this epoch.
    positioned: bool,
    /// It was written down that the queue is on its way out.
    is_revoked: bool,
    /// Chunks of runs that are not younger belong to what was before the gate was opened.
    opened_after: u32,
    buffer: Buffer,
    share: Share,
    /// The offset that the broker has acknowledged; never sent lower, except by a reset or a seek.
    committed: i64,
    /// What the broker may have, and nobody else has told it.
    last_word: LastWord,
    /// What was done before the lock was lost, behind the first that was not.
    done: Option<Done>,
    /// The broker may have another one since, of a seek that has failed.
    is_unsure: bool,
    /// The queue's end as the last pull said.
    max: Option<i64>,
    /// When handlers have last brought something.
    progress_at: Option<Instant>,
    /// Memory for outcomes, in turn with the gate's.
    outcomes: Vec<Ended>,
    /// As `outcomes`, of what the gate has refused.
    over: Vec<Over>,
    /// When the next message that has failed comes again.
    again_at: Option<Instant>,
    correction: Option<Correction>,
    origin: Origin,
    memory: Memory,
    proof: Proof,
    /// Offset and time: the first message may lie before the time asked for, 4.9 answers so behind the last message.
    not_before: Option<(i64, i64)>,
    held: Option<Held>,
    passing: Passing,
    /// What keeps the last pull or commit from succeeding.
    problem: Option<ClientError>,
    last_pull: i64,
    last_consumed: i64,

    pull: Pending<Result<Pulled, CallError>>,
    pull_at: Instant,
    pull_since: Instant,
    /// The offset of that pull.
    pull_asked: i64,
    /// The pull under way brings no messages in.
    only_looking: bool,
    pull_pause: Backoff,
    /// What an answer brings, while that takes longer than the others of this thread may wait.
    unpacking: Pending<Unpacked>,
    /// The size of the buffer when the next message did not fit beside it.
    full_at: Option<usize>,
    commit: Pending<(i64, Result<CommitOutcome, CallError>)>,
    commit_at: Instant,
    commit_pause: Backoff,
    /// By the offset of its message.
    handoff: Pending<(i64, Result<SendReceipt, CallError>)>,
    handoff_pause: Backoff,
}

/// Runs until the consumer closes and the queue is given back.
pub(crate) async fn run<B: Brokers>(shared: Arc<Shared<B>>, queue: Arc<Queue>, orders: mpsc::Receiver<Order>) {
    let mut actor = Actor::new(shared, queue, orders);
    let mut pause = Backoff::new(PANIC_PAUSE.0, PANIC_PAUSE.1);
    loop {
        actor.set_phase(Phase::Gone);
        let wanted =
            actor.wanted.wait_for(|wanted| *wanted != Wanted::No).await.map_or(Wanted::Never, |wanted| *wanted);
        if wanted == Wanted::Never || actor.shared.handlers.are_gone() {
            return;
        }
        let Err(panic) = env::caught(actor.epoch()).await else {
            pause.reset();
            continue;
        };
        // Whatever it knew may be wrong: as after a lost lock, the queue begins anew at what is committed.
        let Actor { shared, queue, orders, .. } = actor;
        let text = format!(
            "the work on {} has failed and begins anew: what was handled since the last commit comes again",
            queue.shown
        );
        let error = ClientError::panicked(&text, &panic).with_queue(queue.name());
        shared.warn(error.clone());
        actor = Actor::new(shared, queue, orders);
        actor.queue.gate.lose("panic");
        actor.problem = Some(error);
        if env::caught(actor.lost()).await.is_ok() {
            actor.shared.group.assigned.excuse(&actor.queue, &actor.shared.brokers);
            actor.shared.group.revoked.excuse(&actor.queue, &actor.shared.brokers);
        }
        if actor.wanted() == Wanted::Yes {
            // Shows in health meanwhile.
            actor.set_phase(Phase::Locking);
            let rest = tokio::time::sleep(pause.next());
            tokio::select! {
                () = rest => {}
                _ = actor.wanted.wait_for(|wanted| *wanted != Wanted::Yes) => {}
            }
            if actor.wanted() != Wanted::Yes {
                // The broker keeps it for us, which nobody else would know.
                let _ = env::caught(actor.unlock()).await;
            }
        }
    }
}

impl<B: Brokers> Actor<B> {
    fn new(shared: Arc<Shared<B>>, queue: Arc<Queue>, orders: mpsc::Receiver<Order>) -> Self {
        let now = env::now();
        let (first, most) = shared.brokers.timing().backoff;
        let pause = Backoff::new(first, most);
        let share = Share::of(&shared.budget);
        let options = &shared.options;
        let buffer = Buffer::new(options.ordered_by, options.batch_messages, 0);
        Self {
            wanted: queue.wanted.subscribe(),
            shared,
            queue,
            orders,
            phase: Phase::Gone,
            positioned: false,
            is_revoked: false,
            opened_after: 0,
            buffer,
            share,
            committed: 0,
            last_word: LastWord::default(),
            done: None,
            is_unsure: false,
            max: None,
            progress_at: None,
            outcomes: Vec::new(),
            over: Vec::new(),
            again_at: None,
            correction: None,
            origin: Origin::Known,
            memory: Memory::default(),
            proof: Proof::default(),
            not_before: None,
            held: None,
            passing: Passing::new(pause.clone()),
            problem: None,
            last_pull: 0,
            last_consumed: 0,
            pull: None,
            pull_at: now,
            pull_since: now,
            pull_asked: 0,
            only_looking: false,
            pull_pause: pause.clone(),
            unpacking: None,
            full_at: None,
            commit: None,
            commit_at: now,
            commit_pause: pause.clone(),
            handoff: None,
            handoff_pause: pause,
        }
    }

    /// From the first question for the lock to its end.
    async fn epoch(&mut self) {
        self.drop_orders();
        self.positioned = false;
        self.is_revoked = false;
        self.max = None;
        self.queue.view().begin_epoch();
        if Box::pin(self.lock()).await {
            self.tenancy().await;
        }
        // Wherever it went, nobody waits for it any more.
        self.shared.group.assigned.excuse(&self.queue, &self.shared.brokers);
        self.shared.group.revoked.excuse(&self.queue, &self.shared.brokers);
    }

    /// Whoever gave them was told that the queue is not ours; where he wants it to go on is what the broker says.
    fn drop_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            if matches!(order, Order::Reset(_)) {
                self.last_word.forget();
            }
        }
    }

    /// From the lock to its end.
    async fn tenancy(&mut self) {
        self.share.join();
        self.queue.flow.begin();
        let end = self.own().await;
        self.dismiss(end);
        let was_assigned = self.positioned;
        if end == End::Lost && was_assigned {
            let before = self.done.take();
            self.done = self.buffer.done_apart(before);
        }
        self.begin(self.buffer.position());
        self.share.part();
        match end {
            End::Lost => Box::pin(self.lost()).await,
            End::Drained | End::Forsaken => {
                self.note_revoked();
                if end == End::Forsaken {
                    self.queue.view().left = self.shared.unreachable(&self.queue.real.broker_name);
                }
                Box::pin(self.unlock()).await;
                if was_assigned {
                    // Whoever has it next may go anywhere.
                    self.last_word.forget();
                    self.shared.group.revoked.tell(&self.queue, &self.shared.brokers).await;
                }
            }
        }
    }

    async fn own(&mut self) -> End {
        let mut step = Step::Position;
        loop {
            step = match step {
                Step::Run => self.running().await,
                // What takes a moment has memory of its own for that moment: of queues there may be many.
                Step::Position => Box::pin(self.position()).await,
                Step::Doubt => Box::pin(self.doubtful()).await,
                Step::Drain => Box::pin(self.draining()).await,
                Step::Reset => Box::pin(self.reset()).await,
                Step::Seek => Box::pin(self.seek()).await,
                Step::Direct { message, reply } => Box::pin(self.direct(*message, reply)).await,
                Step::End(end) => return end,
            }
        }
    }

    /// A fresh start at this offset: nothing buffered, nothing failed, nothing under way.
    fn begin(&mut self, offset: i64) {
        let options = &self.shared.options;
        self.buffer = Buffer::new(options.ordered_by, options.batch_messages, offset);
        self.pull = None;
        self.drop_unpacking();
        self.commit = None;
        self.is_unsure = false;
        self.handoff = None;
        self.again_at = None;
        self.correction = None;
        self.origin = Origin::Known;
        self.memory.doubt();
        self.proof = Proof::default();
        self.not_before = None;
        self.held = None;
        self.passing.forget();
        self.problem = None;
        self.queue.gate.forget();
    }

    /// Whether the queue should be ours; never when nobody takes messages any more.
    fn wanted(&self) -> Wanted {
        if self.shared.handlers.are_gone() { Wanted::Never } else { *self.wanted.borrow() }
    }

    /// Whether a handler runs. One whose environment has ended never ends itself.
    fn is_running(&self) -> bool {
        if planted("unlock under a handler") && self.wanted() != Wanted::Yes {
            return false;
        }
        if planted("go on under a handler") && self.phase == Phase::Doubtful {
            return false;
        }
        self.queue.gate.count_running() > 0 && !self.shared.handlers.are_gone()
    }

    /// What the lock's state forces the actor to do; the lease's end is noticed here.
    fn forced(&self) -> Option<Step> {
        match self.queue.gate.tenure() {
            Tenure::Held(lease) | Tenure::Regained(lease) | Tenure::Doubtful(lease) if lease.until() <= env::now() => {
                Some(Step::End(End::Lost))
            }
            Tenure::Held(_) => None,
            Tenure::Doubtful(_) | Tenure::Regained(_) => Some(Step::Doubt),
            Tenure::Absent | Tenure::Lost => Some(Step::End(End::Lost)),
        }
    }

    fn lease_end(&self) -> Instant {
        match self.queue.gate.tenure() {
            Tenure::Held(lease) | Tenure::Regained(lease) | Tenure::Doubtful(lease) => lease.until(),
            Tenure::Absent | Tenure::Lost => env::now(),
        }
    }

    fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.publish();
    }

    /// Lets others see where the queue stands.
    fn publish(&mut self) {
        self.share.set(self.buffer.bytes());
        let mut view = self.queue.view();
        view.enter(self.phase, self.shared.brokers.wall_ms());
        if self.positioned {
            view.committed = Some(self.committed);
            view.next = Some(self.buffer.position());
        }
        // Until the first pull has said it, whoever was asked instead knows.
        view.max = self.max.or(view.max);
        view.buffered = self.buffer.len();
        view.buffered_bytes = self.buffer.bytes();
        view.buffered_range = self.buffer.range();
        view.next_stored_at = self.buffer.first_stored_at();
        let mut troubles = self.buffer.troubles();
        view.blocked = troubles.next().map(|(_, trouble)| trouble.blocked.clone());
        view.blocked_keys = usize::from(view.blocked.is_some()) + troubles.count();
        let held = self.held.as_ref().map(|held| &held.error);
        let passing = self.passing.problem();
        view.problem = held.or(passing).or_else(|| self.handoff_problem()).or(self.problem.as_ref()).cloned();
        view.is_held = self.held.is_some() || self.passing.is_refused();
        view.last_pull = self.last_pull;
        view.last_consumed = self.last_consumed;
        if let Tenure::Held(lease) = self.queue.gate.tenure() {
            view.last_locked = lease.wall_ms();
        }
    }

    /// Something between us and the broker fails. Health shows it until it heals; a warning tells of each streak once, except
    /// of broken connections, which have events of their own.
    fn report(&mut self, error: ClientError) {
        let error = error.with_queue(self.queue.name());
        self.shared.debug(&self.queue, error.message());
        if error.code() == Code::OffsetFile {
            // Whoever writes it tells, once of all its queues.
            return;
        }
        // What closes tells once, of all that it leaves behind.
        let is_told = error.code().is_of_connection() || self.wanted() == Wanted::Never;
        let is_news = self.problem.as_ref().is_none_or(|known| known.code().is_of_connection());
        if is_news && !is_told {
            self.shared.warn_of(&self.queue, error.clone());
        }
        self.problem = Some(error);
    }

    /// Tells users, who know nothing of the retry topic.
    fn emit(&self, event: impl FnOnce(MessageQueue) -> Event) {
        if !self.queue.hidden {
            self.shared.brokers.emit(event(self.queue.shown.clone()));
        }
    }

    /// The lock is gone: the handler's signal fires, its result no longer counts.
    async fn lost(&mut self) {
        // Else the gate knows already why.
        for running in self.queue.gate.lose("expired") {
            let text = format!(
                "the lock of {} was lost while a handler ran: the queue may belong to another consumer now, and the result of \
                 this handler does not count",
                self.queue.shown
            );
            let error = ClientError::new(Code::LockLost, text).with_queue(self.queue.name());
            self.shared.handlers.sink().abort(self.queue.index, running.generation, error);
        }
        if planted("commit after a lost lock") {
            self.commit_aside();
        }
        // After a panic, too.
        self.dismiss(End::Lost);
        self.emit(|queue| Event::LockLost { queue });
        if self.wanted() != Wanted::Yes {
            self.unlock().await;
        }
    }

    /// Gives back whatever is left of the lock, once no handler runs.
    async fn unlock(&mut self) {
        self.set_phase(Phase::Draining);
        while self.is_running() {
            self.queue.gate.changed().await;
        }
        if self.shared.handlers.are_gone() {
            self.queue.gate.abandon();
        }
        if self.is_forsaken() {
            self.queue.gate.lose("unreachable");
        }
        self.queue.gate.leave();
        if !self.is_forsaken() {
            self.shared.unlock_queue(&self.queue).await;
        }
    }

    /// Whether there is nobody left to whom anything could be given back: the consumer closes, and the broker cannot be reached.
    fn is_forsaken(&self) -> bool {
        self.wanted() == Wanted::Never && self.shared.unreachable(&self.queue.real.broker_name).is_some()
    }
}
