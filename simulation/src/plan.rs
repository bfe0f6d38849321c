//! What a seed expands into: options, and a schedule of what goes wrong.

use std::time::Duration;

use rocketmq_client::consumer::OrderedBy;
use rocketmq_client::producer::Batching;
use rocketmq_simulated_world::{below, chance, pick};
use rocketmq_test_broker::Release;
use serde::{Deserialize, Serialize};

use crate::faults::{Fault, Planned};
use crate::plan_text::{OfBatching, OfOrderedBy, OfRelease, ms_of};

/// The whole of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// What it is there for, where somebody keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) story: Option<String>,
    /// Of everything else that is random.
    pub(crate) seed: u64,
    #[serde(with = "OfRelease")]
    pub(crate) release: Release,
    pub(crate) brokers: usize,
    pub(crate) name_servers: usize,
    /// Of each topic its queues.
    pub(crate) topics: Vec<i32>,
    pub(crate) keys: u64,
    pub(crate) producers: Vec<ProducerPlan>,
    pub(crate) consumers: Vec<ConsumerPlan>,
    #[serde(with = "ms_of")]
    pub(crate) latency: Duration,
    #[serde(with = "ms_of")]
    pub(crate) jitter: Duration,
    pub(crate) bytes_per_second: Option<u32>,
    /// How long things go wrong.
    #[serde(with = "ms_of")]
    pub(crate) trouble: Duration,
    /// When what goes wrong.
    pub(crate) faults: Vec<Planned>,
    /// The consumer that never comes back from what has befallen it.
    pub(crate) lost: Option<usize>,
}

/// A producer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProducerPlan {
    #[serde(with = "OfBatching")]
    pub(crate) batching: Batching,
    #[serde(with = "ms_of")]
    pub(crate) send_timeout: Duration,
    /// Messages without a pause.
    pub(crate) burst: u64,
    /// The mean pause.
    #[serde(with = "ms_of")]
    pub(crate) pause: Duration,
    pub(crate) body: usize,
    /// Of a call that is a batch of its own.
    pub(crate) batches: f64,
    /// Whether keys stay with a queue that is in no route any more.
    pub(crate) holds: bool,
}

/// A consumer. All of one group are the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConsumerPlan {
    /// The number of its group.
    pub(crate) group: usize,
    pub(crate) broadcasting: bool,
    #[serde(with = "OfOrderedBy")]
    pub(crate) ordered_by: OrderedBy,
    pub(crate) places: usize,
    /// Most messages of one handler.
    pub(crate) batch: usize,
    pub(crate) prefetch: usize,
    /// The mean time of a handler.
    #[serde(with = "ms_of")]
    pub(crate) handler: Duration,
    /// Of a handler.
    pub(crate) fails: f64,
    /// Of a handler that takes very long.
    pub(crate) slow: f64,
    #[serde(with = "ms_of")]
    pub(crate) suspend: Duration,
    pub(crate) max_reconsume_times: Option<i32>,
    #[serde(with = "ms_of")]
    pub(crate) commit_interval: Duration,
}

fn ms(from: u64, to: u64) -> Duration {
    Duration::from_millis(from + below(to - from + 1))
}

fn one<T: Clone>(of: &[T]) -> T {
    pick(of).cloned().unwrap_or_else(|| panic!("of nothing"))
}

impl Plan {
    /// That of the world's seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut consumers = vec![ConsumerPlan::draw(0); one(&[2, 2, 3, 4])];
        let second = one(&[0, 0, 0, 0, 1, 2]);
        consumers.extend(vec![ConsumerPlan::draw(1); second]);
        let count = consumers.len() as u64;
        let trouble = Duration::from_secs(20 + below(80));
        let mut plan = Self {
            story: None,
            seed,
            release: one(&[Release::V4, Release::V5]),
            brokers: one(&[1, 1, 2, 3]),
            name_servers: one(&[1, 2]),
            topics: (0..one(&[1, 1, 1, 2])).map(|_| one(&[1, 2, 4, 8])).collect(),
            keys: one(&[1, 3, 16, 64]),
            producers: (0..one(&[1, 1, 2])).map(|_| ProducerPlan::draw()).collect(),
            consumers,
            latency: one(&[ms(0, 0), ms(1, 1), ms(5, 40)]),
            jitter: one(&[ms(0, 0), ms(0, 5), ms(10, 60)]),
            bytes_per_second: one(&[None, None, None, Some(60_000), Some(250_000)]),
            trouble,
            faults: Vec::new(),
            lost: None,
        };
        plan.faults = Fault::schedule(&plan);
        plan.lost = chance(0.2).then(|| usize::try_from(below(count)).unwrap_or(0));
        plan
    }

    /// The same once more.
    pub(crate) fn again(&self) -> Self {
        Self::of_text(&self.to_text()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Groups, by number: whether they broadcast.
    pub(crate) fn groups(&self) -> Vec<(usize, bool)> {
        let mut groups: Vec<_> = self.consumers.iter().map(|plan| (plan.group, plan.broadcasting)).collect();
        groups.dedup();
        groups
    }
}

impl ConsumerPlan {
    fn draw(group: usize) -> Self {
        Self {
            group,
            broadcasting: chance(0.06),
            ordered_by: one(&[OrderedBy::Queue, OrderedBy::Queue, OrderedBy::Key]),
            places: one(&[1, 4, 16, 1_000]),
            batch: one(&[1, 1, 1, 4, 32]),
            prefetch: one(&[8, 64, 1_000]),
            handler: one(&[ms(0, 2), ms(1, 20), ms(20, 100)]),
            fails: one(&[0.0, 0.0, 0.01, 0.05]),
            slow: one(&[0.0, 0.003, 0.01]),
            suspend: one(&[ms(10, 100), ms(500, 1_500)]),
            max_reconsume_times: one(&[None, None, Some(2)]),
            commit_interval: one(&[ms(100, 300), ms(1_000, 1_000)]),
        }
    }
}

impl ProducerPlan {
    fn draw() -> Self {
        let burst = one(&[1, 1, 5, 20]);
        Self {
            batching: one(&[Batching::Queue, Batching::Key, Batching::Off]),
            send_timeout: one(&[ms(3_000, 3_000), ms(8_000, 12_000)]),
            burst,
            pause: one(&[ms(20, 60), ms(60, 200)]) * u32::try_from(burst + 1).unwrap_or(1),
            body: one(&[16, 100, 1_000]),
            batches: one(&[0.0, 0.0, 0.2]),
            holds: chance(0.2),
        }
    }
}
