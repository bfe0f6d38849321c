//! `checkHistories()`: judges files of histories, on a thread that is not JavaScript's.

use std::io::BufReader;
use std::result::Result as Outcome;
use std::time::Duration;

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Result, Task};
use napi_derive::napi;
use rocketmq_history::checker::{self, Liveness, Verdict};
use rocketmq_history::reader::{self, Odd};
use rocketmq_test_broker::error::Refused;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{invalid, read, refuse};

/// How histories are judged, as the facade says it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    lease_ms: Option<u64>,
    /// Whether queues have to find their next owner in time, and within how many milliseconds without a fault.
    hand_over_ms: Option<u64>,
    /// Whether the history ends when all is handled.
    #[serde(default)]
    drained: bool,
    /// How many violations of each invariant are told.
    shown: Option<usize>,
}

impl Options {
    fn checker(&self) -> checker::Options {
        let usual = checker::Options::default();
        let liveness = self.hand_over_ms.map(Duration::from_millis).map(|hand_over| {
            let liveness = Liveness { hand_over, progress: None, ..Liveness::default() };
            Liveness { unnoticed: liveness.unnoticed.max(hand_over), crash: liveness.crash.max(hand_over), ..liveness }
        });
        checker::Options {
            lease: self.lease_ms.map_or(usual.lease, Duration::from_millis),
            liveness,
            drained: self.drained,
            shown: self.shown.unwrap_or(usual.shown),
            ..usual
        }
    }
}

/// One judgement.
pub struct Check {
    paths: Vec<String>,
    options: String,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Check {
    fn run(&self) -> Outcome<Value, Refused> {
        let options: Options = read(&self.options)?;
        let (mut odd, mut lines) = (Odd::default(), Vec::new());
        for path in &self.paths {
            let unreadable = |error: std::io::Error| invalid(format!("{path} cannot be read: {error}"));
            #[expect(clippy::disallowed_methods, reason = "a file of the user's, read on a thread that may wait")]
            let file = std::fs::File::open(path).map_err(unreadable)?;
            reader::read(BufReader::new(file), path, &mut odd, |line| lines.push(line)).map_err(unreadable)?;
        }
        Ok(told(&checker::check(lines.into_iter(), &options.checker()), &odd))
    }
}

fn told(verdict: &Verdict, odd: &Odd) -> Value {
    let violations = verdict.violations.iter().map(|violation| {
        let rows = violation.timeline.rows.iter();
        let timeline = rows.map(|row| json!({ "at": row.at, "by": row.by, "what": row.what, "marked": row.marked }));
        json!({
            "invariant": violation.invariant,
            "of": violation.of,
            "message": violation.message,
            "from": violation.timeline.from,
            "timeline": timeline.collect::<Vec<_>>(),
        })
    });
    let counts: serde_json::Map<_, _> =
        verdict.counts.named().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    json!({
        "violations": violations.collect::<Vec<_>>(),
        "broken": verdict.broken,
        "counts": counts,
        "odd": { "lines": odd.lines, "told": odd.told },
        "text": verdict.to_string(),
    })
}

impl Task for Check {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        self.run().map(|told| told.to_string()).map_err(|refused| refuse(&refused))
    }

    fn resolve(&mut self, _: Env, output: String) -> Result<String> {
        Ok(output)
    }
}

/// Judges these files together; resolves with JSON.
#[napi(catch_unwind)]
pub fn check_histories(paths: Vec<String>, options: String) -> AsyncTask<Check> {
    AsyncTask::new(Check { paths, options })
}
