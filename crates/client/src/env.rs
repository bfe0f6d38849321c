//! The outside world in one place: sockets, both clocks, randomness, threads, and every interval.
//!
//! Nothing else in the crate names a socket type or asks a clock, so that a simulated world can stand in for `real` here (feature `simulation`).

use std::time::Duration;

pub(crate) mod files;
mod panics;
#[cfg(not(feature = "simulation"))]
mod real;
#[cfg(feature = "simulation")]
mod simulated;

pub(crate) use panics::caught_now;
pub use panics::{caught, kept};
#[cfg(not(feature = "simulation"))]
use real as world;
#[cfg(feature = "simulation")]
use simulated as world;
use world::fraction;
#[cfg(test)]
pub(crate) use world::listen;
pub(crate) use world::{
    JoinSet, SocketWriter, boot_id, connect, local_ip, monotonic_us, process_id, random_u32, spawn_blocking,
    unacknowledged,
};
pub use world::{planted, spawn, wall_ms};

/// A point of the monotonic clock; leases and deadlines are made of these.
pub use tokio::time::Instant;

/// Now, on the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Sleeps until then; for ever without a then.
pub(crate) async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// A time of the wall clock as people read it: `2026-01-31T12:03:04Z`.
pub(crate) fn utc(wall_ms: i64) -> String {
    let seconds = wall_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March have their odd day at the end; an era of them is 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// `base` ± 20 %, so that clients that fail together do not come back together.
pub(crate) fn jittered(base: Duration) -> Duration {
    base.mul_f64(0.8 + 0.4 * fraction())
}

/// Any time up to `most`, so that clients that are told the same do not ask in the same moment.
pub(crate) fn scattered(most: Duration) -> Duration {
    most.mul_f64(fraction())
}

/// A delay that doubles from `first` to `most`, jittered.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `first`, ends at `most`.
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// The delay before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.most);
        jittered(delay)
    }

    /// Begins anew, after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Every interval of the client, with the defaults that RocketMQ's own clients use or a reason to differ; tests shorten them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Opening one connection, including name resolution.
    pub connect_timeout: Duration,
    /// One request other than a pull, a lock or an unlock.
    pub request_timeout: Duration,
    /// Lock and unlock. Java: 1 s. See [`Timing::with_request_timeout`].
    pub lock_timeout: Duration,
    /// How long a broker may hold a pull that finds nothing.
    pub pull_suspend: Duration,
    /// One pull. Brokers look at held pulls every 5 s, so this is well above `pull_suspend`.
    pub pull_timeout: Duration,
    /// Between heartbeats. Brokers forget a client after 120 s.
    pub heartbeat_interval: Duration,
    /// Between two looks at the routes in use.
    pub route_refresh: Duration,
    /// Between two rebalances when nothing calls for one.
    pub rebalance_interval: Duration,
    /// Between lock renewals. Java: 20 s; 10 s lets a 30 s lease survive a miss.
    pub lock_renewal: Duration,
    /// How long a granted lock counts here, from the moment the request was sent. Brokers keep it 60 s.
    pub lease: Duration,
    /// Retrying a refused lock: every `relock_fast` for `relock_fast_for`, then every `relock_slow`.
    pub relock_fast: Duration,
    /// See `relock_fast`.
    pub relock_fast_for: Duration,
    /// See `relock_fast`.
    pub relock_slow: Duration,
    /// How long handing a queue over may take before it is worth a word, where its lock can be that of a living member.
    pub hand_over: Duration,
    /// How long a queue may wait until that is a problem: longer than the 60 s that a broker keeps a dead member's lock.
    pub stalled_after: Duration,
    /// Between two looks at how queues stand that cannot be pulled.
    pub lag_probe: Duration,
    /// How long a handler may run without a word, where its user has set no bound.
    pub long_handler: Duration,
    /// First and longest delay after a failed pull, offset query or connection attempt.
    pub backoff: (Duration, Duration),
    /// First and longest delay between two attempts of one step of a start.
    pub start_backoff: (Duration, Duration),
    /// First and longest delay before a refused send is tried again.
    pub send_backoff: (Duration, Duration),
    /// After answer 215 (`FLOW_CONTROL`) to a pull.
    pub flow_control_delay: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(3),
            lock_timeout: Duration::from_secs(3),
            pull_suspend: Duration::from_secs(15),
            pull_timeout: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(30),
            route_refresh: Duration::from_secs(30),
            rebalance_interval: Duration::from_secs(20),
            lock_renewal: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            relock_fast: Duration::from_millis(300),
            relock_fast_for: Duration::from_secs(30),
            relock_slow: Duration::from_secs(3),
            hand_over: Duration::from_secs(2),
            stalled_after: Duration::from_secs(65),
            lag_probe: Duration::from_secs(3),
            long_handler: Duration::from_secs(60),
            backoff: (Duration::from_millis(200), Duration::from_secs(3)),
            start_backoff: (Duration::from_millis(200), Duration::from_secs(1)),
            send_backoff: (Duration::from_millis(50), Duration::from_secs(1)),
            flow_control_delay: Duration::from_millis(20),
        }
    }
}

impl Timing {
    /// With another bound for requests. A lock's renewal takes no longer than it may: a lease has to survive one that is missed.
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, lock_timeout: request_timeout.min(self.lease / 3), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_request_takes_as_long_as_any_but_never_the_lease() {
        for (millis, lock) in [(200, 200), (3_000, 3_000), (60_000, 10_000)] {
            let timing = Timing::default().with_request_timeout(Duration::from_millis(millis));
            assert_eq!(timing.request_timeout.as_millis(), u128::from(millis));
            assert_eq!(timing.lock_timeout.as_millis(), lock);
            assert!(timing.lock_renewal + timing.lock_timeout < timing.lease);
        }
    }

    #[test]
    fn times_are_shown_as_people_read_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_769_860_984_000, "2026-01-31T12:03:04Z"),
            (1_772_323_199_000, "2026-02-28T23:59:59Z"),
            (1_772_323_200_000, "2026-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(ms), text);
        }
    }
}
