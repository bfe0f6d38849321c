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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use rocketmq_protocol::StoredMessage;
    use std::sync::Arc;

    const TEXTS: usize = 5;

    fn delivery(offset: i64, topic: &str, properties: &str, body: &str) -> Delivery {
        let host = "10.0.0.1:5000".parse().unwrap();
        let message = StoredMessage {
            topic: topic.into(),
            queue_id: 0,
            queue_offset: offset,
            physical_offset: 77,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 1,
            born_host: host,
            store_timestamp: 2,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body_crc: 0,
            body: Bytes::copy_from_slice(body.as_bytes()),
            properties: properties.into(),
        };
        Delivery { message: Arc::new(message), topic: topic.into(), attempt: 3 }
    }

    fn number(scratch: &[u8], message: usize, field: usize) -> f64 {
        let at = 8 * (message * FIELDS + field);
        f64::from_ne_bytes(scratch[at..at + 8].try_into().unwrap())
    }

    #[expect(clippy::cast_sign_loss, reason = "places")]
    fn text(scratch: &[u8], message: usize, text: usize) -> Option<&str> {
        let (from, to) = (number(scratch, message, TEXTS + 2 * text), number(scratch, message, TEXTS + 2 * text + 1));
        (from >= 0.0).then(|| std::str::from_utf8(&scratch[from as usize..to as usize]).unwrap())
    }

    #[test]
    fn everything_of_a_message_is_there() {
        let mut scratch = vec![0; HEAD + 8192];
        let mut packer = Packer::new(&mut scratch);
        assert!(packer.pack(&delivery(
            7,
            "orders",
            "UNIQ_KEY\x01ID\x02TAGS\x01paid\x02__SHARDINGKEY\x01k\x02",
            "body"
        )));
        assert!(packer.pack(&delivery(8, "orders", "KEYS\x01\u{8ba2} b\x02", "")));
        assert_eq!(packer.count(), 2);
        let numbers: Vec<f64> = (0..5).map(|field| number(&scratch, 0, field)).collect();
        assert_eq!(numbers, [7.0, 3.0, 1.0, 2.0, 1.0]);
        let texts: Vec<_> = (0..10).map(|i| text(&scratch, 0, i)).collect();
        assert_eq!(texts[..5], [Some("orders"), Some("paid"), None, Some("k"), Some("ID")]);
        assert_eq!(texts[6..8], [Some("10.0.0.1:5000"); 2]);
        assert_eq!(texts[9], Some("body"));
        // Not ASCII; without a unique id, the broker's own is the id; texts of the message before are where they were.
        assert_eq!((number(&scratch, 1, 4), number(&scratch, 1, TEXTS)), (0.0, number(&scratch, 0, TEXTS)));
        assert_eq!((text(&scratch, 1, 2), text(&scratch, 1, 1)), (Some("\u{8ba2} b"), None));
        assert_eq!(text(&scratch, 1, 4), text(&scratch, 1, 5));
        assert_eq!(text(&scratch, 1, 9), Some(""));
    }

    #[test]
    fn what_does_not_fit_waits_and_says_what_it_needs() {
        let large = delivery(1, "orders", "", &"x".repeat(5_000));
        let mut scratch = vec![0; HEAD + 3_000];
        let mut packer = Packer::new(&mut scratch);
        assert!(packer.pack(&delivery(0, "orders", "", "x")));
        assert!(!packer.pack(&large));
        let mut enough = vec![0; room_for(&large)];
        assert!(Packer::new(&mut enough).pack(&large));
        let mut few = vec![0; 1 << 20];
        let mut packer = Packer::new(&mut few);
        assert_eq!((0..100).filter(|&i| packer.pack(&delivery(i, "orders", "", "x"))).count(), MOST_MESSAGES);
    }
}
