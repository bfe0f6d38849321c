//! One world, from its plan to its verdict.

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocketmq_client::consumer::OrderedBy;
use rocketmq_client::env::Timing;
use rocketmq_history::checker::{Liveness, Options, check};
use rocketmq_simulated_world::World;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::arguments::{One, Source};
use crate::determinism;
use crate::plan::Plan;
use crate::running::Running;

/// Panics so far.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Runs it, and says what came of it.
pub(crate) fn run(one: &One) -> ExitCode {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        hook(panic);
    }));
    let plan = match plan_of(&one.source) {
        Ok(plan) => plan,
        Err(problem) => {
            eprintln!("simulate: {problem}");
            return ExitCode::from(2);
        }
    };
    let name = match &one.source {
        Source::Seed(seed) => format!("seed {seed}"),
        Source::File(file) => file.clone(),
    };
    let problems = within(|| live(one, plan));
    for problem in &problems {
        println!("{name}: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A clock that moves when everybody waits.
fn within<F: Future>(lives: impl FnOnce() -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    LocalSet::new().block_on(&runtime, async { lives().await })
}

/// Always by way of its text, so that a plan in a file is what its seed was.
pub(crate) fn plan_of(source: &Source) -> Result<Plan, String> {
    let kept = match source {
        Source::Seed(_) => None,
        Source::File(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            Some(Plan::of_text(&text).map_err(|error| format!("{file}: {error}"))?)
        }
    };
    let seed = match (source, &kept) {
        (Source::Seed(seed), _) => *seed,
        (_, kept) => kept.as_ref().map_or(0, |plan| plan.seed),
    };
    determinism::begin(seed);
    // Also where it is not needed: what libraries have asked the system for by now is the same then.
    let drawn = within(|| async {
        World::begin(seed);
        Plan::draw(seed).to_text()
    });
    kept.map_or_else(|| Plan::of_text(&drawn).map_err(|error| format!("no plan: {error}")), Ok)
}

async fn live(one: &One, plan: Plan) -> Vec<String> {
    determinism::begin(plan.seed);
    let world = World::begin(plan.seed);
    if let Some(defect) = &one.plant {
        world.plant(defect);
    }
    if !one.quiet {
        print!("{}", plan.to_text());
    }
    let running = Rc::new(Running::start(world, plan, !one.quiet).await);
    let faults = running.plan.faults.clone();
    let mut troubles = JoinSet::new();
    for planned in faults {
        let running = Rc::clone(&running);
        troubles.spawn_local(async move {
            sleep(planned.at).await;
            running.befall(planned.fault).await;
        });
    }
    sleep(running.plan.trouble).await;
    troubles.join_all().await;
    running.lose();
    let mut problems = running.finish().await;
    let lines = running.histories.all();
    if let Some(file) = &one.trace {
        let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap_or_default() + "\n").collect();
        std::fs::write(file, text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let verdict = check(lines.into_iter(), &judged(&running.plan, problems.is_empty()));
    problems.extend(verdict.violations.iter().map(|violation| format!("violation\n{violation}")));
    if !one.quiet {
        println!("{:#?}", verdict.counts);
    }
    let panics = PANICS.load(Ordering::Relaxed);
    if panics > 0 {
        problems.push(format!("{panics} panics"));
    }
    problems
}

/// How strict the checker is: everybody's clock is the world's.
fn judged(plan: &Plan, is_done: bool) -> Options {
    let mut liveness = Liveness::default();
    if !has_room(plan) {
        liveness.progress = None;
    }
    if plan.faults.iter().any(|planned| planned.fault.changes_routes()) {
        // Until all have looked, members may divide other queues than the others do.
        liveness.unnoticed += Timing::default().route_refresh;
    }
    Options { slack: Duration::from_millis(2), drained: is_done, liveness: Some(liveness), ..Options::default() }
}

/// Whether a message that waits waits for nothing but its queue: not for a place among the handlers, nor for a line that others fill.
fn has_room(plan: &Plan) -> bool {
    let queues = plan.topics.iter().map(|queues| usize::try_from(*queues).unwrap_or(0)).sum::<usize>();
    let lanes = |ordered_by| match ordered_by {
        OrderedBy::Queue => 2 * queues,
        OrderedBy::Key => usize::MAX,
    };
    let has_places = plan.consumers.iter().all(|it| it.places == 1_000 || it.places >= lanes(it.ordered_by));
    has_places && plan.bytes_per_second.is_none()
}
