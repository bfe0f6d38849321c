//! A threadsafe function that can be given back: once released, calls go nowhere and the event loop is free to end.

use crate::error::ClientError;
use napi::bindgen_prelude::{Function, JsObjectValue, JsValuesTupleIntoVec, Object};
use napi::threadsafe_function::{
    ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue,
};
use napi::{Result, Status};
use std::sync::{PoisonError, RwLock};

type Threadsafe<T, Args> = ThreadsafeFunction<T, UnknownReturnValue, Args, Status, false>;

/// Calls one function of the facade with a `T`, from any thread.
pub(super) struct Callback<T: 'static, Args: 'static + JsValuesTupleIntoVec> {
    function: RwLock<Option<Threadsafe<T, Args>>>,
}

impl<T: 'static + Send, Args: 'static + JsValuesTupleIntoVec> Callback<T, Args> {
    /// Takes `calls[name]`; `arguments` makes its arguments, on the JavaScript thread, and must not panic.
    pub(super) fn new(
        calls: &Object<'_>,
        name: &str,
        arguments: impl Fn(ThreadsafeCallContext<T>) -> Result<Args> + 'static,
    ) -> Result<Self> {
        let function: Function<'_, Args, UnknownReturnValue> = calls.get_named_property(name)?;
        let function = function.build_threadsafe_function::<T>().callee_handled::<false>().build_callback(arguments)?;
        Ok(Self { function: RwLock::new(Some(function)) })
    }

    /// As one that was given back already.
    #[cfg(test)]
    pub(super) fn released() -> Self {
        Self { function: RwLock::new(None) }
    }

    /// Queues a call. False when the function was released or its environment has gone.
    pub(super) fn call(&self, value: T) -> bool {
        let function = self.function.read().unwrap_or_else(PoisonError::into_inner);
        function
            .as_ref()
            .is_some_and(|function| function.call(value, ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok)
    }

    /// Gives the function back. Calls that are queued already still arrive.
    pub(super) fn release(&self) {
        self.function.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What a call with a slot came to.
pub(super) struct Answer {
    pub(super) slot: u32,
    /// A JSON value, or a failure.
    pub(super) result: std::result::Result<String, ClientError>,
}

impl Answer {
    /// An answer that has nothing to do with a key.
    pub(super) fn of(slot: u32, result: std::result::Result<String, ClientError>) -> Self {
        Self { slot, result }
    }

    /// The arguments.
    pub(super) fn parts(self) -> (u32, Option<String>, String) {
        match self.result {
            Ok(json) => (self.slot, None, json),
            Err(error) => (self.slot, Some(error.to_json()), String::from("null")),
        }
    }
}
