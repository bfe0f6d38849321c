//! Everything random.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::World;

/// Where it comes from.
pub(crate) struct Chance(StdRng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

/// Random bits.
pub fn random_u64() -> u64 {
    World::current().chance().0.random()
}

/// Random bits.
pub fn random_u32() -> u32 {
    World::current().chance().0.random()
}

/// At least 0, less than 1.
pub fn fraction() -> f64 {
    World::current().chance().0.random_range(0.0..1.0)
}

/// Whether something happens that happens with this probability.
pub fn chance(probability: f64) -> bool {
    fraction() < probability
}

/// At least 0, less than `end`; 0 of nothing.
pub fn below(end: u64) -> u64 {
    if end == 0 { 0 } else { World::current().chance().0.random_range(0..end) }
}

/// One of these.
pub fn pick<T>(from: &[T]) -> Option<&T> {
    from.get(usize::try_from(below(u64::try_from(from.len()).unwrap_or(u64::MAX))).unwrap_or(usize::MAX))
}

/// Any time up to `most`, in whole milliseconds.
pub(crate) fn up_to(most: Duration) -> Duration {
    Duration::from_millis(below(u64::try_from(most.as_millis()).unwrap_or(u64::MAX).saturating_add(1)))
}
