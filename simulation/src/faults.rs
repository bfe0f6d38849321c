//! What goes wrong.

use std::time::Duration;

use rocketmq_simulated_world::{below, chance, pick};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::plan_text::ms_of;

/// Routes are asked for every 30 s: so long after something of them has changed a client may not know it.
const ROUTES_ARE_OLD: Duration = Duration::from_secs(30);

/// A fault, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Planned {
    #[serde(with = "ms_of")]
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// One of them. Clients are numbered: consumers first, then producers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// One more consumer.
    Join,
    /// A consumer closes; another one comes later.
    Leave {
        consumer: usize,
        #[serde(with = "ms_of")]
        back_after: Duration,
    },
    /// A client's process is killed; another one comes later.
    Kill {
        client: usize,
        #[serde(with = "ms_of")]
        back_after: Duration,
    },
    /// A client's process stands still.
    Stop {
        client: usize,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// A client's event loop stands still; its native thread does not.
    Stall {
        client: usize,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// Nothing gets through between a client and a server, one way or both.
    Cut {
        client: usize,
        server: usize,
        ways: [bool; 2],
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// Nothing gets through between a client and everybody.
    Isolate {
        client: usize,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// A line that is slow and narrow.
    Narrow {
        client: usize,
        server: usize,
        #[serde(with = "ms_of")]
        latency: Duration,
        bytes_per_second: u32,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// Connections are reset.
    Reset { client: usize, server: usize },
    /// A broker stops, and starts again.
    Restart {
        broker: usize,
        forgets: bool,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// The same, at another address.
    Move {
        broker: usize,
        forgets: bool,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// The name server stops, and starts again.
    NameServer {
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// The name server hears of nothing new.
    Stale {
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// Routes have a fixed list of a topic's queues.
    Fix {
        topic: usize,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// Requests of some kind fare badly.
    Rule {
        rule: Rule,
        probability: f64,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// A client's wall clock jumps.
    Clock {
        client: usize,
        #[serde(with = "ms_of")]
        by: Duration,
        back: bool,
    },
    /// A topic has more queues.
    Grow { topic: usize },
    /// Half as many of a topic's queues are written to; all are read.
    Shrink { topic: usize },
    /// A consumer is told to pause.
    Pause {
        consumer: usize,
        #[serde(with = "ms_of")]
        lasts: Duration,
    },
    /// A consumer is told to go on elsewhere with one of its queues.
    Seek { consumer: usize, to: Place },
    /// An administrator sets a group back to the beginning of a topic, or by so much.
    SetBack {
        group: usize,
        topic: usize,
        #[serde(with = "ms_of")]
        by: Duration,
    },
}

impl Fault {
    /// Whether members may have different routes for a while.
    pub(crate) fn changes_routes(&self) -> bool {
        matches!(
            self,
            Self::Move { .. } | Self::Stale { .. } | Self::Fix { .. } | Self::Grow { .. } | Self::Shrink { .. }
        )
    }
}

/// Where to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Place {
    First,
    Last,
    /// So many messages before what is committed.
    Before(i64),
}

/// How requests fare badly.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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
    /// Sends are done and not flushed to the disk in time.
    NotFlushed,
    /// They are done, and there is no slave to copy them to.
    NoSlave,
    /// They are done and not copied to the slave in time.
    NotCopied,
}

const RULES: [Rule; 14] = [
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
    Rule::NotFlushed,
    Rule::NoSlave,
    Rule::NotCopied,
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
        if plan.brokers > 1 && chance(0.15) {
            // One of the brokers is new: it comes later.
            let late = Self::Restart { broker: index(plan.brokers), forgets: true, lasts: seconds(5, 40) };
            faults.push(Planned { at: Duration::ZERO, fault: late });
        }
        faults.sort_by_key(|planned| planned.at);
        faults
    }

    /// How long it goes on, and clients may suffer from it.
    pub(crate) fn lasts(&self) -> Duration {
        match *self {
            Self::Restart { lasts, .. }
            | Self::Move { lasts, .. }
            | Self::NameServer { lasts }
            | Self::Stale { lasts }
            | Self::Fix { lasts, .. } => lasts + ROUTES_ARE_OLD,
            Self::Grow { .. } | Self::Shrink { .. } => ROUTES_ARE_OLD,
            Self::Stop { lasts, .. }
            | Self::Stall { lasts, .. }
            | Self::Cut { lasts, .. }
            | Self::Isolate { lasts, .. }
            | Self::Narrow { lasts, .. }
            | Self::Rule { lasts, .. }
            | Self::Pause { lasts, .. } => lasts,
            Self::Join
            | Self::Leave { .. }
            | Self::Kill { .. }
            | Self::Reset { .. }
            | Self::Clock { .. }
            | Self::Seek { .. }
            | Self::SetBack { .. } => Duration::ZERO,
        }
    }

    /// The client that it befalls.
    pub(crate) fn client(&self) -> Option<usize> {
        match *self {
            Self::Kill { client, .. }
            | Self::Stop { client, .. }
            | Self::Stall { client, .. }
            | Self::Cut { client, .. }
            | Self::Isolate { client, .. }
            | Self::Narrow { client, .. }
            | Self::Reset { client, .. } => Some(client),
            _ => None,
        }
    }

    fn draw(plan: &Plan) -> Self {
        let consumer = index(plan.consumers.len());
        let client = index(plan.consumers.len() + plan.producers.len());
        let server = index(plan.brokers + plan.name_servers);
        let broker = index(plan.brokers);
        let topic = index(plan.topics.len());
        match below(27) {
            0 => Self::Join,
            1 | 2 => Self::Leave { consumer, back_after: seconds(0, 10) },
            3 | 4 => Self::Kill { client: consumer, back_after: seconds(0, 30) },
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
            13 | 14 => {
                let lasts = if chance(0.1) { seconds(20, 60) } else { seconds(0, 15) };
                Self::Restart { broker, forgets: chance(0.5), lasts }
            }
            15 => Self::NameServer { lasts: seconds(1, 60) },
            16..=18 => Self::Rule {
                rule: *pick(&RULES).unwrap_or(&Rule::Late),
                probability: *pick(&[0.02, 0.1, 0.3, 1.0]).unwrap_or(&0.1),
                lasts: seconds(1, 15),
            },
            19 => Self::Clock { client, by: seconds(1, 90_000), back: chance(0.5) },
            20 => Self::Grow { topic },
            21 if chance(0.5) => Self::Shrink { topic },
            21 => Self::Fix { topic, lasts: seconds(1, 40) },
            22 => Self::Kill { client: plan.consumers.len() + index(plan.producers.len()), back_after: seconds(0, 10) },
            23 => Self::Move { broker, forgets: chance(0.5), lasts: seconds(0, 10) },
            24 => Self::Stale { lasts: seconds(1, 40) },
            25 if chance(0.5) => Self::SetBack { group: 0, topic, by: seconds(0, 60) },
            25 => {
                let to = *pick(&[Place::First, Place::Last, Place::Before(5)]).unwrap_or(&Place::First);
                Self::Seek { consumer, to }
            }
            _ => Self::Pause { consumer, lasts: seconds(1, 40) },
        }
    }
}
