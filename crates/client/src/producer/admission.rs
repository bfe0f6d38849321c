//! Letting a message in: into which lane, if at all now.
//!
//! The caller keeps one FIFO for each lane that was refused something. What may be in such a FIFO must not be overtaken:
//! a key that was refused stays bound to that lane (`Key::waits`) until the FIFO is empty, wherever the route sends it meanwhile;
//! and while the FIFO of a topic without queues is not empty, everything of the topic that is called goes through it.

use super::calls::Admission;
use super::entities::{Load, NO_BROKER, Out, Payload, Pending, Phase, Stage};
use super::queue_selector::queue_index;
use super::slab::NIL;
use super::state::{State, closed};
use crate::env::Instant;
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
}

impl State {
    /// Whether calls are taken at all; `feeding`: the caller accepted it before.
    pub(super) fn is_open(&self, feeding: bool) -> Result<(), ClientError> {
        match self.phase {
            Phase::Running => Ok(()),
            Phase::Closing if feeding => Ok(()),
            Phase::Idle => Err(ClientError::new(Code::InvalidState, "the producer is not started")),
            Phase::Closing | Phase::Closed => Err(closed()),
        }
    }

    /// The queue of a key: the one it has while anything of it is unresolved, else what the list says.
    pub(super) fn choose(&self, key: u32) -> Option<u32> {
        let key = &self.keys[key];
        let topic = &self.topics[key.topic];
        if key.home.is_some() {
            return key.home;
        }
        topic.list.get(queue_index(self.options.sharding_hash, &key.name, topic.list.len())).copied()
    }

    /// Lets a message in or names the lane that has no room.
    pub(super) fn admit(
        &mut self,
        topic: u32,
        sharding_key: &str,
        message: Prepared,
        feeding: bool,
        out: &mut Out,
    ) -> Admission {
        let it = &mut self.topics[topic];
        it.used = true;
        let known = it.keys.get(sharding_key).copied();
        if let Some(key) = known.filter(|&key| self.keys[key].undelivered > 0) {
            self.refuse_closed_key(key, message.slot, message.is_batch, message.load.messages, out);
            return Admission::Taken;
        }
        let of_topic = self.topics[topic].lane;
        let waits = known.and_then(|key| self.keys[key].waits);
        // The lane in whose FIFO at the caller this message was.
        let from = match (self.is_topic_refused(topic), waits) {
            (_, Some(lane)) if feeding => Some(lane),
            (true, _) if feeding => Some(of_topic),
            (true, _) => return Admission::Full { lane: of_topic },
            (false, Some(lane)) => return Admission::Full { lane },
            (false, None) => None,
        };
        let key = known.unwrap_or_else(|| self.key(topic, sharding_key));
        let queue = if self.topics[topic].list.is_empty() { None } else { self.choose(key) };
        let lane = queue.map_or(of_topic, |queue| self.lane_of(key, queue));
        let broker = self.broker_of(lane);
        let has_room = match from {
            Some(_) => self.fits(broker, message.load),
            // Without queues, everything waits behind what of the topic waits with the caller: it may be for the same queue.
            None if lane == of_topic && self.topics[topic].refused > 0 => false,
            None => self.lanes[lane].refused.is_none() && !self.has_line(broker) && self.fits(broker, message.load),
        };
        if !has_room {
            let refused = from.unwrap_or(lane);
            if from.is_some() || self.lanes[lane].refused.is_none() {
                self.refuse(refused, broker);
            }
            if from.is_none() && lane != of_topic {
                self.keys[key].waits = Some(lane);
                self.lanes[lane].marked.push(key);
            }
            if self.lanes[lane].key.is_some() {
                self.tidy_lane(lane);
            } else {
                self.tidy_key(key);
            }
            return Admission::Full { lane: refused };
        }
        self.enter(key, queue, lane, message, out);
        Admission::Taken
    }

    fn enter(&mut self, key: u32, queue: Option<u32>, lane: u32, message: Prepared, out: &mut Out) {
        let Prepared { slot, payload, msg_id, load, encoded, deadline, born, is_batch } = message;
        let it = &mut self.keys[key];
        it.unresolved += 1;
        if queue.is_some() {
            it.home = queue;
        }
        let id = self.pending.insert(Pending {
            slot,
            key,
            lane,
            broker: NO_BROKER,
            stage: Stage::Waiting,
            settled: false,
            gone: false,
            wired: false,
            unknown: false,
            deadline,
            load,
            encoded,
            born,
            msg_id,
            payload: Some(payload),
            is_batch,
            part: 0,
            before: NIL,
            after: NIL,
        });
        self.load.add(load);
        self.brokers[NO_BROKER as usize].load.add(load);
        self.link(id);
        let slot = slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, NIL);
        }
        self.slots[slot] = id;
        self.push(lane, id, out);
    }
}
