//! The lock, and what is done outside of it.

use std::sync::{Arc, PoisonError};
use tokio::sync::{Notify, Semaphore};

use super::calls::Calls;
use super::encoder::Encoder;
use super::lane::{self, Mover};
use super::masters::Masters;
use super::model::{Out, Phase};
use super::packing;
use super::route_watch;
use super::state::State;
use crate::env;
use crate::sync::Mutex;

/// What the tasks of a producer share.
pub(super) struct Core<B> {
    pub(super) brokers: B,
    pub(super) calls: Arc<dyn Calls>,
    pub(super) encoder: Encoder,
    /// Real name.
    pub(super) group: String,
    pub(super) state: Mutex<State>,
    /// Leave to compress a large body.
    pub(super) packing: Arc<Semaphore>,
    /// See [`Out::tick`].
    pub(super) tick: Notify,
    /// Something has ended; `close` looks whether it was the last.
    pub(super) ended: Notify,
    /// There is room again, or nobody needs any.
    pub(super) room: Notify,
}

impl<B: Masters> Core<B> {
    pub(super) fn new(brokers: B, calls: Arc<dyn Calls>, encoder: Encoder, group: String, state: State) -> Arc<Self> {
        Arc::new(Self {
            brokers,
            calls,
            encoder,
            group,
            state: Mutex::new(state),
            packing: Arc::new(Semaphore::new(packing::AT_ONCE)),
            tick: Notify::new(),
            ended: Notify::new(),
            room: Notify::new(),
        })
    }

    /// Does something under the lock, and after it what follows from it.
    pub(super) fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut State, &mut Out) -> R) -> R {
        self.moved(Mover::Ours, act)
    }

    /// The same for a caller, whose thread may write what can be written at once.
    pub(super) fn called<R>(self: &Arc<Self>, act: impl FnOnce(&mut State, &mut Out) -> R) -> R {
        self.moved(Mover::Caller, act)
    }

    fn moved<R>(self: &Arc<Self>, mover: Mover, act: impl FnOnce(&mut State, &mut Out) -> R) -> R {
        let mut out = Out::default();
        let (result, closing, room, rings) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut state, &mut out);
            // Under the lock, so that they are heard in the order in which they were decided.
            let settled = std::mem::take(&mut out.settled);
            let rings = !settled.is_empty();
            if rings {
                self.calls.settled(settled);
            }
            (result, state.phase == Phase::Closing, state.gives_room(), rings)
        };
        if rings {
            self.calls.ring();
        }
        self.follow(out, mover);
        if room {
            self.room.notify_waiters();
        }
        if closing {
            self.ended.notify_waiters();
        }
        result
    }

    fn follow(self: &Arc<Self>, out: Out, mover: Mover) {
        match out.starts[..] {
            [] => {}
            [lane] if mover == Mover::Caller => lane::go_on(self, lane, mover),
            _ => lane::go_on_later(self, out.starts),
        }
        if out.tick {
            self.tick.notify_one();
        }
        for topic in out.refresh {
            self.brokers.refresh_route(&topic);
        }
        for topic in out.asks {
            self.calls.undecided(&topic);
        }
        for warning in out.warnings {
            self.brokers.warn(warning);
        }
    }

    /// Whether nothing is left that `close` would have to wait for.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.load.messages == 0
    }

    /// Follows the route of a topic from now on, unless that is done.
    pub(super) fn follow_topic(self: &Arc<Self>, name: &str) {
        let (topic, is_new) = self.with(|state, _| state.topic(name, || self.brokers.wrap(name)));
        if is_new {
            let real = self.with(|state, _| Arc::clone(&state.topics[topic].real));
            let route = self.brokers.watch_route(&real);
            let seen = route.borrow().clone();
            self.with(|state, out| state.look(topic, seen.route.as_ref(), seen.error, out));
            env::spawn(route_watch::run(Arc::clone(self), topic, route));
        }
    }
}
