mod commits;
mod dsl;
mod end_to_end;
mod handling;
mod handover;
mod liveness;
mod order;
mod ownership;
mod properties;
mod report;
mod seen;
mod store;
mod world;

use std::time::Duration;

use super::{Options, Verdict, check};

/// Without tolerance, as in a simulated world.
fn strict() -> Options {
    Options { slack: Duration::ZERO, ..Options::default() }
}

fn judge(text: &str) -> Verdict {
    check(dsl::lines(text).into_iter(), &strict())
}

/// Nothing is wrong with it.
#[track_caller]
fn good(text: &str) -> Verdict {
    let verdict = judge(text);
    assert!(verdict.is_clean(), "{verdict}");
    verdict
}

/// Exactly these invariants are broken; the message of the first violation.
#[track_caller]
fn bad(text: &str, expected: &[&str]) -> String {
    let verdict = judge(text);
    let broken: Vec<&str> = verdict.broken.keys().copied().collect();
    assert_eq!(broken, expected, "{verdict}");
    verdict.violations[0].message.clone()
}
