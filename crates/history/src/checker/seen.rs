//! What is left to judge of clients that tell only what their users see: where keys were stored, and in which order a group has handled
//! a queue (P1, C3, C7).

use std::collections::{BTreeMap, HashMap};

use super::book::{Message, Told, What};
use super::order::{MOVES, Send};
use super::report::{Findings, Of};
use super::strands::Strand;
use crate::event::Ended;

/// P1: a key's messages are acknowledged in one queue, until there is a fault, which may bring another route.
pub(super) fn homes(findings: &mut Findings<'_>, sends: &[Send]) {
    let book = findings.book;
    let mut homes: HashMap<(u32, u32), (u32, usize, usize)> = HashMap::new();
    for send in sends.iter().filter(|send| book.clients[send.producer as usize].as_user()) {
        let Some((line, Told::Stored { queue, .. })) = send.settled else { continue };
        let (home, since, moves) = homes.entry((send.producer, send.key)).or_insert((queue, line, 0));
        if *home == queue {
            *since = line;
            continue;
        }
        let at = book.entries[line].at;
        *moves += 1;
        // Once for a key says it.
        if *moves == MOVES * book.faults.iter().filter(|fault| fault.at <= at).count() + 1 {
            let shown = |queue: u32| book.names.queues.thing(queue);
            let text = format_args!("the key moves from {} to {}, for no reason", shown(*home), shown(queue));
            let of = Of::Key { producer: send.producer, key: send.key };
            findings.report("P1", of, &[*since, line], text);
        }
        (*home, *since) = (queue, line);
    }
}

/// Whether all members of a group are such clients; up to where they have committed, as a look at the end has found it.
#[expect(clippy::option_option, reason = "of others there is nothing to say; of these perhaps nobody has looked")]
pub(super) fn reach(findings: &Findings<'_>, strands: &[Strand], stored: &[Message]) -> Option<Option<(i64, usize)>> {
    let first = strands.first().filter(|_| !stored.is_empty() && are_users(strands))?;
    let book = findings.book;
    let group = book.clients[first.client as usize].hello.as_ref().map(|hello| hello.group.as_str());
    let mut entries = book.entries.iter().enumerate().rev();
    Some(entries.find_map(|(line, entry)| match entry.what {
        What::Committed { group: its, queue, offset } => {
            (queue == first.queue && Some(book.names.shown_text(its)) == group).then_some((offset, line))
        }
        _ => None,
    }))
}

fn are_users(strands: &[Strand]) -> bool {
    strands.iter().all(|strand| strand.as_user && !strand.by_key && !strand.broadcasting)
}

/// C3 and C7: nothing begins while something before it has never been handled by anybody, or has failed since.
pub(super) fn in_order(findings: &mut Findings<'_>, strands: &[Strand]) {
    let book = findings.book;
    let Some((first, stored)) = strands.first().and_then(|first| Some((first, book.store.get(&first.queue)?))) else {
        return;
    };
    if !are_users(strands) {
        return;
    }
    // What nobody is done with, and the line of its last failure.
    let matched = stored.iter().filter(|message| message.matched);
    let mut open: BTreeMap<i64, (usize, Option<usize>)> =
        matched.map(|message| (message.offset, (message.line, None))).collect();
    let calls = strands.iter().flat_map(|strand| &strand.calls);
    let mut lines: Vec<_> =
        calls.flat_map(|call| [Some((call.start, call)), call.end.map(|end| (end, call))]).collect();
    lines.sort_unstable_by_key(|line| line.map(|(line, _)| line));
    for (line, call) in lines.into_iter().flatten() {
        if line == call.start {
            let before: Vec<_> = open.range(..call.offset).map(|(&offset, &of)| (offset, of)).collect();
            skipped(findings, first.of(), line, call.offset, &before);
            // Once is enough.
            open = open.split_off(&call.offset);
        } else if call.outcome == Some(Ended::Success) {
            for offset in call.offset..=call.last {
                open.remove(&offset);
            }
        } else if let Some((_, failed)) = open.get_mut(&call.offset) {
            *failed = Some(line);
        }
    }
}

fn skipped(findings: &mut Findings<'_>, of: Of, line: usize, begun: i64, before: &[(i64, (usize, Option<usize>))]) {
    let Some(&(missing, (stored, failed))) = before.first() else { return };
    findings.counts().poll_skips += before.len() as u64;
    if let Some(failed) = failed {
        let text = format_args!("{begun} is handled though {missing} before it has failed and was not tried again");
        findings.report("C7", of, &[failed, line], text);
    } else {
        let text = format_args!("{begun} is handled before {missing} and {} more", before.len() - 1);
        findings.report("C3", of, &[line, stored], text);
    }
}
