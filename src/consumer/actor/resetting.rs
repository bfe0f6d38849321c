//! An offset that somebody else has set: an administrator's reset, or a correction because messages are gone.

use super::waiting::{Interrupted, Patience};
use super::{Actor, Correction, Step};
use crate::client::Event;
use crate::consumer::brokers::Brokers;

impl<B: Brokers> Actor<B> {
    /// Drains, commits the new offset and goes on there; the lock is kept, and nothing of it is silent.
    pub(super) async fn reset(&mut self) -> Step {
        let Some(Correction { to, .. }) = self.correction else { return Step::Run };
        self.queue.gate.close();
        self.pull = None;
        if let Some(step) = self.settle().await {
            return step;
        }
        self.finish_commit().await;
        let from = self.buffer.position();
        match self.ask(&self.commit_of(to), Patience::WhileHeld).await {
            Ok(_) => {}
            Err(Interrupted::Forced(step)) => return step,
            Err(Interrupted::GivenUp) => return Step::Reset,
        }
        self.begin(to);
        self.committed = to;
        self.emit(|queue| Event::OffsetReset { queue, from, to });
        Step::Run
    }
}
