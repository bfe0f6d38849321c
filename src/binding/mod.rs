//! The only room of the package that names napi: arguments in, settlements and chunks out.
//!
//! Rules of the border (why: measured, and a panic or a throw in the wrong place ends the process):
//! * Every failure crosses as the JSON text of a `ClientError`; the facade makes a `RocketMQError` of it.
//! * Every synchronous export is `catch_unwind`; nothing in a threadsafe callback can panic, and the facade's callbacks never throw.
//! * What happens per message is a free function with a `Door`, which `start()` returns: a method costs three times as much.
//! * Threadsafe functions are strong from `start()` until the client is closed: that keeps the process alive, and then lets it exit.
#![cfg_attr(test, allow(dead_code, reason = "napi registers nothing in test builds"))]
#![allow(unreachable_pub, reason = "what napi exports must be `pub`, and nothing in Rust sees it")]
#![allow(clippy::needless_pass_by_value, reason = "napi hands owned values over")]
#![allow(clippy::too_many_arguments, reason = "positional arguments cost a third of an object")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers that come in were checked by the facade, or went out before"
)]

mod bell;
mod callback;
mod chunks;
mod config;
mod consumer;
mod history;
mod packing;
mod producer;
mod pulse;
mod running;
mod settlements;

use crate::error::ClientError;
use crate::protocol::properties;
use napi_derive::napi;
use serde::Serialize;

/// Of calls that need a started client.
const NOT_RUNNING: &str = "the client is not running";

/// A refusal of a synchronous call: its text is the JSON of the error.
fn refuse(error: &ClientError) -> napi::Error {
    napi::Error::from_reason(error.to_json())
}

/// A value that crosses as text.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The names that a user's property may not have: RocketMQ's own.
#[napi(catch_unwind)]
pub fn reserved_properties() -> Vec<String> {
    properties::RESERVED.iter().map(ToString::to_string).collect()
}
