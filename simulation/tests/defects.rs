//! A checker that finds nothing must be one that could: each planted defect is caught.

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_rocketmq-simulation")).args(arguments).output();
    program.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_defect_is_caught_by_the_seed_that_is_known_to_catch_it() {
    let list = String::from_utf8(simulate(&["--list-defects"]).stdout).unwrap_or_else(|error| panic!("{error}"));
    let defects: Vec<(&str, &str)> = list.lines().filter_map(|line| line.split_once('\t')).collect();
    assert!(defects.len() >= 20, "{list}");
    let missed: Vec<_> = defects
        .iter()
        .filter(|(seed, defect)| simulate(&["--quiet", "--seed", seed, "--plant", defect]).status.success())
        .collect();
    assert!(missed.is_empty(), "{missed:?} are not caught any more: look for other seeds with --plant");
    for (seed, _) in &defects {
        assert!(simulate(&["--quiet", "--seed", seed]).status.success(), "seed {seed} fails without a defect, too");
    }
}
