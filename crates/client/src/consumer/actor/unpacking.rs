//! From the records of an answer to messages: one by one, as far as there is room, and elsewhere when that may take long.
//!
//! A compressed body says nothing of its size: an answer of a megabyte may hold a gigabyte. What does not fit beside what is buffered is
//! not inflated, and pulled again when there is room. A message alone may have as many bytes as any.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::Actor;
use crate::consumer::brokers::Brokers;
use crate::env;
use crate::protocol::message::MAX_INFLATED;
use crate::protocol::{self, Decoded, Pulled, StoredMessage};

/// What at most so many bytes can come of is inflated where it comes, as that is a few milliseconds of work at worst: 4 KiB of zlib, 16 of LZ4,
/// 128 bytes of Zstandard.
const QUICK: usize = 4 * 1024 * 1032;
/// Most room that is held for an answer, in its own bytes: few bodies are compressed better.
const RATIO: usize = 32;

/// An answer of up to so many bytes is kept in one piece as long as one of its messages is there; of a larger one each message is in memory
/// of its own, as the last one would hold much that is counted nowhere.
const TOGETHER: usize = 16 * 1024;

/// What has come of an answer.
#[derive(Debug)]
pub(super) struct Unpacked {
    messages: Vec<Decoded>,
    /// The next offset behind them.
    behind: i64,
    /// The next message did not fit.
    is_full: bool,
    /// It ended in a panic.
    is_broken: bool,
}

/// How far an answer is to be unpacked.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// From this offset on.
    from: i64,
    /// The offset behind the answer, as it says.
    end: i64,
    messages: usize,
    bytes: usize,
    /// Nothing else is buffered: the first message may have any size.
    is_alone: bool,
    /// The records are parts of something small.
    is_small: bool,
}

/// Stops the unpacking that nobody waits for any more.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An answer without what it was read with, which may be much more: unless that is left to its messages.
pub(super) fn apart(pulled: Pulled) -> Pulled {
    if pulled.body.len() > TOGETHER {
        return pulled;
    }
    Pulled { body: Bytes::copy_from_slice(&pulled.body), ..pulled }
}

impl<B: Brokers> Actor<B> {
    /// Takes in what an answer brings, up to the offset `end`: at once, or when it is unpacked.
    pub(super) fn start_unpacking(&mut self, records: Vec<Decoded>, end: i64, size: usize) {
        let inflated: usize = records.iter().flatten().map(StoredMessage::most_inflated).sum();
        self.share.set(self.buffer.bytes());
        let bounds = Bounds {
            from: self.buffer.next(),
            end,
            messages: self.shared.options.prefetch_messages.max(1).saturating_sub(self.buffer.span()),
            bytes: if inflated == 0 { usize::MAX } else { self.share.reserve(size.saturating_mul(RATIO)) },
            is_alone: self.buffer.is_empty(),
            is_small: size <= TOGETHER,
        };
        if inflated <= QUICK {
            return self.unpacked(unpack(records, bounds, &|| false));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let wanted = Wanted(Arc::clone(&stop));
        let slots = Arc::clone(&self.shared.unpacking);
        self.unpacking = Some(Box::pin(async move {
            let _wanted = wanted;
            // Never closed.
            let _slot = slots.acquire_owned().await;
            let unpacking = env::spawn_blocking(move || unpack(records, bounds, &|| stop.load(Ordering::Relaxed)));
            match unpacking.await {
                Ok(unpacked) => unpacked,
                // Nothing of it has counted: it is pulled again.
                Err(_) => Unpacked { messages: Vec::new(), behind: bounds.from, is_full: false, is_broken: true },
            }
        }));
    }

    /// Takes in what was unpacked.
    pub(super) fn unpacked(&mut self, unpacked: Unpacked) {
        let Unpacked { messages, behind, is_full, is_broken } = unpacked;
        self.share.release();
        if is_broken {
            return self.disbelieve("reading it has panicked, which is a fault of this package");
        }
        self.admit(messages, behind);
        self.full_at = is_full.then(|| self.buffer.bytes());
        self.rest_if_empty_handed();
    }

    /// What is being unpacked is not wanted any more.
    pub(super) fn drop_unpacking(&mut self) {
        self.unpacking = None;
        self.full_at = None;
        self.share.release();
    }
}

impl Unpacked {
    /// One more message, unless it is outside of the bounds, as some are of a batch that the broker cannot send in part, and that says only
    /// now what it holds. Its weight.
    fn add(&mut self, message: Decoded, begins: i64, bounds: &Bounds) -> Option<usize> {
        let (offset, weight) = message.as_ref().map_or((begins, 0), |message| (message.queue_offset, message.weight()));
        if offset < bounds.from || offset >= bounds.end {
            return None;
        }
        self.messages.push(message);
        Some(weight)
    }
}

/// Unpacks records until one is bad, does not fit, or is one too many.
fn unpack(records: Vec<Decoded>, bounds: Bounds, stop: &dyn Fn() -> bool) -> Unpacked {
    let messages = Vec::with_capacity(records.len());
    let mut unpacked = Unpacked { messages, behind: bounds.end, is_full: false, is_broken: false };
    let mut bytes = 0;
    for record in records {
        let stored = match record {
            Ok(stored) => stored,
            // It holds the queue: whatever is behind comes again.
            Err(bad) => {
                unpacked.messages.push(Err(bad));
                return unpacked;
            }
        };
        let begins = stored.queue_offset.max(bounds.from);
        if unpacked.messages.len() >= bounds.messages.max(1) {
            return Unpacked { behind: begins, ..unpacked };
        }
        if bounds.is_small && !stored.is_compressed() && !stored.is_batch() {
            bytes += unpacked.add(Ok(stored), begins, &bounds).unwrap_or(0);
            continue;
        }
        let is_first = bounds.is_alone && unpacked.messages.is_empty();
        let limit = if is_first { MAX_INFLATED } else { bounds.bytes.saturating_sub(bytes) };
        let messages = match protocol::unpack(stored, limit, stop) {
            protocol::Unpacked::Messages(messages) => messages,
            protocol::Unpacked::Stopped => return Unpacked { behind: begins, ..unpacked },
            protocol::Unpacked::TooLarge => return Unpacked { behind: begins, is_full: true, ..unpacked },
        };
        for message in messages {
            bytes += unpacked.add(message.map(StoredMessage::detached), begins, &bounds).unwrap_or(0);
        }
    }
    unpacked
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;
    use crate::consumer::tests::record_with;
    use crate::protocol::{Crc, PullStatus, read_records};

    const MIB: usize = 1024 * 1024;

    /// Compressed messages of so many zeros each, from offset 0 on.
    fn zeros(sizes: &[usize]) -> Vec<Decoded> {
        let mut answer = Vec::new();
        for (offset, size) in (0..).zip(sizes) {
            let mut body = ZlibEncoder::new(Vec::new(), Compression::fast());
            body.write_all(&vec![0; *size]).unwrap();
            let mut record = record_with("orders", 0, offset, &body.finish().unwrap());
            record[39] = 1;
            answer.extend(record);
        }
        read_records(&answer.into(), Crc::Check)
    }

    fn bounds(bytes: usize, is_alone: bool) -> Bounds {
        Bounds { from: 0, end: 100, messages: 1_000, bytes, is_alone, is_small: false }
    }

    fn sizes(unpacked: &Unpacked) -> Vec<usize> {
        unpacked.messages.iter().map(|message| message.as_ref().unwrap().body.len()).collect()
    }

    #[test]
    fn what_does_not_fit_is_not_inflated_and_comes_again() {
        let unpacked = unpack(zeros(&[MIB, MIB, 3 * MIB, MIB]), bounds(4 * MIB, false), &|| false);
        assert_eq!((sizes(&unpacked), unpacked.behind, unpacked.is_full), (vec![MIB, MIB], 2, true));
        let unpacked = unpack(zeros(&[MIB, MIB]), bounds(4 * MIB, false), &|| false);
        assert_eq!((sizes(&unpacked), unpacked.behind, unpacked.is_full), (vec![MIB, MIB], 100, false));
    }

    #[test]
    fn a_message_alone_may_have_as_many_bytes_as_any_and_no_more() {
        let unpacked = unpack(zeros(&[MAX_INFLATED, 1]), bounds(0, true), &|| false);
        assert_eq!((sizes(&unpacked), unpacked.behind, unpacked.is_full), (vec![MAX_INFLATED], 1, true));
        let unpacked = unpack(zeros(&[MAX_INFLATED + 1, 1]), bounds(0, true), &|| false);
        assert!(matches!(unpacked.messages[..], [Err(_)]));
        let unpacked = unpack(zeros(&[1]), bounds(0, false), &|| false);
        assert_eq!((unpacked.messages.len(), unpacked.behind, unpacked.is_full), (0, 0, true));
    }

    #[test]
    fn nobody_inflates_what_is_not_wanted_any_more() {
        let asked = Cell::new(0);
        let unpacked = unpack(zeros(&[MAX_INFLATED; 4]), bounds(usize::MAX, true), &|| {
            asked.set(asked.get() + 1);
            asked.get() > 3
        });
        assert_eq!((unpacked.messages.len(), unpacked.behind, asked.get()), (0, 0, 4));
    }

    /// Answers of one message each: a small one and a large one, read with much more.
    fn read_with_more(size: usize) -> (Bytes, Bytes) {
        let record = record_with("orders", 0, 0, &vec![7; size]);
        let read = Bytes::from([record.clone(), vec![0; 256 * 1024]].concat());
        (read.slice(..record.len()), read)
    }

    fn kept(size: usize) -> (Vec<StoredMessage>, Bytes) {
        let (body, read) = read_with_more(size);
        let pulled = Pulled {
            status: PullStatus::Found,
            next_offset: 1,
            min_offset: 0,
            max_offset: 1,
            suggested_broker_id: 0,
            body,
        };
        let pulled = apart(pulled);
        let records = read_records(&pulled.body, Crc::Check);
        let bounds = Bounds { is_small: pulled.body.len() <= TOGETHER, ..bounds(usize::MAX, true) };
        let messages = unpack(records, bounds, &|| false).messages;
        (messages.into_iter().map(Result::unwrap).collect(), read)
    }

    #[test]
    fn a_message_keeps_nothing_of_what_it_was_read_with() {
        for size in [100, 100_000] {
            let (messages, read) = kept(size);
            assert_eq!(messages[0].body, vec![7; size]);
            assert!(read.is_unique(), "{size}");
        }
    }

    #[test]
    fn no_more_messages_than_were_asked_for() {
        let bounds = Bounds { messages: 2, ..bounds(MIB, true) };
        let unpacked = unpack(zeros(&[1, 1, 1]), bounds, &|| false);
        assert_eq!((sizes(&unpacked), unpacked.behind, unpacked.is_full), (vec![1, 1], 2, false));
    }
}
