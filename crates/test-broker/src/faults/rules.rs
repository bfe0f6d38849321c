//! What goes wrong on purpose: rules that match requests, and what they do to them.

use bytes::Bytes;
use regress::Regex;

use super::requests_seen::Asked;
use crate::release::draw;

/// First stream of the rules' draws: one per rule.
const STREAM: u64 = 1000;

/// How a client id is named.
#[derive(Debug, Clone)]
pub enum ClientPattern {
    /// The whole id.
    Exact(String),
    /// Somewhere in the id.
    Regex(Box<Regex>),
}

impl ClientPattern {
    fn matches(&self, client: &str) -> bool {
        match self {
            Self::Exact(id) => id == client,
            Self::Regex(regex) => regex.find(client).is_some(),
        }
    }
}

/// Which requests a rule hits: every field that is there must match.
#[derive(Debug, Clone, Default)]
pub struct FaultMatch {
    /// Request codes; empty for all.
    pub codes: Vec<i32>,
    /// The client.
    pub client: Option<ClientPattern>,
    /// Topic, or one of the topics of a lock request.
    pub topic: Option<String>,
    /// Queue, or one of the queues of a lock request.
    pub queue_id: Option<i32>,
    /// From the nth match on, counted from 1. Alone: that one only.
    pub nth: Option<u64>,
    /// So many times.
    pub times: Option<u64>,
    /// Of each match.
    pub probability: Option<f64>,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer so many ms late.
    Delay(u64),
    /// Answer this code and do nothing.
    Answer {
        /// Response code.
        code: i32,
        /// Words with it.
        remark: Option<String>,
    },
    /// Do it, and say that it is done with this code: 10 to 12, of what is stored and not yet safe.
    Status(i32),
    /// Do it and say nothing.
    DropAnswer,
    /// Never see it.
    DropRequest,
    /// End the connection instead of doing it.
    DisconnectBefore,
    /// Do it, and end the connection instead of answering.
    DisconnectAfter,
    /// So many bytes of the answer, then the end of the connection.
    CutAnswerAt(usize),
    /// From here on the connection is open and silent.
    Blackhole,
    /// Stored after the next send of the same queue.
    Disorder,
    /// The store stands still for so many ms; sends that wait too long are refused.
    Stall(u64),
    /// These bytes instead of the answer.
    Garbage(Bytes),
}

/// All that the rules want of one request.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule's wish of its own")]
pub(crate) struct Verdict {
    pub(crate) delay_ms: u64,
    pub(crate) stall_ms: u64,
    pub(crate) answer: Option<(i32, Option<String>)>,
    pub(crate) status: Option<i32>,
    pub(crate) drop_answer: bool,
    pub(crate) drop_request: bool,
    pub(crate) disconnect_before: bool,
    pub(crate) disconnect_after: bool,
    pub(crate) cut_answer_at: Option<usize>,
    pub(crate) blackhole: bool,
    pub(crate) disorder: bool,
    pub(crate) garbage: Option<Bytes>,
}

impl Verdict {
    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Delay(ms) => self.delay_ms = self.delay_ms.max(*ms),
            Effect::Stall(ms) => self.stall_ms = self.stall_ms.max(*ms),
            Effect::Answer { code, remark } => self.answer = Some((*code, remark.clone())),
            Effect::Status(code) => self.status = Some(*code),
            Effect::DropAnswer => self.drop_answer = true,
            Effect::DropRequest => self.drop_request = true,
            Effect::DisconnectBefore => self.disconnect_before = true,
            Effect::DisconnectAfter => self.disconnect_after = true,
            Effect::CutAnswerAt(bytes) => self.cut_answer_at = Some(*bytes),
            Effect::Blackhole => self.blackhole = true,
            Effect::Disorder => self.disorder = true,
            Effect::Garbage(bytes) => self.garbage = Some(bytes.clone()),
        }
    }
}

#[derive(Debug)]
struct Rule {
    id: u32,
    request: FaultMatch,
    effect: Effect,
    matched: u64,
    hits: u64,
}

impl Rule {
    fn fires(&mut self, asked: &Asked, seed: u64) -> bool {
        let wanted = &self.request;
        let matches = (wanted.codes.is_empty() || wanted.codes.contains(&asked.code))
            && wanted.client.as_ref().is_none_or(|client| client.matches(&asked.client))
            && asked.touches(wanted.topic.as_deref(), wanted.queue_id);
        if !matches {
            return false;
        }
        self.matched += 1;
        let times = wanted.times.unwrap_or(if wanted.nth.is_some() { 1 } else { u64::MAX });
        let drawn =
            wanted.probability.is_none_or(|chance| draw(seed, STREAM + u64::from(self.id), self.matched) < chance);
        let fires = self.matched >= wanted.nth.unwrap_or(1) && self.hits < times && drawn;
        self.hits += u64::from(fires);
        fires
    }
}

/// The rules in force, in the order in which they were made. Several may hit one request.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    made: u32,
    /// Hits of rules that were removed.
    past: Vec<(u32, u64)>,
}

impl Faults {
    /// Makes a rule; its number.
    pub(crate) fn add(&mut self, request: FaultMatch, effect: Effect) -> u32 {
        let id = self.made;
        self.made += 1;
        self.rules.push(Rule { id, request, effect, matched: 0, hits: 0 });
        id
    }

    /// How often a rule has hit.
    pub(crate) fn hits(&self, id: u32) -> u64 {
        let now = self.rules.iter().find(|rule| rule.id == id).map(|rule| rule.hits);
        now.or_else(|| self.past.iter().find(|(past, _)| *past == id).map(|(_, hits)| *hits)).unwrap_or(0)
    }

    /// Takes a rule back.
    pub(crate) fn remove(&mut self, id: u32) {
        if let Some(at) = self.rules.iter().position(|rule| rule.id == id) {
            let rule = self.rules.remove(at);
            self.past.push((id, rule.hits));
        }
    }

    /// Takes all rules back.
    pub(crate) fn clear(&mut self) {
        self.past.extend(self.rules.drain(..).map(|rule| (rule.id, rule.hits)));
    }

    /// What the rules want of a request.
    pub(crate) fn judge(&mut self, asked: &Asked, seed: u64) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.rules {
            if rule.fires(asked, seed) {
                verdict.add(&rule.effect);
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use regress::Regex;

    use super::{ClientPattern, Effect, FaultMatch, Faults};
    use crate::faults::requests_seen::Asked;

    fn send(topic: &str, queue_id: i32) -> Asked {
        Asked { code: 310, client: "ip@1#2".into(), queues: vec![(topic.into(), Some(queue_id))], ..Asked::default() }
    }

    fn hits(request: FaultMatch, seed: u64) -> Vec<usize> {
        let mut faults = Faults::default();
        faults.add(request, Effect::DropAnswer);
        (1..=200).filter(|_| faults.judge(&send("t", 0), seed).drop_answer).collect()
    }

    #[test]
    fn every_field_must_match() {
        let regex = |text| Some(ClientPattern::Regex(Box::new(Regex::new(text).unwrap())));
        let matches = |request: FaultMatch| !hits(request, 1).is_empty();
        assert!(matches(FaultMatch::default()));
        assert!(matches(FaultMatch {
            codes: vec![11, 310],
            topic: Some("t".into()),
            queue_id: Some(0),
            ..Default::default()
        }));
        assert!(matches(FaultMatch { client: regex("^ip@\\d+#"), ..Default::default() }));
        assert!(!matches(FaultMatch { client: regex("^other"), ..Default::default() }));
        assert!(!matches(FaultMatch { client: Some(ClientPattern::Exact("ip".into())), ..Default::default() }));
        assert!(!matches(FaultMatch { codes: vec![11], ..Default::default() }));
        assert!(!matches(FaultMatch { topic: Some("u".into()), ..Default::default() }));
        assert!(!matches(FaultMatch { queue_id: Some(1), ..Default::default() }));
    }

    #[test]
    fn occurrences_are_counted_from_one() {
        assert_eq!(hits(FaultMatch { nth: Some(3), ..Default::default() }, 1), [3]);
        assert_eq!(hits(FaultMatch { nth: Some(3), times: Some(2), ..Default::default() }, 1), [3, 4]);
        assert_eq!(hits(FaultMatch { times: Some(2), ..Default::default() }, 1), [1, 2]);
    }

    #[test]
    fn the_same_seed_hits_the_same_occurrences() {
        let rare = || FaultMatch { probability: Some(0.1), ..Default::default() };
        let once = hits(rare(), 42);
        assert_eq!(once, hits(rare(), 42));
        assert_ne!(once, hits(rare(), 43));
        assert!((5..=40).contains(&once.len()), "{once:?}");
        assert_eq!(hits(FaultMatch { probability: Some(0.0), ..Default::default() }, 1), Vec::<usize>::new());
    }

    #[test]
    fn rules_add_up_and_are_taken_back() {
        let mut faults = Faults::default();
        let late = faults.add(FaultMatch::default(), Effect::Delay(5));
        let cut = faults.add(FaultMatch::default(), Effect::CutAnswerAt(3));
        let verdict = faults.judge(&send("t", 0), 1);
        assert_eq!((verdict.delay_ms, verdict.cut_answer_at), (5, Some(3)));
        faults.remove(cut);
        faults.judge(&send("t", 0), 1);
        assert_eq!((faults.hits(late), faults.hits(cut)), (2, 1));
        faults.clear();
        assert_eq!(faults.judge(&send("t", 0), 1), super::Verdict::default());
        assert_eq!(faults.hits(late), 2);
    }
}
