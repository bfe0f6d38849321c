//! The body of a 220: a map keyed by queue objects, or, when the administrator's tool is a C++ one, a list.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::{self, Few, Integer, Members};
use crate::queue::MessageQueue;
use crate::request::ResponseError;
use crate::route::MAX_QUEUES;

/// The new offsets by queue.
pub(super) fn offsets(body: &[u8]) -> Result<Vec<(MessageQueue, i64)>, ResponseError> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    match json::from_bytes::<Body>(body)?.offset_table {
        None => Ok(Vec::new()),
        Some(Table::ByQueue(members)) => {
            let entries = members.all()?.into_iter();
            entries.map(|(queue, Integer(offset))| Ok((json::from_bytes(queue.as_bytes())?, offset))).collect()
        }
        Some(Table::List(items)) => Ok(items.all()?.into_iter().map(Item::into_pair).collect()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    offset_table: Option<Table>,
}

enum Table {
    ByQueue(Members<Integer, MAX_QUEUES>),
    List(Few<Item, MAX_QUEUES>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    broker_name: String,
    queue_id: Integer<i32>,
    topic: String,
    offset: Integer,
}

impl Item {
    fn into_pair(self) -> (MessageQueue, i64) {
        (MessageQueue::new(self.topic, self.broker_name, self.queue_id.0), self.offset.0)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TableVisitor)
    }
}

struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = Table;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("offsets, as a map or as a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table, A::Error> {
        Members::read(map).map(Table::ByQueue)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Table, A::Error> {
        Few::read(seq).map(Table::List)
    }
}
