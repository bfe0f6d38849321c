//! What keeps the first message of a lane from going on.

use crate::consumer::queue::Blocked;
use crate::env::Instant;
use crate::error::ClientError;

/// What comes next.
#[derive(Clone, Debug)]
enum Next {
    /// Its handler, not before this time.
    Again(Instant),
    /// Its handler, now.
    Now,
    /// The dead-letter queue.
    GivingUp(GivingUp),
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub(super) struct GivingUp {
    /// The handler asked for it, rather than `maxReconsumeTimes`.
    pub(super) asked: bool,
    /// Not before this time.
    pub(super) at: Instant,
    /// Why the last attempt has failed.
    pub(super) problem: Option<ClientError>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Failed attempts, in this epoch.
    pub(super) failures: u32,
    /// As others see it.
    pub(super) blocked: Blocked,
    next: Next,
}

impl Trouble {
    /// The message comes again at that time.
    pub(super) fn again(failures: u32, blocked: Blocked, at: Instant) -> Self {
        Self { failures, blocked, next: Next::Again(at) }
    }

    /// The message goes to the dead-letter queue.
    pub(super) fn giving_up(failures: u32, blocked: Blocked, asked: bool, at: Instant) -> Self {
        Self { failures, blocked, next: Next::GivingUp(GivingUp { asked, at, problem: None }) }
    }

    /// Whether its handler may be called again.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.next, Next::Now)
    }

    /// Until when it pauses.
    pub(super) fn until(&self) -> Option<Instant> {
        match self.next {
            Next::Again(at) => Some(at),
            Next::Now | Next::GivingUp(_) => None,
        }
    }

    /// Its handler may be called again.
    pub(super) fn end_pause(&mut self) {
        self.next = Next::Now;
    }

    /// Its way out.
    pub(super) fn way_out(&self) -> Option<&GivingUp> {
        match &self.next {
            Next::GivingUp(giving_up) => Some(giving_up),
            Next::Again(_) | Next::Now => None,
        }
    }

    /// Its way out, to be changed.
    pub(super) fn way_out_mut(&mut self) -> Option<&mut GivingUp> {
        match &mut self.next {
            Next::GivingUp(giving_up) => Some(giving_up),
            Next::Again(_) | Next::Now => None,
        }
    }
}
