//! From end to end: everything is handled, and each key in the order of its sends (C3, C8).

use std::collections::HashMap;

use super::book::{Message, Told, What};
use super::options::micros;
use super::order::Send;
use super::report::{Findings, Of};
use super::seen;
use super::strands::{Call, Strand};
use crate::event::{Ended, Phase, Why};

/// When and where a message was first handled, for a group.
#[derive(Clone, Copy, Debug)]
struct First {
    at: i64,
    client: u32,
    line: usize,
}

/// First handlings in a queue of a group, by offset.
#[derive(Debug, Default)]
pub(super) struct Handled(HashMap<(u32, u32), HashMap<i64, First>>);

impl Handled {
    fn of(&self, group: u32, queue: u32, offset: i64) -> Option<First> {
        self.0.get(&(group, queue))?.get(&offset).copied()
    }
}

/// The messages of a call that it is done with: offset and time.
fn done_by(findings: &Findings<'_>, strand: &Strand, call: &Call) -> Vec<(i64, i64)> {
    let Some(end) = call
        .done_at(call.offset)
        .map(|_| if call.outcome == Some(Ended::Success) { call.last + 1 } else { call.next() })
    else {
        return Vec::new();
    };
    let time = |offset: i64| call.done_at(offset).map(|at| (offset, at));
    let book = findings.book;
    if call.last == call.offset || !book.store.contains_key(&strand.queue) {
        // Without a look at the store, what lies between the messages of a key is nobody's.
        let is_mine = |offset: &i64| call.last == call.offset || !strand.by_key || *offset == call.offset;
        return (call.offset..end).filter(is_mine).filter_map(time).collect();
    }
    let is_mine =
        |message: &&Message| message.matched && (!strand.by_key || call.key.is_none_or(|key| key == message.key));
    let between = book.stored_between(strand.queue, call.offset, end);
    between.iter().filter(is_mine).filter_map(|message| time(message.offset)).collect()
}

/// Takes in what the members of a group have handled of a queue, and checks that nothing before what is committed was left out.
pub(super) fn check(findings: &mut Findings<'_>, strands: &[Strand], unheard: &[(i64, i64)], handled: &mut Handled) {
    let Some(first) = strands.first() else { return };
    let here = handled.0.entry((first.group, first.queue)).or_default();
    for strand in strands {
        for call in &strand.calls {
            for (offset, at) in done_by(findings, strand, call) {
                let new = First { at, client: call.client, line: call.end.unwrap_or(call.start) };
                let is_again = here.get(&offset).is_some();
                findings.verdict.counts.handled_again += u64::from(is_again);
                let known = here.entry(offset).or_insert(new);
                if new.at < known.at {
                    *known = new;
                }
            }
        }
    }
    for strand in strands {
        for (offset, first) in given_up(findings, strand) {
            // A copy of it that was stored later may be handled all the same.
            let known = here.entry(offset).or_insert(first);
            if first.at < known.at {
                *known = first;
            }
        }
    }
    if was_set(findings, strands) {
        // What comes first is not what was called first any more.
        handled.0.remove(&(first.group, first.queue));
        return;
    }
    no_gap(findings, strands, unheard, &handled.0[&(first.group, first.queue)]);
}

/// The messages that a consumer is done with as they are in the dead-letter queue.
fn given_up<'a>(findings: &Findings<'a>, strand: &'a Strand) -> impl Iterator<Item = (i64, First)> + use<'a> {
    let book = findings.book;
    strand.lines.iter().filter_map(move |&line| {
        let entry = &book.entries[line];
        let What::DeadLetter { offset, phase: Phase::Done, .. } = entry.what else { return None };
        Some((offset, First { at: entry.at, client: strand.client, line }))
    })
}

/// Whether somebody has set the position of the queue.
fn was_set(findings: &Findings<'_>, strands: &[Strand]) -> bool {
    let book = findings.book;
    let from_outside =
        strands.first().is_some_and(|strand| book.resets_of(strand.client, strand.queue).next().is_some());
    let mut lines = strands.iter().flat_map(|strand| &strand.lines);
    let is_set = |what: &What| matches!(what, What::Position { why: Why::Reset | Why::Seek | Why::Correction, .. });
    from_outside || lines.any(|&line| is_set(&book.entries[line].what))
}

/// C3, over all owners: what is stored from the first position to the last commit was handled, or passed over and told.
fn no_gap(findings: &mut Findings<'_>, strands: &[Strand], unheard: &[(i64, i64)], handled: &HashMap<i64, First>) {
    let book = findings.book;
    let (Some(first), Some(stored)) =
        (strands.first(), strands.first().and_then(|strand| book.store.get(&strand.queue)))
    else {
        return;
    };
    let lines = || strands.iter().flat_map(|strand| &strand.lines).map(|&line| (line, &book.entries[line]));
    let mut position: Option<(i64, i64, usize)> = None;
    let mut committed: Option<(i64, usize)> = None;
    let mut passed_over: Vec<(i64, i64)> = unheard.to_vec();
    for (line, entry) in lines() {
        match entry.what {
            What::Position { offset, .. } => {
                let this = (entry.at, offset, line);
                position = Some(position.map_or(this, |position| position.min(this)));
            }
            What::Commit { offset, phase: Phase::Done, .. } => committed = committed.max(Some((offset, line))),
            What::Skipped { from, to, .. } => passed_over.push((from, to)),
            What::DeadLetter { offset, phase: Phase::Done, .. } => passed_over.push((offset, offset + 1)),
            _ => {}
        }
    }
    if let Some(seen) = seen::reach(findings, strands, stored) {
        // All that is stored is theirs.
        (position, committed) = (Some((i64::MIN, stored[0].offset, stored[0].line)), seen);
    }
    let Some((_, from, begun)) = position else { return };
    // A member that has all queues for itself need not have been there to the end.
    let end = if findings.options.drained && !first.broadcasting {
        i64::MAX
    } else {
        committed.map_or(from, |(offset, _)| offset)
    };
    let passed_over = merged(passed_over);
    let is_open = |message: &&Message| {
        message.matched
            && message.offset >= from
            && message.offset < end
            && !handled.contains_key(&message.offset)
            && !lies_in(&passed_over, message.offset)
    };
    let open: Vec<&Message> = stored.iter().filter(is_open).collect();
    let Some(missing) = open.first() else { return };
    findings.counts().poll_skips += open.len() as u64;
    let culprits: Vec<usize> = [begun, missing.line].into_iter().chain(committed.map(|(_, line)| line)).collect();
    let text = format_args!("{} is never handled, and {} more", missing.offset, open.len() - 1);
    findings.report("C3", first.of(), &culprits, text);
}

/// Ranges in order, none of which touches the next.
fn merged(mut ranges: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    ranges.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (from, to) in ranges {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => merged.push((from, to)),
        }
    }
    merged
}

fn lies_in(ranges: &[(i64, i64)], offset: i64) -> bool {
    let behind = ranges.partition_point(|&(from, _)| from <= offset);
    behind.checked_sub(1).is_some_and(|at| offset < ranges[at].1)
}

/// C8: of each key, what was called first is handled first, over all members of a group, while the key stays in a queue.
pub(super) fn end_to_end(findings: &mut Findings<'_>, sends: &[Send], handled: &Handled) {
    let book = findings.book;
    let mut copies: HashMap<u32, Vec<(u32, i64)>> = HashMap::new();
    for (&queue, messages) in &book.store {
        for message in messages {
            copies.entry(message.id).or_default().push((queue, message.offset));
        }
    }
    let groups = u32::try_from(findings.groups.len()).expect("fewer groups than clients");
    for group in 0..groups {
        // Of each key the last message that was handled: its send, its queue, and when.
        let mut last: HashMap<(u32, u32), (u64, u32, First)> = HashMap::new();
        for send in sends {
            let Some((_, Told::Stored { queue, offset })) = send.settled else { continue };
            for (id, offset) in book.ids(send.ids).iter().zip(offset..) {
                let places = copies.get(id).map_or(&[][..], Vec::as_slice);
                let places = places.iter().filter(|(its, _)| *its == queue).map(|&(_, offset)| offset).chain([offset]);
                let Some(first) =
                    places.filter_map(|offset| handled.of(group, queue, offset)).min_by_key(|first| first.at)
                else {
                    continue;
                };
                let Some((before, home, earlier)) = last.insert((send.producer, send.key), (send.number, queue, first))
                else {
                    continue;
                };
                let doubt = book.doubt(first.client, earlier.client, micros(findings.options.tolerance));
                if home == queue && first.at + doubt < earlier.at {
                    findings.verdict.counts.overtakings += 1;
                    let number = send.number;
                    let text = format_args!("#{number} is handled before #{before}, which was called before it");
                    let culprits = [send.submitted, first.line, earlier.line];
                    let of = Of::Key { producer: send.producer, key: send.key };
                    findings.report("C8", of, &culprits, text);
                }
            }
        }
    }
}
