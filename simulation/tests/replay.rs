//! Nothing that is found here counts unless it can be found again.

use std::path::PathBuf;
use std::process::Command;

/// Of one run of a seed: all that its clients told, and its whole history.
fn run(seed: u64, turn: &str) -> (Vec<u8>, Vec<u8>) {
    run_of(&["--seed", &seed.to_string()], &format!("{seed}-{turn}"))
}

fn run_of(source: &[&str], name: &str) -> (Vec<u8>, Vec<u8>) {
    let trace = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.jsonl"));
    let output = Command::new(env!("CARGO_BIN_EXE_rocketmq-simulation"))
        .args(source)
        .arg("--trace")
        .arg(&trace)
        .output()
        .unwrap_or_else(|error| panic!("{error}"));
    let history = std::fs::read(&trace).unwrap_or_else(|error| panic!("{}: {error}", trace.display()));
    ([output.stdout, output.stderr].concat(), history)
}

#[test]
fn the_same_seed_twice_gives_the_same_world_to_the_byte() {
    for seed in 1..=6 {
        let (first, again) = (run(seed, "first"), run(seed, "again"));
        assert!(!first.1.is_empty(), "seed {seed} has no history");
        assert!(first == again, "seed {seed} was another world the second time");
    }
    assert!(run(1, "first") != run(2, "first"), "seeds make no difference");
}

#[test]
fn the_plan_that_a_seed_prints_is_its_world() {
    let (told, history) = run(3, "printed");
    let told = String::from_utf8(told).unwrap_or_else(|error| panic!("{error}"));
    let (plan, _) = told.split_once(" }\n").unwrap_or_else(|| panic!("{told}"));
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("3.plan.json");
    std::fs::write(&file, format!("{plan} }}\n")).unwrap_or_else(|error| panic!("{error}"));
    let (told_again, again) = run_of(&["--plan", &file.to_string_lossy()], "3-plan");
    assert!(history == again, "another world");
    assert_eq!(told, String::from_utf8_lossy(&told_again));
}
