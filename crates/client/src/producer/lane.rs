//! A busy lane: one request after the other, never two. What happens moves it on (a send, an answer, a tick), on the thread where that
//! happens. Only a request that has to wait before it can be written has a task (`waiting`).

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answers::{Verdict, verdict};
use super::core::Core;
use super::flight::{Flight, Flying};
use super::masters::{Masters, Unsent};
use super::model::{Course, Out, Phase, Stage};
use super::options::Batching;
use super::outcomes::Next;
use super::state::State;
use super::waiting;
use crate::env::{self, Instant};
use crate::error::ClientError;
use crate::protocol::{MessageQueue, SendReceipt};

/// Who moves a lane on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mover {
    /// The thread of the caller, which has other things to do.
    Caller,
    /// One of ours.
    Ours,
}

/// All that a request to a queue needs to be written.
pub(super) struct Ready<R> {
    pub(super) queue: Option<Arc<MessageQueue>>,
    pub(super) room: R,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What a lane has to do next.
struct Errand {
    /// Where its next request goes.
    queue: Option<Arc<MessageQueue>>,
    /// What bounds the requests of its broker, if anything does.
    requests: Option<Arc<Semaphore>>,
}

/// What follows from the end of an attempt.
enum After {
    /// Nothing for now.
    Nothing,
    /// The lane's next request.
    Next(Errand),
    /// The same again, after a rest.
    Again,
}

/// Composes a lane's next request, if there is anything to send, and writes it as soon as it can be.
pub(super) fn go_on<B: Masters>(core: &Arc<Core<B>>, lane: u32, mover: Mover) {
    guarded(core, lane, || {
        if let Some(errand) = core.with(|state, out| state.errand(lane, env::now(), out)) {
            run(core, lane, errand, mover);
        }
    });
}

/// The same of several, on our own thread.
pub(super) fn go_on_later<B: Masters>(core: &Arc<Core<B>>, lanes: Vec<u32>) {
    let core = Arc::clone(core);
    env::spawn(async move {
        for lane in lanes {
            go_on(&core, lane, Mover::Ours);
        }
    });
}

fn run<B: Masters>(core: &Arc<Core<B>>, lane: u32, errand: Errand, mover: Mover) {
    let address = core.brokers.master(broker_name(errand.queue.as_ref()));
    let room = address.as_ref().and_then(|address| core.brokers.try_room(address));
    if mover == Mover::Caller && !room.as_ref().is_some_and(|room| core.brokers.is_idle(room)) {
        // Others are on their way there: encoding and writing can be left to our thread.
        return go_on_later(core, vec![lane]);
    }
    let Some(room) = room else {
        let is_connected = address.is_some_and(|address| core.brokers.is_connected(&address));
        // What waits for room waits as it is, and more may join it.
        let composed =
            if is_connected { Some(Flight::default()) } else { core.with(|s, out| s.compose_to_wait(lane, out)) };
        if let Some(flight) = composed {
            waiting::begin(core, lane, flight, None);
        }
        return;
    };
    match errand.requests.map(Semaphore::try_acquire_owned).transpose() {
        Ok(permit) => depart(core, lane, Ready { queue: errand.queue, room, permit }),
        Err(_) => waiting::begin(core, lane, Flight::default(), None),
    }
}

/// Writes a lane's next request.
fn depart<B: Masters>(core: &Arc<Core<B>>, lane: u32, ready: Ready<B::Room>) {
    if let Some(flight) = core.with(|state, out| state.compose(lane, env::now(), out)) {
        launch(core, lane, flight, ready);
    }
}

/// Writes a request of a lane.
pub(super) fn launch<B: Masters>(core: &Arc<Core<B>>, lane: u32, mut flight: Flight, ready: Ready<B::Room>) {
    let Ready { queue, room, permit } = ready;
    if broker_name(queue.as_ref()) != broker_name(flight.queue.as_ref()) {
        // The lane has moved in this moment.
        core.with(|state, _| state.set_stage(&flight, Stage::Resting));
        return waiting::begin(core, lane, flight, None);
    }
    if flight.compressible().is_some() {
        core.with(|state, _| state.set_stage(&flight, Stage::Resting));
        return waiting::begin(core, lane, flight, None);
    }
    let wire = match flight.encoded(&core.group) {
        Ok(wire) => wire,
        Err(error) => return defect(core, lane, flight, &error),
    };
    let Some(number) = core.with(|state, out| state.take_off(lane, flight, permit, out)) else {
        return go_on(core, lane, Mover::Ours);
    };
    let timeout = core.brokers.timing().request_timeout;
    let of = Arc::clone(core);
    core.brokers.post(room, &wire, timeout, move |answer| answered(&of, lane, number, answer));
}

pub(super) fn broker_name(queue: Option<&Arc<MessageQueue>>) -> &str {
    queue.map_or("", |queue| queue.broker_name.as_str())
}

/// A request that cannot be made at all.
fn defect<B: Masters>(core: &Arc<Core<B>>, lane: u32, mut flight: Flight, error: &ClientError) {
    core.with(|state, out| {
        state.set_stage(&flight, Stage::Resting);
        state.refused(lane, &mut flight, error, out);
    });
    go_on_later(core, vec![lane]);
}

/// An attempt has ended.
fn answered<B: Masters>(core: &Arc<Core<B>>, lane: u32, number: u64, answer: Result<SendReceipt, Unsent>) {
    guarded(core, lane, || {
        let ended = core.with(|state, out| {
            let Flying { mut flight, permit, .. } = state.landed(lane, number)?;
            let verdict = verdict(answer, flight.is_batch());
            state.note_answer(number, &verdict);
            if matches!(verdict, Verdict::NotStored { wired: false, .. } | Verdict::Refused { wired: false, .. }) {
                state.count_attempt(&flight, -1);
            }
            let after = state.after(lane, &mut flight, verdict, out);
            Some((flight, permit, after))
        });
        let Some((flight, permit, after)) = ended else { return };
        drop(permit);
        follow(core, lane, flight, after);
    });
}

/// A request was not even attempted.
pub(super) fn unsent<B: Masters>(core: &Arc<Core<B>>, lane: u32, mut flight: Flight, reason: Unsent) {
    let verdict = verdict(Err(reason), flight.is_batch());
    let after = core.with(|state, out| state.after(lane, &mut flight, verdict, out));
    follow(core, lane, flight, after);
}

fn follow<B: Masters>(core: &Arc<Core<B>>, lane: u32, mut flight: Flight, after: After) {
    match after {
        After::Nothing => {}
        After::Next(errand) => run(core, lane, errand, Mover::Ours),
        After::Again => {
            let (first, most) = core.brokers.timing().send_backoff;
            let delay = flight.backoff.get_or_insert_with(|| env::Backoff::new(first, most)).next();
            waiting::begin(core, lane, flight, Some(delay));
        }
    }
}

/// Moves a lane; a panic fails what is there, and the lane begins anew.
fn guarded<B: Masters>(core: &Arc<Core<B>>, lane: u32, moves: impl FnOnce()) {
    if let Err(panic) = env::caught_now(moves) {
        begin_anew(core, lane, &panic);
    }
}

/// A lane that nobody moves any more goes on without what it had.
pub(super) fn begin_anew<B: Masters>(core: &Arc<Core<B>>, lane: u32, panic: &str) {
    // A defect in telling of it must not be the end of the lane.
    let _ = env::caught_now(|| core.with(|state, out| state.lane_panicked(lane, panic, out)));
    go_on_later(core, vec![lane]);
}

impl State {
    /// What becomes of a request with this answer, and what its lane does then.
    fn after(&mut self, lane: u32, flight: &mut Flight, verdict: Verdict, out: &mut Out) -> After {
        match self.conclude(lane, flight, verdict, out) {
            Next::Again => After::Again,
            Next::Done => self.errand(lane, env::now(), out).map_or(After::Nothing, After::Next),
        }
    }

    /// What a lane that nobody else moves has to do next; none when it waits for its callers, or has become idle.
    fn errand(&mut self, lane: u32, now: Instant, out: &mut Out) -> Option<Errand> {
        self.lanes.get(lane)?;
        if self.gathers(lane, now, out) {
            return None;
        }
        self.first_waiting(lane, now, out)?;
        Some(Errand { queue: self.queue_name(lane), requests: self.requests_of(lane) })
    }

    /// A request for which there is no connection: nothing of it is on the wire.
    fn compose_to_wait(&mut self, lane: u32, out: &mut Out) -> Option<Flight> {
        let flight = self.compose(lane, env::now(), out)?;
        self.set_stage(&flight, Stage::Resting);
        Some(flight)
    }

    /// A lane has nothing to do.
    pub(super) fn rest_lane(&mut self, lane: u32) {
        let it = &mut self.lanes[lane];
        it.course = Course::Idle;
        it.earliest = None;
        it.armed = None;
        it.error = None;
        self.tidy_lane(lane);
    }

    /// A lane's request is on the wire, and its deadlines are looked at by the tick.
    pub(super) fn set_flying(&mut self, lane: u32, flying: Box<Flying>, out: &mut Out) {
        let due = self.first_deadline(lane, &flying.flight);
        self.lanes[lane].course = Course::Flying(flying);
        if let Some(due) = due {
            self.due(lane, due, out);
        }
    }

    /// The first deadline of what a lane has, in this request and behind it.
    pub(super) fn first_deadline(&self, lane: u32, flight: &Flight) -> Option<Instant> {
        [flight.earliest, self.lanes[lane].earliest].into_iter().flatten().min()
    }

    /// What bounds the requests of a lane's broker, where lanes are keys.
    pub(super) fn requests_of(&self, lane: u32) -> Option<Arc<Semaphore>> {
        let broker = self.broker_of(lane).filter(|_| self.options.batching == Batching::Key)?;
        Some(Arc::clone(&self.brokers[broker as usize].requests))
    }

    /// A request is about to be written, whose messages are [flying](Stage::Flying); the number of the attempt. None when nothing is left of it.
    fn take_off(
        &mut self,
        lane: u32,
        mut flight: Flight,
        permit: Option<OwnedSemaphorePermit>,
        out: &mut Out,
    ) -> Option<u64> {
        if self.phase == Phase::Closed {
            self.prune(&mut flight);
            return None;
        }
        self.requests += 1;
        self.count_attempt(&flight, 1);
        self.retries += u64::from(std::mem::replace(&mut flight.was_sent, true));
        let number = self.requests;
        self.note_wire(number, &flight);
        self.set_flying(lane, Box::new(Flying { flight, number, permit }), out);
        Some(number)
    }

    /// One more request carries these messages; -1: it was not written after all.
    fn count_attempt(&mut self, flight: &Flight, by: i32) {
        for &id in &flight.ids {
            let attempts = &mut self.pending[id].attempts;
            *attempts = attempts.saturating_add_signed(by);
        }
    }

    /// The attempt with this number has ended; none when nobody knows of it any more.
    fn landed(&mut self, lane: u32, number: u64) -> Option<Flying> {
        let course = &mut self.lanes.get_mut(lane)?.course;
        if !matches!(course, Course::Flying(flying) if flying.number == number) {
            return None;
        }
        match std::mem::replace(course, Course::Moving) {
            Course::Flying(flying) => Some(*flying),
            _ => None,
        }
    }
}
