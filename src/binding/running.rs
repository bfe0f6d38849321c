//! The life of a client below its facade: started within a bound, closed once, and taken leave of when its environment goes first.

use super::bell::Answers;
use super::callback::Answer;
use super::{NOT_RUNNING, refuse};
use crate::env;
use crate::error::{ClientError, Code};
use napi::Result;
use std::result::Result as Outcome;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long what has failed to start may take leave of the brokers that know it already.
const FAREWELL: Duration = Duration::from_millis(500);

/// A producer or a consumer, as far as its life goes.
pub(super) trait Core: Send + Sync + 'static {
    /// Starts; told the bound, but not held to it.
    fn start(&self, bound: Duration) -> impl Future<Output = Outcome<(), ClientError>> + Send;

    /// What keeps a start from its end, as far as that is known.
    fn obstacle(&self) -> Option<ClientError>;

    /// Ends, within this bound.
    fn close(&self, bound: Duration) -> impl Future<Output = ()> + Send;

    /// Ends when no JavaScript runs any more.
    fn abandon(&self) -> impl Future<Output = ()> + Send;
}

struct Client<C> {
    core: Arc<C>,
    answers: Arc<dyn Answers>,
    closed: bool,
}

/// What was started, if anything was. It stays after `close()`: for its last counts, and so that the last acknowledgement of a
/// handler that has outlived it finds its gate.
pub(super) struct Running<C: Core>(Arc<Mutex<Option<Client<C>>>>);

impl<C: Core> Default for Running<C> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

fn lock<C>(running: &Mutex<Option<Client<C>>>) -> MutexGuard<'_, Option<Client<C>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: Core> Running<C> {
    /// Starts it. The slot is answered with `null`, or with a failure that leaves nothing running.
    pub(super) fn start(&self, slot: u32, bound: Duration, core: Arc<C>, answers: Arc<dyn Answers>) {
        *lock(&self.0) = Some(Client { core: Arc::clone(&core), answers: Arc::clone(&answers), closed: false });
        let running = Arc::clone(&self.0);
        env::spawn(async move {
            match within(bound, &*core).await {
                Ok(()) => answers.answer(Answer::of(slot, Ok(String::from("null")))),
                Err(error) => {
                    core.close(FAREWELL).await;
                    lock(&running).take();
                    answers.last(Answer::of(slot, Err(error)));
                }
            }
        });
    }

    /// Ends it. The slot is answered with `null` when nothing runs any more or the time is up.
    pub(super) fn close(&self, slot: u32, bound: Duration) -> Result<()> {
        let (core, answers) = self.parts()?;
        let running = Arc::clone(&self.0);
        env::spawn(async move {
            core.close(bound).await;
            if let Some(client) = lock(&running).as_mut() {
                client.closed = true;
            }
            answers.last(Answer::of(slot, Ok(String::from("null"))));
        });
        Ok(())
    }

    /// Asks it something that takes its time: the slot is answered with JSON.
    pub(super) fn ask<F>(&self, slot: u32, question: impl FnOnce(Arc<C>) -> F) -> Result<()>
    where
        F: Future<Output = Outcome<String, ClientError>> + Send + 'static,
    {
        let (core, answers) = self.parts()?;
        let answer = question(core);
        env::spawn(async move { answers.answer(Answer::of(slot, answer.await)) });
        Ok(())
    }

    /// Looks at it in place; none when nothing was started.
    pub(super) fn with<T>(&self, look: impl FnOnce(&C) -> T) -> Option<T> {
        lock(&self.0).as_ref().map(|client| look(&client.core))
    }

    /// The core, or the refusal of a call that needs one.
    pub(super) fn core(&self) -> Result<Arc<C>> {
        lock(&self.0).as_ref().map(|client| Arc::clone(&client.core)).ok_or_else(not_running)
    }

    fn parts(&self) -> Result<(Arc<C>, Arc<dyn Answers>)> {
        let running = lock(&self.0);
        let Client { core, answers, .. } = running.as_ref().ok_or_else(not_running)?;
        Ok((Arc::clone(core), Arc::clone(answers)))
    }
}

impl<C: Core> Drop for Running<C> {
    /// The environment has gone (a worker thread ended) without `close()`: nobody is left to tell, but brokers should know.
    fn drop(&mut self) {
        if let Some(Client { core, answers, closed: false }) = lock(&self.0).take() {
            answers.release();
            env::spawn(async move { core.abandon().await });
        }
    }
}

fn not_running() -> napi::Error {
    refuse(&ClientError::new(Code::Closed, NOT_RUNNING))
}

/// The result of a start. One whose time is up fails with what has kept it from its end, where that is known.
async fn within(bound: Duration, core: &impl Core) -> Outcome<(), ClientError> {
    tokio::time::timeout(bound, core.start(bound)).await.unwrap_or_else(|_| {
        let text = format!("start() did not finish within {} ms (startTimeoutMs)", bound.as_millis());
        Err(match core.obstacle() {
            // Another start may meet what this one has waited for; who speaks something else will not learn.
            Some(obstacle) => {
                let retriable = obstacle.code() != Code::Protocol;
                obstacle.with_prefix(&text).with_retriable(retriable)
            }
            None => ClientError::new(Code::Timeout, text),
        })
    })
}
