//! `NativeProducer`: sends in, settlements out.

use super::callback::{Answer, AnswerArgs, Callback, JsEvents, answers};
use super::config::{Checked, NativeConfig, invalid_argument, milliseconds};
use super::refuse;
use crate::client::Client;
use crate::env;
use crate::error::{ClientError, Code};
use crate::producer::{Admission, Calls, Outgoing, Producer, ProducerOptions, Receipt};
use bytes::Bytes;
use napi::Result;
use napi::bindgen_prelude::{FnArgs, Object};
use napi::threadsafe_function::ThreadsafeCallContext;
use napi_derive::napi;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What only a producer has. Numbers were checked by the facade.
#[napi(object, object_to_js = false)]
#[derive(Clone, Debug)]
pub struct NativeProducerOptions {
    /// Checked by `start()`.
    pub topics: Vec<String>,
    /// `java` or `ons`.
    pub sharding_hash: String,
    /// `auto`, `queue`, `key` or `off`.
    pub batching: String,
    /// One send, from the call.
    pub send_timeout_ms: f64,
    /// Messages held natively.
    pub max_pending_messages: f64,
    /// Bytes held natively.
    pub max_pending_bytes: f64,
    /// `follow` or `hold`.
    pub on_route_change: String,
    /// The largest body.
    pub max_message_bytes: f64,
}

/// The arguments of `settle(slot, error, failedKey, status, msgId, offsetMsgId, brokerName, queueId, queueOffset)`.
type SettleArgs = FnArgs<(u32, Option<String>, bool, i32, String, String, String, i32, f64)>;
type Settlement = (u32, std::result::Result<Receipt, ClientError>, bool);

#[expect(clippy::cast_precision_loss, reason = "offsets are below 2^53 for the next million years")]
fn settle_args(context: ThreadsafeCallContext<Settlement>) -> SettleArgs {
    let (slot, result, failed_key) = context.value;
    FnArgs::from(match result {
        Ok(receipt) => (
            slot,
            None,
            failed_key,
            receipt.status,
            receipt.msg_id,
            receipt.offset_msg_id,
            receipt.queue.broker_name,
            receipt.queue.queue_id,
            receipt.queue_offset as f64,
        ),
        Err(error) => (slot, Some(error.to_json()), failed_key, 0, String::new(), String::new(), String::new(), 0, 0.0),
    })
}

/// The facade's functions.
struct JsCalls {
    settle: Callback<Settlement, SettleArgs>,
    room: Callback<u32, FnArgs<(u32,)>>,
    answer: Callback<Answer, AnswerArgs>,
    events: Arc<JsEvents>,
}
