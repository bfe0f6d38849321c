//! The state of everything: one lock, held for the time of one request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::broker::Broker;
use super::registry::NameServer;
use crate::access::acl::Accounts;
use crate::faults::requests_seen::RequestsSeen;
use crate::faults::rules::Faults;
use crate::release::{Release, draw_bits};
use crate::wire::tls::Doorman;

/// Longer than anybody waits, and no trouble for a clock: what clients ask for may be any number.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Stream of the draws that nobody asks for by name: unique ids, how long a message stays invisible, which of two sends is first.
const STREAM: u64 = 1;

/// What all tasks of one test broker share.
pub(crate) struct Shared {
    pub(crate) release: Release,
    pub(crate) time_factor: f64,
    /// Where all servers speak TLS.
    pub(crate) doorman: Option<Doorman>,
    state: Mutex<State>,
    /// Goes up with every change that somebody may wait for.
    changed: watch::Sender<u64>,
    /// Turns true when the test broker is closed.
    closed: watch::Sender<bool>,
    next_id: AtomicU64,
}

impl Shared {
    pub(crate) fn new(release: Release, time_factor: f64, doorman: Option<Doorman>, state: State) -> Arc<Self> {
        Arc::new(Self {
            release,
            time_factor,
            doorman,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            closed: watch::Sender::new(false),
            next_id: AtomicU64::new(1),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A duration of a real broker in the time of this one.
    pub(crate) fn scaled(&self, real: Duration) -> Duration {
        let seconds = real.as_secs_f64() * self.time_factor;
        Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
    }

    /// Wakes whoever waits for the state to change.
    pub(crate) fn change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// A number that no other thing of this test broker has.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// Everything that changes.
pub(crate) struct State {
    pub(crate) release: Release,
    pub(crate) seed: u64,
    pub(crate) name_server: NameServer,
    pub(crate) brokers: Vec<Broker>,
    pub(crate) accounts: Accounts,
    pub(crate) faults: Faults,
    pub(crate) seen: RequestsSeen,
    /// What clients did that ruins a real broker.
    pub(crate) violations: Vec<String>,
    drawn: u64,
}

impl State {
    pub(crate) fn new(release: Release, seed: u64, accounts: Accounts) -> Self {
        Self {
            release,
            seed,
            name_server: NameServer::default(),
            brokers: Vec::new(),
            accounts,
            faults: Faults::default(),
            seen: RequestsSeen::default(),
            violations: Vec::new(),
            drawn: 0,
        }
    }

    /// The broker of an index that this test broker made itself.
    pub(crate) fn broker(&mut self, index: usize) -> &mut Broker {
        &mut self.brokers[index]
    }

    /// The next random bits of the seed.
    pub(crate) fn draw_bits(&mut self) -> u64 {
        self.drawn += 1;
        draw_bits(self.seed, STREAM, self.drawn)
    }

    /// Whether something happens that happens with this probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.drawn += 1;
        crate::release::draw(self.seed, STREAM, self.drawn) < probability
    }

    /// A client's unique id for a message that came without.
    pub(crate) fn unique_id(&mut self) -> String {
        let (high, low) = (self.draw_bits(), self.draw_bits());
        format!("7F000001{:08X}{low:016X}", high & 0xFFFF_FFFF)
    }

    /// The connection, of any broker, that a client's registration in a group belongs to: broker index and number.
    pub(crate) fn connection_of(&self, broker: usize, group: &str, client_id: &str) -> Option<u64> {
        let group = self.brokers.get(broker)?.registrations.consumers.get(group)?;
        group.members.iter().find(|(_, member)| member.client_id == client_id).map(|(connection, _)| *connection)
    }
}
