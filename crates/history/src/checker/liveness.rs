//! What has to go on goes on (C10): queues find their next owner, and messages their handler.

use super::book::{Book, Told, What};
use super::options::{Liveness, micros};
use super::order::Send;
use super::report::Findings;
use super::strands::{Ending, Strand};
use crate::event::{Ended, Phase, Role};

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
    /// Faults and deaths.
    troubles: Vec<i64>,
    deaths: Vec<i64>,
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
        let deaths: Vec<i64> = members.iter().filter(|member| member.is_dead).map(|member| member.to).collect();
        let mut troubles: Vec<i64> = book.faults.iter().map(|fault| fault.at).chain(deaths.iter().copied()).collect();
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
        let first = self.troubles.partition_point(|&at| at <= from);
        for &at in &self.troubles[first..] {
            if at > from + bound {
                break;
            }
            from = at;
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

    fn has(times: &[i64], from: i64, to: i64) -> bool {
        times.iter().any(|&at| at >= from && at <= to)
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

fn take_overs(findings: &mut Findings<'_>, strands: &[Strand], times: &Times, liveness: &Liveness) {
    let book = findings.book;
    let [hand_over, unnoticed, crash] = [liveness.hand_over, liveness.unnoticed, liveness.crash].map(micros);
    for strand in strands {
        let Some(member) = times.members.iter().find(|member| member.client == strand.client) else { continue };
        for tenure in &strand.tenures {
            let (at, line, is_death) = match (tenure.ending, tenure.end) {
                (Ending::Unlocked, Some((at, line))) => (at, line, false),
                (Ending::None, _) if member.is_dead => {
                    (member.to, strand.lines.last().copied().unwrap_or(tenure.lock), true)
                }
                _ => continue,
            };
            let locks = || strands.iter().flat_map(|strand| &strand.tenures);
            let next = locks().filter(|next| next.from >= at && next.lock > line).min_by_key(|next| next.from);
            let bound = |from: i64, to: i64| {
                if is_death || Times::has(&times.deaths, from, to) {
                    crash
                } else if Times::has(&times.troubles, from, to) {
                    unnoticed
                } else {
                    hand_over
                }
            };
            let limit = bound(at - crash, at + crash);
            let from = times.undivided(&member.group, at, limit);
            let until = from + limit;
            let came = next.map_or(i64::MAX, |next| next.from);
            if came <= until || !someone_waits(book, strands, times, liveness, (from, until)) {
                continue;
            }
            let name = book.name_of(strand.client);
            let how = if is_death { "died" } else { "gave it back" };
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
    let (mut next, mut running, mut has_failed) = (None::<i64>, 0_usize, false);
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
            What::Position { offset, .. } => next = Some(offset),
            What::Start { last, .. } => {
                running += 1;
                has_failed = false;
                next = next.max(Some(last + 1));
            }
            What::End { outcome, .. } => {
                running = running.saturating_sub(1);
                has_failed |= outcome != Ended::Success;
            }
            What::Skipped { to, .. } => next = next.max(Some(to)),
            What::Lost { .. } | What::Unlock { .. } | What::Revoked { .. } => next = None,
            _ => {}
        }
        idle = (running == 0 && !has_failed && next.is_some()).then_some((at, line));
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
