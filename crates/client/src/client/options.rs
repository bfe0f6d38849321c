//! What a client is made from.

use super::keyring::Keyring;
use crate::env::{self, Timing};
use crate::protocol::Credentials;
use crate::remoting::Tls;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Validated by the facade and the binding; nothing here is a user's raw text.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// What brokers know the client by, and the owner's name of queue locks.
    pub client_id: String,
    /// The group as the user wrote it.
    pub group: String,
    /// `host:port` each; at least one.
    pub name_servers: Vec<String>,
    /// The instance id; none without namespaces.
    pub namespace: Option<String>,
    /// What every request is signed with.
    pub keyring: Arc<Keyring>,
    /// Speaks TLS with every server, where given.
    pub tls: Option<Tls>,
    /// The endpoint or the channel is Alibaba Cloud's.
    pub alibaba_cloud: bool,
    /// A start waits for topics that do not exist.
    pub wait_for_topics: bool,
    /// Every interval.
    pub timing: Timing,
}

impl ClientOptions {
    /// Options with a new client id; the defaults for the rest.
    pub fn new(
        group: String,
        name_servers: Vec<String>,
        namespace: Option<String>,
        instance_name: Option<&str>,
        credentials: Option<Credentials>,
        timing: Timing,
    ) -> Self {
        let client_id = client_id(name_servers.first().map_or("", String::as_str), instance_name);
        let (alibaba_cloud, wait_for_topics) = (false, false);
        let (keyring, tls) = (Keyring::of(credentials, None), None);
        Self { client_id, group, name_servers, namespace, keyring, tls, alibaba_cloud, wait_for_topics, timing }
    }
}

/// `ip@instance#pid-random-counter`: it owns locks, so it must be unique also between worker threads, forked processes and
/// containers with equal addresses and process ids.
fn client_id(name_server: &str, instance_name: Option<&str>) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let ip = env::local_ip(name_server);
    let (pid, random, counter) = (env::process_id(), env::random_u32(), COUNTER.fetch_add(1, Ordering::Relaxed));
    match instance_name {
        Some(name) => format!("{ip}@{name}#{pid}-{random:08x}-{counter}"),
        None => format!("{ip}@{pid}#{random:08x}-{counter}"),
    }
}
