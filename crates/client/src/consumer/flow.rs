//! What the program asks of a queue while it is ours: to commit, and to go on elsewhere. Each call is answered, once.

use std::collections::VecDeque;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use super::gate::Gate;
use crate::error::{ClientError, Outcome};
use crate::sync::{Mutex, MutexGuard};

/// Where a queue is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTo {
    /// With the message at this offset, which must lie in the queue, or be its end.
    Offset(i64),
    /// With the first message there is.
    First,
    /// With the next message to be stored.
    Last,
    /// With the first message stored at or after this time, ms since 1970.
    Timestamp(i64),
}

/// What a call waits for.
pub(crate) type Answer = oneshot::Receiver<Result<(), ClientError>>;
type Reply = oneshot::Sender<Result<(), ClientError>>;

/// A call of `commit()`.
#[derive(Debug)]
struct Commit {
    /// Answered once this offset is acknowledged; unknown until the actor has looked what was handled before the call.
    up_to: Option<i64>,
    reply: Reply,
}

/// A call of `seek()`.
#[derive(Debug)]
struct Seek {
    to: SeekTo,
    reply: Reply,
}

#[derive(Debug, Default)]
struct State {
    is_ours: bool,
    commits: Vec<Commit>,
    seeks: VecDeque<Seek>,
    /// Why the last commit was not acknowledged.
    failure: Option<ClientError>,
    /// It may have been executed, or the one before.
    is_uncertain: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Flow(Mutex<State>);

impl Flow {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the caller

    /// Asks for what is handled so far. `None`: the queue is not ours, and nothing of it waits.
    pub(crate) fn commit(&self) -> Option<Answer> {
        let mut state = self.lock();
        let (reply, answer) = oneshot::channel();
        state.is_ours.then(|| {
            state.commits.push(Commit { up_to: None, reply });
            answer
        })
    }

    /// Asks for another position: from now on nothing starts at the old one. `None`: the queue is not ours.
    pub(crate) fn seek(&self, to: SeekTo, gate: &Gate) -> Option<Answer> {
        let mut state = self.lock();
        let (reply, answer) = oneshot::channel();
        state.is_ours.then(|| {
            state.seeks.push_back(Seek { to, reply });
            gate.hold(true);
            answer
        })
    }

    /// Why what was handled is not acknowledged, as far as a broker has said.
    pub(crate) fn failure(&self) -> Option<ClientError> {
        self.lock().failure.clone()
    }

    // ---- the queue's actor

    /// The queue is ours.
    pub(crate) fn begin(&self) {
        self.lock().is_ours = true;
    }

    /// The queue is ours no longer, and whatever waits fails.
    pub(crate) fn end(&self, gate: &Gate, why: impl Fn(&str) -> ClientError) {
        let mut state = self.lock();
        let State { commits, seeks, .. } = std::mem::take(&mut *state);
        gate.hold(false);
        drop(state);
        for Commit { reply, .. } in commits {
            let _ = reply.send(Err(why("commit()")));
        }
        for Seek { reply, .. } in seeks {
            let _ = reply.send(Err(why("seek()")));
        }
    }

    /// Whether somebody has asked for a commit since the last look.
    pub(crate) fn is_asked(&self) -> bool {
        self.lock().commits.iter().any(|commit| commit.up_to.is_none())
    }

    /// This is what was handled when they asked.
    pub(crate) fn wait_for(&self, position: i64) {
        for commit in &mut self.lock().commits {
            commit.up_to.get_or_insert(position);
        }
    }

    /// Answers whoever waited for a commit up to here. Whether others still wait.
    pub(crate) fn acknowledged(&self, committed: i64) -> bool {
        let mut state = self.lock();
        // Whoever has run out of patience waits no more.
        state.commits.retain(|commit| !commit.reply.is_closed());
        let is_through = |commit: &mut Commit| commit.up_to.is_some_and(|up_to| up_to <= committed);
        for Commit { reply, .. } in state.commits.extract_if(.., is_through) {
            let _ = reply.send(Ok(()));
        }
        !state.commits.is_empty()
    }

    /// A commit was acknowledged.
    pub(crate) fn has_committed(&self) {
        let mut state = self.lock();
        (state.failure, state.is_uncertain) = (None, false);
    }

    /// A commit was not acknowledged, and is tried again.
    pub(crate) fn has_failed(&self, error: ClientError, is_uncertain: bool) {
        let mut state = self.lock();
        state.is_uncertain |= is_uncertain;
        let outcome = if state.is_uncertain { Outcome::Unknown } else { Outcome::NotStored };
        state.failure = Some(error.with_outcome(outcome));
    }

    /// The next position that is asked for.
    pub(crate) fn next_seek(&self) -> Option<SeekTo> {
        self.lock().seeks.front().map(|seek| seek.to)
    }

    /// Answers whoever has asked for that; handlers may start again once nobody else has.
    pub(crate) fn sought(&self, gate: &Gate, result: Result<(), ClientError>) {
        let mut state = self.lock();
        let seek = state.seeks.pop_front();
        gate.hold(!state.seeks.is_empty());
        drop(state);
        if let Some(Seek { reply, .. }) = seek {
            let _ = reply.send(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::consumer::options::Suspend;
    use crate::consumer::record::QueueRecord;
    use crate::error::Code;
    use crate::protocol::MessageQueue;
    use crate::record::History;

    fn gate() -> Gate {
        let suspend = Suspend { initial: Duration::ZERO, factor: 1.0, max: Duration::ZERO };
        let record = QueueRecord::new(&History::default(), &MessageQueue::new("orders", "a", 0));
        let gate = Gate::new(suspend, None, Arc::new(|| 0), record);
        gate.granted(gate.lease(Duration::from_secs(30)));
        gate
    }

    fn starts(gate: &Gate) -> bool {
        assert!(gate.open());
        let generation = gate.begin_run(0, i64::MAX);
        let starts = gate.may_start(generation, 0, 0);
        gate.left(generation, 0);
        starts
    }

    #[test]
    fn the_gate_is_held_until_the_last_call_is_answered() {
        let (flow, gate) = (Flow::default(), gate());
        assert!(flow.seek(SeekTo::First, &gate).is_none() && starts(&gate), "it is not ours");
        flow.begin();
        let (mut first, mut second) =
            (flow.seek(SeekTo::First, &gate).unwrap(), flow.seek(SeekTo::Last, &gate).unwrap());
        assert!(!starts(&gate));
        assert_eq!(flow.next_seek(), Some(SeekTo::First));
        flow.sought(&gate, Err(ClientError::new(Code::InvalidArgument, "no")));
        assert!(!starts(&gate));
        assert_eq!(flow.next_seek(), Some(SeekTo::Last));
        flow.sought(&gate, Ok(()));
        assert!(starts(&gate) && flow.next_seek().is_none());
        assert!(first.try_recv().unwrap().is_err() && second.try_recv().unwrap().is_ok());
    }

    #[test]
    fn whoever_asks_waits_for_what_was_handled_by_then() {
        let (flow, gate) = (Flow::default(), gate());
        assert!(flow.commit().is_none());
        flow.begin();
        let mut early = flow.commit().unwrap();
        flow.wait_for(5);
        let mut late = flow.commit().unwrap();
        assert!(flow.is_asked() && flow.acknowledged(5));
        assert!(early.try_recv().unwrap().is_ok() && late.try_recv().is_err());
        flow.wait_for(7);
        assert!(!flow.is_asked() && flow.acknowledged(6) && late.try_recv().is_err());
        flow.end(&gate, |call| ClientError::new(Code::LockLost, call));
        assert_eq!(late.try_recv().unwrap().unwrap_err().message(), "commit()");
        assert!(flow.commit().is_none());
    }

    #[test]
    fn what_may_have_been_committed_once_stays_unknown_until_something_is() {
        let flow = Flow::default();
        let told = || flow.failure().map(|error| error.to_json().contains("unknown"));
        let fail = |is_uncertain| flow.has_failed(ClientError::new(Code::Broker, "no"), is_uncertain);
        fail(false);
        assert_eq!(told(), Some(false));
        fail(true);
        fail(false);
        assert_eq!(told(), Some(true));
        flow.has_committed();
        assert_eq!(told(), None);
        fail(false);
        assert_eq!(told(), Some(false));
    }

    #[test]
    fn whoever_has_run_out_of_patience_is_forgotten() {
        let flow = Flow::default();
        flow.begin();
        drop(flow.commit());
        flow.wait_for(5);
        assert!(!flow.acknowledged(0));
    }
}
