//! Batches that are refused: in halves, smaller, or one by one, and larger again later. Order needs no care here: what is given back
//! goes to the front of its lane, of which one request is in flight.

use super::batch_limit::{AGAIN, BATCH_BYTES, BatchLimit};
use super::flight::Flight;
use super::model::Out;
use super::slab::NIL;
use super::state::State;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};

/// A batch that was refused, and what has become of its halves.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// Of the first half; that of the second is one more.
    part: u64,
    /// Bytes of the batch.
    refused: usize,
    /// Bytes of it that have passed since.
    passed: usize,
    /// The largest request among those.
    largest: usize,
    /// The broker's words.
    error: ClientError,
}

impl State {
    /// What the broker of a lane takes of its topic's batches.
    fn limit(&mut self, lane: u32) -> &mut BatchLimit {
        let (topic, broker) = (self.lanes[lane].topic, self.broker_of(lane));
        self.topics[topic].limits.entry(broker.unwrap_or(NIL)).or_default()
    }

    /// Most bytes of the lane's next batch, 0 for none.
    pub(super) fn batch_bytes(&mut self, lane: u32, now: Instant) -> usize {
        let limit = self.limit(lane);
        let bytes = if limit.is_due(now) { BATCH_BYTES } else { limit.bytes() };
        bytes.min(limit.cautious()).min(self.options.max_message_bytes)
    }

    /// A request had no answer in time: the next ones of its topic and broker are smaller for a while.
    pub(super) fn batch_timed_out(&mut self, lane: u32, flight: &Flight) {
        self.limit(lane).timed_out(flight.size);
    }

    /// A batch has been made, perhaps a larger one than what is known to be taken.
    pub(super) fn batch_leaves(&mut self, lane: u32, size: usize, now: Instant) {
        let limit = self.limit(lane);
        if size > limit.bytes() {
            limit.tries(now);
        }
    }

    /// A request was stored: what that tells about batches.
    pub(super) fn batch_passed(&mut self, lane: u32, flight: &Flight, out: &mut Out) {
        let Some(first) = flight.ids.first().map(|&id| &self.pending[id]) else { return };
        let (part, is_batch) = (first.part, flight.ids.len() > 1 || first.load.messages > 1);
        let limit = self.limit(lane);
        limit.answered();
        if is_batch {
            limit.passed(flight.size);
        }
        let is_of = |trial: &&mut Trial| part == trial.part || part == trial.part + 1;
        let Some(trial) = self.lanes[lane].trial.as_mut().filter(is_of) else { return };
        trial.passed += flight.size;
        trial.largest = trial.largest.max(flight.size);
        if trial.passed < trial.refused {
            return;
        }
        // Not one of the messages was at fault: it was the batch.
        let Some(Trial { refused, largest, error, .. }) = self.lanes[lane].trial.take() else { return };
        let limit = self.limit(lane);
        if limit.refused(refused, largest, env::now()) {
            let text = if limit.is_single() { none() } else { smaller(refused, largest) };
            self.tell_of_batches(lane, &text, error, out);
        }
    }

    /// Nothing of the lane's batch was stored: one of its messages is illegal, or together they are too large.
    pub(super) fn in_halves(&mut self, lane: u32, flight: &mut Flight, error: ClientError) {
        let refused = flight.size;
        let fits = refused <= self.limit(lane).bytes();
        self.prune(flight);
        let ids = self.give_back(flight);
        if fits {
            let part = self.parts + 1;
            self.parts += 2;
            let half = ids.len().div_ceil(2);
            for (place, &id) in ids.iter().enumerate() {
                self.pending[id].part = part + u64::from(place >= half);
            }
            self.lanes[lane].trial = Some(Trial { part, refused, passed: 0, largest: 0, error });
        }
        self.put_back(lane, ids);
    }

    /// Nothing of the lane's batch was stored: batches are not taken.
    pub(super) fn no_batches(&mut self, lane: u32, flight: &mut Flight, error: ClientError, out: &mut Out) {
        if self.limit(lane).refuses_all(env::now()) {
            self.tell_of_batches(lane, &none(), error, out);
        }
        self.prune(flight);
        let ids = self.give_back(flight);
        self.put_back(lane, ids);
    }

    /// To the front of the lane, in their order.
    fn put_back(&mut self, lane: u32, ids: Vec<u32>) {
        for id in ids.into_iter().rev() {
            let deadline = self.pending[id].deadline;
            let it = &mut self.lanes[lane];
            it.fifo.push_front(id);
            it.earliest = Some(it.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
        }
    }

    fn tell_of_batches(&self, lane: u32, text: &str, cause: ClientError, out: &mut Out) {
        let it = &self.lanes[lane];
        let topic = &self.topics[it.topic];
        let broker = it.queue.map_or("", |queue| self.queue_of(it.topic, queue).name.broker_name.as_str());
        let text = format!("broker {broker} {text}");
        let mut warning = ClientError::new(Code::Broker, text).with_topic(&*topic.name);
        if let Some(code) = cause.broker_code() {
            warning = warning.with_broker_code(code);
        }
        if let Some(address) = topic.route.as_ref().and_then(|route| route.master_of(broker)) {
            warning = warning.with_address(address);
        }
        out.warnings.push(warning.with_cause(cause));
    }
}

fn smaller(refused: usize, largest: usize) -> String {
    format!(
        "has refused a batch of {refused} bytes of this topic, whose messages passed in pieces of up to {largest} bytes: it takes less in \
         one request than brokers do by default ({BATCH_BYTES} bytes). Batches are made smaller from now on, and larger ones are tried \
         again every {} minutes. Raise maxMessageSize at the broker to send more with each request",
        AGAIN.as_secs() / 60
    )
}

fn none() -> String {
    format!(
        "takes no batches of this topic: its messages go one by one from now on, in order, which is many times slower where many wait. \
         Batches are tried again every {} minutes; batching: 'off' tries none. More queues of the topic send more at the same time",
        AGAIN.as_secs() / 60
    )
}

/// What a batch of the user's fails with where batches are not taken.
pub(super) fn refusal(error: &ClientError) -> ClientError {
    let text = "this service takes no batches for this topic: send the messages one by one with sendOrderly()";
    about(text, error)
}

/// What a batch of the user's fails with where it, or a message of it, is too large or illegal.
pub(super) fn too_large(messages: usize, size: usize, error: &ClientError) -> ClientError {
    let text = format!(
        "the broker took nothing of this batch of {messages} messages and {size} bytes: one of them is illegal, or they are more than it takes in \
         one request (maxMessageSize): send fewer at once"
    );
    about(&text, error)
}

fn about(text: &str, error: &ClientError) -> ClientError {
    let mut refusal = ClientError::new(Code::Broker, text).with_cause(error.clone());
    if let Some(code) = error.broker_code() {
        refusal = refusal.with_broker_code(code);
    }
    refusal
}
