//! Which queue a sharding key goes to: a pure function of the key and the list of queues.

use super::options::{OnRouteChange, ShardingHash};
use crate::env::{planted, random_u32};
use crate::protocol::{MessageQueue, TopicRoute, fnv1a, guava_consistent_hash, java_string_hash, libstdcxx_hash};

/// The index of a key's queue in a list of `queues` (1 at least), 0 for an empty one.
///
/// Java: `SelectMessageQueueByHash` takes the remainder first and its absolute value then, so that `i32::MIN` has a queue too.
pub(crate) fn queue_index(hash: ShardingHash, sharding_key: &str, queues: usize) -> usize {
    if planted("choose at random") {
        return random_u32() as usize % queues.max(1);
    }
    let hash_code = || i64::from(java_string_hash(sharding_key));
    let signed = i64::try_from(queues.max(1)).unwrap_or(i64::MAX);
    let index = match hash {
        ShardingHash::Java => (hash_code() % signed).unsigned_abs(),
        ShardingHash::Ons if hash_code() == i64::from(i32::MIN) => 0,
        ShardingHash::Ons => (hash_code().abs() % signed).unsigned_abs(),
        ShardingHash::Go => u64::from(fnv1a(sharding_key)) % signed.unsigned_abs(),
        ShardingHash::Cpp => libstdcxx_hash(sharding_key) % signed.unsigned_abs(),
        ShardingHash::Proxy => return guava_consistent_hash(sharding_key, queues),
        // Nobody asks here: it is the caller's to say.
        ShardingHash::Caller => 0,
    };
    usize::try_from(index).unwrap_or(0)
}

/// The list that a key's index addresses in this route, as the client that the hash is of makes it.
///
/// All of them list the queues to write at brokers with a master, by broker name and number. Names compare by UTF-16 units in Java and by
/// bytes in Go and C++. A proxy sorts a fixed list (`orderTopicConf`), too, and leaves brokers without a master out of it.
pub(crate) fn write_queues(route: &TopicRoute, topic: &str, hash: ShardingHash) -> Vec<MessageQueue> {
    let mut list = route.write_queues(topic);
    match hash {
        ShardingHash::Proxy if is_fixed(route) => {
            list.retain(|queue| route.master_of(&queue.broker_name).is_some());
            list.sort_unstable();
            list.dedup();
        }
        ShardingHash::Go | ShardingHash::Cpp if !is_fixed(route) => by_bytes(&mut list),
        _ => {}
    }
    list
}

/// The list of queues that a key's index addresses, after the route has become `route`; `before` is the list so far.
///
/// With `Hold`, queues of a broker that has left (no queues of this topic, or no master) stay where the order puts them, so
/// that the other keys do not move either. A fixed list (`orderTopicConf`) is taken as it is.
pub(crate) fn queue_list(
    route: &TopicRoute,
    topic: &str,
    before: &[MessageQueue],
    hash: ShardingHash,
    on_route_change: OnRouteChange,
) -> Vec<MessageQueue> {
    let mut list = write_queues(route, topic, hash);
    // A proxy's list is fixed no more: what it leaves out, `Hold` keeps.
    let fixed = is_fixed(route) && hash != ShardingHash::Proxy;
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
            if matches!(hash, ShardingHash::Go | ShardingHash::Cpp) {
                by_bytes(&mut list);
            }
        }
    }
    list
}

fn is_fixed(route: &TopicRoute) -> bool {
    route.order_topic_conf.as_deref().is_some_and(|conf| !conf.is_empty())
}

fn by_bytes(list: &mut [MessageQueue]) {
    list.sort_by(|left, right| left.broker_name.cmp(&right.broker_name).then(left.queue_id.cmp(&right.queue_id)));
}
