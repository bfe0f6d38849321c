//! What a consumer says about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::brokers::Brokers;
use super::options::OrderedBy;
use super::queue::{Blocked, LastReset, Phase, Queue, View};
use super::shared::Shared;
use crate::client::ResetReason;
use crate::error::{ClientError, Code};

/// So long messages that were lost, or may come again, are a problem, ms: long enough for whoever looks now and then.
const REMEMBERED: i64 = 10 * 60_000;

/// Counts since the start.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Messages whose handler succeeded.
    pub(crate) consumed: AtomicU64,
    /// Failed attempts.
    pub(crate) failed: AtomicU64,
    /// Messages handed to the dead-letter queue.
    pub(crate) dead_lettered: AtomicU64,
    /// Messages that could not be decoded.
    pub(crate) undecodable: AtomicU64,
    /// Messages that nobody has handled, and that are nowhere else.
    pub(crate) skipped: AtomicU64,
    /// When the consumer was made, ms since 1970.
    pub(crate) since: i64,
}

impl Counters {
    /// Nothing was counted yet.
    pub(crate) fn since(since: i64) -> Self {
        let [consumed, failed, dead_lettered, undecodable, skipped] = <[AtomicU64; 5]>::default();
        Self { consumed, failed, dead_lettered, undecodable, skipped, since }
    }
}

/// The message that holds a queue after a failing handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedBy {
    /// Its id.
    pub msg_id: String,
    /// Its sharding key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharding_key: Option<String>,
    /// Its offset.
    pub queue_offset: i64,
    /// The attempt that failed last, from 1.
    pub attempt: u32,
    /// When the first attempt failed, ms since 1970.
    pub since: i64,
}

/// One queue of the assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueState {
    /// The topic as the user sees it.
    pub topic: String,
    /// The broker's name.
    pub broker_name: String,
    /// The queue's number there.
    pub queue_id: i32,
    /// `locking`, `positioning`, `running`, `suspended`, `paused` or `draining`.
    pub state: &'static str,
    /// What the broker has acknowledged, where that is known.
    pub committed_offset: Option<i64>,
    /// Of the next message to handle, once the queue is ours.
    pub next_offset: Option<i64>,
    /// Messages stored and not committed, where that is known.
    pub lag: Option<i64>,
    /// When the next message to handle was stored, by the broker's clock, ms since 1970; once it is in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_stored_at: Option<i64>,
    /// Handlers that run: 0 or 1, or several where order is kept per key.
    pub in_flight: usize,
    /// When it came into this state, ms since 1970.
    pub since: i64,
    /// When the handler was called that runs longest, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_since: Option<i64>,
    /// Only after a failing handler; of several keys, what holds the offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<BlockedBy>,
    /// Keys whose first message has failed, where order is kept per key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_keys: Option<usize>,
    /// Only after a reset or a correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reset: Option<Reset>,
}

/// The last offset that the broker or an administrator has set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reset {
    /// The next offset before.
    pub from: i64,
    /// The next offset then.
    pub to: i64,
    /// Why.
    pub reason: ResetReason,
    /// When, ms since 1970.
    pub at: i64,
}

/// Counts over all queues, the retry topic's too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerStats {
    /// Queues in the assignment.
    pub queues: usize,
    /// Of them, blocked by a failing handler or by a record that cannot be delivered.
    pub blocked_queues: usize,
    /// Keys that are blocked by a failing handler, where order is kept per key.
    pub blocked_keys: usize,
    /// Handlers that run.
    pub running: usize,
    /// Messages handled since the start.
    pub consumed: u64,
    /// Failed attempts since the start.
    pub failed: u64,
    /// Messages handed to the dead-letter queue since the start.
    pub dead_lettered: u64,
    /// Messages that could not be decoded, since the start, whatever became of them.
    pub undecodable: u64,
    /// Messages passed over without a handler and without the dead-letter queue, since the start.
    pub skipped: u64,
    /// Messages in memory.
    pub buffered: usize,
    /// Their bytes.
    pub buffered_bytes: usize,
    /// Sum of the queues' lags, as far as they are known.
    pub lag: i64,
}

/// What is wrong at the moment.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Nothing, when all is well.
    pub problems: Vec<ClientError>,
}

fn blocked_by(blocked: &Blocked) -> BlockedBy {
    BlockedBy {
        msg_id: blocked.msg_id.clone(),
        sharding_key: blocked.sharding_key.clone(),
        queue_offset: blocked.offset,
        attempt: blocked.attempt,
        since: blocked.since,
    }
}

fn last_reset(reset: &LastReset) -> Reset {
    Reset { from: reset.from, to: reset.to, reason: reset.reason, at: reset.at }
}

impl<B: Brokers> Shared<B> {
    /// The queues that are ours or on their way in or out.
    pub(super) fn assignment(&self) -> Vec<QueueState> {
        let queues = self.queues.all();
        queues
            .iter()
            .filter(|queue| !queue.hidden)
            .filter_map(|queue| queue_state(queue, self.options.ordered_by))
            .collect()
    }

    /// Counts.
    pub(super) fn stats(&self) -> ConsumerStats {
        let mut stats = ConsumerStats {
            consumed: self.counters.consumed.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            dead_lettered: self.counters.dead_lettered.load(Ordering::Relaxed),
            undecodable: self.counters.undecodable.load(Ordering::Relaxed),
            skipped: self.counters.skipped.load(Ordering::Relaxed),
            ..ConsumerStats::default()
        };
        for queue in self.queues.all() {
            stats.running += queue.gate.count_running();
            let view = queue.view();
            if view.phase == Phase::Gone {
                continue;
            }
            stats.queues += usize::from(!queue.hidden);
            let is_blocked = match self.options.ordered_by {
                OrderedBy::Queue => view.blocked.is_some(),
                // A key that is held is no queue that stands still.
                OrderedBy::Key => view.blocked.is_some() && view.phase == Phase::Suspended,
            };
            stats.blocked_queues += usize::from(is_blocked || view.is_held);
            if self.options.ordered_by == OrderedBy::Key {
                stats.blocked_keys += view.blocked_keys;
            }
            stats.buffered += view.buffered;
            stats.buffered_bytes += view.buffered_bytes;
            stats.lag = stats.lag.saturating_add(view.lag().unwrap_or_default());
        }
        stats
    }

    /// What has failed, and what it holds.
    fn blocked_problem(&self, queue: &Queue, blocked: &Blocked, view: &View) -> ClientError {
        let Blocked { msg_id, sharding_key, offset, attempt, since, reason } = blocked;
        let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let key =
            sharding_key.as_ref().map_or_else(|| String::from("messages without a key"), |key| format!("key {key}"));
        let others = match view.blocked_keys.saturating_sub(1) {
            0 => String::new(),
            others => format!(", as {others} others are"),
        };
        let held = match (self.options.ordered_by, view.phase) {
            (OrderedBy::Queue, _) => String::from("the queue"),
            (OrderedBy::Key, Phase::Suspended) => {
                format!(
                    "{key}{others}; as many messages are handled behind it as may come again, and the queue stands still"
                )
            }
            (OrderedBy::Key, _) => format!("{key}{others}; all other keys go on"),
        };
        let text = format!(
            "message {msg_id} at offset {offset} of {} has failed {attempt} times since {since} (ms since 1970) and holds {held}{reason}",
            queue.shown
        );
        ClientError::new(Code::Handler, text).with_queue(queue.name()).with_msg_id(msg_id.as_str())
    }

    /// What is wrong.
    pub(super) fn health(&self) -> Health {
        let mut problems = self.brokers.problems();
        problems.extend(self.group.differences());
        problems.extend(self.positions.problem());
        let now = self.brokers.wall_ms();
        problems.extend(self.watches.unread_queues.problems());
        problems.extend(self.unreadable_topics().into_iter().map(|(_, error)| error));
        for queue in self.queues.all() {
            let view = queue.view().clone();
            let reset = view.last_reset.as_ref().filter(|reset| now < reset.at.saturating_add(REMEMBERED));
            problems.extend(reset.and_then(|reset| reset.problem.clone()));
            if view.phase != Phase::Gone {
                problems.extend(view.blocked.as_ref().map(|blocked| self.blocked_problem(&queue, blocked, &view)));
                problems.extend(view.problem);
            }
        }
        problems.extend(self.stall_problems());
        Health { problems }
    }
}

fn queue_state(queue: &Arc<Queue>, ordered_by: OrderedBy) -> Option<QueueState> {
    let running = queue.gate.running();
    let view = queue.view();
    Some(QueueState {
        topic: queue.shown.topic.clone(),
        broker_name: queue.shown.broker_name.clone(),
        queue_id: queue.shown.queue_id,
        state: view.phase.shown()?,
        committed_offset: view.committed,
        next_offset: view.next,
        lag: view.lag(),
        next_stored_at: view.next_stored_at,
        in_flight: queue.gate.count_running(),
        since: view.since.map_or(0, |since| since.wall_ms),
        running_since: running.map(|running| running.since),
        blocked_by: view.blocked.as_ref().map(blocked_by),
        blocked_keys: (ordered_by == OrderedBy::Key).then_some(view.blocked_keys),
        last_reset: view.last_reset.as_ref().map(last_reset),
    })
}
