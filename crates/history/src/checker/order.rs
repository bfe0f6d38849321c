//! Producers: what is called in order is on the wire in order, one request of a key at a time (P1 to P5, P9, P10).

use std::collections::{HashMap, HashSet, VecDeque};

use super::book::{Span, Told, What};
use super::report::{Findings, Of};
use crate::event::{Answer, Queue, Role};

/// The code of what fails since something of its key before it has.
const BROKEN: &str = "ERR_ROCKETMQ_ORDER_BROKEN";
/// Codes of what ends together, and so behind what has failed.
const ENDED: [&str; 2] = ["ERR_ROCKETMQ_CLOSED", "ERR_ROCKETMQ_ABORTED"];
/// So often a key may move for one fault: away, and back.
pub(super) const MOVES: usize = 2;

/// A send, as far as it has come.
#[derive(Debug)]
pub(super) struct Send {
    pub(super) producer: u32,
    pub(super) number: u64,
    pub(super) key: u32,
    pub(super) ids: Span,
    /// Its lines: the call, and what the caller was told.
    pub(super) submitted: usize,
    pub(super) settled: Option<(usize, Told)>,
    /// How often it was on the wire; the last time, and the queue.
    pub(super) attempts: u32,
    pub(super) wired: Option<(usize, u32)>,
    /// The queue of an attempt of which nobody knows the end.
    unknown: Option<u32>,
    /// The queue of the attempt that has no end yet.
    flying: Option<u32>,
    /// Where an answer has said that it is stored.
    place: Option<(u32, i64)>,
}

impl Send {
    /// The queue where it may be stored without anybody's knowing.
    pub(super) fn unsure(&self) -> Option<u32> {
        self.unknown.or(self.flying)
    }
}

#[derive(Debug)]
struct Request {
    queue: u32,
    sends: Span,
    wired: usize,
    is_open: bool,
}

/// The sends of a producer with one key.
#[derive(Debug, Default)]
struct Flow {
    /// Those whose outcome is open, in the order of the calls.
    pending: VecDeque<u64>,
    /// Requests without an answer.
    flying: Vec<u64>,
    last_called: u64,
    /// The last acknowledged: its queue, its offset, and the line.
    acked: Option<(u32, i64, usize)>,
    /// The queue of the last request, and its line.
    home: Option<(u32, usize)>,
    /// How often it has changed; and how many routes were known when the first of its sends had a queue.
    moves: usize,
    routes: usize,
    /// What fails since something before it has: above the first up to the second, and the line of that.
    doomed: Vec<(u64, u64, usize)>,
    /// The last failure that closed the key, its line, and what was called since.
    failed: Option<(u64, usize)>,
    called_since: Vec<u64>,
}

impl Flow {
    fn doom_of(&self, send: u64) -> Option<usize> {
        let doom = self.doomed.iter().rev().find(|(above, to, _)| send > *above && send <= *to);
        doom.map(|&(_, _, line)| line)
    }

    /// Everything behind `send` that was called until now is to fail.
    fn doom(&mut self, send: u64, line: usize) {
        let to = self.last_called;
        match self.doomed.last_mut() {
            _ if to <= send => {}
            Some((above, end, _)) if *above < send && send <= *end => *end = to.max(*end),
            _ => self.doomed.push((send, to, line)),
        }
    }

    fn resolve(&mut self, send: u64) {
        if let Some(place) = self.pending.iter().position(|&pending| pending == send) {
            self.pending.remove(place);
        }
    }
}

#[derive(Debug)]
struct Producer<'a, 'b> {
    findings: &'a mut Findings<'b>,
    number: u32,
    mixes_keys: bool,
    /// Whether it tells only what its user sees.
    as_user: bool,
    sends: HashMap<u64, Send>,
    requests: HashMap<u64, Request>,
    flows: HashMap<u32, Flow>,
    /// How many lines with a route of a topic there were.
    routes: HashMap<u32, usize>,
}

/// Checks all producers; their sends, by producer and in the order of the calls.
pub(super) fn check(findings: &mut Findings<'_>) -> Vec<Send> {
    let mut all = Vec::new();
    for number in 0..findings.book.clients.len() {
        let client = &findings.book.clients[number];
        if !client.is(Role::Producer) {
            continue;
        }
        let mut producer = Producer {
            number: u32::try_from(number).expect("as clients are numbered"),
            mixes_keys: client.hello.as_ref().is_some_and(|hello| hello.mixes_keys),
            as_user: client.as_user(),
            findings,
            sends: HashMap::new(),
            requests: HashMap::new(),
            flows: HashMap::new(),
            routes: HashMap::new(),
        };
        producer.run();
        let mut sends: Vec<Send> = producer.sends.into_values().collect();
        sends.sort_by_key(|send| send.number);
        all.append(&mut sends);
    }
    all
}

impl Producer<'_, '_> {
    fn of(&self, key: u32) -> Of {
        Of::Key { producer: self.number, key }
    }

    fn run(&mut self) {
        let book = self.findings.book;
        for &line in &book.clients[self.number as usize].lines {
            let line = line as usize;
            match book.entries[line].what {
                What::Submit { send, key, ids } => self.submit(line, send, key, ids),
                What::Route { topic, .. } => *self.routes.entry(topic).or_default() += 1,
                What::Wire { request, queue, sends } => self.wire(line, request, queue, sends),
                What::Answer { request, ref outcome } => self.answer(line, request, outcome),
                What::Settle { send, told } => self.settle(line, send, told),
                What::Heard { key } => self.heard(key),
                What::Closed => self.closed(line),
                _ => {}
            }
        }
    }

    fn submit(&mut self, line: usize, number: u64, key: u32, ids: Span) {
        self.findings.counts().sends += 1;
        self.findings.key_of.insert((self.number, number), key);
        let (topic, _) = *self.findings.book.names.keys.thing(key);
        let routes = self.routes.get(&topic).copied().unwrap_or_default();
        let flow = self.flows.entry(key).or_insert_with(|| Flow { routes, ..Flow::default() });
        flow.pending.push_back(number);
        flow.last_called = flow.last_called.max(number);
        if flow.failed.is_some() {
            flow.called_since.push(number);
        }
        let send = Send {
            producer: self.number,
            number,
            key,
            ids,
            submitted: line,
            settled: None,
            attempts: 0,
            wired: None,
            unknown: None,
            flying: None,
            place: None,
        };
        self.sends.insert(number, send);
    }

    fn wire(&mut self, line: usize, request: u64, queue: u32, span: Span) {
        let book = self.findings.book;
        self.findings.counts().requests += 1;
        self.findings.sends_of.insert((self.number, request), span);
        let mut places: HashMap<u32, Vec<u64>> = HashMap::new();
        for &number in book.sends(span) {
            let Some(send) = self.sends.get(&number) else { continue };
            places.entry(send.key).or_default().push(number);
        }
        if places.len() > 1 && !self.mixes_keys {
            let text = format_args!("request {request} has messages of {} keys, where one is allowed", places.len());
            self.findings.report("P9", Of::Client(self.number), &[line], text);
        }
        let mut keys: Vec<_> = places.into_iter().collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        for (key, sends) in keys {
            self.check_alone(line, key, &sends);
            self.check_next(line, key, &sends);
            self.check_home(line, key, queue, &sends);
            let flow = self.flows.entry(key).or_default();
            flow.flying.push(request);
            for number in sends {
                let doom = flow.doom_of(number);
                let send = self.sends.get_mut(&number).expect("as found above");
                send.attempts += 1;
                send.wired = Some((line, queue));
                send.flying = Some(queue);
                if let Some(failure) = doom {
                    let text = format_args!("#{number} is sent though a message before it has failed");
                    self.findings.report("P5", Of::Key { producer: self.number, key }, &[failure, line], text);
                }
            }
        }
        self.requests.insert(request, Request { queue, sends: span, wired: line, is_open: true });
    }

    /// P3: no other request with other messages of the key is under way.
    fn check_alone(&mut self, line: usize, key: u32, sends: &[u64]) {
        let book = self.findings.book;
        let flow = self.flows.entry(key).or_default();
        let other = flow.flying.iter().find_map(|number| {
            let request = &self.requests[number];
            let of_key = |send: &&u64| self.sends.get(send).is_some_and(|send| send.key == key);
            let its: HashSet<u64> = book.sends(request.sends).iter().filter(of_key).copied().collect();
            (its != sends.iter().copied().collect()).then_some((*number, request.wired))
        });
        if let Some((other, wired)) = other {
            let text = format_args!("a second request of the key is sent while request {other} is under way");
            self.findings.report("P3", self.of(key), &[wired, line], text);
        }
    }

    /// P4: they are the first ones that are open, in their order.
    fn check_next(&mut self, line: usize, key: u32, sends: &[u64]) {
        let flow = &self.flows[&key];
        let wrong = sends.iter().enumerate().find(|(i, send)| flow.pending.get(*i) != Some(*send));
        let Some((i, &send)) = wrong else { return };
        let before = flow.pending.get(i).copied();
        let submitted = |number: u64| self.sends.get(&number).map(|send| send.submitted);
        match before {
            Some(before) if before < send => {
                let culprits: Vec<usize> =
                    [submitted(before), submitted(send), Some(line)].into_iter().flatten().collect();
                self.findings.counts().overtakings += 1;
                let text = format_args!("#{send} is sent while #{before}, called before it, has no outcome");
                self.findings.report("P4", self.of(key), &culprits, text);
            }
            _ => {
                let settled = self.sends[&send].settled.map(|(line, _)| line);
                let culprits: Vec<usize> = [settled, Some(line)].into_iter().flatten().collect();
                let text = format_args!("#{send} is sent again though it has an outcome, or out of its place");
                self.findings.report("P4", self.of(key), &culprits, text);
            }
        }
    }

    /// P1: the queue of a key changes with the route only, and with nothing of it at another queue perhaps.
    fn check_home(&mut self, line: usize, key: u32, queue: u32, sends: &[u64]) {
        let findings = &mut *self.findings;
        let shown = |queue: u32| -> &Queue { findings.book.names.queues.thing(queue) };
        for number in sends {
            let send = &self.sends[number];
            if let Some(before) = send.unsure().filter(|&before| before != queue) {
                let (was, is) = (shown(before).clone(), shown(queue).clone());
                let culprits = [send.wired.map_or(line, |(line, _)| line), line];
                let text = format_args!("#{number} goes to {is} though it may be stored in {was}");
                findings.report("P1", Of::Key { producer: self.number, key }, &culprits, text);
            }
        }
        let (topic, _) = *findings.book.names.keys.thing(key);
        let flow = self.flows.entry(key).or_default();
        let routes = self.routes.get(&topic).copied();
        let Some((home, since)) = flow.home.replace((queue, line)) else {
            // It has waited for the first one.
            flow.routes = flow.routes.max(routes.unwrap_or_default().min(1));
            return;
        };
        if home == queue {
            return;
        }
        flow.moves += 1;
        // What was placed by one route may be sent when there is the next one already.
        let most = routes.map_or_else(
            // It is not told by this producer.
            || {
                let at = findings.book.entries[line].at;
                MOVES * findings.book.faults.iter().filter(|fault| fault.at <= at).count()
            },
            |routes| routes - flow.routes,
        );
        if flow.moves > most {
            let (was, is) = (shown(home).clone(), shown(queue).clone());
            let text = format_args!("the key moves from {was} to {is} though nobody tells of another route");
            findings.report("P1", Of::Key { producer: self.number, key }, &[since, line], text);
        }
    }

    fn answer(&mut self, line: usize, number: u64, outcome: &Answer) {
        let book = self.findings.book;
        let Some(request) = self.requests.get_mut(&number) else { return };
        let (queue, span, wired) = (request.queue, request.sends, request.wired);
        if !std::mem::replace(&mut request.is_open, false) {
            let text = format_args!("request {number} is answered again after its end");
            self.findings.report("P3", Of::Client(self.number), &[wired, line], text);
            return;
        }
        let mut next = match outcome {
            Answer::Stored { offset } => Some(*offset),
            Answer::Refused { .. } | Answer::Unsent | Answer::Unknown => None,
        };
        for send in book.sends(span) {
            let Some(send) = self.sends.get_mut(send) else { continue };
            let flow = self.flows.entry(send.key).or_default();
            flow.flying.retain(|&flying| flying != number);
            send.flying = None;
            if matches!(outcome, Answer::Unknown) {
                send.unknown = Some(queue);
            }
            let Some(offset) = next else { continue };
            flow.resolve(send.number);
            send.place = Some((queue, offset));
            let end = offset + i64::try_from(send.ids.len()).unwrap_or(i64::MAX);
            next = Some(end);
            let before = flow.acked.replace((queue, end - 1, line));
            if let Some((_, last, acked)) = before.filter(|&(home, last, _)| home == queue && last >= offset) {
                self.findings.counts().overtakings += 1;
                let text =
                    format_args!("#{} is stored at {offset}, and what was called before it at {last}", send.number);
                let of = Of::Key { producer: self.number, key: send.key };
                self.findings.report("P2", of, &[acked, line], text);
            }
        }
    }

    fn settle(&mut self, line: usize, number: u64, told: Told) {
        let Some(send) = self.sends.get_mut(&number) else {
            let text = format_args!("#{number} has an outcome though it was never called");
            self.findings.report("P10", Of::Client(self.number), &[line], text);
            return;
        };
        let of = Of::Key { producer: self.number, key: send.key };
        if let Some((first, _)) = send.settled {
            self.findings.report("P10", of, &[first, line], format_args!("#{number} has two outcomes"));
            return;
        }
        send.settled = Some((line, told));
        let flow = self.flows.entry(send.key).or_default();
        let doom = flow.doom_of(number);
        let names = &self.findings.book.names;
        match told {
            Told::Stored { queue, offset } => {
                self.findings.verdict.counts.acknowledged += 1;
                if send.place != Some((queue, offset)) && !self.as_user {
                    let text = format_args!("#{number} is told as stored where no answer has said so");
                    let culprits = [send.wired.map_or(line, |(line, _)| line), line];
                    self.findings.report("P6", of, &culprits, text);
                }
                if let Some(failure) = doom {
                    let text = format_args!("#{number} is stored though a message before it has failed");
                    self.findings.report("P5", of, &[failure, line], text);
                }
            }
            Told::Failed { code } | Told::Unknown { code } => {
                let is_certain = matches!(told, Told::Failed { .. });
                let counts = &mut self.findings.verdict.counts;
                *(if is_certain { &mut counts.failed } else { &mut counts.unknown }) += 1;
                let code = names.shown_text(code);
                let is_due = code == BROKEN || ENDED.contains(&code) || send.attempts > 0;
                if let Some(failure) = doom.filter(|_| !is_due) {
                    let text =
                        format_args!("#{number} fails with {code}, and not because of what has failed before it");
                    self.findings.report("P5", of, &[failure, line], text);
                }
                if code != BROKEN && code != ENDED[0] && !self.as_user {
                    flow.doom(number, line);
                    flow.failed.get_or_insert((number, line));
                }
            }
        }
        flow.resolve(number);
    }

    /// P5, of what was called before the caller has heard of a failure.
    fn heard(&mut self, key: u32) {
        let of = self.of(key);
        let flow = self.flows.entry(key).or_default();
        let since = std::mem::take(&mut flow.called_since);
        let Some((failed, failure)) = flow.failed.take() else { return };
        flow.doom(failed, failure);
        for number in since {
            let Some((wired, _)) = self.sends.get(&number).and_then(|send| send.wired) else { continue };
            let text = format_args!("#{number} is sent though the caller has not heard yet that #{failed} has failed");
            self.findings.report("P5", of, &[failure, wired], text);
        }
    }

    /// P10: nothing is open any more.
    fn closed(&mut self, line: usize) {
        let open = self.sends.values().filter(|send| send.settled.is_none());
        let mut open: Vec<(u64, usize)> = open.map(|send| (send.number, send.submitted)).collect();
        open.sort_unstable();
        if let Some(&(number, submitted)) = open.first() {
            let text = format_args!("{} sends have no outcome when it is closed, the first is #{number}", open.len());
            self.findings.report("P10", Of::Client(self.number), &[submitted, line], text);
        }
    }
}
