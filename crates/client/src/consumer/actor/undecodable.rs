//! A record that cannot be decoded: it holds its queue, or the queue passes it, as the user has said.
//!
//! A record is passed when everything before it is done, or, with order by key, when it is met; and only on a second look, at it alone: what one answer shows may be damaged on
//! its way, and it is that second answer's end that tells how many offsets the record has.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::answers::Reading;
use super::waiting::Pending;
use super::{Actor, Step};
use crate::client::{CallError, Event};
use crate::consumer::brokers::Brokers;
use crate::consumer::options::{OnUndecodable, OrderedBy};
use crate::consumer::record;
use crate::consumer::sink::Delivery;
use crate::env::{self, Backoff, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::message::Undecodable;
use crate::protocol::namespace::DLQ_PREFIX;
use crate::protocol::properties::{self, name};
use crate::protocol::{SendMessage, SendReceipt};
use crate::record::event::Phase;

/// In a dead letter: why its body is the bytes as they were stored.
const REASON: &str = "UNDECODABLE_REASON";
/// In a dead letter: the bit set by which the bytes were to be read (1: compressed, and by what in 0x700).
const SYS_FLAG: &str = "UNDECODABLE_SYS_FLAG";

/// A record on its way out.
#[derive(Debug)]
struct Found {
    offset: i64,
    /// The next offset.
    behind: i64,
    bad: Undecodable,
    at: Instant,
}

/// The record to be passed next, and how far that has come.
pub(super) struct Passing {
    /// It was met: it is to be looked at alone.
    wanted: bool,
    /// The pull under way looks at it alone.
    looks: bool,
    /// It came alone.
    alone: bool,
    found: Option<Found>,
    /// Its bytes on their way to the dead-letter queue.
    pub(super) send: Pending<Result<SendReceipt, CallError>>,
    pause: Backoff,
    /// Why the dead-letter queue has not acknowledged it yet.
    problem: Option<ClientError>,
}

impl Passing {
    /// Nothing was met.
    pub(super) fn new(pause: Backoff) -> Self {
        Self { wanted: false, looks: false, alone: false, found: None, send: None, pause, problem: None }
    }

    /// Nothing was met, whatever was before.
    pub(super) fn forget(&mut self) {
        self.pause.reset();
        *self = Self::new(self.pause.clone());
    }

    /// Whether a record waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted || self.found.is_some()
    }

    /// Whether the dead-letter queue does not take it.
    pub(super) fn is_refused(&self) -> bool {
        self.problem.is_some()
    }

    /// Why not.
    pub(super) fn problem(&self) -> Option<&ClientError> {
        self.problem.as_ref()
    }

    /// When the next attempt is due.
    pub(super) fn due(&self, is_paused: bool) -> Option<Instant> {
        self.found.as_ref().filter(|_| self.send.is_none() && !is_paused).map(|found| found.at)
    }

    /// A pull begins that brings messages in, or not.
    pub(super) fn begin_look(&mut self, brings: bool) {
        self.looks = self.wanted && brings;
    }

    /// It has ended.
    pub(super) fn end_look(&mut self, reading: &Reading) {
        self.alone = self.looks && matches!(reading, Reading::Stretch(records) if records.len() == 1);
        self.wanted = false;
    }
}

impl<B: Brokers> Actor<B> {
    /// Whether it is the record's turn to be looked at alone.
    pub(super) fn may_look_closely(&self) -> bool {
        self.passing.found.is_none() && self.may_pass() && !self.queue.gate.is_paused()
    }

    /// Whether what lies before the next offset lets a record there be passed.
    fn may_pass(&self) -> bool {
        match self.shared.options.ordered_by {
            OrderedBy::Queue => self.buffer.is_empty(),
            // Its key may be one that nothing holds.
            OrderedBy::Key => self.buffer.span() < self.shared.options.prefetch_messages,
        }
    }

    /// A record of an answer that ends at `behind`: whatever comes after it comes again.
    pub(super) fn meet(&mut self, bad: Undecodable, behind: i64) {
        let next = self.buffer.next();
        if self.shared.options.on_undecodable == OnUndecodable::Hold {
            let offset = bad.queue_offset.unwrap_or(next);
            let is_known = self.held.as_ref().is_some_and(|held| held.offset == offset);
            if !is_known {
                self.shared.counters.undecodable.fetch_add(1, Ordering::Relaxed);
            }
            return self.hold(offset, self.undecodable(offset, offset + 1, &bad, "the queue waits"));
        }
        // In a batch it may come behind others.
        if std::mem::take(&mut self.passing.alone) && self.may_pass() {
            let offset = bad.queue_offset.unwrap_or(behind - 1).max(next);
            self.passing.found = Some(Found { offset, behind, bad, at: env::now() });
            return;
        }
        self.skip_to(bad.queue_offset.unwrap_or(next), "filtered");
        self.passing.wanted = true;
        if std::mem::take(&mut self.passing.looks) {
            // The broker brings more than was asked for.
            self.pull_at = env::now() + self.held_pause();
        }
    }

    /// What is wrong with the messages from `offset` on up to `behind`, and what becomes of them.
    fn undecodable(&self, offset: i64, behind: i64, bad: &Undecodable, what: &str) -> ClientError {
        let messages = if behind > offset + 1 {
            format!("the messages at offsets {offset} to {}", behind - 1)
        } else {
            format!("the message at offset {offset}")
        };
        let msg_id = bad.as_stored.as_ref().map(|stored| stored.msg_id());
        let name = msg_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        let text = format!("{messages}{name} of {} cannot be decoded: {}; {what}", self.queue.shown, bad.reason);
        let error = ClientError::new(Code::Undecodable, text).with_queue(self.queue.name());
        match msg_id {
            Some(msg_id) => error.with_msg_id(msg_id),
            None => error,
        }
    }

    /// Users know nothing of the retry topic.
    pub(super) fn tell_undecodable(&self, error: ClientError) {
        if self.queue.hidden {
            self.shared.warn(error);
        } else {
            self.emit(|queue| Event::Undecodable { queue, error });
        }
    }

    /// Passes the record, if it is time.
    pub(super) fn start_passing(&mut self) {
        let Some(due) = self.passing.due(self.queue.gate.is_paused()) else { return };
        if due > env::now() {
            return;
        }
        let Some(found) = self.passing.found.take() else { return };
        if found.behind <= self.buffer.next() {
            // Another owner has gone on meanwhile.
            return;
        }
        match self.shared.options.on_undecodable {
            OnUndecodable::Hold => {}
            OnUndecodable::Skip => {
                self.shared.counters.skipped.fetch_add(1, Ordering::Relaxed);
                self.pass_over(&found, "skipped, as onUndecodable says: nobody handles it");
            }
            OnUndecodable::DeadLetter => {
                let request = self.undecodable_letter(&found);
                self.queue.gate.record.dead_letter(found.offset, Phase::Sent);
                let timeout = self.shared.brokers.timing().request_timeout;
                let shared = Arc::clone(&self.shared);
                self.passing.found = Some(found);
                self.passing.send =
                    Some(Box::pin(async move { shared.ask_master(&request.broker_name, &request, timeout).await }));
            }
        }
    }

    /// Takes the dead-letter queue's answer in: only an acknowledged one lets the queue go on.
    pub(super) fn passed_on(&mut self, answer: Result<SendReceipt, CallError>) {
        let Some(mut found) = self.passing.found.take() else { return };
        self.queue.gate.record.dead_letter(found.offset, record::phase(answer.is_ok()));
        match answer {
            Ok(_) => {
                self.passing.forget();
                self.shared.counters.dead_lettered.fetch_add(1, Ordering::Relaxed);
                let queue = format!("{DLQ_PREFIX}{}", self.shared.options.group);
                self.pass_over(
                    &found,
                    &format!("its bytes, as they were stored, are in the dead-letter queue {queue}"),
                );
            }
            Err(error) => {
                found.at = env::now() + self.passing.pause.next();
                let what = format!(
                    "its bytes cannot be handed over to the dead-letter queue, and it holds its queue until they are. It is tried again; if \
                     this lasts, mend what the broker says (rights, the retry topic {}, its disk), or move the group's offset past it",
                    self.shared.group.retry_topic
                );
                let text = self.undecodable(found.offset, found.behind, &found.bad, &what);
                let error = error.into_error().with_prefix(text.message()).with_queue(self.queue.name());
                if self.passing.problem.is_none() {
                    self.shared.warn(error.clone());
                }
                self.passing.problem = Some(error);
                self.passing.found = Some(found);
            }
        }
    }

    fn pass_over(&mut self, found: &Found, what: &str) {
        self.shared.counters.undecodable.fetch_add(1, Ordering::Relaxed);
        self.tell_undecodable(self.undecodable(found.offset, found.behind, &found.bad, what));
        self.skip_to(found.offset, "filtered");
        self.skip_to(found.behind, "undecodable");
        self.pull_at = env::now();
    }

    /// What is under way when the queue is given up: its next owner would send it once more.
    pub(super) async fn last_passing(&mut self) -> Option<Step> {
        match self.answer_of(|actor| &mut actor.passing.send).await {
            Ok(Some(answer)) => self.passed_on(answer),
            Ok(None) => {}
            Err(step) => return Some(step),
        }
        None
    }

    /// Something that any client can read: the bytes that none can are its body, and nothing says that they are to be inflated.
    fn undecodable_letter(&self, found: &Found) -> SendMessage {
        let reason = found.bad.reason.to_string();
        let mut letter = match found.bad.as_stored.as_deref() {
            Some(stored) => {
                let attempt = u32::try_from(stored.reconsume_times).unwrap_or(0).saturating_add(1);
                let topic = Arc::from(self.queue.shown.topic.as_str());
                self.dead_letter(&Delivery { message: Arc::new(stored.clone()), topic, attempt }, true)
            }
            None => self.letter_without_fields(),
        };
        let flag = found.bad.as_stored.as_ref().map(|stored| stored.sys_flag.to_string());
        let added = flag.as_ref().map(|flag| (SYS_FLAG, flag.as_str())).into_iter().chain([(REASON, reason.as_str())]);
        letter.properties.push_str(&properties::encode(added.collect::<Vec<_>>()));
        if letter.body.is_empty() {
            // All that there is: what cannot be read may be its length.
            letter.body = found.bad.record.clone();
        }
        letter
    }

    fn letter_without_fields(&self) -> SendMessage {
        let added = [
            (name::RETRY_TOPIC, self.queue.real.topic.as_str()),
            (name::RECONSUME_TIME, "1"),
            (name::MAX_RECONSUME_TIMES, "0"),
        ];
        SendMessage {
            producer_group: super::handoff::INNER_PRODUCER.to_owned(),
            topic: self.shared.group.retry_topic.clone(),
            broker_name: self.queue.real.broker_name.clone(),
            queue_id: 0,
            sys_flag: 0,
            born_timestamp: self.shared.brokers.wall_ms(),
            flag: 0,
            properties: properties::encode(added),
            reconsume_times: 1,
            max_reconsume_times: Some(0),
            body: bytes::Bytes::new(),
        }
    }
}
