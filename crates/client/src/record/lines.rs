//! Histories in memory: of tests, and of worlds with a clock of their own.

use std::sync::{Arc, Mutex, PoisonError};

use super::event::{Event, Line};
use super::{History, Record};
use crate::env::{self, Instant};

/// Lines of several clients, by the clock of [`env::now`], which a test may move; it counts from when they began.
#[derive(Clone, Debug)]
pub struct Lines {
    since: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
}

/// One client's.
#[derive(Debug)]
struct Own {
    by: String,
    lines: Lines,
}

impl Lines {
    /// What the clock of all of them counts from.
    pub const BOOT: &str = "here";

    /// Empty; its clock says 0 at that time.
    pub fn since(since: Instant) -> Self {
        Self { since, lines: Arc::default() }
    }

    /// What the client of that name does goes here.
    pub fn history(&self, by: &str) -> History {
        History::kept_by(Arc::new(Own { by: by.to_owned(), lines: self.clone() }))
    }

    /// Takes down what happens in this moment, for the client of that name.
    pub fn write(&self, by: &str, event: Event) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(Line { t: self.time(env::now()), by: by.to_owned(), event });
    }

    /// All so far, in the order in which they were taken down.
    pub fn all(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn time(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.since).as_micros()).unwrap_or(u64::MAX)
    }
}

impl Record for Own {
    fn record(&self, event: Event) {
        self.lines.write(&self.by, event);
    }

    fn time(&self, at: Instant) -> u64 {
        self.lines.time(at)
    }

    fn boot(&self) -> String {
        Lines::BOOT.to_owned()
    }
}
