//! The time a round took, the processor's included.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Failure;

/// Begins with the timed part.
pub(crate) struct Timing {
    began: Instant,
    cpu: Duration,
}

impl Timing {
    pub(crate) fn start() -> Result<Self, Failure> {
        Ok(Self { cpu: cpu()?, began: Instant::now() })
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The figures that every round has.
    pub(crate) fn stop(&self, messages: usize) -> Result<Value, Failure> {
        let seconds = self.began.elapsed().as_secs_f64();
        let cpu = cpu()?.saturating_sub(self.cpu).as_secs_f64();
        let messages = messages.max(1) as f64;
        Ok(json!({ "messages": messages, "perSecond": messages / seconds, "cpuMicros": 1e6 * cpu / messages }))
    }
}

/// Percentiles of a round's latencies, added to its figures in microseconds.
pub(crate) fn add_latencies(figures: &mut Value, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    for (name, part) in [("p50Micros", 0.5), ("p99Micros", 0.99), ("p999Micros", 0.999)] {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of the list")]
        let place = (part * latencies.len() as f64) as usize;
        if let Some(latency) = latencies.get(place) {
            figures[name] = json!(latency.as_secs_f64() * 1e6);
        }
    }
}

/// Processor time of all threads of this process, from the kernel's scheduler.
fn cpu() -> Result<Duration, Failure> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}
