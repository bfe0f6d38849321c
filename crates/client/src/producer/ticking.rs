//! One tick for the deadlines of all lanes that no task looks after: those with a request on the wire, and those that wait for their callers.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::masters::Masters;
use super::model::{Course, Gathering, Out, Phase};
use super::state::State;
use crate::env::{self, Instant};
use crate::error::ClientError;

/// Deadlines that pass close together are looked at together.
const TICK: Duration = Duration::from_millis(5);

/// So many moments that mean nothing any more, besides one for each lane, are kept until their time.
const KEPT: usize = 1_024;

/// Runs until the producer is closed.
pub(super) async fn run<B: Masters>(core: Arc<Core<B>>) {
    let tell = |panic: String| {
        let text = "the deadlines of sends are looked at anew, as looking at them has failed";
        core.brokers.warn(ClientError::panicked(text, &panic));
    };
    env::kept(|| tick(&core), tell).await;
}

async fn tick<B: Masters>(core: &Arc<Core<B>>) {
    let mut not_before = env::now();
    loop {
        let (due, is_closed) = core.with(|state, _| (state.next_due(), state.phase == Phase::Closed));
        if is_closed {
            return;
        }
        tokio::select! {
            biased;
            () = core.tick.notified() => {}
            () = env::until(due.map(|due| due.max(not_before))) => {
                let now = env::now();
                not_before = now + TICK;
                core.with(|state, out| state.tick(now, out));
            }
        }
    }
}

impl State {
    /// A lane has to be looked at then, and not later.
    pub(super) fn due(&mut self, lane: u32, then: Instant, out: &mut Out) {
        let it = &mut self.lanes[lane];
        if it.due.is_some_and(|due| due <= then) {
            return;
        }
        it.due = Some(then);
        out.tick |= self.dues.peek().is_none_or(|Reverse((first, _))| then < *first);
        self.dues.push(Reverse((then, lane)));
        if self.dues.len() > KEPT + 2 * self.lanes.len() {
            let dues = self.lanes.iter().filter_map(|(lane, it)| Some(Reverse((it.due?, lane))));
            self.dues = dues.collect();
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.dues.peek().map(|Reverse((then, _))| *then)
    }

    fn tick(&mut self, now: Instant, out: &mut Out) {
        if self.phase == Phase::Closed {
            return;
        }
        while let Some(&Reverse((then, lane))) = self.dues.peek()
            && then <= now
        {
            self.dues.pop();
            // Others were given up for an earlier one, or their lane has gone.
            if let Some(it) = self.lanes.get_mut(lane).filter(|it| it.due == Some(then)) {
                it.due = None;
                if let Err(panic) = env::caught_now(|| self.look_at_lane(lane, now, out)) {
                    self.lane_panicked(lane, &panic, out);
                    out.starts.push(lane);
                }
            }
        }
    }

    fn look_at_lane(&mut self, lane: u32, now: Instant, out: &mut Out) {
        let it = &mut self.lanes[lane];
        match std::mem::replace(&mut it.course, Course::Moving) {
            Course::Flying(mut flying) => {
                self.expire(lane, &mut flying.flight, now, out);
                self.set_flying(lane, flying, out);
            }
            Course::Gathering => match it.gathering {
                Some(Gathering::Awaited { until, .. }) if until > now => {
                    it.course = Course::Gathering;
                    self.due(lane, until, out);
                }
                // Whoever is not back by now is not waited for.
                _ => {
                    it.gathering = None;
                    out.starts.push(lane);
                }
            },
            other => it.course = other,
        }
    }
}
