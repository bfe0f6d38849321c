//! Taking a message in: into which lane.

use super::model::{Load, Out, Payload, Pending, Phase, Stage};
use super::queue_selector::queue_index;
use super::slab::NIL;
use super::state::{State, closed};
use crate::env::{Instant, planted};
use crate::error::{ClientError, Code};

/// A message that is ready for the wire but for its queue.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) slot: u32,
    pub(super) payload: Payload,
    pub(super) msg_id: String,
    pub(super) load: Load,
    /// Bytes in the body of a batch.
    pub(super) encoded: usize,
    pub(super) deadline: Instant,
    pub(super) born: i64,
    pub(super) is_batch: bool,
    pub(super) is_apart: bool,
}

impl State {
    /// Whether calls are taken at all.
    pub(super) fn is_open(&self) -> Result<(), ClientError> {
        match self.phase {
            Phase::Running => Ok(()),
            Phase::Idle => Err(ClientError::new(Code::InvalidState, "the producer is not started")),
            Phase::Closing | Phase::Closed => Err(closed()),
        }
    }

    /// The queue of a key: the one it has while anything of it is unresolved, else what the list says, or the caller has chosen.
    pub(super) fn choose(&self, key: u32) -> Option<u32> {
        let key = &self.keys[key];
        let topic = &self.topics[key.topic];
        if (key.home.is_some() && !planted("move an unresolved key")) || self.is_asking() {
            return key.home.or(key.chosen);
        }
        topic.list.get(queue_index(self.options.sharding_hash, &key.name, topic.list.len())).copied()
    }

    /// Takes a message in.
    pub(super) fn admit(&mut self, topic: u32, sharding_key: &str, message: Prepared, out: &mut Out) {
        self.topics[topic].used = true;
        let key = self.key(topic, sharding_key);
        let send = self.note_submit(topic, key, &message.msg_id);
        if self.keys[key].undelivered > 0 && !planted("open the fence early") {
            return self.refuse_closed_key(key, send, message.slot, message.load.messages, out);
        }
        let queue = match self.is_asking() {
            _ if self.topics[topic].list.is_empty() => None,
            true => self.choice_of(topic, key),
            false => self.choose(key),
        };
        let lane = queue.map_or(self.topics[topic].lane, |queue| self.lane_of(key, queue));
        self.enter(key, send, queue, lane, message, out);
        if queue.is_none() {
            self.ask(topic, out);
        }
    }

    fn enter(&mut self, key: u32, send: u64, queue: Option<u32>, lane: u32, message: Prepared, out: &mut Out) {
        let Prepared { slot, payload, msg_id, load, encoded, deadline, born, is_batch, is_apart } = message;
        let it = &mut self.keys[key];
        it.unresolved += 1;
        if queue.is_some() {
            it.home = queue;
        }
        let id = self.pending.insert(Pending {
            slot,
            send,
            key,
            lane,
            stage: Stage::Waiting,
            settled: false,
            gone: false,
            attempts: 0,
            unknown: false,
            deadline,
            load,
            encoded,
            born,
            msg_id,
            payload: Some(payload),
            is_batch,
            is_apart,
            part: 0,
            before: NIL,
            after: NIL,
        });
        self.load.add(load);
        self.tell_of_flood(out);
        self.link(id);
        let slot = slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, NIL);
        }
        self.slots[slot] = id;
        self.push(lane, id, out);
    }
}
