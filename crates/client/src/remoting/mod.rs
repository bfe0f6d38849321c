//! Connections: frames in, frames out, and every response handed to the request that it answers.
//!
//! This room knows commands and sockets; it knows neither brokers nor name servers nor what a request means.

mod asking;
mod connection;
mod foreign;
mod life;
mod outbox;
mod pool;
mod tls;
mod waiters;

pub(crate) use asking::Room;
pub(crate) use connection::{Connection, Inbound};
pub(crate) use outbox::Class;
pub(crate) use pool::{Greeter, Pool};
pub use tls::{Tls, TlsSettings, Unusable};
pub(crate) use waiters::CallFailure;

#[cfg(test)]
mod panics;
#[cfg(test)]
mod tests;
#[cfg(all(test, feature = "shuttle"))]
mod threads;
