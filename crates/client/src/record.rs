//! What a client writes down of what it does, for whoever checks it afterwards. Mostly nobody does: then it is one look.

mod file;
mod lines;

use std::fmt;
use std::sync::Arc;

pub use self::file::{File, FileRecord};
pub use self::lines::Lines;
pub use crate::history::event;

use self::event::{Event, Hello, Role};
use crate::env::{self, Instant};

/// Whoever keeps what one client does.
pub trait Record: Send + Sync + 'static {
    /// Takes down what happens in this moment. Called in the order in which things happen, under locks of the client: it calls nobody back.
    fn record(&self, event: Event);
    /// That moment, in microseconds of the clock of its lines.
    fn time(&self, at: Instant) -> u64;
    /// What that clock counts from.
    fn boot(&self) -> String;
}

/// Where one client writes down what it does, if anybody wants to know.
#[derive(Clone, Default)]
pub struct History(Option<Arc<dyn Record>>);

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("History").field(&self.is_kept()).finish()
    }
}

impl History {
    /// Kept by that one.
    pub fn kept_by(record: Arc<dyn Record>) -> Self {
        Self(Some(record))
    }

    /// Whether anybody wants to know.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Takes down what happens in this moment.
    pub(crate) fn record(&self, event: impl FnOnce() -> Event) {
        if let Some(record) = &self.0 {
            record.record(event());
        }
    }

    /// Takes down something that has to do with a moment before.
    pub(crate) fn record_since(&self, since: Instant, event: impl FnOnce(u64) -> Event) {
        if let Some(record) = &self.0 {
            record.record(event(record.time(since)));
        }
    }

    /// The first line of a client: brokers know it by that id, in that group.
    pub(crate) fn begin(&self, role: Role, client: &str, group: &str, more: impl FnOnce(&mut Hello)) {
        if let Some(record) = &self.0 {
            let mut hello = Hello {
                version: 1,
                role,
                client: client.to_owned(),
                group: group.to_owned(),
                boot: record.boot(),
                wall: env::wall_ms(),
                by_key: false,
                broadcasting: false,
                mixes_keys: false,
                as_user: false,
            };
            more(&mut hello);
            record.record(Event::Hello(hello));
        }
    }

    /// The last line.
    pub(crate) fn end(&self) {
        self.record(|| Event::Closed {});
    }
}
