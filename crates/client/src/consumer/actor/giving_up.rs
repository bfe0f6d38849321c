//! A message that is given up in broadcasting: every member has it, so no dead-letter queue of the group is the place for it. This member goes
//! past it, loudly.

use std::sync::atomic::Ordering;

use super::Actor;
use crate::consumer::brokers::Brokers;
use crate::error::{ClientError, Code};

impl<B: Brokers> Actor<B> {
    /// Goes past the message: its handler has said `deadLetter()`, or has failed as often as it may.
    pub(super) fn go_past(&mut self, offset: i64) {
        let Some(delivery) = self.buffer.message(offset) else { return };
        let reason = self.buffer.trouble(offset).and_then(|trouble| trouble.blocked.reason.clone());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let msg_id = delivery.message.msg_id();
        let text = format!(
            "message {msg_id} at offset {offset} of {} is given up after attempt {}, and skipped: a broadcasting group has no dead-letter \
             queue, and this member goes on without it{reason}",
            self.queue.shown, delivery.attempt
        );
        self.shared.counters.skipped.fetch_add(1, Ordering::Relaxed);
        self.shared.warn(ClientError::new(Code::Handler, text).with_queue(self.queue.name()).with_msg_id(msg_id));
        self.buffer.done(offset);
        self.queue.gate.record.skipped(offset, offset + 1, "givenUp");
        self.queue.gate.drop_attempts(offset);
        // What lies behind it may go now.
        self.queue.gate.nudge();
    }
}
