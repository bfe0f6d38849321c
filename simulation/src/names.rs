//! What topics, groups and clients are called.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::plan::Plan;

/// The topic of that number.
pub(crate) fn topic(number: usize) -> String {
    ["orders", "payments"].get(number).map_or_else(|| format!("topic-{number}"), |name| (*name).to_owned())
}

/// All of a plan.
pub(crate) fn topics(plan: &Plan) -> Vec<String> {
    (0..plan.topics.len()).map(topic).collect()
}

/// The consumers' group of that number.
pub(crate) fn group(number: usize) -> String {
    ["G", "H"].get(number).map_or_else(|| format!("G{number}"), |name| (*name).to_owned())
}

/// Of a client that starts again and again: in histories each start is another one.
#[derive(Debug)]
pub(crate) struct Starts {
    pub(crate) name: String,
    attempts: AtomicU32,
}

impl Starts {
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), attempts: AtomicU32::new(0) }
    }

    /// One more: its number.
    pub(crate) fn next(&self) -> u32 {
        self.attempts.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// As histories have it now.
    pub(crate) fn current(&self) -> String {
        format!("{}.{}", self.name, self.attempts.load(Ordering::Relaxed))
    }
}
