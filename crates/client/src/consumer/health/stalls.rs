//! Stalled queues and handlers: queues that are allocated to us and not ours yet, and handlers that do not end. Both say so.
//!
//! The actors only publish where they stand. Here it is looked at from outside, and told for all queues of a topic and a broker at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::{Event, Level};
use crate::consumer::brokers::Brokers;
use crate::consumer::gate::Running;
use crate::consumer::group::Holder;
use crate::consumer::options::OrderedBy;
use crate::consumer::queue::{Phase, Queue};
use crate::consumer::shared::Shared;
use crate::env::Instant;
use crate::error::{ClientError, Code};

/// Between two looks.
const TICK: Duration = Duration::from_secs(1);
/// Queues begin to wait together.
const TOGETHER: Duration = Duration::from_millis(50);

/// How loud it is told that a queue waits; each once per wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    /// Not at all: handing a queue over takes its time.
    #[default]
    Silent,
    /// Where that will end by itself.
    Info,
    /// Its broker refuses, or has no master.
    Refused,
    /// For longer than anything that ends by itself.
    Stalled,
}

/// Why a queue waits.
#[derive(Clone, Debug)]
enum Cause {
    /// Somebody has its lock.
    Held(Holder),
    /// Its broker cannot be asked, or does not do what it is asked.
    Failing(ClientError),
    /// A handler from before its lock was lost still runs.
    Busy,
    /// Nobody has answered yet.
    Silence,
}

impl Cause {
    /// Equal for what is told together.
    fn key(&self) -> String {
        match self {
            Self::Held(holder) => format!("{holder:?}"),
            Self::Failing(error) => error.code().as_str().to_owned(),
            Self::Busy => String::from("busy"),
            Self::Silence => String::from("silence"),
        }
    }
}

/// A queue that is to be ours.
#[derive(Debug)]
struct Waiting {
    queue: Arc<Queue>,
    since: Instant,
    cause: Cause,
}

/// Those of one topic and one broker that wait for the same.
type Together = Vec<Waiting>;

/// What was told: of waits by the queue's number, of handlers with their message, too.
#[derive(Debug, Default)]
struct Told {
    waits: HashMap<u32, (Instant, Severity)>,
    handlers: HashSet<(u32, i64, Instant)>,
}

/// Looks until it is aborted.
pub(crate) async fn run<B: Brokers>(shared: Arc<Shared<B>>) {
    let mut told = Told::default();
    loop {
        tokio::select! {
            () = shared.watches.stalls.notified() => sleep(TOGETHER).await,
            () = sleep(TICK) => {}
        }
        told.tell_waits(&shared);
        told.tell_handlers(&shared);
    }
}

impl Told {
    fn tell_waits<B: Brokers>(&mut self, shared: &Shared<B>) {
        let waiting = shared.waiting();
        self.forget_waits(&waiting.iter().map(|waiting| (waiting.queue.index, waiting.since)).collect());
        let news = waiting.into_iter().filter_map(|waiting| {
            let severity = shared.severity(&waiting);
            let (_, told) = self.waits.entry(waiting.queue.index).or_insert((waiting.since, Severity::Silent));
            let is_news = severity > *told;
            *told = severity.max(*told);
            is_news.then_some((severity, waiting))
        });
        let mut by_severity: BTreeMap<Severity, Vec<Waiting>> = BTreeMap::new();
        for (severity, waiting) in news {
            by_severity.entry(severity).or_default().push(waiting);
        }
        for (severity, waiting) in by_severity {
            for together in together(waiting) {
                match severity {
                    Severity::Silent => {}
                    Severity::Info => shared.inform(&together),
                    Severity::Refused | Severity::Stalled => shared.warn(shared.stall_problem(&together)),
                }
            }
        }
    }

    /// Forgets those that are over.
    fn forget_waits(&mut self, waiting: &HashSet<(u32, Instant)>) {
        self.waits.retain(|index, (since, _)| waiting.contains(&(*index, *since)));
    }

    fn tell_handlers<B: Brokers>(&mut self, shared: &Shared<B>) {
        if shared.options.handler_timeout.is_some() || shared.handlers.are_gone() {
            return;
        }
        let running = shared.long_handlers();
        let long: HashSet<_> =
            running.iter().map(|(queue, running)| (queue.index, running.offset, running.began)).collect();
        for (queue, running) in running {
            if !self.handlers.contains(&(queue.index, running.offset, running.began)) {
                shared.warn(shared.long_handler(&queue, &running));
            }
        }
        self.handlers = long;
    }
}

/// By topic, broker and cause.
fn together(waiting: Vec<Waiting>) -> Vec<Together> {
    let mut groups: BTreeMap<(String, String, String), Together> = BTreeMap::new();
    for waiting in waiting {
        let real = &waiting.queue.real;
        let key = (real.topic.clone(), real.broker_name.clone(), waiting.cause.key());
        groups.entry(key).or_default().push(waiting);
    }
    groups.into_values().collect()
}

impl<B: Brokers> Shared<B> {
    /// The queues that are to be ours and are not yet. Users know nothing of the retry queue, which has nothing to add to others of its
    /// broker.
    fn waiting(&self) -> Vec<Waiting> {
        let queues = self.queues.all().into_iter();
        let (hidden, shown): (Vec<_>, Vec<_>) =
            queues.filter_map(|queue| self.wait_of(queue)).partition(|waiting| waiting.queue.hidden);
        let is_shown = |broker: &str| shown.iter().any(|waiting| waiting.queue.real.broker_name == broker);
        let alone: Vec<_> = hidden.into_iter().filter(|waiting| !is_shown(&waiting.queue.real.broker_name)).collect();
        shown.into_iter().chain(alone).collect()
    }

    fn wait_of(&self, queue: Arc<Queue>) -> Option<Waiting> {
        let view = queue.view().clone();
        if !matches!(view.phase, Phase::Locking | Phase::Positioning) {
            return None;
        }
        let cause = match view.problem {
            Some(problem) => Cause::Failing(problem),
            None if view.phase == Phase::Locking && view.is_refused => Cause::Held(self.holder(&queue.real)),
            None if queue.gate.count_running() > 0 => Cause::Busy,
            None => Cause::Silence,
        };
        Some(Waiting { since: view.since?.at, queue, cause })
    }

    fn severity(&self, waiting: &Waiting) -> Severity {
        let (timing, waited) = (self.brokers.timing(), waiting.since.elapsed());
        match &waiting.cause {
            _ if waited >= timing.stalled_after => Severity::Stalled,
            Cause::Held(Holder::Gone(_) | Holder::Unlisted) => Severity::Info,
            Cause::Held(_) if waited >= timing.hand_over => Severity::Info,
            // Broken connections have events of their own, and what fails after the lock was told by the actor.
            Cause::Failing(error)
                if !matches!(error.code(), Code::Connection | Code::Tls | Code::NoMaster | Code::Timeout)
                    && waiting.queue.view().phase == Phase::Locking =>
            {
                Severity::Refused
            }
            Cause::Held(_) | Cause::Failing(_) | Cause::Busy | Cause::Silence => Severity::Silent,
        }
    }

    /// A record of a wait that will end by itself.
    fn inform(&self, together: &Together) {
        let Some(Waiting { queue, cause: Cause::Held(holder), .. }) = together.first() else { return };
        let for_whom = match holder {
            Holder::Gone(member) => {
                format!("the lock of a member that has gone ({member}), which the broker keeps for at most 60 s")
            }
            Holder::Unlisted => {
                String::from("the lock of a member that has gone, which the broker keeps for at most 60 s")
            }
            Holder::Member(member) => format!("member {member} to give them back, whose handlers end first"),
            Holder::Unknown => format!(
                "a lock that another client holds: one of the other members ({}), or one that has gone, then for at most 60 s",
                self.other_members()
            ),
        };
        let ids: Vec<i32> = together.iter().map(|waiting| waiting.queue.shown.queue_id).collect();
        let fields = serde_json::json!({
            "topic": (!queue.hidden).then_some(&queue.shown.topic),
            "brokerName": queue.shown.broker_name,
            "queueIds": ids,
        });
        let verb = if together.len() == 1 { "waits" } else { "wait" };
        self.brokers.emit(Event::log(Level::Info, format!("{} {verb} for {for_whom}", subject(together)), fields));
    }

    /// What is wrong, of queues that wait for too long and of handlers that do not end. Both say so.
    pub(crate) fn stall_problems(&self) -> Vec<ClientError> {
        let is_new = |waiting: &Waiting| !matches!(waiting.cause, Cause::Failing(_));
        let stalled_after = self.brokers.timing().stalled_after;
        let waiting =
            self.waiting().into_iter().filter(|waiting| is_new(waiting) && waiting.since.elapsed() >= stalled_after);
        let mut problems: Vec<_> =
            together(waiting.collect()).iter().map(|together| self.stall_problem(together)).collect();
        problems.extend(self.long_handlers().iter().map(|(queue, running)| self.long_handler(queue, running)));
        problems
    }

    /// Of queues of one topic, one broker and one cause; there is at least one.
    fn stall_problem(&self, together: &Together) -> ClientError {
        let Waiting { queue, cause, .. } = &together[0];
        let waited = together.iter().map(|waiting| waiting.since.elapsed().as_secs()).max().unwrap_or_default();
        let (subject, group) = (subject(together), &self.options.group);
        let (waits, its) = if together.len() == 1 { ("waits", "its lock") } else { ("wait", "their locks") };
        let error = match cause {
            Cause::Held(_) => ClientError::new(
                Code::LockLost,
                format!(
                    "{subject} {waits} for {its} for {waited} s, longer than a broker keeps that of a dead member: another \
                     client holds on to it. The other members of group {group}: {}. It is one whose handler does not end, one \
                     that hangs in close(), or a program that uses the group without being listed: end it; one group, one program",
                    self.other_members()
                ),
            ),
            Cause::Failing(error) => error.clone().with_prefix(&format!("{subject} {waits} for {its} for {waited} s")),
            Cause::Busy => ClientError::new(
                Code::Timeout,
                format!(
                    "{subject} {waits} for {waited} s for a handler that was called before the lock was lost and still runs"
                ),
            ),
            Cause::Silence => {
                ClientError::new(Code::Timeout, format!("{subject} {waits} for {waited} s for an answer of its broker"))
            }
        };
        match (together.len(), queue.hidden) {
            (_, true) => error,
            (1, false) => error.with_queue(queue.name()),
            (_, false) => error.without_queue().with_topic(queue.shown.topic.as_str()),
        }
    }

    /// Handlers that run for longer than anybody thinks they should.
    fn long_handlers(&self) -> Vec<(Arc<Queue>, Running)> {
        let most = self.options.handler_timeout.unwrap_or(self.brokers.timing().long_handler);
        let queues = self.queues.all().into_iter();
        let running = queues.flat_map(|queue| {
            let all = queue.gate.all_running().into_iter();
            all.map(move |running| (Arc::clone(&queue), running))
        });
        running.filter(|(_, running)| running.began.elapsed() >= most).collect()
    }

    fn long_handler(&self, queue: &Queue, running: &Running) -> ClientError {
        let held = match self.options.ordered_by {
            OrderedBy::Queue => "queue",
            OrderedBy::Key => "key",
        };
        let text = format!(
            "a handler runs for {} s and holds its {held} (topic {}, queue {} of {}, offset {}): what it waits for may never come; \
             give it time-outs, by its signal and handlerTimeoutMs",
            running.began.elapsed().as_secs(),
            queue.shown.topic,
            queue.shown.queue_id,
            queue.shown.broker_name,
            running.offset
        );
        ClientError::new(Code::Timeout, text).with_queue(queue.name())
    }
}

/// The queues in words.
fn subject(together: &Together) -> String {
    let queue = &together[0].queue;
    let broker = &queue.shown.broker_name;
    if queue.hidden {
        return format!("the group's retry queue at {broker}");
    }
    let ids: Vec<i32> = together.iter().map(|waiting| waiting.queue.shown.queue_id).collect();
    format!("{} of {} at {broker}", in_words(&ids), queue.shown.topic)
}

/// `queue 3`, or `queues 0..3, 5`.
pub(crate) fn in_words(ids: &[i32]) -> String {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for id in &ids {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *id => *last = *id,
            _ => ranges.push((*id, *id)),
        }
    }
    let ranges: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first}..{last}"),
        })
        .collect();
    format!("queue{} {}", if ids.len() == 1 { "" } else { "s" }, ranges.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Severity, Told, in_words};
    use crate::env;
    use std::time::Duration;

    /// By each for each it would be 4 billion looks, every second.
    #[test]
    fn many_waits_are_forgotten_in_one_pass() {
        let began = env::now();
        let mut told = Told::default();
        told.waits.extend((0..65_536).map(|index| (index, (began, Severity::Info))));
        told.forget_waits(&(0..65_536).filter(|index| index % 2 == 0).map(|index| (index, began)).collect());
        assert_eq!(told.waits.len(), 32_768);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn queues_are_named_by_ranges() {
        assert_eq!(in_words(&[3]), "queue 3");
        assert_eq!(in_words(&[2, 0, 1, 3]), "queues 0..3");
        assert_eq!(in_words(&[0, 1, 5, 7, 8, 9]), "queues 0, 1, 5, 7..9");
    }
}
