//! How large a batch may be: what a broker takes of a topic's batches, as its answers have told.
//!
//! A broker's `maxMessageSize` bounds the body of a request, so a batch may be refused although each of its messages would pass; and some
//! services take no batches of some topics at all. Neither is told beforehand. What was refused is sent in halves, so that only the
//! guilty message fails; if none is guilty, the size was at fault, and smaller batches follow until, minutes later, a larger one is tried.

use std::time::Duration;

use crate::env::Instant;

/// Most bytes in a batch of ours; brokers take no more by default.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Until a larger batch than what is taken is tried again: settings change, and brokers are replaced.
pub(super) const AGAIN: Duration = Duration::from_secs(5 * 60);
/// A batch so small takes no line long: time-outs make none smaller.
const CAUTIOUS: usize = 32 * 1024;
/// A batch so small is not refused for its size.
const SMALL: usize = 4 * 1024;

/// What a broker takes of a topic's batches. At first, everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchLimit {
    /// Most bytes of a batch; 0: messages go one by one.
    bytes: usize,
    /// The smallest that was refused, while there is a limit.
    refused: Option<usize>,
    /// When a larger one may be tried.
    again_at: Option<Instant>,
    /// Most bytes for now, as a request has timed out: twice as many after each that is answered.
    cautious: Option<usize>,
}

impl Default for BatchLimit {
    fn default() -> Self {
        Self { bytes: BATCH_BYTES, refused: None, again_at: None, cautious: None }
    }
}

impl BatchLimit {
    /// Most bytes of the next batch. Beyond that, [`BatchLimit::tries`] says whether it may be.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Most bytes of the next batch, whatever is known to be taken: less for a while after a time-out.
    pub(super) fn cautious(&self) -> usize {
        self.cautious.unwrap_or(usize::MAX)
    }

    /// A request of `size` bytes had no answer in time: the way, or the broker, may be slow.
    pub(super) fn timed_out(&mut self, size: usize) {
        self.cautious = Some((size.min(self.cautious()) / 2).max(CAUTIOUS));
    }

    /// A request was answered in time.
    pub(super) fn answered(&mut self) {
        self.cautious = self.cautious.map(|bytes| bytes * 2).filter(|bytes| *bytes < BATCH_BYTES);
    }

    /// Whether messages go one by one.
    pub(super) fn is_single(&self) -> bool {
        self.bytes == 0
    }

    /// Whether it is time to try a larger batch.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.again_at.is_some_and(|at| at <= now)
    }

    /// One is being tried: the next one only after a while.
    pub(super) fn tries(&mut self, now: Instant) {
        self.again_at = Some(now + AGAIN);
    }

    /// A batch of `size` bytes was stored. True if there is no limit any more.
    pub(super) fn passed(&mut self, size: usize) -> bool {
        let Some(refused) = self.refused else { return false };
        if size >= refused {
            *self = Self::default();
            return true;
        }
        self.bytes = self.bytes.max(between(size, refused));
        false
    }

    /// A batch of `size` bytes was refused, and all of it passed in pieces of up to `piece` bytes. True if that is news.
    pub(super) fn refused(&mut self, size: usize, piece: usize, now: Instant) -> bool {
        if self.is_single() {
            return false;
        }
        let is_news = self.refused.is_none();
        self.again_at.get_or_insert(now + AGAIN);
        if size <= SMALL {
            self.refuses_all(now);
            return true;
        }
        self.refused = Some(size);
        self.bytes = between(piece, size);
        is_news
    }

    /// Batches are not taken at all. True if that is news.
    pub(super) fn refuses_all(&mut self, now: Instant) -> bool {
        let is_news = !self.is_single();
        *self = Self { bytes: 0, refused: Some(1), again_at: Some(now + AGAIN), ..*self };
        is_news
    }
}

/// The next size to use: what has passed, once that is close to what was refused.
fn between(passed: usize, refused: usize) -> usize {
    if passed.saturating_mul(5) >= refused.saturating_mul(4) { passed } else { passed.midpoint(refused) }
}
