//! Whatever has failed once is kept as a whole plan, which no change of what seeds mean can make another one.

use std::path::{Path, PathBuf};
use std::process::Command;

fn plans() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut plans: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    plans.retain(|plan| plan.extension().is_some_and(|extension| extension == "json"));
    plans.sort();
    plans
}

/// Whether the world of a plan is as it should be, and what is printed.
fn run(arguments: &[&str], plan: &Path) -> (bool, String) {
    let program =
        Command::new(env!("CARGO_BIN_EXE_rocketmq-simulation")).args(arguments).arg("--plan").arg(plan).output();
    let output = program.unwrap_or_else(|error| panic!("{error}"));
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn what_has_failed_once_does_not_again() {
    let plans = plans();
    assert!(!plans.is_empty(), "no plan is kept");
    for plan in plans {
        let text = std::fs::read_to_string(&plan).unwrap_or_else(|error| panic!("{}: {error}", plan.display()));
        assert!(text.starts_with("{ \"story\": \""), "{} does not begin with its story", plan.display());
        let (is_clean, words) = run(&["--quiet"], &plan);
        assert!(is_clean, "{words}");
    }
}

#[test]
fn a_member_whose_end_nobody_hears_is_one_for_120_seconds() {
    let plan = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions/unheard-end.json");
    let (is_clean, words) = run(&[], &plan);
    let count = words.lines().find_map(|line| line.trim().strip_prefix("longest_hand_over: "));
    let micros = count.and_then(|count| count.trim_end_matches(',').parse::<u64>().ok());
    let seconds = micros.unwrap_or_else(|| panic!("{words}")) / 1_000_000;
    assert!(is_clean && (110..=151).contains(&seconds), "{seconds} s: {words}");
}
