//! The group: who its members are and what they subscribe, which queues are ours among them, and what is told of that.

mod assignment_events;
mod members;
mod models;
pub(super) mod rebalance;
pub(super) mod subscription_check;
mod subscription_difference;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use self::assignment_events::EventBatch;
use self::members::Members;
use super::queue::Queue;
use crate::error::ClientError;
use crate::protocol::namespace;

pub(crate) use self::members::Holder;
pub(crate) use self::subscription_check::Others;

/// The group as this member knows it.
#[derive(Debug)]
pub(crate) struct Group {
    /// Real name.
    pub(crate) name: String,
    /// Real name.
    pub(crate) retry_topic: String,
    /// Who is in the group, and who had which queue.
    members: Mutex<Members>,
    /// The group's other members, as of the last look.
    others: watch::Sender<Others>,
    /// In what members differ.
    differences: Mutex<Vec<ClientError>>,
    /// Masters whose connection ended and that have not answered since.
    lost_masters: Mutex<BTreeSet<String>>,
    /// Wakes the rebalance.
    rebalance: Notify,
    /// A broker seems not to know our subscriptions.
    heartbeat_wanted: AtomicBool,
    /// Queues that are ours from now on, on their way to be told.
    pub(crate) assigned: EventBatch,
    /// Queues that are ours no longer, on their way to be told.
    pub(crate) revoked: EventBatch,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    /// Nothing is known of it but its real name.
    pub(crate) fn new(name: String) -> Self {
        Self {
            retry_topic: namespace::retry_topic(&name),
            name,
            members: Mutex::default(),
            others: watch::Sender::default(),
            differences: Mutex::default(),
            lost_masters: Mutex::default(),
            rebalance: Notify::new(),
            heartbeat_wanted: AtomicBool::new(false),
            assigned: EventBatch::of_assigned(),
            revoked: EventBatch::of_revoked(),
        }
    }

    /// Has the queues shared out anew, soon.
    pub(crate) fn want_rebalance(&self) {
        self.rebalance.notify_one();
    }

    /// Has the next rebalance begin with a heartbeat, and soon.
    pub(crate) fn want_heartbeat(&self) {
        self.heartbeat_wanted.store(true, Ordering::Release);
        self.want_rebalance();
    }

    /// Whether this queue's being given up will be told.
    pub(crate) fn expect_revoked(&self, queue: &Queue) {
        if queue.view().is_assigned() {
            self.revoked.expect(queue);
        }
    }

    /// In what the group's members differ at the moment.
    pub(crate) fn differences(&self) -> Vec<ClientError> {
        lock(&self.differences).clone()
    }

    fn set_differences(&self, problems: Vec<ClientError>) {
        *lock(&self.differences) = problems;
    }

    fn lost_masters(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.lost_masters)
    }
}
