//! What is in the brokers at the end.

use rocketmq_client::record::Lines;
use rocketmq_history::event::{Event, Queue};
use rocketmq_test_broker::TestBroker;
use serde_json::Value;

fn queue(value: &Value) -> Queue {
    Queue {
        topic: value["topic"].as_str().unwrap_or_default().to_owned(),
        broker: value["brokerName"].as_str().unwrap_or_default().to_owned(),
        id: value["queueId"].as_i64().and_then(|id| i32::try_from(id).ok()).unwrap_or(-1),
    }
}

/// Reads back all of some topics, and the offsets of some groups.
pub(crate) fn read_back(broker: &TestBroker, topics: &[String], groups: &[String], histories: &Lines) {
    let messages = topics.iter().map(|topic| broker.messages(topic).unwrap_or_else(|error| panic!("{error:?}")));
    for message in messages.flatten() {
        let message = serde_json::to_value(message).unwrap_or_default();
        histories.write(
            "store",
            Event::Stored {
                queue: queue(&message["queue"]),
                offset: message["queueOffset"].as_i64().unwrap_or(-1),
                id: message["msgId"].as_str().unwrap_or_default().to_owned(),
                key: message["shardingKey"].as_str().unwrap_or_default().to_owned(),
                matched: true,
            },
        );
    }
    for group in groups {
        for offset in broker.offsets(group).unwrap_or_else(|error| panic!("{error:?}")) {
            let place = serde_json::to_value(&offset.queue).unwrap_or_default();
            let (group, offset) = (group.clone(), offset.committed_offset);
            histories.write("store", Event::Committed { group, queue: queue(&place), offset });
        }
    }
}
