//! What a producer is told at construction, already checked and resolved.

use std::time::Duration;

use crate::protocol::Compression;
use crate::record::History;

/// How a sharding key becomes a number (PROTOCOL 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShardingHash {
    /// Apache's `SelectMessageQueueByHash`: `|hashCode % n|`.
    #[default]
    Java,
    /// Alibaba Cloud's ONS client: `|hashCode| % n`, and 0 for the one hash that has no absolute value.
    Ons,
    /// The Go client's hash selector: FNV-1a modulo `n`.
    Go,
    /// The C++ client's, and so Python's, by sharding key: `std::hash` of libstdc++ modulo `n`.
    Cpp,
    /// A 5.x gRPC proxy's for a message group: Guava's consistent hash of Java's hash code.
    Proxy,
    /// The caller's own: it is asked for an index.
    Caller,
}

/// What one request may hold, and so what a lane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batching {
    /// A lane is a queue; one batch may mix the keys of a queue.
    #[default]
    Queue,
    /// A lane is a sharding key; one batch has one key, as Alibaba Cloud demands.
    Key,
    /// A lane is a queue; every message travels alone.
    Off,
}

/// What happens to keys when a broker leaves the route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRouteChange {
    /// A key moves once nothing of it is unresolved.
    #[default]
    Follow,
    /// The queues of a broker that has left stay in the list: their sends wait and time out.
    Hold,
}

/// Everything a producer is told.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// The producer group as the user sees it.
    pub group: String,
    /// Topics that `start()` checks, as the user sees them.
    pub topics: Vec<String>,
    /// How keys are spread over queues.
    pub sharding_hash: ShardingHash,
    /// What a lane is.
    pub batching: Batching,
    /// The time of one send, from the call: waiting, every attempt, everything.
    pub send_timeout: Duration,
    /// The high-water mark, in messages.
    pub max_pending_messages: usize,
    /// The high-water mark, in bytes of bodies and properties.
    pub max_pending_bytes: usize,
    /// How long a lane gathers, at most, what the callers it has just settled send next. Zero: not at all.
    pub gather: Duration,
    /// What happens to keys when a broker leaves the route.
    pub on_route_change: OnRouteChange,
    /// Largest body, and largest batch a user may send, in bytes.
    pub max_message_bytes: usize,
    /// How single messages are compressed, if they are.
    pub compression: Option<Compression>,
    /// Bodies of so many bytes and more are.
    pub compress_over_bytes: usize,
    /// What it does is written down there.
    pub history: History,
}
