//! Connections: frames in, frames out, and every response handed to the request that it answers.
//!
//! This room knows commands and sockets; it knows neither brokers nor name servers nor what a request means.

mod connection;
mod foreign;
mod outbox;
mod pool;

pub(crate) use connection::{CallFailure, Connection, Inbound};
pub(crate) use pool::{Greeter, Pool};
