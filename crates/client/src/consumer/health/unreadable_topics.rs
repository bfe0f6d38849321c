//! Topics that nobody may read: they have a route, but not one of their queues is anybody's.

use std::collections::BTreeSet;

use crate::consumer::brokers::Brokers;
use crate::consumer::shared::Shared;
use crate::error::{ClientError, Code};

impl<B: Brokers> Shared<B> {
    /// Our topics without a queue that may be read, each with what to do.
    pub(crate) fn unreadable_topics(&self) -> Vec<(String, ClientError)> {
        let mut found = Vec::new();
        for (topic, shown) in &self.subscriptions.topics {
            let Some(route) = self.brokers.watch_route(topic).borrow().route.clone() else { continue };
            if route.queue_datas.is_empty() || !route.read_queues(topic).is_empty() {
                continue;
            }
            let text = format!(
                "topic {shown} has no queue that may be read, so that none of its messages is handled: it, or its brokers, have no \
                 read permission; {}",
                self.brokers.advice().make_readable(topic)
            );
            found.push((topic.clone(), ClientError::new(Code::AccessDenied, text).with_topic(shown.as_ref())));
        }
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Warns of those that were not so at the last look; returns what is so now.
    pub(crate) fn tell_unreadable_topics(&self, before: &BTreeSet<String>) -> BTreeSet<String> {
        let found = self.unreadable_topics();
        for (topic, error) in &found {
            if !before.contains(topic) {
                self.warn(error.clone());
            }
        }
        found.into_iter().map(|(topic, _)| topic).collect()
    }
}
