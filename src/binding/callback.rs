//! A threadsafe function that can be given back: once released, calls go nowhere and the event loop is free to end.

use crate::error::ClientError;
use crate::sync::RwLock;
use napi::bindgen_prelude::{Function, JsObjectValue, Object};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue};
use napi::{Result, Status};
use std::sync::PoisonError;

type Threadsafe = ThreadsafeFunction<(), UnknownReturnValue, (), Status, false>;

enum Called {
    Facade(Threadsafe),
    #[cfg(all(test, feature = "shuttle"))]
    Test(Box<dyn Fn() + Send + Sync>),
}

/// Calls one function of the facade, without arguments, from any thread.
pub(super) struct Callback {
    function: RwLock<Option<Called>>,
}

impl Callback {
    /// Takes `calls[name]`.
    pub(super) fn new(calls: &Object<'_>, name: &str) -> Result<Self> {
        let function: Function<'_, (), UnknownReturnValue> = calls.get_named_property(name)?;
        let function = function.build_threadsafe_function::<()>().callee_handled::<false>().build()?;
        Ok(Self { function: RwLock::new(Some(Called::Facade(function))) })
    }

    /// One that a test hears.
    #[cfg(all(test, feature = "shuttle"))]
    pub(super) fn heard(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self { function: RwLock::new(Some(Called::Test(Box::new(call)))) }
    }

    /// As one that was given back already.
    #[cfg(test)]
    pub(super) fn released() -> Self {
        Self { function: RwLock::new(None) }
    }

    /// Queues a call. False when the function was released or its environment has gone.
    pub(super) fn call(&self) -> bool {
        let function = self.function.read().unwrap_or_else(PoisonError::into_inner);
        match &*function {
            Some(Called::Facade(function)) => function.call((), ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok,
            #[cfg(all(test, feature = "shuttle"))]
            Some(Called::Test(call)) => {
                call();
                true
            }
            None => false,
        }
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
    /// The answer of a slot.
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
