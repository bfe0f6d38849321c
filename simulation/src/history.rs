//! The history of a world, as it comes to be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocketmq_client::env::Instant;
use rocketmq_client::record::{History, Record};
use rocketmq_history::event::{Event, Hello, Line, Role};
use rocketmq_simulated_world::World;

use crate::consumer::GROUP;

/// What all clients of the world share: its clock.
const BOOT: &str = "simulated";

/// Where everybody's lines come together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories(Arc<Mutex<Vec<Line>>>);

/// One client's.
struct Own {
    by: String,
    all: Histories,
}

impl Record for Own {
    fn record(&self, event: Event) {
        self.all.write(&self.by, event);
    }

    fn time(&self, at: Instant) -> u64 {
        let world = World::current();
        let age = Instant::now().saturating_duration_since(at);
        u64::try_from(world.elapsed().saturating_sub(age).as_micros()).unwrap_or(u64::MAX)
    }

    fn boot(&self) -> String {
        BOOT.to_owned()
    }
}

impl Histories {
    /// What the client of that name does goes here.
    pub(crate) fn of(&self, by: &str) -> History {
        History::kept_by(Arc::new(Own { by: by.to_owned(), all: self.clone() }))
    }

    /// Somebody who only looks: the first of their lines.
    pub(crate) fn witness(&self, by: &str) {
        self.write(
            by,
            Event::Hello(Hello {
                version: 1,
                role: Role::Witness,
                client: by.to_owned(),
                group: GROUP.to_owned(),
                boot: BOOT.to_owned(),
                wall: rocketmq_simulated_world::wall_ms(),
                by_key: false,
                broadcasting: false,
                mixes_keys: false,
            }),
        );
    }

    /// Writes a line.
    pub(crate) fn write(&self, by: &str, event: Event) {
        let t = u64::try_from(World::current().elapsed().as_micros()).unwrap_or(u64::MAX);
        self.lines().push(Line { t, by: by.to_owned(), event });
    }

    /// All lines so far.
    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.lines())
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
