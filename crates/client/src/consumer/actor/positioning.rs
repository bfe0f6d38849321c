//! Positioning: the committed offset, read once, after the lock is held. An error is asked again, never guessed over.

use super::waiting::{Interrupted, Patience};
use super::{Actor, End, Origin, Step};
use crate::client::{Event, Level};
use crate::consumer::brokers::Brokers;
use crate::consumer::initial_offsets::{Beginning, InitialOffset};
use crate::consumer::options::InitialPosition;
use crate::consumer::queue::{Phase, Wanted};
use crate::env::planted;
use crate::protocol::{MinOffset, QueryOffset};
use crate::record::event::Why;

/// Where a queue begins.
#[derive(Debug, Clone, Copy)]
struct Position {
    offset: i64,
    origin: Origin,
    /// The message at this offset does not count if it was stored before this time, ms since 1970.
    not_before: Option<(i64, i64)>,
}

impl Position {
    fn certain(offset: i64) -> Self {
        Self { offset, origin: Origin::Known, not_before: None }
    }
}

impl<B: Brokers> Actor<B> {
    /// Finds out where to begin, and commits it where nothing was committed.
    pub(super) async fn position(&mut self) -> Step {
        self.set_phase(Phase::Positioning);
        // A handler of an earlier epoch, which lost its lock, must end before another of this queue begins.
        if let Some(step) = self.settle().await {
            return step;
        }
        match self.find_position().await {
            Ok(()) => {}
            Err(Interrupted::Forced(Step::Drain) | Interrupted::GivenUp) => return Step::End(End::Drained),
            Err(Interrupted::Forced(step)) => return step,
        }
        self.positioned = true;
        self.shared.watches.look_at_lag();
        self.shared.group.assigned.tell(&self.queue, &self.shared.brokers).await;
        if self.wanted() == Wanted::Yes { Step::Run } else { Step::Drain }
    }

    async fn find_position(&mut self) -> Result<(), Interrupted> {
        let remembered = Some(self.buffer.position()).filter(|offset| *offset > 0 && planted("skip the position read"));
        let stored = match remembered {
            Some(_) => remembered,
            None => self.ask_committed(Patience::WhileWanted).await?,
        };
        if self.queue.was_moved() {
            self.last_word.forget();
        }
        if self.last_word.is_ours(stored.unwrap_or(0)) {
            return self.go_on(stored).await;
        }
        let (Position { offset, origin, not_before }, why) = match stored {
            Some(stored) => (Position::certain(stored), Why::Committed),
            None => (self.beginning().await?, Why::Initial),
        };
        // What we have committed, or have tried to: else another owner has gone on, in what was its store.
        let ours = self.committed..=self.buffer.position();
        if stored.is_some_and(|stored| !ours.contains(&stored)) {
            self.memory.forget();
        }
        self.done = None;
        self.begin(offset);
        self.origin = origin;
        self.not_before = not_before;
        self.committed = offset;
        self.last_word.forget();
        self.last_word.tell(stored.unwrap_or(0));
        self.queue.gate.record.position(offset, why);
        // A stored 0 may be none at all: 4.9 answers so while the first messages are in its memory, and "none" once they are not.
        // Frozen at once: a second look later could skip what was stored in between.
        if stored.is_none_or(|stored| stored == 0) {
            self.commit_at_last(offset, Patience::EachToItsEnd).await?;
        } else {
            self.tell_no_initial_position();
        }
        Ok(())
    }

    /// The lock was lost and is ours again, and since then nobody has told the broker anything: what we have handled need not be handled again.
    async fn go_on(&mut self, stored: Option<i64>) -> Result<(), Interrupted> {
        let offset = self.buffer.position();
        self.begin(offset);
        self.committed = stored.unwrap_or(0);
        self.queue.gate.record.position(offset, Why::Memory);
        if stored != Some(offset) {
            self.commit_at_last(offset, Patience::EachToItsEnd).await?;
            self.committed = offset;
        }
        Ok(())
    }

    /// Where a queue begins in which nothing is committed.
    async fn beginning(&mut self) -> Result<Position, Interrupted> {
        let beginning = self.shared.initial_offsets.beginning(&self.queue.real);
        let InitialOffset { offset, not_before } = match beginning {
            Beginning::First => return self.first().await,
            Beginning::At(found) => found,
            Beginning::AtUnlessYoung(found) => {
                let query = QueryOffset { zero_if_young: true, ..self.shared.query(&self.queue.real) };
                match self.ask(&query, Patience::WhileWanted).await? {
                    Some(young) => return Ok(Position::certain(young)),
                    None => found,
                }
            }
        };
        Ok(Position { not_before: not_before.map(|time| (offset, time)), ..Position::certain(offset) })
    }

    /// The queue's first message, for a queue that appeared after the start and for the retry topic. An account that may not
    /// ask begins at 0, which the first pull corrects.
    async fn first(&mut self) -> Result<Position, Interrupted> {
        let queue = &self.queue.real;
        let request =
            MinOffset { topic: queue.topic.clone(), broker_name: queue.broker_name.clone(), queue_id: queue.queue_id };
        match self.ask(&request, Patience::UnlessDenied).await {
            Ok(offset) => Ok(Position::certain(offset)),
            Err(Interrupted::GivenUp) => Ok(Position { origin: Origin::Guessed, ..Position::certain(0) }),
            Err(forced) => Err(forced),
        }
    }

    /// Once per topic: who has set an initial position may wonder.
    fn tell_no_initial_position(&self) {
        let queue = &self.queue.real;
        if queue.topic == self.shared.group.retry_topic || !self.shared.initial_offsets.tell(&queue.topic) {
            return;
        }
        let asked_for = match self.shared.options.initial_position {
            InitialPosition::Last => Level::Debug,
            InitialPosition::First | InitialPosition::Timestamp(_) => Level::Info,
        };
        let fields = serde_json::json!({ "topic": self.shared.brokers.unwrap(&queue.topic) });
        let text = "initialPosition does not apply: the group has committed offsets in the topic";
        self.shared.brokers.emit(Event::log(asked_for, text, fields));
    }
}
