//! Whether a queue is still the one we know: before messages of an answer count that came late, the last one before them is looked at.

use std::sync::Arc;
use std::time::Duration;

use super::answers::Reading;
use super::waiting::Pending;
use super::{Actor, Correction, Origin};
use crate::client::{CallError, ResetReason};
use crate::consumer::brokers::Brokers;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::{Crc, PullStatus, Pulled, StoredMessage, read_records};

/// An end before our offset is asked for again after this time: a master that has just begun may not know all of its queues.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// A broker that points at slaves may be one since a moment ago; name servers know it by then.
const ROLES_ARE_KNOWN: Duration = Duration::from_secs(30);

/// The look at the landmark, and what waits for it.
#[derive(Default)]
pub(super) struct Proof {
    /// An answer that counts when the landmark is as we know it.
    waiting: Option<(Pulled, Reading)>,
    /// The look under way.
    pub(super) look: Pending<Result<Pulled, CallError>>,
    /// The offset looked at.
    offset: i64,
    /// When the next look is due.
    at: Option<Instant>,
    /// Since when answers contradict what we know.
    contradicted: Option<Instant>,
}

impl Proof {
    /// Whether an answer waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.is_some()
    }

    /// When the next look is due; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.look.is_some() { None } else { self.at }
    }
}

impl<B: Brokers> Actor<B> {
    /// Whether an answer is to be asked for again before it counts.
    pub(super) fn is_contradiction(&mut self, pulled: &Pulled, reading: &Reading) -> bool {
        let of_slave = pulled.suggested_broker_id != 0;
        let patience = match reading {
            Reading::Gone | Reading::EndsBefore if of_slave => ROLES_ARE_KNOWN,
            Reading::EndsBefore if self.origin != Origin::Appointed => SECOND_LOOK,
            _ => Duration::ZERO,
        };
        let now = env::now();
        if *reading == Reading::Undecided {
            return self.is_asked_again(true);
        }
        let since = *self.proof.contradicted.get_or_insert(now);
        if now.saturating_duration_since(since) >= patience {
            self.proof.contradicted = None;
            return false;
        }
        self.is_asked_again(of_slave)
    }

    fn is_asked_again(&mut self, of_slave: bool) -> bool {
        self.shared.brokers.refresh_route(&self.queue.real.topic);
        if of_slave {
            self.disbelieve("it comes from a slave, which decides nothing");
        }
        self.pull_at = self.pull_at.max(env::now() + SECOND_LOOK);
        true
    }

    /// An answer that is not exactly the next stretch of this queue: nothing of it counts.
    pub(super) fn disbelieve(&mut self, why: &str) {
        let text = format!(
            "the broker's answer to a pull of {} from offset {} is not believed: {why}. Nothing of it is handled; it is asked for again. \
             If this lasts, look at the broker's log, and move the group's offset if its store is damaged",
            self.queue.shown, self.pull_asked
        );
        self.report(ClientError::new(Code::Protocol, text));
        self.pull_at = env::now() + self.pull_pause.next();
    }

    /// Lets a believable answer count: now, or once it is proven.
    pub(super) fn count(&mut self, pulled: Pulled, reading: Reading) {
        let moves = matches!(reading, Reading::Stretch(_) | Reading::Unwanted) && !self.only_looking;
        if self.memory.is_sure() {
            self.memory.see(pulled.next_offset >= pulled.max_offset);
        } else if moves {
            self.proof.at = Some(env::now());
            self.proof.waiting = Some((pulled, reading));
            return;
        }
        self.take_in(&pulled, reading);
    }

    /// Without a landmark: the message before our offset is one.
    pub(super) fn want_landmark(&mut self) {
        if self.memory.landmark().is_none() && self.buffer.position() > 0 {
            self.proof.at = Some(env::now());
        }
    }

    /// Starts the look that is due.
    pub(super) fn start_look(&mut self) {
        if self.proof.due().is_none_or(|due| due > env::now()) {
            return;
        }
        self.proof.at = None;
        self.proof.offset = self.memory.landmark().map_or(self.buffer.position() - 1, |landmark| landmark.offset);
        let request = self.pull_of(self.proof.offset, 1, Duration::ZERO);
        let timeout = self.shared.brokers.timing().pull_timeout;
        let shared = Arc::clone(&self.shared);
        self.proof.look =
            Some(Box::pin(async move { shared.ask_master(&request.broker_name, &request, timeout).await }));
    }

    /// Takes the answer in.
    pub(super) fn looked(&mut self, answer: Result<Pulled, CallError>) {
        match answer {
            Ok(pulled) if pulled.status == (PullStatus::OffsetIllegal { reset: true }) => {
                // The broker tells it once, to whichever pull comes first.
                self.proof = Proof::default();
                self.correction = Some(Correction { to: pulled.next_offset, reason: ResetReason::Administrator });
            }
            Ok(pulled) if pulled.status != PullStatus::Slave => {
                self.pull_pause.reset();
                if self.held.is_none() {
                    self.problem = None;
                }
                self.found(&pulled);
            }
            Ok(_) | Err(_) if !self.proof.is_wanted() => {}
            Ok(_) => self.look_again("a slave has answered"),
            Err(error) => {
                self.pull_failed(&error);
                self.proof.at = Some(self.pull_at);
            }
        }
    }

    fn look_again(&mut self, why: &str) {
        self.disbelieve(why);
        self.proof.at = Some(self.pull_at);
    }

    fn found(&mut self, looked: &Pulled) {
        // Not unpacked: where, when and by whom it was stored is all that counts.
        let records = read_records(&looked.body, Crc::Skip);
        let at = |offset| records.iter().flatten().find(move |message| holds(message, offset));
        let there = at(self.proof.offset);
        let Some(landmark) = self.memory.landmark() else {
            if let Some(message) = there.filter(|_| self.proof.offset < self.buffer.position()) {
                self.memory.look_up(message);
            }
            return;
        };
        if landmark.offset != self.proof.offset {
            return;
        }
        let reading = match there {
            // Another message: what we know is gone.
            Some(message) if landmark.is_replaced_by(message) => Reading::Gone,
            // It may have been deleted or compacted.
            None if looked.max_offset <= self.proof.offset => Reading::EndsBefore,
            Some(_) | None => Reading::End,
        };
        let is_other = reading != Reading::End;
        if self.is_contradiction(looked, &reading) {
            self.proof.at = Some(self.pull_at);
            return;
        }
        let Some((pulled, reading)) = self.proof.waiting.take() else { return };
        if is_other {
            self.correction = Some(Correction { to: looked.min_offset, reason: ResetReason::StoreSetBack });
            return;
        }
        self.memory.see(pulled.next_offset >= pulled.max_offset);
        self.take_in(&pulled, reading);
    }
}

/// Whether a record is the message at this offset, or the batch that it is in.
fn holds(stored: &StoredMessage, offset: i64) -> bool {
    stored.queue_offset == offset
        || (stored.queue_offset < offset
            && stored.is_batch()
            && stored.span().is_none_or(|span| offset - stored.queue_offset < span))
}
