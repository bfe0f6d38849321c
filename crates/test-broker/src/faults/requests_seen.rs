//! The requests that came, for tests to look at, and how many of one key were on their way at once.

use std::collections::{BTreeMap, VecDeque};

use super::request_names::is_send;
use crate::protocol::Command;
use crate::protocol::code::request;
use crate::protocol::properties::{self, name};
use crate::requests::bodies::{self, Locking};
use crate::store::record::{batch_entries, property};

/// So many are remembered; older ones are forgotten.
const REMEMBERED: usize = 100_000;

/// What a request is about, as far as tests and faults look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) code: i32,
    /// The client id where it is known, else the peer's address.
    pub(crate) client: String,
    /// Topics and queues; several for locks.
    pub(crate) queues: Vec<(String, Option<i32>)>,
    /// Of sends, each key once.
    pub(crate) sharding_keys: Vec<String>,
}

impl Asked {
    /// Reads what a request says about itself; `known` is the id of the connection's last heartbeat.
    pub(crate) fn of(command: &Command, known: Option<&str>, peer: &str) -> Self {
        let field = |names: [&str; 2]| names.iter().find_map(|name| command.fields.get(name));
        let mut client = command.fields.get("clientID").map(str::to_owned);
        let mut queues = Vec::new();
        let short = matches!(command.code, request::SEND_MESSAGE_V2 | request::SEND_BATCH_MESSAGE);
        let topic = if short { field(["b", "topic"]) } else { command.fields.get("topic") };
        let queue_id = if short { field(["e", "queueId"]) } else { command.fields.get("queueId") };
        if let Some(topic) = topic {
            queues.push((topic.to_owned(), queue_id.and_then(|id| id.parse().ok())));
        }
        if command.code == request::HEART_BEAT {
            client = bodies::beating(command).or(client);
        } else if matches!(command.code, request::LOCK_BATCH_MQ | request::UNLOCK_BATCH_MQ) {
            let locking = Locking::of(command).ok().flatten().unwrap_or_default();
            let (id, _, locked) = locking.parts().unwrap_or_default();
            client = Some(id).filter(|id| !id.is_empty()).or(client);
            queues.extend(locked.into_iter().map(|queue| (queue.topic, Some(queue.queue_id))));
        }
        Self {
            code: command.code,
            client: client.or_else(|| known.map(str::to_owned)).unwrap_or_else(|| peer.to_owned()),
            queues,
            sharding_keys: sharding_keys(command),
        }
    }

    /// Whether a topic and queue are among what is asked for.
    pub(crate) fn touches(&self, topic: Option<&str>, queue_id: Option<i32>) -> bool {
        (topic.is_none() && queue_id.is_none())
            || self.queues.iter().any(|(known, id)| {
                topic.is_none_or(|topic| topic == known) && queue_id.is_none_or(|wanted| *id == Some(wanted))
            })
    }

    /// The queue of a send.
    pub(crate) fn send_queue(&self) -> Option<&(String, Option<i32>)> {
        is_send(self.code).then(|| self.queues.first()).flatten()
    }
}

fn sharding_keys(command: &Command) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        if let Some(key) = property(&properties::decode(text), name::SHARDING_KEY)
            && !keys.iter().any(|known| known == key)
        {
            keys.push(key.to_owned());
        }
    };
    if command.code == request::SEND_BATCH_MESSAGE {
        for entry in batch_entries(&command.body).unwrap_or_default() {
            add(&entry.properties);
        }
    } else if is_send(command.code) {
        add(command.fields.get("i").or_else(|| command.fields.get("properties")).unwrap_or_default());
    }
    keys
}

/// One request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) asked: Asked,
    /// Name of the broker; empty for the name server.
    pub(crate) broker: String,
    /// Wall clock, ms.
    pub(crate) at: i64,
    /// Wall clock, ms; when the answer was written.
    pub(crate) answered: Option<i64>,
}

/// The requests of a test.
#[derive(Debug, Default)]
pub(crate) struct RequestsSeen {
    seen: VecDeque<Seen>,
    forgotten: u64,
    in_flight: BTreeMap<(String, String), usize>,
    most_in_flight: usize,
}

impl RequestsSeen {
    /// Remembers a request; its number.
    pub(crate) fn came(&mut self, asked: Asked, broker: &str, at: i64) -> u64 {
        for key in Self::keys(&asked) {
            let count = self.in_flight.entry(key).or_default();
            *count += 1;
            self.most_in_flight = self.most_in_flight.max(*count);
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
            self.forgotten += 1;
        }
        // Nobody is shown more than the first; a lock request may name very many.
        let asked = Asked { queues: asked.queues.into_iter().take(1).collect(), ..asked };
        self.seen.push_back(Seen { asked, broker: broker.to_owned(), at, answered: None });
        self.forgotten + self.seen.len() as u64 - 1
    }

    /// A request is over: answered, or never to be (no time then).
    pub(crate) fn over(&mut self, number: u64, asked: &Asked, answered: Option<i64>) {
        for key in Self::keys(asked) {
            if let Some(count) = self.in_flight.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.in_flight.remove(&key);
                }
            }
        }
        let index = number.checked_sub(self.forgotten).and_then(|index| usize::try_from(index).ok());
        if let Some(seen) = index.and_then(|index| self.seen.get_mut(index)) {
            seen.answered = answered;
        }
    }

    fn keys(asked: &Asked) -> Vec<(String, String)> {
        let topic = asked.send_queue().map(|(topic, _)| topic.clone()).unwrap_or_default();
        asked.sharding_keys.iter().map(|key| (topic.clone(), key.clone())).collect()
    }

    /// All that are remembered, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter()
    }

    /// The most sends of one sharding key that were here and not answered at one time.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.most_in_flight
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Asked, RequestsSeen};
    use crate::faults::request_names::code_name;
    use crate::protocol::{Command, LockQueues, MessageQueue, Request};

    fn send(key: &str) -> Command {
        let fields = [("b", "t"), ("e", "2"), ("i", &format!("__SHARDINGKEY\u{1}{key}\u{2}"))];
        Command::request(310, fields.into_iter().collect(), Bytes::new())
    }

    #[test]
    fn requests_say_what_they_are_about() {
        let asked = Asked::of(&send("k1"), Some("c1"), "ip:1");
        assert_eq!((asked.client.as_str(), asked.queues.clone()), ("c1", vec![("t".into(), Some(2))]));
        assert_eq!(asked.sharding_keys, ["k1"]);
        let queues = vec![MessageQueue::new("a", "broker-a", 1), MessageQueue::new("b", "broker-a", 2)];
        let lock = LockQueues { client_id: "c2".into(), group: "g".into(), queues };
        let asked = Asked::of(&lock.command(), None, "ip:1");
        assert_eq!(asked.client, "c2");
        assert!(
            asked.touches(Some("b"), Some(2)) && asked.touches(None, Some(1)) && !asked.touches(Some("a"), Some(2))
        );
        assert_eq!(code_name(310), "SEND_MESSAGE_V2");
        assert_eq!(code_name(9999), "UNKNOWN_9999");
    }

    #[test]
    fn sends_of_one_key_are_counted_until_they_are_answered() {
        let mut seen = RequestsSeen::default();
        let ask = |key| Asked::of(&send(key), None, "ip:1");
        let first = seen.came(ask("k1"), "broker-a", 1);
        seen.over(first, &ask("k1"), Some(2));
        seen.came(ask("k1"), "broker-a", 3);
        seen.came(ask("k2"), "broker-a", 3);
        assert_eq!(seen.most_in_flight(), 1);
        seen.came(ask("k1"), "broker-a", 4);
        assert_eq!(seen.most_in_flight(), 2);
        assert_eq!(seen.iter().map(|seen| seen.answered).collect::<Vec<_>>(), [Some(2), None, None, None]);
    }
}
