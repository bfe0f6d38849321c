//! The requests of a connection that have no answer yet, and their times, which one tick looks at for all of them.
//!
//! The time of a request begins when its last byte has left; before that it is not the peer's time but the line's. It stands still
//! while a large frame of the peer arrives slowly, behind which the answer has to wait. A peer is given up when nothing moves any
//! more: nothing of ours leaves, or nothing of its own comes.

use super::life::Life;
use super::outbox::{Departure, Left};
use crate::env::{self, Instant};
use crate::error::ClientError;
use crate::protocol::Command;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How often a request that has not left yet is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// A silence must last so long to mean anything, however short the time of a request is.
pub(super) const SILENCE: Duration = Duration::from_millis(100);
/// On a slow line a request may take as many times its time, and this much in any case: first to leave, and then to be answered.
const SLOW: (u32, Duration) = (10, Duration::from_secs(30));
/// Times that pass within so much of each other are looked at together.
const TICK: Duration = Duration::from_millis(5);

/// Why a request got no answer.
#[derive(Clone, Debug)]
pub(crate) enum CallFailure {
    /// The frame never left.
    NotSent(ClientError),
    /// The frame left, wholly or in part; what the peer did is unknown.
    Unanswered(ClientError),
}

/// What is done with an answer, once, by whoever learns of it: the reader of the connection, or whoever ends it. Must not block.
pub(crate) type Answered = Box<dyn FnOnce(Result<Command, CallFailure>) + Send>;

/// A request without an answer.
pub(super) struct Waiter {
    pub(super) code: i32,
    pub(super) departure: Arc<Departure>,
    pub(super) clock: Clock,
    look_at: Instant,
    answered: Answered,
}

impl Waiter {
    pub(super) fn new(code: i32, departure: Arc<Departure>, timeout: Duration, answered: Answered) -> Self {
        let clock = Clock::new(timeout);
        Self { code, departure, look_at: clock.first(), clock, answered }
    }

    /// Tells how it ended. A defect in what follows is nothing to whoever else waits.
    pub(super) fn tell(self, result: Result<Command, CallFailure>) {
        let _ = env::caught_now(|| (self.answered)(result));
    }
}

/// Them all, by the numbers of their requests.
#[derive(Default)]
pub(super) struct Answers {
    waiting: HashMap<i32, Waiter>,
    /// When the tick looks by itself.
    armed: Option<Instant>,
}

impl Answers {
    /// One more. True when the tick has to look earlier than it would by itself.
    pub(super) fn insert(&mut self, opaque: i32, waiter: Waiter) -> bool {
        let look_at = waiter.look_at;
        self.waiting.insert(opaque, waiter);
        let is_earlier = self.armed.is_none_or(|armed| look_at < armed);
        if is_earlier {
            self.armed = Some(look_at);
        }
        is_earlier
    }

    pub(super) fn remove(&mut self, opaque: i32) -> Option<Waiter> {
        self.waiting.remove(&opaque)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All of them.
    pub(super) fn into_waiters(self) -> impl Iterator<Item = Waiter> {
        self.waiting.into_values()
    }

    /// When to look next; the tick is held to it.
    pub(super) fn arm(&mut self) -> Option<Instant> {
        let first = self.waiting.values().map(|waiter| waiter.look_at).min();
        self.armed = first.map(|first| first.max(env::now() + TICK));
        self.armed
    }

    /// Looks at all whose moment has come.
    pub(super) fn look(&mut self, left: Left, life: &Life) -> Looked {
        let now = env::now();
        let mut looked = Looked::default();
        for (&opaque, waiter) in &mut self.waiting {
            if waiter.look_at > now {
                continue;
            }
            match waiter.clock.look(now, left, life, &waiter.departure) {
                Look::Later(then) => waiter.look_at = then,
                Look::Over => looked.over.push(opaque),
                Look::Dead(since) => {
                    looked.over.push(opaque);
                    looked.dead_since = Some(since);
                }
            }
        }
        looked
    }
}

/// What the tick has seen.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Requests whose time is up.
    pub(super) over: Vec<i32>,
    /// Nothing moves any more: since when.
    pub(super) dead_since: Option<Instant>,
}

/// What a look at one request has shown.
enum Look {
    /// Look again then.
    Later(Instant),
    /// Its time is up.
    Over,
    /// Nothing moves any more: since when.
    Dead(Instant),
}

/// The times of one request.
pub(super) struct Clock {
    pub(super) began: Instant,
    timeout: Duration,
    looked: Instant,
    pub(super) left_at: Option<Instant>,
}

impl Clock {
    fn new(timeout: Duration) -> Self {
        let began = env::now();
        Self { began, timeout, looked: began, left_at: None }
    }

    fn most(&self) -> Duration {
        (self.timeout * SLOW.0).max(SLOW.1)
    }

    /// When to look first: until then nothing is known to be slow.
    fn first(&self) -> Instant {
        self.began + self.timeout.min(LOOK)
    }

    fn look(&mut self, now: Instant, left: Left, life: &Life, departure: &Departure) -> Look {
        let looked = std::mem::replace(&mut self.looked, now);
        if self.left_at.is_none() {
            // Where it has left since the last look, it may have done so right after that.
            self.left_at = departure.taken_at(left.bytes).map(|taken_at| taken_at.max(looked));
        }
        let silence = self.timeout.max(SILENCE);
        let Some(left_at) = self.left_at else {
            let moved = self.began.max(left.at).max(life.last_came());
            let most = self.began + self.most();
            return match () {
                () if now >= moved + silence => Look::Dead(moved),
                () if now >= most => Look::Over,
                () => Look::Later((now + LOOK).min(moved + silence).min(most)),
            };
        };
        let due = (left_at.max(life.dragged_until()) + self.timeout).min(left_at + self.most());
        if now < due {
            return Look::Later(due);
        }
        let is_silent = !life.came_since(left_at) && now >= left_at + SILENCE;
        if is_silent { Look::Dead(left_at) } else { Look::Over }
    }
}
