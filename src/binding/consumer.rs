//! `NativeConsumer`: chunks out, acknowledgements in.

use super::bell::{Answers, Bell, Heard, Taken};
use super::chunks::{Chunks, Packed};
use super::config::{Checked, NativeConfig, NativeCredentials, count, milliseconds};
use super::packing::{Packer, room_for};
use super::running::{self, Running};
use super::{json, refuse};
use crate::client::Client;
use crate::consumer::{
    Consumer, ConsumerOptions, Delivery, Handover, InitialPosition, MessageModel, OnUndecodable, OrderedBy, Outcome,
    Paused, SeekTo, Sink, Suspend, Wish,
};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::{ExpressionKind, MessageQueue};
use crate::record::History;
use napi::bindgen_prelude::{BufferSlice, External, FnArgs, Function, Object, ToNapiValue};
use napi::{Env, Result, sys};
use napi_derive::napi;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What is subscribed; checked by the facade.
#[napi(object, object_to_js = false)]
#[derive(Clone, Debug)]
pub struct NativeSubscription {
    /// As the user sees it.
    pub topic: String,
    /// `TAG` or `SQL92`.
    pub expression_type: String,
    /// `*`, `TagA || TagB`, or a condition.
    pub expression: String,
}

/// What only a consumer has. Numbers were checked by the facade.
#[napi(object, object_to_js = false)]
#[derive(Clone, Debug)]
pub struct NativeConsumerOptions {
    /// One per topic.
    pub subscriptions: Vec<NativeSubscription>,
    /// Most messages that a handler gets at once.
    pub max_batch_messages: f64,
    /// `queue` or `key`.
    pub ordered_by: String,
    /// `last`, `first` or `timestamp`.
    pub initial_position: String,
    /// Milliseconds since 1970, with `timestamp`.
    pub initial_timestamp: f64,
    /// −1: without end.
    pub max_reconsume_times: f64,
    /// Whether every member gets every message.
    pub broadcasting: bool,
    /// An absolute path; only when broadcasting.
    pub offset_file: Option<String>,
    /// `hold`, `deadLetter` or `skip`.
    pub on_undecodable: String,
    /// After the first failure.
    pub suspend_initial_ms: f64,
    /// 1 and more.
    pub suspend_factor: f64,
    /// The longest.
    pub suspend_max_ms: f64,
    /// Messages of one queue in memory.
    pub prefetch_messages: f64,
    /// Bytes of all queues in memory.
    pub prefetch_bytes: f64,
    /// Between two commits.
    pub commit_interval_ms: f64,
    /// −1: none.
    pub handler_timeout_ms: f64,
}

impl NativeConsumerOptions {
    fn check(self, group: String) -> std::result::Result<ConsumerOptions, ClientError> {
        let unknown = |field: &str, value: &str| {
            ClientError::new(Code::InvalidArgument, format!("{field}: unknown value {value:?}"))
        };
        let mut subscriptions = Vec::new();
        for NativeSubscription { topic, expression_type, expression } in self.subscriptions {
            let kind = match expression_type.as_str() {
                "TAG" => ExpressionKind::Tag,
                "SQL92" => ExpressionKind::Sql92,
                other => return Err(unknown("expressionType", other)),
            };
            subscriptions.push(Wish { topic, kind, expression });
        }
        Ok(ConsumerOptions {
            group,
            subscriptions,
            ordered_by: match self.ordered_by.as_str() {
                "queue" => OrderedBy::Queue,
                "key" => OrderedBy::Key,
                other => return Err(unknown("concurrency.by", other)),
            },
            batch_messages: count(self.max_batch_messages),
            initial_position: match self.initial_position.as_str() {
                "last" => InitialPosition::Last,
                "first" => InitialPosition::First,
                "timestamp" => InitialPosition::Timestamp(self.initial_timestamp as i64),
                other => return Err(unknown("initialPosition", other)),
            },
            max_reconsume_times: (self.max_reconsume_times >= 0.0).then_some(self.max_reconsume_times as i32),
            suspend: Suspend {
                initial: milliseconds(self.suspend_initial_ms),
                factor: self.suspend_factor,
                max: milliseconds(self.suspend_max_ms),
            },
            message_model: if self.broadcasting {
                MessageModel::Broadcasting { offset_file: self.offset_file.map(PathBuf::from) }
            } else {
                MessageModel::Clustering
            },
            on_undecodable: match self.on_undecodable.as_str() {
                "hold" => OnUndecodable::Hold,
                "deadLetter" => OnUndecodable::DeadLetter,
                "skip" => OnUndecodable::Skip,
                other => return Err(unknown("onUndecodable", other)),
            },
            prefetch_messages: count(self.prefetch_messages),
            prefetch_bytes: count(self.prefetch_bytes),
            commit_interval: milliseconds(self.commit_interval_ms),
            handler_timeout: (self.handler_timeout_ms >= 0.0).then(|| milliseconds(self.handler_timeout_ms)),
            history: History::default(),
        })
    }
}

/// What only a consumer says.
pub(super) enum Own {
    /// There are messages of this queue to be taken.
    Chunk(u32),
    Abort {
        queue: u32,
        generation: u32,
        error: ClientError,
    },
    DeadLettered {
        queue: u32,
        message: Delivery,
    },
}

/// What crosses; messages are in the scratch memory of the facade.
pub enum Remark {
    Chunk(u32),
    Abort {
        queue: u32,
        generation: u32,
        error: String,
    },
    DeadLettered(u32),
    /// The scratch memory has to be of this size.
    TooSmall(usize),
}

impl ToNapiValue for Remark {
    /// `[kind, …]`; the facade's types name the rest.
    #[expect(unsafe_code, reason = "the trait's own signature; everything inside is napi's safe interface")]
    unsafe fn to_napi_value(env: sys::napi_env, remark: Self) -> Result<sys::napi_value> {
        match remark {
            Self::Chunk(queue) => unsafe { ToNapiValue::to_napi_value(env, (2u32, queue)) },
            Self::Abort { queue, generation, error } => unsafe {
                ToNapiValue::to_napi_value(env, (3u32, queue, generation, error))
            },
            Self::DeadLettered(queue) => unsafe { ToNapiValue::to_napi_value(env, (4u32, queue)) },
            Self::TooSmall(size) => unsafe { ToNapiValue::to_napi_value(env, (5u32, size as u32)) },
        }
    }
}

/// What is said to the facade, and the messages that wait for it.
struct JsSink {
    bell: Arc<Bell<Own>>,
    chunks: Chunks,
}

impl Sink for JsSink {
    fn deliver(&self, handover: Handover) -> bool {
        let queue = handover.queue;
        !self.chunks.put(handover) || self.bell.say(Own::Chunk(queue))
    }

    fn abort(&self, queue: u32, generation: u32, error: ClientError) {
        self.bell.say(Own::Abort { queue, generation, error });
    }

    fn dead_lettered(&self, queue: u32, message: Delivery) {
        self.bell.say(Own::DeadLettered { queue, message });
    }
}

/// What a started consumer is called through.
pub struct ConsumerDoor {
    core: Arc<RealConsumer>,
    sink: Arc<JsSink>,
}

/// How long an environment that has gone may take leave: no handler will end any more, but locks can be given back.
const ABANDONED: Duration = Duration::from_secs(5);

type RealConsumer = Consumer<Arc<Client>>;

impl running::Lifecycle for RealConsumer {
    async fn start(&self, bound: Duration) -> std::result::Result<(), ClientError> {
        self.start(bound).await
    }

    fn obstacle(&self) -> Option<ClientError> {
        self.obstacle()
    }

    async fn close(&self, bound: Duration) {
        self.close(bound).await;
    }

    async fn abandon(&self) {
        self.abandon(ABANDONED).await;
    }
}

impl std::fmt::Debug for ConsumerDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsumerDoor").finish_non_exhaustive()
    }
}

/// A consumer as the facade sees it.
#[napi]
pub struct NativeConsumer {
    checked: Checked,
    options: ConsumerOptions,
    running: Running<RealConsumer>,
}

impl std::fmt::Debug for NativeConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeConsumer").field("client_id", &self.checked.options.client_id).finish_non_exhaustive()
    }
}

#[napi]
impl NativeConsumer {
    /// Checks everything; starts nothing.
    #[napi(constructor, catch_unwind)]
    pub fn new(config: NativeConfig, options: NativeConsumerOptions) -> Result<Self> {
        let checked = config.check().map_err(|error| refuse(&error))?;
        let options = options.check(checked.options.group.clone()).map_err(|error| refuse(&error))?;
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
    pub fn start(&self, slot: u32, timeout_ms: f64, calls: Object<'_>) -> Result<External<ConsumerDoor>> {
        let bell = Bell::new(&calls, self.checked.records)?;
        bell.watch();
        let sink = Arc::new(JsSink { bell: Arc::clone(&bell), chunks: Chunks::default() });
        let client = Client::start(self.checked.options.clone(), Arc::clone(&bell) as _);
        let history = self.checked.history.history(Arc::clone(&bell) as _);
        let options = ConsumerOptions { history, ..self.options.clone() };
        match Consumer::new(Arc::clone(&client), options, Arc::clone(&sink) as _) {
            Ok(core) => {
                let core = Arc::new(core);
                let door = ConsumerDoor { core: Arc::clone(&core), sink };
                self.running.start(slot, milliseconds(timeout_ms), core, bell);
                Ok(External::new(door))
            }
            Err(error) => {
                env::spawn(async move { client.close().await });
                bell.release();
                Err(refuse(&error))
            }
        }
    }

    /// The names of a queue: topic as the user sees it, broker, id.
    #[napi(catch_unwind, ts_return_type = "[topic: string, brokerName: string, queueId: number] | null")]
    pub fn queue(&self, index: u32) -> Option<(String, String, i32)> {
        let queue = self.running.with(|core| core.queue(index))??;
        Some((queue.topic, queue.broker_name, queue.queue_id))
    }

    /// From now on the handlers of these do not start, and those of all others do. What runs ends in peace. Of queues: their topics, the
    /// names of their brokers, their numbers there.
    #[napi(catch_unwind)]
    pub fn pause(
        &self,
        everything: bool,
        topics: Vec<String>,
        queue_topics: Vec<String>,
        broker_names: Vec<String>,
        queue_ids: Vec<i32>,
    ) {
        let names = queue_topics.into_iter().zip(broker_names).zip(queue_ids);
        let queues = names.map(|((topic, broker_name), queue_id)| MessageQueue { topic, broker_name, queue_id });
        let paused = Paused { everything, topics: topics.into_iter().collect(), queues: queues.collect() };
        self.running.with(|core| core.pause(paused));
    }

    /// Commits what is handled at the call; answered through the bell with an error for each queue that has not acknowledged it in time.
    #[napi(catch_unwind)]
    pub fn commit(&self, slot: u32) -> Result<()> {
        self.running.ask(slot, |core| {
            let committed = core.commit();
            async move { Ok(json(&committed.await)) }
        })
    }

    /// Has a queue go on elsewhere: at `offset`, `first`, `last` or `timestamp`, whose number is `value`. Nothing starts at the old position from
    /// the call on; answered through the bell with `null` when the new one is committed.
    #[napi(catch_unwind)]
    pub fn seek(
        &self,
        slot: u32,
        topic: String,
        broker_name: String,
        queue_id: i32,
        to: String,
        value: f64,
    ) -> Result<()> {
        let to = match to.as_str() {
            "first" => SeekTo::First,
            "last" => SeekTo::Last,
            "timestamp" => SeekTo::Timestamp(value as i64),
            _ => SeekTo::Offset(value as i64),
        };
        let queue = MessageQueue { topic, broker_name, queue_id };
        self.running.ask(slot, |core| {
            let sought = core.seek(&queue, to);
            async move { sought.await.map(|()| String::from("null")) }
        })
    }

    /// The queues that are ours, as JSON.
    #[napi(catch_unwind)]
    pub fn assignment(&self) -> Result<String> {
        Ok(json(&self.running.core()?.assignment()))
    }

    /// Counts, as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<String> {
        Ok(json(&self.running.core()?.stats()))
    }

    /// What is wrong at the moment, as JSON: `{ problems: [error, …] }`.
    #[napi(catch_unwind)]
    pub fn health(&self) -> Result<String> {
        Ok(json(&self.running.core()?.health()))
    }

    /// Drains, commits, unlocks, unregisters; answered through `answer` when nothing runs any more or the time is up.
    #[napi(catch_unwind)]
    pub fn close(&self, slot: u32, timeout_ms: f64) -> Result<()> {
        self.running.close(slot, milliseconds(timeout_ms))
    }
}

/// The next thing that was said; `null` when there is nothing more. A message goes into `scratch`.
#[napi(catch_unwind)]
pub fn consumer_take(door: &External<ConsumerDoor>, mut scratch: BufferSlice<'_>) -> Option<Heard<Remark>> {
    door.sink.bell.take(|own| match own {
        Own::Chunk(queue) => Taken::Whole(Remark::Chunk(*queue)),
        Own::Abort { queue, generation, error } => {
            Taken::Whole(Remark::Abort { queue: *queue, generation: *generation, error: error.to_json() })
        }
        Own::DeadLettered { queue, message } => {
            let mut packer = Packer::new(&mut scratch);
            packer.pack(message);
            match packer.finish() {
                0 => Taken::Part(Remark::TooSmall(room_for(message))),
                _ => Taken::Whole(Remark::DeadLettered(*queue)),
            }
        }
    })
}

/// The next messages of a queue, packed into `scratch`: their generation, their number, and how many of their chunk are left. One number is the
/// size that `scratch` must have; `null`: there are no more, and the next ones are told of. With `rest_of` only what is left of a chunk of that
/// generation.
#[napi(catch_unwind)]
pub fn consumer_chunk(
    door: &External<ConsumerDoor>,
    queue: u32,
    mut scratch: BufferSlice<'_>,
    rest_of: Option<u32>,
) -> Option<Vec<u32>> {
    Some(match door.sink.chunks.take(queue, &mut scratch, rest_of)? {
        Packed::Messages { generation, count, left } => vec![generation, count, left],
        Packed::TooSmall(size) => vec![size as u32],
    })
}

/// Whether the handler of the messages from `offset` to `last`, mostly one, may be called now, in this very tick. A "no" is final for its
/// generation.
#[napi(catch_unwind)]
pub fn consumer_may_start(door: &External<ConsumerDoor>, queue: u32, generation: u32, offset: f64, last: f64) -> bool {
    door.core.may_start(queue, generation, offset as i64, last as i64)
}

/// A running handler of several messages is done with one of them, and goes on with the next.
#[napi(catch_unwind)]
pub fn consumer_pass(door: &External<ConsumerDoor>, queue: u32, generation: u32, offset: f64, next: f64) {
    door.core.pass(queue, generation, offset as i64, next as i64);
}

/// Queue, generation, offset, and the offset of the next message or −1.
type Success = (u32, u32, f64, f64);

/// The function that successes of handlers are told with: `(queue, generation, offset, next)`. With a `next` that is not negative the handler
/// of that message may be called in the same tick, if the answer says so. It is called for every message, and a closure of four numbers costs
/// a third of a function that gets the door and all that a failure has.
///
/// Bit 0 of the answer: go on with this chunk; bit 1: the next one may be called.
#[napi(catch_unwind)]
pub fn consumer_success<'env>(
    env: &'env Env,
    door: &External<ConsumerDoor>,
) -> Result<Function<'env, FnArgs<Success>, u32>> {
    let core = Arc::clone(&door.core);
    env.create_function_from_closure("consumerSuccess", move |call| {
        let (queue, generation, offset, next): Success = call.args()?;
        let ack = core.succeeded(queue, generation, offset as i64, (next >= 0.0).then_some(next as i64));
        Ok(u32::from(ack.starts) * 2 + u32::from(ack.go_on))
    })
}

/// A handler has failed: 1 later, 2 after `suspendMs`, 3 to the dead-letter queue; 4: it says nothing of its message. The answer is the delay before
/// the next attempt, in ms.
#[napi(catch_unwind)]
pub fn consumer_failure(
    door: &External<ConsumerDoor>,
    queue: u32,
    generation: u32,
    offset: f64,
    outcome: u32,
    suspend_ms: f64,
    reason: Option<String>,
) -> f64 {
    let outcome = match outcome {
        2 => Outcome::Suspend(milliseconds(suspend_ms)),
        3 => Outcome::DeadLetter,
        4 => {
            door.core.left(queue, generation, offset as i64);
            return 0.0;
        }
        _ => Outcome::Later,
    };
    let ack = door.core.failed(queue, generation, offset as i64, outcome, reason);
    (ack.delay.as_secs_f64() * 1000.0).round()
}
