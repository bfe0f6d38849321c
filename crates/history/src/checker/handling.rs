//! Consumers, queue by queue: in order, without gaps, each failure tried again first, and nothing without a lock (C2, C3, C7, C9).

use std::collections::{BTreeMap, HashMap};

use super::book::What;
use super::options::micros;
use super::report::Findings;
use super::strands::{Ending, Strand, is_doubt};
use crate::event::{Ended, Phase, Why};

/// What is handled in order: a queue, or a key of it.
#[derive(Debug, Default)]
struct Flow {
    /// Nothing before it comes again.
    floor: i64,
    /// The line of the call that has brought it there.
    line: Option<usize>,
    /// What has failed and comes again first: its offset, its attempt, whether that has to be a higher one, and its end.
    again: Option<(i64, u32, bool, usize)>,
}

#[derive(Debug)]
struct Handling<'a, 'b> {
    findings: &'a mut Findings<'b>,
    strand: &'a Strand,
    /// Where the flows begin that have none yet; none: nobody knows.
    position: Option<i64>,
    flows: HashMap<Option<u32>, Flow>,
    /// What was passed over.
    skipped: BTreeMap<i64, i64>,
    /// Of each running call its flow, its last message and its attempt.
    running: HashMap<usize, (i64, u32)>,
    /// By the line of its start, the number of a call.
    call_at: HashMap<usize, usize>,
    /// By the line of its end.
    ended_at: HashMap<usize, usize>,
    /// When the lock was asked for that counts, and the line of its answer.
    granted: Option<(i64, usize)>,
    /// Since when nothing new starts, and the furthest message that has begun.
    revoked: Option<usize>,
    /// Whether the lock may have been somebody else's since the last position.
    is_in_doubt: bool,
    furthest: i64,
    closed: Option<usize>,
}

/// Checks one consumer's handling of one queue.
pub(super) fn check(findings: &mut Findings<'_>, strand: &Strand) {
    let book = findings.book;
    let lines = &book.clients[strand.client as usize].lines;
    let closed = lines.iter().map(|&line| line as usize).find(|&line| matches!(book.entries[line].what, What::Closed));
    let calls = || strand.calls.iter().enumerate();
    let mut handling = Handling {
        call_at: calls().map(|(i, call)| (call.start, i)).collect(),
        ended_at: calls().filter_map(|(i, call)| call.end.map(|end| (end, i))).collect(),
        findings,
        strand,
        position: None,
        flows: HashMap::new(),
        skipped: BTreeMap::new(),
        running: HashMap::new(),
        granted: None,
        revoked: None,
        is_in_doubt: false,
        furthest: i64::MIN,
        closed,
    };
    handling.run();
}

impl Handling<'_, '_> {
    fn run(&mut self) {
        let book = self.findings.book;
        let mut tenure = 0;
        for &line in &self.strand.lines {
            while self.strand.tenures.get(tenure + 1).is_some_and(|next| next.lock <= line) {
                tenure += 1;
            }
            match book.entries[line].what {
                What::Lock { asked, .. } => {
                    self.revoked = None;
                    self.check_grant(line, asked, tenure);
                }
                What::Renewed { asked, .. } => self.check_grant(line, asked, tenure),
                What::Revoked { .. } => self.revoked = Some(line),
                What::Lost { why, .. } if is_doubt(book.names.shown_text(why)) => self.is_in_doubt = true,
                What::Lost { .. } => {
                    self.is_in_doubt = false;
                    self.forget_attempts();
                }
                What::Unlock { .. } => self.is_in_doubt = false,
                What::Position { offset, why, .. } => self.place(offset, why),
                What::Start { offset, last, attempt, .. } => {
                    self.check_may_start(line, offset, tenure);
                    // What a user sees does not tell where a stay with a queue begins.
                    if !self.strand.as_user {
                        self.start(line, offset, last, attempt);
                    }
                }
                What::Passed { .. } => self.passed(line),
                What::End { offset, outcome, counted, .. } => self.end(line, offset, outcome, counted),
                What::Skipped { from, to, .. } => self.skip(from, to),
                What::DeadLetter { offset, phase: Phase::Done, .. } => self.skip(offset, offset + 1),
                _ => {}
            }
        }
    }

    /// C9: a grant counts if it was asked for while there was something to be granted, and not when all was over already.
    fn check_grant(&mut self, line: usize, asked: i64, tenure: usize) {
        let Some(its) = self.strand.tenures.get(tenure).filter(|_| !self.strand.broadcasting) else { return };
        let earlier = self.granted.filter(|&(_, granted)| granted >= its.lock);
        self.granted = earlier.max(Some((asked, line)));
        if its.lock == line {
            let before = tenure.checked_sub(1).map(|before| &self.strand.tenures[before]);
            let stale = before.filter(|before| before.ending != Ending::Doubtful).and_then(|before| before.end);
            if let Some((_, end)) = stale.filter(|&(at, _)| asked < at) {
                let text = format_args!("a lock counts that was asked for before the queue was given back or lost");
                self.findings.report("C9", self.strand.of(), &[end, line], text);
            }
            return;
        }
        let lease = micros(self.findings.options.lease);
        if let Some((before, granted)) = earlier.filter(|(before, _)| asked > before + lease + self.findings.slack()) {
            let late = (asked - before - lease) / 1_000;
            let text = format_args!("a renewal counts that was asked for {late} ms after the lock was over");
            self.findings.report("C9", self.strand.of(), &[granted, line], text);
        }
    }

    /// C9: the lock counts, the queue is to stay ours, and the client is not closed.
    fn check_may_start(&mut self, line: usize, offset: i64, tenure: usize) {
        let of = self.strand.of();
        let at = self.findings.book.entries[line].at;
        if let Some(closed) = self.closed.filter(|&closed| closed < line) {
            self.findings.report("C9", of, &[closed, line], format_args!("{offset} is handled after close() is done"));
        }
        let holes = self.strand.by_key && offset < self.furthest;
        if let Some(revoked) = self.revoked.filter(|_| !holes) {
            let text = format_args!("{offset} is handled though the queue is on its way out");
            self.findings.report("C9", of, &[revoked, line], text);
        }
        if self.strand.broadcasting || self.strand.as_user {
            return;
        }
        let lease = micros(self.findings.options.lease);
        let tenure = self.strand.tenures.get(tenure).filter(|tenure| tenure.lock < line);
        let Some(tenure) = tenure else {
            self.findings.report("C9", of, &[line], format_args!("{offset} is handled without a lock"));
            return;
        };
        if let Some((_, end)) = tenure.end.filter(|&(_, end)| end < line) {
            let text = format_args!("{offset} is handled though the lock does not count any more");
            self.findings.report("C9", of, &[end, line], text);
            return;
        }
        let Some((asked, granted)) = self.granted.filter(|&(_, granted)| granted >= tenure.lock) else { return };
        if at > asked + lease + self.findings.slack() {
            let late = (at - asked - lease) / 1_000;
            let text = format_args!("{offset} is handled {late} ms after the end of the lock, which was not renewed");
            self.findings.report("C9", of, &[granted, line], text);
        }
    }

    fn place(&mut self, offset: i64, why: Why) {
        if why == Why::Memory {
            self.revoked = None;
            self.position.get_or_insert(offset);
            return;
        }
        if std::mem::take(&mut self.is_in_doubt) && why == Why::Committed && self.position.is_some() {
            // Others have gone on meanwhile. What is handled behind it stays handled.
            self.position = self.position.max(Some(offset));
            for flow in self.flows.values_mut() {
                flow.floor = flow.floor.max(offset);
                flow.again = flow.again.filter(|&(again, ..)| again >= offset);
            }
            return;
        }
        self.position = Some(offset);
        self.flows.clear();
        self.skipped.clear();
        self.furthest = i64::MIN;
        self.running.clear();
    }

    /// Whoever has the queue next counts anew, also where it is the same member.
    fn forget_attempts(&mut self) {
        for (_, attempt, ..) in self.flows.values_mut().filter_map(|flow| flow.again.as_mut()) {
            *attempt = 0;
        }
    }

    /// Everything from one offset to before another one needs no handler.
    fn skip(&mut self, from: i64, to: i64) {
        // Ranges that touch are one, so that a look at the last one before an offset tells.
        let (mut from, mut to) = (from, to);
        while let Some((&first, &end)) = self.skipped.range(..=to).next_back().filter(|&(_, &end)| end >= from) {
            self.skipped.remove(&first);
            (from, to) = (from.min(first), to.max(end));
        }
        self.skipped.insert(from, to);
        for flow in self.flows.values_mut() {
            if flow.again.is_some_and(|(again, ..)| from <= again && again < to) {
                flow.again = None;
            }
        }
    }

    fn is_skipped(&self, offset: i64) -> bool {
        self.skipped.range(..=offset).next_back().is_some_and(|(_, &to)| offset < to)
    }

    fn start(&mut self, line: usize, offset: i64, last: i64, attempt: u32) {
        let book = self.findings.book;
        let of = self.strand.of();
        let Some(&number) = self.call_at.get(&line) else { return };
        let key = self.strand.calls[number].key;
        let Some(floor) = self.position else {
            // Its beginning is not in the history.
            self.flows.insert(key, Flow { floor: offset, line: Some(line), again: None });
            self.position = if self.strand.by_key { None } else { Some(offset) };
            self.running.insert(number, (last, attempt));
            return;
        };
        self.furthest = self.furthest.max(last);
        let flow = self.flows.entry(key).or_insert(Flow { floor, line: None, again: None });
        let before = flow.line.replace(line);
        let culprits: Vec<usize> = before.into_iter().chain([line]).collect();
        let (floor, again) = (flow.floor, flow.again.take());
        flow.floor = floor.max(offset);
        self.running.insert(number, (last, attempt));
        match again {
            Some((failed, before, must_rise, end)) if failed == offset => {
                if before > 0 && attempt != before + 1 && (must_rise || attempt != before) {
                    let text = format_args!("{offset} is tried again as attempt {attempt}, after attempt {before}");
                    self.findings.report("C7", of, &[end, line], text);
                }
                return;
            }
            Some((failed, _, _, end)) if offset > failed => {
                self.findings.verdict.counts.poll_skips += 1;
                let text =
                    format_args!("{offset} is handled though {failed} before it has failed and was not tried again");
                self.findings.report("C7", of, &[end, line], text);
                return;
            }
            _ => {}
        }
        if offset < floor {
            self.findings.verdict.counts.non_monotonic_polls += 1;
            let text = format_args!("{offset} is handled after all before {floor} was");
            self.findings.report("C2", of, &culprits, text);
            return;
        }
        let is_mine = |message: &&super::book::Message| {
            message.matched && (!self.strand.by_key || self.key_of(message.key) == key)
        };
        let between = book.stored_between(self.strand.queue, floor, offset);
        let missing: Vec<_> =
            between.iter().filter(is_mine).filter(|message| !self.is_skipped(message.offset)).collect();
        if let Some(first) = missing.first() {
            let count = missing.len();
            self.findings.verdict.counts.poll_skips += count as u64;
            let text =
                format_args!("{offset} is handled before {} and {} more, from {floor} on", first.offset, count - 1);
            let culprits: Vec<usize> = culprits.into_iter().chain([first.line]).collect();
            self.findings.report("C3", of, &culprits, text);
        }
    }

    /// A key as calls have it: what has an empty one has none.
    fn key_of(&self, key: u32) -> Option<u32> {
        let names = &self.findings.book.names;
        let (_, text) = *names.keys.thing(key);
        (!names.shown_text(text).is_empty()).then_some(key)
    }

    fn passed(&mut self, line: usize) {
        let at = self.findings.book.entries[line].at;
        let What::Passed { offset, .. } = self.findings.book.entries[line].what else { return };
        let running = self.running.keys().find(|&&call| self.strand.calls[call].passed.contains(&(offset, at)));
        let Some(key) = running.map(|&call| self.strand.calls[call].key) else { return };
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.floor = flow.floor.max(offset);
        }
    }

    fn end(&mut self, line: usize, offset: i64, outcome: Ended, counted: bool) {
        let Some(&number) = self.ended_at.get(&line) else { return };
        // A call from before the position is nothing to what has come since.
        let Some((last, attempt)) = self.running.remove(&number) else { return };
        let call = &self.strand.calls[number];
        let Some(flow) = self.flows.get_mut(&call.key) else { return };
        match outcome {
            Ended::Success if counted => flow.floor = flow.floor.max(last + 1),
            Ended::Failure | Ended::Left if counted => {
                flow.floor = flow.floor.max(offset);
                // What comes behind the first of a batch has attempts of its own, which nobody has told.
                let known = if offset == call.offset { attempt } else { 0 };
                flow.again = Some((offset, known, outcome == Ended::Failure, line));
            }
            Ended::Success | Ended::Failure | Ended::Left => {}
        }
    }
}
