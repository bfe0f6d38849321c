//! Ordered messaging for Node.js on Apache RocketMQ.
//!
//! The rooms, and which way they may look:
//! `binding` → {`producer`, `consumer`} → `client` → `remoting` → `protocol`; `error` and `env` are leaves.
//! `test_broker` looks at `protocol` only, and `binding` at it.

mod binding;
mod client;
mod consumer;
mod env;
mod error;
mod producer;
mod protocol;
mod remoting;
mod test_broker;

#[cfg(test)]
mod layering;
