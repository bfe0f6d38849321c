//! The outcomes of sends on their way into JavaScript, a slice at a time.

use super::bell::Taken;
use super::json;
use crate::producer::{FailedRun, Failure, Gathered, Receipt, Settlement, StoredRun, StoredSend};
use napi::bindgen_prelude::ToNapiValue;
use napi::{Result, sys};
use serde::Serialize;
use std::cell::RefCell;

thread_local! {
    /// Memory for the ids of a slice. A new one each time, of some KiB, has the allocator tidy up whatever was freed meanwhile.
    static IDS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Outcomes of several sends, of which some may be with the facade already.
pub(super) struct Outcomes {
    settlement: Settlement,
    /// How many sends of it were taken.
    taken: usize,
    /// Where the broker's ids of the others begin.
    ids_from: usize,
}

impl From<Settlement> for Outcomes {
    fn from(settlement: Settlement) -> Self {
        Self { settlement, taken: 0, ids_from: 0 }
    }
}

/// What crosses; the numbers of the sends are in the scratch memory of the facade.
pub enum Slice {
    /// Stored at consecutive offsets.
    Stored {
        count: u32,
        /// Of each message two ids: unique, the broker's own; joined by commas.
        ids: String,
        status: i32,
        broker_name: String,
        queue_id: i32,
        queue_offset: i64,
        /// How many requests have carried each, in their order; none where it was one.
        attempts: Option<Vec<u32>>,
        /// The lane whose last sends these were.
        gathered: Option<Gathered>,
    },
    Failed {
        count: u32,
        error: String,
        failure: Option<Failure>,
        cause: u64,
        /// How many requests have carried each.
        attempts: u32,
    },
    Batch {
        slot: u32,
        receipts: String,
        /// How many requests have carried it.
        attempts: u32,
    },
    /// Those who were settled get a turn to send again; then native wants to know.
    Turn,
    /// A failure that opens its key is next: to be taken when no code of the user is due.
    FailureNext,
    /// Keys of this topic wait for a choice.
    Undecided { topic: String },
}

/// One message of a batch that was stored, for the facade.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchReceipt<'a> {
    status: i32,
    msg_id: &'a str,
    offset_msg_id: &'a str,
    broker_name: &'a str,
    queue_id: i32,
    queue_offset: i64,
}

impl<'a> From<&'a Receipt> for BatchReceipt<'a> {
    fn from(receipt: &'a Receipt) -> Self {
        Self {
            status: receipt.status,
            msg_id: &receipt.msg_id,
            offset_msg_id: &receipt.offset_msg_id,
            broker_name: &receipt.queue.broker_name,
            queue_id: receipt.queue.queue_id,
            queue_offset: receipt.queue_offset,
        }
    }
}

impl Outcomes {
    /// Whether a failure is next that opens its key.
    pub(super) fn opens_key(&self) -> bool {
        self.taken == 0 && matches!(&self.settlement, Settlement::Failed(run) if run.failure.is_some())
    }

    /// As much as there is room for; the numbers of the sends go into `slots`, 4 bytes each.
    pub(super) fn take(&mut self, slots: &mut [u8]) -> Taken<Slice> {
        match &self.settlement {
            Settlement::Stored(StoredRun { gathered, status, queue, queue_offset, offset_msg_ids, sends }) => {
                let mut ids = IDS.take();
                ids.clear();
                let (mut count, most) = (0, sends.len().min(slots.len() / 4));
                let rest = &sends[self.taken..];
                for (StoredSend { slot, msg_id, .. }, place) in rest.iter().zip(slots.chunks_exact_mut(4)) {
                    place.copy_from_slice(&slot.to_ne_bytes());
                    let rest = offset_msg_ids.get(self.ids_from..).unwrap_or_default();
                    let offset_msg_id = rest.split(',').next().unwrap_or_default();
                    self.ids_from += offset_msg_id.len() + 1;
                    if count == 0 {
                        ids.reserve((msg_id.len() + offset_msg_id.len() + 2) * most);
                    } else {
                        ids.push(',');
                    }
                    ids.push_str(msg_id);
                    ids.push(',');
                    ids.push_str(offset_msg_id);
                    count += 1;
                }
                let attempts = rest[..count].iter().any(|send| send.attempts != 1);
                let attempts = attempts.then(|| rest[..count].iter().map(|send| send.attempts).collect());
                let first = queue_offset + i64::try_from(self.taken).unwrap_or(0);
                self.taken += count;
                let is_whole = self.taken == sends.len();
                let slice = Slice::Stored {
                    count: count as u32,
                    ids,
                    status: *status,
                    broker_name: queue.broker_name.clone(),
                    queue_id: queue.queue_id,
                    queue_offset: first,
                    attempts,
                    gathered: is_whole.then_some(*gathered),
                };
                if is_whole { Taken::Whole(slice) } else { Taken::Part(slice) }
            }
            Settlement::Failed(FailedRun { slots: all, error, failure, cause, attempts }) => {
                let mut count = 0;
                for (slot, place) in all[self.taken..].iter().zip(slots.chunks_exact_mut(4)) {
                    place.copy_from_slice(&slot.to_ne_bytes());
                    count += 1;
                }
                let failure = if self.taken == 0 { failure.clone() } else { None };
                self.taken += count;
                let (count, error) = (count as u32, error.to_json());
                let slice = Slice::Failed { count, error, failure, cause: *cause, attempts: *attempts };
                if self.taken == all.len() { Taken::Whole(slice) } else { Taken::Part(slice) }
            }
            Settlement::Batch { slot, receipts, attempts } => {
                let receipts = json(&receipts.iter().map(BatchReceipt::from).collect::<Vec<_>>());
                Taken::Whole(Slice::Batch { slot: *slot, receipts, attempts: *attempts })
            }
        }
    }
}

impl ToNapiValue for Slice {
    /// `[kind, …]`; the facade's types name the rest.
    #[expect(unsafe_code, reason = "the trait's own signature; everything inside is napi's safe interface")]
    #[expect(clippy::cast_precision_loss, reason = "offsets and counts stay below 2^53")]
    unsafe fn to_napi_value(env: sys::napi_env, slice: Self) -> Result<sys::napi_value> {
        match slice {
            Self::Stored { count, ids, status, broker_name, queue_id, queue_offset, attempts, .. } => {
                let offset = queue_offset as f64;
                // What is so as a rule takes no place.
                let value = match attempts {
                    None => unsafe {
                        let slice = (2u32, count, ids.as_str(), status, broker_name, queue_id, offset);
                        ToNapiValue::to_napi_value(env, slice)
                    },
                    Some(attempts) => unsafe {
                        let slice = (2u32, count, ids.as_str(), status, broker_name, queue_id, offset, attempts);
                        ToNapiValue::to_napi_value(env, slice)
                    },
                };
                IDS.set(ids);
                value
            }
            Self::Failed { count, error, failure, cause, attempts } => {
                let number = failure.map_or(0, |failure| failure.number);
                let slice = (3u32, count, error, number as f64, cause as f64, attempts);
                unsafe { ToNapiValue::to_napi_value(env, slice) }
            }
            Self::Batch { slot, receipts, attempts } => unsafe {
                ToNapiValue::to_napi_value(env, (4u32, slot, receipts, attempts))
            },
            Self::Turn => unsafe { ToNapiValue::to_napi_value(env, vec![5u32]) },
            Self::Undecided { topic } => unsafe { ToNapiValue::to_napi_value(env, (7u32, topic)) },
            Self::FailureNext => unsafe { ToNapiValue::to_napi_value(env, vec![6u32]) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ClientError, Code};
    use crate::protocol::MessageQueue;
    use std::sync::Arc;

    fn slots(scratch: &[u8], count: u32) -> Vec<u32> {
        scratch.chunks_exact(4).take(count as usize).map(|slot| u32::from_ne_bytes(slot.try_into().unwrap())).collect()
    }

    #[test]
    fn a_run_is_taken_in_slices_that_know_their_offsets_and_ids() {
        let queue = Arc::new(MessageQueue { topic: "T".into(), broker_name: "b".into(), queue_id: 3 });
        let gathered = Gathered { lane: 7, run: 1 };
        let send = |i| StoredSend { slot: 10 + i, msg_id: format!("m{i}"), attempts: if i == 3u32 { 2 } else { 1 } };
        let sends = (0..5).map(send).collect();
        let run =
            StoredRun { gathered, status: 0, queue, queue_offset: 100, offset_msg_ids: "a,bb,c,d,e".into(), sends };
        let mut outcomes = Outcomes::from(Settlement::Stored(run));
        assert!(!outcomes.opens_key());
        let mut scratch = [0; 8];
        let mut seen = Vec::new();
        loop {
            let (slice, is_whole) = match outcomes.take(&mut scratch) {
                Taken::Part(slice) => (slice, false),
                Taken::Whole(slice) => (slice, true),
            };
            let Slice::Stored { count, ids, queue_offset, attempts, gathered: last, .. } = slice else {
                panic!("another kind")
            };
            assert_eq!(last, is_whole.then_some(gathered));
            seen.push((slots(&scratch, count), ids, queue_offset, attempts));
            if is_whole {
                break;
            }
        }
        let expected = [
            (vec![10, 11], "m0,a,m1,bb".to_owned(), 100, None),
            (vec![12, 13], "m2,c,m3,d".to_owned(), 102, Some(vec![1, 2])),
            (vec![14], "m4,e".to_owned(), 104, None),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn only_the_first_slice_of_a_failure_closes_its_key() {
        let failure = Failure { number: 4, topic: "T".into(), sharding_key: "k".into() };
        let error = ClientError::new(Code::Broker, "no");
        let run = FailedRun { slots: vec![1, 2, 3], error, failure: Some(failure), cause: 0, attempts: 1 };
        let mut outcomes = Outcomes::from(Settlement::Failed(run));
        let mut scratch = [0; 8];
        assert!(outcomes.opens_key());
        let Taken::Part(Slice::Failed { count: 2, failure: Some(_), .. }) = outcomes.take(&mut scratch) else {
            panic!("the first part")
        };
        assert!(!outcomes.opens_key());
        let Taken::Whole(Slice::Failed { count: 1, failure: None, .. }) = outcomes.take(&mut scratch) else {
            panic!("the last part")
        };
        assert_eq!(slots(&scratch, 1), [3]);
    }
}
