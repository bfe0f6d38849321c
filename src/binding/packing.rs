//! Messages on their way into JavaScript: written into scratch memory of the facade, which makes objects of it. That costs a third of
//! fifteen values each, and nothing that a user keeps of one message holds the others.
//!
//! The scratch memory begins with the fields of each message, [`FIELDS`] numbers (f64) each: offset, attempt, the two timestamps, whether
//! its texts are ASCII, and where these begin and end: topic, tags, keys, sharding key, unique id, broker's id, born host, store host,
//! properties, body. What is absent begins at −1. A text that is that of the message before may be at the same place.

use crate::consumer::Delivery;
use std::net::SocketAddr;
use std::ops::Range;

/// Numbers of one message.
const FIELDS: usize = 25;
/// Most messages at a time.
pub(super) const MOST_MESSAGES: usize = 64;
/// Where texts and bodies begin.
const HEAD: usize = MOST_MESSAGES * FIELDS * size_of::<f64>();

/// A text that was packed, and where it is.
struct Packed<T> {
    of: Option<T>,
    at: Range<usize>,
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self { of: None, at: 0..0 }
    }
}

/// Fills scratch memory.
pub(super) struct Packer<'a> {
    scratch: &'a mut [u8],
    /// How many messages there are, and where the next text goes.
    count: usize,
    end: usize,
    topic: Packed<String>,
    born_host: Packed<SocketAddr>,
    store_host: Packed<SocketAddr>,
}

/// How large scratch memory has to be for this message.
pub(super) fn room_for(delivery: &Delivery) -> usize {
    let message = &delivery.message;
    // Hosts and ids are the rest.
    HEAD + delivery.topic.len() + message.properties.len() + message.body.len() + 512
}

impl<'a> Packer<'a> {
    /// Over this memory.
    pub(super) fn new(scratch: &'a mut [u8]) -> Self {
        let (topic, born_host, store_host) = (Packed::default(), Packed::default(), Packed::default());
        Self { scratch, count: 0, end: HEAD, topic, born_host, store_host }
    }

    /// How many messages are packed.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// One more message; false when there is no room for it.
    #[expect(clippy::cast_precision_loss, reason = "offsets, times and places stay below 2^53")]
    pub(super) fn pack(&mut self, delivery: &Delivery) -> bool {
        if self.count == MOST_MESSAGES || self.end - HEAD + room_for(delivery) > self.scratch.len() {
            return false;
        }
        let message = &*delivery.message;
        let (labels, offset_msg_id) = (message.labels(), message.offset_msg_id());
        let properties = self.put(message.properties.as_bytes());
        let within = |part: Option<&str>| part.map(|part| within(&message.properties, part, properties.start));
        let (tags, keys, key) = (within(labels.tags), within(labels.keys), within(labels.sharding_key));
        let unique_id = within(labels.unique_id);
        let offset_id = self.put(offset_msg_id.as_bytes());
        if self.topic.of.as_deref() != Some(&*delivery.topic) {
            self.topic = Packed { of: Some(delivery.topic.to_string()), at: self.put(delivery.topic.as_bytes()) };
        }
        if self.born_host.of != Some(message.born_host) {
            let at = self.put(message.born_host.to_string().as_bytes());
            self.born_host = Packed { of: Some(message.born_host), at };
        }
        if self.store_host.of != Some(message.store_host) {
            let at = self.put(message.store_host.to_string().as_bytes());
            self.store_host = Packed { of: Some(message.store_host), at };
        }
        let body = self.put(&message.body);
        let is_ascii = message.properties.is_ascii() && delivery.topic.is_ascii();
        let spans = [
            Some(self.topic.at.clone()),
            tags,
            keys,
            key,
            Some(unique_id.unwrap_or_else(|| offset_id.clone())),
            Some(offset_id),
            Some(self.born_host.at.clone()),
            Some(self.store_host.at.clone()),
            Some(properties),
            Some(body),
        ];
        let numbers = [
            message.queue_offset as f64,
            f64::from(delivery.attempt),
            message.born_timestamp as f64,
            message.store_timestamp as f64,
            f64::from(u8::from(is_ascii)),
        ];
        let places = spans.into_iter().flat_map(|span| match span {
            Some(span) => [span.start as f64, span.end as f64],
            None => [-1.0, -1.0],
        });
        let from = self.count * FIELDS * size_of::<f64>();
        for (number, place) in numbers.into_iter().chain(places).zip(self.scratch[from..].chunks_exact_mut(8)) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        self.count += 1;
        true
    }

    fn put(&mut self, bytes: &[u8]) -> Range<usize> {
        let at = self.end..self.end + bytes.len();
        self.scratch[at.clone()].copy_from_slice(bytes);
        self.end = at.end;
        at
    }
}

/// Where a part of a text is, whose first byte is at `start`.
fn within(text: &str, part: &str, start: usize) -> Range<usize> {
    let from = start + (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize).min(text.len());
    from..from + part.len()
}
