//! The group's roll: who its members are, and who should have had a queue before us, so that a queue that waits can say for whom.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use super::brokers::Brokers;
use super::queue::Phase;
use super::shared::Shared;
use crate::env::{self, Instant};
use crate::protocol::allocation::averagely;
use crate::protocol::{MessageQueue, Subscription};

/// So many members are named; of more, their number.
const NAMED: usize = 8;

/// Whom a queue belonged to by an earlier allocation.
#[derive(Clone, Debug)]
struct Former {
    member: String,
    /// When it had left the group.
    gone: Option<Instant>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    members: Vec<String>,
    formers: BTreeMap<MessageQueue, Former>,
}

/// Who may hold a lock that we were refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
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
    fn roll(&self) -> MutexGuard<'_, Roll> {
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members by the latest look, sorted; remembers who had which queue by the one before.
    pub(super) fn note_members(&self, members: &[String]) {
        let mut roll = self.roll();
        if roll.members == members {
            return;
        }
        let mut before = std::mem::replace(&mut roll.members, members.to_vec());
        if before.is_empty() {
            // We have just come: before us the others had all of it.
            before = members.iter().filter(|member| *member != self.brokers.id()).cloned().collect();
        }
        for Subscription { topic, .. } in &self.subscriptions {
            let Some(route) = self.brokers.watch_route(topic).borrow().route.clone() else { continue };
            let queues = route.read_queues(topic);
            for member in &before {
                for queue in averagely(&queues, &before, member).unwrap_or_default() {
                    self.note_former(&mut roll, queue, member);
                }
            }
        }
    }

    /// This member had, or should have had, the queue until now.
    fn note_former(&self, roll: &mut Roll, queue: MessageQueue, member: &str) {
        let now = env::now();
        let is_gone = |member: &str| (!roll.members.iter().any(|listed| listed == member)).then_some(now);
        match roll.formers.get(&queue) {
            // A dead member's lock outlives whoever was to have the queue next.
            Some(former) if former.gone.is_some() && self.may_hold(former, now) => {}
            // It was to give the queue to us, and has not.
            Some(Former { member: former, gone: None })
                if member == self.brokers.id() && self.is_waited_for(&queue) =>
            {
                let former = Former { gone: is_gone(former), member: former.clone() };
                roll.formers.insert(queue, former);
            }
            _ if member == self.brokers.id() => _ = roll.formers.remove(&queue),
            _ => {
                let former = Former { gone: is_gone(member), member: member.to_owned() };
                roll.formers.insert(queue, former);
            }
        }
    }

    fn is_waited_for(&self, queue: &MessageQueue) -> bool {
        self.find(queue).is_some_and(|queue| queue.view().phase == Phase::Locking)
    }

    /// Whether the lock of a former owner can still be there.
    fn may_hold(&self, former: &Former, now: Instant) -> bool {
        former.gone.is_none_or(|gone| now < gone + self.brokers.timing().standing)
    }

    /// Who may hold the lock of this real queue.
    pub(super) fn holder(&self, queue: &MessageQueue) -> Holder {
        let roll = self.roll();
        match roll.formers.get(queue).filter(|former| self.may_hold(former, env::now())) {
            Some(Former { member, gone: Some(_) }) => Holder::Gone(member.clone()),
            Some(Former { member, gone: None }) if roll.members.contains(member) => Holder::Member(member.clone()),
            _ if roll.members.iter().all(|member| member == self.brokers.id()) => Holder::Unlisted,
            _ => Holder::Unknown,
        }
    }

    /// The other members, for people.
    pub(super) fn other_members(&self) -> String {
        let roll = self.roll();
        let others: Vec<&str> =
            roll.members.iter().map(String::as_str).filter(|member| *member != self.brokers.id()).collect();
        match others.len() {
            0 => String::from("no other member"),
            count if count > NAMED => format!("{} and {} others", others[..NAMED].join(", "), count - NAMED),
            _ => others.join(", "),
        }
    }
}
