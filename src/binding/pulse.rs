//! Whether anybody lives up there: the event loop that must take what we say, and the process itself.
//!
//! A blocked event loop cannot be told that it is blocked, so it is told afterwards. It is asked again and again, one question at a time;
//! what it takes late it did not take before. A process that was stopped missed its own ticks, and its loop is not to blame.

use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks, and between an answer and the next question.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// What is worth a warning.
const LONG: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct State {
    last_tick: Instant,
    last_wall_ms: i64,
    /// When the question was asked that the loop has not taken.
    asked: Option<Instant>,
    /// How long the process stood still since then.
    stopped: Duration,
    /// How late the loop was, until the next tick knows why.
    late: Option<Duration>,
}

/// What is known of the life of one event loop.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<State>);

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The loop is to be asked.
    pub(super) ask: bool,
    /// What its user should know.
    pub(super) tell: Vec<ClientError>,
}

impl Pulse {
    /// Begins to watch.
    pub(super) fn new() -> Self {
        let last_tick = env::now();
        let state = State { last_tick, last_wall_ms: env::wall_ms(), asked: None, stopped: Duration::ZERO, late: None };
        Self(Mutex::new(state))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop takes what there is, the question with it; on its thread.
    pub(super) fn taken(&self) {
        let mut state = self.lock();
        // It takes much in a row: what was late stays so until the next look.
        if let Some(asked) = state.asked.take() {
            state.late = Some(asked.elapsed());
        }
    }

    /// Looks at the clocks; to be called every [`TICK`].
    pub(super) fn look(&self, wall_ms: i64) -> Look {
        let now = env::now();
        let mut state = self.lock();
        let missed = now.saturating_duration_since(state.last_tick).saturating_sub(TICK);
        let by_wall =
            Duration::from_millis(u64::try_from(wall_ms - state.last_wall_ms).unwrap_or(0)).saturating_sub(TICK);
        (state.last_tick, state.last_wall_ms) = (now, wall_ms);
        let mut look = Look::default();
        if missed >= LONG {
            state.stopped += missed;
            look.tell.push(stopped(missed));
        } else if by_wall.saturating_sub(missed) >= LONG {
            // The monotonic clock of some systems stands still while the machine sleeps.
            look.tell.push(slept(by_wall));
        }
        if let Some(late) = state.late.take() {
            let late = late.saturating_sub(state.stopped);
            if late >= LONG {
                look.tell.push(blocked(late));
            }
        }
        if state.asked.is_none() {
            state.asked = Some(now);
            state.stopped = Duration::ZERO;
            look.ask = true;
        }
        look
    }
}

fn stopped(time: Duration) -> ClientError {
    let text = format!(
        "the process did not run for {} s (stopped, or on a machine that slept or was overloaded): no handler began, and locks may \
         have run out",
        time.as_secs()
    );
    ClientError::new(Code::Timeout, text)
}

fn slept(time: Duration) -> ClientError {
    let text = format!(
        "the machine slept for {} s, or its clock was set ahead: no handler began, and locks may have run out",
        time.as_secs()
    );
    ClientError::new(Code::Timeout, text)
}

fn blocked(time: Duration) -> ClientError {
    let text = format!(
        "the event loop did not take messages for {} s: something blocked it (a long computation, a synchronous call, a debugger). \
         Heartbeats and locks went on; no handler began, and no result was delivered",
        time.as_secs()
    );
    ClientError::new(Code::Timeout, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock {
        pulse: Pulse,
        wall_ms: i64,
    }

    impl Clock {
        fn new() -> Self {
            Self { pulse: Pulse::new(), wall_ms: env::wall_ms() }
        }

        /// A tick that comes after this time, and what it tells; the loop takes what it is asked, or not.
        async fn tick(&mut self, after: Duration, takes: bool) -> Vec<String> {
            tokio::time::advance(after).await;
            self.wall_ms += i64::try_from(after.as_millis()).unwrap();
            self.look(takes)
        }

        fn look(&mut self, takes: bool) -> Vec<String> {
            let look = self.pulse.look(self.wall_ms);
            if look.ask && takes {
                self.pulse.taken();
            }
            look.tell.iter().map(|error| error.message().to_owned()).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_lives_is_asked_at_every_tick_and_nothing_is_told() {
        let mut clock = Clock::new();
        for _ in 0..100 {
            assert!(clock.tick(TICK, true).await.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_was_blocked_is_told_once_when_it_lives_again() {
        let mut clock = Clock::new();
        for _ in 0..25 {
            assert!(clock.tick(TICK, false).await.is_empty());
        }
        for _ in 0..3 {
            clock.pulse.taken();
        }
        let told = clock.tick(TICK, true).await;
        assert!(told.len() == 1 && told[0].contains("the event loop did not take messages for 24 s"), "{told:?}");
        assert!(clock.tick(TICK, true).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_block_is_nobodys_business() {
        let mut clock = Clock::new();
        for _ in 0..19 {
            assert!(clock.tick(TICK, false).await.is_empty());
        }
        clock.pulse.taken();
        assert!(clock.tick(TICK, true).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_is_told_so_and_its_loop_is_not_blamed() {
        for loop_is_first in [true, false] {
            let mut clock = Clock::new();
            clock.tick(TICK, false).await;
            tokio::time::advance(Duration::from_secs(35)).await;
            clock.wall_ms += 35_000;
            if loop_is_first {
                clock.pulse.taken();
            }
            let told = clock.look(false);
            assert!(told.len() == 1 && told[0].contains("did not run for 34 s"), "{told:?}");
            clock.pulse.taken();
            assert!(clock.tick(TICK, true).await.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_with_its_monotonic_clock_is_told_so() {
        let mut clock = Clock::new();
        clock.tick(TICK, true).await;
        clock.wall_ms += 60_000;
        let told = clock.tick(TICK, true).await;
        assert!(told.len() == 1 && told[0].contains("slept for 60 s"), "{told:?}");
        clock.wall_ms -= 3_600_000;
        assert!(clock.tick(TICK, true).await.is_empty(), "a clock set back is no sleep");
    }
}
