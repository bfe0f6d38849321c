//! A simulated world instead of the real one: for `simulation` only, never in what is published.

use std::net::{IpAddr, Ipv4Addr};

use rocketmq_simulated_world::Host;
pub(crate) use rocketmq_simulated_world::{JoinSet, SocketWriter, connect, fraction, random_u32, spawn_blocking};
pub use rocketmq_simulated_world::{planted, spawn, wall_ms};

/// How many of the written bytes the peer's system has not acknowledged yet.
#[expect(clippy::unnecessary_wraps, reason = "as of a system that may not tell")]
pub(crate) fn unacknowledged(writer: &SocketWriter) -> Option<u64> {
    Some(rocketmq_simulated_world::unacknowledged(writer))
}

/// The address of the current host.
pub(crate) fn local_ip(_peer: &str) -> IpAddr {
    Host::current().map_or(Ipv4Addr::LOCALHOST, Host::ip).into()
}

/// How old the world is, in microseconds.
pub(crate) fn monotonic_us() -> u64 {
    u64::try_from(rocketmq_simulated_world::World::current().elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What that counts from.
pub(crate) fn boot_id() -> String {
    String::from("simulated")
}

/// The number of the current host.
pub(crate) fn process_id() -> u32 {
    Host::current().map_or(0, |host| u32::from(host.ip()))
}

/// Listens, for tests.
#[cfg(test)]
pub(crate) async fn listen(port: u16) -> std::io::Result<rocketmq_simulated_world::Listener> {
    rocketmq_simulated_world::listen(port).await
}
