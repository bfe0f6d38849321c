//! What a seed expands into: options, and a schedule of what goes wrong.

use std::time::Duration;

use rocketmq_client::consumer::OrderedBy;
use rocketmq_client::producer::Batching;
use rocketmq_simulated_world::{below, chance, pick};
use rocketmq_test_broker::Release;

use crate::faults::{Fault, Planned};

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) release: Release,
    pub(crate) brokers: usize,
    pub(crate) name_servers: usize,
    pub(crate) queues: i32,
    pub(crate) keys: u64,
    pub(crate) producers: Vec<ProducerPlan>,
    pub(crate) consumers: Vec<ConsumerPlan>,
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) bytes_per_second: Option<u32>,
    /// How long things go wrong.
    pub(crate) trouble: Duration,
    /// When what goes wrong.
    pub(crate) faults: Vec<Planned>,
    /// The consumer that never comes back from what has befallen it.
    pub(crate) lost: Option<usize>,
}

/// A producer.
#[derive(Clone, Debug)]
pub(crate) struct ProducerPlan {
    pub(crate) batching: Batching,
    pub(crate) send_timeout: Duration,
    /// Messages without a pause.
    pub(crate) burst: u64,
    /// The mean pause.
    pub(crate) pause: Duration,
    pub(crate) body: usize,
}

/// A consumer. All of one group keep order in the same way.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerPlan {
    pub(crate) ordered_by: OrderedBy,
    pub(crate) places: usize,
    pub(crate) prefetch: usize,
    /// The mean time of a handler.
    pub(crate) handler: Duration,
    /// Of a handler.
    pub(crate) fails: f64,
    /// Of a handler that takes very long.
    pub(crate) slow: f64,
    pub(crate) suspend: Duration,
    pub(crate) max_reconsume_times: Option<i32>,
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
    pub(crate) fn draw() -> Self {
        let brokers = one(&[1, 1, 2, 3]);
        let consumers = one(&[2, 2, 3, 4]);
        let ordered_by = one(&[OrderedBy::Queue, OrderedBy::Queue, OrderedBy::Key]);
        let consumer = ConsumerPlan {
            ordered_by,
            places: one(&[1, 4, 16, 1_000]),
            prefetch: one(&[8, 64, 1_000]),
            handler: one(&[ms(0, 2), ms(1, 20), ms(20, 100)]),
            fails: one(&[0.0, 0.0, 0.01, 0.05]),
            slow: one(&[0.0, 0.003, 0.01]),
            suspend: one(&[ms(10, 100), ms(500, 1_500)]),
            max_reconsume_times: one(&[None, None, Some(2)]),
            commit_interval: one(&[ms(100, 300), ms(1_000, 1_000)]),
        };
        let trouble = Duration::from_secs(20 + below(80));
        let mut plan = Self {
            release: one(&[Release::V4, Release::V5]),
            brokers,
            name_servers: one(&[1, 2]),
            queues: one(&[1, 2, 4, 8]),
            keys: one(&[1, 3, 16, 64]),
            producers: (0..one(&[1, 1, 2])).map(|_| ProducerPlan::draw()).collect(),
            consumers: vec![consumer; consumers],
            latency: one(&[ms(0, 0), ms(1, 1), ms(5, 40)]),
            jitter: one(&[ms(0, 0), ms(0, 5), ms(10, 60)]),
            bytes_per_second: one(&[None, None, None, Some(60_000), Some(250_000)]),
            trouble,
            faults: Vec::new(),
            lost: None,
        };
        plan.faults = Fault::schedule(&plan);
        plan.lost = chance(0.2).then(|| usize::try_from(below(consumers as u64)).unwrap_or(0));
        plan
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
        }
    }
}
