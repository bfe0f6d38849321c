//! How strict to be: what a world with a clock of its own scales.

use std::time::Duration;

/// How a history is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a lock counts from when it was asked for: nothing may start later.
    pub lease: Duration,
    /// How much later than what it tells a line may be, where a lease is about to end.
    pub slack: Duration,
    /// How far clients that share no clock may be apart once their wall clocks have been compared.
    pub tolerance: Duration,
    /// What has to go on within which time; none: not judged.
    pub liveness: Option<Liveness>,
    /// Whether the history ends when everything has been handled: what was not is a violation then.
    pub drained: bool,
    /// How many violations of each invariant are told; all are counted.
    pub shown: usize,
}

/// What has to go on within which time. A fault, wherever it is, begins the time anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// From a message's acknowledgement to its handler, while the queue has an owner and nothing else of it is under way.
    /// None: not judged, as where handlers are paused or few.
    pub progress: Option<Duration>,
    /// From a queue's being given back to its next lock, where nothing is wrong.
    pub hand_over: Duration,
    /// The same after a fault: the notice of it may have been lost.
    pub unnoticed: Duration,
    /// From a member's death to the next lock of its queues: its lock lasts 60 s, and the others look every 20 s.
    pub crash: Duration,
    /// The same where nobody has heard its end, as of a machine that is gone, or behind lines that are cut: brokers count a silent member as
    /// one for 120 s, see to that every 10 s, and the others look every 20 s.
    pub unheard: Duration,
    /// Names of brokers and clients that stay away: nothing is asked of them, nor because of them.
    pub away: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            slack: Duration::from_millis(100),
            tolerance: Duration::from_millis(100),
            liveness: None,
            drained: false,
            shown: 5,
        }
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            progress: Some(Duration::from_secs(3)),
            hand_over: Duration::from_secs(2),
            unnoticed: Duration::from_secs(21),
            crash: Duration::from_secs(81),
            unheard: Duration::from_secs(151),
            away: Vec::new(),
        }
    }
}

/// As the checker counts.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
