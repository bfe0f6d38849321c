//! The program around a client, as a Node process is: its event loop may stand still.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq_client::client::{Event, Events};
use rocketmq_client::record::Lines;
use rocketmq_simulated_world::chance;
use tokio::time::Instant;

/// An event loop.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventLoop(Arc<Mutex<Option<Instant>>>);

impl EventLoop {
    /// Nothing in it runs for so long.
    pub(crate) fn stall(&self, lasts: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + lasts);
    }

    /// The next turn.
    pub(crate) async fn turn(&self) {
        // Native threads may be faster, or not.
        if chance(0.5) {
            tokio::task::yield_now().await;
        }
        loop {
            let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }
}

/// Hears what a client tells.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) says: bool,
}

impl Events for Listener {
    fn emit(&self, event: Event) {
        if self.says && !event.is_debug() {
            let elapsed = rocketmq_simulated_world::World::current().elapsed().as_secs_f64();
            eprintln!("{elapsed:9.3} {:<4} {}", self.name, serde_json::to_string(&event).unwrap_or_default());
        }
    }
}

/// Whether nothing goes wrong any more: handlers, too, are quick then, and succeed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calm(Arc<AtomicBool>);

impl Calm {
    /// From now on.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What all programs of a world have in common.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) calm: Calm,
    pub(crate) histories: Lines,
    /// All of them.
    pub(crate) topics: Vec<String>,
    /// Whether what clients tell is printed.
    pub(crate) says: bool,
}
