//! A simulated world instead of the real one: for `simulation` only.

#[cfg(test)]
pub(crate) use rocketmq_simulated_world::connect;
pub use rocketmq_simulated_world::spawn;
pub(crate) use rocketmq_simulated_world::{Listener, Socket, listen, wall_ms};
