//! Calls of `seek()`: the running handler ends, the new position is committed, and the queue goes on there; the lock is kept.

use std::time::Duration;

use super::waiting::{Interrupted, Patience};
use super::{Actor, Correction, Step};
use crate::client::{Event, Level, ResetReason};
use crate::consumer::brokers::Brokers;
use crate::consumer::flow::SeekTo;
use crate::env;
use crate::error::{ClientError, Code, Outcome};
use crate::protocol::{CommitOutcome, MaxOffset, MinOffset, PullStatus, Request, SearchOffset};
use crate::record::event::Why;

/// What a broker does not do so often is given up.
const ATTEMPTS: u32 = 3;
/// Between two looks at the end of a queue: brokers know it some milliseconds after they have acknowledged a message.
const END_MOVES: Duration = Duration::from_millis(100);
/// A handler for which a call has waited so long may be the one that waits for the call.
const PATIENCE: Duration = Duration::from_secs(10);

/// A place in the queue.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: i64,
    /// The message there does not count if it was stored before this time, ms since 1970.
    not_before: Option<i64>,
}

impl Place {
    fn certain(offset: i64) -> Self {
        Self { offset, not_before: None }
    }
}

/// Why the queue is where it was.
enum Undone {
    /// The lock's state, or an administrator, comes first; the call waits.
    Elsewhere(Step),
    /// The call fails.
    Refused(ClientError),
}

impl<B: Brokers> Actor<B> {
    /// Answers the next call of those that wait.
    pub(super) async fn seek(&mut self) -> Step {
        let Some(to) = self.queue.flow.next_seek() else { return Step::Run };
        self.queue.gate.close();
        self.pull = None;
        self.drop_unpacking();
        let result = match self.go_to(to).await {
            Ok(()) => Ok(()),
            Err(Undone::Refused(error)) => Err(error.with_queue(self.queue.name())),
            Err(Undone::Elsewhere(step)) => return step,
        };
        self.publish();
        self.queue.flow.sought(&self.queue.gate, result);
        Step::Run
    }

    async fn go_to(&mut self, to: SeekTo) -> Result<(), Undone> {
        // At once: what is stored while a handler ends lies behind the end that was meant.
        let place = self.locate(to).await?;
        self.settle_patiently().await?;
        self.finish_commit().await;
        let from = self.buffer.position();
        let record = self.queue.gate.record.clone();
        record.position(place.offset, Why::Seek);
        if let Err(undone) = self.commit_place(place.offset).await {
            record.position(from, Why::Memory);
            return Err(undone);
        }
        self.done = None;
        self.begin(place.offset);
        self.committed = place.offset;
        self.commit_at = env::now() + self.shared.options.commit_interval;
        self.not_before = place.not_before.map(|time| (place.offset, time));
        self.memory.forget();
        // What was handled before lies nowhere any more.
        self.queue.flow.acknowledged(i64::MAX);
        let fields = serde_json::json!({ "queue": self.queue.shown, "from": from, "to": place.offset });
        self.shared.brokers.emit(Event::log(Level::Info, "seek(): the queue goes on at another offset", fields));
        Ok(())
    }

    // ---- where

    async fn locate(&mut self, to: SeekTo) -> Result<Place, Undone> {
        match to {
            SeekTo::Offset(offset) => self.within(offset).await,
            SeekTo::First => self.first_offset().await.map(Place::certain),
            SeekTo::Last => self.end_offset().await.map(Place::certain),
            SeekTo::Timestamp(time) => self.first_since(time).await,
        }
    }

    /// The first message stored at or after a time; its end, where there is none.
    async fn first_since(&mut self, time: i64) -> Result<Place, Undone> {
        let (first, end) = (self.first_offset().await?, self.end_offset().await?);
        let queue = self.queue.real.clone();
        let (topic, broker_name, queue_id) = (queue.topic, queue.broker_name, queue.queue_id);
        let found = self.asked(&SearchOffset { topic, broker_name, queue_id, timestamp: time }).await?;
        // 4.9 finds the last message for times behind it. What was stored since we asked for the end is wanted in any case.
        let not_before = (found < end).then_some(time);
        Ok(Place { offset: found.max(first), not_before })
    }

    /// An offset that lies in the queue, or is its end.
    async fn within(&mut self, offset: i64) -> Result<Place, Undone> {
        let first = self.first_offset().await?;
        let mut end = self.end_offset().await?;
        for _ in 1..ATTEMPTS {
            if offset > end {
                tokio::time::sleep(END_MOVES).await;
                end = self.end_offset().await?;
            }
        }
        if (first..=end).contains(&offset) {
            return Ok(Place::certain(offset));
        }
        let text = format!(
            "to: offset {offset} does not lie in {}, whose first message is at {first}, and whose next one will be at {end}",
            self.queue.shown
        );
        Err(Undone::Refused(ClientError::new(Code::InvalidArgument, text)))
    }

    async fn first_offset(&mut self) -> Result<i64, Undone> {
        let queue = self.queue.real.clone();
        let (topic, broker_name, queue_id) = (queue.topic, queue.broker_name, queue.queue_id);
        Ok(self.asked(&MinOffset { topic, broker_name, queue_id }).await?.max(0))
    }

    /// Of the next message to be stored. What pulls have brought is there, whatever the broker knows.
    async fn end_offset(&mut self) -> Result<i64, Undone> {
        let queue = self.queue.real.clone();
        let (topic, broker_name, queue_id) = (queue.topic, queue.broker_name, queue.queue_id);
        Ok(self.asked(&MaxOffset { topic, broker_name, queue_id }).await?.max(self.buffer.next()))
    }

    // ---- how

    /// Waits for the running handler. If that takes long, it is told: a handler that awaits the seek of its own queue waits for itself.
    async fn settle_patiently(&mut self) -> Result<(), Undone> {
        let mut patient_until = Some(env::now() + PATIENCE);
        loop {
            let step = tokio::select! {
                step = self.settle() => step,
                () = super::waiting::at(patient_until) => {
                    patient_until = None;
                    self.tell_patience();
                    continue;
                }
            };
            return step.map_or(Ok(()), |step| Err(Undone::Elsewhere(step)));
        }
    }

    fn tell_patience(&self) {
        let Some(running) = self.queue.gate.running() else { return };
        let text = format!(
            "seek() waits for more than {} s for the handler of offset {} of {} to end. A handler that awaits the seek() of its own queue \
             waits for itself: call it there without await",
            PATIENCE.as_secs(),
            running.offset,
            self.queue.shown
        );
        self.shared.warn(ClientError::new(Code::Handler, text).with_queue(self.queue.name()));
    }

    async fn commit_place(&mut self, offset: i64) -> Result<(), Undone> {
        for _ in 0..ATTEMPTS {
            match self.commit_at_last(offset, Patience::Attempts(ATTEMPTS)).await {
                Ok(CommitOutcome::Committed) => return Ok(()),
                Ok(CommitOutcome::ResetPending) => self.hear_reset().await?,
                Err(Interrupted::Forced(step)) => return Err(Undone::Elsewhere(step)),
                Err(Interrupted::GivenUp) => {
                    // It may have been executed: where the queue stands is committed again.
                    self.is_unsure = true;
                    return Err(Undone::Refused(self.failure().with_outcome(Outcome::Unknown)));
                }
            }
        }
        let text = format!("seek(): {} is being reset by an administrator", self.queue.shown);
        Err(Undone::Refused(ClientError::new(Code::BrokerBusy, text)))
    }

    /// A 5.x broker ignores commits until a pull has told of the administrator's reset, which comes first then.
    async fn hear_reset(&mut self) -> Result<(), Undone> {
        let pulled = self.asked(&self.pull_of(self.buffer.next(), 1, Duration::ZERO)).await?;
        if pulled.status != (PullStatus::OffsetIllegal { reset: true }) {
            return Ok(());
        }
        self.correction = Some(Correction { to: pulled.next_offset, reason: ResetReason::Administrator });
        Err(Undone::Elsewhere(Step::Reset))
    }

    async fn asked<R>(&mut self, request: &R) -> Result<R::Response, Undone>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        match self.ask(request, Patience::Attempts(ATTEMPTS)).await {
            Ok(response) => Ok(response),
            Err(Interrupted::Forced(step)) => Err(Undone::Elsewhere(step)),
            Err(Interrupted::GivenUp) => Err(Undone::Refused(self.failure())),
        }
    }

    /// What the last question has failed with.
    fn failure(&self) -> ClientError {
        let text = format!("seek() of {} has failed, and nothing has moved", self.queue.shown);
        match &self.problem {
            Some(problem) => problem.clone().with_prefix(&text),
            None => ClientError::new(Code::Timeout, text),
        }
    }
}
