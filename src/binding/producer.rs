//! `NativeProducer`: sends in, settlements out.

use super::callback::Answer;
use super::config::{Checked, NativeConfig, count, milliseconds};
use super::running::{self, Running};
use super::voice::{Answers, Voice};
use super::{json, refuse};
use crate::client::Client;
use crate::error::{ClientError, Code};
use crate::producer::{
    Admission, Batching, Calls, Content, FailureKey, OnRouteChange, Outgoing, OutgoingBatch, Producer, ProducerOptions,
    Receipt, ShardingHash, StoredRun, StoredSend,
};
use bytes::Bytes;
use napi::Result;
use napi::bindgen_prelude::{BufferSlice, FnArgs, JsValuesTupleIntoVec, Object};
use napi_derive::napi;
use serde::Serialize;
use std::sync::Arc;
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

impl NativeProducerOptions {
    fn check(self, group: String, alibaba_cloud: bool) -> std::result::Result<ProducerOptions, ClientError> {
        let unknown = |field: &str, value: &str| {
            ClientError::new(Code::InvalidArgument, format!("{field}: unknown value {value:?}"))
        };
        Ok(ProducerOptions {
            group,
            topics: self.topics,
            sharding_hash: match self.sharding_hash.as_str() {
                "java" => ShardingHash::Java,
                "ons" => ShardingHash::Ons,
                other => return Err(unknown("shardingHash", other)),
            },
            batching: match self.batching.as_str() {
                "auto" if alibaba_cloud => Batching::Key,
                "auto" | "queue" => Batching::Queue,
                "key" => Batching::Key,
                "off" => Batching::Off,
                other => return Err(unknown("batching", other)),
            },
            on_route_change: match self.on_route_change.as_str() {
                "follow" => OnRouteChange::Follow,
                "hold" => OnRouteChange::Hold,
                other => return Err(unknown("onRouteChange", other)),
            },
            send_timeout: milliseconds(self.send_timeout_ms),
            max_pending_messages: count(self.max_pending_messages),
            max_pending_bytes: count(self.max_pending_bytes),
            max_message_bytes: count(self.max_message_bytes),
        })
    }
}

/// What only a producer says.
enum Own {
    Stored(StoredRun),
    Failed { slot: u32, error: ClientError, failed_key: bool },
    Room(u32),
}

impl JsValuesTupleIntoVec for Own {
    #[expect(clippy::cast_precision_loss, reason = "offsets stay below 2^53")]
    fn into_vec(self, env: napi::sys::napi_env) -> Result<Vec<napi::sys::napi_value>> {
        match self {
            Self::Stored(StoredRun { status, queue, queue_offset, offset_msg_ids, sends }) => {
                let (mut slots, mut ids) = (Vec::with_capacity(sends.len()), Vec::with_capacity(2 * sends.len()));
                let mut offset_msg_ids = offset_msg_ids.split(',');
                for StoredSend { slot, msg_id } in &sends {
                    slots.push(*slot);
                    ids.extend([msg_id, offset_msg_ids.next().unwrap_or_default()]);
                }
                let queue_offset = queue_offset as f64;
                FnArgs::from((2, slots, ids, status, queue.broker_name.as_str(), queue.queue_id, queue_offset))
                    .into_vec(env)
            }
            Self::Failed { slot, error, failed_key } => {
                FnArgs::from((3, slot, error.to_json(), failed_key)).into_vec(env)
            }
            Self::Room(lane) => FnArgs::from((4, lane)).into_vec(env),
        }
    }
}

/// One message of a batch that was stored, for the facade.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchReceipt<'a> {
    status: i32,
    msg_id: &'a str,
    offset_msg_id: &'a str,
    broker_name: &'a str,
    queue_id: i32,
    queue_offset: i64,
}

impl<'a> From<&'a Receipt> for BatchReceipt<'a> {
    fn from(receipt: &'a Receipt) -> Self {
        Self {
            status: receipt.status,
            msg_id: &receipt.msg_id,
            offset_msg_id: &receipt.offset_msg_id,
            broker_name: &receipt.queue.broker_name,
            queue_id: receipt.queue.queue_id,
            queue_offset: receipt.queue_offset,
        }
    }
}

/// The facade.
type JsCalls = Voice<Own, Own>;

impl Calls for JsCalls {
    fn stored(&self, run: StoredRun) {
        self.say(Own::Stored(run));
    }

    fn failed(&self, slot: u32, error: ClientError, failure: Option<FailureKey>) {
        self.say(Own::Failed { slot, error, failed_key: failure.is_some() });
    }

    fn settle_batch(
        &self,
        slot: u32,
        result: std::result::Result<Vec<Receipt>, ClientError>,
        failure: Option<FailureKey>,
    ) {
        let result = result.map(|receipts| json(&receipts.iter().map(BatchReceipt::from).collect::<Vec<_>>()));
        self.answer(Answer { slot, result, failed_key: failure.is_some() });
    }

    fn room(&self, lane: u32) {
        self.say(Own::Room(lane));
    }
}

type Core = Producer<Arc<Client>>;

impl running::Core for Core {
    async fn start(&self, _bound: Duration) -> std::result::Result<(), ClientError> {
        self.start().await
    }

    fn obstacle(&self) -> Option<ClientError> {
        self.obstacle()
    }

    async fn close(&self, bound: Duration) {
        self.close(bound).await;
    }

    async fn abandon(&self) {
        self.close(Duration::ZERO).await;
    }
}

/// A producer as the facade sees it.
#[napi]
pub struct NativeProducer {
    checked: Checked,
    options: ProducerOptions,
    running: Running<Core>,
}

impl std::fmt::Debug for NativeProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeProducer").field("client_id", &self.checked.options.client_id).finish_non_exhaustive()
    }
}

#[napi]
impl NativeProducer {
    /// Checks everything; starts nothing.
    #[napi(constructor, catch_unwind)]
    pub fn new(config: NativeConfig, options: NativeProducerOptions) -> Result<Self> {
        let checked = config.check().map_err(|error| refuse(&error))?;
        let options =
            options.check(checked.options.group.clone(), checked.alibaba_cloud).map_err(|error| refuse(&error))?;
        Ok(Self { checked, options, running: Running::default() })
    }

    /// What brokers know it by.
    #[napi(getter, catch_unwind)]
    pub fn client_id(&self) -> String {
        self.checked.options.client_id.clone()
    }

    /// Answered through `answer`. Failed, nothing is left running.
    #[napi(catch_unwind, ts_args_type = "slot: number, timeoutMs: number, calls: object")]
    pub fn start(&self, slot: u32, timeout_ms: f64, calls: Object<'_>) -> Result<()> {
        let calls = Arc::new(JsCalls::new(&calls, self.checked.debug, |own| own)?);
        let client = Client::start(self.checked.options.clone(), Arc::clone(&calls) as _);
        let core = Producer::new(client, self.options.clone(), Arc::clone(&calls) as _);
        self.running.start(slot, milliseconds(timeout_ms), core, calls);
        Ok(())
    }

    /// −1: taken. 0 and more: no room; the number of the lane whose FIFO the facade keeps.
    #[napi(catch_unwind)]
    pub fn send(
        &self,
        slot: u32,
        topic: String,
        sharding_key: String,
        body: BufferSlice<'_>,
        tags: Option<String>,
        keys: Option<String>,
        properties: Option<Vec<String>>,
        timeout_ms: f64,
        feeding: bool,
    ) -> Result<i32> {
        let message = Outgoing {
            slot,
            topic,
            sharding_key,
            body: Bytes::copy_from_slice(&body),
            tags,
            keys,
            properties: properties.map(pairs).unwrap_or_default(),
            timeout: timeout(timeout_ms),
        };
        admitted(self.running.core()?.send(message, feeding))
    }

    /// Several messages in one request. −1 or a lane's number, as `send`; settled through `answer` with an array of receipts, or an
    /// error and `"failedKey"` where it has closed the key.
    #[napi(catch_unwind)]
    pub fn send_batch(
        &self,
        slot: u32,
        topic: String,
        sharding_key: String,
        bodies: Vec<BufferSlice<'_>>,
        tags: Vec<Option<String>>,
        keys: Vec<Option<String>>,
        properties: Vec<Vec<String>>,
        timeout_ms: f64,
        feeding: bool,
    ) -> Result<i32> {
        let rest = tags.into_iter().zip(keys).zip(properties);
        let messages = bodies
            .into_iter()
            .zip(rest)
            .map(|(body, ((tags, keys), properties))| Content {
                body: Bytes::copy_from_slice(&body),
                tags,
                keys,
                properties: pairs(properties),
            })
            .collect();
        let batch = OutgoingBatch { slot, topic, sharding_key, messages, timeout: timeout(timeout_ms) };
        admitted(self.running.core()?.send_batch(batch, feeding))
    }

    /// The facade's FIFO of this lane is empty.
    #[napi(catch_unwind)]
    pub fn drained(&self, lane: u32) {
        if let Ok(core) = self.running.core() {
            core.drained(lane);
        }
    }

    /// The facade delivers a failure of this key now.
    #[napi(catch_unwind)]
    pub fn heard(&self, topic: String, sharding_key: String) {
        if let Ok(core) = self.running.core() {
            core.heard(&topic, &sharding_key);
        }
    }

    /// A caller's signal: takes the message out if it still waits.
    #[napi(catch_unwind)]
    pub fn abort(&self, slot: u32) {
        if let Ok(core) = self.running.core() {
            core.abort(slot);
        }
    }

    /// The writable queues of a topic, through `answer`: an array of `{ brokerName, queueId, topic }`.
    #[napi(catch_unwind)]
    pub fn queues(&self, slot: u32, topic: String) -> Result<()> {
        self.running.ask(slot, |core| async move { core.queues(&topic).await.map(|queues| json(&queues)) })
    }

    /// Drains, takes leave, ends; answered through `answer` when nothing runs any more.
    #[napi(catch_unwind)]
    pub fn close(&self, slot: u32, timeout_ms: f64) -> Result<()> {
        self.running.close(slot, milliseconds(timeout_ms))
    }

    /// Counts, as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<String> {
        Ok(json(&self.running.core()?.stats()))
    }

    /// What is wrong at the moment, as JSON: `{ problems: [error, …] }`.
    #[napi(catch_unwind)]
    pub fn health(&self) -> Result<String> {
        Ok(json(&serde_json::json!({ "problems": self.running.core()?.problems() })))
    }
}

/// `[name, value, name, value]` → pairs.
pub(super) fn pairs(flat: Vec<String>) -> Vec<(String, String)> {
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    let mut rest = flat.into_iter();
    while let (Some(name), Some(value)) = (rest.next(), rest.next()) {
        pairs.push((name, value));
    }
    pairs
}

/// How an admission crosses: −1, or the number of the lane that has no room.
fn admitted(admission: std::result::Result<Admission, ClientError>) -> Result<i32> {
    match admission.map_err(|error| refuse(&error))? {
        Admission::Taken => Ok(-1),
        Admission::Full { lane } => Ok(i32::try_from(lane).unwrap_or(i32::MAX)),
    }
}

/// 0 means the producer's own.
fn timeout(ms: f64) -> Option<Duration> {
    (ms > 0.0).then(|| milliseconds(ms))
}
