//! Bodies of JSON: of those that may be long only what is looked at is read, and the others are no longer than such bodies are.

use serde::Deserialize;
use serde_json::Value;

use crate::protocol::json::{self, Few, Integer, Members};
use crate::protocol::route::MAX_QUEUES;
use crate::protocol::{Command, MessageQueue};

/// The longest body that is read as it is, which may take a hundred times its memory.
const MOST: usize = 256 * 1024;

/// A body as it is; the text says what is wrong with it.
pub(crate) fn value(command: &Command) -> Result<Value, String> {
    if command.body.len() > MOST {
        return Err(format!("a body of {} bytes, {MOST} are read", command.body.len()));
    }
    json::parse(&command.body).map_err(|error| error.to_string())
}

/// Of 41 and 42.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Locking {
    client_id: Option<String>,
    consumer_group: Option<String>,
    mq_set: Few<MessageQueue, MAX_QUEUES>,
}

impl Locking {
    /// None where there is nothing in the body.
    pub(crate) fn of(command: &Command) -> Result<Option<Self>, String> {
        json::from_bytes(&command.body).map_err(|error| error.to_string())
    }

    /// The client, the group, and the queues.
    pub(crate) fn parts(self) -> Result<(String, String, Vec<MessageQueue>), String> {
        let queues = self.mq_set.all().map_err(|error| error.to_string())?;
        Ok((self.client_id.unwrap_or_default(), self.consumer_group.unwrap_or_default(), queues))
    }
}

/// Whose a heartbeat is.
pub(crate) fn beating(command: &Command) -> Option<String> {
    #[derive(Deserialize)]
    struct Heartbeat {
        #[serde(rename = "clientID")]
        client_id: Option<String>,
    }
    json::from_bytes::<Heartbeat>(&command.body).ok()?.client_id
}

/// Where queues stand, in a client's answer to 221.
pub(crate) fn offsets(answer: &Command) -> Vec<(MessageQueue, i64)> {
    #[derive(Default, Deserialize)]
    struct Status {
        #[serde(rename = "messageQueueTable", default)]
        table: Members<Integer, MAX_QUEUES>,
    }
    let status: Status = json::from_bytes(&answer.body).unwrap_or_default();
    let read = |(queue, Integer(offset)): (String, Integer)| Some((json::from_bytes(queue.as_bytes()).ok()?, offset));
    status.table.all().unwrap_or_default().into_iter().filter_map(read).collect()
}
