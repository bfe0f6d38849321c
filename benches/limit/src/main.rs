//! Frames made before the clock starts, one blocking socket, one thread: what a broker and the loopback allow.
//!
//! It does the rounds of the benchmarks as their other peers do: a line `name=value name=value …` asks for one, a line of JSON answers.
//! As no client stands between it and the store, it fills the topics that the others drain, and reads back in which order they sent.
#![allow(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a program that measures looks at the real clock, and divides by counts"
)]

mod drain;
mod given;
mod latency;
mod send;
mod store;
mod timing;
mod wire;

use std::io::{BufRead, Write};

use serde_json::{Value, json};

use crate::given::Given;

/// Whatever ends the program: nobody but the person who reads it makes anything of it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn answer(given: &Given) -> Result<Value, Failure> {
    match given.text("workload")? {
        "await" => send::awaited(given),
        "burst" => send::burst(given),
        "keys" => send::keys(given),
        "drain" => drain::drain(given),
        "latency" => latency::latency(given),
        "fill" => store::fill(given),
        "check" => store::check(given),
        "cold" => send::cold(given),
        other => Err(format!("there is no limit for `{other}`").into()),
    }
}

fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let value = answer(&Given::parse(&line?)).unwrap_or_else(|failure| json!({ "error": failure.to_string() }));
        writeln!(out, "{value}")?;
        out.flush()?;
    }
    Ok(())
}
