//! What the name server knows besides the brokers themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::broker::Broker;

/// Namespace of the fixed queue lists.
pub(crate) const ORDER_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";
/// Setting that shows them in routes.
const ORDER_ENABLED: &str = "orderMessageEnable";

/// What the name server knows besides the brokers themselves.
#[derive(Debug)]
pub(crate) struct NameServer {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) values: BTreeMap<(String, String), String>,
    /// Brokers whose routes have lost their write bit.
    pub(crate) wiped: BTreeSet<String>,
    /// Topics that an administrator deleted here; a broker that still has them brings them back when it changes them.
    pub(crate) deleted: BTreeSet<String>,
    /// The routes it goes on telling, while it hears of nothing new.
    pub(crate) stale: Option<BTreeMap<String, Value>>,
}

impl Default for NameServer {
    fn default() -> Self {
        let config = [(ORDER_ENABLED.to_owned(), "false".to_owned())].into();
        Self { config, values: BTreeMap::new(), wiped: BTreeSet::new(), deleted: BTreeSet::new(), stale: None }
    }
}

impl NameServer {
    /// A broker registers a topic.
    pub(crate) fn register(&mut self, topic: &str) {
        self.deleted.remove(topic);
    }

    /// Fixes the queue list of a topic, and has routes show it; or takes it back.
    pub(crate) fn set_order(&mut self, topic: &str, conf: Option<String>) {
        let key = (ORDER_NAMESPACE.to_owned(), topic.to_owned());
        if let Some(conf) = conf {
            self.config.insert(ORDER_ENABLED.to_owned(), true.to_string());
            self.values.insert(key, conf);
        } else {
            self.values.remove(&key);
        }
    }

    /// The fixed queue list of a topic, where such lists are shown.
    pub(crate) fn order_conf(&self, topic: &str) -> Option<&str> {
        let shown = self.config.get(ORDER_ENABLED).is_some_and(|value| value == "true");
        self.values.get(&(ORDER_NAMESPACE.to_owned(), topic.to_owned())).filter(|_| shown).map(String::as_str)
    }

    /// What a broker's route says of the permission of a topic.
    pub(crate) fn perm(&self, broker: &Broker, perm: i32) -> i32 {
        let limit = broker.number("brokerPermission").and_then(|limit| i32::try_from(limit).ok()).unwrap_or(6);
        let perm = if limit & 2 == 0 { perm & !2 } else { perm };
        if self.wiped.contains(&broker.name) { perm & !2 } else { perm }
    }
}
