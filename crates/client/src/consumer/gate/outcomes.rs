//! How handlers end, and what the gate makes of it.

use std::time::Duration;

use crate::env::Instant;

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
    pub(crate) const IGNORED: Self = Self { counted: false, go_on: false, starts: false, delay: Duration::ZERO };
}
