//! Texts as numbers: a history has few, many times.

use std::collections::HashMap;
use std::hash::Hash;

use crate::event::Queue;

/// Things by number, each once.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    numbers: HashMap<T, u32>,
    things: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), things: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    pub(super) fn number(&mut self, thing: T) -> u32 {
        if let Some(&number) = self.numbers.get(&thing) {
            return number;
        }
        let number = u32::try_from(self.things.len()).expect("fewer than 2^32 names");
        self.things.push(thing.clone());
        self.numbers.insert(thing, number);
        number
    }

    pub(super) fn thing(&self, number: u32) -> &T {
        &self.things[number as usize]
    }
}

/// A sharding key of a topic.
pub(super) type Key = (u32, u32);

/// All names of a history.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) texts: Numbered<Box<str>>,
    pub(super) queues: Numbered<Queue>,
    pub(super) keys: Numbered<Key>,
    /// Of each queue its topic, among the texts.
    topics: Vec<u32>,
}

impl Names {
    pub(super) fn text(&mut self, text: &str) -> u32 {
        self.texts.number(text.into())
    }

    pub(super) fn queue(&mut self, queue: Queue) -> u32 {
        let topic = self.texts.number(queue.topic.as_str().into());
        let number = self.queues.number(queue);
        if number as usize == self.topics.len() {
            self.topics.push(topic);
        }
        number
    }

    pub(super) fn topic_of(&self, queue: u32) -> u32 {
        self.topics[queue as usize]
    }

    /// A key of the topic with this number.
    pub(super) fn key(&mut self, topic: u32, key: &str) -> u32 {
        let key = self.text(key);
        self.keys.number((topic, key))
    }

    pub(super) fn shown_text(&self, text: u32) -> &str {
        self.texts.thing(text)
    }

    pub(super) fn shown_key(&self, key: u32) -> String {
        let (_, key) = *self.keys.thing(key);
        format!("{:?}", self.shown_text(key))
    }
}
