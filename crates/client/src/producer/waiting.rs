//! The task of a lane whose request has to wait before it can be written: for a rest after a failure, for a body to be
//! compressed, for leave, for a connection, for room.
//! It looks after the deadlines of the lane meanwhile.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::core::Core;
use super::flight::Flight;
use super::lane::{self, Mover, Ready};
use super::masters::{Masters, Unsent};
use super::model::{Course, Phase, Stage};
use super::packing;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::MessageQueue;

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

/// Lets a lane wait, `rest` first. A flight without messages is composed once there is leave and room.
pub(super) fn begin<B: Masters>(core: &Arc<Core<B>>, lane: u32, flight: Flight, rest: Option<Duration>) {
    core.with(|state, _| state.lanes[lane].course = Course::Waiting);
    let core = Arc::clone(core);
    env::spawn(async move {
        if let Err(panic) = env::caught(wait(&core, lane, flight, rest)).await {
            lane::begin_anew(&core, lane, &panic);
        }
    });
}

async fn wait<B: Masters>(core: &Arc<Core<B>>, lane: u32, mut flight: Flight, rest: Option<Duration>) {
    let wake = core.with(|state, _| Arc::clone(&state.lanes[lane].wake));
    let waits = Waits { core, lane, wake: &wake };
    let is_new = flight.ids.is_empty();
    let ready = waits.ready(&mut flight, rest).await;
    let composed = core.with(|state, out| {
        if is_new && ready.is_some() {
            return state.compose(lane, env::now(), out).ok_or(());
        }
        state.prune(&mut flight);
        if matches!(ready, Some(Ok(_))) {
            // On its way from here on: nobody may be told that it was not stored.
            state.set_stage(&flight, Stage::Flying);
        }
        Ok(std::mem::take(&mut flight))
    });
    match (composed, ready) {
        // It is idle, and no longer ours.
        (Err(()), _) => {}
        (Ok(flight), Some(Ok(ready))) if !flight.ids.is_empty() => lane::launch(core, lane, flight, ready),
        (Ok(flight), Some(Err(unsent))) if !flight.ids.is_empty() => {
            lane::unsent(core, lane, flight, unsent);
        }
        _ => lane::go_on(core, lane, Mover::Ours),
    }
}

struct Waits<'a, B> {
    core: &'a Arc<Core<B>>,
    lane: u32,
    wake: &'a Notify,
}

impl<B: Masters> Waits<'_, B> {
    /// All that a request needs; none when nothing is left of it.
    async fn ready(&self, flight: &mut Flight, rest: Option<Duration>) -> Option<Result<Ready<B::Room>, Unsent>> {
        if let Some(delay) = rest
            && matches!(self.during(flight, tokio::time::sleep(delay)).await, Waited::Over)
        {
            return None;
        }
        self.compressed(flight).await?;
        let permit = self.permit(flight).await;
        Some(self.room(flight).await?.map(|(queue, room)| Ready { queue, room, permit }))
    }

    /// Compresses what the request carries, where it is to be; none when nothing is left of it.
    async fn compressed(&self, flight: &mut Flight) -> Option<()> {
        while let Some((compression, body)) = flight.compressible() {
            match self.during(flight, packing::compress(&self.core.packing, compression, body)).await {
                Waited::Ended(body) => flight.take_compressed(body),
                Waited::Elsewhere => {}
                Waited::Over => return None,
            }
        }
        Some(())
    }

    /// Leave to write to the queue's broker, once there is a connection with room: until then nothing of the request is on the wire. None
    /// when nothing is left of the request.
    async fn room(&self, flight: &mut Flight) -> Option<Result<(Option<Arc<MessageQueue>>, B::Room), Unsent>> {
        loop {
            let queue = flight.queue.clone().or_else(|| self.core.with(|state, _| state.queue_name(self.lane)));
            let broker = lane::broker_name(queue.as_ref());
            let Some(address) = self.core.brokers.master(broker) else {
                let text = format!("the broker {broker} has no master at the moment");
                return Some(Err(Unsent::NotSent(ClientError::new(Code::NoMaster, text))));
            };
            if let Some(room) = self.core.brokers.try_room(&address) {
                return Some(Ok((queue, room)));
            }
            let trouble = self.core.brokers.trouble(&address);
            self.core.with(|state, _| {
                state.set_stage(flight, Stage::Resting);
                let last = &mut state.lanes[self.lane].error;
                *last = last.take().or(trouble);
            });
            let timeout = self.core.brokers.timing().request_timeout;
            match self.during(flight, self.core.brokers.room(&address, timeout)).await {
                Waited::Ended(room) => return Some(room.map(|room| (queue, room))),
                Waited::Elsewhere => {}
                Waited::Over => return None,
            }
        }
    }

    /// Leave for one more request to the lane's broker, where lanes are keys.
    async fn permit(&self, flight: &mut Flight) -> Option<OwnedSemaphorePermit> {
        loop {
            let requests = self.core.with(|state, _| state.requests_of(self.lane))?;
            match self.during(flight, requests.acquire_owned()).await {
                Waited::Ended(permit) => return permit.ok(),
                Waited::Elsewhere => {}
                Waited::Over => return None,
            }
        }
    }

    /// Waits for `doing`, and looks after the deadlines of the lane meanwhile.
    async fn during<T>(&self, flight: &mut Flight, doing: impl Future<Output = T>) -> Waited<T> {
        tokio::pin!(doing);
        let mut not_before = None;
        loop {
            let due = self.arm(flight, not_before);
            tokio::select! {
                biased;
                done = &mut doing => return Waited::Ended(done),
                () = self.wake.notified() => {}
                () = env::until(due) => not_before = Some(env::now() + LOOK),
            }
            let instead = self.core.with(|state, out| {
                if state.phase == Phase::Closed {
                    state.prune(flight);
                    return Some(Waited::Over);
                }
                let had_any = !flight.ids.is_empty();
                state.expire(self.lane, flight, env::now(), out);
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
            let due = state.first_deadline(self.lane, flight);
            state.lanes[self.lane].armed = due;
            due.map(|due| not_before.map_or(due, |not_before| due.max(not_before)))
        })
    }
}
