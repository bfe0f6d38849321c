//! Queue locks: a client id's text per group and queue, for 60 s, whatever connection it comes from.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::env::Instant;
use crate::protocol::MessageQueue;

/// How long a lock lasts without renewal; scaled by the time factor.
pub(crate) const LIFE: Duration = Duration::from_secs(60);

/// One lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) client_id: String,
    pub(crate) until: Instant,
}

/// The lock table of one broker: survives connections and heartbeats, not the broker.
#[derive(Debug, Default)]
pub(crate) struct Locks(BTreeMap<String, BTreeMap<MessageQueue, Lock>>);

impl Locks {
    /// Locks or renews what is free, expired or the client's own; returns what it holds now, in another order than asked.
    pub(crate) fn lock(
        &mut self,
        group: &str,
        client_id: &str,
        queues: &[MessageQueue],
        now: Instant,
        life: Duration,
    ) -> Vec<MessageQueue> {
        let table = self.0.entry(group.to_owned()).or_default();
        let mut granted = Vec::new();
        for queue in queues.iter().rev() {
            let held = table.get(queue).is_some_and(|lock| lock.until > now && lock.client_id != client_id);
            if !held {
                table.insert(queue.clone(), Lock { client_id: client_id.to_owned(), until: now + life });
                granted.push(queue.clone());
            }
        }
        granted
    }

    /// Unlocks the client's own; others are left alone without a word.
    pub(crate) fn unlock(&mut self, group: &str, client_id: &str, queues: &[MessageQueue]) {
        let Some(table) = self.0.get_mut(group) else { return };
        for queue in queues {
            if table.get(queue).is_some_and(|lock| lock.client_id == client_id) {
                table.remove(queue);
            }
        }
    }

    /// Whether any queue of the group is locked: what makes a 5.x broker take a retry send for a dead letter.
    pub(crate) fn any_held(&self, group: &str, now: Instant) -> bool {
        self.of(group, now).next().is_some()
    }

    /// The unexpired locks of a group.
    pub(crate) fn of(&self, group: &str, now: Instant) -> impl Iterator<Item = (&MessageQueue, &Lock)> {
        self.0.get(group).into_iter().flatten().filter(move |(_, lock)| lock.until > now)
    }

    /// Gives the group's locks, or one queue's, to somebody else.
    pub(crate) fn steal(
        &mut self,
        group: &str,
        queue: Option<&MessageQueue>,
        thief: &str,
        now: Instant,
        life: Duration,
    ) {
        let table = self.0.entry(group.to_owned()).or_default();
        if let Some(queue) = queue {
            table.insert(queue.clone(), Lock { client_id: thief.to_owned(), until: now + life });
            return;
        }
        for lock in table.values_mut() {
            *lock = Lock { client_id: thief.to_owned(), until: now + life };
        }
    }

    /// Forgets everything, as a restart does.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Locks;
    use crate::env;
    use crate::protocol::MessageQueue;

    const LIFE: Duration = Duration::from_secs(60);

    fn queues(ids: &[i32]) -> Vec<MessageQueue> {
        ids.iter().map(|id| MessageQueue::new("t", "broker-a", *id)).collect()
    }

    #[test]
    fn a_queue_belongs_to_one_client_until_it_unlocks_or_falls_silent() {
        let (mut locks, now) = (Locks::default(), env::now());
        assert_eq!(locks.lock("g", "c1", &queues(&[0, 1]), now, LIFE), queues(&[1, 0]));
        assert_eq!(locks.lock("g", "c2", &queues(&[0, 2]), now, LIFE), queues(&[2]));
        locks.unlock("g", "c2", &queues(&[0]));
        assert_eq!(locks.lock("g", "c2", &queues(&[0]), now, LIFE), []);
        assert_eq!(locks.lock("other", "c2", &queues(&[0]), now, LIFE), queues(&[0]), "another group, another lock");
        let renewed = now + Duration::from_secs(59);
        assert_eq!(locks.lock("g", "c1", &queues(&[0]), renewed, LIFE), queues(&[0]));
        assert_eq!(locks.lock("g", "c2", &queues(&[0, 1]), now + LIFE, LIFE), queues(&[1]));
        locks.unlock("g", "c1", &queues(&[0]));
        assert_eq!(locks.lock("g", "c2", &queues(&[0]), renewed, LIFE), queues(&[0]));
    }

    #[test]
    fn the_brokers_name_is_part_of_the_lock() {
        let (mut locks, now) = (Locks::default(), env::now());
        locks.lock("g", "c1", &queues(&[0]), now, LIFE);
        let other = vec![MessageQueue::new("t", "BROKER-A", 0)];
        assert_eq!(locks.lock("g", "c2", &other, now, LIFE), other);
    }

    #[test]
    fn locks_are_stolen_and_forgotten() {
        let (mut locks, now) = (Locks::default(), env::now());
        locks.lock("g", "c1", &queues(&[0, 1]), now, LIFE);
        assert!(locks.any_held("g", now) && !locks.any_held("g", now + LIFE) && !locks.any_held("x", now));
        locks.steal("g", Some(&queues(&[1])[0]), "thief", now, LIFE);
        assert_eq!(locks.lock("g", "c1", &queues(&[0, 1]), now, LIFE), queues(&[0]));
        locks.steal("g", None, "thief", now, LIFE);
        assert_eq!(locks.lock("g", "c1", &queues(&[0, 1]), now, LIFE), []);
        locks.forget();
        assert_eq!(locks.lock("g", "c1", &queues(&[0, 1]), now, LIFE), queues(&[1, 0]));
    }
}
