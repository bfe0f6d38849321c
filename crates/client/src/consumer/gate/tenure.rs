//! The lock on the queue, as the gate knows it: what the keepers of locks tell.

use std::time::Duration;

use super::Gate;
use crate::consumer::locks::lease::{Lease, Validity};
use crate::env;

/// What is known about the broker's lock on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenure {
    /// Not asked for, or given back.
    Absent,
    /// Ours.
    Held(Lease),
    /// The connection broke, a renewal stayed unanswered, or the machine slept: ours until then at most, nothing starts.
    Doubtful(Lease),
    /// Granted anew after a doubt; another owner may have worked in between, so the actor looks before it opens.
    Regained(Lease),
    /// Refused, or run out.
    Lost,
}

impl Gate {
    /// The broker granted the lock that was asked for at the lease's beginning: first, again, or after a doubt.
    pub(crate) fn granted(&self, lease: Lease) {
        let mut state = self.lock();
        match state.tenure {
            Tenure::Held(_) | Tenure::Regained(_) => self.record.renewed(lease.since()),
            Tenure::Absent | Tenure::Lost | Tenure::Doubtful(_) => self.record.lock(lease.since()),
        }
        state.tenure = match state.tenure {
            Tenure::Absent | Tenure::Lost | Tenure::Held(_) => Tenure::Held(lease),
            Tenure::Doubtful(_) | Tenure::Regained(_) => Tenure::Regained(lease),
        };
        drop(state);
        self.changed.notify_one();
    }

    /// A renewal was granted; nothing if the lock was given up meanwhile. One that was asked for when the lease before was over
    /// already bridges nothing: somebody else may have had the queue in between, and the process may just have been stopped.
    pub(crate) fn renewed(&self, lease: Lease) {
        match self.tenure() {
            Tenure::Absent | Tenure::Lost => {}
            Tenure::Held(before) | Tenure::Doubtful(before) | Tenure::Regained(before) if lease.follows(&before) => {
                self.granted(lease);
            }
            Tenure::Held(_) | Tenure::Doubtful(_) | Tenure::Regained(_) => self.given_up("late"),
        }
    }

    /// Whether the lock is certain no longer. True when this is news.
    pub(crate) fn doubt(&self) -> bool {
        let mut state = self.lock();
        let (Tenure::Held(lease) | Tenure::Regained(lease)) = state.tenure else { return false };
        state.tenure = Tenure::Doubtful(lease);
        self.record.lost("doubt");
        drop(state);
        self.changed.notify_one();
        true
    }

    /// The broker refused the renewal: somebody else may have the queue.
    pub(crate) fn refused(&self) {
        self.given_up("refused");
    }

    fn given_up(&self, why: &str) {
        if !matches!(self.lock().tenure, Tenure::Absent) {
            self.lose(why);
            self.changed.notify_one();
        }
    }

    /// Whether the machine slept since the lease began.
    pub(crate) fn slept(&self) -> bool {
        match self.lock().tenure {
            Tenure::Held(lease) | Tenure::Regained(lease) => lease.check(env::now(), (self.wall)()) == Validity::Slept,
            _ => false,
        }
    }

    /// A lease that begins now.
    pub(crate) fn lease(&self, length: Duration) -> Lease {
        Lease::begin(env::now(), (self.wall)(), length)
    }
}
