//! One request of a lane: what goes into it, and what its answer does to the messages in it.

use bytes::BytesMut;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

use super::model::{Entry, Out, Payload, Phase, Stage};
use super::options::Batching;
use super::state::State;
use crate::env::{self, Backoff, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::{MessageQueue, SendBatch, SendMessage, batch};

/// Most messages in a batch of ours.
const BATCH_MESSAGES: usize = 2_048;

/// A request on the wire.
#[derive(Debug)]
pub(super) struct Flying {
    pub(super) flight: Flight,
    /// Of the attempt.
    pub(super) number: u64,
    /// Its leave, where requests are counted.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// The messages of a lane's request: on the wire, resting between two attempts, or waiting for the first.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub(super) ids: Vec<u32>,
    /// Bytes in the body of a batch of them.
    pub(super) size: usize,
    pub(super) payloads: Vec<Payload>,
    pub(super) queue: Option<Arc<MessageQueue>>,
    /// Real name.
    pub(super) topic: Arc<str>,
    pub(super) born: i64,
    /// The first deadline of a message in it.
    pub(super) earliest: Option<Instant>,
    /// Some attempt has an unknown outcome.
    pub(super) unknown: bool,
    /// As it was encoded, until its messages or its queue change.
    pub(super) wire: Option<Arc<Wire>>,
    /// Whether an attempt was made.
    pub(super) was_sent: bool,
    /// The pauses between its attempts, after the first.
    pub(super) backoff: Option<Backoff>,
    /// How often it was answered with a code 1 of unknown meaning.
    pub(super) system_errors: u32,
    /// The highest offset that was acknowledged before.
    pub(super) floor: i64,
}

/// A request, encoded once for all its attempts.
#[derive(Debug)]
pub enum Wire {
    /// A message (310).
    One(SendMessage),
    /// Several (320).
    Batch(SendBatch),
}

impl Flight {
    /// The request for these messages, encoded at most once.
    pub(super) fn encoded(&mut self, group: &str) -> Result<Arc<Wire>, ClientError> {
        if let Some(wire) = &self.wire {
            return Ok(Arc::clone(wire));
        }
        let wire = Arc::new(self.encode(group)?);
        self.wire = Some(Arc::clone(&wire));
        Ok(wire)
    }

    /// Whether it went as a batch.
    pub(super) fn is_batch(&self) -> bool {
        matches!(self.wire.as_deref(), Some(Wire::Batch(_)))
    }

    /// The request for these messages. An error is a defect: the local limits were not kept.
    fn encode(&self, group: &str) -> Result<Wire, ClientError> {
        let defect = |text: &str| ClientError::new(Code::Internal, text);
        let queue = self.queue.as_ref().ok_or_else(|| defect("a request without a queue"))?;
        let entries: Vec<&Entry> = self
            .payloads
            .iter()
            .flat_map(|payload| match payload {
                Payload::One(entry) => std::slice::from_ref(entry),
                Payload::Batch(entries) => entries.as_slice(),
            })
            .collect();
        let (producer_group, topic, broker_name) =
            (group.to_owned(), self.topic.to_string(), queue.broker_name.clone());
        if let [entry] = entries.as_slice() {
            return Ok(Wire::One(SendMessage {
                producer_group,
                topic,
                broker_name,
                queue_id: queue.queue_id,
                sys_flag: entry.form.sys_flag(),
                born_timestamp: self.born,
                flag: 0,
                properties: entry.properties.clone(),
                reconsume_times: 0,
                max_reconsume_times: None,
                body: entry.body.clone(),
            }));
        }
        let size = entries.iter().map(|entry| batch::entry_len(entry.body.len(), entry.properties.len())).sum();
        let mut body = BytesMut::with_capacity(size);
        for entry in entries {
            batch::append(&mut body, 0, &entry.body, &entry.properties).map_err(|error| defect(&error.to_string()))?;
        }
        Ok(Wire::Batch(SendBatch {
            producer_group,
            topic,
            broker_name,
            queue_id: queue.queue_id,
            born_timestamp: env::wall_ms(),
            body: body.freeze(),
        }))
    }
}

impl State {
    /// The first message of a lane that can still be sent, and from its queue; none when it has become idle.
    pub(super) fn first_waiting(&mut self, lane: u32, now: Instant, out: &mut Out) -> Option<u32> {
        if self.phase != Phase::Closed {
            if self.has_vanished(lane) {
                self.leave_queue(lane, &mut Flight::default(), out);
            }
            self.expire_waiting(lane, now, out);
        }
        let first = self.front(lane);
        if first.is_none() {
            self.rest_lane(lane);
        }
        first
    }

    /// The next request of a lane; none when it has become idle.
    pub(super) fn compose(&mut self, lane: u32, now: Instant, out: &mut Out) -> Option<Flight> {
        let first = self.first_waiting(lane, now, out)?;
        let mut flight = Flight::default();
        let (most, limit) = (self.batch_size(first), self.batch_bytes(lane, now));
        let part = self.pending[first].part;
        while let Some(id) = self.front(lane) {
            let message = &mut self.pending[id];
            let size = flight.size + message.encoded;
            let is_apart = message.is_apart || message.part != part || size > limit;
            if !flight.ids.is_empty() && (flight.ids.len() >= most || is_apart) {
                break;
            }
            flight.size = size;
            message.stage = Stage::Flying;
            flight.unknown |= message.unknown;
            flight.earliest = Some(flight.earliest.map_or(message.deadline, |it| it.min(message.deadline)));
            if flight.ids.is_empty() {
                flight.born = message.born;
            }
            flight.payloads.extend(message.payload.take());
            flight.ids.push(id);
            let it = &mut self.lanes[lane];
            it.fifo.pop_front();
        }
        if flight.ids.len() > 1 {
            self.batch_leaves(lane, flight.size, now);
        }
        let it = &mut self.lanes[lane];
        if it.fifo.is_empty() {
            it.earliest = None;
        }
        self.target(lane, &mut flight);
        Some(flight)
    }

    fn batch_size(&self, first: u32) -> usize {
        let is_alone = self.options.batching == Batching::Off || self.pending[first].is_apart;
        if is_alone { 1 } else { BATCH_MESSAGES }
    }

    /// Where a request goes: the lane's queue as it is now.
    fn target(&self, lane: u32, flight: &mut Flight) {
        let it = &self.lanes[lane];
        let topic = &self.topics[it.topic];
        flight.topic = Arc::clone(&topic.real);
        flight.wire = None;
        if let Some(queue) = it.queue.map(|queue| &topic.queues[queue as usize]) {
            flight.queue = Some(Arc::clone(&queue.name));
            flight.floor = queue.mark;
        }
    }

    /// The lane's queue has gone from the list: what is not on the wire, and cannot be in that queue, gets another.
    ///
    /// False: the request stays, as it may be stored; only what waits behind it, of other keys, has moved.
    pub(super) fn leave_queue(&mut self, lane: u32, flight: &mut Flight, out: &mut Out) -> bool {
        if self.lanes[lane].key.is_some() && !self.is_asking() {
            if flight.unknown {
                return false;
            }
            self.rehome(lane);
            self.target(lane, flight);
            return false;
        }
        let mut staying = HashSet::new();
        let mut moving = Vec::new();
        if flight.unknown {
            staying.extend(flight.ids.iter().map(|&id| self.pending[id].key));
        } else {
            moving = self.give_back(flight);
        }
        moving.extend(self.take_fifo(lane));
        staying.extend(moving.iter().map(|&id| &self.pending[id]).filter(|it| it.unknown).map(|it| it.key));
        self.move_away(lane, moving, &staying, out);
        !flight.unknown
    }

    /// Ends a request whose messages wait again: they have their payloads back.
    pub(super) fn give_back(&mut self, flight: &mut Flight) -> Vec<u32> {
        let ids = std::mem::take(&mut flight.ids);
        for (&id, payload) in ids.iter().zip(flight.payloads.drain(..)) {
            let message = &mut self.pending[id];
            message.payload = Some(payload);
            message.stage = Stage::Waiting;
        }
        ids
    }

    /// Drops from a request what has been settled meanwhile.
    pub(super) fn prune(&mut self, flight: &mut Flight) {
        if !flight.ids.iter().any(|&id| self.pending[id].settled) {
            return;
        }
        let (mut ids, mut payloads) = (Vec::new(), Vec::new());
        for (id, payload) in std::mem::take(&mut flight.ids).into_iter().zip(flight.payloads.drain(..)) {
            if self.pending[id].settled {
                self.finish(id);
            } else {
                ids.push(id);
                payloads.push(payload);
            }
        }
        flight.earliest = ids.iter().map(|&id| self.pending[id].deadline).min();
        flight.size = ids.iter().map(|&id| self.pending[id].encoded).sum();
        flight.ids = ids;
        flight.payloads = payloads;
        flight.wire = None;
    }

    /// A message's last request has ended.
    pub(super) fn finish(&mut self, id: u32) {
        self.release(id);
        self.pending.remove(id);
    }

    /// The messages of a request rest, or fly again.
    pub(super) fn set_stage(&mut self, flight: &Flight, stage: Stage) {
        for &id in &flight.ids {
            self.pending[id].stage = stage;
        }
    }

    /// Fails what has waited too long, in the lane's request and behind it.
    pub(super) fn expire(&mut self, lane: u32, flight: &mut Flight, now: Instant, out: &mut Out) {
        if flight.earliest.is_some_and(|earliest| earliest <= now) {
            let mut earliest = None::<Instant>;
            for &id in &flight.ids {
                let message = &self.pending[id];
                if message.settled {
                    continue;
                }
                if message.deadline > now {
                    earliest = Some(earliest.map_or(message.deadline, |it| it.min(message.deadline)));
                    continue;
                }
                let tried = message.stage == Stage::Resting && !message.unknown;
                let error = self.too_late(lane, tried);
                self.fail(id, error, out);
            }
            flight.earliest = earliest;
        }
        self.expire_waiting(lane, now, out);
    }
}
