//! What a client's native side says to its facade, all of it through one threadsafe function.
//!
//! One function and no more: Node empties the queues of several in no order, and the answer to `close()` must not be heard before
//! what it has waited for.

use super::callback::{Answer, Callback};
use super::pulse::{Pulse, TICK};
use crate::client::{Event, Events};
use crate::env;
use napi::bindgen_prelude::{FnArgs, JsValuesTupleIntoVec, Object};
use napi::{Result, sys};
use std::sync::Arc;

/// What is said; a producer and a consumer add their own `T`.
pub(super) enum Said<T> {
    /// Of a call with a slot.
    Answer(Answer),
    /// JSON.
    Event(String),
    /// To hear whether anybody hears.
    Alive,
    /// Its kinds begin at 2.
    Own(T),
}

impl<T: JsValuesTupleIntoVec> JsValuesTupleIntoVec for Said<T> {
    /// The arguments of `say(kind, …)`; the facade's types name them.
    fn into_vec(self, env: sys::napi_env) -> Result<Vec<sys::napi_value>> {
        match self {
            Self::Answer(answer) => {
                let (slot, error, json) = answer.parts();
                FnArgs::from((0, slot, error, json)).into_vec(env)
            }
            Self::Event(json) => FnArgs::from((1, json)).into_vec(env),
            Self::Alive => FnArgs::from((1, r#"{"type":"alive"}"#)).into_vec(env),
            Self::Own(own) => own.into_vec(env),
        }
    }
}

/// `say` of the facade. `T` is what is said, on any thread; `A` turns into its arguments, on the JavaScript thread.
pub(super) struct Voice<T: 'static, A: 'static + JsValuesTupleIntoVec> {
    say: Callback<Said<T>, Said<A>>,
    /// Whether debug records are wanted.
    debug: bool,
    pulse: Arc<Pulse>,
}

impl<T: 'static + Send, A: 'static + JsValuesTupleIntoVec> Voice<T, A> {
    /// Takes `calls.say`; `own` is called on the JavaScript thread, and must not panic.
    pub(super) fn new(calls: &Object<'_>, debug: bool, own: impl Fn(T) -> A + 'static) -> Result<Self> {
        let pulse = Arc::new(Pulse::new());
        let heard = Arc::clone(&pulse);
        let say = Callback::new(calls, "say", move |context| {
            Ok(match context.value {
                Said::Answer(answer) => Said::Answer(answer),
                Said::Event(json) => Said::Event(json),
                Said::Alive => {
                    heard.taken();
                    Said::Alive
                }
                Said::Own(said) => Said::Own(own(said)),
            })
        })?;
        Ok(Self { say, debug, pulse })
    }

    /// False when nobody listens any more.
    pub(super) fn say(&self, own: T) -> bool {
        self.say.call(Said::Own(own))
    }
}

impl<T: 'static + Send, A: 'static + JsValuesTupleIntoVec> Voice<T, A> {
    /// Watches from now on whether anybody hears, until nobody listens any more.
    pub(super) fn watch(self: &Arc<Self>) {
        let voice = Arc::downgrade(self);
        env::spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                let Some(voice) = voice.upgrade() else { return };
                let look = voice.pulse.look(env::wall_ms());
                for error in look.tell {
                    voice.emit(Event::Warning { error });
                }
                if look.ask && !voice.say.call(Said::Alive) {
                    return;
                }
            }
        });
    }
}

/// Who answers calls with a slot.
pub(super) trait Answers: Send + Sync + 'static {
    /// Answers, unless nobody listens any more.
    fn answer(&self, answer: Answer);
    /// Nothing is said from here on; what was said already still arrives.
    fn release(&self);
}

impl<T: 'static + Send, A: 'static + JsValuesTupleIntoVec> Answers for Voice<T, A> {
    fn answer(&self, answer: Answer) {
        self.say.call(Said::Answer(answer));
    }

    fn release(&self) {
        self.say.release();
    }
}

impl<T: 'static + Send, A: 'static + JsValuesTupleIntoVec> Events for Voice<T, A> {
    fn emit(&self, event: Event) {
        if self.debug || !event.is_debug() {
            self.say.call(Said::Event(event.to_json()));
        }
    }
}
