//! From one owner to the next: it begins where the one before has committed, and repeats nothing after a farewell (C4, C6).

use std::collections::{HashMap, HashSet};

use super::book::What;
use super::report::{Findings, Of};
use super::strands::{Strand, is_doubt};
use crate::event::{Ended, Phase, Why};

/// What a broker may hold as committed.
#[derive(Debug, Default)]
struct Committed {
    /// What was acknowledged: time, offset, line.
    done: Vec<(i64, i64, usize)>,
    /// What was sent since, or has no known end.
    perhaps: Vec<i64>,
}

impl Committed {
    /// Whether something is, also where faults have made the broker forget what was committed after `since`.
    fn is_known_before(&self, since: Option<i64>) -> bool {
        self.done.iter().any(|&(at, ..)| since.is_none_or(|since| at < since))
    }

    /// Whether it may be this, once faults have made the broker forget what was committed after `since`.
    fn may_be(&self, offset: i64, since: Option<i64>) -> bool {
        let Some(&(_, last, _)) = self.done.last() else { return true };
        if offset == last || self.perhaps.contains(&offset) {
            return true;
        }
        let Some(since) = since else { return false };
        let kept = self.done.iter().rposition(|&(at, ..)| at < since);
        kept.is_none() || self.done[kept.unwrap_or(0)..].iter().any(|&(_, committed, _)| committed == offset)
    }
}

#[derive(Debug)]
struct HandOver<'a, 'b> {
    findings: &'a mut Findings<'b>,
    of: Of,
    queue: u32,
    /// When an administrator has set its position.
    resets: Vec<i64>,
    by_key: bool,
    committed: Committed,
    /// The last who has committed.
    committer: Option<u32>,
    /// The last owner, with its last word on the queue: time, line, and whether it was a farewell.
    owner: Option<(u32, i64, usize, bool)>,
    /// Who has had a lock since giving one back.
    holders: HashSet<u32>,
    /// By members: behind the last message that was handled since it has the queue, and the line of that.
    handled: HashMap<u32, (i64, usize)>,
    /// By the line of a call's end, its last message.
    ended: HashMap<usize, i64>,
    /// Parts of the queue that a killed client has committed without anybody's knowing how.
    unheard: Vec<(i64, i64)>,
}

/// Checks one queue of a group; tells the parts of the queue of which only a killed client could have told more.
pub(super) fn check(findings: &mut Findings<'_>, strands: &[Strand]) -> Vec<(i64, i64)> {
    let Some(first) = strands.first() else { return Vec::new() };
    let mut lines: Vec<usize> = strands.iter().flat_map(|strand| strand.lines.iter().copied()).collect();
    lines.sort_unstable();
    let calls = strands.iter().flat_map(|strand| &strand.calls);
    let ended = calls.filter_map(|call| call.end.map(|end| (end, call.last)));
    let resets = findings.book.resets_of(first.client, first.queue).collect();
    let mut check = HandOver {
        findings,
        of: first.of(),
        queue: first.queue,
        resets,
        by_key: first.by_key,
        committed: Committed::default(),
        committer: None,
        owner: None,
        holders: HashSet::new(),
        handled: HashMap::new(),
        ended: ended.collect(),
        unheard: Vec::new(),
    };
    for line in lines {
        check.take(line);
    }
    check.end(strands);
    check.unheard
}

impl HandOver<'_, '_> {
    fn take(&mut self, line: usize) {
        let entry = &self.findings.book.entries[line];
        let (at, by) = (entry.at, entry.by);
        match entry.what {
            What::Lock { .. } => self.lock(at, by),
            // Else it is only made sure that it has none.
            What::Unlock { phase: Phase::Sent, .. } if self.holders.remove(&by) => {
                self.owner = Some((by, at, line, true));
            }
            What::Lost { why, .. } if self.holders.contains(&by) => {
                self.owner = Some((by, at, line, false));
                if !is_doubt(self.findings.book.names.shown_text(why)) {
                    self.handled.remove(&by);
                }
            }
            What::Start { .. } => self.owner = Some((by, at, line, false)),
            What::End { outcome: Ended::Success, counted: true, .. } => {
                if let Some(last) = self.ended.get(&line) {
                    let handled = self.handled.entry(by).or_insert((last + 1, line));
                    *handled = (*handled).max((last + 1, line));
                }
            }
            What::Position { offset, why, .. } => self.place(line, at, by, offset, why),
            What::Commit { offset, phase, .. } => {
                self.committer = Some(by);
                if phase == Phase::Done {
                    self.committed.done.push((at, offset, line));
                    self.committed.perhaps.clear();
                } else {
                    self.committed.perhaps.push(offset);
                }
            }
            _ => {}
        }
    }

    fn lock(&mut self, at: i64, by: u32) {
        if self.holders.insert(by) {
            self.handled.remove(&by);
        }
        if let Some((_, since, ..)) = self.owner.filter(|&(owner, ..)| owner != by) {
            let counts = self.findings.counts();
            counts.hand_overs += 1;
            counts.longest_hand_over = counts.longest_hand_over.max(u64::try_from(at - since).unwrap_or(0));
        }
    }

    fn place(&mut self, line: usize, at: i64, by: u32, offset: i64, why: Why) {
        match why {
            Why::Committed => self.begins(line, at, by, offset),
            Why::Initial if self.committed.is_known_before(self.forgotten_since(at)) && !self.is_excused(at) => {
                let text = format_args!("it begins at {offset} as if nothing was committed");
                let culprits = [self.committed.done.last().map_or(line, |&(_, _, line)| line), line];
                self.findings.report("C6", self.of, &culprits, text);
            }
            Why::Memory => self.remembers(line, at, by, offset),
            Why::Reset | Why::Seek | Why::Correction => {
                self.handled.clear();
                self.committed = Committed::default();
            }
            Why::Initial => {}
        }
    }

    fn begins(&mut self, line: usize, at: i64, by: u32, offset: i64) {
        let Some(&(_, last, committed)) = self.committed.done.last() else { return };
        if offset > last && self.is_unheard() && !self.committed.perhaps.contains(&offset) {
            self.unheard.push((last, offset));
            return;
        }
        if !self.committed.may_be(offset, self.forgotten_since(at)) && !self.is_excused(at) {
            let text = format_args!("it begins at {offset} where {last} is committed");
            self.findings.report("C6", self.of, &[committed, line], text);
            return;
        }
        let Some((owner, _, farewell, true)) = self.owner.filter(|&(owner, ..)| owner != by) else { return };
        let handled = self.handled.get(&owner).copied().filter(|&(handled, _)| handled > offset);
        let Some((handled, end)) = handled else { return };
        if !self.by_key && offset == last && self.committed.perhaps.is_empty() {
            let name = self.findings.book.name_of(owner);
            let text = format_args!(
                "all before {handled} was handled, and comes again from {offset} on after {name}'s farewell"
            );
            self.findings.report("C4", self.of, &[end, farewell, line], text);
        }
    }

    /// After a doubt, what others have done meanwhile counts.
    fn remembers(&mut self, line: usize, at: i64, by: u32, offset: i64) {
        let since = self.forgotten_since(at);
        // Nobody can know of what the broker has forgotten.
        let known = self.committed.done.last().filter(|&&(at, ..)| since.is_none_or(|since| at < since));
        let Some(&(_, last, committed)) = known else { return };
        if offset < last && self.committer.is_some_and(|committer| committer != by) {
            let text = format_args!("it goes on at {offset} where {last} is committed by another");
            self.findings.report("C6", self.of, &[committed, line], text);
        }
    }

    /// Whether what is committed may come from a client whose last lines are missing.
    fn is_unheard(&self) -> bool {
        let owner = match self.owner {
            // It has had its say.
            Some((.., true)) => return false,
            Some((owner, ..)) => Some(owner),
            None => None,
        };
        owner.or(self.committer).is_some_and(|owner| self.findings.book.clients[owner as usize].closed.is_none())
    }

    /// Since when a broker has forgotten what was committed, before a time.
    fn forgotten_since(&self, at: i64) -> Option<i64> {
        let book = self.findings.book;
        let broker = book.broker_of(self.queue);
        let faults =
            book.faults.iter().filter(|fault| fault.at <= at && fault.forgets.commits > 0 && fault.concerns(broker));
        // A broker that has come back may have written nothing since, either.
        faults.map(|fault| fault.at - i64::try_from(fault.forgets.commits).unwrap_or(i64::MAX)).min()
    }

    /// Whether an administrator has set its position since the last commit.
    fn is_excused(&self, at: i64) -> bool {
        let since = self.committed.done.last().map_or(i64::MIN, |&(at, ..)| at);
        self.resets.iter().any(|reset| (since..=at).contains(reset))
    }

    /// What the broker holds in the end is what was committed.
    fn end(&mut self, strands: &[Strand]) {
        let book = self.findings.book;
        let group = strands.first().and_then(|strand| book.clients[strand.client as usize].hello.as_ref());
        let Some(group) = group.map(|hello| hello.group.as_str()) else { return };
        for (line, entry) in book.entries.iter().enumerate().rev().take_while(|(_, entry)| is_witnessed(&entry.what)) {
            let What::Committed { group: its, queue, offset } = entry.what else { continue };
            if queue != self.queue || book.names.shown_text(its) != group {
                continue;
            }
            let Some(&(_, last, committed)) = self.committed.done.last() else { return };
            let is_later = offset > last && self.is_unheard();
            if !is_later && !self.committed.may_be(offset, self.forgotten_since(entry.at)) && !self.is_excused(entry.at)
            {
                let text = format_args!("the broker holds {offset} at the end where {last} was committed");
                self.findings.report("C5", self.of, &[committed, line], text);
            }
            return;
        }
    }
}

/// What a witness writes at the end.
fn is_witnessed(what: &What) -> bool {
    matches!(what, What::Committed { .. } | What::Stored { .. } | What::Hello | What::Closed | What::Fault { .. })
}
