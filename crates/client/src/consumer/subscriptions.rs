//! What the consumer subscribes: the topics that have handlers, and the group's retry topic.

use std::collections::HashMap;
use std::sync::Arc;

use super::brokers::Brokers;
use super::group::Group;
use super::options::{MessageModel, Wish};
use crate::error::{ClientError, Code};
use crate::protocol::{ExpressionKind, Invalid, Subscription};

/// See the module. Topics by their real names.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    /// The topics that have handlers, real name to user's name.
    pub(crate) topics: HashMap<String, Arc<str>>,
    /// All subscriptions, the retry topic's too, which broadcasting has none of. Their versions never change: every pull brings its own expression, so nobody's has to
    /// be the newest, and members that pull by what the broker keeps, as Java's do, are not overruled by ours again and again.
    pub(crate) all: Vec<Subscription>,
    /// Their places, by topic: every pull needs one.
    places: HashMap<String, usize>,
}

impl Subscriptions {
    /// Refuses an expression that can match nothing.
    pub(crate) fn new(
        brokers: &impl Brokers,
        wishes: &[Wish],
        model: &MessageModel,
        group: &Group,
    ) -> Result<Self, ClientError> {
        let now = brokers.wall_ms();
        let (mut topics, mut all) = (HashMap::new(), Vec::new());
        for wish in wishes {
            let topic = brokers.wrap(&wish.topic);
            let subscription = match wish.kind {
                ExpressionKind::Tag => Subscription::by_tags(topic.as_str(), &wish.expression, now),
                ExpressionKind::Sql92 => Subscription::by_sql92(topic.as_str(), &wish.expression, now),
            };
            all.push(subscription.map_err(|invalid| unreadable(&invalid, &wish.topic))?);
            topics.insert(topic, Arc::from(wish.topic.as_str()));
        }
        if *model == MessageModel::Clustering {
            // Java subscribes it too; without it our heartbeats and Java's would undo each other.
            let retry = Subscription::by_tags(group.retry_topic.as_str(), "*", now);
            all.push(retry.map_err(|invalid| unreadable(&invalid, &group.name))?);
        }
        let places = all.iter().enumerate().map(|(place, it)| (it.topic.clone(), place)).collect();
        Ok(Self { topics, all, places })
    }

    /// The subscription of a topic.
    pub(crate) fn of(&self, topic: &str) -> Option<&Subscription> {
        self.all.get(*self.places.get(topic)?)
    }
}

fn unreadable(invalid: &Invalid, topic: &str) -> ClientError {
    ClientError::new(Code::Filter, invalid.to_string()).with_topic(topic)
}
