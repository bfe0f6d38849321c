//! `answer(slot, error, json)` of the facade, from any thread. Given back, it goes nowhere and the event loop is free to end.

use napi::bindgen_prelude::{FnArgs, Function, JsObjectValue, Object};
use napi::threadsafe_function::{
    ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue,
};
use napi::{Result, Status};
use rocketmq_test_broker::error::Refused;
use std::sync::{PoisonError, RwLock};

type Arguments = FnArgs<(u32, Option<String>, String)>;
type Answer = ThreadsafeFunction<Arguments, UnknownReturnValue, Arguments, Status, false>;

pub(crate) struct Answers(RwLock<Option<Answer>>);

impl Answers {
    /// Takes `calls.answer`.
    pub(crate) fn of(calls: &Object<'_>) -> Result<Self> {
        let answer: Function<'_, Arguments, UnknownReturnValue> = calls.get_named_property("answer")?;
        let answer = answer.build_threadsafe_function::<Arguments>().callee_handled::<false>();
        let answer = answer.build_callback(|context: ThreadsafeCallContext<Arguments>| Ok(context.value))?;
        Ok(Self(RwLock::new(Some(answer))))
    }

    /// Answers a call: a JSON value, or a refusal.
    pub(crate) fn answer(&self, slot: u32, result: std::result::Result<String, Refused>) {
        let (error, json) = match result {
            Ok(json) => (None, json),
            Err(refused) => (Some(super::json(&refused)), String::from("null")),
        };
        if let Some(answer) = &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            answer.call(FnArgs::from((slot, error, json)), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// Gives the function back. Answers that are queued already still arrive.
    pub(crate) fn release(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}
