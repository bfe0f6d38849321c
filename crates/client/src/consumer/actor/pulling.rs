//! Pulls: at most one at a time, ahead of the handlers.

use std::sync::Arc;
use std::time::Duration;

use super::answers::{Reading, read};
use super::unpacking::apart;
use super::{Actor, Correction, Held, Origin};
use crate::client::{CallError, ResetReason};
use crate::consumer::brokers::Brokers;
use crate::env::{self, Instant, planted};
use crate::error::{ClientError, Code};
use crate::protocol::code::response;
use crate::protocol::properties::name;
use crate::protocol::{Decoded, ExpressionKind, Pull, Pulled, StoredMessage, Subscription};

/// Most messages of one answer.
const MOST: u8 = 32;
/// While there is no room, a pull of one message asks this often how the queue stands: an administrator's reset (5.x) shows in
/// nothing but the answer to a pull, and the queue it is to help is often one that is blocked and full.
const LOOK: Duration = Duration::from_secs(5);
/// After an answer that came back at once with nothing: a broker without long polls is not asked in a tight loop.
const EMPTY_HANDED: Duration = Duration::from_millis(50);

impl<B: Brokers> Actor<B> {
    /// Messages that the next pull is to bring: never more than there is room for. With little room it is worth a pull when half of it
    /// is free.
    fn wanted_messages(&self) -> u8 {
        if self.passing.is_wanted() {
            // The record alone, once it is the first that is not done.
            return u8::from(self.may_look_closely());
        }
        let limit = self.shared.options.prefetch_messages.max(1);
        let free = limit.saturating_sub(self.buffer.span());
        let worth = limit.div_ceil(2).min(usize::from(MOST));
        if free < worth { 0 } else { u8::try_from(free).unwrap_or(MOST).min(MOST) }
    }

    /// Whether the next pull may bring messages.
    pub(super) fn may_pull(&self) -> bool {
        let fits = self.full_at.is_none_or(|size| self.buffer.is_empty() || self.buffer.bytes() <= size / 2);
        self.correction.is_none() && self.wanted_messages() > 0 && fits && self.share.has_room()
    }

    /// When the next pull is due; `None` while one is under way.
    pub(super) fn pull_due(&self) -> Option<Instant> {
        if self.pull.is_some() || self.unpacking.is_some() || self.correction.is_some() || self.proof.is_wanted() {
            return None;
        }
        Some(if self.may_pull() { self.pull_at } else { self.pull_at.max(self.pull_since + LOOK) })
    }

    /// Starts the next pull when it is time; without room for messages, one that only looks.
    pub(super) fn start_pull(&mut self) {
        self.share.set(self.buffer.bytes());
        if self.pull_due().is_none_or(|due| due > env::now()) {
            return;
        }
        self.only_looking = !self.may_pull();
        let timing = self.shared.brokers.timing();
        let timeout = timing.pull_timeout;
        self.pull_asked = self.buffer.next();
        let (most, suspend) =
            if self.only_looking { (1, Duration::ZERO) } else { (self.wanted_messages(), timing.pull_suspend) };
        self.passing.begin_look(!self.only_looking);
        let request = self.pull_of(self.pull_asked, most, suspend);
        self.pull_since = env::now();
        self.last_pull = self.shared.brokers.wall_ms();
        let shared = Arc::clone(&self.shared);
        self.pull = Some(Box::pin(async move {
            shared.ask_while_master(&request.broker_name, &request.topic, &request, timeout).await
        }));
    }

    /// A pull of at most so many messages, which the broker may hold so long.
    pub(super) fn pull_of(&self, offset: i64, most: u8, suspend: Duration) -> Pull {
        let queue = &self.queue.real;
        // Brokers keep one expression per group, the one with the highest version, whoever announced it: a pull without its own would
        // be filtered by that, and what it leaves out is passed over for good.
        let subscription = self.shared.subscriptions.of(&queue.topic);
        Pull {
            group: self.shared.group.name.clone(),
            topic: queue.topic.clone(),
            broker_name: queue.broker_name.clone(),
            queue_id: queue.queue_id,
            queue_offset: offset,
            max_messages: i32::from(most),
            suspend_ms: i64::try_from(suspend.as_millis()).unwrap_or(i64::MAX),
            sub_version: subscription.map_or(0, |subscription| subscription.version),
            kind: subscription.map_or(ExpressionKind::Tag, |subscription| subscription.kind),
            expression: subscription.map(|subscription| subscription.expression.clone()),
        }
    }

    /// Takes the answer in.
    pub(super) fn pulled(&mut self, answer: Result<Pulled, CallError>) {
        match answer.map(apart) {
            // Another owner has gone on meanwhile.
            Ok(_) if self.pull_asked != self.buffer.next() => {}
            Ok(pulled) => match read(&pulled, self.pull_asked, &self.queue.real) {
                Ok(reading) if self.is_contradiction(&pulled, &reading) => {}
                Ok(reading) => {
                    self.pull_pause.reset();
                    self.max = Some(pulled.max_offset);
                    if self.held.is_none() {
                        self.problem = None;
                    }
                    self.count(pulled, reading);
                }
                Err(why) => self.disbelieve(&why),
            },
            Err(CallError::Malformed(error)) => self.disbelieve(error.message()),
            Err(error) => {
                if planted("skip behind a failed pull") {
                    self.buffer.set_next(self.buffer.next() + 1);
                }
                self.pull_failed(&error);
            }
        }
    }

    /// Lets an answer count that is believed.
    pub(super) fn take_in(&mut self, pulled: &Pulled, reading: Reading) {
        let to = pulled.next_offset;
        let correct = |to, reason| Some(Correction { to, reason });
        if !self.only_looking {
            self.passing.end_look(&reading);
        }
        match reading {
            Reading::Stretch(_) | Reading::Unwanted | Reading::End if self.only_looking => return,
            Reading::Stretch(records) => self.start_unpacking(records, to, pulled.body.len()),
            Reading::Unwanted => self.skip_to(to, "filtered"),
            Reading::Gone if self.origin == Origin::Guessed => self.skip_to(to, "removed"),
            // He may name an offset that is not there yet, or not any more.
            Reading::Gone | Reading::EndsBefore if self.origin == Origin::Appointed => {
                self.correction = correct(to, ResetReason::Administrator);
            }
            Reading::Gone => self.correction = correct(to, ResetReason::Deleted),
            Reading::Reset => self.correction = correct(to, ResetReason::Administrator),
            Reading::EndsBefore => self.correction = correct(pulled.min_offset, ResetReason::StoreSetBack),
            Reading::End | Reading::Undecided => {}
        }
        self.origin = Origin::Known;
        self.rest_if_empty_handed();
    }

    /// An answer that came at once and brought us nowhere.
    pub(super) fn rest_if_empty_handed(&mut self) {
        let quick = env::now() < self.pull_since + EMPTY_HANDED;
        if quick
            && self.buffer.next() == self.pull_asked
            && self.held.is_none()
            && self.unpacking.is_none()
            && !self.passing.is_wanted()
        {
            self.pull_at = env::now() + EMPTY_HANDED;
        }
    }

    /// Buffers what is wanted of an answer, up to the first record that cannot be delivered.
    pub(super) fn admit(&mut self, records: Vec<Decoded>, behind: i64) {
        let shared = Arc::clone(&self.shared);
        let subscription = shared.subscriptions.of(&self.queue.real.topic);
        if let Some(last) = records.iter().rev().flatten().next() {
            self.memory.look_up(last);
        }
        for decoded in records {
            let next = self.buffer.next();
            let message = match decoded {
                // Of a batch that the broker cannot send in part.
                Ok(message) if message.queue_offset < next => continue,
                Ok(message) => message,
                Err(bad) if self.is_done(bad.queue_offset.unwrap_or(-1)) => continue,
                Err(bad) => return self.meet(bad, behind),
            };
            let offset = message.queue_offset;
            if self.buffer.span() >= self.shared.options.prefetch_messages {
                self.held = None;
                return self.skip_to(offset, "filtered");
            }
            if self.is_filtered(subscription, &message) {
                self.skip_to(offset + 1, "filtered");
                continue;
            }
            if self.is_done(offset) {
                self.skip_to(offset, "filtered");
                self.skip_to(offset + 1, "handled");
                continue;
            }
            let Some(topic) = self.handler_topic(&message) else {
                let error = self.without_handler(&message);
                return self.hold(offset, error);
            };
            self.skip_to(offset, "filtered");
            self.buffer.push(message, topic);
        }
        self.held = None;
        self.skip_to(behind, "filtered");
    }

    /// Pulls go on there, and nobody handles what lies before it; never backwards. `why` is a word for histories.
    pub(super) fn skip_to(&mut self, offset: i64, why: &str) {
        self.queue.gate.record.skipped(self.buffer.next(), offset, why);
        self.buffer.set_next(offset);
    }

    /// Whether the message is done since before the lock was lost.
    fn is_done(&self, offset: i64) -> bool {
        self.done.as_ref().is_some_and(|done| done.has(offset))
    }

    /// The broker compares hash codes of tags only; and a search by time may answer with a message before it.
    fn is_filtered(&mut self, subscription: Option<&Subscription>, message: &StoredMessage) -> bool {
        if let Some((offset, time)) = self.not_before.take()
            && message.queue_offset == offset
            && message.store_timestamp < time
        {
            return true;
        }
        subscription.is_some_and(|subscription| subscription.has_tags() && !subscription.matches(message.tags()))
    }

    /// The user's name of the topic whose handler gets the message: in the retry topic, the one it came from.
    pub(super) fn handler_topic(&self, message: &StoredMessage) -> Option<Arc<str>> {
        let topics = &self.shared.subscriptions.topics;
        if !self.queue.hidden {
            return topics.get(&self.queue.real.topic).cloned();
        }
        // Java writes the user's name, we and the brokers the real one.
        let origin = message.property(name::RETRY_TOPIC)?;
        topics.get(origin).or_else(|| topics.get(&self.shared.brokers.wrap(origin))).cloned()
    }

    fn without_handler(&self, message: &StoredMessage) -> ClientError {
        let origin = message.property(name::RETRY_TOPIC).unwrap_or("no topic");
        let text = format!(
            "message {} in the group's retry topic came from {origin}, which this consumer does not subscribe to; the retry \
             queue waits for a consumer that does",
            message.msg_id()
        );
        ClientError::new(Code::Handler, text).with_queue(self.queue.name())
    }

    /// The queue waits before this record, and the record is looked at again from time to time. Told once.
    pub(super) fn hold(&mut self, offset: i64, error: ClientError) {
        self.skip_to(offset, "filtered");
        self.pull_at = env::now() + self.held_pause();
        if self.held.as_ref().is_some_and(|held| held.offset == offset) {
            return;
        }
        if error.code() == Code::Undecodable {
            self.tell_undecodable(error.clone());
        } else {
            self.shared.warn_of(&self.queue, error.clone());
        }
        self.held = Some(Held { offset, error });
    }

    pub(super) fn held_pause(&mut self) -> Duration {
        self.pull_pause.next().max(self.shared.brokers.timing().backoff.1)
    }

    /// A pull without an answer: what heals it is asked for, and it is due again after a pause.
    pub(super) fn pull_failed(&mut self, error: &CallError) {
        match error.refusal().map(|refusal| refusal.code) {
            Some(response::FLOW_CONTROL) => {
                self.pull_at = env::now() + self.shared.brokers.timing().flow_control_delay;
                return;
            }
            // No Apache broker says so to a pull with its own expression; one that does hears what it misses with the next heartbeat.
            Some(response::SUBSCRIPTION_NOT_EXIST | response::SUBSCRIPTION_NOT_LATEST) => {
                self.shared.group.want_heartbeat();
                self.report(error.clone().into_error());
            }
            Some(response::TOPIC_NOT_EXIST) => {
                // Made anew, it is another.
                self.memory.doubt();
                self.shared.initial_offsets.forget(&self.queue.real);
                self.shared.brokers.refresh_route(&self.queue.real.topic);
                self.report(error.clone().into_error());
            }
            _ => self.report(error.clone().into_error()),
        }
        self.pull_at = env::now() + self.pull_pause.next();
    }
}
