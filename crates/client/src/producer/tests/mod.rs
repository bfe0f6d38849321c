//! The producer on a scripted cluster, under virtual time.

mod batches;
mod caller;
mod choices;
mod cluster;
mod compressed;
mod fence;
mod lanes;
mod limits;
mod panics;
mod recorded;
mod routes;
mod selector;
mod starting;
mod storm;
mod table;
#[cfg(feature = "shuttle")]
mod threads;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use self::caller::Caller;
use self::cluster::Cluster;
use super::options::{Batching, OnRouteChange, ProducerOptions, ShardingHash};
use crate::record::History;

/// Options that the tests change from.
fn options() -> ProducerOptions {
    ProducerOptions {
        group: String::from("G"),
        topics: Vec::new(),
        sharding_hash: ShardingHash::Java,
        batching: Batching::Queue,
        send_timeout: Duration::from_secs(30),
        max_pending_messages: 65_536,
        max_pending_bytes: 64 << 20,
        gather: Duration::ZERO,
        on_route_change: OnRouteChange::Follow,
        max_message_bytes: 4 << 20,
        compression: None,
        compress_over_bytes: 4096,
        history: History::default(),
    }
}

/// A started producer on a cluster whose topic `T` has these queues, and its caller.
async fn started(options: ProducerOptions, queues: &[(&str, i32)]) -> (Arc<Cluster>, Caller) {
    let cluster = Cluster::new();
    if !queues.is_empty() {
        cluster.set_route("T", queues);
    }
    let caller = Caller::new(&cluster, options);
    caller.producer.start().await.unwrap();
    (cluster, caller)
}

/// With one queue.
async fn one_queue() -> (Arc<Cluster>, Caller) {
    started(options(), &[("a", 1)]).await
}
