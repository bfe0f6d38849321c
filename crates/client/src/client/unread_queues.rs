//! Messages that nobody can read, in words: queues that are written and not read, and queues that have gone with messages in them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::advice::{Advice, shell};
use crate::error::{ClientError, Code};
use crate::protocol::route::QueueData;
use crate::protocol::{MessageQueue, TopicRoute};

/// A queue that consumers are not told of any more, with messages that a group has not handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which, with the real topic.
    pub queue: MessageQueue,
    /// Where the group stands.
    pub committed: i64,
    /// Behind its last message.
    pub end: i64,
}

/// What is wrong with a route in which queues are written and not read. `shown`: the topic for users.
pub fn written_unread(
    route: &TopicRoute,
    queues: &[MessageQueue],
    shown: &str,
    advice: &Advice,
) -> Option<ClientError> {
    let topic = &queues.first()?.topic;
    let by_broker = ids_by_broker(queues);
    let mut places = String::new();
    for (broker, ids) in &by_broker {
        let between = if places.is_empty() { "" } else { " and " };
        let _ = write!(places, "{between}{} of {broker} ({})", numbers(ids), numbers_told(route, broker));
    }
    let text = format!(
        "messages of topic {shown} are written into queues that no consumer is told of: {places}. They wait there until those queues can \
         be read: {}",
        repair(route, topic, &by_broker, advice)
    );
    Some(ClientError::new(Code::UnreadQueue, text).with_topic(shown))
}

/// What is wrong where queues with messages for a group have gone from the route.
pub fn left_behind(
    route: &TopicRoute,
    left: &[Left],
    shown: &str,
    group: &str,
    advice: &Advice,
) -> Option<ClientError> {
    let topic = &left.first()?.queue.topic;
    let places: Vec<String> = left
        .iter()
        .map(|Left { queue, committed, end }| {
            let MessageQueue { broker_name, queue_id, .. } = queue;
            format!("queue {queue_id} of {broker_name} (committed {committed}, stored up to {end})")
        })
        .collect();
    let count: i64 = left.iter().map(|left| left.end - left.committed).sum();
    let queues: Vec<MessageQueue> = left.iter().map(|left| left.queue.clone()).collect();
    let text = format!(
        "{count} messages of topic {shown} that group {group} has not handled lie in queues that no consumer is told of any more: {}. They \
         wait there until those queues can be read: {}",
        places.join(", "),
        repair(route, topic, &ids_by_broker(&queues), advice)
    );
    Some(ClientError::new(Code::UnreadQueue, text).with_topic(shown))
}

fn ids_by_broker(queues: &[MessageQueue]) -> BTreeMap<&str, Vec<i32>> {
    let mut by_broker = BTreeMap::<&str, Vec<i32>>::new();
    for queue in queues {
        by_broker.entry(&queue.broker_name).or_default().push(queue.queue_id);
    }
    by_broker
}

/// `queue 3`, `queues 2 to 7`.
fn numbers(ids: &[i32]) -> String {
    match ids {
        [id] => format!("queue {id}"),
        [first, .., last] => format!("queues {first} to {last}"),
        [] => String::from("no queue"),
    }
}

fn numbers_told(route: &TopicRoute, broker: &str) -> String {
    match route.queue_data(broker) {
        Some(data) if !data.is_readable() => String::from("the topic has no permission to read there"),
        Some(QueueData { read_queues, write_queues, .. }) => {
            format!("the topic has {write_queues} queues to write there and {read_queues} to read")
        }
        None => String::from("unknown"),
    }
}

/// The commands after which these queues, and all that is written, can be read.
fn repair(route: &TopicRoute, topic: &str, wanted: &BTreeMap<&str, Vec<i32>>, advice: &Advice) -> String {
    if advice.alibaba_cloud {
        return String::from("look at the topic in the Alibaba Cloud console");
    }
    let (servers, topic) = (shell(&advice.name_servers), shell(topic));
    let commands = wanted.iter().filter_map(|(broker, ids)| {
        let data = route.queue_data(broker)?;
        let address = shell(route.master_of(broker).unwrap_or("<broker>"));
        if !data.is_readable() {
            return Some(format!("mqadmin updateTopicPerm -n {servers} -b {address} -t {topic} -p 6"));
        }
        let behind = ids.iter().map(|id| id.saturating_add(1)).max().unwrap_or(0);
        let (write, read) = (data.write_queues, data.write_queues.max(data.read_queues).max(behind));
        Some(format!("mqadmin updateTopic -n {servers} -b {address} -t {topic} -r {read} -w {write}"))
    });
    commands.collect::<Vec<_>>().join("; ")
}
