//! The task of a busy lane: one request after the other, never two.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::answers::{Verdict, verdict};
use super::core::Core;
use super::flight::{Flight, Wire};
use super::landing::Next;
use super::masters::{Masters, Unsent};
use super::model::{Phase, Stage};
use super::options::Batching;
use crate::env::{self, Backoff, Instant};
use crate::error::{ClientError, Code};

/// Deadlines that pass close together are looked at together.
const LOOK: Duration = Duration::from_millis(10);

/// How waiting for something has ended.
enum Waited<T> {
    /// It has happened.
    Ended(T),
    /// There is nothing left to wait for: all was settled, or has moved.
    Over,
    /// The lane goes to another queue now, with all it has.
    Elsewhere,
}

/// Sends what is in a lane until it is empty. A panic fails what is there, and the lane begins anew.
pub(super) async fn run<B: Masters>(core: Arc<Core<B>>, lane: u32) {
    while let Err(panic) = env::caught(work(&core, lane)).await {
        core.with(|state, out| state.lane_panicked(lane, &panic, out));
    }
}

async fn work<B: Masters>(core: &Arc<Core<B>>, lane: u32) {
    let wake = core.with(|state, _| Arc::clone(&state.lanes[lane].wake));
    let task = Task { core, lane, wake: &wake };
    loop {
        task.gather().await;
        let permit = task.permit(&mut Flight::default()).await;
        let Some(flight) = core.with(|state, out| state.compose(lane, env::now(), out)) else { return };
        task.fly(flight, permit).await;
    }
}

struct Task<'a, B> {
    core: &'a Arc<Core<B>>,
    lane: u32,
    wake: &'a Notify,
}

impl<B: Masters> Task<'_, B> {
    /// One request, from its first attempt to its end.
    async fn fly(&self, mut flight: Flight, mut permit: Option<OwnedSemaphorePermit>) {
        let (first, most) = self.core.brokers.timing().send_backoff;
        let mut backoff = Backoff::new(first, most);
        let mut wire = Err(ClientError::new(Code::Internal, "a request that was never encoded"));
        let mut again = false;
        loop {
            let room = self.room(&mut flight).await;
            let goes_on = self.core.with(|state, _| {
                state.prune(&mut flight);
                state.set_stage(&flight, Stage::Flying);
                !flight.ids.is_empty()
            });
            let (true, Some(room)) = (goes_on, room) else { return };
            if std::mem::take(&mut flight.is_stale) {
                wire = flight.wire(&self.core.group);
            }
            let request = match &wire {
                Ok(request) => request,
                Err(error) => {
                    let defect = Verdict::Refused { error: error.clone(), certain: true, wired: false };
                    self.core.with(|state, out| state.conclude(self.lane, &mut flight, defect, out));
                    return;
                }
            };
            let answer = match room {
                Ok(room) => self.attempt(&mut flight, room, request, std::mem::replace(&mut again, true)).await,
                Err(unsent) => Some(Err(unsent)),
            };
            let Some(answer) = answer else { return };
            drop(permit.take());
            let verdict = verdict(answer, request.is_batch());
            let next = self.core.with(|state, out| state.conclude(self.lane, &mut flight, verdict, out));
            if next == Next::Done || !self.rest(&mut flight, backoff.next()).await {
                return;
            }
            permit = self.permit(&mut flight).await;
        }
    }

    /// Leave to write to the queue's broker, once there is a connection with room: until then nothing of the request is on the wire. None
    /// when nothing is left of the request.
    async fn room(&self, flight: &mut Flight) -> Option<Result<B::Room, Unsent>> {
        loop {
            let broker = flight.queue.as_ref().map_or("", |queue| queue.broker_name.as_str());
            let Some(address) = self.core.brokers.master(broker) else {
                let text = format!("the broker {broker} has no master at the moment");
                return Some(Err(Unsent::NotSent(ClientError::new(Code::NoMaster, text))));
            };
            if let Some(room) = self.core.brokers.try_room(&address) {
                return Some(Ok(room));
            }
            let trouble = self.core.brokers.trouble(&address);
            self.core.with(|state, _| {
                state.set_stage(flight, Stage::Resting);
                let last = &mut state.lanes[self.lane].error;
                *last = last.take().or(trouble);
            });
            let timeout = self.core.brokers.timing().request_timeout;
            match self.during(flight, false, self.core.brokers.room(&address, timeout)).await {
                Waited::Ended(room) => return Some(room),
                Waited::Elsewhere => {}
                Waited::Over => return None,
            }
        }
    }

    /// One attempt; none when the producer was closed meanwhile.
    async fn attempt(
        &self,
        flight: &mut Flight,
        room: B::Room,
        wire: &Wire,
        again: bool,
    ) -> Option<Result<crate::protocol::SendReceipt, Unsent>> {
        self.core.with(|state, _| {
            state.requests += 1;
            state.retries += u64::from(again);
        });
        let timeout = self.core.brokers.timing().request_timeout;
        let waited = match wire {
            Wire::One(request) => self.during(flight, true, self.core.brokers.send(room, request, timeout)).await,
            Wire::Batch(request) => {
                self.during(flight, true, self.core.brokers.send_batch(room, request, timeout)).await
            }
        };
        match waited {
            Waited::Ended(answer) => Some(answer),
            Waited::Over | Waited::Elsewhere => None,
        }
    }

    /// Waits, a moment at most, until those whose sends were just stored have sent again.
    async fn gather(&self) {
        let Some(longest) = self.core.with(|state, _| state.gathers(self.lane)) else { return };
        let gathered = async {
            loop {
                self.wake.notified().await;
                if self.core.with(|state, _| state.has_come(self.lane)) {
                    return;
                }
            }
        };
        // Whoever is not back by now is not waited for.
        let _ = tokio::time::timeout(longest, gathered).await;
        self.core.with(|state, _| state.lanes[self.lane].gathering = None);
    }

    /// Waits before another attempt. False when there is none to make.
    async fn rest(&self, flight: &mut Flight, delay: Duration) -> bool {
        !matches!(self.during(flight, false, tokio::time::sleep(delay)).await, Waited::Over)
    }

    /// Leave for one more request to the lane's broker, where lanes are keys.
    async fn permit(&self, flight: &mut Flight) -> Option<OwnedSemaphorePermit> {
        if self.core.batching != Batching::Key {
            return None;
        }
        loop {
            let requests = self.core.with(|state, _| {
                state.broker_of(self.lane).map(|broker| Arc::clone(&state.brokers[broker as usize].requests))
            })?;
            match self.during(flight, false, requests.acquire_owned()).await {
                Waited::Ended(permit) => return permit.ok(),
                Waited::Elsewhere => {}
                Waited::Over => return None,
            }
        }
    }

    /// Waits for `doing`, and looks after the deadlines of the lane meanwhile. `on_wire`: `doing` is an attempt, which has to end
    /// by itself, whatever becomes of its messages.
    async fn during<T>(&self, flight: &mut Flight, on_wire: bool, doing: impl Future<Output = T>) -> Waited<T> {
        tokio::pin!(doing);
        let mut not_before = None;
        loop {
            let due = self.arm(flight, not_before);
            tokio::select! {
                biased;
                done = &mut doing => return Waited::Ended(done),
                () = self.wake.notified() => {}
                () = until(due) => not_before = Some(env::now() + LOOK),
            }
            let instead = self.core.with(|state, out| {
                if state.phase == Phase::Closed {
                    state.prune(flight);
                    return Some(Waited::Over);
                }
                let had_any = !flight.ids.is_empty();
                state.expire(self.lane, flight, env::now(), out);
                if on_wire {
                    return None;
                }
                state.prune(flight);
                let vanished = state.has_vanished(self.lane);
                if vanished && state.leave_queue(self.lane, flight, out) || flight.ids.is_empty() && had_any {
                    return Some(Waited::Over);
                }
                (vanished && !state.has_vanished(self.lane)).then_some(Waited::Elsewhere)
            });
            if let Some(instead) = instead {
                return instead;
            }
        }
    }

    /// Tells the lane when its task will look at deadlines next.
    fn arm(&self, flight: &Flight, not_before: Option<Instant>) -> Option<Instant> {
        self.core.with(|state, _| {
            let lane = &mut state.lanes[self.lane];
            let due = [flight.earliest, lane.earliest].into_iter().flatten().min();
            lane.armed = due;
            due.map(|due| not_before.map_or(due, |not_before| due.max(not_before)))
        })
    }
}

/// Sleeps until then; for ever without a then.
pub(super) async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}
