//! Messages on their way into JavaScript: written into scratch memory of the facade, which makes objects of it. That costs a third of
//! fifteen values each.
//!
//! The scratch memory begins with numbers (f64). Those of all messages, [`COMMON`] of them: whether their texts are ASCII, where these end,
//! and where the bodies begin. Then the fields of each message, [`FIELDS`] of them: offset, attempt, the two timestamps, and where its
//! texts begin and end: topic, tags, keys, sharding key, the unique id and the broker's id in two parts each, born host, store host,
//! properties, body. What is absent begins at −1. Texts follow, one behind the other, and bodies fill the memory from its end, each at a
//! multiple of eight. A text that is that of the message before may be at the same place.

use crate::consumer::Delivery;
use crate::protocol::OffsetId;
use crate::protocol::message_id::Digits;
use std::net::SocketAddr;
use std::ops::Range;

/// Numbers of all messages together.
const COMMON: usize = 3;
/// Numbers of one message.
const FIELDS: usize = 28;
/// Most messages at a time.
pub(super) const MOST_MESSAGES: usize = 64;
/// Where texts begin.
const HEAD: usize = (COMMON + MOST_MESSAGES * FIELDS) * size_of::<f64>();
/// Bytes at the end of an id that differ from message to message: time and counter, or an offset. In JavaScript two short texts are made
/// and joined in a third of the time of a long one.
const ID_TAIL: usize = 12;
/// Where bodies begin.
const ALIGNMENT: usize = 8;
/// Bytes that hosts and ids have at most, and what alignment may take.
const REST: usize = 512;

/// A text that was packed, and where it is.
struct Repeated<T> {
    of: Option<T>,
    at: Range<usize>,
}

impl<T> Default for Repeated<T> {
    fn default() -> Self {
        Self { of: None, at: 0..0 }
    }
}

/// Fills scratch memory.
pub(super) struct Packer<'a, 'm> {
    scratch: &'a mut [u8],
    /// How many messages there are, where the next text goes, and where the last body begins.
    count: usize,
    end: usize,
    bodies: usize,
    is_ascii: bool,
    topic: Repeated<&'m str>,
    tags: Repeated<&'m str>,
    id_head: Repeated<&'m str>,
    offset_id_head: Repeated<Digits>,
    born_host: Repeated<SocketAddr>,
    store_host: Repeated<SocketAddr>,
}

/// How large scratch memory has to be for this message.
pub(super) fn room_for(delivery: &Delivery) -> usize {
    (HEAD + room_behind_head(delivery)).next_multiple_of(ALIGNMENT)
}

fn room_behind_head(delivery: &Delivery) -> usize {
    let message = &delivery.message;
    delivery.topic.len() + message.properties.len() + message.body.len() + REST
}

impl<T: PartialEq> Repeated<T> {
    /// Where this is: at `at`, unless it is there already.
    fn place(&mut self, of: T, at: Range<usize>) -> Range<usize> {
        if self.of.as_ref() != Some(&of) {
            *self = Self { of: Some(of), at };
        }
        self.at.clone()
    }
}

impl<'a, 'm> Packer<'a, 'm> {
    /// Over this memory.
    pub(super) fn new(scratch: &'a mut [u8]) -> Self {
        let bodies = scratch.len() / ALIGNMENT * ALIGNMENT;
        Self {
            scratch,
            count: 0,
            end: HEAD,
            bodies,
            is_ascii: true,
            topic: Repeated::default(),
            tags: Repeated::default(),
            id_head: Repeated::default(),
            offset_id_head: Repeated::default(),
            born_host: Repeated::default(),
            store_host: Repeated::default(),
        }
    }

    /// One more message; false when there is no room for it.
    #[expect(clippy::cast_precision_loss, reason = "offsets, times and places stay below 2^53")]
    pub(super) fn pack(&mut self, delivery: &'m Delivery) -> bool {
        if self.count == MOST_MESSAGES || self.end + room_behind_head(delivery) > self.bodies {
            return false;
        }
        let message = &*delivery.message;
        let labels = message.labels();
        let properties = self.put(message.properties.as_bytes());
        let within = |part: &str| within(&message.properties, part, properties.start);
        let [offset_head, offset_tail] = self.put_offset_id(message.offset_id());
        let [id_head, id_tail] = match labels.unique_id {
            Some(id) => {
                let (head, tail) = in_parts(id);
                [self.id_head.place(head, within(head)), within(tail)]
            }
            None => [offset_head.clone(), offset_tail.clone()],
        };
        let places = [
            Some(self.put_repeated(|it| &mut it.topic, &*delivery.topic, |topic| *topic)),
            labels.tags.map(|tags| self.tags.place(tags, within(tags))),
            labels.keys.map(within),
            labels.sharding_key.map(within),
            Some(id_head),
            Some(id_tail),
            Some(offset_head),
            Some(offset_tail),
            Some(self.put_repeated(|it| &mut it.born_host, message.born_host, SocketAddr::to_string)),
            Some(self.put_repeated(|it| &mut it.store_host, message.store_host, SocketAddr::to_string)),
            Some(properties.clone()),
            Some(self.put_body(&message.body)),
        ];
        self.is_ascii &= message.properties.is_ascii() && delivery.topic.is_ascii();
        let numbers = [message.queue_offset, delivery.attempt.into(), message.born_timestamp, message.store_timestamp];
        let places = places.map(|at| at.map_or([-1.0, -1.0], |at| [at.start as f64, at.end as f64]));
        let first = COMMON + self.count * FIELDS;
        self.set(first, &numbers.map(|number| number as f64));
        self.set(first + numbers.len(), places.as_flattened());
        self.count += 1;
        true
    }

    /// Completes it. How many messages there are.
    #[expect(clippy::cast_precision_loss, reason = "places stay below 2^53")]
    pub(super) fn finish(mut self) -> usize {
        if self.count > 0 {
            let is_ascii = f64::from(u8::from(self.is_ascii));
            self.set(0, &[is_ascii, self.end as f64, self.bodies as f64]);
        }
        self.count
    }

    fn set(&mut self, first: usize, numbers: &[f64]) {
        let at = first * size_of::<f64>();
        for (number, place) in numbers.iter().zip(self.scratch[at..].as_chunks_mut().0) {
            *place = number.to_ne_bytes();
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Range<usize> {
        let at = self.end..self.end + bytes.len();
        self.scratch[at.clone()].copy_from_slice(bytes);
        self.end = at.end;
        at
    }

    fn put_body(&mut self, body: &[u8]) -> Range<usize> {
        self.bodies = (self.bodies - body.len()) / ALIGNMENT * ALIGNMENT;
        let at = self.bodies..self.bodies + body.len();
        self.scratch[at.clone()].copy_from_slice(body);
        at
    }

    /// What is mostly that of the message before: `text` is made of it, and put, only where it is not.
    fn put_repeated<T: PartialEq, S: AsRef<[u8]>>(
        &mut self,
        known: impl Fn(&mut Self) -> &mut Repeated<T>,
        of: T,
        text: impl FnOnce(&T) -> S,
    ) -> Range<usize> {
        if known(self).of.as_ref() != Some(&of) {
            let at = self.put(text(&of).as_ref());
            *known(self) = Repeated { of: Some(of), at };
        }
        known(self).at.clone()
    }

    /// In two parts.
    fn put_offset_id(&mut self, id: OffsetId) -> [Range<usize>; 2] {
        let digits = id.digits();
        let (head, tail) = in_parts(digits.as_str());
        if self.offset_id_head.of.as_ref().is_none_or(|known| in_parts(known.as_str()).0 != head) {
            let at = self.put(head.as_bytes());
            self.offset_id_head = Repeated { of: Some(digits), at };
        }
        [self.offset_id_head.at.clone(), self.put(tail.as_bytes())]
    }
}

/// An id's beginning, which it has in common with others, and the rest.
fn in_parts(id: &str) -> (&str, &str) {
    let middle = if id.is_ascii() { id.len().saturating_sub(ID_TAIL) } else { 0 };
    id.split_at(middle)
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

    const TEXTS: usize = 4;

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

    fn common(scratch: &[u8], index: usize) -> i64 {
        f64::from_ne_bytes(scratch[8 * index..8 * index + 8].try_into().unwrap()) as i64
    }

    fn number(scratch: &[u8], message: usize, field: usize) -> i64 {
        common(scratch, COMMON + message * FIELDS + field)
    }

    #[expect(clippy::cast_sign_loss, reason = "places")]
    fn text(scratch: &[u8], message: usize, text: usize) -> Option<&str> {
        let (from, to) = (number(scratch, message, TEXTS + 2 * text), number(scratch, message, TEXTS + 2 * text + 1));
        (from >= 0).then(|| std::str::from_utf8(&scratch[from as usize..to as usize]).unwrap())
    }

    fn pack(scratch: &mut [u8], deliveries: &[Delivery]) -> usize {
        let mut packer = Packer::new(scratch);
        let _ = deliveries.iter().take_while(|delivery| packer.pack(delivery)).count();
        packer.finish()
    }

    #[test]
    fn everything_of_a_message_is_there() {
        let mut scratch = vec![0; HEAD + 8192];
        let properties = "UNIQ_KEY\x010123456789ABCDEF0123\x02TAGS\x01paid\x02__SHARDINGKEY\x01k\x02";
        let first = delivery(7, "orders", properties, "body");
        let second = delivery(8, "orders", "KEYS\x01\u{8ba2} b\x02", "");
        assert_eq!(pack(&mut scratch, &[first.clone(), second]), 2);
        let numbers: Vec<i64> = (0..4).map(|field| number(&scratch, 0, field)).collect();
        assert_eq!(numbers, [7, 3, 1, 2]);
        let texts: Vec<_> = (0..12).map(|i| text(&scratch, 0, i).unwrap_or("absent")).collect();
        let ids = ["01234567", "89ABCDEF0123", "0A00000100001388000", "000000000004D"];
        assert_eq!(texts[..4], ["orders", "paid", "absent", "k"]);
        assert_eq!((texts[4], texts[5], texts[6].len(), texts[7].len()), (ids[0], ids[1], 20, 12));
        assert_eq!([texts[6], texts[7]].concat(), [ids[2], ids[3]].concat());
        assert_eq!(texts[8..], ["10.0.0.1:5000", "10.0.0.1:5000", properties, "body"]);
        // Without a unique id, the broker's own is the id; texts of the message before are where they were.
        assert_eq!(number(&scratch, 1, TEXTS), number(&scratch, 0, TEXTS));
        assert_eq!((text(&scratch, 1, 2), text(&scratch, 1, 1)), (Some("\u{8ba2} b"), None));
        assert_eq!((text(&scratch, 1, 4), text(&scratch, 1, 5)), (text(&scratch, 1, 6), text(&scratch, 1, 7)));
        assert_eq!(number(&scratch, 1, TEXTS + 2 * 6), number(&scratch, 0, TEXTS + 2 * 6));
        assert_eq!(text(&scratch, 1, 11), Some(""));
        assert_eq!(common(&scratch, 0), 0, "not all are ASCII");
        assert_eq!(pack(&mut scratch, &[first]), 1);
        assert_eq!(common(&scratch, 0), 1);
    }

    #[test]
    fn texts_and_bodies_lie_together() {
        let mut scratch = vec![0; HEAD + 8192];
        let deliveries: Vec<_> = (0..3).map(|i| delivery(i, "orders", "a\x01b\x02", "0123456789")).collect();
        assert_eq!(pack(&mut scratch, &deliveries), 3);
        let bodies: Vec<i64> = (0..3).map(|message| number(&scratch, message, FIELDS - 2)).collect();
        let end = i64::try_from(scratch.len()).unwrap();
        assert_eq!(bodies, [end - 16, end - 32, end - 48]);
        assert_eq!(common(&scratch, 2), bodies[2]);
        let last = number(&scratch, 2, TEXTS + 2 * 7 + 1);
        assert!(common(&scratch, 1) >= last && last > 0);
    }

    #[test]
    fn an_id_that_is_not_ascii_is_whole() {
        let mut scratch = vec![0; HEAD + 8192];
        let id = "\u{8ba2}\u{8ba2}\u{8ba2}\u{8ba2}\u{8ba2}";
        assert_eq!(pack(&mut scratch, &[delivery(0, "orders", &format!("UNIQ_KEY\x01{id}"), "")]), 1);
        assert_eq!((text(&scratch, 0, 4), text(&scratch, 0, 5)), (Some(""), Some(id)));
    }

    #[test]
    fn what_does_not_fit_waits_and_says_what_it_needs() {
        let [small, large] = [1, 5_000].map(|size| delivery(1, "orders", "", &"x".repeat(size)));
        assert_eq!(pack(&mut vec![0; HEAD + 3_000], &[small.clone(), large.clone()]), 1);
        assert_eq!(pack(&mut vec![0; HEAD + 3_000], std::slice::from_ref(&large)), 0);
        assert_eq!(pack(&mut vec![0; room_for(&large)], &[large]), 1);
        let many: Vec<_> = (0..100).map(|_| small.clone()).collect();
        assert_eq!(pack(&mut vec![0; 1 << 20], &many), MOST_MESSAGES);
    }
}
