//! A world that one seed decides: hosts whose processes stand still or die, a network between them, and clocks.
//!
//! It lives in one thread, on a tokio runtime with a paused clock: nothing waits for real, what is idle costs nothing, and the same seed gives
//! the same world. Client and test broker reach it through their `env`. Everything between a call and its consequence takes whole
//! milliseconds, as tokio's timers do.
//!
//! The network is TCP as programs see it: bytes that were taken arrive in order, late or never, and what a cut line swallows is sent
//! again once it is mended. That is why it is not made of a simulator of messages, whose streams do not outlive a lost one.

mod chance;
mod hosts;
mod line;
mod network;
mod pipe;
mod socket;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub use self::chance::{below, chance, fraction, pick, random_u32, random_u64};
pub use self::hosts::{Host, JoinSet, spawn, spawn_blocking};
pub use self::line::{Direction, Line};
pub use self::network::{Listener, connect, listen};
pub use self::socket::{Socket, SocketReader, SocketWriter, unacknowledged};

thread_local! {
    static WORLD: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

/// When every world begins: 2026-01-01T00:00:00Z, in milliseconds.
const BEGINNING: i64 = 1_767_225_600_000;

/// The world of this thread. Its host-independent side: what tests and schedules do to it.
pub struct World {
    began: Instant,
    chance: Mutex<chance::Chance>,
    hosts: Mutex<hosts::Hosts>,
    network: Mutex<network::Network>,
    planted: OnceLock<String>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

impl World {
    /// A new world is this thread's; to be called on a runtime whose clock is paused.
    pub fn begin(seed: u64) -> Arc<Self> {
        let world = Arc::new(Self {
            began: Instant::now(),
            chance: Mutex::new(chance::Chance::new(seed)),
            hosts: Mutex::default(),
            network: Mutex::default(),
            planted: OnceLock::new(),
        });
        WORLD.with_borrow_mut(|current| *current = Some(Arc::clone(&world)));
        world
    }

    /// The world of this thread.
    pub fn current() -> Arc<Self> {
        WORLD.with_borrow(Clone::clone).unwrap_or_else(|| panic!("no world has begun in this thread"))
    }

    /// How old it is.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Plants a defect, once.
    pub fn plant(&self, defect: &str) {
        let _ = self.planted.set(defect.to_owned());
    }

    fn chance(&self) -> MutexGuard<'_, chance::Chance> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hosts(&self) -> MutexGuard<'_, hosts::Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn network(&self) -> MutexGuard<'_, network::Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Now, on the wall clock of whoever asks: milliseconds since 1970 (UTC).
pub fn wall_ms() -> i64 {
    let world = World::current();
    let offset = Host::current().map_or(0, |host| world.hosts().wall_offset(host));
    BEGINNING + i64::try_from(world.elapsed().as_millis()).unwrap_or(i64::MAX) + offset
}

/// Whether that defect is planted: whoever has it asks at the place where it would be.
pub fn planted(defect: &str) -> bool {
    World::current().planted.get().is_some_and(|planted| planted == defect)
}

#[cfg(test)]
mod tests;
