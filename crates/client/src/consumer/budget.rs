//! The memory that buffered messages of all queues may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// Half of the limit is split among the queues, so that none can starve another; the other half is for whoever comes first.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    queues: AtomicUsize,
    pooled: AtomicI64,
}

/// One queue's part; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    is_member: bool,
    own: usize,
    pooled: i64,
    /// Taken from the pool for what is being unpacked.
    reserved: i64,
}

impl Budget {
    /// At most `limit` bytes, give or take one pull per queue.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, queues: AtomicUsize::new(0), pooled: AtomicI64::new(0) })
    }

    fn guaranteed(&self) -> usize {
        self.limit / 2 / self.queues.load(Ordering::Relaxed).max(1)
    }

    fn pool(&self) -> i64 {
        bytes(self.limit / 2)
    }

    /// Takes up to so many bytes out of the pool.
    fn take(&self, wanted: i64) -> i64 {
        let mut taken = 0;
        let _ = self.pooled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |pooled| {
            taken = (self.pool() - pooled).clamp(0, wanted);
            Some(pooled + taken)
        });
        taken
    }
}

impl Share {
    /// Nothing of it is taken.
    pub(crate) fn of(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), is_member: false, own: 0, pooled: 0, reserved: 0 }
    }

    /// The queue is owned from now on.
    pub(crate) fn join(&mut self) {
        self.is_member = true;
        self.budget.queues.fetch_add(1, Ordering::Relaxed);
    }

    /// The queue is not owned any more.
    pub(crate) fn part(&mut self) {
        self.release();
        self.set(0);
        if std::mem::take(&mut self.is_member) {
            self.budget.queues.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether the queue may pull more. One without any messages always may.
    pub(crate) fn has_room(&self) -> bool {
        let budget = &self.budget;
        self.own == 0 || self.own < budget.guaranteed() || budget.pooled.load(Ordering::Relaxed) < budget.pool()
    }

    /// Room for at most so many bytes more, held until it is released.
    pub(crate) fn reserve(&mut self, wanted: usize) -> usize {
        self.release();
        let own = self.budget.guaranteed().saturating_sub(self.own).min(wanted);
        self.reserved = self.budget.take(bytes(wanted - own));
        own + usize::try_from(self.reserved).unwrap_or(0)
    }

    /// What was reserved is free again, or counted by what it was used for.
    pub(crate) fn release(&mut self) {
        let reserved = std::mem::take(&mut self.reserved);
        self.budget.pooled.fetch_sub(reserved, Ordering::Relaxed);
    }

    /// The queue holds this many bytes now.
    pub(crate) fn set(&mut self, held: usize) {
        let beyond = bytes(held.saturating_sub(self.budget.guaranteed()));
        self.budget.pooled.fetch_add(beyond - self.pooled, Ordering::Relaxed);
        (self.own, self.pooled) = (held, beyond);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.part();
    }
}

fn bytes(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(budget: &Arc<Budget>) -> Share {
        let mut share = Share::of(budget);
        share.join();
        share
    }

    #[test]
    fn a_full_queue_leaves_the_others_their_share() {
        let budget = Budget::new(1_000);
        let (mut greedy, mut other) = (joined(&budget), joined(&budget));
        greedy.set(249);
        assert!(greedy.has_room());
        greedy.set(750);
        assert!(!greedy.has_room(), "250 of its own and the whole pool of 500");
        assert!(other.has_room());
        other.set(249);
        assert!(other.has_room());
        other.set(250);
        assert!(!other.has_room());
        greedy.set(0);
        assert!(other.has_room() && greedy.has_room());
    }

    #[test]
    fn a_queue_without_messages_always_may_pull() {
        let budget = Budget::new(1);
        let mut share = joined(&budget);
        assert!(share.has_room());
        share.set(5_000_000);
        assert!(!share.has_room());
        share.set(0);
        assert!(share.has_room());
    }

    #[test]
    fn what_is_reserved_is_nobody_elses_until_it_is_released() {
        let budget = Budget::new(1_000);
        let (mut one, mut other) = (joined(&budget), joined(&budget));
        assert_eq!(one.reserve(600), 600, "250 of its own and 350 of the pool");
        assert_eq!(other.reserve(600), 400, "250 of its own and what is left of the pool");
        one.set(300);
        one.release();
        assert_eq!(other.reserve(1_000), 700, "50 of the pool are the other's");
        drop(one);
        assert_eq!(other.reserve(2_000), 1_000, "alone");
        drop(other);
        assert_eq!((budget.pooled.load(Ordering::Relaxed), budget.queues.load(Ordering::Relaxed)), (0, 0));
    }
}
