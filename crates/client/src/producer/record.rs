//! What is written down of sends. Numbers are counted by who calls, so that a history that nobody keeps costs nothing.

use super::answers::Verdict;
use super::flight::Flight;
use super::options::Batching;
use super::state::State;
use crate::error::{ClientError, Outcome};
use crate::protocol::MessageQueue;
use crate::record::event::{Answer, Event, Hello, Queue, Settled};

impl Verdict {
    /// As histories have it.
    fn answer(&self) -> Answer {
        let refused = |error: &ClientError| Answer::Refused { code: error.broker_code().unwrap_or_default() };
        match self {
            Self::Stored(receipt) => Answer::Stored { offset: receipt.queue_offset },
            Self::NotStored { wired: false, .. } | Self::Refused { wired: false, .. } => Answer::Unsent,
            Self::Unknown { .. } | Self::Refused { certain: false, .. } => Answer::Unknown,
            Self::NotStored { error, .. }
            | Self::Refused { error, .. }
            | Self::BatchesRefused(error)
            | Self::Illegal(error) => refused(error),
        }
    }
}

impl State {
    /// What is special about this producer.
    pub(super) fn introduce(&self, hello: &mut Hello) {
        hello.mixes_keys = self.options.batching == Batching::Queue;
    }

    /// From here on the keys of a topic are spread over these queues.
    pub(super) fn note_route(&self, topic: u32, queues: &[MessageQueue]) {
        let real = &self.topics[topic].real;
        self.options.history.record(|| Event::Route {
            topic: real.to_string(),
            queues: queues.iter().map(|queue| named(real, queue)).collect(),
        });
    }

    /// A call is taken in, or refused as its key is closed: its number.
    pub(super) fn note_submit(&mut self, topic: u32, key: u32, msg_ids: &str) -> u64 {
        self.submits += 1;
        let send = self.submits;
        self.options.history.record(|| Event::Submit {
            send,
            topic: self.topics[topic].real.to_string(),
            key: self.keys[key].name.to_string(),
            ids: msg_ids.split(',').map(str::to_owned).collect(),
        });
        send
    }

    /// A request is about to be written.
    pub(super) fn note_wire(&self, request: u64, flight: &Flight) {
        let Some(queue) = &flight.queue else { return };
        self.options.history.record(|| Event::Wire {
            request,
            queue: named(&flight.topic, queue),
            sends: flight.ids.iter().map(|&id| self.pending[id].send).collect(),
        });
    }

    /// That attempt is over.
    pub(super) fn note_answer(&self, request: u64, verdict: &Verdict) {
        self.options.history.record(|| Event::Answer { request, outcome: verdict.answer() });
    }

    /// The caller is told that a send was stored, with its first message at this offset.
    pub(super) fn note_stored(&self, send: u64, topic: &str, queue: &MessageQueue, offset: i64) {
        self.options
            .history
            .record(|| Event::Settle { send, outcome: Settled::Stored { queue: named(topic, queue), offset } });
    }

    /// The caller is told of this error.
    pub(super) fn note_failed(&self, send: u64, error: &ClientError, outcome: Outcome) {
        self.options.history.record(|| {
            let code = error.code().as_str().to_owned();
            let outcome = match outcome {
                Outcome::NotStored => Settled::Failed { code },
                Outcome::Unknown => Settled::Unknown { code },
            };
            Event::Settle { send, outcome }
        });
    }
}

/// As brokers know it; queues of a producer have the topic as the user sees it.
fn named(topic: &str, queue: &MessageQueue) -> Queue {
    Queue { topic: topic.to_owned(), broker: queue.broker_name.clone(), id: queue.queue_id }
}
