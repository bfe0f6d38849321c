//! The brokers of all known routes, so that nobody has to go through the topics to find one: there may be thousands of them, and
//! every request needs a broker's address.

use crate::env::Instant;
use crate::protocol::TopicRoute;
use crate::protocol::route::MASTER;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A route as it was learned: when, and of which topic.
type Learned = (Instant, Arc<str>);

/// Whose routes name an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    topics: BTreeSet<Arc<str>>,
    /// How many as that of a master.
    as_master: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The addresses of a broker's master, by the routes that tell them; the last one was learned last.
    masters: HashMap<String, BTreeMap<Learned, String>>,
    addresses: BTreeMap<String, Named>,
    clusters: BTreeMap<String, usize>,
}

impl Index {
    /// A topic's route counts from now on.
    pub(super) fn add(&mut self, learned: &Learned, route: &TopicRoute) {
        for broker in &route.broker_datas {
            *self.clusters.entry(broker.cluster.clone()).or_default() += 1;
        }
        for (name, id, address) in route.brokers() {
            let named = self.addresses.entry(address.to_owned()).or_default();
            named.topics.insert(Arc::clone(&learned.1));
            if id == MASTER {
                named.as_master += 1;
                self.masters.entry(name.to_owned()).or_default().insert(learned.clone(), address.to_owned());
            }
        }
    }

    /// It counts no longer: there is a newer one, or the topic is forgotten.
    pub(super) fn remove(&mut self, learned: &Learned, route: &TopicRoute) {
        for broker in &route.broker_datas {
            take(&mut self.clusters, &broker.cluster, |count| *count -= 1, |count| *count == 0);
        }
        for (name, id, address) in route.brokers() {
            let is_master = id == MASTER;
            let leave = |named: &mut Named| {
                named.topics.remove(&learned.1);
                named.as_master -= usize::from(is_master);
            };
            take(&mut self.addresses, address, leave, |named| named.topics.is_empty());
            if is_master && let Some(told) = self.masters.get_mut(name) {
                told.remove(learned);
                if told.is_empty() {
                    self.masters.remove(name);
                }
            }
        }
    }

    /// The address of a broker's master, by the route that was learned last among those that name one: it may have moved since older
    /// ones were learned.
    pub(super) fn master(&self, broker_name: &str) -> Option<&str> {
        self.masters.get(broker_name)?.last_key_value().map(|(_, address)| address.as_str())
    }

    /// The addresses of all masters, each once, sorted.
    pub(super) fn masters(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().filter(|(_, named)| named.as_master > 0).map(|(address, _)| address.as_str())
    }

    /// Every broker's address, each once, sorted.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.addresses.keys().map(String::as_str)
    }

    /// The topics whose routes name this address.
    pub(super) fn topics_at(&self, address: &str) -> Vec<Arc<str>> {
        self.addresses.get(address).map(|named| named.topics.iter().cloned().collect()).unwrap_or_default()
    }

    /// The only cluster there is; none where there are several.
    pub(super) fn only_cluster(&self) -> Option<&str> {
        let mut clusters = self.clusters.keys();
        clusters.next().filter(|_| clusters.next().is_none()).map(String::as_str)
    }
}

fn take<T>(of: &mut BTreeMap<String, T>, name: &str, leave: impl FnOnce(&mut T), is_over: impl FnOnce(&T) -> bool) {
    let Some(it) = of.get_mut(name) else { return };
    leave(it);
    if is_over(it) {
        of.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env;
    use crate::protocol::route::BrokerData;
    use std::time::Duration;

    fn broker(name: &str, cluster: &str, addresses: &[(i64, &str)]) -> BrokerData {
        BrokerData {
            broker_name: name.to_owned(),
            cluster: cluster.to_owned(),
            addresses: addresses.iter().map(|(id, address)| (*id, (*address).to_owned())).collect(),
        }
    }

    fn route(broker_datas: Vec<BrokerData>) -> TopicRoute {
        TopicRoute { broker_datas, ..TopicRoute::default() }
    }

    #[test]
    fn the_route_that_was_learned_last_says_where_a_master_is_until_it_counts_no_more() {
        let mut index = Index::default();
        let now = env::now();
        let (before, after) = ((now, Arc::from("orders")), (now + Duration::from_secs(1), Arc::from("bills")));
        let old = route(vec![broker("a", "one", &[(0, "1:1"), (1, "1:2")])]);
        let new = route(vec![broker("a", "one", &[(0, "2:1")]), broker("b", "two", &[(1, "3:2")])]);
        index.add(&before, &old);
        assert_eq!((index.master("a"), index.only_cluster()), (Some("1:1"), Some("one")));
        index.add(&after, &new);
        assert_eq!((index.master("a"), index.master("b"), index.only_cluster()), (Some("2:1"), None, None));
        assert_eq!(index.masters().collect::<Vec<_>>(), ["1:1", "2:1"]);
        assert_eq!(index.addresses().collect::<Vec<_>>(), ["1:1", "1:2", "2:1", "3:2"]);
        assert_eq!(index.topics_at("1:1"), [Arc::from("orders")]);
        assert_eq!(index.topics_at("3:2"), [Arc::from("bills")]);
        index.remove(&after, &new);
        assert_eq!((index.master("a"), index.only_cluster()), (Some("1:1"), Some("one")));
        assert_eq!(index.addresses().collect::<Vec<_>>(), ["1:1", "1:2"]);
        index.remove(&before, &old);
        assert_eq!((index.master("a"), index.only_cluster(), index.masters.len()), (None, None, 0));
        assert_eq!(index.addresses().count() + index.masters().count(), 0);
        assert_eq!(index.topics_at("1:1").len() + index.topics_at("2:1").len(), 0);
    }
}
