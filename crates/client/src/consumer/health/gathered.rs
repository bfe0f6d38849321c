//! Warnings of many queues: the first of a kind are told as they come, the others together, ever more seldom.
//!
//! A topic may have 65 536 queues at one broker, and what fails for one of them fails for all.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::stalls::in_words;
use crate::consumer::brokers::Brokers;
use crate::consumer::queue::Queue;
use crate::consumer::shared::Shared;
use crate::env;
use crate::error::ClientError;

/// So many of a kind are told one by one.
const SINGLE: u32 = 8;
/// First and longest time in which the others are gathered.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What is told together: topic, broker, and what has happened.
type Kind = (String, String, &'static str, Option<i32>);

/// Of one kind, since it was told last.
#[derive(Debug, Default)]
struct Others {
    told: u32,
    queue_ids: BTreeSet<i32>,
    last: Option<ClientError>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gathered(Mutex<HashMap<Kind, Others>>);

impl Gathered {
    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Others>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come together of a kind; a kind of which nothing has come is forgotten.
    fn take(&self, kind: &Kind) -> Option<ClientError> {
        let mut kinds = self.lock();
        let others = kinds.get_mut(kind)?;
        let queue_ids: Vec<i32> = std::mem::take(&mut others.queue_ids).into_iter().collect();
        let Some(last) = others.last.take() else {
            kinds.remove(kind);
            return None;
        };
        if queue_ids.len() == 1 {
            return Some(last);
        }
        let (topic, broker_name, ..) = kind;
        let text = format!("{} of {topic} at {broker_name}", in_words(&queue_ids));
        Some(last.without_queue().with_topic(topic).with_prefix(&text))
    }
}

impl<B: Brokers> Shared<B> {
    /// A fault of one queue, which many may have.
    pub(crate) fn warn_of(self: &Arc<Self>, queue: &Queue, error: ClientError) {
        let name = &queue.shown;
        let kind = (name.topic.clone(), name.broker_name.clone(), error.code().as_str(), error.broker_code());
        let is_first = {
            let mut kinds = self.watches.gathered.lock();
            let others = kinds.entry(kind.clone()).or_default();
            if others.told == SINGLE {
                others.queue_ids.insert(name.queue_id);
                others.last = Some(error);
                return;
            }
            others.told += 1;
            others.told == 1
        };
        if is_first {
            self.gather(kind);
        }
        self.warn(error);
    }

    /// Tells of a kind until no more of it come. Closing tells by itself of what it leaves behind.
    fn gather(self: &Arc<Self>, kind: Kind) {
        let shared = Arc::downgrade(self);
        env::spawn(async move {
            let mut pause = PAUSE.0;
            loop {
                tokio::time::sleep(pause).await;
                let Some(shared) = shared.upgrade().filter(|shared| shared.last_call.get().is_none()) else { return };
                let Some(error) = shared.watches.gathered.take(&kind) else { return };
                shared.warn(error);
                pause = (pause * 2).min(PAUSE.1);
            }
        });
    }
}
