//! One request on a connection: its way out, its time, its answer.
//!
//! The time of a request begins when its last byte has left; before that it is not the peer's time but the line's. It stands still
//! while a large frame of the peer arrives slowly, behind which the answer has to wait. A peer is given up when nothing moves any
//! more: nothing of ours leaves, or nothing of its own comes.

use super::connection::{Connection, Shared, Waiters, pieces};
use super::outbox::{Class, Departure, Entrance, Rejected};
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::Command;
use crate::protocol::code::request;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often a request that has not left yet is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A silence must last so long to mean anything, however short the time of a request is.
const SILENCE: Duration = Duration::from_millis(100);
/// On a slow line a request may take as many times its time, and this much in any case: first to leave, and then to be answered.
const SLOW: (u32, Duration) = (10, Duration::from_secs(30));

/// Why a request got no answer.
#[derive(Clone, Debug)]
pub(crate) enum CallFailure {
    /// The frame never left.
    NotSent(ClientError),
    /// The frame left, wholly or in part; what the peer did is unknown.
    Unanswered(ClientError),
}

/// Leave to write one request to a connection that has room for it. Nothing is written until it is used.
pub struct Room {
    connection: Connection,
    entrance: Entrance,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// Takes the waiter out again when the caller stops waiting, and what was not written of its request.
struct Waiting<'a> {
    shared: &'a Shared,
    opaque: i32,
    departure: Option<Arc<Departure>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.shared.take_waiter(self.opaque).is_some()
            && let Some(departure) = &self.departure
        {
            self.shared.outbox.withdraw(departure);
        }
    }
}

/// What a look at a request that has no answer yet has shown.
enum Look {
    /// Look again then.
    Later(Instant),
    /// Its time is up.
    Over,
    /// Nothing moves any more: since when.
    Dead(Instant),
}

/// The times of one request.
struct Clock {
    began: Instant,
    timeout: Duration,
    looked: Instant,
    left_at: Option<Instant>,
}

impl Clock {
    fn new(timeout: Duration) -> Self {
        let began = env::now();
        Self { began, timeout, looked: began, left_at: None }
    }

    fn most(&self) -> Duration {
        (self.timeout * SLOW.0).max(SLOW.1)
    }

    /// When to look first: until then nothing is known to be slow.
    fn first(&self) -> Instant {
        self.began + self.timeout.min(LOOK)
    }

    fn look(&mut self, shared: &Shared, departure: &Departure) -> Look {
        let now = env::now();
        let left = shared.outbox.left();
        let looked = std::mem::replace(&mut self.looked, now);
        if self.left_at.is_none() {
            // Where it has left since the last look, it may have done so right after that.
            self.left_at = departure.taken_at(left.bytes).map(|taken_at| taken_at.max(looked));
        }
        let silence = self.timeout.max(SILENCE);
        let Some(left_at) = self.left_at else {
            let moved = self.began.max(left.at).max(shared.life.last_came());
            let most = self.began + self.most();
            return match () {
                () if now >= moved + silence => Look::Dead(moved),
                () if now >= most => Look::Over,
                () => Look::Later((now + LOOK).min(moved + silence).min(most)),
            };
        };
        let due = (left_at.max(shared.life.dragged_until()) + self.timeout).min(left_at + self.most());
        if now < due {
            return Look::Later(due);
        }
        let is_silent = !shared.life.came_since(left_at) && now >= left_at + SILENCE;
        if is_silent { Look::Dead(left_at) } else { Look::Over }
    }
}

impl Connection {
    /// Sends a request and awaits its answer, for `timeout` from the moment when its last byte has left.
    pub(crate) async fn call(&self, command: Command, class: Class, timeout: Duration) -> Result<Command, CallFailure> {
        self.ask(command, class, timeout, None).await
    }

    /// Room for a send, if there is some now.
    pub(crate) fn try_room(&self) -> Option<Room> {
        let entrance = self.shared.outbox.try_enter()?;
        Some(Room { connection: self.clone(), entrance })
    }

    /// Waits for room for a send, behind those who came before. An error means that the connection has ended, also for want of any
    /// sign of life within `timeout`.
    pub(crate) async fn room(&self, timeout: Duration) -> Result<Room, ClientError> {
        let shared = &*self.shared;
        let mut entrance = shared.outbox.enter();
        let silence = timeout.max(SILENCE);
        let began = env::now();
        let mut look_at = began + silence;
        loop {
            match tokio::time::timeout_at(look_at, &mut entrance).await {
                Ok(Ok(entrance)) => return Ok(Room { connection: self.clone(), entrance }),
                Ok(Err(_)) => return Err(shared.failure()),
                Err(_) => {
                    let moved = began.max(shared.outbox.left().at).max(shared.life.last_came());
                    if env::now() >= moved + silence {
                        self.end(shared.lifeless(moved));
                        return Err(shared.failure());
                    }
                    look_at = (moved + silence).min(env::now() + LOOK);
                }
            }
        }
    }

    async fn ask(
        &self,
        mut command: Command,
        class: Class,
        timeout: Duration,
        entrance: Option<Entrance>,
    ) -> Result<Command, CallFailure> {
        let shared = &*self.shared;
        let opaque = shared.next_opaque.fetch_add(1, Ordering::Relaxed);
        command.opaque = opaque;
        let code = command.code;
        let pieces = pieces(&command).map_err(|error| {
            let text = format!("{} cannot be encoded: {error}", request::name(code));
            CallFailure::NotSent(ClientError::new(Code::InvalidArgument, text))
        })?;
        drop(command);
        let (sender, mut answer) = oneshot::channel();
        match &mut *shared.waiters() {
            Waiters::Open(waiters) => _ = waiters.insert(opaque, sender),
            Waiters::Leaving(_) => return Err(CallFailure::NotSent(shared.left())),
            Waiters::Poisoned(reason) => return Err(CallFailure::NotSent(reason.clone())),
        }
        let mut waiting = Waiting { shared, opaque, departure: None };
        let mut clock = Clock::new(timeout);
        let departure = match shared.outbox.send(pieces, class) {
            Ok(departure) => departure,
            Err(Rejected::Failed(error)) => {
                self.end(shared.ended(&format!("failed while writing: {error}")));
                return Err(CallFailure::Unanswered(shared.failure()));
            }
            Err(Rejected::Unread(_)) => return Err(CallFailure::NotSent(shared.failure())),
        };
        drop(entrance);
        waiting.departure = Some(Arc::clone(&departure));
        let mut look_at = clock.first();
        loop {
            match tokio::time::timeout_at(look_at, &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(_)) => return Err(shared.unanswered(&departure, shared.failure())),
                Err(_) => match clock.look(shared, &departure) {
                    Look::Later(then) => look_at = then,
                    Look::Over => return Err(shared.late(&departure, &clock, code)),
                    Look::Dead(since) => {
                        self.end(shared.lifeless(since));
                        return Err(shared.late(&departure, &clock, code));
                    }
                },
            }
        }
    }
}

impl Room {
    /// Sends a request and awaits its answer, as [`Connection::call`] does.
    pub(crate) async fn call(self, command: Command, timeout: Duration) -> Result<Command, CallFailure> {
        self.connection.ask(command, Class::Bulk, timeout, Some(self.entrance)).await
    }

    /// Where the request will go.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Shared {
    fn lifeless(&self, since: Instant) -> ClientError {
        self.ended(&format!("gave no sign of life for {} ms", env::now().duration_since(since).as_millis()))
    }

    /// A request fails for this reason: what is not written by now never will be.
    fn unanswered(&self, departure: &Arc<Departure>, reason: ClientError) -> CallFailure {
        if self.outbox.withdraw(departure) { CallFailure::NotSent(reason) } else { CallFailure::Unanswered(reason) }
    }

    fn late(&self, departure: &Arc<Departure>, clock: &Clock, code: i32) -> CallFailure {
        let (address, name) = (&self.address, request::name(code));
        let waited = |since: Instant| env::now().duration_since(since).as_millis();
        let text = match clock.left_at {
            Some(left_at) => format!("{address} gave no answer to {name} within {} ms", waited(left_at)),
            None => format!(
                "{name} could not leave for {address} within {} ms: the way there takes no more, or too little",
                waited(clock.began)
            ),
        };
        self.unanswered(departure, ClientError::new(Code::Timeout, text).with_address(address))
    }
}
