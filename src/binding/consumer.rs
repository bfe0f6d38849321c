//! `NativeConsumer`: chunks out, acknowledgements in.

use super::callback::{Answer, AnswerArgs, Callback, JsEvents, answers};
use super::config::{Checked, NativeConfig, count, milliseconds};
use super::delivery::{Chunk, MakeMessage, Single};
use super::{NOT_RUNNING, json, refuse};
use crate::client::Client;
use crate::consumer::{Consumer, ConsumerOptions, Delivery, InitialPosition, Outcome, Sink, Suspend, Wish};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::ExpressionKind;
use napi::Result;
use napi::bindgen_prelude::{FnArgs, Object};
use napi_derive::napi;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// `last`, `first` or `timestamp`.
    pub initial_position: String,
    /// Milliseconds since 1970, with `timestamp`.
    pub initial_timestamp: f64,
    /// −1: without end.
    pub max_reconsume_times: f64,
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
            prefetch_messages: count(self.prefetch_messages),
            prefetch_bytes: count(self.prefetch_bytes),
            commit_interval: milliseconds(self.commit_interval_ms),
        })
    }
}

/// A chunk: queue, generation, messages.
type Delivered = (u32, u32, Vec<Delivery>);
/// Why a running handler should stop: queue, generation, reason.
type Abort = (u32, u32, ClientError);

/// The facade's functions.
struct JsSink {
    deliver: Callback<Delivered, FnArgs<(u32, u32, Chunk)>>,
    abort: Callback<Abort, FnArgs<(u32, u32, String)>>,
    dead_lettered: Callback<(u32, Delivery), FnArgs<(Single, u32)>>,
    answer: Callback<Answer, AnswerArgs>,
    events: Arc<JsEvents>,
}

impl JsSink {
    fn new(calls: &Object<'_>, make: MakeMessage, debug: bool) -> Result<Self> {
        let make = Rc::new(make);
        let make_chunk = Rc::clone(&make);
        Ok(Self {
            deliver: Callback::new(calls, "deliver", move |context| {
                let (queue, generation, messages): Delivered = context.value;
                Ok(FnArgs::from((queue, generation, Chunk { queue, messages, make: Rc::clone(&make_chunk) })))
            })?,
            abort: Callback::new(calls, "abort", |context| {
                let (queue, generation, error): Abort = context.value;
                Ok(FnArgs::from((queue, generation, error.to_json())))
            })?,
            dead_lettered: Callback::new(calls, "deadLettered", move |context| {
                let (queue, message): (u32, Delivery) = context.value;
                Ok(FnArgs::from((Single(Chunk { queue, messages: vec![message], make: Rc::clone(&make) }), queue)))
            })?,
            answer: answers(calls)?,
            events: Arc::new(JsEvents::new(calls, debug)?),
        })
    }

    fn release(&self) {
        self.deliver.release();
        self.abort.release();
        self.dead_lettered.release();
        self.answer.release();
        self.events.release();
    }
}

impl Sink for JsSink {
    fn deliver(&self, queue: u32, generation: u32, chunk: Vec<Delivery>) -> bool {
        self.deliver.call((queue, generation, chunk))
    }

    fn abort(&self, queue: u32, generation: u32, error: ClientError) {
        self.abort.call((queue, generation, error));
    }

    fn dead_lettered(&self, queue: u32, message: Delivery) {
        self.dead_lettered.call((queue, message));
    }
}

type Core = Consumer<Arc<Client>>;

/// The core stays after `close()`, so that the last acknowledgement of a handler that outlived it finds its gate.
struct Running {
    core: Arc<Core>,
    sink: Arc<JsSink>,
    closed: bool,
}

/// A consumer as the facade sees it.
#[napi]
pub struct NativeConsumer {
    checked: Checked,
    options: ConsumerOptions,
    running: Arc<Mutex<Option<Running>>>,
}

impl std::fmt::Debug for NativeConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeConsumer").field("client_id", &self.checked.options.client_id).finish_non_exhaustive()
    }
}

fn lock(running: &Mutex<Option<Running>>) -> MutexGuard<'_, Option<Running>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[napi]
impl NativeConsumer {
    /// Checks everything; starts nothing.
    #[napi(constructor, catch_unwind)]
    pub fn new(config: NativeConfig, options: NativeConsumerOptions) -> Result<Self> {
        let checked = config.check().map_err(|error| refuse(&error))?;
        let options = options.check(checked.options.group.clone()).map_err(|error| refuse(&error))?;
        Ok(Self { checked, options, running: Arc::default() })
    }

    /// What brokers know it by.
    #[napi(getter, catch_unwind)]
    pub fn client_id(&self) -> String {
        self.checked.options.client_id.clone()
    }

    /// Answered through `answer`. Failed, nothing is left running.
    #[napi(
        catch_unwind,
        ts_args_type = "slot: number, timeoutMs: number, calls: object, makeMessage: (...fields: any[]) => any"
    )]
    pub fn start(&self, slot: u32, timeout_ms: f64, calls: Object<'_>, make_message: MakeMessage) -> Result<()> {
        let sink = Arc::new(JsSink::new(&calls, make_message, self.checked.debug)?);
        let client = Client::start(self.checked.options.clone(), Arc::clone(&sink.events) as _);
        let core = match Consumer::new(Arc::clone(&client), self.options.clone(), Arc::clone(&sink) as _) {
            Ok(core) => Arc::new(core),
            Err(error) => {
                env::spawn(async move { client.close().await });
                sink.release();
                return Err(refuse(&error));
            }
        };
        *lock(&self.running) = Some(Running { core: Arc::clone(&core), sink: Arc::clone(&sink), closed: false });
        let (running, timeout) = (Arc::clone(&self.running), milliseconds(timeout_ms));
        env::spawn(async move {
            if let Err(error) = core.start(timeout).await {
                core.close(Duration::ZERO).await;
                lock(&running).take();
                sink.answer.call(Answer::of(slot, Err(error)));
                sink.release();
            } else {
                sink.answer.call(Answer::of(slot, Ok(String::from("null"))));
            }
        });
        Ok(())
    }

    fn core(&self) -> Option<Arc<Core>> {
        lock(&self.running).as_ref().map(|running| Arc::clone(&running.core))
    }

    fn open_core(&self) -> Result<Arc<Core>> {
        self.core().ok_or_else(|| refuse(&ClientError::new(Code::Closed, NOT_RUNNING)))
    }

    /// The names of a queue: topic as the user sees it, broker, id.
    #[napi(catch_unwind, ts_return_type = "[topic: string, brokerName: string, queueId: number] | null")]
    pub fn queue(&self, index: u32) -> Option<(String, String, i32)> {
        let queue = self.core()?.queue(index)?;
        Some((queue.topic, queue.broker_name, queue.queue_id))
    }

    /// Whether the handler of this message may be called now, in this very tick. A "no" is final for its generation.
    #[napi(catch_unwind)]
    pub fn may_start(&self, queue: u32, generation: u32, offset: f64) -> bool {
        lock(&self.running).as_ref().is_some_and(|running| running.core.may_start(queue, generation, offset as i64))
    }

    /// A handler has ended: 0 success, 1 later, 2 after `suspendMs`, 3 to the dead-letter queue.
    /// Bit 0 of the result: go on with this chunk; the rest: the delay before the next attempt in milliseconds.
    #[napi(catch_unwind)]
    pub fn ack(
        &self,
        queue: u32,
        generation: u32,
        offset: f64,
        outcome: u32,
        suspend_ms: f64,
        reason: Option<String>,
    ) -> f64 {
        let outcome = match outcome {
            0 => Outcome::Success,
            2 => Outcome::Suspend(milliseconds(suspend_ms)),
            3 => Outcome::DeadLetter,
            _ => Outcome::Later,
        };
        let running = lock(&self.running);
        let Some(Running { core, .. }) = running.as_ref() else { return 0.0 };
        let ack = core.ack(queue, generation, offset as i64, outcome, reason);
        (ack.delay.as_secs_f64() * 1000.0).round() * 2.0 + f64::from(u8::from(ack.go_on))
    }

    /// The queues that are ours, as JSON.
    #[napi(catch_unwind)]
    pub fn assignment(&self) -> Result<String> {
        Ok(json(&self.open_core()?.assignment()))
    }

    /// Counts, as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<String> {
        Ok(json(&self.open_core()?.stats()))
    }

    /// What is wrong at the moment, as JSON: `{ problems: [error, …] }`.
    #[napi(catch_unwind)]
    pub fn health(&self) -> Result<String> {
        Ok(json(&self.open_core()?.health()))
    }

    /// Drains, commits, unlocks, unregisters; answered through `answer` when nothing runs any more or the time is up.
    #[napi(catch_unwind)]
    pub fn close(&self, slot: u32, timeout_ms: f64) -> Result<()> {
        let core = self.open_core()?;
        let running = Arc::clone(&self.running);
        env::spawn(async move {
            core.close(milliseconds(timeout_ms)).await;
            if let Some(Running { sink, closed, .. }) = lock(&running).as_mut() {
                *closed = true;
                sink.answer.call(Answer::of(slot, Ok(String::from("null"))));
                sink.release();
            }
        });
        Ok(())
    }
}

impl Drop for NativeConsumer {
    /// The environment has gone (a worker thread ended) without `close()`: no handler will end any more, but locks can be given back.
    fn drop(&mut self) {
        if let Some(Running { core, sink, closed: false }) = lock(&self.running).take() {
            sink.release();
            env::spawn(async move { core.abandon(Duration::from_secs(5)).await });
        }
    }
}
