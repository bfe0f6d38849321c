//! What has to go on goes on (C10): queues find their next owner, and messages their handler.

use std::collections::BTreeSet;

use super::book::{Book, Fault, Told, What};
use super::options::{Liveness, micros};
use super::order::Send;
use super::report::Findings;
use super::strands::{Ending, Strand, Tenure};
use crate::event::{Ended, Phase, Role, Why};

/// Members of the groups, as liveness sees them.
#[derive(Debug)]
struct Member {
    client: u32,
    group: String,
    from: i64,
    to: i64,
    is_dead: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Times {
    members: Vec<Member>,
    /// Faults and deaths: from when to when, by their beginning.
    troubles: Vec<(i64, i64)>,
    /// Members' ends that others have to notice: when, and whether nobody has heard of it.
    deaths: Vec<(i64, bool)>,
    /// Of each queue what was acknowledged there: offset and time, by offset.
    acks: std::collections::HashMap<u32, Vec<(i64, i64)>>,
}

impl Times {
    pub(super) fn new(book: &Book, sends: &[Send]) -> Self {
        let end = book.entries.last().map_or(0, |entry| entry.at);
        let mut members = Vec::new();
        for (number, client) in (0..).zip(&book.clients) {
            let Some(hello) = client.hello.as_ref().filter(|hello| hello.role == Role::Consumer) else { continue };
            let from = client.lines.first().map_or(0, |&line| book.entries[line as usize].at);
            let last = book.last_line_at(number);
            // Named by a fault behind its last line, it died then.
            let named = book.faults.iter().filter(|fault| fault.at >= last && fault.whom.contains(&client.name));
            let died = named.map(|fault| fault.at).min();
            let to = client.closed.or(died).unwrap_or(last);
            let is_dead = client.closed.is_none() && (died.is_some() || last < end);
            members.push(Member { client: number, group: hello.group.clone(), from, to, is_dead });
        }
        let mut deaths = Vec::new();
        for member in members.iter().filter(|member| member.to < end) {
            let name = book.name_of(member.client);
            // Its lines were cut then, or it stood still.
            let is_hidden = |fault: &Fault| {
                fault.at <= member.to && fault.until > member.to && fault.whom.iter().any(|whom| whom == name)
            };
            let is_unheard = book.faults.iter().any(is_hidden);
            if member.is_dead || is_unheard {
                deaths.push((member.to, is_unheard));
            }
        }
        // What outlasts the history stays: only its beginning counts.
        let lasts = |fault: &Fault| if fault.until < end { fault.until } else { fault.at };
        let faults = book.faults.iter().map(|fault| (fault.at, lasts(fault)));
        let mut troubles: Vec<(i64, i64)> = faults.chain(deaths.iter().map(|&(at, _)| (at, at))).collect();
        troubles.sort_unstable();
        let mut acks: std::collections::HashMap<u32, Vec<(i64, i64)>> = std::collections::HashMap::new();
        for send in sends {
            if let Some((line, Told::Stored { queue, offset })) = send.settled {
                acks.entry(queue).or_default().push((offset, book.entries[line].at));
            }
        }
        for acks in acks.values_mut() {
            acks.sort_unstable();
        }
        Self { members, troubles, deaths, acks }
    }

    /// The time from which `bound` runs: after the last trouble that began before it was over.
    fn undisturbed(&self, mut from: i64, bound: i64) -> i64 {
        for &(at, until) in &self.troubles {
            if at > from + bound {
                break;
            }
            from = from.max(until);
        }
        from
    }

    /// After a member's coming or going too, all is divided anew.
    fn undivided(&self, group: &str, mut from: i64, bound: i64) -> i64 {
        let ours = self.members.iter().filter(|member| member.group == group);
        let mut changes: Vec<i64> = ours.flat_map(|member| [member.from, member.to]).collect();
        changes.sort_unstable();
        loop {
            let before = from;
            from = self.undisturbed(from, bound);
            let next = changes.iter().copied().filter(|&at| at > from && at <= from + bound).max();
            from = next.unwrap_or(from);
            if from == before {
                return from;
            }
        }
    }

    /// How long a queue's next lock may take from a time on, where no death is to be noticed.
    fn bound(&self, at: i64, liveness: &Liveness) -> i64 {
        let near = |time: i64, bound: i64| time >= at - bound && time <= at + bound;
        let [crash, unheard] = [liveness.crash, liveness.unheard].map(micros);
        if self.deaths.iter().any(|&(death, is_unheard)| is_unheard && near(death, unheard)) {
            unheard
        } else if self.deaths.iter().any(|&(death, _)| near(death, crash)) {
            crash
        } else if self.troubles.iter().any(|&(from, until)| from <= at + crash && until >= at - crash) {
            micros(liveness.unnoticed)
        } else {
            micros(liveness.hand_over)
        }
    }
}

/// Checks one queue of a group.
pub(super) fn check(findings: &mut Findings<'_>, strands: &[Strand], times: &Times) {
    let Some(liveness) = findings.options.liveness.clone() else { return };
    let Some(first) = strands.first().filter(|strand| !strand.broadcasting) else { return };
    let book = findings.book;
    if liveness.away.iter().any(|away| away == book.broker_of(first.queue)) || is_gone(book, first.queue) {
        return;
    }
    take_overs(findings, strands, times, &liveness);
    if let Some(bound) = liveness.progress.map(micros) {
        for strand in strands.iter().filter(|strand| !strand.as_user) {
            progress(findings, strand, times, bound);
        }
    }
}

/// Whether the last route that anybody has told of has it no more.
fn is_gone(book: &Book, queue: u32) -> bool {
    let topic = book.names.topic_of(queue);
    let mut lines = book.entries.iter().rev();
    let last = lines.find_map(|entry| match entry.what {
        What::Route { topic: its, queues } if its == topic => Some(queues),
        _ => None,
    });
    last.is_some_and(|queues| !book.ids(queues).contains(&queue))
}

/// How a member comes to have a queue no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parting {
    Died,
    /// It has lost the lock, which somebody else may have, or nobody.
    Lost,
    GaveBack,
    /// The same, and nobody knows whether the broker has heard it.
    GaveBackUnanswered,
}

fn parting(book: &Book, strand: &Strand, tenure: &Tenure, member: &Member) -> Option<(i64, usize, Parting)> {
    match (tenure.ending, tenure.end) {
        (Ending::Unlocked, Some((at, line))) => {
            let mut later = strand.lines.iter().filter(|&&later| later > line);
            let answer = later.find_map(|&later| match book.entries[later].what {
                What::Unlock { phase, .. } => Some(phase),
                _ => None,
            });
            let is_heard = matches!(answer, None | Some(Phase::Done));
            Some((at, line, if is_heard { Parting::GaveBack } else { Parting::GaveBackUnanswered }))
        }
        (Ending::Lost, Some((at, line))) => Some((at, line, Parting::Lost)),
        (Ending::None | Ending::Doubtful, _) if member.is_dead => {
            Some((member.to, strand.lines.last().copied().unwrap_or(tenure.lock), Parting::Died))
        }
        _ => None,
    }
}

fn take_overs(findings: &mut Findings<'_>, strands: &[Strand], times: &Times, liveness: &Liveness) {
    let book = findings.book;
    for strand in strands {
        let Some(member) = times.members.iter().find(|member| member.client == strand.client) else { continue };
        for tenure in &strand.tenures {
            let Some((at, line, parting)) = parting(book, strand, tenure, member) else { continue };
            let locks = || strands.iter().flat_map(|strand| &strand.tenures);
            let next = locks().filter(|next| next.from >= at && next.lock > line).min_by_key(|next| next.from);
            let least = if parting == Parting::GaveBack { 0 } else { micros(liveness.crash) };
            let limit = times.bound(at, liveness).max(least);
            let from = times.undivided(&member.group, at, limit);
            let until = from + limit;
            let came = next.map_or(i64::MAX, |next| next.from);
            if came <= until || !someone_waits(book, strands, times, liveness, (from, until)) {
                continue;
            }
            let name = book.name_of(strand.client);
            let how = match parting {
                Parting::Died => "died",
                Parting::Lost => "lost it",
                Parting::GaveBack => "gave it back",
                Parting::GaveBackUnanswered => "gave it back without an answer",
            };
            let culprits: Vec<usize> = [line].into_iter().chain(next.map(|next| next.lock)).collect();
            let waited = (came.min(book.entries.last().map_or(0, |entry| entry.at)) - at) / 1_000;
            let text = format_args!(
                "nobody has it {waited} ms after {name} {how}, where {} ms are allowed",
                (until - at) / 1_000
            );
            findings.report("C10", strand.of(), &culprits, text);
        }
    }
}

/// Whether a member that works with the queue's topic was there all the time.
fn someone_waits(
    book: &Book,
    strands: &[Strand],
    times: &Times,
    liveness: &Liveness,
    (from, until): (i64, i64),
) -> bool {
    let Some(first) = strands.first() else { return false };
    let group = book.clients[first.client as usize].hello.as_ref().map(|hello| hello.group.clone());
    let topic = book.names.topic_of(first.queue);
    let reads = |member: &&Member| {
        let lines = &book.clients[member.client as usize].lines;
        lines.iter().any(|&line| {
            let queue = book.entries[line as usize].what.queue();
            queue.is_some_and(|queue| book.names.topic_of(queue) == topic)
        })
    };
    let is_there = |member: &&Member| {
        Some(&member.group) == group.as_ref()
            && member.from <= from
            && member.to >= until
            && !liveness.away.iter().any(|away| away == book.name_of(member.client))
    };
    times.members.iter().filter(is_there).any(|member| reads(&member))
}

/// Messages are handled in time while the queue has an owner that does nothing else with it.
fn progress(findings: &mut Findings<'_>, strand: &Strand, times: &Times, bound: i64) {
    let Some(acks) = times.acks.get(&strand.queue) else { return };
    // The first time at which something was acknowledged at this offset or behind it.
    let mut first: Vec<(i64, i64)> = acks.clone();
    for i in (1..first.len()).rev() {
        first[i - 1].1 = first[i - 1].1.min(first[i].1);
    }
    let book = findings.book;
    let mut idle: Option<(i64, usize)> = None;
    let (mut next, mut running) = (None::<i64>, 0_usize);
    // What has failed, and is to come again: nothing of its key comes before, and no commit passes it.
    let mut failed = BTreeSet::new();
    for &line in &strand.lines {
        let (at, what) = (book.entries[line].at, &book.entries[line].what);
        let is_quiet =
            matches!(what, What::Commit { .. } | What::Renewed { .. } | What::DeadLetter { phase: Phase::Sent, .. });
        if is_quiet {
            continue;
        }
        if let (Some((since, from)), Some(next)) = (idle.take(), next) {
            late(findings, strand, times, (&first, next, bound), (since, from), (at, Some(line)));
        }
        match *what {
            What::Position { offset, why, .. } => {
                // Whoever has its queue again after a doubt lets the rest of a pause pass.
                failed.retain(|again| matches!(why, Why::Memory | Why::Committed) && *again >= offset);
                next = Some(offset);
            }
            What::Start { offset, last, .. } => {
                running += 1;
                failed.retain(|again| !(offset..=last).contains(again));
                next = next.max(Some(last + 1));
            }
            What::End { offset, outcome, .. } => {
                running = running.saturating_sub(1);
                if outcome != Ended::Success {
                    failed.insert(offset);
                }
            }
            What::Skipped { from, to, .. } => {
                failed.retain(|again| !(from..to).contains(again));
                next = next.max(Some(to));
            }
            What::DeadLetter { offset, .. } => drop(failed.remove(&offset)),
            What::Lost { .. } => next = None,
            What::Unlock { .. } | What::Revoked { .. } => {
                failed.clear();
                next = None;
            }
            _ => {}
        }
        idle = (running == 0 && failed.is_empty() && next.is_some()).then_some((at, line));
    }
    if let (Some((since, from)), Some(next)) = (idle, next) {
        let end = book.last_line_at(strand.client);
        late(findings, strand, times, (&first, next, bound), (since, from), (end, None));
    }
}

fn late(
    findings: &mut Findings<'_>,
    strand: &Strand,
    times: &Times,
    (acks, next, bound): (&[(i64, i64)], i64, i64),
    (since, from): (i64, usize),
    (at, line): (i64, Option<usize>),
) {
    let place = acks.partition_point(|&(offset, _)| offset < next);
    let Some(&(offset, acked)) = acks.get(place) else { return };
    let is_matched = findings.book.stored_at(strand.queue, offset).is_none_or(|message| message.matched);
    let begun = times.undisturbed(since.max(acked), bound);
    if is_matched && at > begun + bound {
        let text =
            format_args!("{offset} waits for {} ms, where {} ms are allowed", (at - begun) / 1_000, bound / 1_000);
        let culprits: Vec<usize> = [from].into_iter().chain(line).collect();
        findings.report("C10", strand.of(), &culprits, text);
    }
}
