//! Whether all members of the group subscribe alike.
//!
//! Members share the queues whatever they subscribe, and brokers check nothing: a member with another expression passes over, for good,
//! what the others would have handled; the queues that fall to one that does not subscribe their topic are handled by nobody. A broker
//! tells (203) one expression per topic, of whoever announced the highest version. So each member is asked (307), through the broker, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::models::{Models, is_broadcasting};
use super::subscription_difference::{Difference, Key, Subject};
use crate::client::{CallError, Event, Level};
use crate::consumer::brokers::Brokers;
use crate::consumer::shared::Shared;
use crate::env::{self, Instant};
use crate::error::ClientError;
use crate::protocol::code::response;
use crate::protocol::{Announced, Kept, KeptSubscriptions, MemberSubscriptions, Said};

/// After the members have changed: a new one has subscribed, and the change has reached everybody.
const SETTLED: Duration = Duration::from_secs(1);
/// Between two looks while the members stay the same.
const AGAIN: Duration = Duration::from_secs(60);
/// The same while somebody does not tell: what brokers keep shows it, if it is looked at at the right moment.
const OFTEN: Duration = Duration::from_secs(20);
/// Topics that a broker keeps of a member that has gone are gone with the next heartbeat of another.
const OUTDATED: Duration = Duration::from_secs(40);
/// Until the next look while somebody has not been asked yet.
const SOON: Duration = Duration::from_secs(5);
/// Between two questions: each makes a broker ask a client.
const APART: Duration = Duration::from_millis(100);
/// Longest wait for an answer; brokers wait 10 s for the member's.
const PATIENCE: Duration = Duration::from_secs(12);
/// Questions of one look.
const AT_ONCE: usize = 8;
/// Members that are asked. In a larger group each asks those that come after it, so that all are asked by as many.
const MOST: usize = 48;
/// Questions without an answer, after which a member counts as one that does not tell.
const TRIES: u32 = 3;
/// Until the next question after the account was refused.
const DENIED: Duration = Duration::from_secs(600);

/// The other members by client id, each with a master that knows it.
pub(crate) type Others = BTreeMap<String, String>;

/// What is known of one member.
#[derive(Debug)]
enum Known {
    /// Its own word.
    Said(Vec<Announced>),
    /// No answer to so many questions.
    Silent(u32),
}

/// See the module.
struct SubscriptionCheck<B> {
    shared: Arc<Shared<B>>,
    ours: Vec<Announced>,
    members: BTreeMap<String, Known>,
    /// What a broker keeps for the group, if it told at the last look.
    kept: Option<Vec<Announced>>,
    /// Expressions in it that are not ours, and that nobody has said.
    puzzles: BTreeSet<Key>,
    /// Topics that brokers were seen to keep or to miss, by members that do not tell: each heartbeat replaces the topics of the one before.
    seen: BTreeMap<Key, Subject>,
    silent: BTreeSet<String>,
    models: Models,
    others: Others,
    /// When the members changed last.
    changed_at: Instant,
    /// In force; all of them are told.
    differences: BTreeMap<Key, Difference>,
    denied_until: Option<Instant>,
}

/// Looks until it is aborted.
pub(crate) async fn run<B: Brokers>(shared: Arc<Shared<B>>) {
    let mut others = shared.group.others.subscribe();
    // The first look at the group may have been before.
    others.mark_changed();
    // Every member asks with its retry topic, which no user names.
    let named = shared.subscriptions.all.iter().filter(|ours| ours.topic != shared.group.retry_topic);
    let mut check = SubscriptionCheck {
        ours: named.map(Announced::from).collect(),
        shared: Arc::clone(&shared),
        members: BTreeMap::new(),
        kept: None,
        puzzles: BTreeSet::new(),
        seen: BTreeMap::new(),
        silent: BTreeSet::new(),
        models: Models::default(),
        others: Others::new(),
        changed_at: env::now(),
        differences: BTreeMap::new(),
        denied_until: None,
    };
    let mut pause = AGAIN;
    loop {
        if let Ok(Ok(())) = timeout(env::jittered(pause), others.changed()).await {
            sleep(env::jittered(SETTLED)).await;
        }
        let now = others.borrow_and_update().clone();
        pause = check.look(&now).await;
    }
}

impl<B: Brokers> Shared<B> {
    fn differs(&self, message_model: &str) -> bool {
        is_broadcasting(message_model) != self.is_broadcasting()
    }
}

impl<B: Brokers> SubscriptionCheck<B> {
    /// One look at the group; returns when the next one is due.
    async fn look(&mut self, others: &Others) -> Duration {
        self.members.retain(|member, _| others.contains_key(member));
        if self.others != *others {
            self.others.clone_from(others);
            self.changed_at = env::now();
            self.models.renew(others);
        }
        let asked = following(self.shared.brokers.id(), others);
        if self.denied_until.is_none_or(|until| env::now() >= until) {
            self.denied_until = None;
            if let Err(error) = self.ask(&asked).await {
                let fields = serde_json::json!({ "group": self.shared.options.group, "reason": error.message() });
                let text = "what the other members of the group subscribe is not looked at: the account may not ask";
                self.shared.brokers.emit(Event::log(Level::Debug, text, fields));
                self.denied_until = Some(env::now() + DENIED);
            }
        }
        self.look_for_silent_ones();
        self.tell();
        let has_said = |member: &String| matches!(self.members.get(member), Some(Known::Said(_)));
        let is_waiting = asked.iter().any(|(member, _)| self.is_due(member) && !has_said(member));
        match (self.denied_until.is_some(), is_waiting, self.silent.is_empty()) {
            (true, _, _) | (false, false, true) => AGAIN,
            (false, true, _) => SOON,
            (false, false, false) => OFTEN,
        }
    }

    /// Asks a broker what it keeps, and the members that are due. Fails where the account may not ask.
    async fn ask(&mut self, asked: &[(String, String)]) -> Result<(), ClientError> {
        let Some((_, address)) = asked.first() else {
            self.kept = None;
            return Ok(());
        };
        let request = KeptSubscriptions { group: self.shared.group.name.clone() };
        match self.shared.brokers.call(address, &request, PATIENCE).await {
            Ok(Kept { announced, message_model }) => {
                self.models.show(message_model.is_some_and(|model| self.shared.differs(&model)));
                self.keep(announced);
            }
            Err(error) if error.is_access_denied() => return Err(error.into_error()),
            Err(_) => self.kept = None,
        }
        let due: Vec<_> = asked.iter().filter(|(member, _)| self.is_due(member)).take(AT_ONCE).collect();
        for (member, address) in due {
            sleep(env::jittered(APART)).await;
            let request = MemberSubscriptions { group: self.shared.group.name.clone(), client_id: member.clone() };
            match self.shared.brokers.call(address, &request, PATIENCE).await {
                Ok(Said { announced, message_model }) => {
                    if let Some(model) = message_model {
                        self.models.say(member, self.shared.differs(&model));
                    }
                    match announced {
                        Some(announced) => _ = self.members.insert(member.clone(), Known::Said(announced)),
                        None => self.silent(member, TRIES),
                    }
                }
                Err(error) if error.is_access_denied() => return Err(error.into_error()),
                Err(CallError::Refused { refusal, .. }) if refusal.code == response::REQUEST_CODE_NOT_SUPPORTED => {
                    self.silent(member, TRIES);
                }
                Err(_) => self.silent(member, 1),
            }
        }
        Ok(())
    }

    /// A member has not answered; what it has said before counts on.
    fn silent(&mut self, member: &str, times: u32) {
        let known = self.members.entry(member.to_owned()).or_insert(Known::Silent(0));
        if let Known::Silent(tries) = known {
            *tries += times;
        }
    }

    /// Whether to ask now: never before, in vain, or it differed when it was asked last.
    fn is_due(&self, member: &str) -> bool {
        match self.members.get(member) {
            None => true,
            Some(Known::Silent(tries)) => *tries < TRIES,
            Some(Known::Said(said)) => !self.subjects(said).is_empty(),
        }
    }

    /// Takes over what a broker keeps. A new expression that nobody has said makes everybody's word old: Java's clients may change theirs.
    fn keep(&mut self, kept: Vec<Announced>) {
        let kept: Vec<_> = kept.into_iter().filter(|kept| kept.topic != self.shared.group.retry_topic).collect();
        let unexplained = self.unexplained(Some(&kept)).into_iter();
        let expressions = unexplained.filter(|subject| matches!(subject, Subject::Expression { .. }));
        let puzzles: BTreeSet<Key> = expressions.map(|subject| subject.key(false)).collect();
        if !puzzles.is_subset(&self.puzzles) {
            let agrees = |known: &Known| matches!(known, Known::Said(said) if self.subjects(said).is_empty());
            let old: Vec<_> =
                self.members.iter().filter(|(_, known)| agrees(known)).map(|(id, _)| id.clone()).collect();
            self.members.retain(|member, _| !old.contains(member));
        }
        self.puzzles = puzzles;
        self.kept = Some(kept);
    }

    /// How a set of subscriptions differs from ours.
    fn subjects(&self, theirs: &[Announced]) -> Vec<Subject> {
        let find = |all: &[Announced], topic: &str| all.iter().find(|announced| announced.topic == topic).cloned();
        let missing = self.ours.iter().filter_map(|ours| match find(theirs, &ours.topic) {
            None => Some(Subject::Theirs(ours.topic.clone())),
            Some(theirs) => (!ours.agrees_with(&theirs)).then(|| Subject::Expression { ours: ours.clone(), theirs }),
        });
        let is_extra = |theirs: &&Announced| {
            theirs.topic != self.shared.group.retry_topic && find(&self.ours, &theirs.topic).is_none()
        };
        missing.chain(theirs.iter().filter(is_extra).map(|theirs| Subject::Ours(theirs.topic.clone()))).collect()
    }

    /// What a broker keeps otherwise than we subscribe, and which no member has said.
    fn unexplained(&self, kept: Option<&Vec<Announced>>) -> Vec<Subject> {
        let said = self.members.values().flat_map(|known| match known {
            Known::Said(said) => self.subjects(said),
            Known::Silent(_) => Vec::new(),
        });
        let said: BTreeSet<Key> = said.map(|subject| subject.key(true)).collect();
        let mut subjects = kept.map_or_else(Vec::new, |kept| self.subjects(kept));
        subjects.retain(|subject| !said.contains(&subject.key(true)));
        subjects
    }

    /// What is in force now.
    fn found(&self) -> BTreeMap<Key, Difference> {
        let mut found = BTreeMap::new();
        for (member, known) in &self.members {
            if let Known::Said(said) = known {
                for subject in self.subjects(said) {
                    let new = || Difference { subject: subject.clone(), certain: true, members: BTreeSet::new() };
                    let difference: &mut Difference = found.entry(subject.key(true)).or_insert_with(new);
                    difference.members.insert(member.clone());
                }
            }
        }
        // Without anybody who keeps silent it is left over from a member that has gone, and harms nobody.
        if !self.silent.is_empty() {
            let expressions = self.unexplained(self.kept.as_ref()).into_iter();
            let expressions = expressions.filter(|subject| matches!(subject, Subject::Expression { .. }));
            for subject in expressions.chain(self.seen.values().cloned()) {
                let members = self.silent.clone();
                found.insert(subject.key(false), Difference { subject, certain: false, members });
            }
        }
        found
    }

    /// Finds members that do not tell, and what may be theirs; nobody is one, as long as somebody may still answer.
    fn look_for_silent_ones(&mut self) {
        let may_answer = |member: &String| match self.members.get(member) {
            None => self.others.len() <= MOST,
            Some(Known::Silent(tries)) => *tries < TRIES,
            Some(Known::Said(_)) => false,
        };
        let mut silent = BTreeSet::new();
        if self.denied_until.is_none() && !self.others.keys().any(may_answer) {
            let has_said = |member: &&String| matches!(self.members.get(*member), Some(Known::Said(_)));
            silent.extend(self.others.keys().filter(|member| !has_said(member)).cloned());
        }
        if silent != self.silent {
            self.silent = silent;
            self.seen.clear();
        }
        if env::now() >= self.changed_at + OUTDATED {
            let topics = self.unexplained(self.kept.as_ref()).into_iter();
            let topics = topics.filter(|subject| !matches!(subject, Subject::Expression { .. }));
            self.seen.extend(topics.map(|subject| (subject.key(false), subject)));
        }
    }

    /// Tells what is new, and what has ended.
    fn tell(&mut self) {
        let shared = Arc::clone(&self.shared);
        let group = &shared.options.group;
        let found = self.found();
        let before = std::mem::replace(&mut self.differences, found);
        let mut problems = Vec::new();
        for (key, difference) in &self.differences {
            let problem = difference.problem(group, |topic| shared.brokers.unwrap(topic));
            if !before.contains_key(key) {
                shared.warn(problem.clone());
            }
            problems.push(problem);
        }
        for (_, ended) in before.iter().filter(|(key, _)| !self.differences.contains_key(key)) {
            let fields = serde_json::json!({ "group": group, "topic": shared.brokers.unwrap(ended.subject.topic()) });
            let text = "no member is left that differed in what it subscribes of this topic";
            shared.brokers.emit(Event::log(Level::Info, text, fields));
        }
        if let Some((problem, is_news)) = self.models.problem(&self.others, group, shared.is_broadcasting()) {
            if is_news {
                shared.warn(problem.clone());
            }
            problems.push(problem);
        }
        shared.group.set_differences(problems);
    }
}

/// Those that come after us in a ring of all members, at most so many as are asked.
fn following(own: &str, others: &Others) -> Vec<(String, String)> {
    let after = others.iter().filter(|(member, _)| member.as_str() > own);
    let ring = after.chain(others.iter().filter(|(member, _)| member.as_str() < own));
    ring.take(MOST).map(|(member, address)| (member.clone(), address.clone())).collect()
}
