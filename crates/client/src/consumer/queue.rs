//! A queue as all parts of the consumer know it: its names, its gate, and what its actor publishes.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use super::flow::Flow;
use super::gate::Gate;
use crate::client::{Answer, ResetReason};
use crate::env::{self, Instant};
use crate::error::{ClientError, QueueName};
use crate::protocol::{MessageQueue, StoredMessage};
use crate::sync::{Mutex, MutexGuard};

/// Whether a queue should be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No: to be drained if it is.
    No,
    /// Yes.
    Yes,
    /// No, and never again: the consumer closes.
    Never,
}

/// What an actor is asked to do between two messages.
#[derive(Debug)]
pub(crate) enum Order {
    /// An administrator moves the offset (220).
    Reset(i64),
    /// An administrator hands over one message (309).
    Direct {
        /// The message.
        message: Box<StoredMessage>,
        /// Where the answer goes.
        reply: oneshot::Sender<Answer>,
    },
}

/// Where a queue's actor stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not ours and not wanted.
    #[default]
    Gone,
    /// The lock is asked for.
    Locking,
    /// Locked; where to begin is being found out.
    Positioning,
    /// Handlers run.
    Running,
    /// A message waits for its next attempt, or for the dead-letter queue, or cannot be delivered.
    Suspended,
    /// The program has paused it: handlers do not start.
    Paused,
    /// The lock is uncertain.
    Doubtful,
    /// On its way out.
    Draining,
}

impl Phase {
    /// As users see it; `None`: not in the assignment.
    pub(crate) fn shown(self) -> Option<&'static str> {
        match self {
            Self::Gone => None,
            // In doubt the lock is asked for anew.
            Self::Locking | Self::Doubtful => Some("locking"),
            Self::Positioning => Some("positioning"),
            Self::Running => Some("running"),
            Self::Suspended => Some("suspended"),
            Self::Paused => Some("paused"),
            Self::Draining => Some("draining"),
        }
    }
}

/// Since when something is so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    /// Ms since 1970.
    pub(crate) wall_ms: i64,
    /// The same moment on the monotonic clock.
    pub(crate) at: Instant,
}

/// What blocks a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    /// Id of the message.
    pub(crate) msg_id: String,
    /// Its sharding key.
    pub(crate) sharding_key: Option<String>,
    /// Its offset.
    pub(crate) offset: i64,
    /// The attempt that failed last, from 1.
    pub(crate) attempt: u32,
    /// When the first attempt failed, ms since 1970.
    pub(crate) since: i64,
    /// The handler's words.
    pub(crate) reason: Option<String>,
}

/// An offset that somebody else has set.
#[derive(Clone, Debug)]
pub(crate) struct LastReset {
    /// The next offset before.
    pub(crate) from: i64,
    /// The next offset then.
    pub(crate) to: i64,
    /// Why.
    pub(crate) reason: ResetReason,
    /// When, ms since 1970.
    pub(crate) at: i64,
    /// What is to be known of it, unless somebody wanted it.
    pub(crate) problem: Option<ClientError>,
}

/// What an actor publishes.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Where it stands.
    pub(crate) phase: Phase,
    /// When it began to stand there, as users see it; `None`: never.
    pub(crate) since: Option<Since>,
    /// The committed offset, as last acknowledged or read; unknown until it was read in this epoch.
    pub(crate) committed: Option<i64>,
    /// Offset of the next message to handle; unknown until the queue is ours.
    pub(crate) next: Option<i64>,
    /// Offset behind the queue's last message, as the broker said last.
    pub(crate) max: Option<i64>,
    /// The lock was refused when it was asked for last: somebody else holds it.
    pub(crate) is_refused: bool,
    /// Why what was done could not be committed before the end of `close()`.
    pub(crate) left: Option<ClientError>,
    /// Messages in memory.
    pub(crate) buffered: usize,
    /// Their bytes.
    pub(crate) buffered_bytes: usize,
    /// Offsets of the first and the last of them.
    pub(crate) buffered_range: Option<(i64, i64)>,
    /// When the first of them was stored, by the broker's clock, ms since 1970.
    pub(crate) next_stored_at: Option<i64>,
    /// What has failed: of several keys, what holds the offset.
    pub(crate) blocked: Option<Blocked>,
    /// How many keys have a message that has failed.
    pub(crate) blocked_keys: usize,
    /// What keeps it from going on otherwise: an undecodable record, a hand-off without answer, a pull that fails.
    pub(crate) problem: Option<ClientError>,
    /// A record that cannot be delivered holds the queue.
    pub(crate) is_held: bool,
    /// The last offset that somebody else has set.
    pub(crate) last_reset: Option<LastReset>,
    /// Last pull, last handler, last lock: ms since 1970, 0 for never.
    pub(crate) last_pull: i64,
    /// See `last_pull`.
    pub(crate) last_consumed: i64,
    /// See `last_pull`.
    pub(crate) last_locked: i64,
}

impl View {
    /// Takes note of where the actor stands.
    pub(crate) fn enter(&mut self, phase: Phase, wall_ms: i64) {
        if self.since.is_none() || self.phase.shown() != phase.shown() {
            self.since = Some(Since { wall_ms, at: env::now() });
        }
        self.phase = phase;
    }

    /// A new epoch: what is known of the lock, and of the group's progress, is old news.
    pub(crate) fn begin_epoch(&mut self) {
        self.committed = None;
        self.next = None;
        self.is_refused = false;
        self.left = None;
    }

    /// Whether users were told, or are about to be, that the queue is ours.
    pub(crate) fn is_assigned(&self) -> bool {
        self.next.is_some() && !matches!(self.phase, Phase::Gone | Phase::Locking)
    }

    /// Messages stored and not committed, where both ends are known.
    pub(crate) fn lag(&self) -> Option<i64> {
        Some(self.max?.saturating_sub(self.committed?).max(0))
    }
}

/// One queue; lives as long as the consumer.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Its number at the border to JavaScript.
    pub(crate) index: u32,
    /// With the real topic.
    pub(crate) real: MessageQueue,
    /// With the topic as the user sees it.
    pub(crate) shown: MessageQueue,
    /// Of the group's retry topic: not in events and assignments.
    pub(crate) hidden: bool,
    /// May this message start?
    pub(crate) gate: Gate,
    /// What the program asks of it.
    pub(crate) flow: Flow,
    /// Level-triggered, never a message that can be lost.
    pub(crate) wanted: watch::Sender<Wanted>,
    /// To the actor.
    pub(crate) orders: mpsc::Sender<Order>,
    view: Mutex<View>,
    /// An administrator has moved it while it was not ours.
    moved: AtomicBool,
}

impl Queue {
    /// A queue that nobody wants yet.
    pub(crate) fn new(
        index: u32,
        real: MessageQueue,
        shown: MessageQueue,
        hidden: bool,
        gate: Gate,
        orders: mpsc::Sender<Order>,
    ) -> Self {
        let wanted = watch::Sender::new(Wanted::No);
        Self {
            index,
            real,
            shown,
            hidden,
            gate,
            flow: Flow::default(),
            wanted,
            orders,
            view: Mutex::default(),
            moved: AtomicBool::default(),
        }
    }

    /// An administrator moves it, and it is not ours.
    pub(crate) fn moves(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    /// Whether one has, since the last look.
    pub(crate) fn was_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// Its name for errors.
    pub(crate) fn name(&self) -> QueueName {
        QueueName::from(&self.shown)
    }

    /// What its actor published last.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
