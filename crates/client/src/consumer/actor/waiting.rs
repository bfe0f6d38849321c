//! How an actor waits: never for one thing only.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::sleep_until;

use super::{Actor, Step};
use crate::client::CallError;
use crate::consumer::brokers::Brokers;
use crate::consumer::queue::Wanted;
use crate::env::{self, Backoff, Instant};
use crate::error::Code;
use crate::protocol::Request;

/// A request under way; kept beside the loop, so that nothing of it is lost when something else happens first.
pub(super) type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The lock's state, or that the queue is no longer wanted, leads elsewhere.
    Forced(Step),
    /// Tried often enough.
    GivenUp,
}

/// How long to go on asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// While the queue is wanted.
    WhileWanted,
    /// The same of something that changes: what is under way is awaited, else it could arrive behind what the next owner does.
    EachToItsEnd,
    /// While the queue is wanted and the account is not at fault.
    UnlessDenied,
    /// While the lock is held and the account is not at fault.
    WhileHeldUnlessDenied,
    /// While the lock is held.
    WhileHeld,
    /// While the lock is held, and this often.
    Attempts(u32),
}

impl<B: Brokers> Actor<B> {
    /// Waits until something may have changed: at the gate, in what is wanted, or because the lease or this time is up.
    pub(super) async fn nudged(&mut self, at: Option<Instant>) {
        let lease_end = self.lease_end();
        let until = at.map_or(lease_end, |at| at.min(lease_end));
        tokio::select! {
            () = self.queue.gate.changed() => {}
            _ = self.wanted.changed() => {}
            () = sleep_until(until) => {}
        }
    }

    /// Waits for the running handler's end, with its result counted. A step: the lock's state leads elsewhere.
    pub(super) async fn settle(&mut self) -> Option<Step> {
        loop {
            let has_ended = self.take_last_outcomes();
            self.attend();
            self.publish();
            if let Some(step) = self.forced() {
                return Some(step);
            }
            if has_ended {
                return None;
            }
            self.nudged_committing(None).await;
        }
    }

    /// Waits for the answer of what is under way, if anything is. A step: the lock's state leads elsewhere.
    pub(super) async fn answer_of<T>(
        &mut self,
        under_way: impl Fn(&mut Self) -> &mut Pending<T>,
    ) -> Result<Option<T>, Step> {
        let queue = Arc::clone(&self.queue);
        while under_way(self).is_some() {
            if let Some(step) = self.forced() {
                return Err(step);
            }
            let until = self.lease_end();
            tokio::select! {
                answer = done(under_way(self)) => return Ok(Some(answer)),
                () = queue.gate.changed() => {}
                () = sleep_until(until) => {}
            }
        }
        Ok(None)
    }

    /// Asks the master again and again until it answers.
    pub(super) async fn ask<R>(&mut self, request: &R, patience: Patience) -> Result<R::Response, Interrupted>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let (shared, queue) = (Arc::clone(&self.shared), Arc::clone(&self.queue));
        let timeout = shared.brokers.timing().request_timeout;
        self.insist(patience, || shared.ask_master(&queue.real.broker_name, request, timeout)).await
    }

    /// Tries something again and again until it succeeds.
    pub(super) async fn insist<T, F>(&mut self, patience: Patience, attempt: impl Fn() -> F) -> Result<T, Interrupted>
    where
        F: Future<Output = Result<T, CallError>> + Send,
    {
        let timing = self.shared.brokers.timing();
        let mut pause = Backoff::new(timing.backoff.0, timing.backoff.1);
        let mut attempts = 0;
        loop {
            let mut call = Box::pin(attempt());
            let error = loop {
                match self.interrupted(patience) {
                    Err(Interrupted::Forced(Step::Drain | Step::Doubt)) if patience == Patience::EachToItsEnd => {}
                    interrupted => interrupted?,
                }
                tokio::select! {
                    result = &mut call => match result {
                        Ok(response) => {
                            self.problem = None;
                            return Ok(response);
                        }
                        Err(error) => break error.into_error(),
                    },
                    () = self.nudged(None) => {}
                }
            };
            let denied = error.code() == Code::AccessDenied;
            self.report(error);
            self.publish();
            attempts += 1;
            let unless_denied = matches!(patience, Patience::UnlessDenied | Patience::WhileHeldUnlessDenied);
            if patience == Patience::Attempts(attempts) || (denied && unless_denied) {
                return Err(Interrupted::GivenUp);
            }
            let until = env::now() + pause.next();
            while env::now() < until {
                self.interrupted(patience)?;
                self.nudged(Some(until)).await;
            }
        }
    }

    fn interrupted(&self, patience: Patience) -> Result<(), Interrupted> {
        if let Some(step) = self.forced() {
            return Err(Interrupted::Forced(step));
        }
        let while_wanted = matches!(patience, Patience::WhileWanted | Patience::EachToItsEnd | Patience::UnlessDenied);
        if while_wanted && self.wanted() != Wanted::Yes {
            return Err(Interrupted::Forced(Step::Drain));
        }
        Ok(())
    }
}

/// The result of a request under way; never, where there is none.
pub(super) async fn done<T>(pending: &mut Pending<T>) -> T {
    match pending {
        Some(future) => {
            let result = future.as_mut().await;
            *pending = None;
            result
        }
        None => std::future::pending().await,
    }
}

/// At that time; never, where there is none.
pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
