//! An ordered producer and an ordered push consumer for RocketMQ; what JavaScript calls is one crate above.
//!
//! The rooms, and which way they look: {[`producer`], [`consumer`]} → [`client`] → `remoting` → `protocol`;
//! [`error`], [`env`](mod@env), [`record`] and `shutdown` are leaves.

pub mod client;
pub mod consumer;
pub mod env;
pub mod error;
pub mod producer;
pub mod record;
mod remoting;
#[cfg(feature = "shuttle")]
pub mod schedules;
mod shutdown;
pub mod sync;

use rocketmq_history as history;
use rocketmq_protocol as protocol;
