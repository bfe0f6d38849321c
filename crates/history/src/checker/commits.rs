//! Commits of one consumer for one queue: never past what is not handled, never back, in their place (C5, C6, C7, C11).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::book::{Message, What};
use super::options::micros;
use super::report::Findings;
use super::strands::{Strand, is_doubt};
use crate::event::{Ended, Phase, Why};

#[derive(Debug)]
struct Commits<'a, 'b> {
    findings: &'a mut Findings<'b>,
    strand: &'a Strand,
    /// What is stored of the queue, if anybody has looked.
    store: Option<&'b [Message]>,
    /// The first stored message that is neither handled nor passed over.
    next: usize,
    done: HashSet<i64>,
    /// Messages of calls that are not done with them, by offset and call; where the last call of each has ended, its line.
    undone: BTreeSet<(i64, usize)>,
    call_at: HashMap<usize, usize>,
    ended_at: HashMap<usize, usize>,
    position: Option<i64>,
    /// Before it all is handled or passed over, as far as that can be known without a look at the store.
    high: i64,
    /// Behind the last message that a handler was done with.
    handled: i64,
    /// The highest offset that was sent in this stay, and its line.
    sent: Option<(i64, usize)>,
    /// The same of those that were acknowledged.
    acked: Option<i64>,
    flying: Option<usize>,
    /// The last commit had no good end.
    is_unsure: bool,
    /// The stay has ended since the last position.
    is_over: bool,
    /// The lock is lost for certain, by this line.
    lost: Option<usize>,
    asked: i64,
    dead_letters: HashSet<i64>,
}

/// Checks one consumer's commits of one queue.
pub(super) fn check(findings: &mut Findings<'_>, strand: &Strand) {
    let calls = || strand.calls.iter().enumerate();
    let mut commits = Commits {
        call_at: calls().map(|(i, call)| (call.start, i)).collect(),
        ended_at: calls().filter_map(|(i, call)| call.end.map(|end| (end, i))).collect(),
        store: findings.book.store.get(&strand.queue).map(Vec::as_slice),
        findings,
        strand,
        next: 0,
        done: HashSet::new(),
        undone: BTreeSet::new(),
        position: None,
        high: i64::MIN,
        handled: i64::MIN,
        sent: None,
        acked: None,
        flying: None,
        is_unsure: false,
        is_over: false,
        lost: None,
        asked: i64::MIN,
        dead_letters: HashSet::new(),
    };
    for (i, &line) in strand.lines.iter().enumerate() {
        commits.take(i, line);
    }
}

impl Commits<'_, '_> {
    fn take(&mut self, i: usize, line: usize) {
        let book = self.findings.book;
        match book.entries[line].what {
            What::Lock { asked, .. } => (self.lost, self.flying, self.asked) = (None, None, self.asked.max(asked)),
            What::Renewed { asked, .. } => self.asked = self.asked.max(asked),
            What::Lost { why, .. } if !is_doubt(book.names.shown_text(why)) => {
                (self.lost, self.flying, self.is_over) = (Some(line), None, true);
                // What was handled before it is nothing that this member would have to give back.
                self.position = None;
            }
            What::Position { offset, why, .. } => self.place(offset, why),
            What::Start { offset, .. } => self.start(line, offset),
            What::Passed { offset, .. } => self.passed(line, offset),
            What::End { offset, outcome, counted, .. } => self.end(line, offset, outcome, counted),
            What::Skipped { from, to, .. } => self.skip(from, to),
            What::DeadLetter { offset, phase: Phase::Done, .. } => {
                self.dead_letters.remove(&offset);
                self.skip(offset, offset + 1);
            }
            What::DeadLetter { offset, .. } => drop(self.dead_letters.insert(offset)),
            What::Commit { offset, phase: Phase::Sent, .. } => self.send(i, line, offset),
            What::Commit { offset, phase, .. } => {
                self.flying = None;
                self.is_unsure = phase == Phase::Unknown;
                if phase == Phase::Done {
                    self.acked = self.acked.max(Some(offset));
                }
            }
            What::Unlock { phase: Phase::Sent, .. } => {
                self.unlock(line);
                (self.position, self.is_over) = (None, true);
            }
            _ => {}
        }
    }

    fn place(&mut self, offset: i64, why: Why) {
        self.flying = None;
        if why == Why::Memory && self.position.is_some() {
            return;
        }
        let is_known = matches!(why, Why::Committed | Why::Initial | Why::Memory);
        // After a doubt, what is done stays done; else it comes again.
        if !is_known || std::mem::take(&mut self.is_over) {
            self.done.clear();
        }
        self.position = Some(offset);
        (self.high, self.handled) = (offset, offset);
        self.undone.clear();
        self.dead_letters.clear();
        (self.sent, self.acked) = (None, if is_known { Some(offset) } else { None });
        self.is_unsure = !is_known;
        self.next = self.store.map_or(0, |store| store.partition_point(|message| message.offset < offset));
    }

    fn start(&mut self, line: usize, offset: i64) {
        let Some(&call) = self.call_at.get(&line) else { return };
        self.forget(offset, offset + 1);
        self.undone.insert((offset, call));
        if let Some((committed, sent)) = self.sent.filter(|&(committed, _)| offset < committed) {
            let text = format_args!("{offset} is handled after all before {committed} was committed");
            self.findings.report("C5", self.strand.of(), &[sent, line], text);
        }
    }

    fn passed(&mut self, line: usize, offset: i64) {
        let at = self.findings.book.entries[line].at;
        let calls = &self.strand.calls;
        let running = self.undone.iter().find(|(_, call)| calls[*call].passed.contains(&(offset, at)));
        let Some(&(from, call)) = running else { return };
        self.undone.remove(&(from, call));
        self.undone.insert((offset, call));
        self.finish(from, offset, self.strand.calls[call].key);
    }

    fn end(&mut self, line: usize, offset: i64, outcome: Ended, counted: bool) {
        let Some(&number) = self.ended_at.get(&line) else { return };
        let Some(&(from, _)) = self.undone.iter().find(|(_, call)| *call == number) else { return };
        let call = &self.strand.calls[number];
        if outcome == Ended::Success && counted {
            self.undone.remove(&(from, number));
            self.finish(from, call.last + 1, call.key);
        } else if offset > from && counted {
            self.undone.remove(&(from, number));
            self.undone.insert((offset, number));
            self.finish(from, offset, call.key);
        }
    }

    /// A handler is done with its messages in this range.
    fn finish(&mut self, from: i64, to: i64, key: Option<u32>) {
        self.handled = self.handled.max(to);
        self.high = self.high.max(to);
        if self.store.is_none() {
            return;
        }
        let by_key = self.strand.by_key && to - from > 1;
        for message in self.findings.book.stored_between(self.strand.queue, from, to) {
            if !by_key || key.is_none_or(|key| key == message.key) {
                self.done.insert(message.offset);
            }
        }
    }

    fn skip(&mut self, from: i64, to: i64) {
        self.forget(from, to);
        self.high = self.high.max(to);
        if self.store.is_some() {
            let between = self.findings.book.stored_between(self.strand.queue, from, to);
            self.done.extend(between.iter().map(|message| message.offset));
        }
    }

    /// What has failed in this range is tried again, or never.
    fn forget(&mut self, from: i64, to: i64) {
        while let Some(&place) = self.undone.range((from, 0)..(to, 0)).next() {
            self.undone.remove(&place);
        }
    }

    /// The first message that must not be committed over, if anybody knows one.
    fn first_open(&mut self) -> Option<i64> {
        if let Some(store) = self.store {
            let is_done = |message: &Message| !message.matched || self.done.contains(&message.offset);
            while store.get(self.next).is_some_and(is_done) {
                self.next += 1;
            }
        }
        let stored = self.store.and_then(|store| store.get(self.next)).map(|message| message.offset);
        let undone = self.undone.first().map(|&(offset, _)| offset);
        [stored, undone].into_iter().flatten().min()
    }

    fn send(&mut self, i: usize, line: usize, offset: i64) {
        let of = self.strand.of();
        if let Some(flying) = self.flying.replace(line) {
            let text = format_args!("a second commit is sent while one is under way");
            self.findings.report("C11", of, &[flying, line], text);
        }
        if let Some(lost) = self.lost {
            self.findings.report(
                "C5",
                of,
                &[lost, line],
                format_args!("{offset} is committed after the lock was lost"),
            );
        }
        let over = self.asked.saturating_add(micros(self.findings.options.lease) + self.findings.slack());
        if self.asked > i64::MIN && self.findings.book.entries[line].at > over && !self.strand.broadcasting {
            self.findings.report("C5", of, &[line], format_args!("{offset} is committed after the lock has run out"));
        }
        if self.position.is_none() || self.is_new_position(i, offset) {
            return;
        }
        self.check_open(line, offset);
        if let Some((before, sent)) = self.sent.filter(|&(before, _)| before > offset) {
            let text = format_args!("{offset} is committed after {before}");
            self.findings.report("C5", of, &[sent, line], text);
        }
        self.sent = self.sent.max(Some((offset, line)));
    }

    fn check_open(&mut self, line: usize, offset: i64) {
        let of = self.strand.of();
        let open = self.first_open();
        if let Some(open) = open.filter(|&open| open < offset) {
            let started = self.strand.calls.iter().rev().find(|call| call.offset == open).map(|call| call.start);
            let stored = self.findings.book.stored_at(self.strand.queue, open).map(|message| message.line);
            let culprits: Vec<usize> = started.or(stored).into_iter().chain([line]).collect();
            if self.dead_letters.contains(&open) {
                let text = format_args!("{offset} is committed before {open} is in the dead-letter queue");
                self.findings.report("C7", of, &culprits, text);
            } else {
                let text = format_args!("{offset} is committed though {open} is not handled");
                self.findings.report("C5", of, &culprits, text);
            }
            return;
        }
        // What is stored at the end was there, or was not yet: but nothing is behind it.
        let end = self.store.and_then(<[Message]>::last).map_or(i64::MIN, |message| message.offset + 1);
        let high = self.high.max(end);
        if offset > high {
            let text = format_args!("{offset} is committed though nothing behind {high} was handled");
            self.findings.report("C5", of, &[line], text);
        }
    }

    /// Whether a commit belongs to a position that comes right behind it, as that of a seek does.
    fn is_new_position(&self, i: usize, offset: i64) -> bool {
        for &line in &self.strand.lines[i + 1..] {
            match self.findings.book.entries[line].what {
                What::Position { offset: position, .. } => return position == offset,
                What::Start { .. } | What::Unlock { .. } => return false,
                What::Commit { offset: other, .. } if other != offset => return false,
                _ => {}
            }
        }
        false
    }

    /// C6: what is handled is committed before the queue is given back, and nothing of it runs any more.
    fn unlock(&mut self, line: usize) {
        if self.position.is_none() || self.lost.is_some() || self.strand.broadcasting {
            return;
        }
        let of = self.strand.of();
        let is_running = |call: &&super::strands::Call| call.start < line && call.end.is_none_or(|end| end > line);
        let running = self.strand.calls.iter().rev().find(is_running);
        if let Some(call) = running.filter(|_| !self.is_last_word(line)) {
            let text = format_args!("the queue is given back while {} is being handled", call.offset);
            self.findings.report("C6", of, &[call.start, line], text);
        }
        if let Some(flying) = self.flying {
            let text = format_args!("the queue is given back before a commit is answered");
            self.findings.report("C6", of, &[flying, line], text);
            return;
        }
        let Some(acked) = self.acked.filter(|_| !self.is_unsure) else { return };
        let needed = match self.first_open() {
            Some(open) => self.handled.min(open),
            // Nobody knows what lies between the messages of keys.
            None if self.strand.by_key && self.store.is_none() => return,
            None => self.handled,
        };
        if needed > acked {
            let text =
                format_args!("the queue is given back though all before {needed} is handled and {acked} is committed");
            self.findings.report("C6", of, &[line], text);
        }
    }

    /// Whether the client closes with this: handlers may outlive it then.
    fn is_last_word(&self, line: usize) -> bool {
        let book = self.findings.book;
        let client = &book.clients[self.strand.client as usize];
        let later = client.lines.iter().rev().map(|&later| later as usize).take_while(|&later| later > line);
        let goes_on = |later: usize| matches!(book.entries[later].what, What::Lock { .. } | What::Start { .. });
        client.closed.is_some() && !later.into_iter().any(goes_on)
    }
}
