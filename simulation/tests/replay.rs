//! Nothing that is found here counts unless it can be found again.

use std::path::PathBuf;
use std::process::Command;

/// Of one run of a seed: all that its clients told, and its whole history.
fn run(seed: u64, turn: &str) -> (Vec<u8>, Vec<u8>) {
    let trace = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{seed}-{turn}.jsonl"));
    let output = Command::new(env!("CARGO_BIN_EXE_rocketmq-simulation"))
        .args(["--seed", &seed.to_string(), "--trace"])
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
