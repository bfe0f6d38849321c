//! What a client is made from.

use crate::env::{self, Timing};
use crate::protocol::Credentials;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Validated by the facade and the binding; nothing here is a user's raw text.
#[derive(Clone, Debug)]
pub(crate) struct ClientOptions {
    /// The group as the user wrote it.
    pub(crate) group: String,
    /// `host:port` each; at least one.
    pub(crate) name_servers: Vec<String>,
    /// The instance id; none without namespaces.
    pub(crate) namespace: Option<String>,
    /// A name for people, part of the client id.
    pub(crate) instance_name: Option<String>,
    /// Signs every request, where given.
    pub(crate) credentials: Option<Credentials>,
    /// The default time for one request.
    pub(crate) request_timeout: Duration,
    /// Every interval.
    pub(crate) timing: Timing,
}

impl ClientOptions {
    /// A new client id, `ip@instance#pid-random-counter`: it owns locks, so it must be unique also between worker threads, forked
    /// processes and containers with equal addresses and process ids.
    pub(super) fn client_id(&self) -> String {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let ip = env::local_ip(self.name_servers.first().map_or("", String::as_str));
        let pid = std::process::id();
        let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
        let random = env::random_u32();
        match &self.instance_name {
            Some(name) => format!("{ip}@{name}#{pid}-{random:08x}-{counter}"),
            None => format!("{ip}@{pid}#{random:08x}-{counter}"),
        }
    }
}
