//! 203 and 307: what a group subscribes, and how, as a broker keeps it and as one member says it.

use bytes::Bytes;
use serde::Deserialize;

use crate::announced::Announced;
use crate::code::request;
use crate::command::{Command, Fields};
use crate::json::{self, Few, Members};
use crate::request::{Request, ResponseError, success};

/// Most topics that a group may be said to subscribe.
const MAX_SUBSCRIPTIONS: usize = 65_536;

/// One expression per topic: of all that members have announced, the one with the highest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSubscriptions {
    /// Real (namespaced) group.
    pub group: String,
}

/// What one member subscribes, by its own word: the broker asks it, and waits up to 10 s. A member that does not know the question is a
/// refusal with its own code, mostly 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSubscriptions {
    /// Real (namespaced) group.
    pub group: String,
    /// The member.
    pub client_id: String,
}

/// What a broker keeps of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its subscriptions.
    pub announced: Vec<Announced>,
    /// `CLUSTERING` or `BROADCASTING`, as the last heartbeat said.
    pub message_model: Option<String>,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What it subscribes; nothing, where it says nothing about subscriptions.
    pub announced: Option<Vec<Announced>>,
    /// As in [`Kept`], where it says that.
    pub message_model: Option<String>,
}

impl Request for KeptSubscriptions {
    const CODE: i32 = request::GET_CONSUMER_CONNECTION_LIST;
    type Response = Kept;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("consumerGroup", self.group.as_str());
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<Kept, ResponseError> {
        let body: KeptBody = json::from_bytes(&success(response)?.body)?;
        let mut kept = body.subscription_table.all()?;
        kept.sort_by(|(left, _), (right, _)| left.cmp(right));
        let announced = kept.into_iter().map(|(_, announced)| announced).collect();
        Ok(Kept { announced, message_model: body.message_model })
    }
}

impl Request for MemberSubscriptions {
    const CODE: i32 = request::GET_CONSUMER_RUNNING_INFO;
    type Response = Said;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("consumerGroup", self.group.as_str());
        fields.push("clientId", self.client_id.as_str());
        fields.push("jstackEnable", "false");
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<Said, ResponseError> {
        let body: MemberBody = json::from_bytes(&success(response)?.body)?;
        let announced = Some(body.subscription_set.all()?).filter(|subscriptions| !subscriptions.is_empty());
        Ok(Said { announced, message_model: body.properties.and_then(|properties| properties.message_model) })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptBody {
    #[serde(default)]
    subscription_table: Members<Announced, MAX_SUBSCRIPTIONS>,
    message_model: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberBody {
    #[serde(default)]
    subscription_set: Few<Announced, MAX_SUBSCRIPTIONS>,
    properties: Option<MemberProperties>,
}

/// Java's has all settings of its consumer among them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberProperties {
    message_model: Option<String>,
}
