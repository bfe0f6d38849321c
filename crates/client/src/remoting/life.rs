//! Signs of life, judged by bytes and never by whole frames: an answer of megabytes over a thin line comes for a long time.

use crate::env::{self, Instant};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A frame that takes longer than this to arrive holds up what comes behind it.
const SLOW: Duration = Duration::from_millis(100);

/// When bytes came.
#[derive(Debug)]
pub(super) struct Life {
    since: Instant,
    /// Microseconds from `since` to the last byte; 0 for none so far.
    came: AtomicU64,
    /// The same, to the last byte of a frame that arrived slowly; 0 for none so far.
    dragged: AtomicU64,
}

impl Life {
    pub(super) fn new() -> Self {
        Self { since: env::now(), came: AtomicU64::new(0), dragged: AtomicU64::new(0) }
    }

    fn at(&self, moment: &AtomicU64) -> Instant {
        self.since + Duration::from_micros(moment.load(Ordering::Relaxed))
    }

    fn note(&self, moment: &AtomicU64, now: Instant) {
        let micros = now.duration_since(self.since).as_micros().max(1);
        moment.fetch_max(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The peer's last byte came then; at first, the connection did.
    pub(super) fn last_came(&self) -> Instant {
        self.at(&self.came)
    }

    /// Whether a byte has come since then.
    pub(super) fn came_since(&self, then: Instant) -> bool {
        self.came.load(Ordering::Relaxed) > 0 && self.last_came() >= then
    }

    /// Until then the line from the peer was busy with one frame: no other answer could come.
    pub(super) fn dragged_until(&self) -> Instant {
        self.at(&self.dragged)
    }
}

/// The frame that is arriving; of the reading task.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    since: Option<Instant>,
}

impl Arrival {
    /// Bytes came. Before they are looked at.
    pub(super) fn bytes(&self, life: &Life, now: Instant) {
        life.note(&life.came, now);
        if self.since.is_some_and(|since| now.duration_since(since) > SLOW) {
            life.note(&life.dragged, now);
        }
    }

    /// What there was is read; `is_partial`: there is more to come of the last frame, which is a new one if any was whole.
    pub(super) fn read(&mut self, is_partial: bool, any_whole: bool, now: Instant) {
        self.since = match self.since.filter(|_| !any_whole) {
            _ if !is_partial => None,
            Some(since) => Some(since),
            None => Some(now),
        };
    }
}
