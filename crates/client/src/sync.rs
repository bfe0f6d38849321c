//! The locks of what several threads work with: JavaScript's threads, which ask, send and answer, and the package's own.
//!
//! They are the standard library's. With the feature `shuttle` they are those of the crate of that name: whoever takes one is put into any
//! order with the others by a scheduler, and a test tries thousands of such orders (`schedules.rs`). What only the package's
//! own thread takes, or takes for a look, needs none of that. Atomic numbers here count, or say "no longer": nothing else hangs on their order.

#[cfg(feature = "shuttle")]
pub use shuttle::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
#[cfg(not(feature = "shuttle"))]
pub use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
