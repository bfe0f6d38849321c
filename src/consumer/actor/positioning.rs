//! Positioning: the committed offset, read once, after the lock is held. An error is asked again, never guessed over.

use std::sync::PoisonError;

use super::waiting::{Interrupted, Patience};
use super::{Actor, End, Step};
use crate::client::Event;
use crate::consumer::brokers::Brokers;
use crate::consumer::options::InitialPosition;
use crate::consumer::queue::{Phase, Wanted};
use crate::protocol::{CommitOffset, MinOffset, QueryOffset};

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
        self.emit(|queue| Event::Assigned { queues: vec![queue] });
        if self.wanted() == Wanted::Yes { Step::Run } else { Step::Drain }
    }

    async fn find_position(&mut self) -> Result<(), Interrupted> {
        let stored = self.ask(&self.query(), Patience::WhileWanted).await?;
        let noted = self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner).get(&self.queue.real).copied();
        let (offset, provisional) = match (stored, noted) {
            // Of a queue that came to its topic before this member and after the others looked, too: for it, brokers answer 0. The note
            // would skip what was stored in it so far.
            (Some(stored), _) => (stored, false),
            (None, Some(noted)) => (noted, false),
            (None, None) => self.beginning().await?,
        };
        self.begin(offset);
        self.provisional = provisional;
        self.committed = offset;
        // A stored 0 may be none at all: 4.9 answers so while the first messages are in its memory, and "none" once they are not.
        if stored.is_none_or(|stored| stored == 0) {
            if stored.is_none()
                && noted.is_some()
                && let InitialPosition::Timestamp(time) = self.shared.options.initial_position
            {
                self.not_before = Some((offset, time));
            }
            // Frozen at once: a second look later could skip what was stored in between.
            self.ask(&self.commit_of(offset), Patience::WhileWanted).await?;
        }
        Ok(())
    }

    /// The queue's first message, for a queue that appeared after the start and for the retry topic. An account that may not
    /// ask begins at 0, which the first pull corrects.
    async fn beginning(&mut self) -> Result<(i64, bool), Interrupted> {
        let queue = &self.queue.real;
        let request =
            MinOffset { topic: queue.topic.clone(), broker_name: queue.broker_name.clone(), queue_id: queue.queue_id };
        match self.ask(&request, Patience::UnlessDenied).await {
            Ok(offset) => Ok((offset, false)),
            Err(Interrupted::GivenUp) => Ok((0, true)),
            Err(forced) => Err(forced),
        }
    }

    /// The question for this queue's committed offset.
    pub(super) fn query(&self) -> QueryOffset {
        let queue = &self.queue.real;
        QueryOffset {
            group: self.shared.group.clone(),
            topic: queue.topic.clone(),
            broker_name: queue.broker_name.clone(),
            queue_id: queue.queue_id,
        }
    }

    /// A commit of this queue.
    pub(super) fn commit_of(&self, offset: i64) -> CommitOffset {
        let QueryOffset { group, topic, broker_name, queue_id } = self.query();
        CommitOffset { group, topic, broker_name, queue_id, offset }
    }
}
