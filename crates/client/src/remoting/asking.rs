//! One request on a connection: its way out, and how it ends.

use super::connection::{Connection, Inner, Waiters, pieces};
use super::outbox::{Class, Departure, Entrance, Rejected};
use super::waiters::{Answered, CallFailure, Clock, LOOK, SILENCE, Waiter};
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::Command;
use crate::protocol::code::request;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

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
    inner: &'a Inner,
    opaque: i32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.inner.take_waiter(self.opaque) {
            self.inner.outbox.withdraw(&waiter.departure);
        }
    }
}

impl Connection {
    /// Sends a request and awaits its answer, for `timeout` from the moment when its last byte has left.
    pub(crate) async fn call(&self, command: Command, class: Class, timeout: Duration) -> Result<Command, CallFailure> {
        let (sender, answer) = oneshot::channel();
        let answered = Box::new(move |result| {
            // Whoever asked may have stopped waiting.
            let _ = sender.send(result);
        });
        let _waiting = Waiting { inner: &self.inner, opaque: self.post(command, class, timeout, answered) };
        answer.await.unwrap_or_else(|_| Err(CallFailure::Unanswered(self.inner.failure())))
    }

    /// Room for a send, if there is some now.
    pub(crate) fn try_room(&self) -> Option<Room> {
        let entrance = self.inner.outbox.try_enter()?;
        Some(Room { connection: self.clone(), entrance })
    }

    /// Waits for room for a send, behind those who came before. An error means that the connection has ended, also for want of any
    /// sign of life within `timeout`.
    pub(crate) async fn room(&self, timeout: Duration) -> Result<Room, ClientError> {
        let inner = &*self.inner;
        let mut entrance = inner.outbox.enter();
        let silence = timeout.max(SILENCE);
        let began = env::now();
        let mut look_at = began + silence;
        loop {
            match tokio::time::timeout_at(look_at, &mut entrance).await {
                Ok(Ok(entrance)) => return Ok(Room { connection: self.clone(), entrance }),
                Ok(Err(_)) => return Err(inner.failure()),
                Err(_) => {
                    let moved = began.max(inner.outbox.left().at).max(inner.life.last_came());
                    if env::now() >= moved + silence {
                        self.end(&inner.lifeless(moved));
                        return Err(inner.failure());
                    }
                    look_at = (moved + silence).min(env::now() + LOOK);
                }
            }
        }
    }

    /// Sends a request; `answered` is told how it ended, perhaps before this returns. Its number.
    fn post(&self, mut command: Command, class: Class, timeout: Duration, answered: Answered) -> i32 {
        let inner = &*self.inner;
        let opaque = inner.next_opaque.fetch_add(1, Ordering::Relaxed);
        command.opaque = opaque;
        let code = command.code;
        let pieces = match pieces(&command) {
            Ok(pieces) => pieces,
            Err(error) => {
                let text = format!("{} cannot be encoded: {error}", request::name(code));
                answered(Err(CallFailure::NotSent(ClientError::new(Code::InvalidArgument, text))));
                return opaque;
            }
        };
        drop(command);
        let departure = Arc::new(Departure::default());
        let waiter = Waiter::new(code, Arc::clone(&departure), timeout, answered);
        if let Err((waiter, reason)) = inner.expect(opaque, waiter) {
            waiter.tell(Err(CallFailure::NotSent(reason)));
            return opaque;
        }
        match inner.outbox.send(pieces, class, departure) {
            Ok(()) | Err(Rejected::Unread(_)) => {}
            Err(Rejected::Failed(error)) => self.end(&inner.ended(&format!("failed while writing: {error}"))),
        }
        opaque
    }
}

impl Room {
    /// Sends a request without waiting; `answered` is told how it ended, perhaps before this returns.
    pub(crate) fn post(self, command: Command, timeout: Duration, answered: Answered) {
        let Self { connection, entrance } = self;
        connection.post(command, Class::Bulk, timeout, answered);
        // Whoever waits for room comes behind it.
        drop(entrance);
    }

    /// Whether no request is under way on this connection.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(&*self.connection.inner.waiters(), Waiters::Open(answers) if answers.is_empty())
    }

    /// Where the request will go.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Inner {
    /// A request is about to be written; its answer will find its waiter. Given back, with the reason, when none are taken any more.
    fn expect(&self, opaque: i32, waiter: Waiter) -> Result<(), (Waiter, ClientError)> {
        match &mut *self.waiters() {
            Waiters::Open(answers) => {
                if answers.insert(opaque, waiter) {
                    self.tick.notify_one();
                }
                Ok(())
            }
            Waiters::Leaving(_) => Err((waiter, self.left())),
            Waiters::Poisoned(reason) => Err((waiter, reason.clone())),
        }
    }

    /// Looks after the times of requests; ends with the reason when the peer is given up.
    pub(super) async fn tick(&self) -> ClientError {
        loop {
            let due = match &mut *self.waiters() {
                Waiters::Open(answers) | Waiters::Leaving(answers) => answers.arm(),
                Waiters::Poisoned(_) => None,
            };
            tokio::select! {
                biased;
                () = self.tick.notified() => continue,
                () = env::until(due) => {}
            }
            let left = self.outbox.left();
            let looked = match &mut *self.waiters() {
                Waiters::Open(answers) | Waiters::Leaving(answers) => answers.look(left, &self.life),
                Waiters::Poisoned(_) => continue,
            };
            let over: Vec<Waiter> = looked.over.into_iter().filter_map(|opaque| self.take_waiter(opaque)).collect();
            let dead = looked.dead_since.map(|since| self.lifeless(since));
            if let Some(reason) = &dead {
                // First: whoever is told may go on at once, and not here.
                self.poison(reason);
            }
            for waiter in over {
                let failure = self.late(&waiter.departure, &waiter.clock, waiter.code);
                waiter.tell(Err(failure));
            }
            if let Some(reason) = dead {
                return reason;
            }
        }
    }

    /// A request will have no answer, for this reason.
    pub(super) fn forsake(&self, waiter: Waiter, reason: ClientError) {
        let failure = self.unanswered(&waiter.departure, reason);
        waiter.tell(Err(failure));
    }

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
