//! The lines of a history that matter for one violation, for somebody who was woken up by it.

use std::fmt;

use super::book::{Book, Told, What};
use crate::event::{Answer, Ended, Phase, Why};

/// So many lines are shown at most.
const MOST: usize = 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Microseconds since the first row.
    pub at: i64,
    /// Whose line it is.
    pub by: String,
    /// What happened.
    pub what: String,
    /// Whether the violation is about this line.
    pub marked: bool,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// When the first row was, in microseconds of the first client's clock.
    pub from: i64,
    /// By time.
    pub rows: Vec<Row>,
}

impl Timeline {
    /// The lines that the violation is about, and of those that are `related` the last ones before them.
    pub(super) fn of(book: &Book, culprits: &[usize], related: impl Fn(&What, u32) -> bool) -> Self {
        let mut lines = culprits.to_vec();
        lines.sort_unstable();
        lines.dedup();
        if lines.len() > MOST {
            lines.drain(..lines.len() - MOST);
        }
        let last = lines.last().copied().unwrap_or(0);
        let marked = lines.clone();
        for i in (0..=last).rev() {
            if lines.len() >= MOST {
                break;
            }
            let entry = &book.entries[i];
            if !marked.contains(&i) && related(&entry.what, entry.by) {
                lines.push(i);
            }
        }
        lines.sort_unstable();
        let from = lines.first().map_or(0, |&line| book.entries[line].at);
        let row = |&line: &usize| {
            let entry = &book.entries[line];
            Row {
                at: entry.at - from,
                by: book.name_of(entry.by).to_owned(),
                what: told(book, entry.by, &entry.what),
                marked: marked.contains(&line),
            }
        };
        Self { from, rows: lines.iter().map(row).collect() }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.by.chars().count()).max().unwrap_or(0);
        for row in &self.rows {
            let mark = if row.marked { '>' } else { ' ' };
            writeln!(f, "  {mark} {:>12}  {:width$}  {}", seconds(row.at), row.by, row.what)?;
        }
        Ok(())
    }
}

/// Microseconds as `+1.234567 s`, without zeros that say nothing.
pub(super) fn seconds(micros: i64) -> String {
    let sign = if micros < 0 { '-' } else { '+' };
    let micros = micros.unsigned_abs();
    let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
    if part % 1_000 == 0 {
        format!("{sign}{whole}.{:03} s", part / 1_000)
    } else {
        format!("{sign}{whole}.{part:06} s")
    }
}

/// What a line says.
fn told(book: &Book, by: u32, what: &What) -> String {
    let names = &book.names;
    let queue = |queue: u32| names.queues.thing(queue);
    let text = |text: u32| names.shown_text(text);
    match what {
        What::Hello => {
            let hello = book.clients[by as usize].hello.as_ref();
            hello.map_or_else(String::new, |hello| {
                format!("begins    {:?} {} of {}", hello.role, hello.client, hello.group)
            })
        }
        What::Closed => "closed".to_owned(),
        What::Route { topic, queues } => format!("route     {} with {} queues", text(*topic), queues.len()),
        What::Submit { send, key, .. } => format!("submit    #{send} key {}", names.shown_key(*key)),
        What::Wire { request, queue: at, sends } => {
            format!("wire      request {request} to {}: {}", queue(*at), numbers(book.sends(*sends)))
        }
        What::Answer { request, outcome } => format!("answer    request {request} {}", answered(outcome)),
        What::Settle { send, told } => match told {
            Told::Stored { queue: at, offset } => format!("settle    #{send} stored in {} at {offset}", queue(*at)),
            Told::Failed { code } => format!("settle    #{send} failed: {}", text(*code)),
            Told::Unknown { code } => format!("settle    #{send} unknown: {}", text(*code)),
        },
        What::Heard { key } => format!("heard     key {}", names.shown_key(*key)),
        What::Lock { queue: at, .. } => format!("lock      {}", queue(*at)),
        What::Renewed { queue: at, .. } => format!("renewed   {}", queue(*at)),
        What::Lost { queue: at, why } => format!("lost      {}: {}", queue(*at), text(*why)),
        What::Revoked { queue: at } => format!("revoked   {}", queue(*at)),
        What::Unlock { queue: at, phase } => format!("unlock    {} {}", queue(*at), phase_of(*phase)),
        What::Position { queue: at, offset, why } => format!("position  {} {offset}, {}", queue(*at), reason_of(*why)),
        What::Start { queue: at, offset, last, key, attempt } => {
            let range = if last > offset { format!("{offset}..{last}") } else { offset.to_string() };
            let key = key.map_or_else(String::new, |key| format!(" key {}", names.shown_key(key)));
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("start     {} {range}{key}{again}", queue(*at))
        }
        What::End { queue: at, offset, outcome, counted } => {
            let outcome = match outcome {
                Ended::Success => "success",
                Ended::Failure => "failure",
                Ended::Left => "left",
            };
            let void = if *counted { "" } else { ", does not count" };
            format!("end       {} {offset} {outcome}{void}", queue(*at))
        }
        What::Passed { queue: at, offset } => format!("passed    {} all before {offset}", queue(*at)),
        What::Skipped { queue: at, from, to, why } => {
            format!("skipped   {} from {from} to before {to}: {}", queue(*at), text(*why))
        }
        What::Commit { queue: at, offset, phase } => format!("commit    {} {offset} {}", queue(*at), phase_of(*phase)),
        What::DeadLetter { queue: at, offset, phase } => {
            format!("dead      {} {offset} {}", queue(*at), phase_of(*phase))
        }
        What::Stored { queue: at, offset, id, key, .. } => {
            format!("stored    {} {offset} {} key {}", queue(*at), text(*id), names.shown_key(*key))
        }
        What::Committed { group, queue: at, offset } => {
            format!("committed {} {offset} of {}, at the end", queue(*at), text(*group))
        }
        What::Fault { number } => {
            let fault = &book.faults[*number as usize];
            let whom = if fault.whom.is_empty() { String::new() } else { format!(" ({})", fault.whom.join(", ")) };
            format!("fault     {}{whom}", fault.what)
        }
    }
}

fn answered(outcome: &Answer) -> String {
    match outcome {
        Answer::Stored { offset } => format!("stored at {offset}"),
        Answer::Refused { code } => format!("refused, code {code}"),
        Answer::Unsent => "was not sent".to_owned(),
        Answer::Unknown => "never came".to_owned(),
    }
}

fn phase_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Sent => "sent",
        Phase::Done => "done",
        Phase::Unknown => "unknown",
    }
}

fn reason_of(why: Why) -> &'static str {
    match why {
        Why::Committed => "as committed",
        Why::Initial => "initial",
        Why::Memory => "from memory",
        Why::Reset => "reset",
        Why::Seek => "seek",
        Why::Correction => "corrected",
    }
}

/// Some of these numbers.
fn numbers(sends: &[u64]) -> String {
    match sends {
        [] => "nothing".to_owned(),
        [first, .., last] if sends.len() > 6 => format!("#{first} .. #{last}, {} sends", sends.len()),
        some => some.iter().map(|send| format!("#{send}")).collect::<Vec<_>>().join(" "),
    }
}
