//! Queues that the caller chooses. It is given a list with a number, and answers with an index for a key: at the call of a send where it has
//! the list, else when it is asked. A message whose key has no answer yet waits with those that have no queue.

use std::collections::HashSet;
use std::sync::Arc;

use super::Producer;
use super::masters::Masters;
use super::model::Out;
use super::options::ShardingHash;
use super::slab::NIL;
use super::state::State;
use crate::error::{ClientError, Code};
use crate::protocol::MessageQueue;

/// The list that an index addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueList {
    /// Of this list; another list of the producer has another.
    pub number: u32,
    /// In the order that an index addresses, 1 at least.
    pub queues: Vec<MessageQueue>,
}

/// The caller's answer for the message that it sends next, of a key that has nothing pending.
#[derive(Debug, Default)]
pub(super) struct Choice {
    topic: u32,
    key: String,
    list: u32,
    queue: u32,
}

impl<B: Masters> Producer<B> {
    /// The list for a topic's keys; none while it is not known.
    pub fn queue_list(&self, topic: &str) -> Option<QueueList> {
        self.core.with(|state, _| state.topic_ids.get(topic).and_then(|&topic| state.numbered_list(topic)))
    }

    /// The caller's choice for a key: an index in the list of this number. False when the list is another by now.
    pub fn choose(&self, topic: &str, sharding_key: &str, list: u32, index: usize) -> bool {
        self.core.with(|state, _| state.chosen(topic, sharding_key, list, index))
    }

    /// The keys of a topic that wait for the caller's choice, in the order of their messages, and the list.
    pub fn undecided(&self, topic: &str) -> Option<(QueueList, Vec<String>)> {
        self.core.with(|state, _| state.undecided(topic))
    }

    /// The caller has chosen for all keys that were undecided: what waits of them goes on.
    pub fn decided(&self, topic: &str) {
        self.core.called(|state, out| state.decided(topic, out));
    }

    /// The caller cannot choose for a key: what waits of it fails, for this reason.
    pub fn refuse(&self, topic: &str, sharding_key: &str, reason: &str) {
        self.core.with(|state, out| state.refuse(topic, sharding_key, reason, out));
    }
}

impl State {
    /// Whether the caller chooses.
    pub(super) fn is_asking(&self) -> bool {
        self.options.sharding_hash == ShardingHash::Caller
    }

    fn numbered_list(&self, topic: u32) -> Option<QueueList> {
        let (number, queues) = (self.topics[topic].list_number, self.list(topic));
        (!queues.is_empty()).then_some(QueueList { number, queues })
    }

    /// The queue of a key's new message, where the caller chooses and the topic has a list.
    pub(super) fn choice_of(&mut self, topic: u32, key: u32) -> Option<u32> {
        // Nothing overtakes what has no queue yet, not even another key's: it may be for the same queue.
        if self.front(self.topics[topic].lane).is_some() {
            return None;
        }
        let it = &self.keys[key];
        if it.home.is_some() {
            return it.home;
        }
        let Choice { topic: of, key: name, list, queue } = &self.choice;
        let is_of_it = *of == topic && *list == self.topics[topic].list_number && **name == *it.name;
        is_of_it.then_some(*queue)
    }

    /// Messages of this topic wait for the caller's choice: it is told once, until it looks.
    pub(super) fn ask(&mut self, topic: u32, out: &mut Out) {
        let is_asking = self.is_asking();
        let it = &mut self.topics[topic];
        if is_asking && !it.list.is_empty() && !std::mem::replace(&mut it.is_asked, true) {
            out.asks.push(Arc::clone(&it.name));
        }
    }

    /// Messages whose queue has gone, in order: back to those that have none, and before them, as they were called before them.
    pub(super) fn wait_for_choices(&mut self, topic: u32, ids: Vec<u32>, out: &mut Out) {
        let waiting = self.topics[topic].lane;
        let mut behind = std::mem::take(&mut self.lanes[waiting].fifo);
        for id in ids {
            self.push(waiting, id, out);
        }
        self.lanes[waiting].fifo.append(&mut behind);
        self.ask(topic, out);
    }

    fn chosen(&mut self, topic: &str, sharding_key: &str, list: u32, index: usize) -> bool {
        // Without the topic there is no list: its keys are asked for later.
        let Some(&topic) = self.topic_ids.get(topic) else { return true };
        let it = &self.topics[topic];
        let Some(&queue) = it.list.get(index).filter(|_| it.list_number == list) else { return false };
        match it.keys.get(sharding_key) {
            Some(&key) if self.keys[key].unresolved > 0 => {
                // What waits of it goes there when the caller is through with all it was asked, in the order of the calls.
                self.keys[key].chosen = Some(queue);
            }
            _ => {
                let choice = &mut self.choice;
                choice.key.clear();
                choice.key.push_str(sharding_key);
                (choice.topic, choice.list, choice.queue) = (topic, list, queue);
            }
        }
        true
    }

    /// The list is another: what was chosen in the last one is void.
    pub(super) fn forget_choices(&mut self, topic: u32) {
        self.lists += 1;
        self.topics[topic].list_number = self.lists;
        if self.is_asking() {
            for &key in self.topics[topic].keys.values() {
                self.keys[key].chosen = None;
            }
        }
    }

    fn undecided(&mut self, topic: &str) -> Option<(QueueList, Vec<String>)> {
        let &topic = self.topic_ids.get(topic)?;
        self.topics[topic].is_asked = false;
        let list = self.numbered_list(topic)?;
        let mut seen = HashSet::new();
        let waiting = self.lanes[self.topics[topic].lane].fifo.iter().map(|&id| &self.pending[id]);
        let keys = waiting.filter(|message| !message.gone).map(|message| message.key);
        let without = keys.filter(|&key| self.keys[key].home.is_none() && seen.insert(key));
        Some((list, without.map(|key| self.keys[key].name.to_string()).collect()))
    }

    fn decided(&mut self, topic: &str, out: &mut Out) {
        let Some(&topic) = self.topic_ids.get(topic) else { return };
        self.dispatch(topic, out);
    }

    fn refuse(&mut self, topic: &str, sharding_key: &str, reason: &str, out: &mut Out) {
        let Some(&topic) = self.topic_ids.get(topic) else { return };
        let Some(&key) = self.topics[topic].keys.get(sharding_key) else { return };
        let it = &self.keys[key];
        // With a queue it needs no choice.
        if it.home.is_none() && it.first != NIL {
            self.fail(it.first, ClientError::new(Code::InvalidArgument, reason), out);
        }
    }
}
