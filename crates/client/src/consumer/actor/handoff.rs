//! The hand-off to the dead-letter queue: a send to the group's retry topic that the broker turns into one.
//!
//! While it is not acknowledged only the hand-off is tried again; the handler is not called and the queue is held.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Actor;
use super::troubles::Trouble;
use crate::client::CallError;
use crate::consumer::brokers::Brokers;
use crate::consumer::record;
use crate::consumer::sink::Delivery;
use crate::env::{self, Instant, planted};
use crate::error::ClientError;
use crate::protocol::properties::{self, name};
use crate::protocol::{SendMessage, SendReceipt};
use crate::record::event::Phase;

/// The producer group of all hand-offs; brokers let it pass with the consumer group's rights.
pub(super) const INNER_PRODUCER: &str = "CLIENT_INNER_PRODUCER";
/// Properties that must not travel: a delay would hold the copy back for up to 2 h (4.9), a transaction mark would hide it.
const LEFT_OUT: [&str; 5] =
    [name::DELAY, "TRAN_MSG", name::RETRY_TOPIC, name::RECONSUME_TIME, name::MAX_RECONSUME_TIMES];

impl<B: Brokers> Actor<B> {
    /// When the next attempt is due, over all messages that are on their way out.
    pub(super) fn handoff_due(&self) -> Option<Instant> {
        self.buffer.troubles().filter_map(|(_, trouble)| Some(trouble.way_out()?.at)).min()
    }

    /// Why a message is not in the dead-letter queue yet.
    pub(super) fn handoff_problem(&self) -> Option<&ClientError> {
        self.buffer.troubles().find_map(|(_, trouble)| trouble.way_out()?.problem.as_ref())
    }

    /// Starts the next attempt when it is time: one at once, first the one that waits longest.
    pub(super) fn start_handoff(&mut self) {
        if self.handoff.is_some() {
            return;
        }
        let ways = self.buffer.troubles().filter_map(|(offset, trouble)| Some((trouble.way_out()?.at, offset)));
        let Some((at, offset)) = ways.min() else { return };
        if at <= env::now() {
            self.hand_off(offset);
        }
    }

    /// Starts an attempt for that message.
    pub(super) fn hand_off(&mut self, offset: i64) {
        let Some(asked) = self.buffer.trouble(offset).and_then(|trouble| Some(trouble.way_out()?.asked)) else {
            return;
        };
        if self.shared.is_broadcasting() {
            return self.go_past(offset);
        }
        if planted("forget a dead letter") {
            self.buffer.done(offset);
            self.queue.gate.drop_attempts(offset);
            return self.queue.gate.nudge();
        }
        let Some(message) = self.buffer.message(offset) else { return };
        let request = self.dead_letter(&message, asked);
        self.queue.gate.record.dead_letter(offset, Phase::Sent);
        let timeout = self.shared.brokers.timing().request_timeout;
        let shared = Arc::clone(&self.shared);
        self.handoff =
            Some(Box::pin(async move { (offset, shared.ask_master(&request.broker_name, &request, timeout).await) }));
    }

    /// Takes the answer in: only an acknowledged hand-off lets its lane go on.
    pub(super) fn handoff_answered(&mut self, offset: i64, answer: Result<SendReceipt, CallError>) {
        self.queue.gate.record.dead_letter(offset, record::phase(answer.is_ok()));
        let Some(message) = self.buffer.message(offset) else { return };
        match answer {
            Ok(_) => {
                self.handoff_pause.reset();
                self.shared.counters.dead_lettered.fetch_add(1, Ordering::Relaxed);
                self.buffer.done(offset);
                self.queue.gate.record.skipped(offset, offset + 1, "deadLettered");
                self.queue.gate.drop_attempts(offset);
                self.shared.handlers.sink().dead_lettered(self.queue.index, message);
            }
            Err(error) => {
                let at = env::now() + self.handoff_pause.next();
                let error = self.not_handed_over(&message, error.into_error());
                let way = self.buffer.trouble_mut(offset).and_then(Trouble::way_out_mut);
                let Some(way) = way else { return };
                way.at = at;
                if way.problem.replace(error.clone()).is_none() {
                    self.shared.warn(error);
                }
            }
        }
    }

    /// What fails, and what helps: it holds the queue until somebody mends it, or decides that the group goes on without the message.
    fn not_handed_over(&self, message: &Delivery, error: ClientError) -> ClientError {
        let offset = message.message.queue_offset;
        let text = format!(
            "message {} at offset {offset} of {} cannot be handed over to the dead-letter queue, and holds its queue until it is. It is \
             tried again; if this lasts, mend what the broker says (rights, the retry topic {}, its disk), or move the group's offset \
             past the message, and keep a copy of it first",
            message.message.msg_id(),
            self.queue.shown,
            self.shared.group.retry_topic
        );
        error.with_prefix(&text).with_queue(self.queue.name()).with_msg_id(message.message.msg_id())
    }

    /// j = n + 1 and l = max (of `deadLetter()`: n) reach the dead-letter queue on every version of the broker.
    pub(super) fn dead_letter(&self, delivery: &Delivery, asked: bool) -> SendMessage {
        let message = &delivery.message;
        let attempt = i32::try_from(delivery.attempt).unwrap_or(i32::MAX);
        let before = attempt - 1;
        let most = if asked { before } else { self.shared.options.max_reconsume_times.unwrap_or(before) };
        let origin = message.property(name::RETRY_TOPIC).filter(|_| self.queue.hidden);
        let real_topic = origin.map_or_else(|| self.queue.real.topic.clone(), |origin| self.real_origin(origin));
        let msg_id = message.msg_id();
        let added = [
            (name::RETRY_TOPIC, real_topic),
            (name::RECONSUME_TIME, attempt.to_string()),
            (name::MAX_RECONSUME_TIMES, most.to_string()),
        ];
        let own = properties::decode(&message.properties);
        let own = own.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let kept = own.filter(|(key, _)| !LEFT_OUT.contains(key));
        let first =
            message.property(name::ORIGIN_MESSAGE_ID).is_none().then_some((name::ORIGIN_MESSAGE_ID, msg_id.as_str()));
        let added = added.iter().map(|(key, value)| (*key, value.as_str()));
        SendMessage {
            producer_group: INNER_PRODUCER.to_owned(),
            topic: self.shared.group.retry_topic.clone(),
            broker_name: self.queue.real.broker_name.clone(),
            queue_id: 0,
            // Never the stored one: its IPv6 bits destroy the broker's log, and the body is decompressed.
            sys_flag: 0,
            born_timestamp: message.born_timestamp,
            flag: message.flag,
            properties: properties::encode(kept.chain(first).chain(added)),
            reconsume_times: attempt,
            max_reconsume_times: Some(most),
            body: message.body.clone(),
        }
    }

    fn real_origin(&self, origin: &str) -> String {
        if self.shared.subscriptions.topics.contains_key(origin) {
            origin.to_owned()
        } else {
            self.shared.brokers.wrap(origin)
        }
    }
}
