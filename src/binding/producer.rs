//! `NativeProducer`: sends in, settlements out.

use super::bell::{Bell, Heard, Taken};
use super::config::{Checked, NativeConfig, NativeCredentials, count, milliseconds};
use super::running::{self, Running};
use super::settlements::{Outcomes, Slice};
use super::{json, refuse};
use crate::client::Client;
use crate::error::{ClientError, Code};
use crate::producer::{
    Batching, Calls, Content, Gathered, OnRouteChange, Outgoing, OutgoingBatch, Producer, ProducerOptions, QueueList,
    Settlement, ShardingHash,
};
use crate::protocol::Compression;
use crate::record::History;
use bytes::Bytes;
use napi::Result;
use napi::bindgen_prelude::{BufferSlice, External, Object};
use napi_derive::napi;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a lane waits for JavaScript at most: a busy event loop must not hold requests up.
const GATHER: Duration = Duration::from_millis(5);

/// What only a producer has. Numbers were checked by the facade.
#[napi(object, object_to_js = false)]
#[derive(Clone, Debug)]
pub struct NativeProducerOptions {
    /// Checked by `start()`.
    pub topics: Vec<String>,
    /// `java`, `ons`, `go`, `cpp`, `proxy`, or `caller`: the facade has a function.
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
    /// `zlib`, `lz4`, `zstd`; none: never.
    pub compression: Option<String>,
    /// The smallest body that is compressed.
    pub compress_over_bytes: f64,
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
                "go" => ShardingHash::Go,
                "cpp" => ShardingHash::Cpp,
                "proxy" => ShardingHash::Proxy,
                "caller" => ShardingHash::Caller,
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
            gather: GATHER,
            max_message_bytes: count(self.max_message_bytes),
            compression: match self.compression.as_deref() {
                None => None,
                Some("zlib") => Some(Compression::Zlib),
                Some("lz4") => Some(Compression::Lz4),
                Some("zstd") => Some(Compression::Zstd),
                Some(other) => return Err(unknown("compression", other)),
            },
            compress_over_bytes: count(self.compress_over_bytes),
            history: History::default(),
        })
    }
}

/// What is said to the facade.
enum Saying {
    Outcomes(Outcomes),
    /// Keys of this topic wait for its choice.
    Undecided(String),
}

type ProducerBell = Bell<Saying>;

impl Calls for ProducerBell {
    fn settled(&self, settlements: Vec<Settlement>) {
        self.keep(settlements.into_iter().map(|settlement| Saying::Outcomes(settlement.into())));
    }

    fn undecided(&self, topic: &str) {
        self.say(Saying::Undecided(topic.to_owned()));
    }

    fn ring(&self) {
        Self::ring(self);
    }
}

/// What a started producer is called through.
pub struct ProducerDoor {
    core: Arc<RealProducer>,
    bell: Arc<ProducerBell>,
    turns: Mutex<Turns>,
}

/// Lanes all of whose last sends are settled in JavaScript, and which may wait for their callers.
#[derive(Default)]
struct Turns {
    /// Nothing was said of these yet.
    settled: Vec<Gathered>,
    /// The facade gives the callers of these a turn.
    turning: Vec<Gathered>,
}

/// So many runs are reason enough for a turn, while there is more to be heard.
const MANY_RUNS: usize = 64;

type RealProducer = Producer<Arc<Client>>;

impl running::Lifecycle for RealProducer {
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

impl std::fmt::Debug for ProducerDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProducerDoor").field("core", &self.core).finish_non_exhaustive()
    }
}

/// A producer as the facade sees it.
#[napi]
pub struct NativeProducer {
    checked: Checked,
    options: ProducerOptions,
    running: Running<RealProducer>,
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

    /// What the user's function has answered that was asked for credentials.
    #[napi(catch_unwind)]
    pub fn renewed(&self, credentials: NativeCredentials) {
        self.checked.renewed(credentials);
    }

    /// The user's function that was asked for credentials has failed, with what is kept under this number.
    #[napi(catch_unwind)]
    pub fn not_renewed(&self, reason: String, keepsake: u32) {
        self.checked.not_renewed(&reason, keepsake);
    }

    /// Answered through the bell. Failed, nothing is left running.
    #[napi(catch_unwind)]
    pub fn start(&self, slot: u32, timeout_ms: f64, calls: Object<'_>) -> Result<External<ProducerDoor>> {
        let bell = ProducerBell::new(&calls, self.checked.records)?;
        bell.watch();
        let client = Client::start(self.checked.options.clone(), Arc::clone(&bell) as _);
        let history = self.checked.history.history(Arc::clone(&bell) as _);
        let options = ProducerOptions { history, ..self.options.clone() };
        let core = Producer::new(client, options, Arc::clone(&bell) as _);
        let door = ProducerDoor { core: Arc::clone(&core), bell: Arc::clone(&bell), turns: Mutex::default() };
        self.running.start(slot, milliseconds(timeout_ms), core, bell);
        Ok(External::new(door))
    }

    /// Answered with `null` when less is held than the high-water mark.
    #[napi(catch_unwind)]
    pub fn ready(&self, slot: u32) -> Result<()> {
        self.running.ask(slot, |core| async move { core.ready().await.map(|()| String::from("null")) })
    }

    /// Answered with `null` behind all that has been decided by now.
    #[napi(catch_unwind)]
    pub fn heard(&self, slot: u32) -> Result<()> {
        self.running.ask(slot, |_| async { Ok(String::from("null")) })
    }

    /// The writable queues of a topic, through the bell: an array of `{ brokerName, queueId, topic }`.
    #[napi(catch_unwind)]
    pub fn queues(&self, slot: u32, topic: String) -> Result<()> {
        self.running.ask(slot, |core| async move { core.queues(&topic).await.map(|queues| json(&queues)) })
    }

    /// Drains, takes leave, ends; answered through the bell when nothing runs any more.
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

/// Takes a message in; it is settled through the bell.
#[napi(catch_unwind)]
pub fn producer_send(
    door: &External<ProducerDoor>,
    slot: u32,
    topic: String,
    sharding_key: String,
    body: BufferSlice<'_>,
    tags: Option<String>,
    keys: Option<String>,
    properties: Option<Vec<String>>,
    timeout_ms: f64,
) -> Result<()> {
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
    door.core.send(message).map_err(|error| refuse(&error))
}

/// Several messages in one request.
#[napi(catch_unwind)]
pub fn producer_send_batch(
    door: &External<ProducerDoor>,
    slot: u32,
    topic: String,
    sharding_key: String,
    bodies: Vec<BufferSlice<'_>>,
    tags: Vec<Option<String>>,
    keys: Vec<Option<String>>,
    properties: Vec<Vec<String>>,
    timeout_ms: f64,
) -> Result<()> {
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
    door.core.send_batch(batch).map_err(|error| refuse(&error))
}

/// The next thing that was said; `null` when there is nothing more. The numbers of sends go into `scratch`, 4 bytes each.
///
/// A failure that closes its key opens it again with this call, and its rejection must be the first thing that user code can see then:
/// so it is handed over only when no code of the user is due (`is_first`), and announced otherwise.
#[napi(catch_unwind)]
pub fn producer_take(
    door: &External<ProducerDoor>,
    mut scratch: BufferSlice<'_>,
    is_first: bool,
) -> Option<Heard<Slice>> {
    let mut turns = door.turns.lock().unwrap_or_else(PoisonError::into_inner);
    if turns.settled.len() >= MANY_RUNS && turns.turning.is_empty() {
        turns.turning = std::mem::take(&mut turns.settled);
        return Some(Heard::Own(Slice::Turn));
    }
    let heard = door.bell.take(|saying| match saying {
        Saying::Outcomes(outcomes) if outcomes.opens_key() && !is_first => Taken::Part(Slice::FailureNext),
        Saying::Outcomes(outcomes) => outcomes.take(&mut scratch),
        Saying::Undecided(topic) => Taken::Whole(Slice::Undecided { topic: std::mem::take(topic) }),
    });
    match &heard {
        Some(Heard::Own(Slice::Failed { failure: Some(failure), .. })) => {
            door.core.heard(&failure.topic, &failure.sharding_key);
        }
        Some(Heard::Own(Slice::Stored { gathered: Some(gathered), .. })) => turns.settled.push(*gathered),
        None if !turns.settled.is_empty() && turns.turning.is_empty() => {
            door.core.retain_gathering(&mut turns.settled);
            turns.turning = std::mem::take(&mut turns.settled);
            return (!turns.turning.is_empty()).then_some(Heard::Own(Slice::Turn));
        }
        _ => {}
    }
    heard
}

/// All whose sends were settled before `Turn` was said had their turn to send again.
#[napi(catch_unwind)]
pub fn producer_turned(door: &External<ProducerDoor>) {
    let turned = std::mem::take(&mut door.turns.lock().unwrap_or_else(PoisonError::into_inner).turning);
    if !turned.is_empty() {
        door.core.turned(&turned);
    }
}

/// A list of queues as it crosses: its number, the names of the brokers, and the numbers of the queues.
type Listed = (u32, Vec<String>, Vec<i32>);

fn listed(list: QueueList) -> Listed {
    let (brokers, ids) = list.queues.into_iter().map(|queue| (queue.broker_name, queue.queue_id)).unzip();
    (list.number, brokers, ids)
}

/// The list that a choice for a topic's keys addresses; `null` while it is not known.
#[napi(catch_unwind)]
pub fn producer_list(door: &External<ProducerDoor>, topic: String) -> Option<Listed> {
    door.core.queue_list(&topic).map(listed)
}

/// The facade's choice for a key, by its index in the list of this number. False when the list is another by now.
#[napi(catch_unwind)]
pub fn producer_choose(
    door: &External<ProducerDoor>,
    topic: String,
    sharding_key: String,
    list: u32,
    index: u32,
) -> bool {
    door.core.choose(&topic, &sharding_key, list, index as usize)
}

/// The keys that wait for a choice, and behind them the list; `null` when none can be made.
#[napi(catch_unwind)]
pub fn producer_undecided(door: &External<ProducerDoor>, topic: String) -> Option<(Vec<String>, Listed)> {
    door.core.undecided(&topic).map(|(list, keys)| (keys, listed(list)))
}

/// A choice was made, or none can be made, for all keys that were undecided.
#[napi(catch_unwind)]
pub fn producer_decided(door: &External<ProducerDoor>, topic: String) {
    door.core.decided(&topic);
}

/// No choice can be made for a key: what waits of it fails, for this reason.
#[napi(catch_unwind)]
pub fn producer_refuse(door: &External<ProducerDoor>, topic: String, sharding_key: String, reason: String) {
    door.core.refuse(&topic, &sharding_key, &reason);
}

/// Whether less is held than the high-water mark.
#[napi(catch_unwind)]
pub fn producer_has_room(door: &External<ProducerDoor>) -> bool {
    door.core.has_room()
}

/// A caller's signal, of these sends: takes out what still waits.
#[napi(catch_unwind)]
pub fn producer_abort(door: &External<ProducerDoor>, slots: Vec<u32>) {
    door.core.abort(&slots);
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

/// 0 means the producer's own.
fn timeout(ms: f64) -> Option<Duration> {
    (ms > 0.0).then(|| milliseconds(ms))
}
