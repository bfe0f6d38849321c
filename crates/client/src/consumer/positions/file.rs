//! The file of offsets: which group's it is, and how far it is in every queue. Whatever it is not sure to be, it is refused.
//!
//! ```json
//! {
//!   "format": "rocketmq-orderly offsets",
//!   "version": 1,
//!   "group": "GID_cache",
//!   "namespace": null,
//!   "written": "2026-01-31T12:03:04Z",
//!   "offsets": [{ "topic": "orders", "brokerName": "broker-a", "queueId": 0, "offset": 42 }]
//! }
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::protocol::{MessageQueue, NOWHERE};

const FORMAT: &str = "rocketmq-orderly offsets";
const VERSION: u64 = 1;

/// Offsets by queue; topics as users see them.
pub(super) type Table = BTreeMap<MessageQueue, i64>;

/// Whose offsets they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// As the user sees it.
    pub(super) group: String,
    pub(super) namespace: Option<String>,
}

/// What any version says first.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: String,
    version: u64,
    group: String,
    namespace: Option<String>,
    /// For people.
    written: String,
    offsets: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    topic: String,
    broker_name: String,
    queue_id: i32,
    offset: i64,
}

/// The bytes of these offsets.
pub(super) fn encode(owner: &Owner, table: &Table, written: String) -> Vec<u8> {
    let entry = |(queue, offset): (&MessageQueue, &i64)| {
        let MessageQueue { topic, broker_name, queue_id } = queue.clone();
        Entry { topic, broker_name, queue_id, offset: *offset }
    };
    let content = Content {
        format: FORMAT.to_owned(),
        version: VERSION,
        group: owner.group.clone(),
        namespace: owner.namespace.clone(),
        written,
        offsets: table.iter().map(entry).collect(),
    };
    // Of strings and numbers: nothing of it can fail.
    let mut bytes = serde_json::to_vec_pretty(&content).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The offsets; an error says in words why these bytes are not the owner's.
pub(super) fn decode(owner: &Owner, bytes: &[u8]) -> Result<Table, String> {
    let torn = |error: serde_json::Error| {
        if bytes.iter().all(|byte| *byte == 0) {
            return format!("it is torn: there is nothing in its {} bytes", bytes.len());
        }
        format!("it is torn, or no file of offsets ({error})")
    };
    let head: Head = serde_json::from_slice(bytes).map_err(torn)?;
    if head.format != FORMAT {
        return Err(format!("it is no file of offsets of this package, but of the format {:?}", head.format));
    }
    if head.version != VERSION {
        return Err(format!(
            "its version is {}, and this package knows {VERSION}: a newer one has written it",
            head.version
        ));
    }
    let content: Content = serde_json::from_slice(bytes).map_err(torn)?;
    let found = Owner { group: content.group, namespace: content.namespace };
    if found != *owner {
        return Err(format!("it belongs to {}, and this consumer is of {}", found.name(), owner.name()));
    }
    let mut table = Table::new();
    for Entry { topic, broker_name, queue_id, offset } in content.offsets {
        let queue = MessageQueue { topic, broker_name, queue_id };
        if !(0..NOWHERE).contains(&offset) || queue_id < 0 {
            return Err(format!("it has offset {offset} for {queue}, which is none"));
        }
        if table.insert(queue.clone(), offset).is_some() {
            return Err(format!("it has two offsets for {queue}"));
        }
    }
    Ok(table)
}

impl Owner {
    fn name(&self) -> String {
        let namespace = self.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.map(|namespace| format!(" of namespace {namespace}")).unwrap_or_default();
        format!("group {}{namespace}", self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { group: String::from("GID_cache"), namespace: None }
    }

    fn table() -> Table {
        [(MessageQueue::new("orders", "a", 0), 7), (MessageQueue::new("orders", "b", 3), 0)].into()
    }

    fn bytes() -> Vec<u8> {
        encode(&owner(), &table(), String::from("2026-01-31T12:03:04Z"))
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(decode(&owner(), &bytes()), Ok(table()));
        assert_eq!(decode(&owner(), &encode(&owner(), &Table::new(), String::new())), Ok(Table::new()));
    }

    #[test]
    fn a_torn_file_is_refused_wherever_it_was_torn() {
        let whole = bytes();
        // All but the last line's end.
        for length in 0..whole.len() - 1 {
            let torn = decode(&owner(), &whole[..length]);
            assert!(torn.as_ref().is_err_and(|why| why.contains("torn")), "{length}: {torn:?}");
            let mut holed = whole.clone();
            holed[length..].fill(0);
            assert!(decode(&owner(), &holed).is_err(), "{length}");
        }
        assert_eq!(decode(&owner(), &[0; 512]), Err(String::from("it is torn: there is nothing in its 512 bytes")));
    }

    #[test]
    fn a_foreign_file_is_refused_with_whose_it_is() {
        let text = String::from_utf8(bytes()).unwrap();
        for (from, to, says) in [
            ("GID_cache", "GID_other", "belongs to group GID_other, and this consumer is of group GID_cache"),
            ("null", "\"MQ_INST_1\"", "belongs to group GID_cache of namespace MQ_INST_1"),
            ("\"version\": 1", "\"version\": 2", "a newer one has written it"),
            (FORMAT, "something else", "of the format \"something else\""),
            ("\"offset\": 7", "\"offset\": -1", "offset -1 for orders@a:0, which is none"),
            ("\"offset\": 7", "\"offset\": 9007199254740993", "which is none"),
            ("\"offset\": 7", "\"offset\": 7.5", "torn"),
        ] {
            let refused = decode(&owner(), text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(refused.contains(says), "{says}: {refused}");
        }
        let twice = text.replace("\"b\"", "\"a\"").replace("\"queueId\": 3", "\"queueId\": 0");
        assert_eq!(decode(&owner(), twice.as_bytes()), Err(String::from("it has two offsets for orders@a:0")));
        assert!(decode(&owner(), b"{\"orders\": 7}").unwrap_err().contains("no file of offsets"));
    }
}
