//! 41 and 42: a queue belongs to one client of a group for 60 s at a time.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::code::request;
use crate::command::{Command, Fields};
use crate::json::{self, Few};
use crate::queue::MessageQueue;
use crate::request::{Request, ResponseError, success};
use crate::route::MAX_QUEUES;

/// Locks queues of one broker, or renews; the answer is the queues granted, a subset in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockQueues {
    /// The owner: this text, whatever connection it comes from.
    pub client_id: String,
    /// Real (namespaced) group.
    pub group: String,
    /// Queues of the broker asked, with its name as the route spells it.
    pub queues: Vec<MessageQueue>,
}

/// Unlocks queues of one broker; queues of another owner are left alone without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockQueues {
    /// The owner.
    pub client_id: String,
    /// Real (namespaced) group.
    pub group: String,
    /// Queues of the broker asked.
    pub queues: Vec<MessageQueue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LockBody<'a> {
    client_id: &'a str,
    consumer_group: &'a str,
    mq_set: &'a [MessageQueue],
}

#[derive(Deserialize)]
struct GrantedBody {
    #[serde(rename = "lockOKMQSet", default)]
    granted: Few<MessageQueue, MAX_QUEUES>,
}

impl Request for LockQueues {
    const CODE: i32 = request::LOCK_BATCH_MQ;
    type Response = Vec<MessageQueue>;

    fn encode(&self) -> (Fields, Bytes) {
        (Fields::new(), body(&self.client_id, &self.group, &self.queues))
    }

    fn decode(response: Command) -> Result<Vec<MessageQueue>, ResponseError> {
        let body: GrantedBody = json::from_bytes(&success(response)?.body)?;
        Ok(body.granted.all()?)
    }
}

impl Request for UnlockQueues {
    const CODE: i32 = request::UNLOCK_BATCH_MQ;
    type Response = ();

    fn encode(&self) -> (Fields, Bytes) {
        (Fields::new(), body(&self.client_id, &self.group, &self.queues))
    }

    fn decode(response: Command) -> Result<(), ResponseError> {
        success(response).map(drop)
    }
}

fn body(client_id: &str, consumer_group: &str, mq_set: &[MessageQueue]) -> Bytes {
    json::to_bytes(&LockBody { client_id, consumer_group, mq_set })
}
