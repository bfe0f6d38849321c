//! Producers against what is stored: nothing is lost, nothing is there that should not be, or too often (P2, P6 to P9).

use std::collections::{HashMap, HashSet};

use super::book::{Message, Told};
use super::order::Send;
use super::report::{Findings, Of};
use crate::event::Role;

/// Where an id is stored.
type Copies = HashMap<u32, Vec<(u32, Message)>>;

/// Checks all sends, where anybody has looked at the store of their topics.
pub(super) fn check(findings: &mut Findings<'_>, sends: &[Send]) {
    let book = findings.book;
    let mut copies: Copies = HashMap::new();
    let mut topics: HashSet<u32> = HashSet::new();
    let mut queues: Vec<_> = book.store.keys().copied().collect();
    queues.sort_unstable();
    for queue in queues {
        topics.insert(book.names.topic_of(queue));
        for message in &book.store[&queue] {
            findings.verdict.counts.stored += 1;
            copies.entry(message.id).or_default().push((queue, *message));
        }
    }
    if topics.is_empty() {
        return;
    }
    let mut lanes: HashMap<(u32, u32), Vec<&Send>> = HashMap::new();
    let mut known: HashSet<u32> = HashSet::new();
    let mut sent_to: HashSet<u32> = HashSet::new();
    for send in sends {
        let (topic, _) = *book.names.keys.thing(send.key);
        known.extend(book.ids(send.ids));
        sent_to.insert(topic);
        if topics.contains(&topic) {
            no_lost_write(findings, send);
            copies_of(findings, send, &copies);
            lanes.entry((send.producer, send.key)).or_default().push(send);
        }
    }
    let mut lanes: Vec<_> = lanes.into_iter().collect();
    lanes.sort_unstable_by_key(|(lane, _)| *lane);
    for (_, sends) in lanes {
        first_copies(findings, &sends, &copies);
    }
    nobodys(findings, &copies, &known, &sent_to);
}

fn of(send: &Send) -> Of {
    Of::Key { producer: send.producer, key: send.key }
}

/// P6: what was acknowledged is there, and P9: one after the other, each with its own key.
fn no_lost_write(findings: &mut Findings<'_>, send: &Send) {
    let book = findings.book;
    let Some((line, Told::Stored { queue, offset })) = send.settled else { return };
    let first = book.store.get(&queue).and_then(|messages| messages.first()).map_or(0, |message| message.offset);
    for (id, offset) in book.ids(send.ids).iter().zip(offset..) {
        if offset < first {
            // Removed since, with all before.
            continue;
        }
        let number = send.number;
        match book.stored_at(queue, offset) {
            Some(message) if message.id == *id && message.key == send.key => {}
            Some(message) if message.id == *id => {
                let text = format_args!("#{number} is stored with another key, {}", book.names.shown_key(message.key));
                findings.report("P9", of(send), &[send.submitted, message.line], text);
            }
            Some(message) => {
                findings.verdict.counts.lost_writes += 1;
                let (other, id) = (book.names.shown_text(message.id), book.names.shown_text(*id));
                let text = format_args!("#{number} is acknowledged as {id} at {offset}, where {other} is stored");
                findings.report("P6", of(send), &[send.submitted, line, message.line], text);
            }
            None => {
                findings.verdict.counts.lost_writes += 1;
                let text = format_args!("#{number} is acknowledged at {offset}, where nothing is stored: lost");
                findings.report("P6", of(send), &[send.submitted, line], text);
            }
        }
    }
}

/// P7: what has failed is not there, and P8: nothing more often than it was sent, or than it had to be.
fn copies_of(findings: &mut Findings<'_>, send: &Send, copies: &Copies) {
    for id in findings.book.ids(send.ids) {
        let Some(copies) = copies.get(id) else { continue };
        let lines = || copies.iter().map(|(_, message)| message.line);
        findings.verdict.counts.stored_again += copies.len() as u64 - 1;
        let mut culprits: Vec<usize> = [send.submitted].into_iter().chain(lines()).collect();
        let number = send.number;
        if let Some((line, Told::Failed { .. })) = send.settled {
            culprits.push(line);
            findings.report("P7", of(send), &culprits, format_args!("#{number} has failed for certain, and is stored"));
        } else if findings.book.clients[send.producer as usize].as_user() {
            // Nobody knows of its attempts.
        } else if copies.len() > send.attempts as usize {
            let (copies, attempts) = (copies.len(), send.attempts);
            let text = format_args!("#{number} is stored {copies} times, of {attempts} attempts");
            findings.report("P8", of(send), &culprits, text);
        } else if copies.len() > 1 && send.unsure().is_none() {
            let copies = copies.len();
            let text = format_args!("#{number} is stored {copies} times though each attempt had an answer");
            findings.report("P8", of(send), &culprits, text);
        }
    }
}

/// P2: the first copies of what was acknowledged lie in the order of the calls.
fn first_copies(findings: &mut Findings<'_>, sends: &[&Send], copies: &Copies) {
    let book = findings.book;
    let mut last: HashMap<u32, (u64, Message)> = HashMap::new();
    for send in sends.iter().filter(|send| matches!(send.settled, Some((_, Told::Stored { .. })))) {
        for id in book.ids(send.ids) {
            let Some((queue, message)) = copies.get(id).and_then(|copies| copies.first()) else { continue };
            let before = last.insert(*queue, (send.number, *message));
            if let Some((earlier, first)) = before.filter(|(_, first)| first.offset >= message.offset) {
                findings.verdict.counts.overtakings += 1;
                let number = send.number;
                let text = format_args!(
                    "#{number} is stored at {}, and #{earlier}, called before it, at {}",
                    message.offset, first.offset
                );
                findings.report("P2", of(send), &[send.submitted, message.line, first.line], text);
            }
        }
    }
}

/// P7: what is there was sent. Of a killed producer the last lines may be missing, so that nobody knows.
fn nobodys(findings: &mut Findings<'_>, copies: &Copies, known: &HashSet<u32>, sent_to: &HashSet<u32>) {
    let book = findings.book;
    let is_whole = book.clients.iter().all(|client| !client.is(Role::Producer) || client.closed.is_some());
    let mut unknown: Vec<_> = copies
        .iter()
        .filter(|(id, _)| !known.contains(id))
        .flat_map(|(_, copies)| copies)
        .filter(|(queue, _)| sent_to.contains(&book.names.topic_of(*queue)))
        .collect();
    unknown.sort_unstable_by_key(|(_, message)| message.line);
    for (queue, message) in unknown {
        findings.verdict.counts.unknown_writes += 1;
        if is_whole {
            let text = format_args!("{} is stored, and nobody has sent it", book.names.shown_text(message.id));
            findings.report("P7", Of::Queue { group: u32::MAX, queue: *queue }, &[message.line], text);
        }
    }
}
