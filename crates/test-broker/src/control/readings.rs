//! What a test reads of its broker, and waits for.

use std::time::Duration;

use super::commands::no_topic;
use super::views::{LockView, MessageView, OffsetView, RequestView, offsets_of, stored_behind};
use crate::TestBroker;
use crate::env;
use crate::error::{Code, Refused};
use crate::groups::locks;
use crate::protocol::MessageQueue;
use crate::state::broker::Broker;
use crate::store::queues::Topic;

impl TestBroker {
    /// Everything stored in a topic, by broker, queue and offset.
    pub fn messages(&self, topic: &str) -> Result<Vec<MessageView>, Refused> {
        self.open()?;
        let state = self.shared.lock();
        if !state.brokers.iter().any(|broker| broker.topics.contains_key(topic)) {
            // A group's dead letters begin with the first one.
            return if topic.starts_with('%') { Ok(Vec::new()) } else { Err(no_topic(topic)) };
        }
        let of = |broker: &Broker| -> Vec<MessageView> {
            let queues = broker.topics.get(topic).into_iter().flat_map(Topic::used);
            queues
                .flat_map(|(_, queue)| queue.iter().map(|(_, record)| MessageView::of(&broker.name, record)))
                .collect()
        };
        Ok(state.brokers.iter().flat_map(of).collect())
    }

    /// How far a group has come, in every queue of the topics that it wants or has committed.
    pub fn offsets(&self, group: &str) -> Result<Vec<OffsetView>, Refused> {
        self.open()?;
        Ok(offsets_of(&self.shared.lock(), group))
    }

    /// Waits until a group has committed everything that is stored for it. A group that nobody has heard of is waited for.
    pub async fn caught_up(&self, group: &str, timeout: Duration) -> Result<(), Refused> {
        self.open()?;
        let mut changes = self.shared.changes();
        let caught_up = async {
            loop {
                changes.borrow_and_update();
                self.open()?;
                let offsets = offsets_of(&self.shared.lock(), group);
                if !offsets.is_empty() && offsets.iter().all(|queue| queue.lag <= 0) {
                    return Ok(());
                }
                if changes.changed().await.is_err() {
                    return Err(crate::closed());
                }
            }
        };
        tokio::time::timeout(timeout, caught_up).await.unwrap_or_else(|_| {
            let behind: Vec<_> =
                offsets_of(&self.shared.lock(), group).into_iter().filter(|queue| queue.lag > 0).collect();
            let what = if behind.is_empty() {
                "no consumer of this group has come".to_owned()
            } else {
                let lag = |queue: &OffsetView| format!("{} lacks {}", queue.queue, queue.lag);
                behind.iter().take(5).map(lag).collect::<Vec<_>>().join(", ")
            };
            let text = format!("{group} has not caught up within {} ms: {what}", timeout.as_millis());
            Err(Refused::new(Code::Timeout, text))
        })
    }

    /// Client ids of a group's members at all brokers, each once, sorted.
    pub fn members(&self, group: &str) -> Result<Vec<String>, Refused> {
        self.open()?;
        let state = self.shared.lock();
        let groups = state.brokers.iter().filter_map(|broker| broker.registrations.consumers.get(group));
        let mut ids: Vec<_> = groups.flat_map(|group| group.client_ids()).map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// The locks that a group's members hold.
    pub fn locks(&self, group: &str) -> Result<Vec<LockView>, Refused> {
        self.open()?;
        let (now, wall) = (env::now(), env::wall_ms());
        let state = self.shared.lock();
        let held = state.brokers.iter().flat_map(|broker| broker.locks.of(group, now));
        let view = |(queue, lock): (&MessageQueue, &locks::Lock)| LockView {
            queue: queue.clone(),
            client_id: lock.client_id.clone(),
            expires_at: wall + i64::try_from(lock.until.saturating_duration_since(now).as_millis()).unwrap_or(0),
        };
        Ok(held.map(view).collect())
    }

    /// The requests that came, oldest first.
    pub fn requests(&self) -> Result<Vec<RequestView>, Refused> {
        self.open()?;
        let state = self.shared.lock();
        Ok(state.seen.iter().map(RequestView::of).collect())
    }

    /// The most sends of one sharding key that were here and not answered at one time.
    pub fn max_in_flight_per_key(&self) -> Result<usize, Refused> {
        self.open()?;
        Ok(self.shared.lock().seen.most_in_flight())
    }

    /// What clients did that ruins a real broker; `close` does not fail because of what was read here.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().violations)
    }

    /// How often a rule has hit, also after it was taken back.
    pub fn fault_hits(&self, id: u32) -> u64 {
        self.shared.lock().faults.hits(id)
    }

    /// Waits for messages stored behind these places of the brokers' logs; the messages and the new places. For whoever prints
    /// what is stored.
    pub async fn stored_since(&self, mut places: Vec<i64>) -> Result<(Vec<MessageView>, Vec<i64>), Refused> {
        let mut changes = self.shared.changes();
        loop {
            changes.borrow_and_update();
            self.open()?;
            let stored = stored_behind(&self.shared.lock(), &mut places);
            if !stored.is_empty() {
                return Ok((stored, places));
            }
            changes.changed().await.map_err(|_| crate::closed())?;
        }
    }
}
