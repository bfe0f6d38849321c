//! One owner at a time, over the whole group: of locks, and of handlers (C1).

use std::collections::HashMap;

use super::book::Fault;
use super::options::micros;
use super::report::{Findings, Of};
use super::strands::{Call, Strand, Tenure};

/// So many handler calls of a lane may overlap others for one event.
const ALLOWED: usize = 1;

/// What makes two owners at once nobody's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Excuse {
    /// This fault: the broker has forgotten its locks.
    Forgotten(usize),
    /// The earlier owner's lock, with this line, had run out: it stood still, or its handler took longer.
    RanOut(usize),
    /// The client with this number was closed, and its handler outlived that.
    Outlived(u32),
    /// This fault: the client stood still.
    StoodStill(usize),
}

/// Checks one queue of a group: the strands of all its members.
pub(super) fn check(findings: &mut Findings<'_>, strands: &[Strand]) {
    let Some(first) = strands.first().filter(|strand| !strand.broadcasting) else { return };
    let of = first.of();
    locks(findings, strands, of);
    handlers(findings, strands, of);
}

fn locks(findings: &mut Findings<'_>, strands: &[Strand], of: Of) {
    let mut tenures: Vec<&Tenure> = strands.iter().flat_map(|strand| &strand.tenures).collect();
    tenures.sort_by_key(|tenure| (tenure.from, tenure.lock));
    let mut open: Vec<&Tenure> = Vec::new();
    for new in tenures {
        open.retain(|old| old.end.is_none_or(|(end, _)| end > new.from));
        for old in open.clone() {
            check_locks(findings, strands, old, new, of);
        }
        open.push(new);
    }
}

fn check_locks(findings: &mut Findings<'_>, strands: &[Strand], old: &Tenure, new: &Tenure, of: Of) {
    let book = findings.book;
    let tolerance = book.doubt(old.client, new.client, micros(findings.options.tolerance));
    let at = new.from - tolerance;
    let is_over = old.end.is_some_and(|(end, _)| end - tolerance <= new.from)
        || old.valid_until(at, micros(findings.options.lease), book) <= new.from + tolerance
        || book.last_line_at(old.client) <= at;
    if old.client == new.client || is_over {
        return;
    }
    findings.counts().two_owners += 1;
    if forgotten(findings, strands, old, new.from).is_some() {
        findings.counts().excused += 1;
        return;
    }
    let (was, is) = (book.name_of(old.client), book.name_of(new.client));
    let grant = old.grants.last().map_or(old.lock, |&(_, line)| line);
    let culprits: Vec<usize> =
        [old.lock, grant.min(new.lock), new.lock].into_iter().chain(old.end.map(|(_, end)| end)).collect();
    findings.report("C1", of, &culprits, format_args!("{is} has the lock while {was} counts it as its own"));
}

fn handlers(findings: &mut Findings<'_>, strands: &[Strand], of: Of) {
    let by_key = strands.iter().all(|strand| strand.by_key);
    let mut calls: Vec<(&Strand, &Call)> =
        strands.iter().flat_map(|strand| strand.calls.iter().map(move |call| (strand, call))).collect();
    calls.sort_by_key(|(_, call)| (call.begun, call.start));
    let mut running: HashMap<Option<u32>, Vec<(&Strand, &Call)>> = HashMap::new();
    let mut excused: HashMap<(Excuse, Option<u32>), Vec<usize>> = HashMap::new();
    for (strand, new) in calls {
        let lane = new.key.filter(|_| by_key);
        let running = running.entry(lane).or_default();
        running.retain(|(_, old)| old.ended > new.begun);
        for &(other, old) in running.iter() {
            let tolerance = findings.book.doubt(old.client, new.client, micros(findings.options.tolerance));
            if old.ended - tolerance <= new.begun {
                continue;
            }
            findings.counts().two_owners += 1;
            let excuse = excuse(findings, strands, (other, old), (strand, new));
            if let Some(excuse) = excuse {
                let calls = excused.entry((excuse, lane)).or_default();
                if !calls.contains(&old.start) {
                    calls.push(old.start);
                }
                if calls.len() <= ALLOWED {
                    findings.counts().excused += 1;
                    continue;
                }
            }
            told(findings, of, old, new);
        }
        running.push((strand, new));
    }
}

fn told(findings: &mut Findings<'_>, of: Of, old: &Call, new: &Call) {
    let book = findings.book;
    let (was, is) = (book.name_of(old.client), book.name_of(new.client));
    let culprits: Vec<usize> = [old.start, new.start].into_iter().chain(old.end).chain(new.end).collect();
    let key = old.key.map_or_else(String::new, |key| format!(" of key {}", book.names.shown_key(key)));
    let (first, second) = (old.offset, new.offset);
    let text = format_args!("two handlers{key} at once: {was} is at {first} when {is} begins {second}");
    findings.report("C1", of, &culprits, text);
}

/// The tenure that a call belongs to.
fn tenure_of<'a>(strand: &'a Strand, call: &Call) -> Option<&'a Tenure> {
    strand.tenures.iter().rev().find(|tenure| tenure.lock < call.start)
}

fn excuse(
    findings: &Findings<'_>,
    strands: &[Strand],
    (other, old): (&Strand, &Call),
    (strand, new): (&Strand, &Call),
) -> Option<Excuse> {
    if old.client == new.client {
        return None;
    }
    let book = findings.book;
    if other.as_user {
        return seen_excuse(findings, other.queue, old, new);
    }
    let (before, after) = (tenure_of(other, old)?, tenure_of(strand, new)?);
    if before.from > after.from {
        // The one who had lost the queue has begun something.
        return None;
    }
    if let Some(fault) = forgotten(findings, strands, before, new.begun) {
        return Some(Excuse::Forgotten(fault));
    }
    if before.valid_until(new.begun, micros(findings.options.lease), book) <= new.begun {
        return Some(Excuse::RanOut(before.lock));
    }
    let is_closing = book.clients[old.client as usize].closed.is_some_and(|closed| closed <= old.ended);
    let is_given_back = before.end.is_some_and(|(end, _)| end <= new.begun);
    (is_closing && is_given_back).then_some(Excuse::Outlived(old.client))
}

/// The same of an owner that tells nothing of its locks: in doubt, for it.
fn seen_excuse(findings: &Findings<'_>, queue: u32, old: &Call, new: &Call) -> Option<Excuse> {
    let book = findings.book;
    let (broker, client) = (book.broker_of(queue), &book.clients[old.client as usize]);
    let forgets = |fault: &Fault| fault.forgets.locks && fault.concerns(broker) && fault.at <= new.begun;
    if let Some(fault) = book.faults.iter().rposition(forgets) {
        return Some(Excuse::Forgotten(fault));
    }
    let id = client.hello.as_ref().map(|hello| &hello.client);
    let names_it = |fault: &Fault| fault.whom.iter().any(|whom| *whom == client.name || Some(whom) == id);
    let stands = |fault: &Fault| names_it(fault) && old.begun <= fault.at && fault.at <= old.ended;
    if let Some(fault) = book.faults.iter().position(stands) {
        return Some(Excuse::StoodStill(fault));
    }
    let outlived = client.closed.filter(|&closed| closed <= old.ended && closed <= new.begun);
    outlived.map(|_| Excuse::Outlived(old.client))
}

/// The fault after which a broker did not know any more of an owner's lock at a time.
fn forgotten(findings: &Findings<'_>, strands: &[Strand], owner: &Tenure, at: i64) -> Option<usize> {
    let book = findings.book;
    let broker = book.broker_of(strands.first()?.queue);
    let asked = owner.asked_before(at, book);
    let is_it = |fault: &Fault| fault.forgets.locks && fault.concerns(broker) && asked <= fault.at && fault.at <= at;
    book.faults.iter().position(is_it)
}
