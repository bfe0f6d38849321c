//! What a scripted broker answers.

use bytes::Bytes;
use serde_json::Value;

use super::cluster::{Entry, Nonsense, State, queue};
use super::records::{record, record_of};
use crate::env;
use crate::protocol::code::{request, response};
use crate::protocol::{Command, Fields, MessageQueue, properties};

impl State {
    pub(super) fn execute(&mut self, broker: &str, client: &str, command: &Command) -> Command {
        match command.code {
            request::GET_CONSUMER_LIST_BY_GROUP => {
                self.member_lists += 1;
                let members = &self.brokers[broker].members;
                if members.is_empty() {
                    return refuse(command, 1, "no consumer for this group, GID_test");
                }
                respond(command, &serde_json::json!({ "consumerIdList": members }).to_string())
            }
            request::LOCK_BATCH_MQ => self.lock(client, command),
            request::UNLOCK_BATCH_MQ => {
                for queue in queues_of(command) {
                    if self.broker(&queue).owner(&queue).is_some_and(|owner| owner == client) {
                        self.broker(&queue).locks.remove(&queue);
                        self.note(Entry::Unlocked { client: client.to_owned(), queue });
                    }
                }
                respond(command, "")
            }
            request::QUERY_CONSUMER_OFFSET => {
                let queue = queue_of(broker, command);
                let young = !self.queue(&queue).is_empty() && !self.broker(&queue).minimum.contains_key(&queue);
                match self.broker(&queue).offsets.get(&queue) {
                    Some(offset) => with_offset(command, *offset),
                    None if young && command.fields.get("setZeroIfNotFound") != Some("false") => {
                        with_offset(command, 0)
                    }
                    None => {
                        refuse(command, response::QUERY_NOT_FOUND, "Not found, maybe this group consumer boot first")
                    }
                }
            }
            request::UPDATE_CONSUMER_OFFSET => {
                let (queue, offset) = (queue_of(broker, command), command.fields.parse("commitOffset").unwrap());
                if self.broker(&queue).pending_resets.contains_key(&queue) {
                    return Command { remark: Some("Offset has been previously reset".into()), ..respond(command, "") };
                }
                self.broker(&queue).offsets.insert(queue.clone(), offset);
                self.note(Entry::Committed { client: client.to_owned(), queue, offset });
                respond(command, "")
            }
            request::GET_MAX_OFFSET => {
                let queue = queue_of(broker, command);
                let end = i64::try_from(self.queue(&queue).len()).unwrap();
                with_offset(command, end)
            }
            request::GET_MIN_OFFSET => {
                let queue = queue_of(broker, command);
                with_offset(command, self.broker(&queue).minimum.get(&queue).copied().unwrap_or(0))
            }
            request::SEARCH_OFFSET_BY_TIMESTAMP => {
                // As 4.9: behind the last message, the last message.
                let queue = queue_of(broker, command);
                let time: i64 = command.fields.parse("timestamp").unwrap();
                let stored = self.queue(&queue);
                let found = stored.iter().position(|message| message.timestamp >= time);
                let last = stored.len().saturating_sub(1);
                with_offset(command, i64::try_from(found.unwrap_or(last)).unwrap())
            }
            request::SEND_MESSAGE_V2 => self.give_up(command),
            request::CHECK_CLIENT_CONFIG => respond(command, ""),
            code => refuse(command, 3, &format!("request type {code} not supported")),
        }
    }

    fn lock(&mut self, client: &str, command: &Command) -> Command {
        let mut granted = Vec::new();
        for queue in queues_of(command) {
            let owner = self.broker(&queue).owner(&queue);
            if owner.as_deref().is_some_and(|owner| owner != client) {
                self.note(Entry::Refused { client: client.to_owned(), queue });
                continue;
            }
            self.broker(&queue).locks.insert(queue.clone(), (client.to_owned(), env::now()));
            self.note(Entry::Locked { client: client.to_owned(), queue: queue.clone(), fresh: owner.is_none() });
            granted.push(queue);
        }
        granted.reverse();
        respond(command, &serde_json::json!({ "lockOKMQSet": granted }).to_string())
    }

    /// A send to the retry topic becomes a dead letter, as 5.x decides: more attempts than the limit.
    fn give_up(&mut self, command: &Command) -> Command {
        let fields = &command.fields;
        let entry = Entry::DeadLetter {
            topic: fields.get("b").unwrap().to_owned(),
            body: command.body.clone(),
            j: fields.parse("j").unwrap(),
            l: fields.parse("l").unwrap(),
            f: fields.parse("f").unwrap(),
            properties: properties::decode(fields.get("i").unwrap()),
        };
        self.note(entry);
        let mut answer = respond(command, "");
        answer.fields = [("msgId", "0A00000200002A9F00000000075BCD15"), ("queueId", "0"), ("queueOffset", "0")]
            .into_iter()
            .collect();
        answer
    }

    pub(super) fn pull(&mut self, broker: &str, client: &str, command: &Command, time_is_up: bool) -> Option<Command> {
        let queue = queue_of(broker, command);
        // With an expression of its own a pull needs no registration.
        let is_registered = self.brokers[broker].members.contains(client);
        if !is_registered && command.fields.get("subscription").is_none() {
            return Some(refuse(command, response::SUBSCRIPTION_NOT_EXIST, "the consumer's group info not exist"));
        }
        let offset: i64 = command.fields.parse("queueOffset").unwrap();
        let minimum = self.broker(&queue).minimum.get(&queue).copied().unwrap_or(0);
        let end = i64::try_from(self.queue(&queue).len()).unwrap();
        if let Some(to) = self.broker(&queue).pending_resets.remove(&queue) {
            return Some(pulled(command, response::PULL_OFFSET_MOVED, "OFFSET_RESET", to, minimum, end, Bytes::new()));
        }
        if offset < minimum || offset > end {
            let (remark, to) =
                if offset < minimum { ("OFFSET_TOO_SMALL", minimum) } else { ("OFFSET_OVERFLOW_BADLY", end) };
            return Some(pulled(command, response::PULL_OFFSET_MOVED, remark, to, minimum, end, Bytes::new()));
        }
        let mut body = Vec::new();
        let mut next = offset;
        let first = usize::try_from(offset).unwrap();
        let most = command.fields.parse::<usize>("maxMsgNums").unwrap().clamp(1, 32);
        let stored: Vec<_> = self.queue(&queue).iter().skip(first).take(most).cloned().collect();
        for message in &stored {
            body.extend_from_slice(&record(&queue.topic, queue.queue_id, next, message));
            next += 1;
        }
        if next > offset {
            self.note(Entry::Pulled { queue, offset });
            return Some(pulled(command, response::SUCCESS, "FOUND", next, minimum, end, Bytes::from(body)));
        }
        time_is_up.then(|| {
            pulled(command, response::PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", offset, minimum, end, Bytes::new())
        })
    }
}

impl Nonsense {
    pub(super) fn answer(&self, command: &Command) -> Command {
        let Self { code, remark, next, min, max, suggested, records } = self;
        let body: Vec<u8> = records.iter().flat_map(|(topic, id, offset)| record_of(topic, *id, *offset)).collect();
        let mut answer = pulled(command, *code, remark, *next, *min, *max, Bytes::from(body));
        answer.fields.push_display("suggestWhichBrokerId", suggested);
        answer
    }
}

fn respond(command: &Command, body: &str) -> Command {
    command.respond(response::SUCCESS, None, Bytes::copy_from_slice(body.as_bytes()))
}

fn refuse(command: &Command, code: i32, remark: &str) -> Command {
    command.respond(code, Some(remark.to_owned()), Bytes::new())
}

fn with_offset(command: &Command, offset: i64) -> Command {
    let mut answer = respond(command, "");
    answer.fields = Fields::new();
    answer.fields.push_display("offset", offset);
    answer
}

fn pulled(command: &Command, code: i32, remark: &str, next: i64, minimum: i64, end: i64, body: Bytes) -> Command {
    let mut answer = command.respond(code, Some(remark.to_owned()), body);
    answer.fields.push_display("nextBeginOffset", next);
    answer.fields.push_display("minOffset", minimum);
    answer.fields.push_display("maxOffset", end);
    answer.fields.push("suggestWhichBrokerId", "0");
    answer
}

fn queue_of(broker: &str, command: &Command) -> MessageQueue {
    queue(command.fields.get("topic").unwrap(), broker, command.fields.parse("queueId").unwrap())
}

/// The queues named in the body of 41 or 42.
pub(super) fn queues_of(command: &Command) -> Vec<MessageQueue> {
    let body: Value = serde_json::from_slice(&command.body).unwrap();
    serde_json::from_value(body["mqSet"].clone()).unwrap()
}
