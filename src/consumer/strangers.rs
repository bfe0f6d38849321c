//! Members of the group that subscribe something else.
//!
//! Brokers keep one set of subscriptions per group, replaced by each heartbeat: a member without one of our topics makes a broker
//! forget it until our next heartbeat. Nobody says so; all that shows is that pulls are refused again and again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::brokers::Brokers;
use super::shared::Shared;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};

/// Several queues of a topic are refused at once, which is one time.
const APART: Duration = Duration::from_secs(1);
/// Heartbeats come every 30 s, ours and theirs: what is further apart has other reasons.
const TOGETHER: Duration = Duration::from_secs(120);
/// So many times in a row are no coincidence.
const TIMES: u32 = 3;

/// How often a broker has forgotten a topic lately.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    topics: HashMap<String, (u32, Instant)>,
    told: HashSet<String>,
}

impl Strangers {
    /// A topic was forgotten. True when that has become worth a warning, once per topic.
    fn note(&mut self, topic: &str, now: Instant) -> bool {
        let (times, last) = self.topics.entry(topic.to_owned()).or_insert((0, now));
        let since = now.saturating_duration_since(*last);
        if *times > 0 && since < APART {
            return false;
        }
        *times = if since > TOGETHER { 1 } else { *times + 1 };
        *last = now;
        *times >= TIMES && self.told.insert(topic.to_owned())
    }
}

impl<B: Brokers> Shared<B> {
    /// A broker does not know our subscription of this real topic; the warning, where it is time for one.
    pub(super) fn forgotten(&self, topic: &str) -> Option<ClientError> {
        let mut strangers = self.strangers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        strangers.note(topic, env::now()).then(|| {
            let (topic, group) = (self.brokers.unwrap(topic), &self.options.group);
            let text = format!(
                "the broker forgets again and again that group {group} subscribes topic {topic}: another member of the group \
                 subscribes other topics, and queues may wait for it in vain. All members of a group must subscribe the same \
                 topics with the same expressions; give other programs another group"
            );
            ClientError::new(Code::Broker, text).with_topic(topic)
        })
    }
}
