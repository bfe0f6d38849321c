//! The route of a topic: which brokers have how many queues of it, and where they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::hash::java_string_cmp;
use super::json::{self, Few, Filled, JsonError, Members};
use super::queue::MessageQueue;

/// Most queues a route may announce, for reading and for writing each.
pub const MAX_QUEUES: usize = 65_536;
/// Most brokers a route may name.
pub const MAX_BROKERS: usize = 4_096;
/// Longest name of a broker or a cluster, in bytes: each of a broker's queues carries it. Java's default is the name of the host.
pub const MAX_NAME: usize = 255;
/// Longest address, in bytes: the longest name of a host, and a port.
pub const MAX_ADDRESS: usize = 261;
/// Broker id of a master.
pub const MASTER: i64 = 0;

/// Queues of a topic at one broker name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueData {
    /// Name of the broker pair.
    pub broker_name: String,
    /// Queues to read, ids from 0.
    #[serde(rename = "readQueueNums", default, deserialize_with = "json::integer_field")]
    pub read_queues: i32,
    /// Queues to write, ids from 0.
    #[serde(rename = "writeQueueNums", default, deserialize_with = "json::integer_field")]
    pub write_queues: i32,
    /// Bit set: 4 read, 2 write.
    #[serde(default, deserialize_with = "json::integer_field")]
    pub perm: i32,
}

/// Addresses of one broker name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerData {
    /// Name of the broker pair.
    pub broker_name: String,
    /// Cluster it belongs to.
    pub cluster: String,
    /// `host:port` by broker id; 0 is the master.
    pub addresses: BTreeMap<i64, String>,
}

/// Why a route cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
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

impl From<JsonError> for RouteError {
    fn from(error: JsonError) -> Self {
        Self::Malformed(error.0)
    }
}

/// A route, sorted by broker name, so that two equal routes compare equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicRoute {
    /// `broker-a:4;broker-b:4`: a fixed list of queues to write, whatever is up.
    pub order_topic_conf: Option<String>,
    /// Queues by broker name.
    pub queue_datas: Vec<QueueData>,
    /// Addresses by broker name.
    pub broker_datas: Vec<BrokerData>,
}

/// Permission bit to read.
const PERM_READ: i32 = 4;
/// Permission bit to write.
const PERM_WRITE: i32 = 2;
/// Beginning of the broker names of static topics.
const LOGICAL_BROKER_PREFIX: &str = "__syslo__";

impl QueueData {
    /// Whether consumers may read here.
    pub fn is_readable(&self) -> bool {
        self.perm & PERM_READ != 0
    }

    /// Whether producers should write here; brokers themselves do not look.
    pub fn is_writable(&self) -> bool {
        self.perm & PERM_WRITE != 0
    }
}

impl BrokerData {
    /// `host:port` of the master.
    pub fn master(&self) -> Option<&str> {
        self.addresses.get(&MASTER).map(String::as_str)
    }
}

impl TopicRoute {
    /// Reads the body of a 105 answer, standard or fastjson's own form. What it does not use is skipped, and nothing is kept beyond the bounds.
    pub fn parse(body: &[u8]) -> Result<Self, RouteError> {
        let body: Body = json::from_bytes(body)?;
        if body.topic_queue_mapping_by_broker.is_some_and(|Filled(filled)| filled) {
            return Err(RouteError::StaticTopic);
        }
        let too_many = |_| RouteError::Bounds("the number of brokers");
        let order_topic_conf = body.order_topic_conf.as_deref().map(str::trim);
        let mut route = Self {
            order_topic_conf: order_topic_conf.filter(|conf| !conf.is_empty()).map(str::to_owned),
            queue_datas: body.queue_datas.all().map_err(too_many)?,
            broker_datas: body
                .broker_datas
                .all()
                .map_err(too_many)?
                .into_iter()
                .map(BrokerData::try_from)
                .collect::<Result<_, _>>()?,
        };
        route.queue_datas.sort_by(|left, right| java_string_cmp(&left.broker_name, &right.broker_name));
        route.broker_datas.sort_by(|left, right| java_string_cmp(&left.broker_name, &right.broker_name));
        route.check()?;
        Ok(route)
    }

    fn check(&self) -> Result<(), RouteError> {
        let of_queues = self.queue_datas.iter().map(|data| &data.broker_name);
        let of_brokers = self.broker_datas.iter().flat_map(|data| [&data.broker_name, &data.cluster]);
        if of_queues.chain(of_brokers).any(|name| name.len() > MAX_NAME) {
            return Err(RouteError::Bounds("the length of a name"));
        }
        if self.brokers().any(|(_, _, address)| address.len() > MAX_ADDRESS) {
            return Err(RouteError::Bounds("the length of an address"));
        }
        let total = |counts: &mut dyn Iterator<Item = i32>| counts.map(count).sum::<usize>();
        let read = total(&mut self.queue_datas.iter().map(|data| data.read_queues));
        let write = total(&mut self.queue_datas.iter().map(|data| data.write_queues));
        let ordered = total(&mut self.order_items()?.into_iter().map(|(_, queues)| queues));
        if read.max(write).max(ordered) > MAX_QUEUES {
            return Err(RouteError::Bounds("the number of queues"));
        }
        if self.queue_datas.iter().any(|data| data.broker_name.starts_with(LOGICAL_BROKER_PREFIX)) {
            return Err(RouteError::StaticTopic);
        }
        Ok(())
    }

    /// Items of the order conf in their order; none without one.
    fn order_items(&self) -> Result<Vec<(&str, i32)>, RouteError> {
        let conf = self.order_topic_conf.as_deref().unwrap_or_default();
        let items = conf.split(';').map(str::trim).filter(|item| !item.is_empty());
        items
            .map(|item| {
                let (broker, queues) = item.split_once(':').unwrap_or((item, ""));
                let queues = queues.trim().parse().map_err(|_| malformed(format!("order conf {conf:?}")))?;
                Ok((broker.trim(), queues))
            })
            .collect()
    }

    /// The list a sharding key's index addresses. With an order conf its queues, whatever is up; else the writable
    /// queues at brokers with a master, in Java's order.
    pub fn write_queues(&self, topic: &str) -> Vec<MessageQueue> {
        let with_ids =
            |broker: &str, queues: i32| (0..queues).map(|id| MessageQueue::new(topic, broker, id)).collect::<Vec<_>>();
        // `check` has read the order conf: what does not parse never becomes a route.
        let ordered = self.order_items().unwrap_or_default();
        if !ordered.is_empty() {
            return ordered.into_iter().flat_map(|(broker, queues)| with_ids(broker, queues)).collect();
        }
        let writable = self.queue_datas.iter().filter(|data| data.is_writable());
        let reachable = writable.filter(|data| self.master_of(&data.broker_name).is_some());
        reachable.flat_map(|data| with_ids(&data.broker_name, data.write_queues)).collect()
    }

    /// The queues to consume, in Java's order; a slave is enough.
    pub fn read_queues(&self, topic: &str) -> Vec<MessageQueue> {
        let readable = self.queue_datas.iter().filter(|data| data.is_readable());
        readable
            .flat_map(|data| (0..data.read_queues).map(|id| MessageQueue::new(topic, data.broker_name.as_str(), id)))
            .collect()
    }

    /// The queues that are written and that nobody reads: a broker has more of them to write than to read, or lets nobody read.
    pub fn unread_queues(&self, topic: &str) -> Vec<MessageQueue> {
        let read: BTreeSet<MessageQueue> = self.read_queues(topic).into_iter().collect();
        let written = self.write_queues(topic).into_iter();
        // A fixed list may name a broker that is away; with its queues goes what would be written into them.
        written.filter(|queue| self.queue_data(&queue.broker_name).is_some() && !read.contains(queue)).collect()
    }

    /// A broker's queues of the topic.
    pub fn queue_data(&self, broker_name: &str) -> Option<&QueueData> {
        self.queue_datas.iter().find(|data| data.broker_name == broker_name)
    }

    /// `host:port` of a broker's master.
    pub fn master_of(&self, broker_name: &str) -> Option<&str> {
        self.broker(broker_name)?.master()
    }

    /// Every broker of the route: name, id, address.
    pub fn brokers(&self) -> impl Iterator<Item = (&str, i64, &str)> {
        self.broker_datas.iter().flat_map(|broker| {
            broker.addresses.iter().map(|(id, address)| (broker.broker_name.as_str(), *id, address.as_str()))
        })
    }

    /// Every master of the route: broker name, address.
    pub fn masters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.brokers().filter(|(_, id, _)| *id == MASTER).map(|(name, _, address)| (name, address))
    }

    fn broker(&self, broker_name: &str) -> Option<&BrokerData> {
        // Sorted by `parse`, but in Java's order: a search must use the same.
        let index = self.broker_datas.binary_search_by(|data| java_string_cmp(&data.broker_name, broker_name)).ok()?;
        self.broker_datas.get(index)
    }
}

fn malformed(text: impl Into<String>) -> RouteError {
    RouteError::Malformed(text.into())
}

/// A queue count as a length; negative ones are none.
fn count(queues: i32) -> usize {
    usize::try_from(queues).unwrap_or_default()
}

/// What is read of the body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    order_topic_conf: Option<String>,
    #[serde(default)]
    queue_datas: Few<QueueData, MAX_BROKERS>,
    #[serde(default)]
    broker_datas: Few<BrokerBody, MAX_BROKERS>,
    topic_queue_mapping_by_broker: Option<Filled>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BrokerBody {
    broker_name: String,
    cluster: Option<String>,
    #[serde(default)]
    broker_addrs: Members<Option<String>, MAX_BROKERS>,
}

impl TryFrom<BrokerBody> for BrokerData {
    type Error = RouteError;

    fn try_from(body: BrokerBody) -> Result<Self, RouteError> {
        let listed = body.broker_addrs.all().map_err(|_| RouteError::Bounds("the number of brokers"))?;
        let addresses = listed.into_iter().map(|(id, address)| {
            let id: i64 = id.trim().parse().map_err(|_| malformed(format!("broker id {id:?}")))?;
            Ok(address.map(|address| (id, address)))
        });
        Ok(Self {
            broker_name: body.broker_name,
            cluster: body.cluster.unwrap_or_default(),
            addresses: addresses.filter_map(Result::transpose).collect::<Result<_, RouteError>>()?,
        })
    }
}

#[cfg(test)]
mod tests;
