//! The credentials that requests are signed with, and where new ones come from: given once, or by somebody who is asked.
//!
//! Who is asked, the facade's user, is asked by an event and answers when it likes; one question is under way at a time. There are three occasions:
//! the first request, the end of what it gave last, and a refusal that may be due to them, whose request is then made once more.

use super::Client;
use super::events::{Event, Events, Level};
use crate::env::{self, Backoff, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::{Command, Credentials, signature};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// So long before their end credentials are replaced, or a fifth of their life, if that is less.
const LEAD: Duration = Duration::from_secs(5 * 60);
/// Between two questions that refusals are the occasion of, and after failures: first and longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// So long a question may stay unanswered; then it is asked again.
const SILENCE: Duration = Duration::from_secs(10);

/// The credentials of one client.
#[derive(Debug)]
pub struct Keyring {
    asks: bool,
    state: Mutex<State>,
    /// Goes up with every answer.
    answers: watch::Sender<u64>,
    /// Tells that somebody was asked.
    questions: Notify,
}

#[derive(Debug)]
struct State {
    current: Option<Arc<Credentials>>,
    /// Goes up with every change of them.
    generation: u64,
    /// When they end, on the wall clock: milliseconds since 1970.
    ends_ms: Option<i64>,
    /// When to replace them.
    due: Option<Instant>,
    asked: Option<Instant>,
    /// Why the last question has brought none.
    failure: Option<ClientError>,
    pause: Backoff,
    not_before: Option<Instant>,
}

/// What a request was signed with.
#[derive(Clone, Debug, Default)]
pub(super) struct Signing {
    credentials: Option<Arc<Credentials>>,
    generation: u64,
}

/// Why new credentials are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The first request, or the end of those that there are.
    Time,
    /// A request was refused.
    Refusal,
}

impl Signing {
    /// Signs a request with these, or anew with them.
    pub(super) fn sign(&self, command: &mut Command) {
        if let Some(credentials) = &self.credentials {
            signature::sign(command, credentials);
        }
    }
}

impl Keyring {
    /// Credentials that stay, or none.
    pub fn of(credentials: Option<Credentials>, ends_ms: Option<i64>) -> Arc<Self> {
        let keyring = Self::new(false);
        if let Some(credentials) = credentials {
            keyring.renewed(credentials, ends_ms);
        }
        Arc::new(keyring)
    }

    /// None yet: they are asked for ([`Event::CredentialsWanted`]).
    pub fn asking() -> Arc<Self> {
        Arc::new(Self::new(true))
    }

    fn new(asks: bool) -> Self {
        let state = State {
            current: None,
            generation: 0,
            ends_ms: None,
            due: None,
            asked: None,
            failure: None,
            pause: Backoff::new(PAUSE.0, PAUSE.1),
            not_before: None,
        };
        Self { asks, state: Mutex::new(state), answers: watch::Sender::new(0), questions: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a question, with the end of these on the wall clock: milliseconds since 1970.
    pub fn renewed(&self, credentials: Credentials, ends_ms: Option<i64>) {
        let mut state = self.lock();
        let now = env::now();
        state.due = ends_ms.map(|ends| {
            let life = Duration::from_millis(u64::try_from(ends - env::wall_ms()).unwrap_or_default());
            // Those that have ended already are replaced soon, and not in a circle.
            now + life.saturating_sub(LEAD.min(life / 5)).max(if self.asks { PAUSE.0 } else { Duration::ZERO })
        });
        state.ends_ms = ends_ms;
        let is_new = state.current.as_deref() != Some(&credentials);
        if is_new {
            state.current = Some(Arc::new(credentials));
            state.generation += 1;
        }
        if state.failure.take().is_some() || is_new {
            state.pause.reset();
        }
        self.answered(state);
    }

    /// The other answer: there are none, and why.
    pub fn failed(&self, why: ClientError) {
        let mut state = self.lock();
        state.failure = Some(why);
        if state.current.is_some() {
            let pause = state.pause.next();
            state.due = Some(env::now() + pause);
        }
        self.answered(state);
    }

    fn answered(&self, mut state: MutexGuard<'_, State>) {
        state.asked = None;
        drop(state);
        self.answers.send_modify(|answers| *answers += 1);
    }

    /// What to sign with. Waits for the first credentials, where somebody is asked for them; fails as that does.
    pub(super) async fn signing(&self, events: &Arc<dyn Events>) -> Result<Signing, ClientError> {
        let signing = self.now();
        if !self.asks || signing.credentials.is_some() {
            return Ok(signing);
        }
        match self.newer_than(&signing, Occasion::Time, events).await {
            Ok(signing) => Ok(signing),
            Err(why) => {
                let text = "there are no credentials, as the function that was asked for them has failed";
                Err(ClientError::new(Code::AccessDenied, text).caused_by(why))
            }
        }
    }

    /// What to sign with now.
    pub(super) fn now(&self) -> Signing {
        let state = self.lock();
        Signing { credentials: state.current.clone(), generation: state.generation }
    }

    /// Whether other credentials may be had than those that were refused.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// Other credentials than these, if there are some, or somebody who is asked has some. Else why not; nothing, if it has the same.
    pub(super) async fn newer_than(
        &self,
        known: &Signing,
        occasion: Occasion,
        events: &Arc<dyn Events>,
    ) -> Result<Signing, Option<ClientError>> {
        let mut answers = self.answers.subscribe();
        {
            let mut state = self.lock();
            if state.generation != known.generation {
                drop(state);
                return Ok(self.now());
            }
            if state.asked.is_none() && occasion == Occasion::Refusal {
                let now = env::now();
                // New ones may be refused, too, whatever the reason is.
                if state.not_before.is_some_and(|then| now < then) {
                    return Err(state.failure.clone());
                }
                state.not_before = Some(now + state.pause.next());
            }
            self.ask(state, events);
        }
        // It ends with this keyring, which we hold.
        let _ = answers.changed().await;
        let state = self.lock();
        if state.generation == known.generation {
            return Err(state.failure.clone());
        }
        drop(state);
        Ok(self.now())
    }

    /// Asks, unless that is done.
    fn ask(&self, mut state: MutexGuard<'_, State>, events: &Arc<dyn Events>) {
        if state.asked.is_some() {
            return;
        }
        state.asked = Some(env::now());
        drop(state);
        self.questions.notify_one();
        events.emit(Event::CredentialsWanted);
    }

    /// When the next thing is to be done without being asked for.
    fn due(&self) -> Option<Instant> {
        let state = self.lock();
        match state.asked {
            Some(asked) => Some(asked + SILENCE),
            None => state.due,
        }
    }
}

/// Replaces credentials before their end, and tells of what becomes of them.
pub(super) async fn run(client: Arc<Client>) {
    keep(client.session.keyring(), client.events()).await;
}

async fn keep(keyring: &Keyring, events: &Arc<dyn Events>) {
    let mut answers = keyring.answers.subscribe();
    let mut known = keyring.now().generation;
    // Each streak of failures is told once.
    let mut told = false;
    loop {
        tokio::select! {
            () = env::until(keyring.due()) => {
                let asked = keyring.lock().asked;
                if asked.is_some() {
                    // Whoever waits for it has waited long enough; should it still answer, that counts.
                    let text = format!("the function has not answered for {} s", SILENCE.as_secs());
                    keyring.failed(ClientError::new(Code::Timeout, text));
                } else if keyring.asks {
                    keyring.ask(keyring.lock(), events);
                } else {
                    keyring.lock().due = None;
                    warn(events, &keyring.ends(), None);
                }
            }
            _ = answers.changed() => {}
            () = keyring.questions.notified() => {}
        }
        let (generation, failure) = {
            let state = keyring.lock();
            (state.generation, state.failure.clone())
        };
        if generation != known {
            if known > 0 {
                let fields = serde_json::json!({ "expiresAt": keyring.lock().ends_ms.map(env::utc) });
                events.emit(Event::log(Level::Info, "the credentials were renewed", fields));
            }
            known = generation;
        }
        match failure {
            // Until there are some, it fails whatever wants them.
            Some(why) if !told && generation > 0 => {
                told = true;
                warn(events, &keyring.ends(), Some(why));
            }
            Some(_) => {}
            None => told = false,
        }
    }
}

impl Keyring {
    /// Until when these are good, as part of a sentence.
    fn ends(&self) -> String {
        match self.lock().ends_ms {
            Some(ends) if ends <= env::wall_ms() => format!("have ended at {}", env::utc(ends)),
            Some(ends) => format!("end at {}", env::utc(ends)),
            None => String::from("are used on"),
        }
    }
}

fn warn(events: &Arc<dyn Events>, ends: &str, why: Option<ClientError>) {
    let error = if let Some(why) = why {
        let text = format!(
            "new credentials were asked for, and there are none ({}); those that there are {ends}; it is tried again",
            why.message()
        );
        ClientError::new(Code::AccessDenied, text).with_retriable(true).with_cause(why)
    } else {
        let text =
            format!("the credentials {ends}, and nobody can be asked for new ones: give a function that returns them");
        ClientError::new(Code::AccessDenied, text)
    };
    events.emit(Event::Warning { error });
}

#[cfg(test)]
mod tests;
