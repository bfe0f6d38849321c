//! The one thing a queue's actor shares with the JavaScript thread: may this message start, and what came of it.
//!
//! A gate lives as long as the consumer, across epochs of ownership; its lock is held for nanoseconds. Every "no" is final
//! for its generation, else the second chunk under way would run with the rest of the first skipped.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::locks::lease::{Lease, Validity, Wall};
use super::options::Suspend;
use crate::env::{self, Instant};

/// How a handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success,
    /// The same message again, after the configured delay.
    Later,
    /// The same message again, after this delay.
    Suspend(Duration),
    /// To the dead-letter queue, then on.
    DeadLetter,
}

/// What the gate makes of an outcome: whether the message has attempts left is settled here, so that JavaScript can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// On with the next message.
    Done,
    /// The same message again, not before this time.
    Again(Instant),
    /// To the dead-letter queue; `asked`: by the handler, rather than by `maxReconsumeTimes`.
    GiveUp {
        /// The handler returned `deadLetter()`.
        asked: bool,
    },
}

/// One ended handler whose outcome counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Offset of the message.
    pub(crate) offset: i64,
    /// What the handler said.
    pub(crate) outcome: Outcome,
    /// What follows.
    pub(crate) verdict: Verdict,
    /// Words about a failure.
    pub(crate) reason: Option<String>,
    /// Of an administrator's message: it moves nothing.
    pub(crate) direct: bool,
}

/// What JavaScript is told about an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The outcome was recorded.
    pub counted: bool,
    /// Go on with this chunk.
    pub go_on: bool,
    /// The handler of the next message may be called now, in this very tick.
    pub starts: bool,
    /// How long the queue will wait before the same message comes again; zero when it will not.
    pub delay: Duration,
}

impl Ack {
    /// Of a handler whose outcome counts no more.
    pub(super) const IGNORED: Self = Self { counted: false, go_on: false, starts: false, delay: Duration::ZERO };
}

/// What is known about the broker's lock on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenure {
    /// Not asked for, or given back.
    Absent,
    /// Ours.
    Held(Lease),
    /// The connection broke, a renewal stayed unanswered, or the machine slept: ours until then at most, nothing starts.
    Doubtful(Lease),
    /// Granted anew after a doubt; another owner may have worked in between, so the actor looks before it opens.
    Regained(Lease),
    /// Refused, or run out.
    Lost,
}

/// A running handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// The generation it was started in.
    pub(crate) generation: u32,
    /// Offset of its message.
    pub(crate) offset: i64,
    /// When it was called.
    pub(crate) began: Instant,
    /// The same on the wall clock, ms since 1970.
    pub(crate) since: i64,
}

/// The message that failed last: how often, and how often before we got it.
#[derive(Clone, Copy, Debug)]
struct Failing {
    offset: i64,
    failures: i32,
}

#[derive(Debug)]
struct State {
    generation: u32,
    open: bool,
    /// By the program, whatever becomes of the queue meanwhile.
    paused: bool,
    /// The program wants to go on elsewhere: nothing starts here any more.
    held: bool,
    /// Beside `open`, not a state of it: a closed gate still waits for its handler to end.
    running: Option<Running>,
    tenure: Tenure,
    outcomes: Vec<Ended>,
    failing: Option<Failing>,
    /// Attempts counted by the broker, where there are any: messages of the retry topic.
    stored_attempts: Vec<(i64, i32)>,
    /// One message of an administrator is in the lane: its outcome moves nothing.
    direct: bool,
    /// Successes that wake the actor; to wake it for each one costs more than all the rest of an ack.
    wake_after: usize,
}

/// See the module.
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Notify,
    wall: Wall,
    suspend: Suspend,
    /// Attempts before a message is given up; `None`: never.
    max_reconsume_times: Option<i32>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("state", &*self.lock()).finish_non_exhaustive()
    }
}

impl Gate {
    /// Closed, without a lock.
    pub(crate) fn new(suspend: Suspend, max_reconsume_times: Option<i32>, wall: Wall) -> Self {
        let state = State {
            generation: 0,
            open: false,
            paused: false,
            held: false,
            running: None,
            tenure: Tenure::Absent,
            outcomes: Vec::new(),
            failing: None,
            stored_attempts: Vec::new(),
            direct: false,
            wake_after: 1,
        };
        Self { state: Mutex::new(state), changed: Notify::new(), wall, suspend, max_reconsume_times }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the JavaScript thread

    /// Whether this message's handler may be called now, in this very tick. Yes: it counts as running.
    pub(crate) fn may_start(&self, generation: u32, offset: i64) -> bool {
        let mut state = self.lock();
        let before = state.generation;
        let starts = self.begin(&mut state, generation, offset);
        let is_over = state.generation != before;
        drop(state);
        if is_over {
            self.changed.notify_one();
        }
        starts
    }

    /// A refusal that is not one already ends the generation: the actor has to hear of it.
    fn begin(&self, state: &mut State, generation: u32, offset: i64) -> bool {
        if !state.open || state.generation != generation {
            return false;
        }
        let lease = match state.tenure {
            Tenure::Held(lease) if !state.paused && !state.held => lease,
            // In doubt, paused, or held: this chunk is over, the actor delivers again once that is over.
            _ => {
                state.generation = state.generation.wrapping_add(1);
                return false;
            }
        };
        let (now, wall) = (env::now(), (self.wall)());
        let validity = lease.check(now, wall);
        if validity == Validity::Valid && state.running.is_none() {
            state.running = Some(Running { generation, offset, began: now, since: wall });
            return true;
        }
        state.generation = state.generation.wrapping_add(1);
        match validity {
            Validity::Valid => {}
            Validity::Slept => state.tenure = Tenure::Doubtful(lease),
            Validity::Over => state.tenure = Tenure::Lost,
        }
        false
    }

    /// A handler has ended. It stops running in any case; its outcome counts if its generation is still this one. Where all goes well,
    /// the handler of `next` may be called, if the answer says so.
    pub(crate) fn ack(
        &self,
        generation: u32,
        offset: i64,
        outcome: Outcome,
        reason: Option<String>,
        next: Option<i64>,
    ) -> Ack {
        let mut state = self.lock();
        if state.running.is_none_or(|running| (running.generation, running.offset) != (generation, offset)) {
            return Ack::IGNORED;
        }
        state.running = None;
        let mut ack = if state.generation == generation {
            self.record(&mut state, offset, outcome, reason)
        } else {
            Ack::IGNORED
        };
        if let Some(next) = next.filter(|_| ack.go_on) {
            ack.starts = self.begin(&mut state, generation, next);
        }
        // A refused beginning has ended the generation.
        let can_wait = ack.go_on && state.generation == generation && state.outcomes.len() < state.wake_after;
        drop(state);
        if !can_wait {
            self.changed.notify_one();
        }
        ack
    }

    /// A handler says nothing of its message: it stops running, and the message is delivered again if it is wanted.
    pub(crate) fn left(&self, generation: u32, offset: i64) {
        let mut state = self.lock();
        if state.running.is_none_or(|running| (running.generation, running.offset) != (generation, offset)) {
            return;
        }
        state.running = None;
        state.generation = state.generation.wrapping_add(1);
        drop(state);
        self.changed.notify_one();
    }

    fn record(&self, state: &mut State, offset: i64, outcome: Outcome, reason: Option<String>) -> Ack {
        let (verdict, delay) =
            if state.direct { (Verdict::Done, Duration::ZERO) } else { self.judge(state, offset, outcome) };
        state.outcomes.push(Ended { offset, outcome, verdict, reason, direct: state.direct });
        let done = verdict == Verdict::Done && !state.direct;
        if done {
            state.failing = None;
        } else {
            // Here and not in the actor: the pump asks for the next message before the actor wakes up.
            state.generation = state.generation.wrapping_add(1);
        }
        Ack { counted: true, go_on: done && state.open, starts: false, delay }
    }

    fn judge(&self, state: &mut State, offset: i64, outcome: Outcome) -> (Verdict, Duration) {
        let asked = match outcome {
            Outcome::Success => return (Verdict::Done, Duration::ZERO),
            Outcome::DeadLetter => return (Verdict::GiveUp { asked: true }, Duration::ZERO),
            Outcome::Suspend(delay) => Some(delay),
            Outcome::Later => None,
        };
        let stored = state.stored_attempts.iter().find(|(at, _)| *at == offset).map_or(0, |(_, times)| *times);
        let before = state.failing.filter(|failing| failing.offset == offset).map_or(0, |failing| failing.failures);
        state.failing = Some(Failing { offset, failures: before.saturating_add(1) });
        if self.max_reconsume_times.is_some_and(|max| stored.saturating_add(before) >= max) {
            return (Verdict::GiveUp { asked: false }, Duration::ZERO);
        }
        let delay = asked.unwrap_or_else(|| self.suspend.delay(before));
        (Verdict::Again(env::now() + delay), delay)
    }

    // ---- the queue's actor

    /// A new epoch of ownership: what failed before is forgotten.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.outcomes.clear();
        state.failing = None;
        state.stored_attempts.clear();
    }

    /// Takes note of a lock that was regained, before looking what happened meanwhile. False: it was doubted again.
    pub(crate) fn acknowledge(&self) -> bool {
        let mut state = self.lock();
        if let Tenure::Regained(lease) = state.tenure {
            state.tenure = Tenure::Held(lease);
        }
        matches!(state.tenure, Tenure::Held(_))
    }

    /// Lets handlers start, in a new generation. `None` while one still runs, or without a certain lock.
    pub(crate) fn open(&self) -> Option<u32> {
        self.open_as(false)
    }

    /// As [`Gate::open`], for one message of an administrator.
    pub(crate) fn open_direct(&self) -> Option<u32> {
        self.open_as(true)
    }

    fn open_as(&self, direct: bool) -> Option<u32> {
        let mut state = self.lock();
        if !matches!(state.tenure, Tenure::Held(_)) || state.running.is_some() {
            return None;
        }
        state.open = true;
        state.direct = direct;
        state.generation = state.generation.wrapping_add(1);
        Some(state.generation)
    }

    /// Nothing starts. The generation stays, so that the running handler's ack counts.
    pub(crate) fn close(&self) {
        self.lock().open = false;
    }

    /// The lock is lost: nothing starts, and what runs no longer counts. Returns what runs.
    pub(crate) fn lose(&self) -> Option<Running> {
        let mut state = self.lock();
        state.tenure = Tenure::Lost;
        state.void();
        state.running
    }

    /// The lock is given back.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.tenure = Tenure::Absent;
        state.void();
    }

    /// Remembers attempts that the broker has counted; only for messages that have some.
    pub(crate) fn note_attempts(&self, offset: i64, times: i32) {
        let mut state = self.lock();
        state.stored_attempts.retain(|(at, _)| *at != offset);
        state.stored_attempts.push((offset, times));
    }

    /// The program pauses the queue, or no longer: nothing starts meanwhile, what runs ends and counts.
    pub(crate) fn pause(&self, paused: bool) {
        let was_paused = std::mem::replace(&mut self.lock().paused, paused);
        if was_paused != paused {
            self.changed.notify_one();
        }
    }

    /// Whether calls of `seek()` wait: nothing starts meanwhile, what runs ends and counts.
    pub(crate) fn hold(&self, held: bool) {
        self.lock().held = held;
    }

    /// Whether the program has paused the queue.
    pub(crate) fn is_paused(&self) -> bool {
        self.lock().paused
    }

    /// Forgets the attempts of a message that is done with.
    pub(crate) fn drop_attempts(&self, offset: i64) {
        self.lock().stored_attempts.retain(|(at, _)| *at > offset);
    }

    /// Outcomes since the last call, into a list that is empty; the generation that chunks must have now.
    pub(crate) fn take(&self, outcomes: &mut Vec<Ended>) -> u32 {
        let mut state = self.lock();
        std::mem::swap(&mut state.outcomes, outcomes);
        state.generation
    }

    /// As long as all goes well, [`Gate::changed`] may wait until so many outcomes are there; whoever needs to know sooner looks
    /// by himself. What ends a chunk never waits.
    pub(crate) fn wake_after(&self, outcomes: usize) {
        let mut state = self.lock();
        state.wake_after = outcomes;
        let is_due = !state.outcomes.is_empty() && state.outcomes.len() >= outcomes;
        drop(state);
        if is_due {
            self.changed.notify_one();
        }
    }

    /// The handler that runs.
    pub(crate) fn running(&self) -> Option<Running> {
        self.lock().running
    }

    /// What is known about the lock.
    pub(crate) fn tenure(&self) -> Tenure {
        self.lock().tenure
    }

    /// Resolves when something of all this may have changed. One waiter: the actor.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Has the actor look around: something beside the gate has changed.
    pub(crate) fn nudge(&self) {
        self.changed.notify_one();
    }

    // ---- who keeps the locks

    /// The broker granted the lock that was asked for at the lease's beginning: first, again, or after a doubt.
    pub(crate) fn granted(&self, lease: Lease) {
        let mut state = self.lock();
        state.tenure = match state.tenure {
            Tenure::Absent | Tenure::Lost | Tenure::Held(_) => Tenure::Held(lease),
            Tenure::Doubtful(_) | Tenure::Regained(_) => Tenure::Regained(lease),
        };
        drop(state);
        self.changed.notify_one();
    }

    /// A renewal was granted; nothing if the lock was given up meanwhile. One that was asked for when the lease before was over
    /// already bridges nothing: somebody else may have had the queue in between, and the process may just have been stopped.
    pub(crate) fn renewed(&self, lease: Lease) {
        match self.tenure() {
            Tenure::Absent | Tenure::Lost => {}
            Tenure::Held(before) | Tenure::Doubtful(before) | Tenure::Regained(before) if lease.follows(&before) => {
                self.granted(lease);
            }
            Tenure::Held(_) | Tenure::Doubtful(_) | Tenure::Regained(_) => self.refused(),
        }
    }

    /// Whether the lock is certain no longer. True when this is news.
    pub(crate) fn doubt(&self) -> bool {
        let mut state = self.lock();
        let (Tenure::Held(lease) | Tenure::Regained(lease)) = state.tenure else { return false };
        state.tenure = Tenure::Doubtful(lease);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// The broker refused the renewal, or it came too late: somebody else may have the queue.
    pub(crate) fn refused(&self) {
        if !matches!(self.lock().tenure, Tenure::Absent) {
            self.lose();
            self.changed.notify_one();
        }
    }

    /// Whether the machine slept since the lease began.
    pub(crate) fn slept(&self) -> bool {
        match self.lock().tenure {
            Tenure::Held(lease) | Tenure::Regained(lease) => lease.check(env::now(), (self.wall)()) == Validity::Slept,
            _ => false,
        }
    }

    /// A lease that begins now.
    pub(crate) fn lease(&self, length: Duration) -> Lease {
        Lease::begin(env::now(), (self.wall)(), length)
    }
}

impl State {
    fn void(&mut self) {
        self.open = false;
        self.direct = false;
        self.generation = self.generation.wrapping_add(1);
        self.outcomes.clear();
    }
}

#[cfg(test)]
mod tests;
