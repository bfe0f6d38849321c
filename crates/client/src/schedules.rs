//! Any order in which threads can take their locks: a scheduler decides, one thread runs at a time, and the same model runs thousands of
//! times. For tests only, with the feature `shuttle`.
//!
//! A panic, or nobody who can go on, fails the model; what is printed then has the order, which `shuttle::replay` follows.

#[cfg(test)]
mod own;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// Steps of one run after which it is stuck.
const MOST_STEPS: usize = 1_000_000;
/// A whole client has larger frames than what the scheduler is made for.
const STACK: usize = 1 << 20;
/// Changes of the running thread that are not its own doing, where the scheduler follows priorities.
const DEPTH: usize = 3;
/// CI tries the same orders each time.
const SEED: u64 = 10;

#[cfg(test)]
pub(crate) use self::own::Own;

thread_local! {
    static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Whether that defect is planted.
pub fn planted(defect: &str) -> bool {
    PLANTED.get() == Some(defect)
}

/// Runs a model in so many orders: half of them at random, half by priorities that change now and then, which finds what needs a long
/// wait in the wrong moment.
///
/// # Panics
///
/// Where one of them fails.
pub fn in_any_order(orders: usize, model: impl Fn() + Send + Sync + Clone + 'static) {
    run(RandomScheduler::new_from_seed(SEED, orders / 2), model.clone());
    run(PctScheduler::new_from_seed(SEED, DEPTH, orders / 2), model);
}

/// Whether a model fails in one of so many orders, with this defect planted.
pub fn catches(defect: &'static str, orders: usize, model: impl Fn() + Send + Sync + Clone + 'static) -> bool {
    PLANTED.set(Some(defect));
    let result = catch_unwind(AssertUnwindSafe(|| in_any_order(orders, model)));
    PLANTED.set(None);
    result.is_err()
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    Runner::new(scheduler, config).run(model);
}
