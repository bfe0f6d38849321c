//! 34, 35, 38, 46: who belongs to a group, and what it wants.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::code::request;
use crate::command::{Command, Fields};
use crate::json::{self, Few};
use crate::request::{Request, ResponseError, success};
use crate::subscription::Subscription;

/// Most members that a group may be said to have.
const MAX_MEMBERS: usize = 65_536;

/// Where a group without committed offset begins. Brokers only show it; the client computes the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(clippy::enum_variant_names, reason = "the names are the wire's own")]
pub enum ConsumeFrom {
    /// Behind the last message.
    #[serde(rename = "CONSUME_FROM_LAST_OFFSET")]
    LastOffset,
    /// At the first message.
    #[serde(rename = "CONSUME_FROM_FIRST_OFFSET")]
    FirstOffset,
    /// At the first message stored at or after a time.
    #[serde(rename = "CONSUME_FROM_TIMESTAMP")]
    Timestamp,
}

/// One push consumer in a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerData {
    /// Real (namespaced) group.
    pub group: String,
    /// Shown to administrators.
    pub from: ConsumeFrom,
    /// Every member gets everything, instead of each queue having one owner.
    pub broadcasting: bool,
    /// All topics of the group, the retry topic too: a topic left out here is dropped by the broker.
    pub subscriptions: Vec<Subscription>,
}

/// Registers a client's groups at a broker, on this connection. The answer is the broker's `MQVersion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Unique per consumer: owner of its locks, key of the allocation.
    pub client_id: String,
    /// Its consumers.
    pub consumers: Vec<ConsumerData>,
    /// Its producer groups.
    pub producers: Vec<String>,
}

/// Takes one client's group off a broker; locks stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unregister {
    /// The client.
    pub client_id: String,
    /// Its producer group, if that leaves.
    pub producer_group: Option<String>,
    /// Its consumer group, if that leaves.
    pub consumer_group: Option<String>,
}

/// Client ids of a group's members that one broker sees, in any order. Nobody there is a refusal with code 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerList {
    /// Real (namespaced) group.
    pub group: String,
}

/// Has a broker check a subscription's expression: 23 when it is wrong, 1 when property filters are off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckClientConfig {
    /// The client.
    pub client_id: String,
    /// Real (namespaced) group.
    pub group: String,
    /// Instance id, if any.
    pub namespace: Option<String>,
    /// What to check.
    pub subscription: Subscription,
}

impl Request for Heartbeat {
    const CODE: i32 = request::HEART_BEAT;
    type Response = i32;

    fn encode(&self) -> (Fields, Bytes) {
        let body = HeartbeatBody {
            client_id: &self.client_id,
            consumers: self.consumers.iter().map(ConsumerBody::from).collect(),
            producers: self.producers.iter().map(|group| ProducerBody { group_name: group }).collect(),
        };
        (Fields::new(), json::to_bytes(&body))
    }

    fn decode(response: Command) -> Result<i32, ResponseError> {
        Ok(success(response)?.version)
    }
}

impl Request for Unregister {
    const CODE: i32 = request::UNREGISTER_CLIENT;
    type Response = ();

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("clientID", self.client_id.as_str());
        if let Some(group) = &self.producer_group {
            fields.push("producerGroup", group.as_str());
        }
        if let Some(group) = &self.consumer_group {
            fields.push("consumerGroup", group.as_str());
        }
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<(), ResponseError> {
        success(response).map(drop)
    }
}

impl Request for ConsumerList {
    const CODE: i32 = request::GET_CONSUMER_LIST_BY_GROUP;
    type Response = Vec<String>;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("consumerGroup", self.group.as_str());
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<Vec<String>, ResponseError> {
        let body: MembersBody = json::from_bytes(&success(response)?.body)?;
        Ok(body.consumer_id_list.all()?)
    }
}

impl Request for CheckClientConfig {
    const CODE: i32 = request::CHECK_CLIENT_CONFIG;
    type Response = ();

    fn encode(&self) -> (Fields, Bytes) {
        let body = CheckBody {
            client_id: &self.client_id,
            group: &self.group,
            namespace: self.namespace.as_deref().unwrap_or_default(),
            subscription_data: &self.subscription,
        };
        (Fields::new(), json::to_bytes(&body))
    }

    fn decode(response: Command) -> Result<(), ResponseError> {
        success(response).map(drop)
    }
}

#[derive(Serialize)]
struct HeartbeatBody<'a> {
    #[serde(rename = "clientID")]
    client_id: &'a str,
    #[serde(rename = "consumerDataSet")]
    consumers: Vec<ConsumerBody<'a>>,
    #[serde(rename = "producerDataSet")]
    producers: Vec<ProducerBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConsumerBody<'a> {
    consume_from_where: ConsumeFrom,
    consume_type: &'static str,
    group_name: &'a str,
    message_model: &'static str,
    subscription_data_set: &'a [Subscription],
    unit_mode: bool,
}

impl<'a> From<&'a ConsumerData> for ConsumerBody<'a> {
    fn from(consumer: &'a ConsumerData) -> Self {
        Self {
            consume_from_where: consumer.from,
            consume_type: "CONSUME_PASSIVELY",
            group_name: &consumer.group,
            message_model: if consumer.broadcasting { "BROADCASTING" } else { "CLUSTERING" },
            subscription_data_set: &consumer.subscriptions,
            unit_mode: false,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProducerBody<'a> {
    group_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckBody<'a> {
    client_id: &'a str,
    group: &'a str,
    namespace: &'a str,
    subscription_data: &'a Subscription,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MembersBody {
    #[serde(default)]
    consumer_id_list: Few<String, MAX_MEMBERS>,
}
