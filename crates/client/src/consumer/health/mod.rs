//! What is looked at from outside: queues and handlers that stand still, how far queues have come, messages that nobody reads.

mod gathered;
pub(super) mod lag_probe;
pub(super) mod stalls;
pub(super) mod unread_queues;
mod unreadable_topics;

use tokio::sync::Notify;

use self::gathered::Gathered;
use self::unread_queues::UnreadQueues;

/// What wakes those who look, and what they have found.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// Wakes who tells of queues that wait.
    stalls: Notify,
    /// Wakes who asks how queues stand that wait.
    lag: Notify,
    /// Warnings that come of many queues at once.
    gathered: Gathered,
    /// Messages in queues that the routes do not let us read.
    pub(crate) unread_queues: UnreadQueues,
}

impl Watches {
    /// A queue has begun to wait, or its end is unknown: to be looked at soon.
    pub(crate) fn look_at_stalls(&self) {
        self.stalls.notify_one();
        self.lag.notify_one();
    }

    /// How far a queue has come is unknown: to be asked soon.
    pub(crate) fn look_at_lag(&self) {
        self.lag.notify_one();
    }
}
