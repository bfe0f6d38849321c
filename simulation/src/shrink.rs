//! From a plan that fails to a smaller one that fails in the same way: for a person to read, and to be kept.

use std::process::{Command, ExitCode};

use crate::arguments::Source;
use crate::plan::Plan;
use crate::world;

/// Leaves out of a plan what it does not need to fail, and writes what remains into a file.
pub(crate) fn run(source: &Source, plant: Option<&str>, file: &str) -> ExitCode {
    let plan = match world::plan_of(source) {
        Ok(plan) => plan,
        Err(problem) => {
            eprintln!("simulate: {problem}");
            return ExitCode::from(2);
        }
    };
    let Some(way) = failure(&plan, plant, file) else {
        eprintln!("simulate: it does not fail");
        return ExitCode::FAILURE;
    };
    let smallest = smallest(plan, |plan| failure(plan, plant, file).as_ref() == Some(&way));
    write(&smallest, file);
    println!("{file}: {way}, {} faults", smallest.faults.len());
    ExitCode::SUCCESS
}

fn smallest(mut plan: Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    loop {
        let before = plan.faults.len();
        for place in (0..before).rev() {
            let mut faults = plan.faults.clone();
            faults.remove(place);
            plan = or(plan, |plan| plan.faults = faults, &fails);
        }
        if plan.faults.len() == before {
            break;
        }
    }
    plan = or(plan, |plan| plan.lost = None, &fails);
    plan = or(plan, |plan| plan.jitter = std::time::Duration::ZERO, &fails);
    plan = or(plan, |plan| plan.bytes_per_second = None, &fails);
    plan = or(plan, |plan| plan.producers.iter_mut().for_each(|producer| producer.batches = 0.0), &fails);
    plan = or(plan, |plan| plan.consumers.iter_mut().for_each(|consumer| consumer.slow = 0.0), &fails);
    or(plan, |plan| plan.consumers.iter_mut().for_each(|consumer| consumer.fails = 0.0), &fails)
}

/// The plan with a change, if it still fails; else as it was.
fn or(plan: Plan, change: impl FnOnce(&mut Plan), fails: &impl Fn(&Plan) -> bool) -> Plan {
    let mut other = plan.again();
    change(&mut other);
    if fails(&other) { other } else { plan }
}

fn write(plan: &Plan, file: &str) {
    std::fs::write(file, plan.to_text()).unwrap_or_else(|error| panic!("{file}: {error}"));
}

/// How it fails, in a word; none: it does not.
fn failure(plan: &Plan, plant: Option<&str>, file: &str) -> Option<String> {
    write(plan, file);
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(program);
    command.args(["--quiet", "--plan", file]);
    if let Some(plant) = plant {
        command.args(["--plant", plant]);
    }
    let output = command.output().unwrap_or_else(|error| panic!("{error}"));
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = words.lines();
    let first = lines.next().unwrap_or("nothing said").trim_start_matches(file).trim_start_matches(": ");
    let word = if first == "violation" { lines.next().unwrap_or(first) } else { first };
    let word = word.split([' ', ':']).find(|word| !word.is_empty()).unwrap_or("failure");
    (!output.status.success()).then(|| word.to_owned())
}
