//! What the checker has found.

use std::collections::BTreeMap;
use std::fmt;

use super::book::{Book, What};
use super::options::{Options, micros};
use super::timeline::{Timeline, seconds};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant: `P1` to `P10`, `C1` to `C11`.
    pub invariant: &'static str,
    /// Whose: a queue of a group, a key of a producer, a client.
    pub of: String,
    /// What is wrong.
    pub message: String,
    /// How it came.
    pub timeline: Timeline,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}: {}", self.invariant, self.of, self.message)?;
        if !self.timeline.rows.is_empty() {
            writeln!(f, "  from {} of the first client's clock", seconds(self.timeline.from))?;
        }
        write!(f, "{}", self.timeline)
    }
}

/// What there was, and how often what others count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines.
    pub lines: u64,
    /// Clients.
    pub clients: u64,
    /// Sends that were called.
    pub sends: u64,
    /// Of these acknowledged.
    pub acknowledged: u64,
    /// Of these failed for certain.
    pub failed: u64,
    /// Of these neither.
    pub unknown: u64,
    /// Requests with sends.
    pub requests: u64,
    /// Messages that a look at the store has found.
    pub stored: u64,
    /// Handler calls.
    pub calls: u64,
    /// Locks that were granted after another owner's.
    pub hand_overs: u64,
    /// The longest time from an owner's last word to the next lock, in microseconds.
    pub longest_hand_over: u64,
    /// Faults.
    pub faults: u64,
    /// Acknowledged, and not there.
    pub lost_writes: u64,
    /// Stored again.
    pub stored_again: u64,
    /// Stored, and nobody knows by whom.
    pub unknown_writes: u64,
    /// Handled successfully again: what at-least-once allows.
    pub handled_again: u64,
    /// A consumer was given an offset below one before, within a stay with a queue.
    pub non_monotonic_polls: u64,
    /// Messages that a consumer went past.
    pub poll_skips: u64,
    /// A message before one of its key that was called earlier.
    pub overtakings: u64,
    /// Two handlers, or two locks, at once: allowed after certain faults only.
    pub two_owners: u64,
    /// Of these, those that a fault excuses.
    pub excused: u64,
}

impl Counts {
    /// Each with its name in words.
    pub fn named(&self) -> [(&'static str, u64); 21] {
        [
            ("lines", self.lines),
            ("clients", self.clients),
            ("sends", self.sends),
            ("acknowledged", self.acknowledged),
            ("failed", self.failed),
            ("unknown", self.unknown),
            ("requests", self.requests),
            ("stored", self.stored),
            ("handler calls", self.calls),
            ("hand-overs", self.hand_overs),
            ("longest hand-over in µs", self.longest_hand_over),
            ("faults", self.faults),
            ("lost writes", self.lost_writes),
            ("duplicates stored", self.stored_again),
            ("writes of nobody", self.unknown_writes),
            ("duplicates handled", self.handled_again),
            ("non-monotonic polls", self.non_monotonic_polls),
            ("poll skips", self.poll_skips),
            ("overtakings", self.overtakings),
            ("two owners", self.two_owners),
            ("of these excused by faults", self.excused),
        ]
    }
}

/// The outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The first ones of each invariant.
    pub violations: Vec<Violation>,
    /// How many there are of each invariant, those that are not told included.
    pub broken: BTreeMap<&'static str, u64>,
    /// What there was.
    pub counts: Counts,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        for (invariant, count) in &self.broken {
            let shown = self.violations.iter().filter(|violation| violation.invariant == *invariant).count() as u64;
            if *count > shown {
                writeln!(f, "{invariant}: {} more", count - shown)?;
            }
        }
        let named = self.counts.named();
        let some = named.iter().filter(|(_, count)| *count > 0);
        let counts: Vec<_> = some.map(|(name, count)| format!("{name}: {count}")).collect();
        writeln!(f, "{}", counts.join(", "))?;
        let total: u64 = self.broken.values().sum();
        if total == 0 { writeln!(f, "no violations") } else { writeln!(f, "{total} violations") }
    }
}

/// Whose a violation is, and so which lines may matter for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// Of a queue, for a group.
    Queue { group: u32, queue: u32 },
    /// Of a key, for a producer.
    Key { producer: u32, key: u32 },
    /// Of a client.
    Client(u32),
}

/// Collects violations.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    pub(super) book: &'a Book,
    pub(super) options: &'a Options,
    pub(super) verdict: Verdict,
    /// The names of groups, by number.
    pub(super) groups: Vec<String>,
    /// Sends of a key, for its timelines.
    pub(super) key_of: std::collections::HashMap<(u32, u64), u32>,
    /// Keys of a request.
    pub(super) sends_of: std::collections::HashMap<(u32, u64), super::book::Span>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(book: &'a Book, options: &'a Options) -> Self {
        Self {
            book,
            options,
            verdict: Verdict::default(),
            groups: Vec::new(),
            key_of: std::collections::HashMap::new(),
            sends_of: std::collections::HashMap::new(),
        }
    }

    pub(super) fn counts(&mut self) -> &mut Counts {
        &mut self.verdict.counts
    }

    pub(super) fn slack(&self) -> i64 {
        micros(self.options.slack)
    }

    /// Something is wrong, as these lines show.
    pub(super) fn report(&mut self, invariant: &'static str, of: Of, culprits: &[usize], message: fmt::Arguments<'_>) {
        let count = self.verdict.broken.entry(invariant).or_default();
        *count += 1;
        if *count > self.options.shown as u64 {
            return;
        }
        let timeline = Timeline::of(self.book, culprits, |what, by| self.relates(of, what, by));
        let violation = Violation { invariant, of: self.shown(of), message: message.to_string(), timeline };
        self.verdict.violations.push(violation);
    }

    fn shown(&self, of: Of) -> String {
        let names = &self.book.names;
        match of {
            Of::Queue { group, queue } => match self.groups.get(group as usize) {
                Some(name) => format!("{} for {name}", names.queues.thing(queue)),
                None => names.queues.thing(queue).to_string(),
            },
            Of::Key { producer, key } => {
                let (topic, _) = *names.keys.thing(key);
                let (key, topic) = (names.shown_key(key), names.shown_text(topic));
                format!("key {key} of {topic}, producer {}", self.book.name_of(producer))
            }
            Of::Client(client) => self.book.name_of(client).to_owned(),
        }
    }

    fn relates(&self, of: Of, what: &What, by: u32) -> bool {
        let is_fault = matches!(what, What::Fault { .. });
        match of {
            Of::Queue { queue, .. } => {
                let is_reader = !matches!(what, What::Wire { .. } | What::Settle { .. } | What::Stored { .. });
                is_fault || (is_reader && what.queue() == Some(queue)) || matches!(what, What::Closed)
            }
            Of::Key { producer, key } => {
                is_fault || (by == producer && self.concerns_key(what, producer, key)) || is_stored_of(what, key)
            }
            Of::Client(client) => is_fault || (by == client && !matches!(what, What::Stored { .. })),
        }
    }

    fn concerns_key(&self, what: &What, producer: u32, key: u32) -> bool {
        let of_send = |send: u64| self.key_of.get(&(producer, send)) == Some(&key);
        match *what {
            What::Submit { key: its, .. } | What::Heard { key: its } => its == key,
            What::Settle { send, .. } => of_send(send),
            What::Wire { sends, .. } => self.book.sends(sends).iter().any(|&send| of_send(send)),
            What::Answer { request, .. } => {
                let sends = self.sends_of.get(&(producer, request));
                sends.is_some_and(|&sends| self.book.sends(sends).iter().any(|&send| of_send(send)))
            }
            What::Route { .. } => true,
            _ => false,
        }
    }
}

fn is_stored_of(what: &What, key: u32) -> bool {
    matches!(what, What::Stored { key: its, .. } if *its == key)
}
