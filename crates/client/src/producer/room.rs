//! The limits: who is let in, who waits with the caller, and who is told when there is room.

use super::entities::{Load, Out, Refused};
use super::state::State;

/// How many lanes are told of room at a time; each feeds as much as it can before the next are told.
const INVITED_AT_ONCE: usize = 4;
/// Lanes are told when this part of a limit is free, so that they are not fed message by message.
const WORTH_TELLING: usize = 16;

impl State {
    fn limits(&self) -> (Load, Load) {
        let whole = Load { messages: self.options.max_pending_messages, bytes: self.options.max_pending_bytes };
        let half = Load { messages: whole.messages.div_ceil(2), bytes: whole.bytes.div_ceil(2) };
        (whole, half)
    }

    /// Whether a message may be added to a broker's load. Where nothing at all is held there is room for one of any size.
    pub(super) fn fits(&self, broker: u32, more: Load) -> bool {
        let (whole, half) = self.limits();
        let within = |load: Load, limit: Load| {
            load.messages == 0
                || (load.messages + more.messages <= limit.messages && load.bytes + more.bytes <= limit.bytes)
        };
        within(self.load, whole) && within(self.brokers[broker as usize].load, half)
    }

    fn is_worth_telling(&self, broker: u32) -> bool {
        let (whole, half) = self.limits();
        let load = self.brokers[broker as usize].load;
        let free = |of: fn(Load) -> usize| {
            of(whole).saturating_sub(of(self.load)).min(of(half).saturating_sub(of(load))) * WORTH_TELLING >= of(whole)
        };
        self.load.messages == 0 || (free(|load| load.messages) && free(|load| load.bytes))
    }

    /// Whether lanes wait for this broker's room: then nobody may pass them.
    pub(super) fn has_line(&mut self, broker: u32) -> bool {
        if self.refused == 0 {
            return false;
        }
        while let Some(&(lane, ticket)) = self.brokers[broker as usize].line.front() {
            if self.stands(lane, ticket) {
                return true;
            }
            self.brokers[broker as usize].line.pop_front();
        }
        false
    }

    fn stands(&self, lane: u32, ticket: u64) -> bool {
        self.lanes.get(lane).and_then(|lane| lane.refused).is_some_and(|refused| refused.in_line == Some(ticket))
    }

    /// A lane is refused something for want of this broker's room.
    pub(super) fn refuse(&mut self, lane: u32, broker: u32) {
        let is_new = self.lanes[lane].refused.is_none();
        let topic = self.lanes[lane].topic;
        let of_topic = self.topics[topic].lane == lane;
        if is_new {
            self.refused += 1;
            self.topics[topic].refused += usize::from(!of_topic);
        }
        self.lanes[lane].refused = Some(Refused { broker, in_line: None });
        // What waits with the caller for a queue was called after what waits for room in the topic's lanes.
        if !of_topic || self.topics[topic].refused == 0 {
            self.stand_in_line(lane, broker);
        }
    }

    fn stand_in_line(&mut self, lane: u32, broker: u32) {
        self.tickets += 1;
        self.lanes[lane].refused = Some(Refused { broker, in_line: Some(self.tickets) });
        self.brokers[broker as usize].line.push_back((lane, self.tickets));
    }

    /// The caller's FIFO of this lane is empty: its messages may come in directly again.
    pub(super) fn drained(&mut self, lane: u32, out: &mut Out) {
        if self.lanes.get(lane).is_none_or(|lane| lane.refused.is_none()) {
            return;
        }
        self.lanes[lane].refused = None;
        self.refused -= 1;
        for key in std::mem::take(&mut self.lanes[lane].marked) {
            self.keys[key].waits = None;
            self.tidy_key(key);
        }
        let topic = &mut self.topics[self.lanes[lane].topic];
        let of_topic = topic.lane;
        if of_topic != lane {
            topic.refused -= 1;
            if topic.refused == 0
                && let Some(Refused { broker, in_line: None }) = self.lanes[of_topic].refused
            {
                self.stand_in_line(of_topic, broker);
            }
        }
        self.tidy_lane(lane);
        self.invite(out);
    }

    /// Tells lanes of room, where there is some.
    pub(super) fn invite(&mut self, out: &mut Out) {
        if self.refused == 0 {
            return;
        }
        for broker in 0..super::state::number(self.brokers.len()) {
            let mut invited = 0;
            while invited < INVITED_AT_ONCE && self.is_worth_telling(broker) && self.has_line(broker) {
                let Some((lane, _)) = self.brokers[broker as usize].line.pop_front() else { break };
                self.lanes[lane].refused = Some(Refused { broker, in_line: None });
                out.rooms.push(lane);
                invited += 1;
            }
        }
    }

    /// Whether a topic's messages without a queue wait with the caller, too.
    pub(super) fn is_topic_refused(&self, topic: u32) -> bool {
        self.lanes[self.topics[topic].lane].refused.is_some()
    }
}
