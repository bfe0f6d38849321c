//! The route of a topic: which brokers have how many queues of it, and where they are.

use std::collections::BTreeMap;

use super::queue::MessageQueue;

/// Most queues a route may announce, for reading and for writing each.
pub(crate) const MAX_QUEUES: usize = 65_536;
/// Most brokers a route may name.
pub(crate) const MAX_BROKERS: usize = 4_096;
/// Broker id of a master.
pub(crate) const MASTER: i64 = 0;

/// Queues of a topic at one broker name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueData {
    /// Name of the broker pair.
    pub(crate) broker_name: String,
    /// Queues to read, ids from 0.
    pub(crate) read_queues: i32,
    /// Queues to write, ids from 0.
    pub(crate) write_queues: i32,
    /// Bit set: 4 read, 2 write.
    pub(crate) perm: i32,
}

/// Addresses of one broker name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerData {
    /// Name of the broker pair.
    pub(crate) broker_name: String,
    /// Cluster it belongs to.
    pub(crate) cluster: String,
    /// `host:port` by broker id; 0 is the master.
    pub(crate) addresses: BTreeMap<i64, String>,
}

/// Why a route cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    /// The body is not a route.
    #[error("route: {0}")]
    Malformed(String),
    /// More queues or brokers than any cluster has.
    #[error("route: {0} is out of bounds")]
    Bounds(&'static str),
    /// A static topic with logical queues (5.x), which this client does not support.
    #[error("route: static topics are not supported")]
    StaticTopic,
}

/// A route, sorted by broker name, so that two equal routes compare equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicRoute {
    /// `broker-a:4;broker-b:4`: a fixed list of queues to write, whatever is up.
    pub(crate) order_topic_conf: Option<String>,
    /// Queues by broker name.
    pub(crate) queue_datas: Vec<QueueData>,
    /// Addresses by broker name.
    pub(crate) broker_datas: Vec<BrokerData>,
}

impl TopicRoute {
    /// Reads the body of a 105 answer, standard or fastjson's own form.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, RouteError> {
        let _ = body;
        todo!()
    }

    /// The list a sharding key's index addresses: writable queues at brokers with a master, in Java's order.
    pub(crate) fn write_queues(&self, topic: &str) -> Vec<MessageQueue> {
        let _ = topic;
        todo!()
    }

    /// The queues to consume, in Java's order; a slave is enough.
    pub(crate) fn read_queues(&self, topic: &str) -> Vec<MessageQueue> {
        let _ = topic;
        todo!()
    }

    /// `host:port` of a broker's master.
    pub(crate) fn master_of(&self, broker_name: &str) -> Option<&str> {
        let _ = broker_name;
        todo!()
    }

    /// All addresses of a broker name by id, the master first.
    pub(crate) fn addresses(&self, broker_name: &str) -> Vec<(i64, &str)> {
        let _ = broker_name;
        todo!()
    }

    /// Every broker of the route: name, id, address.
    pub(crate) fn brokers(&self) -> impl Iterator<Item = (&str, i64, &str)> {
        self.broker_datas.iter().flat_map(|broker| {
            broker.addresses.iter().map(|(id, address)| (broker.broker_name.as_str(), *id, address.as_str()))
        })
    }
}
