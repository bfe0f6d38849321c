//! The group's roll: who its members are, and who should have had a queue before us, so that a queue that waits can say for whom.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use crate::consumer::brokers::Brokers;
use crate::consumer::queue::Phase;
use crate::consumer::shared::Shared;
use crate::env::{self, Instant};
use crate::protocol::allocation::averagely;
use crate::protocol::{MessageQueue, Subscription};

/// So many members are named; of more, their number.
const NAMED: usize = 8;

/// Whom a queue belonged to by an earlier allocation.
#[derive(Clone, Debug)]
struct FormerOwner {
    member: String,
    /// When it had left the group.
    gone: Option<Instant>,
}

/// The members by the latest look, and what is known of those before.
#[derive(Debug, Default)]
pub(crate) struct Members {
    listed: Vec<String>,
    formers: BTreeMap<MessageQueue, FormerOwner>,
}

/// Who may hold a lock that we were refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// A member that has left the group.
    Gone(String),
    /// A member that is to give the queue back.
    Member(String),
    /// Nobody that the brokers list.
    Unlisted,
    /// Any of the members, or one that has left before we came.
    Unknown,
}

impl<B: Brokers> Shared<B> {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.group.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members by the latest look, sorted; remembers who had which queue by the one before.
    pub(crate) fn note_members(&self, members: &[String]) {
        let mut known = self.members();
        if known.listed == members {
            return;
        }
        let mut before = std::mem::replace(&mut known.listed, members.to_vec());
        if before.is_empty() {
            // We have just come: before us the others had all of it.
            before = members.iter().filter(|member| *member != self.brokers.id()).cloned().collect();
        }
        for Subscription { topic, .. } in &self.subscriptions.all {
            let Some(route) = self.brokers.watch_route(topic).borrow().route.clone() else { continue };
            let queues = route.read_queues(topic);
            for member in &before {
                for queue in averagely(&queues, &before, member).unwrap_or_default() {
                    self.note_former(&mut known, queue, member);
                }
            }
        }
    }

    /// This member had, or should have had, the queue until now.
    fn note_former(&self, known: &mut Members, queue: MessageQueue, member: &str) {
        let now = env::now();
        let is_gone = |member: &str| (!known.listed.iter().any(|listed| listed == member)).then_some(now);
        match known.formers.get(&queue) {
            // A dead member's lock outlives whoever was to have the queue next.
            Some(former) if former.gone.is_some() && self.may_hold(former, now) => {}
            // It was to give the queue to us, and has not.
            Some(FormerOwner { member: former, gone: None })
                if member == self.brokers.id() && self.is_waited_for(&queue) =>
            {
                let former = FormerOwner { gone: is_gone(former), member: former.clone() };
                known.formers.insert(queue, former);
            }
            _ if member == self.brokers.id() => _ = known.formers.remove(&queue),
            _ => {
                let former = FormerOwner { gone: is_gone(member), member: member.to_owned() };
                known.formers.insert(queue, former);
            }
        }
    }

    fn is_waited_for(&self, queue: &MessageQueue) -> bool {
        self.queues.find(queue).is_some_and(|queue| queue.view().phase == Phase::Locking)
    }

    /// Whether the lock of a former owner can still be there.
    fn may_hold(&self, former: &FormerOwner, now: Instant) -> bool {
        former.gone.is_none_or(|gone| now < gone + self.brokers.timing().stalled_after)
    }

    /// Who may hold the lock of this real queue.
    pub(crate) fn holder(&self, queue: &MessageQueue) -> Holder {
        let known = self.members();
        match known.formers.get(queue).filter(|former| self.may_hold(former, env::now())) {
            Some(FormerOwner { member, gone: Some(_) }) => Holder::Gone(member.clone()),
            Some(FormerOwner { member, gone: None }) if known.listed.contains(member) => Holder::Member(member.clone()),
            _ if known.listed.iter().all(|member| member == self.brokers.id()) => Holder::Unlisted,
            _ => Holder::Unknown,
        }
    }

    /// The other members, for people.
    pub(crate) fn other_members(&self) -> String {
        let known = self.members();
        let others: Vec<&str> =
            known.listed.iter().map(String::as_str).filter(|member| *member != self.brokers.id()).collect();
        match others.len() {
            0 => String::from("no other member"),
            count if count > NAMED => format!("{} and {} others", others[..NAMED].join(", "), count - NAMED),
            _ => others.join(", "),
        }
    }
}
