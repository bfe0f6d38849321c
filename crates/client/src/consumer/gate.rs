//! The one thing a queue's actor shares with the JavaScript thread: may this message start, and what came of it.
//!
//! A gate lives as long as the consumer, across epochs of ownership; its lock is held for nanoseconds. Every "no" is final
//! for its generation, else the second chunk under way would run with the rest of the first skipped.

mod outcomes;
mod runs;
mod tenure;

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;

pub use self::outcomes::{Ack, Outcome};
pub(crate) use self::outcomes::{Ended, Verdict};
pub(crate) use self::runs::Over;
pub(crate) use self::tenure::Tenure;

use self::runs::Runs;
use super::locks::lease::{Validity, Wall};
use super::options::Suspend;
use super::record::QueueRecord;
use crate::env::{self, Instant, planted};
use crate::sync::{Mutex, MutexGuard};

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

/// How often a message has failed.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    /// Before we got it, as the broker has counted: messages of the retry topic.
    stored: i32,
    /// Since.
    failures: i32,
}

/// Whether a handler may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permit {
    Granted,
    /// Nobody has to hear of it: the run was over already, or all are.
    Refused,
    /// That was the end of the run: the actor has to hear of it.
    Ended,
}

/// By the program, whatever becomes of the queue meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Stopped {
    paused: bool,
    /// It wants to go on elsewhere: nothing starts here any more.
    held: bool,
}

#[derive(Debug)]
struct State {
    open: bool,
    stopped: Stopped,
    /// Beside `open`, not a state of it: a closed gate still waits for its handlers to end.
    runs: Runs,
    tenure: Tenure,
    outcomes: Vec<Ended>,
    /// By offset, only of those that have failed, here or before, and are not done.
    attempts: BTreeMap<i64, Attempts>,
    /// The furthest message that has begun in this epoch.
    furthest: i64,
    /// Nothing begins behind it.
    limit: i64,
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
    /// Written under the lock, so that it is in the order of what happens.
    pub(crate) record: QueueRecord,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("state", &*self.lock()).finish_non_exhaustive()
    }
}

impl Gate {
    /// Closed, without a lock.
    pub(crate) fn new(suspend: Suspend, max_reconsume_times: Option<i32>, wall: Wall, record: QueueRecord) -> Self {
        let state = State {
            open: false,
            stopped: Stopped::default(),
            runs: Runs::default(),
            tenure: Tenure::Absent,
            outcomes: Vec::new(),
            attempts: BTreeMap::new(),
            furthest: i64::MIN,
            limit: i64::MAX,
            direct: false,
            wake_after: 1,
        };
        Self { state: Mutex::new(state), changed: Notify::new(), wall, suspend, max_reconsume_times, record }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the JavaScript thread

    /// Whether the handler of these messages, mostly one, may be called now, in this very tick. Yes: the first counts as running.
    pub(crate) fn may_start(&self, generation: u32, offset: i64, last: i64) -> bool {
        let permit = self.begin(&mut self.lock(), generation, offset, last);
        if permit == Permit::Ended {
            self.changed.notify_one();
        }
        permit == Permit::Granted
    }

    /// A refusal that is not one already ends the run.
    fn begin(&self, state: &mut State, generation: u32, offset: i64, last: i64) -> Permit {
        let Some(run) = state.runs.live(generation).filter(|_| state.open) else { return Permit::Refused };
        let lease = match state.tenure {
            Tenure::Held(lease) if !state.stopped.paused && !state.stopped.held && last <= state.limit => lease,
            // In doubt, paused, held, or to be given back: the actor delivers again once it is none of these.
            _ => {
                state.runs.refuse(run);
                return Permit::Ended;
            }
        };
        let (now, wall) = (env::now(), (self.wall)());
        let validity = if planted("start without a lease") { Validity::Valid } else { lease.check(now, wall) };
        if validity == Validity::Valid && !state.runs.is_busy(run) {
            state.runs.start(run, Running { generation, offset, began: now, since: wall });
            if !state.direct {
                state.furthest = state.furthest.max(last);
                self.record.start(offset, last, state.runs.key(run), state.attempt(offset));
            }
            return Permit::Granted;
        }
        state.runs.refuse(run);
        match validity {
            Validity::Valid => {}
            Validity::Slept => {
                state.tenure = Tenure::Doubtful(lease);
                self.record.lost("slept");
            }
            Validity::Over => {
                state.tenure = Tenure::Lost;
                self.record.lost("expired");
            }
        }
        Permit::Ended
    }

    /// A handler of several messages is done with one of them, and goes on with the next.
    pub(crate) fn pass(&self, generation: u32, offset: i64, next: i64) {
        let mut state = self.lock();
        let Some(counts) = state.runs.pass(generation, offset, next) else { return };
        if counts {
            self.count(&mut state, generation, offset, Outcome::Success, None);
            self.record.passed(next);
        }
        let can_wait = state.outcomes.len() < state.wake_after;
        drop(state);
        if !can_wait {
            self.changed.notify_one();
        }
    }

    /// A handler has ended. It stops running in any case; its outcome counts if its run is still one. Where all goes well,
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
        let Some(counts) = state.runs.end(generation, offset) else { return Ack::IGNORED };
        if !state.direct {
            self.record.end(offset, Some(outcome), counts);
        }
        let mut ack = if counts { self.count(&mut state, generation, offset, outcome, reason) } else { Ack::IGNORED };
        let mut is_over = !ack.go_on || state.runs.ends_at(generation, offset);
        if let Some(next) = next.filter(|_| !is_over) {
            let permit = self.begin(&mut state, generation, next, next);
            ack.starts = permit == Permit::Granted;
            is_over = permit == Permit::Ended;
        } else if is_over {
            state.runs.finish(generation);
        }
        let can_wait = !is_over && state.outcomes.len() < state.wake_after;
        drop(state);
        if !can_wait {
            self.changed.notify_one();
        }
        ack
    }

    /// A handler says nothing of its message: it stops running, and the message is delivered again if it is wanted.
    pub(crate) fn left(&self, generation: u32, offset: i64) {
        let mut state = self.lock();
        let Some(counts) = state.runs.end(generation, offset) else { return };
        if !state.direct {
            self.record.end(offset, None, counts);
        }
        if let Some(run) = state.runs.live(generation) {
            state.runs.refuse(run);
        }
        drop(state);
        self.changed.notify_one();
    }

    fn count(&self, state: &mut State, generation: u32, offset: i64, outcome: Outcome, reason: Option<String>) -> Ack {
        let (verdict, delay) =
            if state.direct { (Verdict::Done, Duration::ZERO) } else { self.judge(state, offset, outcome) };
        state.outcomes.push(Ended { offset, outcome, verdict, reason, direct: state.direct });
        let done = verdict == Verdict::Done && !state.direct;
        let done = done || planted("go on behind a failure");
        if !done {
            // Here and not in the actor: the pump asks for the next message before the actor wakes up.
            state.runs.finish(generation);
        }
        Ack { counted: true, go_on: done && state.open, starts: false, delay }
    }

    fn judge(&self, state: &mut State, offset: i64, outcome: Outcome) -> (Verdict, Duration) {
        let outcome = if planted("skip what has failed") { Outcome::Success } else { outcome };
        let asked = match outcome {
            Outcome::Success => {
                if !state.attempts.is_empty() {
                    state.attempts.remove(&offset);
                }
                return (Verdict::Done, Duration::ZERO);
            }
            Outcome::DeadLetter => return (Verdict::GiveUp { asked: true }, Duration::ZERO),
            Outcome::Suspend(delay) => Some(delay),
            Outcome::Later => None,
        };
        let attempts = state.attempts.entry(offset).or_default();
        let before = attempts.failures;
        attempts.failures = before.saturating_add(1);
        if self.max_reconsume_times.is_some_and(|max| attempts.stored.saturating_add(before) >= max) {
            return (Verdict::GiveUp { asked: false }, Duration::ZERO);
        }
        let delay = asked.unwrap_or_else(|| self.suspend.delay(before));
        (Verdict::Again(env::now() + delay), delay)
    }

    // ---- the queue's actor

    /// A new epoch of ownership, or another place in the queue: what failed before is forgotten.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.outcomes.clear();
        state.attempts.clear();
        state.furthest = i64::MIN;
    }

    /// Takes note of a lock that was regained, before looking what happened meanwhile. False: it was doubted again.
    pub(crate) fn acknowledge(&self) -> bool {
        let mut state = self.lock();
        if let Tenure::Regained(lease) = state.tenure {
            state.tenure = Tenure::Held(lease);
        }
        matches!(state.tenure, Tenure::Held(_))
    }

    /// Lets handlers start, in runs that begin from here on. False: one still runs, or the lock is not certain.
    pub(crate) fn open(&self) -> bool {
        self.open_as(false)
    }

    /// As [`Gate::open`], for one message of an administrator.
    pub(crate) fn open_direct(&self) -> bool {
        self.open_as(true)
    }

    fn open_as(&self, direct: bool) -> bool {
        let mut state = self.lock();
        let is_running = state.runs.running().next().is_some() && !planted("go on under a handler");
        if !matches!(state.tenure, Tenure::Held(_)) || is_running {
            return false;
        }
        state.runs.void();
        state.open = true;
        state.limit = i64::MAX;
        state.direct = direct;
        true
    }

    /// Messages of this lane, up to the one at `last`, are handed over: their generation.
    pub(crate) fn begin_run(&self, lane: usize, last: i64) -> u32 {
        self.lock().runs.begin(lane, last)
    }

    /// The messages of this run are of that key; only for histories.
    pub(crate) fn name_run(&self, generation: u32, key: Box<str>) {
        self.lock().runs.name(generation, key);
    }

    /// The youngest generation so far.
    pub(crate) fn generation(&self) -> u32 {
        self.lock().runs.youngest()
    }

    /// Nothing begins any more; where there may be holes, nothing behind the furthest message that has begun. The offset up to which it may.
    pub(crate) fn narrow(&self, has_holes: bool) -> i64 {
        let mut state = self.lock();
        if planted("start while revoked") {
            return i64::MAX;
        }
        state.limit = if has_holes { state.furthest } else { i64::MIN };
        state.limit
    }

    /// Whether handlers may start, as far as it depends on the actor.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Nothing starts. Runs stay, so that what their handlers bring counts.
    pub(crate) fn close(&self) {
        self.lock().open = false;
    }

    /// Remembers attempts that the broker has counted; only for messages that have some.
    pub(crate) fn note_attempts(&self, offset: i64, times: i32) {
        self.lock().attempts.entry(offset).or_default().stored = times;
    }

    /// The program pauses the queue, or no longer: nothing starts meanwhile, what runs ends and counts.
    pub(crate) fn pause(&self, paused: bool) {
        let was_paused = std::mem::replace(&mut self.lock().stopped.paused, paused);
        if was_paused != paused {
            self.changed.notify_one();
        }
    }

    /// Whether calls of `seek()` wait: nothing starts meanwhile, what runs ends and counts.
    pub(crate) fn hold(&self, held: bool) {
        self.lock().stopped.held = held;
    }

    /// Whether the program has paused the queue.
    pub(crate) fn is_paused(&self) -> bool {
        self.lock().stopped.paused
    }

    /// Forgets the attempts of what lies below this offset.
    pub(crate) fn drop_attempts_below(&self, offset: i64) {
        let mut state = self.lock();
        state.attempts = state.attempts.split_off(&offset);
    }

    /// Forgets the attempts of a message that is done with otherwise than by its handler.
    pub(crate) fn drop_attempts(&self, offset: i64) {
        self.lock().attempts.remove(&offset);
    }

    /// Outcomes, and what was refused, since the last call, into lists that are empty.
    pub(crate) fn take(&self, outcomes: &mut Vec<Ended>, over: &mut Vec<Over>) {
        let mut state = self.lock();
        std::mem::swap(&mut state.outcomes, outcomes);
        state.runs.take_over(over);
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

    /// Of the handlers that run, the one that runs longest.
    pub(crate) fn running(&self) -> Option<Running> {
        self.lock().runs.running().min_by_key(|running| running.began)
    }

    /// The handlers that run.
    pub(crate) fn all_running(&self) -> Vec<Running> {
        self.lock().runs.running().collect()
    }

    /// How many of them there are.
    pub(crate) fn count_running(&self) -> usize {
        self.lock().runs.running().count()
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
}

impl State {
    /// Which attempt of a message begins now, from 1.
    fn attempt(&self, offset: i64) -> u32 {
        let Attempts { stored, failures } = self.attempts.get(&offset).copied().unwrap_or_default();
        u32::try_from(stored.saturating_add(failures)).unwrap_or(0).saturating_add(1)
    }

    fn void(&mut self) {
        self.open = false;
        self.direct = false;
        self.runs.void();
        self.outcomes.clear();
    }
}

#[cfg(test)]
mod tests;
