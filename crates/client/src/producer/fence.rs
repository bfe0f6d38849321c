//! Settling: every send once, a key's failures with everything of the key that was called before they are delivered.

use std::collections::HashSet;
use std::sync::Arc;

use super::calls::{FailedRun, Failure, Settlement};
use super::model::{Out, Pending, Stage};
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

    /// Rejects one message; its error names topic and queue already. `failure`: this is what closes its key; else `cause` is the number
    /// of what has. `joins`: the message before had the same error.
    fn reject(
        &mut self,
        id: u32,
        error: ClientError,
        failure: Option<Failure>,
        cause: u64,
        joins: bool,
        out: &mut Out,
    ) {
        self.unlink(id);
        let message = &mut self.pending[id];
        let certain = !message.unknown && message.stage != Stage::Flying;
        let outcome = if certain { Outcome::NotStored } else { Outcome::Unknown };
        let mut error = error.with_outcome(outcome);
        let attempts = message.attempts;
        let known_by_id = attempts > 0 || message.stage == Stage::Flying;
        if known_by_id {
            error = error.with_msg_id(std::mem::take(&mut message.msg_id));
        }
        let (slot, send, stage) = (message.slot, message.send, message.stage);
        self.failed += message.load.messages as u64;
        self.note_failed(send, &error, outcome);
        match out.settled.last_mut() {
            Some(Settlement::Failed(run)) if joins && !known_by_id && !run.error.has_msg_id() => run.slots.push(slot),
            _ => out.settled.push(Settlement::Failed(FailedRun { slots: vec![slot], error, failure, cause, attempts })),
        }
        match stage {
            Stage::Waiting => self.vacate(id),
            // The others of its request need not rest for its sake.
            Stage::Resting => self.lanes[self.pending[id].lane].wake.notify_one(),
            Stage::Flying => {}
        }
    }

    /// A message fails for good, and everything of its key behind it. The key is closed until the caller has delivered that.
    pub(super) fn fail(&mut self, id: u32, error: ClientError, out: &mut Out) {
        self.fail_with(id, error, &HashSet::new(), out);
    }

    /// As `fail`; what is behind it and among `others` fails for the same reason.
    fn fail_with(&mut self, id: u32, error: ClientError, others: &HashSet<u32>, out: &mut Out) {
        let Pending { key, after: mut next, .. } = self.pending[id];
        self.failures += 1;
        let number = self.failures;
        let it = &mut self.keys[key];
        it.undelivered += 1;
        it.failure.get_or_insert_with(|| (number, error.clone()));
        let (topic, home) = (it.topic, it.home);
        let failure = Failure {
            number,
            topic: Arc::clone(&self.topics[topic].name),
            sharding_key: Arc::clone(&self.keys[key].name),
        };
        // One error for all behind it: there may be tens of thousands, and the lock is held meanwhile.
        let broken = self.locate(broken(&error), topic, home).with_outcome(Outcome::NotStored);
        let error = self.locate(error, topic, home);
        self.reject(id, error.clone(), Some(failure), 0, false, out);
        let mut last_cause = None;
        while next != NIL {
            let id = next;
            next = self.pending[id].after;
            let (error, cause) = if others.contains(&id) { (&error, 0) } else { (&broken, number) };
            let joins = last_cause.replace(cause) == Some(cause);
            self.reject(id, error.clone(), None, cause, joins, out);
        }
    }

    /// A call for a key that is closed: it never gets in.
    pub(super) fn refuse_closed_key(&mut self, key: u32, send: u64, slot: u32, count: usize, out: &mut Out) {
        let key = &self.keys[key];
        let unknown = || (0, ClientError::new(Code::Internal, "an unknown failure"));
        let (number, cause) = key.failure.clone().unwrap_or_else(unknown);
        let error = broken(&cause).with_outcome(Outcome::NotStored).with_topic(&*self.topics[key.topic].name);
        self.note_failed(send, &error, Outcome::NotStored);
        self.failed += count as u64;
        let run = FailedRun { slots: vec![slot], error, failure: None, cause: number, attempts: 0 };
        out.settled.push(Settlement::Failed(run));
    }

    /// The caller is delivering a failure of this key: with the last one that is under way the key is open again.
    pub(super) fn heard(&mut self, topic: &str, sharding_key: &str) {
        let Some(&topic) = self.topic_ids.get(topic) else { return };
        let Some(&id) = self.topics[topic].keys.get(sharding_key) else { return };
        let key = &mut self.keys[id];
        let was_closed = key.undelivered > 0;
        key.undelivered = key.undelivered.saturating_sub(1);
        if key.undelivered == 0 {
            key.failure = None;
            if was_closed {
                self.note_heard(id);
            }
            self.tidy_key(id);
        }
    }

    /// A caller's signal, of these sends: what is not on the wire is taken out, and of each key what was called after it.
    pub(super) fn abort(&mut self, slots: &[u32], out: &mut Out) {
        let pending = |slot: &u32| self.slots.get(*slot as usize).copied().filter(|&id| id != NIL);
        let aborted: HashSet<u32> = slots.iter().filter_map(pending).collect();
        let keys: HashSet<u32> = aborted.iter().map(|&id| self.pending[id].key).collect();
        for key in keys {
            let mut id = self.keys[key].first;
            while id != NIL && !(aborted.contains(&id) && self.is_unsent(id)) {
                id = self.pending[id].after;
            }
            if id != NIL {
                self.fail_with(id, ClientError::new(Code::Aborted, "aborted before it was sent"), &aborted, out);
            }
        }
    }

    /// Whether nothing of a message can be at a broker.
    fn is_unsent(&self, id: u32) -> bool {
        let message = &self.pending[id];
        message.stage != Stage::Flying && !message.unknown
    }

    /// Rejects everything that is left, in the order of the calls of each key.
    pub(super) fn reject_all(&mut self, out: &mut Out) {
        let firsts: Vec<u32> = self.keys.iter().map(|(_, key)| key.first).filter(|&first| first != NIL).collect();
        for mut id in firsts {
            let key = &self.keys[self.pending[id].key];
            let text = "the producer was closed before this message was acknowledged";
            let error = self.locate(ClientError::new(Code::Closed, text), key.topic, key.home);
            let error = error.with_outcome(Outcome::NotStored);
            let mut joins = false;
            while id != NIL {
                let after = self.pending[id].after;
                self.reject(id, error.clone(), None, 0, std::mem::replace(&mut joins, true), out);
                id = after;
            }
        }
    }
}

fn broken(cause: &ClientError) -> ClientError {
    ClientError::new(Code::OrderBroken, "given up: an earlier message of the same sharding key failed")
        .with_cause(cause.clone())
}
