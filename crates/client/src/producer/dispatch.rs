//! What a new route does: messages without a queue get one, and those whose queue has gone get another.

use std::collections::HashSet;
use std::sync::Arc;

use super::model::{Lane, Out};
use super::queue_selector::queue_list;
use super::state::State;
use crate::env::Instant;
use crate::error::{ClientError, Code};
use crate::protocol::{MessageQueue, TopicRoute};

impl State {
    /// A look at the route has ended.
    pub(super) fn look(
        &mut self,
        topic: u32,
        route: Option<&Arc<TopicRoute>>,
        error: Option<ClientError>,
        out: &mut Out,
    ) {
        self.topics[topic].error = error;
        if let Some(route) = route {
            let is_new = self.topics[topic].route.as_ref().is_none_or(|known| !Arc::ptr_eq(known, route));
            if is_new {
                self.topics[topic].route = Some(Arc::clone(route));
                self.relist(topic, route);
                self.note_unread(topic, route, out);
            }
        } else if let Some(error) = self.topics[topic].error.clone().filter(|e| e.code() == Code::TopicNotFound) {
            // The name server knows that there is no such topic: nothing that waits for its queues can be sent.
            let lane = self.topics[topic].lane;
            while let Some(id) = self.front(lane) {
                self.fail(id, error.clone(), out);
            }
        }
        if !self.topics[topic].list.is_empty() {
            self.dispatch(topic, out);
        }
    }

    fn relist(&mut self, topic: u32, route: &TopicRoute) {
        let before = self.list(topic);
        let name = Arc::clone(&self.topics[topic].name);
        let list = queue_list(route, &name, &before, self.options.sharding_hash, self.options.on_route_change);
        if list == before {
            return;
        }
        let ids: Vec<u32> = list.iter().map(|queue| self.queue(topic, queue)).collect();
        let it = &mut self.topics[topic];
        for queue in &mut it.queues {
            queue.listed = false;
        }
        for &id in &ids {
            it.queues[id as usize].listed = true;
        }
        it.list = ids;
        self.note_route(topic, &list);
        self.forget_choices(topic);
        // Lanes that rest before another attempt have to look where their queue is now.
        for id in self.lanes_of(topic) {
            if !self.lanes[id].is_idle() && self.has_vanished(id) {
                self.lanes[id].wake.notify_one();
            }
        }
    }

    /// The lanes of a topic's queues, or of its keys.
    fn lanes_of(&self, topic: u32) -> impl Iterator<Item = u32> {
        let it = &self.topics[topic];
        let of_keys = it.keys.values().filter_map(|&key| self.keys[key].lane);
        it.queues.iter().filter_map(|queue| queue.lane).chain(of_keys)
    }

    /// The list of queues of a topic.
    pub(super) fn list(&self, topic: u32) -> Vec<MessageQueue> {
        let topic = &self.topics[topic];
        topic.list.iter().map(|&queue| (*topic.queues[queue as usize].name).clone()).collect()
    }

    /// Gives every message that waits for a queue its queue.
    pub(super) fn dispatch(&mut self, topic: u32, out: &mut Out) {
        let of_topic = self.topics[topic].lane;
        while let Some(id) = self.front(of_topic) {
            let key = self.pending[id].key;
            let Some(queue) = self.choose(key) else { return self.ask(topic, out) };
            self.lanes[of_topic].fifo.pop_front();
            self.keys[key].home = Some(queue);
            let lane = self.lane_of(key, queue);
            self.push(lane, id, out);
        }
        self.lanes[of_topic].earliest = None;
    }

    /// Messages of a lane whose queue has gone, in order, to the queues their keys have now. Those of `staying` keys stay.
    pub(super) fn move_away(&mut self, lane: u32, ids: Vec<u32>, staying: &HashSet<u32>, out: &mut Out) {
        let Lane { queue: from, topic, .. } = self.lanes[lane];
        let mut undecided = Vec::new();
        for id in ids {
            let key = self.pending[id].key;
            if staying.contains(&key) {
                self.push(lane, id, out);
                continue;
            }
            // The first of its key finds the old queue, the others the new one.
            if self.keys[key].home == from {
                self.keys[key].home = None;
            }
            let Some(queue) = self.choose(key) else {
                if self.is_asking() {
                    undecided.push(id);
                } else {
                    self.keys[key].home = from;
                    self.push(lane, id, out);
                }
                continue;
            };
            self.keys[key].home = Some(queue);
            let to = self.lane_of(key, queue);
            self.push(to, id, out);
        }
        if !undecided.is_empty() {
            self.wait_for_choices(topic, undecided, out);
        }
    }

    /// A lane's whole FIFO, without empty places.
    pub(super) fn take_fifo(&mut self, lane: u32) -> Vec<u32> {
        let it = &mut self.lanes[lane];
        it.dead = 0;
        it.trial = None;
        it.earliest = None;
        let fifo = std::mem::take(&mut it.fifo);
        let mut live = Vec::with_capacity(fifo.len());
        for id in fifo {
            if self.pending[id].gone {
                self.pending.remove(id);
            } else {
                live.push(id);
            }
        }
        live
    }

    /// A lane that is a key goes to the key's new queue as it is, with everything in it.
    pub(super) fn rehome(&mut self, lane: u32) {
        let Some(key) = self.lanes[lane].key else { return };
        let before = self.keys[key].home.take();
        let home = self.choose(key).or(before);
        self.keys[key].home = home;
        self.lanes[lane].queue = home;
    }

    /// Fails what has waited too long in a lane's FIFO.
    pub(super) fn expire_waiting(&mut self, lane: u32, now: Instant, out: &mut Out) {
        if self.lanes[lane].earliest.is_none_or(|earliest| earliest > now) {
            return;
        }
        let (mut due, mut earliest) = (Vec::new(), None::<Instant>);
        for &id in &self.lanes[lane].fifo {
            let message = &self.pending[id];
            if message.gone {
                continue;
            }
            if message.deadline <= now {
                due.push(id);
            } else {
                earliest = Some(earliest.map_or(message.deadline, |earliest| earliest.min(message.deadline)));
            }
        }
        self.lanes[lane].earliest = earliest;
        for id in due {
            if self.pending.get(id).is_some_and(|message| !message.settled) {
                let error = self.too_late(lane, false);
                self.fail(id, error, out);
            }
        }
    }

    /// What is said when a send's time is up. `tried`: it was in a request, which was not stored.
    pub(super) fn too_late(&self, lane: u32, tried: bool) -> ClientError {
        let it = &self.lanes[lane];
        let topic = &self.topics[it.topic];
        let last = it.error.clone();
        if tried
            && let Some(last) = last
                .as_ref()
                .filter(|e| matches!(e.code(), Code::BrokerBusy | Code::Connection | Code::Tls | Code::NoMaster))
        {
            return last.clone().with_retriable(true);
        }
        if it.queue.is_none() {
            if self.is_asking() && !topic.list.is_empty() {
                let text = "the time of this send was up before shardingHash could be asked: the event loop was busy";
                return ClientError::new(Code::Timeout, text);
            }
            if topic.route.is_some() {
                return ClientError::new(
                    Code::NoWritableQueue,
                    "the topic had no queue that takes messages: no write permission, or no broker of it has a master",
                );
            }
            let error = ClientError::new(Code::Timeout, "the route of the topic was not known in time");
            return match topic.error.clone() {
                Some(cause) => error.with_cause(cause),
                None => error,
            };
        }
        let broker = it.queue.map_or("", |queue| self.queue_of(it.topic, queue).name.broker_name.as_str());
        let text = format!("the time of this send was up before the broker {broker} had acknowledged it");
        let mut error = ClientError::new(Code::Timeout, text);
        if let Some(address) = topic.route.as_ref().and_then(|route| route.master_of(broker)) {
            error = error.with_address(address);
        }
        match last {
            Some(cause) => error.with_cause(cause),
            None => error,
        }
    }
}
