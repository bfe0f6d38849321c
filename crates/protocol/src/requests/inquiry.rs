//! 203 and 307: what a group subscribes, as a broker keeps it and as one member says it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use crate::announced::Announced;
use crate::code::request;
use crate::command::{Command, Fields};
use crate::json;
use crate::request::{Request, ResponseError, success};

/// One expression per topic: of all that members have announced, the one with the highest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSubscriptions {
    /// Real (namespaced) group.
    pub group: String,
}

/// What one member subscribes, by its own word: the broker asks it, and waits up to 10 s. A member that does not know the question is a
/// refusal with its own code, mostly 3. Nothing, where it says nothing about subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSubscriptions {
    /// Real (namespaced) group.
    pub group: String,
    /// The member.
    pub client_id: String,
}

impl Request for KeptSubscriptions {
    const CODE: i32 = request::GET_CONSUMER_CONNECTION_LIST;
    type Response = Vec<Announced>;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("consumerGroup", self.group.as_str());
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<Vec<Announced>, ResponseError> {
        let body: KeptBody = json::from_bytes(&success(response)?.body)?;
        Ok(body.subscription_table.unwrap_or_default().into_values().collect())
    }
}

impl Request for MemberSubscriptions {
    const CODE: i32 = request::GET_CONSUMER_RUNNING_INFO;
    type Response = Option<Vec<Announced>>;

    fn encode(&self) -> (Fields, Bytes) {
        let mut fields = Fields::new();
        fields.push("consumerGroup", self.group.as_str());
        fields.push("clientId", self.client_id.as_str());
        fields.push("jstackEnable", "false");
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<Option<Vec<Announced>>, ResponseError> {
        let body: MemberBody = json::from_bytes(&success(response)?.body)?;
        Ok(body.subscription_set.filter(|subscriptions| !subscriptions.is_empty()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptBody {
    subscription_table: Option<BTreeMap<String, Announced>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberBody {
    subscription_set: Option<Vec<Announced>>,
}
