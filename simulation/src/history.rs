//! The history of a world, as it comes to be.

use std::sync::{Arc, Mutex, PoisonError};

use rocketmq_history::event::{Event, Line};
use rocketmq_simulated_world::World;

/// What all clients of the world share: its clock.
pub(crate) const BOOT: &str = "simulated";

/// Where everybody's lines come together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories(Arc<Mutex<Vec<Line>>>);

impl Histories {
    /// Writes a line.
    pub(crate) fn write(&self, by: &str, event: Event) {
        let t = u64::try_from(World::current().elapsed().as_micros()).unwrap_or(u64::MAX);
        self.lines().push(Line { t, by: by.to_owned(), event });
    }

    /// All lines so far.
    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.lines())
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
