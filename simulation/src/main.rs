//! `simulate`: clients and a test broker in worlds that a seed decides, judged by the checker of histories.
//!
//! One process has one world: nothing of the seed before, no counter and no hash, can change it. So `--seeds` starts a process per seed.

mod app;
mod arguments;
mod befall;
mod consumer;
mod defects;
mod determinism;
mod faults;
mod history;
mod names;
mod plan;
mod plan_text;
mod pool;
mod producer;
mod running;
mod shrink;
mod store;
mod world;

use std::process::ExitCode;

use arguments::{Arguments, One};

fn main() -> ExitCode {
    match Arguments::read() {
        Ok(Arguments::One(one)) => world::run(&one),
        Ok(Arguments::Shrink(One { source, plant, .. }, file)) => shrink::run(&source, plant.as_deref(), &file),
        Ok(Arguments::Many(many)) => pool::run(&many),
        Ok(Arguments::List) => {
            for (name, seed) in defects::DEFECTS {
                println!("{seed}\t{name}");
            }
            ExitCode::SUCCESS
        }
        Ok(Arguments::Help) => {
            print!("{}", arguments::HELP);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("simulate: {problem}\n\n{}", arguments::HELP);
            ExitCode::from(2)
        }
    }
}
