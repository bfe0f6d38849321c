//! What brokers ask of a consumer: 40 and 220 are obeyed, 221, 307 and 309 answered truthfully.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::brokers::Brokers;
use super::gate::Tenure;
use super::queue::{Order, Phase, Queue};
use super::shared::Shared;
use crate::client::{Answer, Event, Level, PushCall};
use crate::error::{ClientError, Code};
use crate::protocol::code::response;
use crate::protocol::command::VERSION;
use crate::protocol::push::{QueueInfo, RunningInfo, TopicStatus, consumer_status};
use crate::protocol::{MessageQueue, NOWHERE, Push, StoredMessage};

/// Takes brokers' requests until the client is closed.
pub(crate) async fn run<B: Brokers>(shared: Arc<Shared<B>>, calls: Arc<tokio::sync::Mutex<mpsc::Receiver<PushCall>>>) {
    // Whoever had it before has ended.
    let mut calls = calls.lock().await;
    while let Some(PushCall { push, reply }) = calls.recv().await {
        if let Some((answer, reply)) = handle(&shared, push, reply).zip_with() {
            let _ = reply.send(answer);
        }
    }
}

/// An answer, and where it goes; an order takes the way back along.
struct Handled {
    answer: Option<Answer>,
    reply: Option<oneshot::Sender<Answer>>,
}

impl Handled {
    fn zip_with(self) -> Option<(Answer, oneshot::Sender<Answer>)> {
        self.answer.zip(self.reply)
    }
}

fn handle<B: Brokers>(shared: &Arc<Shared<B>>, push: Push, reply: Option<oneshot::Sender<Answer>>) -> Handled {
    let answer = match push {
        Push::MembersChanged { group } => {
            if group == shared.group.name {
                shared.group.want_rebalance();
            }
            None
        }
        Push::ResetOffsets { group, offsets, .. } => {
            if group == shared.group.name {
                reset(shared, &offsets);
            }
            None
        }
        Push::ConsumerStatus { group, topic } => Some(ours(shared, &group).unwrap_or_else(|| status(shared, &topic))),
        Push::RunningInfo { group, .. } => Some(ours(shared, &group).unwrap_or_else(|| running_info(shared))),
        Push::ConsumeDirectly { group, broker_name, message, .. } => match ours(shared, &group) {
            Some(refusal) => Some(refusal),
            None => return direct(shared, broker_name, message, reply),
        },
        Push::Ignored { .. } => None,
        Push::Unsupported { .. } => Some(refused(response::REQUEST_CODE_NOT_SUPPORTED, "not supported by this client")),
    };
    Handled { answer, reply }
}

fn refused(code: i32, why: &str) -> Answer {
    Answer { code, remark: Some(why.to_owned()), body: Bytes::new() }
}

fn answered(body: Bytes) -> Answer {
    Answer { code: response::SUCCESS, remark: None, body }
}

/// A refusal, where the group is not ours.
fn ours<B: Brokers>(shared: &Shared<B>, group: &str) -> Option<Answer> {
    (group != shared.group.name)
        .then(|| refused(response::SYSTEM_ERROR, &format!("The Consumer Group <{group}> not exist in this consumer")))
}

/// Whether a queue is ours, certainly or for all we know.
fn is_owned(queue: &Queue) -> bool {
    let phase = queue.view().phase;
    !matches!(phase, Phase::Gone | Phase::Locking) && !matches!(queue.gate.tenure(), Tenure::Absent | Tenure::Lost)
}

fn reset<B: Brokers>(shared: &Arc<Shared<B>>, offsets: &[(MessageQueue, i64)]) {
    for (name, to) in offsets {
        let Some(queue) = shared.queues.find(name) else { continue };
        if !is_owned(&queue) {
            queue.moves();
            continue;
        }
        if !(0..NOWHERE).contains(to) {
            let text = format!("a reset of {} to offset {to} is not obeyed: it lies in no queue", queue.shown);
            shared.warn(ClientError::new(Code::Protocol, text).with_queue(queue.name()));
            continue;
        }
        if queue.orders.try_send(Order::Reset(*to)).is_err() {
            let fields = serde_json::json!({ "queue": queue.shown, "offset": to });
            shared.brokers.emit(Event::log(
                Level::Warn,
                "a reset was dropped: too many orders wait for this queue",
                fields,
            ));
        }
    }
}

fn status<B: Brokers>(shared: &Arc<Shared<B>>, topic: &str) -> Answer {
    let ours = shared.queues.all().into_iter().filter(|queue| queue.real.topic == topic && is_owned(queue));
    let offsets: Vec<_> = ours.map(|queue| (queue.real.clone(), queue.view().next.unwrap_or_default())).collect();
    answered(consumer_status(&offsets))
}

fn direct<B: Brokers>(
    shared: &Arc<Shared<B>>,
    broker_name: String,
    message: Box<StoredMessage>,
    reply: Option<oneshot::Sender<Answer>>,
) -> Handled {
    let name = MessageQueue::new(message.topic.clone(), broker_name, message.queue_id);
    let Some(queue) = shared.queues.find(&name).filter(|queue| is_owned(queue)) else {
        let why = format!("{name} is not consumed by this client at the moment: ask the client that owns the queue");
        return Handled { answer: Some(refused(response::SYSTEM_ERROR, &why)), reply };
    };
    let (answer, _) = oneshot::channel();
    let order = Order::Direct { message, reply: reply.unwrap_or(answer) };
    match queue.orders.try_send(order) {
        Err(mpsc::error::TrySendError::Full(Order::Direct { reply, .. })) => Handled {
            answer: Some(refused(response::SYSTEM_ERROR, "too many orders wait for this queue")),
            reply: Some(reply),
        },
        // Taken; or closing, which the dropped reply tells.
        Ok(()) | Err(_) => Handled { answer: None, reply: None },
    }
}

fn running_info<B: Brokers>(shared: &Arc<Shared<B>>) -> Answer {
    let queues: Vec<_> = shared.queues.all().into_iter().filter(|queue| queue.view().phase != Phase::Gone).collect();
    let mut properties = vec![
        ("PROP_NAMESERVER_ADDR", shared.brokers.name_servers()),
        ("PROP_CONSUME_TYPE", String::from("CONSUME_PASSIVELY")),
        ("PROP_CONSUMEORDERLY", String::from("true")),
        // As Java's, which members look at to see whether they are of one kind.
        ("messageModel", String::from(if shared.is_broadcasting() { "BROADCASTING" } else { "CLUSTERING" })),
        ("PROP_THREADPOOL_CORE_SIZE", queues.len().to_string()),
        ("PROP_CLIENT_VERSION", VERSION.to_string()),
    ];
    properties.push(("PROP_CONSUMER_START_TIMESTAMP", shared.counters.since.to_string()));
    let seconds = (shared.brokers.wall_ms() - shared.counters.since).max(1_000) / 1_000;
    let statuses = shared.subscriptions.all.iter().map(|subscription| {
        let failed = i64::try_from(shared.counters.failed.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        (subscription.topic.clone(), TopicStatus { consume_failed_msgs: failed, ..rates(shared, seconds) })
    });
    let info = RunningInfo {
        queues: queues.iter().map(|queue| (queue.real.clone(), queue_info(queue, shared.is_broadcasting()))).collect(),
        properties: properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        statuses: statuses.collect(),
        subscriptions: shared.subscriptions.all.clone(),
    };
    answered(info.encode())
}

/// Averages since the start, over all topics.
#[expect(clippy::cast_precision_loss, reason = "rates for people to look at")]
fn rates<B: Brokers>(shared: &Shared<B>, seconds: i64) -> TopicStatus {
    let per_second = |count: u64| count as f64 / seconds as f64;
    TopicStatus {
        consume_ok_tps: per_second(shared.counters.consumed.load(Ordering::Relaxed)),
        consume_failed_tps: per_second(shared.counters.failed.load(Ordering::Relaxed)),
        ..TopicStatus::default()
    }
}

fn queue_info(queue: &Queue, is_broadcasting: bool) -> QueueInfo {
    let running: Vec<i64> = queue.gate.all_running().iter().map(|running| running.offset).collect();
    let view = queue.view();
    let (first, last) = view.buffered_range.unwrap_or_default();
    QueueInfo {
        cached_msg_count: i64::try_from(view.buffered).unwrap_or(i64::MAX),
        cached_msg_min_offset: first,
        cached_msg_max_offset: last,
        cached_msg_size_in_mib: i64::try_from(view.buffered_bytes / (1024 * 1024)).unwrap_or(i64::MAX),
        commit_offset: view.next.unwrap_or_default(),
        dropped: view.phase == Phase::Draining,
        last_consume_timestamp: view.last_consumed,
        last_lock_timestamp: view.last_locked,
        last_pull_timestamp: view.last_pull,
        locked: matches!(queue.gate.tenure(), Tenure::Held(_)) && !is_broadcasting,
        transaction_msg_count: i64::try_from(running.len()).unwrap_or(i64::MAX),
        transaction_msg_max_offset: running.iter().max().copied().unwrap_or_default(),
        transaction_msg_min_offset: running.iter().min().copied().unwrap_or_default(),
        try_unlock_times: 0,
    }
}
