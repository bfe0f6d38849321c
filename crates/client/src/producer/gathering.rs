//! A lane whose request was just stored waits a moment for the callers it has settled: what they send next goes in one request. A broker
//! works for each request, hardly for each message, so that this is worth more than anything else.

use std::time::Duration;

use super::calls::Gathered;
use super::model::{Gathering, Lane, Phase};
use super::state::State;

impl Lane {
    fn live(&self) -> usize {
        self.fifo.len().saturating_sub(self.dead)
    }

    /// Whether all have come that are waited for.
    pub(super) fn has_gathered(&self) -> bool {
        matches!(self.gathering, Some(Gathering::Awaited(count, _)) if self.live() >= count)
    }
}

impl State {
    /// How long a lane has to wait for its callers, if at all.
    pub(super) fn gathers(&mut self, lane: u32) -> Option<Duration> {
        let longest = self.options.gather;
        let running = self.phase == Phase::Running;
        let it = &mut self.lanes[lane];
        let Some(Gathering::Settled(count, run)) = it.gathering.take() else { return None };
        it.gathering = Some(Gathering::Awaited(count, run));
        if longest.is_zero() || !running || it.has_gathered() {
            it.gathering = None;
            return None;
        }
        Some(longest)
    }

    /// Whether a lane waits for nobody any more: all have come, or had their turn, or nothing may be waited for.
    pub(super) fn has_come(&self, lane: u32) -> bool {
        let it = &self.lanes[lane];
        it.gathering.is_none() || it.has_gathered() || self.phase != Phase::Running
    }

    /// Whether a lane still waits for the callers of this run, or is about to.
    pub(super) fn is_gathering(&self, Gathered { lane, run }: Gathered) -> bool {
        self.lanes.get(lane).is_some_and(|lane| match lane.gathering {
            Some(Gathering::Settled(count, of) | Gathering::Awaited(count, of)) => of == run && lane.live() < count,
            None => false,
        })
    }

    /// The callers of these runs have had their turn.
    pub(super) fn turned(&mut self, lanes: &[Gathered]) {
        for &gathered in lanes {
            if self.is_gathering(gathered) {
                let it = &mut self.lanes[gathered.lane];
                it.gathering = None;
                it.wake.notify_one();
            }
        }
    }
}
