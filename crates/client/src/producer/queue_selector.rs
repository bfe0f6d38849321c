//! Which queue a sharding key goes to: a pure function of the key and the list of queues.

use super::options::{OnRouteChange, ShardingHash};
use crate::protocol::{MessageQueue, TopicRoute, java_string_hash};

/// The index of a key's queue in a list of `queues` (1 at least), 0 for an empty one.
///
/// Java: `SelectMessageQueueByHash` takes the remainder first and its absolute value then, so that `i32::MIN` has a queue too.
pub(crate) fn queue_index(hash: ShardingHash, sharding_key: &str, queues: usize) -> usize {
    let hash_code = i64::from(java_string_hash(sharding_key));
    let count = i64::try_from(queues.max(1)).unwrap_or(i64::MAX);
    let index = match hash {
        ShardingHash::Java => (hash_code % count).abs(),
        ShardingHash::Ons if hash_code == i64::from(i32::MIN) => 0,
        ShardingHash::Ons => hash_code.abs() % count,
    };
    usize::try_from(index).unwrap_or(0)
}

/// The list of queues that a key's index addresses, after the route has become `route`; `before` is the list so far.
///
/// With `Hold`, queues of a broker that has left (no queues of this topic, or no master) stay where Java's order puts them, so
/// that the other keys do not move either. A fixed list (`orderTopicConf`) is taken as it is.
pub(crate) fn queue_list(
    route: &TopicRoute,
    topic: &str,
    before: &[MessageQueue],
    on_route_change: OnRouteChange,
) -> Vec<MessageQueue> {
    let mut list = route.write_queues(topic);
    let fixed = route.order_topic_conf.as_deref().is_some_and(|conf| !conf.is_empty());
    if on_route_change == OnRouteChange::Hold && !fixed {
        let left = |queue: &&MessageQueue| {
            let name = &queue.broker_name;
            !route.queue_datas.iter().any(|data| data.broker_name == *name) || route.master_of(name).is_none()
        };
        let held: Vec<MessageQueue> = before.iter().filter(left).cloned().collect();
        if !held.is_empty() {
            list.extend(held);
            list.sort_unstable();
            list.dedup();
        }
    }
    list
}
