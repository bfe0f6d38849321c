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
pub(super) trait Lifecycle: Send + Sync + 'static {
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
pub(super) struct Running<C: Lifecycle>(Arc<Mutex<Option<Client<C>>>>);

impl<C: Lifecycle> Default for Running<C> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

fn lock<C>(running: &Mutex<Option<Client<C>>>) -> MutexGuard<'_, Option<Client<C>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: Lifecycle> Running<C> {
    /// Starts it. The slot is answered with `null`, or with a failure that leaves nothing running.
    pub(super) fn start(&self, slot: u32, bound: Duration, core: Arc<C>, answers: Arc<dyn Answers>) {
        *lock(&self.0) = Some(Client { core: Arc::clone(&core), answers: Arc::clone(&answers), closed: false });
        let running = Arc::clone(&self.0);
        env::spawn(async move {
            match within(bound, &*core).await {
                Ok(()) => answers.answer(Answer::of(slot, Ok(String::from("null")))),
                Err(error) => {
                    // Whatever becomes of it: how the start has ended is what counts.
                    let _ = env::caught(core.close(FAREWELL)).await;
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
            let closed = env::caught(core.close(bound)).await;
            if let Some(client) = lock(&running).as_mut() {
                client.closed = true;
            }
            let closed = closed.map_err(|panic| ClientError::panicked("close() has failed", &panic));
            answers.last(Answer::of(slot, closed.map(|()| String::from("null"))));
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
        env::spawn(async move {
            let answer =
                env::caught(answer).await.unwrap_or_else(|panic| Err(ClientError::panicked("this has failed", &panic)));
            answers.answer(Answer::of(slot, answer));
        });
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

impl<C: Lifecycle> Drop for Running<C> {
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
async fn within(bound: Duration, core: &impl Lifecycle) -> Outcome<(), ClientError> {
    let started = async {
        let started = env::caught(core.start(bound)).await;
        started.unwrap_or_else(|panic| Err(ClientError::panicked("start() has failed", &panic)))
    };
    tokio::time::timeout(bound, started).await.unwrap_or_else(|_| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    /// Panics at the step of that name.
    struct Planted(&'static str);

    impl Planted {
        fn at(&self, step: &str) {
            assert!(self.0 != step, "planted at {step}");
        }
    }

    impl Lifecycle for Planted {
        async fn start(&self, _bound: Duration) -> Outcome<(), ClientError> {
            tokio::task::yield_now().await;
            self.at("start");
            Ok(())
        }

        fn obstacle(&self) -> Option<ClientError> {
            None
        }

        async fn close(&self, _bound: Duration) {
            tokio::task::yield_now().await;
            self.at("close");
        }

        async fn abandon(&self) {}
    }

    struct Heard(mpsc::UnboundedSender<(Answer, bool)>);

    impl Answers for Heard {
        fn answer(&self, answer: Answer) {
            let _ = self.0.send((answer, false));
        }

        fn last(&self, answer: Answer) {
            let _ = self.0.send((answer, true));
        }

        fn release(&self) {}
    }

    const BOUND: Duration = Duration::from_secs(5);

    async fn started(step: &'static str) -> (Running<Planted>, mpsc::UnboundedReceiver<(Answer, bool)>, Answer, bool) {
        let (running, (sender, mut heard)) = (Running::default(), mpsc::unbounded_channel());
        running.start(1, BOUND, Arc::new(Planted(step)), Arc::new(Heard(sender)));
        let (answer, is_last) = heard.recv().await.unwrap();
        (running, heard, answer, is_last)
    }

    fn assert_planted(answer: &Answer, step: &str) {
        let error = answer.result.as_ref().unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert!(error.message().contains(step), "{error}");
    }

    #[tokio::test]
    async fn a_start_that_panics_is_answered_and_leaves_nothing_running() {
        let (running, _heard, answer, is_last) = started("start").await;
        assert_planted(&answer, "planted at start");
        assert!(is_last && answer.slot == 1 && running.core().is_err());
    }

    #[tokio::test]
    async fn a_close_that_panics_is_answered_with_the_last_word() {
        let (running, mut heard, answer, _) = started("close").await;
        assert!(answer.result.is_ok());
        running.close(2, BOUND).unwrap();
        let (answer, is_last) = heard.recv().await.unwrap();
        assert_planted(&answer, "planted at close");
        assert!(is_last && answer.slot == 2);
    }

    #[tokio::test]
    async fn a_question_whose_answer_panics_is_answered() {
        let (running, mut heard, ..) = started("nowhere").await;
        let question = |core: Arc<Planted>| async move {
            assert!(core.0 != "nowhere", "planted at a question");
            Ok(String::new())
        };
        running.ask(3, question).unwrap();
        assert_planted(&heard.recv().await.unwrap().0, "planted at a question");
    }
}
