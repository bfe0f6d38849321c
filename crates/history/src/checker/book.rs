//! A history as the checks read it: small, in one order of time, with an index of what concerns which queue.

use std::collections::HashMap;

use super::clocks::Clocks;
use super::names::Names;
use crate::event::{Answer, Ended, Event, Forgets, Hello, Line, Phase, Resets, Role, Why};

/// A part of one of the lists that lines share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    from: u32,
    len: u32,
}

impl Span {
    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    fn range(self) -> std::ops::Range<usize> {
        self.from as usize..(self.from + self.len) as usize
    }
}

fn add<T>(list: &mut Vec<T>, new: impl Iterator<Item = T>) -> Span {
    let from = list.len();
    list.extend(new);
    let number = |size: usize| u32::try_from(size).expect("fewer than 2^32 things");
    Span { from: number(from), len: number(list.len() - from) }
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Microseconds of the clock that all share here.
    pub(super) at: i64,
    /// Among the clients.
    pub(super) by: u32,
    pub(super) what: What,
}

/// What the caller of a send was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Stored { queue: u32, offset: i64 },
    Failed { code: u32 },
    Unknown { code: u32 },
}

/// An [`Event`], with numbers for its names.
#[derive(Clone, Debug)]
pub(super) enum What {
    Hello,
    Closed,
    Route { topic: u32, queues: Span },
    Submit { send: u64, key: u32, ids: Span },
    Wire { request: u64, queue: u32, sends: Span },
    Answer { request: u64, outcome: Answer },
    Settle { send: u64, told: Told },
    Heard { key: u32 },
    Lock { queue: u32, asked: i64 },
    Renewed { queue: u32, asked: i64 },
    Lost { queue: u32, why: u32 },
    Revoked { queue: u32 },
    Unlock { queue: u32, phase: Phase },
    Position { queue: u32, offset: i64, why: Why },
    Start { queue: u32, offset: i64, last: i64, key: Option<u32>, attempt: u32 },
    End { queue: u32, offset: i64, outcome: Ended, counted: bool },
    Passed { queue: u32, offset: i64 },
    Skipped { queue: u32, from: i64, to: i64, why: u32 },
    Commit { queue: u32, offset: i64, phase: Phase },
    DeadLetter { queue: u32, offset: i64, phase: Phase },
    Stored { queue: u32, offset: i64, id: u32, key: u32, matched: bool },
    Committed { group: u32, queue: u32, offset: i64 },
    Fault { number: u32 },
}

impl What {
    /// The queue that it is about, if it is about one.
    pub(super) fn queue(&self) -> Option<u32> {
        match *self {
            Self::Wire { queue, .. }
            | Self::Lock { queue, .. }
            | Self::Renewed { queue, .. }
            | Self::Lost { queue, .. }
            | Self::Revoked { queue }
            | Self::Unlock { queue, .. }
            | Self::Position { queue, .. }
            | Self::Start { queue, .. }
            | Self::End { queue, .. }
            | Self::Passed { queue, .. }
            | Self::Skipped { queue, .. }
            | Self::Commit { queue, .. }
            | Self::DeadLetter { queue, .. }
            | Self::Stored { queue, .. }
            | Self::Committed { queue, .. }
            | Self::Settle { told: Told::Stored { queue, .. }, .. } => Some(queue),
            _ => None,
        }
    }
}

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) hello: Option<Hello>,
    /// Its lines, in its own order.
    pub(super) lines: Vec<u32>,
    /// When it closed; a killed one never did.
    pub(super) closed: Option<i64>,
}

impl Client {
    pub(super) fn is(&self, role: Role) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.role == role)
    }

    pub(super) fn by_key(&self) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.by_key)
    }

    pub(super) fn broadcasting(&self) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.broadcasting)
    }

    pub(super) fn as_user(&self) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.as_user)
    }
}

/// A fault.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: i64,
    pub(super) what: String,
    pub(super) whom: Vec<String>,
    pub(super) forgets: Forgets,
    resets: Option<Resets>,
    /// When it is over, as far as anybody knows.
    pub(super) until: i64,
}

impl Fault {
    /// Whether it concerns a broker, or a client.
    pub(super) fn concerns(&self, name: &str) -> bool {
        self.whom.is_empty() || self.whom.iter().any(|whom| whom == name)
    }

    /// Whether it sets the position of a group in a topic.
    fn resets(&self, group: &str, topic: &str) -> bool {
        match &self.resets {
            Some(resets) => (resets.group.as_str(), resets.topic.as_str()) == (group, topic),
            // Older histories say so in words, and not of what.
            None => self.what.contains("offsets are reset") || self.what.contains("reset of offsets"),
        }
    }
}

/// A message in a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) offset: i64,
    pub(super) id: u32,
    pub(super) key: u32,
    pub(super) matched: bool,
    /// Its line.
    pub(super) line: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) names: Names,
    pub(super) clients: Vec<Client>,
    /// By time; those of one client in its own order.
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<Fault>,
    /// What a look at the store has found, by queue and offset.
    pub(super) store: HashMap<u32, Vec<Message>>,
    /// Of sends their messages' ids, of routes their queues.
    ids: Vec<u32>,
    sends: Vec<u64>,
    /// Whether a client shares no clock with the first.
    apart: Vec<bool>,
}

impl Book {
    pub(super) fn read(lines: impl Iterator<Item = Line>) -> Self {
        let mut book = Self::default();
        let mut by_name: HashMap<String, u32> = HashMap::new();
        let mut clocks = Clocks::default();
        for Line { t, by, event } in lines {
            let by = match by_name.get(&by) {
                Some(&number) => number,
                None => book.meet(&by, &mut by_name),
            };
            let at = i64::try_from(t).unwrap_or(i64::MAX);
            if let Event::Hello(hello) = &event {
                clocks.meet(by, at, hello);
            }
            let what = book.compact(event, at, by);
            book.entries.push(Entry { at, by, what });
        }
        book.align(&clocks);
        book.index();
        book
    }

    fn meet(&mut self, name: &str, by_name: &mut HashMap<String, u32>) -> u32 {
        let number = u32::try_from(self.clients.len()).expect("fewer than 2^32 clients");
        by_name.insert(name.to_owned(), number);
        self.clients.push(Client { name: name.to_owned(), hello: None, lines: Vec::new(), closed: None });
        number
    }

    fn compact(&mut self, event: Event, at: i64, by: u32) -> What {
        use crate::event::Settled;
        let names = &mut self.names;
        match event {
            Event::Hello(hello) => {
                self.clients[by as usize].hello = Some(hello);
                What::Hello
            }
            Event::Closed {} => What::Closed,
            Event::Route { topic, queues } => {
                let topic = names.text(&topic);
                What::Route { topic, queues: add(&mut self.ids, queues.into_iter().map(|queue| names.queue(queue))) }
            }
            Event::Submit { send, topic, key, ids } => {
                let topic = names.text(&topic);
                let key = names.key(topic, &key);
                let ids = add(&mut self.ids, ids.iter().map(|id| names.text(id)));
                What::Submit { send, key, ids }
            }
            Event::Wire { request, queue, sends } => {
                What::Wire { request, queue: names.queue(queue), sends: add(&mut self.sends, sends.into_iter()) }
            }
            Event::Answer { request, outcome } => What::Answer { request, outcome },
            Event::Settle { send, outcome } => {
                let told = match outcome {
                    Settled::Stored { queue, offset } => Told::Stored { queue: names.queue(queue), offset },
                    Settled::Failed { code } => Told::Failed { code: names.text(&code) },
                    Settled::Unknown { code } => Told::Unknown { code: names.text(&code) },
                };
                What::Settle { send, told }
            }
            Event::Heard { topic, key } => {
                let topic = names.text(&topic);
                What::Heard { key: names.key(topic, &key) }
            }
            Event::Lock { queue, asked } => What::Lock { queue: names.queue(queue), asked: time(asked) },
            Event::Renewed { queue, asked } => What::Renewed { queue: names.queue(queue), asked: time(asked) },
            Event::Lost { queue, why } => What::Lost { queue: names.queue(queue), why: names.text(&why) },
            Event::Revoked { queue } => What::Revoked { queue: names.queue(queue) },
            Event::Unlock { queue, phase } => What::Unlock { queue: names.queue(queue), phase },
            Event::Position { queue, offset, why } => What::Position { queue: names.queue(queue), offset, why },
            Event::Start { queue, offset, last, key, attempt } => {
                let queue = names.queue(queue);
                let topic = names.topic_of(queue);
                let key = key.map(|key| names.key(topic, &key));
                What::Start { queue, offset, last, key, attempt }
            }
            Event::End { queue, offset, outcome, counted } => {
                What::End { queue: names.queue(queue), offset, outcome, counted }
            }
            Event::Passed { queue, offset } => What::Passed { queue: names.queue(queue), offset },
            Event::Skipped { queue, from, to, why } => {
                What::Skipped { queue: names.queue(queue), from, to, why: names.text(&why) }
            }
            Event::Commit { queue, offset, phase } => What::Commit { queue: names.queue(queue), offset, phase },
            Event::DeadLetter { queue, offset, phase } => What::DeadLetter { queue: names.queue(queue), offset, phase },
            Event::Stored { queue, offset, id, key, matched } => {
                let queue = names.queue(queue);
                let topic = names.topic_of(queue);
                What::Stored { queue, offset, id: names.text(&id), key: names.key(topic, &key), matched }
            }
            Event::Committed { group, queue, offset } => {
                What::Committed { group: names.text(&group), queue: names.queue(queue), offset }
            }
            Event::Fault { what, whom, forgets, resets, lasts } => {
                let number = u32::try_from(self.faults.len()).expect("fewer than 2^32 faults");
                let until = at.saturating_add(time(lasts));
                self.faults.push(Fault { at, what, whom, forgets, resets, until });
                What::Fault { number }
            }
        }
    }

    /// One clock for all, in which no client goes back.
    fn align(&mut self, clocks: &Clocks) {
        let mut latest = vec![i64::MIN; self.clients.len()];
        for entry in &mut self.entries {
            let shift = clocks.shift(entry.by);
            let latest = &mut latest[entry.by as usize];
            entry.at = entry.at.saturating_add(shift).max(*latest);
            *latest = entry.at;
            match &mut entry.what {
                What::Lock { asked, .. } | What::Renewed { asked, .. } => *asked = asked.saturating_add(shift),
                What::Fault { number } => {
                    let fault = &mut self.faults[*number as usize];
                    fault.until = fault.until.saturating_add(entry.at - fault.at);
                    fault.at = entry.at;
                }
                _ => {}
            }
        }
        self.apart = (0..self.clients.len()).map(|client| clocks.is_apart(client)).collect();
        self.entries.sort_by_key(|entry| entry.at);
    }

    fn index(&mut self) {
        for (i, entry) in self.entries.iter().enumerate() {
            let client = &mut self.clients[entry.by as usize];
            client.lines.push(u32::try_from(i).expect("fewer than 2^32 lines"));
            match entry.what {
                What::Closed => client.closed = Some(entry.at),
                What::Stored { queue, offset, id, key, matched } => {
                    self.store.entry(queue).or_default().push(Message { offset, id, key, matched, line: i });
                }
                _ => {}
            }
        }
        for messages in self.store.values_mut() {
            messages.sort_by_key(|message| message.offset);
        }
        self.faults.sort_by_key(|fault| fault.at);
        self.number_faults();
    }

    /// Faults lie by time as their lines do: a stable order of both.
    fn number_faults(&mut self) {
        let mut next = 0;
        for entry in &mut self.entries {
            if let What::Fault { number } = &mut entry.what {
                *number = next;
                next += 1;
            }
        }
    }

    pub(super) fn ids(&self, span: Span) -> &[u32] {
        &self.ids[span.range()]
    }

    pub(super) fn sends(&self, span: Span) -> &[u64] {
        &self.sends[span.range()]
    }

    /// How far the clocks of two clients may be apart.
    pub(super) fn doubt(&self, one: u32, other: u32, tolerance: i64) -> i64 {
        let is_apart = self.apart[one as usize] || self.apart[other as usize];
        if one != other && is_apart { tolerance } else { 0 }
    }

    pub(super) fn name_of(&self, client: u32) -> &str {
        &self.clients[client as usize].name
    }

    /// When an administrator has set the position of a queue, for the group of this client.
    pub(super) fn resets_of(&self, client: u32, queue: u32) -> impl Iterator<Item = i64> {
        let group = self.clients[client as usize].hello.as_ref().map_or("", |hello| &hello.group);
        let topic = &self.names.queues.thing(queue).topic;
        self.faults.iter().filter(move |fault| fault.resets(group, topic)).map(|fault| fault.at)
    }

    pub(super) fn broker_of(&self, queue: u32) -> &str {
        &self.names.queues.thing(queue).broker
    }

    pub(super) fn last_line_at(&self, client: u32) -> i64 {
        self.clients[client as usize].lines.last().map_or(i64::MIN, |&line| self.entries[line as usize].at)
    }

    /// The message at this offset of a queue.
    pub(super) fn stored_at(&self, queue: u32, offset: i64) -> Option<&Message> {
        let messages = self.store.get(&queue)?;
        messages.binary_search_by_key(&offset, |message| message.offset).ok().map(|i| &messages[i])
    }

    /// What is stored of a queue between two offsets.
    pub(super) fn stored_between(&self, queue: u32, from: i64, to: i64) -> &[Message] {
        let Some(messages) = self.store.get(&queue) else { return &[] };
        let first = messages.partition_point(|message| message.offset < from);
        let end = messages.partition_point(|message| message.offset < to);
        &messages[first..end.max(first)]
    }
}

fn time(t: u64) -> i64 {
    i64::try_from(t).unwrap_or(i64::MAX)
}
