//! The messages of one queue in memory: pulled, and not done yet.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::consumer::sink::Delivery;
use crate::protocol::StoredMessage;

/// Most messages of a chunk.
const CHUNK_MESSAGES: usize = 32;
/// Most bytes of a chunk; a larger message travels alone.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks under way: the second, so that handlers never wait for a thread hop.
const CHUNKS: usize = 2;

#[derive(Debug)]
struct Buffered {
    message: Arc<StoredMessage>,
    topic: Arc<str>,
}

impl Buffered {
    fn bytes(&self) -> usize {
        self.message.weight() + size_of::<Self>()
    }
}

/// The front is the first message not done; what was filtered out has no place here.
#[derive(Debug)]
pub(super) struct Buffer {
    messages: VecDeque<Buffered>,
    bytes: usize,
    /// How many of them are with the sink, in this generation.
    sent: usize,
    /// The sizes of the chunks under way.
    chunks: VecDeque<usize>,
    /// Offset of the next pull.
    next: i64,
    /// Failed attempts of the front message, in this epoch.
    failures: u32,
}

impl Buffer {
    /// Empty, to be filled from this offset on.
    pub(super) fn new(next: i64) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, sent: 0, chunks: VecDeque::new(), next, failures: 0 }
    }

    /// The lowest unfinished offset: what may be committed. It jumps over filtered messages only when nothing before is
    /// unfinished.
    pub(super) fn position(&self) -> i64 {
        self.messages.front().map_or(self.next, |first| first.message.queue_offset)
    }

    /// When the lowest unfinished message was stored, by the broker's clock, ms since 1970.
    pub(super) fn first_stored_at(&self) -> Option<i64> {
        self.messages.front().map(|first| first.message.store_timestamp)
    }

    /// Offset of the next pull.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Pulls go on here; never backwards.
    pub(super) fn set_next(&mut self, next: i64) {
        self.next = self.next.max(next);
    }

    /// Messages in memory.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether everything is done.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Their size.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Offsets of the first and the last message.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.messages.front()?, self.messages.back()?);
        Some((first.message.queue_offset, last.message.queue_offset))
    }

    /// Adds a message behind the others. `topic` is the user's name of the handler's topic.
    pub(super) fn push(&mut self, message: StoredMessage, topic: Arc<str>) {
        let buffered = Buffered { message: Arc::new(message), topic };
        self.next = self.next.max(buffered.message.queue_offset.saturating_add(1));
        self.bytes += buffered.bytes();
        self.messages.push_back(buffered);
    }

    /// The first message and its next attempt.
    pub(super) fn front(&self) -> Option<Delivery> {
        self.delivery(0)
    }

    fn delivery(&self, index: usize) -> Option<Delivery> {
        let buffered = self.messages.get(index)?;
        let stored = u32::try_from(buffered.message.reconsume_times).unwrap_or(0);
        let failures = if index == 0 { self.failures } else { 0 };
        Some(Delivery {
            message: Arc::clone(&buffered.message),
            topic: Arc::clone(&buffered.topic),
            attempt: stored.saturating_add(failures).saturating_add(1),
        })
    }

    /// The next chunk for the sink, if one more may be under way.
    pub(super) fn take_chunk(&mut self) -> Option<Vec<Delivery>> {
        if self.chunks.len() >= CHUNKS || self.sent >= self.messages.len() {
            return None;
        }
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while let Some(delivery) = self.delivery(self.sent + chunk.len()) {
            bytes += delivery.message.body.len();
            if !chunk.is_empty() && (chunk.len() == CHUNK_MESSAGES || bytes > CHUNK_BYTES) {
                break;
            }
            chunk.push(delivery);
        }
        self.sent += chunk.len();
        self.chunks.push_back(chunk.len());
        Some(chunk)
    }

    /// Messages until the sink is through with its oldest chunk; 0 when it has none.
    pub(super) fn first_chunk_left(&self) -> usize {
        self.chunks.front().copied().unwrap_or(0)
    }

    /// A new generation: nothing is with the sink.
    pub(super) fn restart(&mut self) {
        self.sent = 0;
        self.chunks.clear();
    }

    /// Whether the front message is the one at this offset.
    pub(super) fn begins_at(&self, offset: i64) -> bool {
        self.messages.front().is_some_and(|first| first.message.queue_offset == offset)
    }

    /// The front message is done, if that is its offset.
    pub(super) fn done(&mut self, offset: i64) -> bool {
        if !self.begins_at(offset) {
            return false;
        }
        self.drop_front();
        true
    }

    fn drop_front(&mut self) {
        if let Some(first) = self.messages.pop_front() {
            self.bytes -= first.bytes();
        }
        self.failures = 0;
        self.sent = self.sent.saturating_sub(1);
        if let Some(chunk) = self.chunks.front_mut() {
            *chunk -= 1;
            if *chunk == 0 {
                self.chunks.pop_front();
            }
        }
    }

    /// The front message has failed once more.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Somebody else has done everything below this offset.
    pub(super) fn advance_to(&mut self, offset: i64) {
        self.restart();
        while self.messages.front().is_some_and(|first| first.message.queue_offset < offset) {
            self.drop_front();
        }
        self.next = self.next.max(offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::tests::message;

    fn filled(offsets: &[i64]) -> Buffer {
        let mut buffer = Buffer::new(offsets[0]);
        for offset in offsets {
            buffer.push(message("orders", 0, *offset, b"body"), "orders".into());
        }
        buffer
    }

    fn offsets(chunk: &[Delivery]) -> Vec<i64> {
        chunk.iter().map(|delivery| delivery.message.queue_offset).collect()
    }

    #[test]
    fn the_position_jumps_over_filtered_messages_only_when_nothing_before_is_unfinished() {
        let mut buffer = filled(&[3, 7]);
        buffer.set_next(12);
        assert_eq!(buffer.position(), 3);
        assert!(buffer.done(3));
        assert_eq!(buffer.position(), 7, "4 to 6 were filtered out");
        assert!(buffer.done(7));
        assert_eq!(buffer.position(), 12, "8 to 11 too");
    }

    #[test]
    fn two_chunks_are_under_way_at_most() {
        let mut buffer = filled(&(0..100).collect::<Vec<_>>());
        assert_eq!(offsets(&buffer.take_chunk().unwrap()), (0..32).collect::<Vec<_>>());
        assert_eq!(offsets(&buffer.take_chunk().unwrap()), (32..64).collect::<Vec<_>>());
        assert!(buffer.take_chunk().is_none());
        for offset in 0..31 {
            assert!(buffer.done(offset));
            assert!(buffer.take_chunk().is_none());
        }
        assert!(buffer.done(31));
        assert_eq!(offsets(&buffer.take_chunk().unwrap()), (64..96).collect::<Vec<_>>());
    }

    #[test]
    fn an_absurd_offset_of_a_peer_is_the_last() {
        let mut buffer = Buffer::new(0);
        let last = StoredMessage { queue_offset: i64::MAX, ..message("orders", 0, 0, b"body") };
        buffer.push(last, "orders".into());
        assert_eq!(buffer.next(), i64::MAX);
        assert!(buffer.done(i64::MAX));
    }

    #[test]
    fn all_of_a_message_counts() {
        let mut buffer = Buffer::new(0);
        buffer.push(message("orders", 0, 0, &[7; 100]), "orders".into());
        assert!(buffer.bytes() > 100 + "orders".len() && buffer.bytes() < 1_024, "{}", buffer.bytes());
    }

    #[test]
    fn a_large_message_travels_alone() {
        let mut buffer = Buffer::new(0);
        for (offset, size) in [(0, 200 * 1024), (1, 100 * 1024), (2, 300 * 1024), (3, 1)] {
            buffer.push(message("orders", 0, offset, &vec![0; size]), "orders".into());
        }
        assert_eq!(offsets(&buffer.take_chunk().unwrap()), [0]);
        assert_eq!(offsets(&buffer.take_chunk().unwrap()), [1]);
        assert!(buffer.done(0) && buffer.done(1));
        assert_eq!(offsets(&buffer.take_chunk().unwrap()), [2]);
        assert_eq!(offsets(&buffer.take_chunk().unwrap()), [3]);
    }

    #[test]
    fn only_the_front_message_counts_its_failures() {
        let mut buffer = filled(&[0, 1]);
        buffer.failed();
        buffer.restart();
        let attempts: Vec<_> = buffer.take_chunk().unwrap().iter().map(|delivery| delivery.attempt).collect();
        assert_eq!(attempts, [2, 1]);
        assert!(buffer.done(0));
        assert_eq!(buffer.front().unwrap().attempt, 1);
    }

    #[test]
    fn advancing_drops_what_somebody_else_has_done() {
        let mut buffer = filled(&[0, 1, 5]);
        buffer.take_chunk();
        buffer.advance_to(3);
        assert_eq!((buffer.position(), buffer.len(), buffer.next()), (5, 1, 6));
        buffer.advance_to(9);
        assert_eq!((buffer.position(), buffer.len(), buffer.bytes()), (9, 0, 0));
        assert!(!buffer.done(5));
    }
}
