//! What goes wrong.

use std::time::Duration;

use rocketmq_simulated_world::{below, chance, pick};

use crate::plan::Plan;

/// A fault, and when.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// One of them. Clients are numbered: consumers first, then producers.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// One more consumer.
    Join,
    /// A consumer closes; another one comes later.
    Leave { consumer: usize, back_after: Duration },
    /// A consumer's process is killed; another one comes later.
    Kill { consumer: usize, back_after: Duration },
    /// A client's process stands still.
    Stop { client: usize, lasts: Duration },
    /// A client's event loop stands still; its native thread does not.
    Stall { client: usize, lasts: Duration },
    /// Nothing gets through between a client and a server, one way or both.
    Cut { client: usize, server: usize, ways: [bool; 2], lasts: Duration },
    /// Nothing gets through between a client and everybody.
    Isolate { client: usize, lasts: Duration },
    /// A line that is slow and narrow.
    Narrow { client: usize, server: usize, latency: Duration, bytes_per_second: u32, lasts: Duration },
    /// Connections are reset.
    Reset { client: usize, server: usize },
    /// A broker stops, and starts again.
    Restart { broker: usize, forgets: bool, lasts: Duration },
    /// The name server stops, and starts again.
    NameServer { lasts: Duration },
    /// Requests of some kind fare badly.
    Rule { rule: Rule, probability: f64, lasts: Duration },
    /// A client's wall clock jumps.
    Clock { client: usize, by: Duration, back: bool },
    /// The topic has more queues.
    Grow,
}

/// How requests fare badly.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Sends are refused as of a busy broker.
    BusySends,
    /// Pulls are refused as of a busy broker.
    BusyPulls,
    /// Sends are done and not answered.
    UnansweredSends,
    /// Commits are done and not answered.
    UnansweredCommits,
    /// Locks are granted and not answered.
    UnansweredLocks,
    /// Unlocks are not done and not answered.
    LostUnlocks,
    /// Answers to locks are late.
    LateLocks,
    /// Everything is late.
    Late,
    /// Sends overtake each other.
    Disorder,
    /// The store stands still now and then.
    Stalls,
    /// Connections end behind a send that was done.
    CutSends,
}

const RULES: [Rule; 11] = [
    Rule::BusySends,
    Rule::BusyPulls,
    Rule::UnansweredSends,
    Rule::UnansweredCommits,
    Rule::UnansweredLocks,
    Rule::LostUnlocks,
    Rule::LateLocks,
    Rule::Late,
    Rule::Disorder,
    Rule::Stalls,
    Rule::CutSends,
];

fn seconds(from: u64, to: u64) -> Duration {
    Duration::from_millis(from * 1_000 + below((to - from) * 1_000 + 1))
}

fn index(count: usize) -> usize {
    usize::try_from(below(count as u64)).unwrap_or(0)
}

impl Fault {
    /// Those of a plan, by time.
    pub(crate) fn schedule(plan: &Plan) -> Vec<Planned> {
        let count = 1 + below(plan.trouble.as_secs() / 4);
        let within = u64::try_from(plan.trouble.as_millis()).unwrap_or(0);
        let mut faults: Vec<Planned> =
            (0..count).map(|_| Planned { at: Duration::from_millis(below(within)), fault: Self::draw(plan) }).collect();
        faults.sort_by_key(|planned| planned.at);
        faults
    }

    fn draw(plan: &Plan) -> Self {
        let consumer = index(plan.consumers.len());
        let client = index(plan.consumers.len() + plan.producers.len());
        let server = index(plan.brokers + plan.name_servers);
        let broker = index(plan.brokers);
        match below(20) {
            0 => Self::Join,
            1 | 2 => Self::Leave { consumer, back_after: seconds(0, 10) },
            3 | 4 => Self::Kill { consumer, back_after: seconds(0, 30) },
            5 | 6 => Self::Stop { client, lasts: if chance(0.3) { seconds(25, 75) } else { seconds(0, 20) } },
            7 => Self::Stall { client, lasts: if chance(0.3) { seconds(25, 75) } else { seconds(0, 10) } },
            8 | 9 => {
                let ways = *pick(&[[true, true], [true, false], [false, true]]).unwrap_or(&[true; 2]);
                Self::Cut { client, server, ways, lasts: if chance(0.3) { seconds(20, 70) } else { seconds(0, 12) } }
            }
            10 => Self::Isolate { client, lasts: if chance(0.5) { seconds(20, 70) } else { seconds(0, 12) } },
            11 => Self::Narrow {
                client,
                server,
                latency: Duration::from_millis(below(2_000)),
                bytes_per_second: u32::try_from(2_000 + below(50_000)).unwrap_or(2_000),
                lasts: seconds(2, 40),
            },
            12 => Self::Reset { client, server },
            13 | 14 => Self::Restart { broker, forgets: chance(0.5), lasts: seconds(0, 15) },
            15 => Self::NameServer { lasts: seconds(1, 60) },
            16..=18 => Self::Rule {
                rule: *pick(&RULES).unwrap_or(&Rule::Late),
                probability: *pick(&[0.02, 0.1, 0.3, 1.0]).unwrap_or(&0.1),
                lasts: seconds(1, 15),
            },
            _ if chance(0.5) => Self::Clock { client, by: seconds(1, 90_000), back: chance(0.5) },
            _ => Self::Grow,
        }
    }
}
