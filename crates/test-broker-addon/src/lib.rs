//! `NativeTestBroker`: requests in as JSON, answers out as JSON. Nothing here is hot.
//!
//! The rules of the border are those of the package's own binding: every failure crosses as the JSON text of a `Refused`, every
//! synchronous export is `catch_unwind`, and nothing in a threadsafe callback can panic.
#![allow(unreachable_pub, reason = "what napi exports must be `pub`, and nothing in Rust sees it")]
#![allow(clippy::needless_pass_by_value, reason = "napi hands owned values over")]

mod answers;
mod certificates;
pub mod histories;

use answers::Answers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use napi::Result;
use napi::bindgen_prelude::{BufferSlice, Object};
use napi_derive::napi;
use rocketmq_protocol::{Credentials, MessageQueue};
use rocketmq_test_broker::error::{Code, Refused};
use rocketmq_test_broker::{
    ClientPattern, Effect, FaultMatch, Keep, Perm, Position, Publication, Release, ServerTls, TestBroker,
    TestBrokerOptions, codes_of, env,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::result::Result as Outcome;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Of calls before `start()` has resolved.
const NOT_STARTED: &str = "the test broker is not started";

/// A value that crosses as text.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A refusal of a synchronous call: its text is the JSON of the error.
fn refuse(refused: &Refused) -> napi::Error {
    napi::Error::from_reason(json(refused))
}

fn invalid(text: impl Into<String>) -> Refused {
    Refused::new(Code::InvalidArgument, text)
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Outcome<T, Refused> {
    serde_json::from_str(text).map_err(|error| invalid(error.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Account {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
    channel: Option<String>,
}

/// Without a certificate it gets one of its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tls {
    cert: Option<String>,
    key: Option<String>,
    client_ca: Option<String>,
    permissive: bool,
}

impl Tls {
    /// What servers need, and the authority that clients should trust, where we know it.
    fn check(self) -> Outcome<(ServerTls, Option<String>), Refused> {
        let Self { cert, key, client_ca, permissive } = self;
        let (cert, key, ca) = match (cert, key) {
            (Some(cert), Some(key)) => (cert, key, None),
            (None, None) => {
                let own = certificates::certified().map_err(|error| invalid(format!("tls: {error}")))?;
                (own.cert, own.key, Some(own.ca))
            }
            _ => return Err(invalid("tls: cert and key belong together")),
        };
        Ok((ServerTls { cert, key, client_ca, permissive }, ca))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    topics: Option<Vec<(String, i32)>>,
    groups: Option<Vec<String>>,
    brokers: usize,
    port: u16,
    version: String,
    credentials: Vec<Account>,
    seed: u64,
    time_factor: f64,
    tls: Option<Tls>,
}

impl Options {
    /// The core's options, and the authority that clients should trust, where we know it.
    fn check(self) -> Outcome<(TestBrokerOptions, Option<String>), Refused> {
        let release = match self.version.as_str() {
            "4.9" => Release::V4,
            "5.5" => Release::V5,
            other => return Err(invalid(format!("version: unknown value {other:?}"))),
        };
        if !(self.time_factor > 0.0 && self.time_factor <= 1000.0) {
            return Err(invalid("timeFactor: must be above 0, and at most 1000"));
        }
        let account = |account: Account| Credentials {
            access_key: account.access_key,
            secret_key: account.secret_key,
            security_token: account.security_token,
            channel: account.channel,
        };
        let (tls, ca) = self.tls.map(Tls::check).transpose()?.unzip();
        let options = TestBrokerOptions {
            topics: self.topics,
            groups: self.groups,
            brokers: self.brokers,
            port: self.port,
            release,
            credentials: self.credentials.into_iter().map(account).collect(),
            seed: self.seed,
            time_factor: self.time_factor,
            tls,
        };
        Ok((options, ca.flatten()))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RequestName {
    Code(i32),
    Name(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FaultCall {
    request: Option<RequestName>,
    client_id: Option<String>,
    client_pattern: Option<(String, String)>,
    topic: Option<String>,
    queue_id: Option<i32>,
    nth: Option<u64>,
    times: Option<u64>,
    probability: Option<f64>,
    delay_ms: Option<u64>,
    stall_ms: Option<u64>,
    answer: Option<i32>,
    remark: Option<String>,
    drop: Option<String>,
    disconnect: Option<String>,
    cut_answer_at: Option<usize>,
    blackhole: Option<bool>,
    disorder: Option<bool>,
    /// Base64.
    garbage: Option<String>,
}

impl FaultCall {
    fn request(&self) -> Outcome<FaultMatch, Refused> {
        let codes = match &self.request {
            None => Vec::new(),
            Some(RequestName::Code(code)) => vec![*code],
            Some(RequestName::Name(name)) => {
                codes_of(name).ok_or_else(|| invalid(format!("request: unknown name {name:?}")))?.to_vec()
            }
        };
        let client = match (&self.client_id, &self.client_pattern) {
            (Some(id), _) => Some(ClientPattern::Exact(id.clone())),
            (None, Some((source, flags))) => {
                let regex = regress::Regex::with_flags(source, flags.as_str());
                Some(ClientPattern::Regex(Box::new(regex.map_err(|error| invalid(format!("clientId: {error}")))?)))
            }
            (None, None) => None,
        };
        Ok(FaultMatch {
            codes,
            client,
            topic: self.topic.clone(),
            queue_id: self.queue_id,
            nth: self.nth,
            times: self.times,
            probability: self.probability,
        })
    }

    fn effect(self) -> Outcome<Effect, Refused> {
        let mut effects = Vec::new();
        effects.extend(self.delay_ms.map(Effect::Delay));
        effects.extend(self.stall_ms.map(Effect::Stall));
        effects.extend(self.answer.map(|code| Effect::Answer { code, remark: self.remark }));
        match self.drop.as_deref() {
            None => {}
            Some("answer") => effects.push(Effect::DropAnswer),
            Some("request") => effects.push(Effect::DropRequest),
            Some(other) => return Err(invalid(format!("drop: unknown value {other:?}"))),
        }
        match self.disconnect.as_deref() {
            None => {}
            Some("before") => effects.push(Effect::DisconnectBefore),
            Some("after") => effects.push(Effect::DisconnectAfter),
            Some(other) => return Err(invalid(format!("disconnect: unknown value {other:?}"))),
        }
        effects.extend(self.cut_answer_at.map(Effect::CutAnswerAt));
        effects.extend(self.blackhole.filter(|set| *set).map(|_| Effect::Blackhole));
        effects.extend(self.disorder.filter(|set| *set).map(|_| Effect::Disorder));
        if let Some(text) = self.garbage {
            let bytes = STANDARD.decode(text).map_err(|_| invalid("garbage: must be bytes"))?;
            effects.push(Effect::Garbage(Bytes::from(bytes)));
        }
        match (effects.pop(), effects.is_empty()) {
            (Some(effect), true) => Ok(effect),
            (None, _) => Err(invalid("fault: says what to match and not what to do")),
            (Some(_), false) => Err(invalid("fault: does one thing; make a fault of each")),
        }
    }
}

/// What is answered at once.
#[derive(Deserialize)]
#[serde(tag = "method", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Call {
    CreateTopic { topic: String, queues: i32, read_queues: i32, perm: String },
    CreateGroup { group: String },
    Messages { topic: String },
    Offsets { group: String },
    ResetOffset { group: String, topic: String, offset: Option<i64>, time: Option<i64> },
    Members { group: String },
    Locks { group: String },
    StealLocks { group: String, queue: Option<MessageQueue> },
    ForgetLocks,
    Truncate { queue: MessageQueue, offset: i64 },
    SetBack { queue: MessageQueue, offset: i64 },
    Requests,
    MaxInFlightPerKey,
    Violations,
    Fault { fault: Box<FaultCall> },
    FaultHits { id: u32 },
    RemoveFault { id: u32 },
    ClearFaults,
}

impl Call {
    fn run(self, broker: &TestBroker) -> Outcome<String, Refused> {
        let nothing = |()| String::from("null");
        match self {
            Self::CreateTopic { topic, queues, read_queues, perm } => {
                let perm = match perm.as_str() {
                    "rw" => Perm::ReadWrite,
                    "r" => Perm::Read,
                    "w" => Perm::Write,
                    other => return Err(invalid(format!("perm: unknown value {other:?}"))),
                };
                broker.resize_topic(&topic, read_queues, queues, perm).map(nothing)
            }
            Self::CreateGroup { group } => broker.create_group(&group).map(nothing),
            Self::Messages { topic } => broker.messages(&topic).map(|messages| json(&messages)),
            Self::Offsets { group } => broker.offsets(&group).map(|offsets| json(&offsets)),
            Self::ResetOffset { group, topic, offset, time } => {
                let to = match (offset, time) {
                    (Some(offset), None) => Position::Offset(offset),
                    (None, Some(time)) => Position::Time(time),
                    _ => return Err(invalid("to: must be an offset or a time")),
                };
                broker.reset_offset(&group, &topic, to).map(nothing)
            }
            Self::Members { group } => broker.members(&group).map(|members| json(&members)),
            Self::Locks { group } => broker.locks(&group).map(|locks| json(&locks)),
            Self::StealLocks { group, queue } => broker.steal_locks(&group, queue.as_ref()).map(nothing),
            Self::ForgetLocks => broker.forget_locks().map(nothing),
            Self::Truncate { queue, offset } => broker.truncate(&queue, offset).map(nothing),
            Self::SetBack { queue, offset } => broker.set_back(&queue, offset).map(nothing),
            Self::Requests => broker.requests().map(|requests| json(&requests)),
            Self::MaxInFlightPerKey => broker.max_in_flight_per_key().map(|most| json(&most)),
            Self::Violations => Ok(json(&broker.take_violations())),
            Self::Fault { fault } => {
                let request = fault.request()?;
                broker.fault(request, fault.effect()?).map(|id| json(&id))
            }
            Self::FaultHits { id } => Ok(json(&broker.fault_hits(id))),
            Self::RemoveFault { id } => {
                broker.remove_fault(id);
                Ok(String::from("null"))
            }
            Self::ClearFaults => broker.clear_faults().map(nothing),
        }
    }
}

/// What takes its time.
#[derive(Deserialize)]
#[serde(tag = "method", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Task {
    CaughtUp { group: String, timeout_ms: u64 },
    StopBroker { index: usize },
    StartBroker { index: usize, keep: String },
    StopNameServer,
    StartNameServer,
    StoredSince { places: Vec<i64> },
}

impl Task {
    async fn run(self, broker: &TestBroker) -> Outcome<Value, Refused> {
        match self {
            Self::CaughtUp { group, timeout_ms } => {
                broker.caught_up(&group, Duration::from_millis(timeout_ms)).await.map(|()| Value::Null)
            }
            Self::StopBroker { index } => broker.stop_broker(index).await.map(|()| Value::Null),
            Self::StartBroker { index, keep } => {
                let keep = match keep.as_str() {
                    "all" => Keep::All,
                    "stored" => Keep::Stored,
                    other => return Err(invalid(format!("keep: unknown value {other:?}"))),
                };
                broker.start_broker(index, keep).await.map(|()| Value::Null)
            }
            Self::StopNameServer => broker.stop_name_server().await.map(|()| Value::Null),
            Self::StartNameServer => broker.start_name_server().await.map(|()| Value::Null),
            Self::StoredSince { places } => {
                let (messages, places) = broker.stored_since(places).await?;
                Ok(serde_json::json!({ "messages": messages, "places": places }))
            }
        }
    }
}

#[derive(Clone)]
struct Running {
    broker: Arc<TestBroker>,
    answers: Arc<Answers>,
}

/// `[name, value, name, value]` → pairs.
fn pairs(flat: Vec<String>) -> Vec<(String, String)> {
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    let mut rest = flat.into_iter();
    while let (Some(name), Some(value)) = (rest.next(), rest.next()) {
        pairs.push((name, value));
    }
    pairs
}

/// A test broker as the facade sees it.
#[napi]
#[derive(Default)]
pub struct NativeTestBroker {
    running: Arc<Mutex<Option<Running>>>,
}

impl std::fmt::Debug for NativeTestBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeTestBroker").finish_non_exhaustive()
    }
}

fn lock(running: &Mutex<Option<Running>>) -> MutexGuard<'_, Option<Running>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[napi]
impl NativeTestBroker {
    /// Starts nothing.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answered through `answer` with `{ nameServer, brokers, ca }`. Failed, nothing is left running.
    #[napi(catch_unwind, ts_args_type = "slot: number, options: string, calls: object")]
    pub fn start(&self, slot: u32, options: String, calls: Object<'_>) -> Result<()> {
        let (options, ca) = read::<Options>(&options).and_then(Options::check).map_err(|error| refuse(&error))?;
        let answers = Arc::new(Answers::of(&calls)?);
        let running = Arc::clone(&self.running);
        env::spawn(async move {
            match TestBroker::start(options).await {
                Ok(broker) => {
                    let addresses = serde_json::json!({
                        "nameServer": broker.name_server(), "brokers": broker.brokers(), "ca": ca,
                    });
                    let started = Running { broker: Arc::new(broker), answers: Arc::clone(&answers) };
                    *lock(&running) = Some(started);
                    answers.answer(slot, Ok(addresses.to_string()));
                }
                Err(error) => {
                    answers.answer(slot, Err(error));
                    answers.release();
                }
            }
        });
        Ok(())
    }

    fn running(&self) -> Result<Running> {
        lock(&self.running).clone().ok_or_else(|| refuse(&Refused::new(Code::Closed, NOT_STARTED)))
    }

    /// `{ method, … }` that is answered at once, with JSON.
    #[napi(catch_unwind)]
    pub fn call(&self, request: String) -> Result<String> {
        let broker = self.running()?.broker;
        read::<Call>(&request).and_then(|call| call.run(&broker)).map_err(|error| refuse(&error))
    }

    /// `{ method, … }` that takes its time, answered through `answer`.
    #[napi(catch_unwind)]
    pub fn ask(&self, slot: u32, request: String) -> Result<()> {
        let Running { broker, answers } = self.running()?;
        let task: Task = read(&request).map_err(|error| refuse(&error))?;
        env::spawn(async move {
            let result = task.run(&broker).await.map(|value| value.to_string());
            answers.answer(slot, result);
        });
        Ok(())
    }

    /// Stores a message; properties are names and values in turn, RocketMQ's own among them. JSON of a receipt.
    #[napi(catch_unwind)]
    pub fn publish(
        &self,
        topic: String,
        sharding_key: String,
        body: BufferSlice<'_>,
        properties: Vec<String>,
    ) -> Result<String> {
        let broker = self.running()?.broker;
        let body = Bytes::copy_from_slice(&body);
        let properties = pairs(properties);
        let published = broker.publish(Publication { topic, sharding_key, body, properties });
        published.map(|published| json(&published)).map_err(|error| refuse(&error))
    }

    /// Closes every socket; answered through `answer`, which is given back then.
    #[napi(catch_unwind)]
    pub fn close(&self, slot: u32) -> Result<()> {
        let Running { broker, answers } = self.running()?;
        env::spawn(async move {
            let result = broker.close().await.map(|()| String::from("null"));
            answers.answer(slot, result);
            answers.release();
        });
        Ok(())
    }
}

impl Drop for NativeTestBroker {
    /// The environment has gone without `close()`; the sockets end with the last handle.
    fn drop(&mut self) {
        if let Some(running) = lock(&self.running).take() {
            running.answers.release();
        }
    }
}
