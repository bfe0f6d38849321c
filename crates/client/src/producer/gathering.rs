//! A lane whose request was just stored waits a moment for the callers it has settled: what they send next goes in one request. A broker
//! works for each request, hardly for each message, so that this is worth more than anything else.

use super::calls::Gathered;
use super::model::{Course, Gathering, Lane, Out, Phase};
use super::state::State;
use crate::env::Instant;

impl Lane {
    fn live(&self) -> usize {
        self.fifo.len().saturating_sub(self.dead)
    }

    /// Whether all have come that are waited for.
    pub(super) fn has_gathered(&self) -> bool {
        matches!(self.gathering, Some(Gathering::Awaited { count, .. }) if self.live() >= count)
    }
}

impl State {
    /// Whether a lane waits for its callers now, which a send, a turn or a tick will end.
    pub(super) fn gathers(&mut self, lane: u32, now: Instant, out: &mut Out) -> bool {
        let longest = self.options.gather;
        let running = self.phase == Phase::Running;
        let it = &mut self.lanes[lane];
        let Some(Gathering::Settled { count, run }) = it.gathering.take() else { return false };
        let until = now + longest;
        it.gathering = Some(Gathering::Awaited { count, run, until });
        if longest.is_zero() || !running || it.has_gathered() {
            it.gathering = None;
            return false;
        }
        it.course = Course::Gathering;
        self.due(lane, until, out);
        true
    }

    /// Whether a lane still waits for the callers of this run, or is about to.
    pub(super) fn is_gathering(&self, Gathered { lane, run }: Gathered) -> bool {
        self.lanes.get(lane).is_some_and(|lane| match lane.gathering {
            Some(Gathering::Settled { count, run: of } | Gathering::Awaited { count, run: of, .. }) => {
                of == run && lane.live() < count
            }
            None => false,
        })
    }

    /// The callers of these runs have had their turn.
    pub(super) fn turned(&mut self, lanes: &[Gathered], out: &mut Out) {
        for &gathered in lanes {
            if self.is_gathering(gathered) {
                self.gathered(gathered.lane, out);
            }
        }
    }

    /// A lane waits for nobody any more.
    pub(super) fn gathered(&mut self, lane: u32, out: &mut Out) {
        let it = &mut self.lanes[lane];
        it.gathering = None;
        if matches!(it.course, Course::Gathering) {
            it.course = Course::Moving;
            out.starts.push(lane);
        }
    }
}
