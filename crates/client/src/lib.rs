//! An ordered producer and an ordered push consumer for RocketMQ; what JavaScript calls is one crate above.
//!
//! The rooms, and which way they look: {[`producer`], [`consumer`]} → [`client`] → `remoting` → `protocol`;
//! [`error`], [`env`](mod@env) and `shutdown` are leaves.

pub mod client;
pub mod consumer;
pub mod env;
pub mod error;
pub mod producer;
mod remoting;
mod shutdown;

use rocketmq_protocol as protocol;
