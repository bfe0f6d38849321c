//! The memory that buffered messages of all queues may take.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// Half of the limit is split among the queues, so that none can starve another; the other half is for whoever comes first.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    queues: AtomicUsize,
    pooled: AtomicI64,
}

/// One queue's part.
#[derive(Debug, Default)]
pub(crate) struct Share {
    own: usize,
    pooled: i64,
}

impl Budget {
    /// At most `limit` bytes, give or take one pull per queue.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, queues: AtomicUsize::new(0), pooled: AtomicI64::new(0) }
    }

    /// One more owned queue.
    pub(crate) fn join(&self) {
        self.queues.fetch_add(1, Ordering::Relaxed);
    }

    /// One owned queue less; its share must be empty.
    pub(crate) fn part(&self) {
        self.queues.fetch_sub(1, Ordering::Relaxed);
    }

    fn guaranteed(&self) -> usize {
        self.limit / 2 / self.queues.load(Ordering::Relaxed).max(1)
    }

    /// Whether a queue may pull more. One without any messages always may.
    pub(crate) fn has_room(&self, share: &Share) -> bool {
        let pool = i64::try_from(self.limit / 2).unwrap_or(i64::MAX);
        share.own == 0 || share.own < self.guaranteed() || self.pooled.load(Ordering::Relaxed) < pool
    }

    /// A queue holds this many bytes now.
    pub(crate) fn set(&self, share: &mut Share, bytes: usize) {
        let beyond = i64::try_from(bytes.saturating_sub(self.guaranteed())).unwrap_or(i64::MAX);
        self.pooled.fetch_add(beyond - share.pooled, Ordering::Relaxed);
        *share = Share { own: bytes, pooled: beyond };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_leaves_the_others_their_share() {
        let budget = Budget::new(1_000);
        budget.join();
        budget.join();
        let (mut greedy, mut other) = (Share::default(), Share::default());
        budget.set(&mut greedy, 249);
        assert!(budget.has_room(&greedy));
        budget.set(&mut greedy, 750);
        assert!(!budget.has_room(&greedy), "250 of its own and the whole pool of 500");
        assert!(budget.has_room(&other));
        budget.set(&mut other, 249);
        assert!(budget.has_room(&other));
        budget.set(&mut other, 250);
        assert!(!budget.has_room(&other));
        budget.set(&mut greedy, 0);
        assert!(budget.has_room(&other) && budget.has_room(&greedy));
    }

    #[test]
    fn a_queue_without_messages_always_may_pull() {
        let budget = Budget::new(1);
        budget.join();
        let mut share = Share::default();
        assert!(budget.has_room(&share));
        budget.set(&mut share, 5_000_000);
        assert!(!budget.has_room(&share));
        budget.set(&mut share, 0);
        assert!(budget.has_room(&share));
    }
}
