//! The lock, and what is done outside of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

use super::brokers::Brokers;
use super::calls::Calls;
use super::entities::{Out, Phase, Settlement};
use super::lane;
use super::message::Press;
use super::options::Batching;
use super::state::State;
use super::watching;
use crate::env;

/// What the tasks of a producer share.
pub(super) struct Core<B> {
    pub(super) brokers: B,
    pub(super) calls: Arc<dyn Calls>,
    pub(super) press: Press,
    /// Real name.
    pub(super) group: String,
    pub(super) batching: Batching,
    pub(super) state: Mutex<State>,
    /// Settlements that have been decided and not delivered yet.
    delivering: AtomicUsize,
    /// Something has ended; `close` looks whether it was the last.
    pub(super) ended: Notify,
}

impl<B: Brokers> Core<B> {
    pub(super) fn new(brokers: B, calls: Arc<dyn Calls>, press: Press, group: String, state: State) -> Arc<Self> {
        Arc::new(Self {
            brokers,
            calls,
            press,
            group,
            batching: state.options.batching,
            state: Mutex::new(state),
            delivering: AtomicUsize::new(0),
            ended: Notify::new(),
        })
    }

    /// Does something under the lock, and after it what follows from it.
    pub(super) fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut State, &mut Out) -> R) -> R {
        let mut out = Out::default();
        let (result, closing) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut state, &mut out);
            self.delivering.fetch_add(out.settled.len(), Ordering::Relaxed);
            (result, state.phase == Phase::Closing)
        };
        self.follow(out);
        if closing {
            self.ended.notify_waiters();
        }
        result
    }

    fn follow(self: &Arc<Self>, out: Out) {
        for lane in out.starts {
            env::spawn(lane::run(Arc::clone(self), lane));
        }
        let settled = out.settled.len();
        for settlement in out.settled {
            match settlement {
                Settlement::Stored(run) => self.calls.stored(run),
                Settlement::Batch { slot, receipts } => self.calls.settle_batch(slot, Ok(receipts), None),
                Settlement::Failed { slot, error, failure, is_batch: false } => self.calls.failed(slot, error, failure),
                Settlement::Failed { slot, error, failure, is_batch: true } => {
                    self.calls.settle_batch(slot, Err(error), failure);
                }
            }
        }
        for lane in out.rooms {
            self.calls.room(lane);
        }
        for topic in out.refresh {
            self.brokers.refresh_route(&topic);
        }
        for warning in out.warnings {
            self.brokers.warn(warning);
        }
        self.delivering.fetch_sub(settled, Ordering::Relaxed);
    }

    /// Whether nothing is left that `close` would have to wait for.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.load.messages == 0 && state.refused == 0 && self.delivering.load(Ordering::Relaxed) == 0
    }

    /// Follows the route of a topic from now on, unless that is done.
    pub(super) fn follow_topic(self: &Arc<Self>, name: &str) {
        let (topic, is_new) = self.with(|state, _| state.topic(name, || self.brokers.wrap(name)));
        if is_new {
            let real = self.with(|state, _| Arc::clone(&state.topics[topic].real));
            let route = self.brokers.watch_route(&real);
            let seen = route.borrow().clone();
            self.with(|state, out| state.look(topic, seen.route.as_ref(), seen.error, out));
            env::spawn(watching::run(Arc::clone(self), topic, route));
        }
    }
}
