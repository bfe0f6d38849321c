//! The package's own thread in a model: one of the threads that a scheduler puts into any order, with a runtime whose clock the model moves.

use std::sync::Arc;
use std::time::Duration;

use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;
use tokio::runtime::{Builder, Runtime};

/// See the module.
#[derive(Debug)]
pub(crate) struct Own(Runtime);

impl Own {
    /// A runtime whose clock stands still.
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        Self(runtime.expect("a runtime"))
    }

    /// Does what is to be done on the package's own thread, whose clock goes on by `tick` from turn to turn, until the other thread has
    /// ended; what that one spawns is done here, too.
    pub(crate) fn beside<T: Send + 'static>(&self, tick: Duration, other: impl FnOnce() -> T + Send + 'static) -> T {
        let _tasks = self.0.enter();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let other = thread::spawn(move || {
            let result = other();
            over.store(true, Ordering::SeqCst);
            result
        });
        while !is_over.load(Ordering::SeqCst) {
            self.0.block_on(tokio::time::advance(tick));
            thread::yield_now();
        }
        other.join().expect("it has not panicked")
    }

    /// Does this, with nobody beside it.
    pub(crate) fn alone<T>(&self, task: impl Future<Output = T>) -> T {
        self.0.block_on(task)
    }
}
