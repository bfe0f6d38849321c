//! Ordered messaging for Node.js on Apache RocketMQ.
//!
//! The rooms, and which way they may look:
//! `binding` → {`producer`, `consumer`} → `client` → `remoting` → `protocol`; `error` and `env` are leaves.
#![allow(dead_code, reason = "the first steps of the house: taken out when the rooms are connected")]

mod client;
mod env;
mod error;
mod protocol;
mod remoting;
mod test_broker;

#[cfg(test)]
mod layering;
