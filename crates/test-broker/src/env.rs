//! The outside world of the test broker: sockets on 127.0.0.1, both clocks, and a thread of its own.

#[cfg(not(feature = "simulation"))]
mod real;
#[cfg(feature = "simulation")]
mod simulated;

#[cfg(not(feature = "simulation"))]
use real as world;
#[cfg(feature = "simulation")]
use simulated as world;
#[cfg(test)]
pub(crate) use world::connect;
pub use world::spawn;
pub(crate) use world::{Listener, Socket, listen, wall_ms};

/// A point of the monotonic clock.
pub(crate) use tokio::time::Instant;

/// Now, on the monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}
