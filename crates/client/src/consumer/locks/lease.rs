//! How long a granted lock counts here.

use std::sync::Arc;
use std::time::Duration;

use crate::env::{Instant, planted};

/// The wall clock, ms since 1970. Injected, so that a test can make the machine sleep.
pub(crate) type Wall = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How far the wall clock may run ahead of the monotonic one before the machine must have slept.
const TOLERANCE_MS: i128 = 5_000;

/// Longer than any process, and short enough to be a point of the clock.
const FOREVER: Duration = Duration::from_secs(86_400 * 365 * 30);

/// A lock from the moment it was asked for: the broker's own 60 s begin later, so this end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    since: Instant,
    wall_ms: i64,
    until: Instant,
    /// Nobody else can have the queue, however long we sleep.
    is_without_end: bool,
}

/// Whether a lease counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// It does.
    Valid,
    /// The wall clock ran ahead: the machine slept, and the broker's time ran on.
    Slept,
    /// It has run out.
    Over,
}

impl Lease {
    /// A lease that was asked for at `now`, when the wall clock said `wall_ms`.
    pub(crate) fn begin(now: Instant, wall_ms: i64, length: Duration) -> Self {
        let length = if planted("renew by the wall clock") { FOREVER } else { length };
        let length = if planted("trust a lock too long") { length * 4 } else { length };
        Self { since: now, wall_ms, until: now + length, is_without_end: false }
    }

    /// Of a queue that no lock is needed for.
    pub(crate) fn without_end(now: Instant) -> Self {
        Self { since: now, wall_ms: 0, until: now + FOREVER, is_without_end: true }
    }

    /// When it was asked for.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// The end, on the monotonic clock.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// Whether it was asked for while that one lasted, so that there is no gap between the two.
    pub(crate) fn follows(&self, before: &Self) -> bool {
        self.since < before.until
    }

    /// When it was asked for, ms since 1970; 0 for never.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.wall_ms
    }

    /// Whether it counts. The wall clock can make it doubtful, never valid.
    pub(crate) fn check(&self, now: Instant, wall_ms: i64) -> Validity {
        if self.is_without_end {
            return Validity::Valid;
        }
        if planted("renew by the wall clock") {
            let is_over = i128::from(wall_ms) - i128::from(self.wall_ms) >= 30_000;
            return if is_over { Validity::Over } else { Validity::Valid };
        }
        if now >= self.until {
            return Validity::Over;
        }
        let elapsed = now.saturating_duration_since(self.since).as_millis().cast_signed();
        let ahead = i128::from(wall_ms) - i128::from(self.wall_ms) - elapsed;
        if ahead > TOLERANCE_MS { Validity::Slept } else { Validity::Valid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env;

    const LENGTH: Duration = Duration::from_secs(30);

    #[test]
    fn ends_by_the_monotonic_clock_whatever_the_wall_clock_says() {
        let now = env::now();
        let lease = Lease::begin(now, 1_000_000, LENGTH);
        let just_before = now + Duration::from_millis(29_999);
        assert_eq!(lease.check(just_before, 1_029_999), Validity::Valid);
        assert_eq!(lease.check(now + LENGTH, 1_000_000), Validity::Over);
        assert_eq!(lease.check(now + LENGTH, -3_600_000), Validity::Over);
    }

    #[test]
    fn without_a_lock_no_clock_ends_it() {
        let now = env::now();
        let lease = Lease::without_end(now);
        assert_eq!(lease.check(now + 100 * LENGTH, i64::MAX), Validity::Valid);
        assert_eq!(lease.check(now, 1_000_000_000), Validity::Valid, "the machine slept for days");
        assert!(lease.until() > now + 1_000_000 * LENGTH);
    }

    #[test]
    fn a_wall_clock_set_back_changes_nothing() {
        let now = env::now();
        let lease = Lease::begin(now, 100_000_000, LENGTH);
        assert_eq!(lease.check(now + Duration::from_secs(1), 0), Validity::Valid);
    }

    #[test]
    fn a_wall_clock_that_ran_ahead_by_more_than_5_s_means_sleep() {
        let now = env::now();
        let lease = Lease::begin(now, 0, LENGTH);
        let later = now + Duration::from_secs(1);
        assert_eq!(lease.check(later, 6_000), Validity::Valid);
        assert_eq!(lease.check(later, 6_001), Validity::Slept);
    }
}
