//! What an actor remembers of its queue's store, to know it again: a topic can be deleted and made anew, and a store set back, and the
//! new one may have more messages than we have handled. Then no end tells; only a message that we know, and that is another one now.

use std::time::Duration;

use crate::env::{self, Instant};
use crate::protocol::StoredMessage;

/// A queue whose end we had reached is another one after this time, for all we know: a held pull is answered when a new store grows past
/// our offset, and tells nothing of what came before.
const UNSEEN: Duration = Duration::from_millis(100);
/// A queue that has more for us is asked again at once; a pause in between is somebody's who was busy.
const UNSEEN_WITH_MORE: Duration = Duration::from_secs(1);

/// A message by which the store is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Landmark {
    pub(super) offset: i64,
    stored: i64,
    msg_id: String,
}

impl Landmark {
    fn of(message: &StoredMessage) -> Self {
        Self { offset: message.queue_offset, stored: message.store_timestamp, msg_id: message.msg_id() }
    }

    /// Whether another message lies there now. A store that was moved may write other times or other ids.
    pub(super) fn is_replaced_by(&self, found: &StoredMessage) -> bool {
        let found = Self::of(found);
        self.stored != found.stored && self.msg_id != found.msg_id
    }
}

/// See the module. It outlives epochs, as the store does.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last message that came.
    landmark: Option<Landmark>,
    /// When the last message that came was stored, ms since 1970; known longer than the message.
    stored: Option<i64>,
    /// When the queue was last certain to be the one we know.
    seen: Option<Instant>,
    /// It had nothing more for us then.
    at_end: bool,
}

impl Memory {
    /// The message to look at.
    pub(super) fn landmark(&self) -> Option<&Landmark> {
        self.landmark.as_ref()
    }

    /// When the last message that came was stored.
    pub(super) fn stored(&self) -> Option<i64> {
        self.stored
    }

    /// Whether it is the queue we know, by what we have seen of it just now, or as nothing can tell.
    pub(super) fn is_sure(&self) -> bool {
        let unseen = if self.at_end { UNSEEN } else { UNSEEN_WITH_MORE };
        self.landmark.is_none() || self.seen.is_some_and(|seen| env::now() < seen + unseen)
    }

    /// It is the queue we know.
    pub(super) fn see(&mut self, at_end: bool) {
        self.seen = Some(env::now());
        self.at_end = at_end;
    }

    /// It may have become another.
    pub(super) fn doubt(&mut self) {
        self.seen = None;
    }

    /// This message has come, the last so far.
    pub(super) fn look_up(&mut self, message: &StoredMessage) {
        self.stored = Some(message.store_timestamp);
        self.landmark = Some(Landmark::of(message));
    }

    /// The store is another one: the message is no more, its time still counts.
    pub(super) fn lose_landmark(&mut self) {
        self.landmark = None;
    }

    /// Somebody else says where to go on.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::tests::message;

    #[test]
    fn another_message_has_another_id_and_another_time() {
        let known = StoredMessage {
            store_timestamp: 7,
            properties: "UNIQ_KEY\u{1}A\u{2}".into(),
            ..message("orders", 0, 5, b"")
        };
        let landmark = Landmark::of(&known);
        let id = |id: &str| format!("UNIQ_KEY\u{1}{id}\u{2}");
        assert!(!landmark.is_replaced_by(&known));
        assert!(!landmark.is_replaced_by(&StoredMessage { store_timestamp: 9, ..known.clone() }));
        assert!(!landmark.is_replaced_by(&StoredMessage { properties: id("B").into(), ..known.clone() }));
        assert!(landmark.is_replaced_by(&StoredMessage { properties: id("B").into(), store_timestamp: 9, ..known }));
    }
}
