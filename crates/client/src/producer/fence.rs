//! Settling: every send once, a key's failures with everything of the key that was called before they are delivered.

use std::sync::Arc;

use super::calls::FailureKey;
use super::entities::{Out, Pending, Settlement, Stage};
use super::slab::NIL;
use super::state::State;
use crate::error::{ClientError, Code, Outcome};

impl State {
    /// Puts a new message behind the others of its key.
    pub(super) fn link(&mut self, id: u32) {
        let key = self.pending[id].key;
        let last = std::mem::replace(&mut self.keys[key].last, id);
        self.pending[id].before = last;
        if last == NIL {
            self.keys[key].first = id;
        } else {
            self.pending[last].after = id;
        }
    }

    fn unlink(&mut self, id: u32) {
        let (key, before, after) = {
            let message = &mut self.pending[id];
            message.settled = true;
            if let Some(slot) = self.slots.get_mut(message.slot as usize).filter(|pending| **pending == id) {
                *slot = NIL;
            }
            (message.key, message.before, message.after)
        };
        if before == NIL {
            self.keys[key].first = after;
        } else {
            self.pending[before].after = after;
        }
        if after == NIL {
            self.keys[key].last = before;
        } else {
            self.pending[after].before = before;
        }
    }

    /// Resolves a send that was stored; the caller's number of it.
    pub(super) fn resolve(&mut self, id: u32) -> u32 {
        self.unlink(id);
        let message = &self.pending[id];
        self.sent += message.load.messages as u64;
        message.slot
    }

    /// Rejects one message; its error names topic and queue already. `failure`: this is what closes its key.
    fn reject(&mut self, id: u32, error: ClientError, failure: Option<FailureKey>, out: &mut Out) {
        self.unlink(id);
        let message = &mut self.pending[id];
        let certain = !message.unknown && message.stage != Stage::Flying;
        let mut error = error.with_outcome(if certain { Outcome::NotStored } else { Outcome::Unknown });
        if message.wired || message.stage == Stage::Flying {
            error = error.with_msg_id(std::mem::take(&mut message.msg_id));
        }
        let (slot, is_batch, stage) = (message.slot, message.is_batch, message.stage);
        self.failed += message.load.messages as u64;
        out.settled.push(Settlement::Failed { slot, error, failure, is_batch });
        match stage {
            Stage::Waiting => self.vacate(id),
            // The others of its request need not rest for its sake.
            Stage::Resting => self.lanes[self.pending[id].lane].wake.notify_one(),
            Stage::Flying => {}
        }
    }

    /// A message fails for good, and everything of its key behind it. The key is closed until the caller has delivered that.
    pub(super) fn fail(&mut self, id: u32, error: ClientError, out: &mut Out) {
        let Pending { key, after: mut next, .. } = self.pending[id];
        let it = &mut self.keys[key];
        it.undelivered += 1;
        it.failure.get_or_insert_with(|| error.clone());
        let (topic, home) = (it.topic, it.home);
        let failure =
            FailureKey { topic: Arc::clone(&self.topics[topic].name), sharding_key: Arc::clone(&self.keys[key].name) };
        // One error for all behind it: there may be tens of thousands, and the lock is held meanwhile.
        let broken = self.locate(broken(&error), topic, home).with_outcome(Outcome::NotStored);
        self.reject(id, self.locate(error, topic, home), Some(failure), out);
        while next != NIL {
            let id = next;
            next = self.pending[id].after;
            self.reject(id, broken.clone(), None, out);
        }
    }

    /// A call for a key that is closed: it never gets in.
    pub(super) fn refuse_closed_key(&mut self, key: u32, slot: u32, is_batch: bool, count: usize, out: &mut Out) {
        let key = &self.keys[key];
        let cause = key.failure.clone().unwrap_or_else(|| ClientError::new(Code::Internal, "an unknown failure"));
        let error = broken(&cause).with_outcome(Outcome::NotStored).with_topic(&*self.topics[key.topic].name);
        self.failed += count as u64;
        out.settled.push(Settlement::Failed { slot, error, failure: None, is_batch });
    }

    /// The caller is delivering a failure of this key: with the last one that is under way the key is open again.
    pub(super) fn heard(&mut self, topic: &str, sharding_key: &str) {
        let Some(&topic) = self.topic_ids.get(topic) else { return };
        let Some(&id) = self.topics[topic].keys.get(sharding_key) else { return };
        let key = &mut self.keys[id];
        key.undelivered = key.undelivered.saturating_sub(1);
        if key.undelivered == 0 {
            key.failure = None;
            self.tidy_key(id);
        }
    }

    /// A caller's signal: what is not on the wire is taken out.
    pub(super) fn abort(&mut self, slot: u32, out: &mut Out) {
        let id = self.slots.get(slot as usize).copied().unwrap_or(NIL);
        let Some(message) = self.pending.get(id) else { return };
        if message.stage != Stage::Flying && !message.unknown {
            self.fail(id, ClientError::new(Code::Aborted, "aborted before it was sent"), out);
        }
    }

    /// Rejects everything that is left, in the order of the calls of each key.
    pub(super) fn reject_all(&mut self, out: &mut Out) {
        let firsts: Vec<u32> = self.keys.iter().map(|(_, key)| key.first).filter(|&first| first != NIL).collect();
        for mut id in firsts {
            let key = &self.keys[self.pending[id].key];
            let text = "the producer was closed before this message was acknowledged";
            let error = self.locate(ClientError::new(Code::Closed, text), key.topic, key.home);
            let error = error.with_outcome(Outcome::NotStored);
            while id != NIL {
                let after = self.pending[id].after;
                self.reject(id, error.clone(), None, out);
                id = after;
            }
        }
    }
}

fn broken(cause: &ClientError) -> ClientError {
    ClientError::new(Code::OrderBroken, "given up: an earlier message of the same sharding key failed")
        .with_cause(cause.clone())
}
