//! A name server and brokers in memory, on 127.0.0.1, that speak the real protocol to any client: the default of whoever tries
//! the package, and the double of whoever tests with it. It keeps nothing, and is never kinder than a real broker.
//!
//! Frames come in through `server`, go by code through `dispatch` to a handler, and change the one `State` under one lock.
//! What differs between 4.9 and 5.5 asks [`Release::is_v5`]. Time that a real broker measures is scaled by the time factor;
//! the client's own (heartbeats, answers to the broker) is not.

mod accounts;
mod acl;
mod admin;
mod append;
mod broker;
mod cluster;
mod control;
mod dispatch;
pub mod env;
pub mod error;
mod faults;
mod groups;
mod lifecycle;
mod locks;
mod membership;
mod name_server;
mod names;
mod offsets;
mod options;
mod outbox;
mod pull;
mod queue_offsets;
mod readings;
mod record;
mod registry;
mod relay;
mod release;
mod reply;
mod reply_path;
mod request_names;
mod requests_seen;
mod reset;
mod retry;
mod rights;
mod send;
mod server;
mod session;
mod sql;
mod statistics;
mod store;
mod views;

use std::sync::{Arc, Mutex};

use rocketmq_protocol as protocol;

use self::cluster::Shared;
use self::error::{Code, Refused};
use self::lifecycle::Servers;

pub use self::control::{Perm, Position, Publication};
pub use self::faults::{ClientPattern, Effect, FaultMatch};
pub use self::options::{Keep, TestBrokerOptions};
pub use self::release::Release;
pub use self::request_names::codes_of;

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
