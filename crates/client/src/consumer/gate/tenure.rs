//! The lock on the queue, as the gate knows it: what the keepers of locks tell.

use std::time::Duration;

use super::{Gate, Running, State};
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
        self.grant(&mut self.lock(), lease);
        self.changed.notify_one();
    }

    fn grant(&self, state: &mut State, lease: Lease) {
        match state.tenure {
            Tenure::Held(_) | Tenure::Regained(_) => self.record.renewed(lease.since()),
            Tenure::Absent | Tenure::Lost | Tenure::Doubtful(_) => self.record.lock(lease.since()),
        }
        state.tenure = match state.tenure {
            Tenure::Absent | Tenure::Lost | Tenure::Held(_) => Tenure::Held(lease),
            Tenure::Doubtful(_) | Tenure::Regained(_) => Tenure::Regained(lease),
        };
    }

    /// A renewal was granted; nothing if the lock was given up meanwhile, by JavaScript's thread too. One that was asked for when the lease
    /// before was over already bridges nothing: somebody else may have had the queue in between, and the process may just have been stopped.
    pub(crate) fn renewed(&self, lease: Lease) {
        let mut state = self.lock();
        match state.tenure {
            Tenure::Absent | Tenure::Lost => return,
            Tenure::Held(before) | Tenure::Doubtful(before) | Tenure::Regained(before) if lease.follows(&before) => {
                self.grant(&mut state, lease);
            }
            Tenure::Held(_) | Tenure::Doubtful(_) | Tenure::Regained(_) => self.give_up(&mut state, "late"),
        }
        drop(state);
        self.changed.notify_one();
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
        let mut state = self.lock();
        if !matches!(state.tenure, Tenure::Absent) {
            self.give_up(&mut state, "refused");
            drop(state);
            self.changed.notify_one();
        }
    }

    /// The lock is lost: nothing starts, and what runs no longer counts. Returns what runs. `why` is a word for histories.
    pub(crate) fn lose(&self, why: &str) -> Vec<Running> {
        let mut state = self.lock();
        self.give_up(&mut state, why);
        state.runs.running().collect()
    }

    fn give_up(&self, state: &mut State, why: &str) {
        if !matches!(state.tenure, Tenure::Absent | Tenure::Lost) {
            self.record.lost(why);
        }
        state.tenure = Tenure::Lost;
        state.void();
    }

    /// The program has ended: what runs never ends by itself, and is left.
    pub(crate) fn abandon(&self) {
        let state = self.lock();
        if !state.direct {
            for running in state.runs.running() {
                self.record.end(running.offset, None, false);
            }
        }
    }

    /// The lock is given back.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.tenure = Tenure::Absent;
        state.void();
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
