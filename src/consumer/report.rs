//! What a consumer says about itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::brokers::Brokers;
use super::queue::{Blocked, Phase, Queue, View};
use super::shared::Shared;
use crate::error::{ClientError, Code};

/// The message that holds a queue after a failing handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockedBy {
    /// Its id.
    pub(crate) msg_id: String,
    /// Its offset.
    pub(crate) queue_offset: i64,
    /// The attempt that failed last, from 1.
    pub(crate) attempt: u32,
    /// When the first attempt failed, ms since 1970.
    pub(crate) since: i64,
}

/// One queue of the assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueState {
    /// The topic as the user sees it.
    pub(crate) topic: String,
    /// The broker's name.
    pub(crate) broker_name: String,
    /// The queue's number there.
    pub(crate) queue_id: i32,
    /// `locking`, `positioning`, `running`, `suspended` or `draining`.
    pub(crate) state: &'static str,
    /// What the broker has acknowledged.
    pub(crate) committed_offset: i64,
    /// Of the next message to handle.
    pub(crate) next_offset: i64,
    /// Messages stored and not committed, as of the last pull.
    pub(crate) lag: i64,
    /// Handlers that run: 0 or 1.
    pub(crate) in_flight: u32,
    /// Only after a failing handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blocked_by: Option<BlockedBy>,
}

/// Counts over all queues, the retry topic's too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConsumerStats {
    /// Queues in the assignment.
    pub(crate) queues: usize,
    /// Of them, blocked by a failing handler or by a record that cannot be delivered.
    pub(crate) blocked_queues: usize,
    /// Handlers that run.
    pub(crate) running: usize,
    /// Messages handled since the start.
    pub(crate) consumed: u64,
    /// Failed attempts since the start.
    pub(crate) failed: u64,
    /// Messages handed to the dead-letter queue since the start.
    pub(crate) dead_lettered: u64,
    /// Messages in memory.
    pub(crate) buffered: usize,
    /// Their bytes.
    pub(crate) buffered_bytes: usize,
    /// Sum of the queues' lags.
    pub(crate) lag: i64,
}

/// What is wrong at the moment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Health {
    /// Nothing, when all is well.
    pub(crate) problems: Vec<ClientError>,
}

fn lag(view: &View) -> i64 {
    view.max.saturating_sub(view.committed).max(0)
}

fn state(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Gone => None,
        // In doubt the lock is asked for anew.
        Phase::Locking | Phase::Doubtful => Some("locking"),
        Phase::Positioning => Some("positioning"),
        Phase::Running => Some("running"),
        Phase::Suspended => Some("suspended"),
        Phase::Draining => Some("draining"),
    }
}

fn blocked_by(blocked: &Blocked) -> BlockedBy {
    BlockedBy {
        msg_id: blocked.msg_id.clone(),
        queue_offset: blocked.offset,
        attempt: blocked.attempt,
        since: blocked.since,
    }
}

fn blocked_problem(queue: &Queue, blocked: &Blocked) -> ClientError {
    let Blocked { msg_id, offset, attempt, since, reason } = blocked;
    let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let text = format!(
        "message {msg_id} at offset {offset} of {} has failed {attempt} times since {since} (ms since 1970) and holds the \
         queue{reason}",
        queue.shown
    );
    ClientError::new(Code::Handler, text).with_queue(queue.name()).with_msg_id(msg_id.as_str())
}

impl<B: Brokers> Shared<B> {
    /// The queues that are ours or on their way in or out.
    pub(super) fn assignment(&self) -> Vec<QueueState> {
        let queues = self.all_queues();
        queues.iter().filter(|queue| !queue.hidden).filter_map(queue_state).collect()
    }

    /// Counts.
    pub(super) fn stats(&self) -> ConsumerStats {
        let mut stats = ConsumerStats {
            consumed: self.counters.consumed.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            dead_lettered: self.counters.dead_lettered.load(Ordering::Relaxed),
            ..ConsumerStats::default()
        };
        for queue in self.all_queues() {
            stats.running += usize::from(queue.gate.running().is_some());
            let view = queue.view();
            if view.phase == Phase::Gone {
                continue;
            }
            stats.queues += usize::from(!queue.hidden);
            stats.blocked_queues += usize::from(view.blocked.is_some() || view.is_held);
            stats.buffered += view.buffered;
            stats.buffered_bytes += view.buffered_bytes;
            stats.lag = stats.lag.saturating_add(lag(&view));
        }
        stats
    }

    /// What is wrong.
    pub(super) fn health(&self) -> Health {
        let mut problems = self.brokers.problems();
        problems.extend(self.unreadable().into_iter().map(|(_, error)| error));
        for queue in self.all_queues() {
            let view = queue.view().clone();
            if view.phase != Phase::Gone {
                problems.extend(view.blocked.as_ref().map(|blocked| blocked_problem(&queue, blocked)));
                problems.extend(view.problem);
            }
        }
        Health { problems }
    }
}

fn queue_state(queue: &Arc<Queue>) -> Option<QueueState> {
    let in_flight = u32::from(queue.gate.running().is_some());
    let view = queue.view();
    Some(QueueState {
        topic: queue.shown.topic.clone(),
        broker_name: queue.shown.broker_name.clone(),
        queue_id: queue.shown.queue_id,
        state: state(view.phase)?,
        committed_offset: view.committed,
        next_offset: view.next,
        lag: lag(&view),
        in_flight,
        blocked_by: view.blocked.as_ref().map(blocked_by),
    })
}
