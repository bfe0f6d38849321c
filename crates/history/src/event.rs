//! The lines of a history.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds of a monotonic clock that all clients with the same [`Hello::boot`] share.
    pub t: u64,
    /// Whose line it is: a name that no other client has, as short as may be.
    pub by: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "e", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The first line of a client.
    Hello(Hello),
    /// The last line of a client that was closed; of a killed one there is none. Behind it come only handlers and answers that have
    /// outlived `close()`.
    Closed {},

    /// A producer goes by another route of a topic from here on, or by its first.
    Route {
        /// As the broker knows it.
        topic: String,
        /// The queues that keys are spread over, in their order.
        queues: Vec<Queue>,
    },
    /// A send was called.
    Submit {
        /// The number of the call, 1 and up, in the order of the calls of this producer.
        send: u64,
        /// As the broker knows it.
        topic: String,
        /// The sharding key.
        key: String,
        /// The unique ids of its messages: one, or those of a batch that the user made.
        ids: Vec<String>,
    },
    /// A request with these sends is being written: from here on it may be stored.
    Wire {
        /// The number of the request, 1 and up.
        request: u64,
        /// Where it is to be stored.
        queue: Queue,
        /// The sends in it, in the order of their places.
        sends: Vec<u64>,
    },
    /// An attempt is over.
    Answer {
        /// Its number.
        request: u64,
        /// How it ended.
        outcome: Answer,
    },
    /// The caller has the outcome of a send.
    Settle {
        /// The number of the call.
        send: u64,
        /// What the caller was told.
        outcome: Settled,
    },
    /// The caller is being told of what has failed of a key: what is called from here on is sent again. Whatever was called between the
    /// failure and this fails, too.
    Heard {
        /// As the broker knows it.
        topic: String,
        /// The sharding key.
        key: String,
    },

    /// A queue became ours, by an answer of its broker or because it needs none: a new epoch begins.
    Lock {
        /// The queue.
        queue: Queue,
        /// When the request was sent that was granted, microseconds of the same clock as `t`.
        asked: u64,
    },
    /// A lock that we have was granted again.
    Renewed {
        /// The queue.
        queue: Queue,
        /// When the request was sent that was granted.
        asked: u64,
    },
    /// We do not count the lock of a queue as ours any more, without having given it back: refused, expired, or in doubt. From a doubt it may
    /// come to a second one, which is for good; or to a [`Lock`](Event::Lock), and then handlers that began before the doubt count.
    Lost {
        /// The queue.
        queue: Queue,
        /// A word of it; `doubt` and `slept`: it may still be ours, a renewal brings it back, and commits of what is done may go on.
        why: String,
    },
    /// The queue is not to be ours any more: nothing starts that lies behind what has begun, until a new [`Position`](Event::Position) says that
    /// it is wanted again.
    Revoked {
        /// The queue.
        queue: Queue,
    },
    /// The lock is being given back, or what may have come of a request for it.
    Unlock {
        /// The queue.
        queue: Queue,
        /// Whether the request is sent, or its answer is here.
        phase: Phase,
    },
    /// Messages are handed over from this offset on; written before it is committed, and anew where that has failed.
    Position {
        /// The queue.
        queue: Queue,
        /// The next offset.
        offset: i64,
        /// Why there.
        why: Why,
    },
    /// A handler is called.
    Start {
        /// The queue.
        queue: Queue,
        /// Its message, or the first of its batch.
        offset: i64,
        /// The last of its batch; the same offset for a single message.
        last: i64,
        /// The sharding key; none where the message has none, or order is kept by queue.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Which attempt this is, from 1.
        attempt: u32,
    },
    /// A handler has ended.
    End {
        /// The queue.
        queue: Queue,
        /// The first message that it did not finish before, of a batch; else its message.
        offset: i64,
        /// How it ended.
        outcome: Ended,
        /// Whether that counts: not for whoever has lost the queue meanwhile.
        counted: bool,
    },
    /// A handler of several messages is done with all before this offset, and goes on.
    Passed {
        /// The queue.
        queue: Queue,
        /// The first that it is not done with.
        offset: i64,
    },
    /// Offsets are passed over without a handler; more than once where they were fetched more than once.
    Skipped {
        /// The queue.
        queue: Queue,
        /// The first of them.
        from: i64,
        /// The first that is not.
        to: i64,
        /// A word of it: `filtered`, `undecodable`, `deadLettered`, `removed`, in broadcasting `givenUp`, and `handled` what was done before the
        /// lock was lost and had again.
        why: String,
    },
    /// All before this offset is handled, and its broker is to know that.
    Commit {
        /// The queue.
        queue: Queue,
        /// The next offset.
        offset: i64,
        /// Whether the request is sent, or its answer is here.
        phase: Phase,
    },
    /// A message goes to the dead-letter queue.
    DeadLetter {
        /// The queue.
        queue: Queue,
        /// The message.
        offset: i64,
        /// Whether the request is sent, or its answer is here.
        phase: Phase,
    },

    /// What a look at a broker's store, at the end, has found.
    Stored {
        /// The queue.
        queue: Queue,
        /// Where.
        offset: i64,
        /// The unique id.
        id: String,
        /// The sharding key; empty for none.
        key: String,
        /// Whether the group subscribes to it; a history without filters has no need to say.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        matched: bool,
    },
    /// The offset that a broker holds for a group, at the end.
    Committed {
        /// The group.
        group: String,
        /// The queue.
        queue: Queue,
        /// The next offset.
        offset: i64,
    },
    /// Something outside of the clients: a broker restarted, a link cut.
    Fault {
        /// In words.
        what: String,
        /// Brokers, or clients' names, that it concerns; none for all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        whom: Vec<String>,
        /// Whether it excuses what it must: brokers that forget their locks or committed offsets.
        #[serde(default, skip_serializing_if = "Forgets::is_nothing")]
        forgets: Forgets,
        /// Whose position an administrator sets: where nobody has a queue of it, nobody hears of that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resets: Option<Resets>,
        /// How long it goes on from here, in microseconds, where that is known.
        #[serde(default, skip_serializing_if = "is_zero")]
        lasts: u64,
    },
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_true(it: &bool) -> bool {
    *it
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(it: &u64) -> bool {
    *it == 0
}

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of the line that stands or not, and nothing to the others"
)]
pub struct Hello {
    /// The version of this format: 1.
    pub version: u32,
    /// What it is.
    pub role: Role,
    /// Its client id, as brokers know it.
    pub client: String,
    /// Its group.
    pub group: String,
    /// What the clock counts from: clients with another one share no clock.
    pub boot: String,
    /// The wall clock at this line, milliseconds since 1970, for clients that share no clock.
    pub wall: i64,
    /// Of a consumer: whether order is kept per key inside a queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_key: bool,
    /// Of a consumer: whether each member has all queues, without locks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broadcasting: bool,
    /// Of a producer: whether requests may carry messages of several keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixes_keys: bool,
    /// Whether it tells only what its user sees, as another client's history does: sends and their outcomes, handlers and their ends. Nothing
    /// of requests, locks, positions and commits, and so nothing is judged by them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_user: bool,
}

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Sends.
    Producer,
    /// Handles.
    Consumer,
    /// Neither: a reader of a store, or whoever makes faults.
    Witness,
}

/// How an attempt of a send ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    /// Stored, the first message at this offset and the others behind it.
    Stored {
        /// Of the first.
        offset: i64,
    },
    /// Refused: nothing of it is stored.
    Refused {
        /// The code of the answer.
        code: i32,
    },
    /// Not written, or not all of it: nothing of it is stored.
    Unsent,
    /// No answer came before the connection or the time ended: stored, or not, or later.
    Unknown,
}

/// What the caller of a send was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Settled {
    /// Stored there.
    Stored {
        /// The queue.
        queue: Queue,
        /// Of the first message.
        offset: i64,
    },
    /// Not stored.
    Failed {
        /// The error's code.
        code: String,
    },
    /// Nobody knows.
    Unknown {
        /// The error's code.
        code: String,
    },
}

/// How a handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    /// Handled.
    Success,
    /// To be tried again.
    Failure,
    /// Nothing was said: as if it had not begun.
    Left,
}

/// A request, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It is being written.
    Sent,
    /// It was done.
    Done,
    /// It was refused, or there was no answer: done, or not, or later.
    Unknown,
}

/// Why messages are handed over from some offset on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// The broker says that all before is handled.
    Committed,
    /// The broker knows of nothing: as `initialPosition` says.
    Initial,
    /// We have handled all before.
    Memory,
    /// An administrator's reset.
    Reset,
    /// A `seek()`.
    Seek,
    /// Messages before have been removed, or the queue was made anew.
    Correction,
}

/// What a fault makes brokers forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Forgets {
    /// Who has which queue.
    pub locks: bool,
    /// Commits of the last this many microseconds.
    pub commits: u64,
}

impl Forgets {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Of a group in a topic, the offsets that are set from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resets {
    /// The group.
    pub group: String,
    /// The topic, as the broker knows it.
    pub topic: String,
}

/// A queue, as brokers know it: in JSON `topic@broker:number`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue {
    /// The topic, with its namespace.
    pub topic: String,
    /// The broker's name.
    pub broker: String,
    /// The number.
    pub id: i32,
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.topic, self.broker, self.id)
    }
}

impl FromStr for Queue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no queue: topic@broker:number");
        let (topic, rest) = text.split_once('@').ok_or_else(wrong)?;
        let (broker, id) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let id = id.parse().map_err(|_| wrong())?;
        Ok(Self { topic: topic.to_owned(), broker: broker.to_owned(), id })
    }
}

impl Serialize for Queue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Queue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        "ns%orders@broker:a:3".parse().unwrap()
    }

    #[test]
    fn queues_are_one_word() {
        assert_eq!(queue(), Queue { topic: "ns%orders".into(), broker: "broker:a".into(), id: 3 });
        assert_eq!(queue().to_string(), "ns%orders@broker:a:3");
        assert!("orders:3".parse::<Queue>().is_err());
        assert!("orders@a:x".parse::<Queue>().is_err());
    }

    #[test]
    fn lines_are_flat_json() {
        let line = |event| Line { t: 7, by: "c1".into(), event };
        for (event, json) in [
            (Event::Closed {}, r#"{"t":7,"by":"c1","e":"closed"}"#),
            (
                Event::Start { queue: queue(), offset: 4, last: 4, key: None, attempt: 1 },
                r#"{"t":7,"by":"c1","e":"start","queue":"ns%orders@broker:a:3","offset":4,"last":4,"attempt":1}"#,
            ),
            (
                Event::Answer { request: 2, outcome: Answer::Stored { offset: 9 } },
                r#"{"t":7,"by":"c1","e":"answer","request":2,"outcome":{"stored":{"offset":9}}}"#,
            ),
            (
                Event::Answer { request: 2, outcome: Answer::Unknown },
                r#"{"t":7,"by":"c1","e":"answer","request":2,"outcome":"unknown"}"#,
            ),
            (
                Event::Stored { queue: queue(), offset: 1, id: "A".into(), key: "k".into(), matched: true },
                r#"{"t":7,"by":"c1","e":"stored","queue":"ns%orders@broker:a:3","offset":1,"id":"A","key":"k"}"#,
            ),
        ] {
            let line = line(event);
            assert_eq!(serde_json::to_string(&line).unwrap(), json);
            assert_eq!(serde_json::from_str::<Line>(json).unwrap(), line);
        }
    }
}
