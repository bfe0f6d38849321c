//! A name server and brokers in memory, on 127.0.0.1, that speak the real protocol to any client: the default of whoever tries
//! the package, and the double of whoever tests with it. It keeps nothing, and is never kinder than a real broker.
//!
//! Frames come in through `wire`, go by code through `requests` and `admin` to a handler, and change the one `state`, of which `store` and
//! `groups` are the parts, under one lock. `access` and `faults` may stand in between; a test acts and looks through `control`.
//! What differs between 4.9 and 5.5 asks [`Release::is_v5`]. Time that a real broker measures is scaled by the time factor;
//! the client's own (heartbeats, answers to the broker) is not.

mod access;
mod admin;
mod control;
pub mod env;
pub mod error;
mod faults;
mod groups;
mod release;
mod requests;
mod sql;
mod state;
mod store;
mod wire;

use std::sync::{Arc, Mutex};

use rocketmq_protocol as protocol;

use self::control::lifecycle::Servers;
use self::error::{Code, Refused};
use self::state::cluster::Shared;

pub use self::control::commands::{Perm, Position, Publication};
pub use self::control::options::{Keep, TestBrokerOptions};
pub use self::faults::request_names::codes_of;
pub use self::faults::rules::{ClientPattern, Effect, FaultMatch};
pub use self::release::Release;
pub use self::sql::Condition;
pub use self::wire::tls::ServerTls;

/// A running test broker. Dropping it closes it, a little later.
pub struct TestBroker {
    shared: Arc<Shared>,
    servers: Mutex<Servers>,
}

impl std::fmt::Debug for TestBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestBroker").field("release", &self.shared.release).finish_non_exhaustive()
    }
}

impl TestBroker {
    fn open(&self) -> Result<(), Refused> {
        if self.shared.is_closed() { Err(closed()) } else { Ok(()) }
    }
}

fn closed() -> Refused {
    Refused::new(Code::Closed, "the test broker is closed")
}

#[cfg(test)]
mod tests;
