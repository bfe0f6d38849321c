//! One clock for lines that come from several.

use std::collections::HashMap;

use crate::event::Hello;

/// Clients with the same `boot` share a clock; others are set by the wall clock of their first lines.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// By `boot`: the wall clock when its clock was at 0, in microseconds.
    zero: HashMap<String, i64>,
    boots: HashMap<u32, String>,
    /// The one that the others are compared with.
    first: Option<String>,
}

impl Clocks {
    /// A client has begun.
    pub(super) fn meet(&mut self, client: u32, at: i64, hello: &Hello) {
        let zero = hello.wall.saturating_mul(1_000).saturating_sub(at);
        self.zero.entry(hello.boot.clone()).or_insert(zero);
        self.boots.insert(client, hello.boot.clone());
        self.first.get_or_insert_with(|| hello.boot.clone());
    }

    /// What to add to the times of a client.
    pub(super) fn shift(&self, client: u32) -> i64 {
        let zero_of = |boot: Option<&String>| boot.and_then(|boot| self.zero.get(boot)).copied();
        match (zero_of(self.boots.get(&client)), zero_of(self.first.as_ref())) {
            (Some(zero), Some(first)) => zero.saturating_sub(first),
            _ => 0,
        }
    }

    /// Whether a client does not share the first's clock.
    pub(super) fn is_apart(&self, client: usize) -> bool {
        let boot = u32::try_from(client).ok().and_then(|client| self.boots.get(&client));
        boot.is_some() && boot != self.first.as_ref()
    }
}
