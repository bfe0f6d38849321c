//! What one consumer did with one queue: its lines, its handler calls, and when the queue was its own.

use std::collections::HashMap;

use super::book::{Book, What};
use super::report::{Findings, Of};
use crate::event::{Ended, Phase, Role};

/// A handler's call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) client: u32,
    /// Its line.
    pub(super) start: usize,
    pub(super) begun: i64,
    /// When it ended; of one that never did, when its client was last heard of.
    pub(super) ended: i64,
    pub(super) end: Option<usize>,
    pub(super) offset: i64,
    pub(super) last: i64,
    /// Where order is kept by key: its key, if it has one.
    pub(super) key: Option<u32>,
    pub(super) outcome: Option<Ended>,
    /// Where a handler of several messages has said that it is done with those before: offset and time.
    pub(super) passed: Vec<(i64, i64)>,
}

impl Call {
    /// The first message that it has not said to be done with.
    pub(super) fn next(&self) -> i64 {
        self.passed.last().map_or(self.offset, |&(offset, _)| offset)
    }

    /// When it was successfully done with a message of it.
    pub(super) fn done_at(&self, offset: i64) -> Option<i64> {
        let passed = self.passed.iter().find(|&&(next, _)| offset < next).map(|&(_, at)| at);
        passed.or_else(|| (self.outcome == Some(Ended::Success)).then_some(self.ended))
    }
}

/// A time in which a client counted a queue as its own.
#[derive(Clone, Debug)]
pub(super) struct Tenure {
    pub(super) client: u32,
    /// The line with which it begins.
    pub(super) lock: usize,
    pub(super) from: i64,
    /// When the lock was asked for that was granted, and the line of it.
    pub(super) grants: Vec<(i64, usize)>,
    /// When it ended, by which line.
    pub(super) end: Option<(i64, usize)>,
    pub(super) ending: Ending,
}

/// How a tenure ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It lasts, as far as anybody knows.
    None,
    /// The queue is given back.
    Unlocked,
    /// The lock is lost.
    Lost,
    /// It may be lost: a renewal can bring it back.
    Doubtful,
}

impl Tenure {
    /// Until when the lock counts that was known to be granted at a time.
    pub(super) fn valid_until(&self, at: i64, lease: i64, book: &Book) -> i64 {
        let known = self.grants.iter().filter(|(_, line)| book.entries[*line].at <= at);
        known.map(|(asked, _)| asked.saturating_add(lease)).max().unwrap_or(i64::MIN)
    }

    /// When the last grant was asked for that was known at a time.
    pub(super) fn asked_before(&self, at: i64, book: &Book) -> i64 {
        self.valid_until(at, 0, book)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Strand {
    pub(super) group: u32,
    pub(super) queue: u32,
    pub(super) client: u32,
    pub(super) by_key: bool,
    pub(super) broadcasting: bool,
    /// Whether its client tells only what its user sees.
    pub(super) as_user: bool,
    pub(super) lines: Vec<usize>,
    /// By their beginning.
    pub(super) calls: Vec<Call>,
    pub(super) tenures: Vec<Tenure>,
}

impl Strand {
    pub(super) fn of(&self) -> Of {
        Of::Queue { group: self.group, queue: self.queue }
    }
}

/// Words of lost locks that are not certain to be lost.
pub(super) fn is_doubt(word: &str) -> bool {
    matches!(word, "doubt" | "slept")
}

/// All strands, by group, queue and client; the names of groups are put down in the findings.
pub(super) fn of(findings: &mut Findings<'_>) -> Vec<Strand> {
    let book = findings.book;
    let mut groups: HashMap<String, u32> = HashMap::new();
    let mut strands: HashMap<(u32, u32, u32), Strand> = HashMap::new();
    for (number, client) in (0..).zip(&book.clients) {
        let Some(hello) = client.hello.as_ref().filter(|hello| hello.role == Role::Consumer) else { continue };
        // Members of a broadcasting group have nothing to do with each other.
        let name = if client.broadcasting() { format!("{}/{}", hello.group, client.name) } else { hello.group.clone() };
        let next = u32::try_from(groups.len()).expect("fewer groups than clients");
        let group = *groups.entry(name.clone()).or_insert_with(|| {
            findings.groups.push(name);
            next
        });
        for &line in &client.lines {
            let line = line as usize;
            let Some(queue) = book.entries[line].what.queue() else { continue };
            let strand = strands.entry((group, queue, number)).or_insert_with(|| Strand {
                group,
                queue,
                client: number,
                by_key: client.by_key(),
                broadcasting: client.broadcasting(),
                as_user: client.as_user(),
                lines: Vec::new(),
                calls: Vec::new(),
                tenures: Vec::new(),
            });
            strand.lines.push(line);
        }
    }
    let mut strands: Vec<Strand> = strands.into_values().collect();
    strands.sort_unstable_by_key(|strand| (strand.group, strand.queue, strand.client));
    for strand in &mut strands {
        strand.calls = calls(book, strand);
        strand.tenures = tenures(book, strand);
        findings.verdict.counts.calls += strand.calls.len() as u64;
    }
    strands
}

fn calls(book: &Book, strand: &Strand) -> Vec<Call> {
    let client = strand.client;
    let never = book.last_line_at(client);
    let mut calls: Vec<Call> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for &line in &strand.lines {
        let entry = &book.entries[line];
        match entry.what {
            What::Start { offset, last, key, .. } => {
                open.push(calls.len());
                calls.push(Call {
                    client,
                    start: line,
                    begun: entry.at,
                    ended: never,
                    end: None,
                    offset,
                    last,
                    key: key.filter(|_| strand.by_key),
                    outcome: None,
                    passed: Vec::new(),
                });
            }
            What::Passed { offset, .. } => {
                // What is passed is behind the message that it was at.
                if let Some(at) = running(book, strand, &calls, &open, offset - 1) {
                    calls[open[at]].passed.push((offset, entry.at));
                }
            }
            What::End { offset, outcome, .. } => {
                if let Some(at) = running(book, strand, &calls, &open, offset) {
                    let call = &mut calls[open.remove(at)];
                    (call.ended, call.end, call.outcome) = (entry.at, Some(line), Some(outcome));
                }
            }
            _ => {}
        }
    }
    calls
}

/// Which of the running calls has come to this message.
fn running(book: &Book, strand: &Strand, calls: &[Call], open: &[usize], offset: i64) -> Option<usize> {
    let find = |fits: &dyn Fn(&Call) -> bool| open.iter().rposition(|&call| fits(&calls[call]));
    let key = book.stored_at(strand.queue, offset).map(|message| message.key);
    let is_inside = |call: &Call| call.next() <= offset && offset <= call.last;
    find(&|call| call.next() == offset)
        .or_else(|| find(&|call| is_inside(call) && key.is_some() && call.key == key))
        .or_else(|| find(&is_inside))
        .or_else(|| find(&|call| call.offset <= offset && offset <= call.last))
}

fn tenures(book: &Book, strand: &Strand) -> Vec<Tenure> {
    let client = strand.client;
    let mut tenures: Vec<Tenure> = Vec::new();
    for &line in &strand.lines {
        let entry = &book.entries[line];
        let at = entry.at;
        let open = tenures.last_mut();
        match entry.what {
            What::Lock { asked, .. } | What::Renewed { asked, .. } => {
                let is_lock = matches!(entry.what, What::Lock { .. });
                match open {
                    Some(tenure) if tenure.ending == Ending::None => tenure.grants.push((asked, line)),
                    Some(Tenure { ending: Ending::Lost | Ending::Unlocked, .. }) | None if !is_lock => {}
                    _ => tenures.push(Tenure {
                        client,
                        lock: line,
                        from: at,
                        grants: vec![(asked, line)],
                        end: None,
                        ending: Ending::None,
                    }),
                }
            }
            What::Lost { why, .. } => {
                let is_doubt = is_doubt(book.names.shown_text(why));
                end(open, if is_doubt { Ending::Doubtful } else { Ending::Lost }, at, line);
            }
            What::Unlock { phase: Phase::Sent, .. } => end(open, Ending::Unlocked, at, line),
            _ => {}
        }
    }
    tenures
}

fn end(tenure: Option<&mut Tenure>, ending: Ending, at: i64, line: usize) {
    if let Some(tenure) = tenure.filter(|tenure| matches!(tenure.ending, Ending::None | Ending::Doubtful)) {
        tenure.ending = ending;
        tenure.end.get_or_insert((at, line));
    }
}
