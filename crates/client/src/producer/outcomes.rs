//! How a request of a lane ends: what the table of answers does to the messages in it.

use std::sync::Arc;

use super::answers::Verdict;
use super::batches;
use super::calls::{Gathered, Receipt, Settlement, StoredRun, StoredSend};
use super::flight::Flight;
use super::model::{Gathering, Out, Stage};
use super::state::State;
use crate::env::planted;
use crate::error::{ClientError, Code};
use crate::protocol::code::response;
use crate::protocol::{SendReceipt, StoredStatus};

/// How often a code 1 without a known meaning is tried again.
const SYSTEM_ERROR_RETRIES: u32 = 3;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The request is over.
    Done,
    /// The same again, after a rest.
    Again,
}

impl State {
    /// An attempt has ended: the table of answers.
    pub(super) fn conclude(&mut self, lane: u32, flight: &mut Flight, verdict: Verdict, out: &mut Out) -> Next {
        match verdict {
            Verdict::Stored(receipt)
                if receipt.status != StoredStatus::Ok && planted("take a weak status for a failure") =>
            {
                self.again(lane, flight, out)
            }
            Verdict::Stored(receipt) => {
                self.batch_passed(lane, flight, out);
                self.stored(lane, flight, &receipt, out);
                self.lanes[lane].error = None;
                Next::Done
            }
            Verdict::NotStored { error, .. } => {
                if !matches!(error.broker_code(), Some(response::SYSTEM_BUSY | response::FLOW_CONTROL)) {
                    self.look_again(lane, out);
                }
                self.lanes[lane].error = Some(error);
                self.again(lane, flight, out)
            }
            Verdict::Unknown { error, .. } if planted("take unknown for not stored") => {
                self.land(flight);
                self.refused(lane, flight, &error, out)
            }
            Verdict::Unknown { error, system_error } => {
                if error.code() == Code::Timeout {
                    self.batch_timed_out(lane, flight);
                }
                flight.unknown = true;
                for &id in &flight.ids {
                    self.pending[id].unknown = true;
                }
                self.look_again(lane, out);
                flight.system_errors += u32::from(system_error);
                if flight.system_errors > SYSTEM_ERROR_RETRIES {
                    return self.refused(lane, flight, &error, out);
                }
                self.lanes[lane].error = Some(error);
                self.again(lane, flight, out)
            }
            Verdict::BatchesRefused(error) => {
                self.land(flight);
                if self.is_users(flight) {
                    return self.refused(lane, flight, &batches::refusal(&error), out);
                }
                self.no_batches(lane, flight, error, out);
                Next::Done
            }
            Verdict::Illegal(error) if flight.ids.len() > 1 => {
                self.land(flight);
                self.in_halves(lane, flight, error);
                Next::Done
            }
            Verdict::Illegal(error) => {
                self.land(flight);
                let messages: usize = flight.ids.iter().map(|&id| self.pending[id].load.messages).sum();
                let error = if messages > 1 { batches::too_large(messages, flight.size, &error) } else { error };
                self.refused(lane, flight, &error, out)
            }
            Verdict::Refused { error, certain, .. } => {
                if certain {
                    self.land(flight);
                } else {
                    flight.unknown = true;
                }
                self.look_again(lane, out);
                self.refused(lane, flight, &error, out)
            }
        }
    }

    /// A batch that the user made, and that stays whole.
    fn is_users(&self, flight: &Flight) -> bool {
        flight.ids.first().is_some_and(|&id| self.pending[id].is_batch)
    }

    /// The attempt is over and stored nothing: only earlier ones can have.
    fn land(&mut self, flight: &Flight) {
        self.set_stage(flight, Stage::Resting);
    }

    fn look_again(&self, lane: u32, out: &mut Out) {
        out.refresh.push(Arc::clone(&self.topics[self.lanes[lane].topic].real));
    }

    fn again(&mut self, lane: u32, flight: &mut Flight, out: &mut Out) -> Next {
        self.prune(flight);
        if flight.ids.is_empty() {
            return Next::Done;
        }
        if self.has_vanished(lane) && self.leave_queue(lane, flight, out) {
            return Next::Done;
        }
        if !flight.unknown {
            self.land(flight);
        }
        if planted("retry behind a successor") && !flight.unknown {
            for id in self.give_back(flight) {
                self.push(lane, id, out);
            }
            return Next::Done;
        }
        if planted("resend to another queue") {
            let (topic, queue) = (self.lanes[lane].topic, flight.queue.take());
            let other = self.list(topic).into_iter().find(|other| Some(other) != queue.as_deref());
            (flight.queue, flight.wire) = (other.map(Arc::new).or(queue), None);
        }
        Next::Again
    }

    /// The first message of each key fails with the broker's words, the others with it.
    pub(super) fn refused(&mut self, lane: u32, flight: &mut Flight, error: &ClientError, out: &mut Out) -> Next {
        for &id in &flight.ids {
            if !self.pending[id].settled {
                self.pending[id].unknown |= flight.unknown;
                self.fail(id, error.clone(), out);
            }
        }
        self.prune(flight);
        self.lanes[lane].error = None;
        Next::Done
    }

    fn stored(&mut self, lane: u32, flight: &mut Flight, receipt: &SendReceipt, out: &mut Out) {
        let mut offset = receipt.queue_offset;
        self.check_order(lane, flight, receipt, out);
        let status = match receipt.status {
            StoredStatus::Ok => 0,
            StoredStatus::FlushDiskTimeout => 1,
            StoredStatus::FlushSlaveTimeout => 2,
            StoredStatus::SlaveNotAvailable => 3,
        };
        let mut offset_ids = receipt.msg_ids.split(',');
        let Some(queue) = flight.queue.take() else { return };
        flight.payloads.clear();
        self.runs += 1;
        let gathered = Gathered { lane, run: self.runs };
        let run = |queue_offset, room| StoredRun {
            gathered,
            status,
            queue: Arc::clone(&queue),
            queue_offset,
            offset_msg_ids: String::with_capacity(if room > 0 { receipt.msg_ids.len() } else { 0 }),
            sends: Vec::with_capacity(room),
        };
        let mut stored = run(offset, flight.ids.len());
        for id in std::mem::take(&mut flight.ids) {
            let message = &mut self.pending[id];
            let (msg_id, settled, attempts) = (std::mem::take(&mut message.msg_id), message.settled, message.attempts);
            if message.is_batch {
                // Alone in its request.
                let receipts = msg_id.split(',').zip(offset..).map(|(msg_id, queue_offset)| Receipt {
                    status,
                    msg_id: msg_id.to_owned(),
                    offset_msg_id: offset_ids.next().unwrap_or_default().to_owned(),
                    queue: Arc::clone(&queue),
                    queue_offset,
                });
                if !settled {
                    let receipts = receipts.collect();
                    self.note_stored(self.pending[id].send, &flight.topic, &queue, offset);
                    let slot = self.resolve(id);
                    out.settled.push(Settlement::Batch { slot, receipts, attempts });
                }
            } else {
                let offset_msg_id = offset_ids.next().unwrap_or_default();
                offset += 1;
                if settled {
                    // It lies there all the same: the offsets after it are not consecutive to those before.
                    let before = std::mem::replace(&mut stored, run(offset, 0));
                    out.settled.extend((!before.sends.is_empty()).then_some(Settlement::Stored(before)));
                } else {
                    self.note_stored(self.pending[id].send, &flight.topic, &queue, offset - 1);
                    let slot = self.resolve(id);
                    stored.push(StoredSend { slot, msg_id, attempts }, offset_msg_id);
                }
            }
            self.finish(id);
        }
        if let Some(it) = self.lanes.get_mut(lane).filter(|_| !stored.sends.is_empty()) {
            it.gathering = Some(Gathering::Settled { count: stored.sends.len(), run: gathered.run });
        }
        out.settled.extend((!stored.sends.is_empty()).then_some(Settlement::Stored(stored)));
    }

    /// Everything acknowledged before a request was sent has a lower offset than what the request stores.
    fn check_order(&mut self, lane: u32, flight: &Flight, receipt: &SendReceipt, out: &mut Out) {
        let count: usize = flight.ids.iter().map(|&id| self.pending[id].load.messages).sum();
        let last = receipt.queue_offset + i64::try_from(count).unwrap_or(0) - 1;
        let it = &self.lanes[lane];
        let (topic, Some(queue)) = (it.topic, it.queue) else { return };
        let mark = &mut self.topics[topic].queues[queue as usize].mark;
        if receipt.queue_offset > flight.floor {
            *mark = last.max(*mark);
            return;
        }
        *mark = last;
        let text = format!(
            "the broker stored a message at offset {}, after it had acknowledged offset {}: was data lost, or the topic made anew?",
            receipt.queue_offset, flight.floor
        );
        out.warnings.push(self.locate(ClientError::new(Code::Protocol, text), topic, Some(queue)));
    }
}
