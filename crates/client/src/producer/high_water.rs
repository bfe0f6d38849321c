//! The high-water mark: nothing is refused above it, but callers can see it, and wait until there is room.

use super::model::{Out, Phase};
use super::state::State;
use crate::error::{ClientError, Code};

/// So many times the mark is worth a warning.
const FLOOD: usize = 8;

impl State {
    /// Whether less is held than the mark.
    pub(super) fn has_room(&self) -> bool {
        self.load.messages < self.options.max_pending_messages && self.load.bytes < self.options.max_pending_bytes
    }

    /// Whether those who wait for room are to be told: that there is some, or that they need none any more.
    pub(super) fn gives_room(&mut self) -> bool {
        let gives = self.is_room_wanted && (self.has_room() || self.phase != Phase::Running);
        if gives {
            self.is_room_wanted = false;
        }
        gives
    }

    /// Messages above the mark; where it is bytes that are above it, as many of the mean size.
    pub(super) fn above_mark(&self) -> usize {
        let messages = self.load.messages.saturating_sub(self.options.max_pending_messages);
        let bytes = self.load.bytes.saturating_sub(self.options.max_pending_bytes);
        let by_bytes = bytes.saturating_mul(self.load.messages).div_ceil(self.load.bytes.max(1));
        messages.max(by_bytes)
    }

    /// Says once that a program sends much more than brokers take.
    pub(super) fn tell_of_flood(&mut self, out: &mut Out) {
        let is_flood = self.load.messages / FLOOD >= self.options.max_pending_messages
            || self.load.bytes / FLOOD >= self.options.max_pending_bytes;
        if is_flood && !self.is_flood_told {
            self.is_flood_told = true;
            let text = format!(
                "{} messages ({} bytes) wait in memory, {FLOOD} times the high-water mark (maxPendingMessages {}, maxPendingBytes {}): \
                 this program sends more than the brokers take. Await ready() between sends",
                self.load.messages, self.load.bytes, self.options.max_pending_messages, self.options.max_pending_bytes
            );
            out.warnings.push(ClientError::new(Code::BrokerBusy, text));
        }
    }
}
