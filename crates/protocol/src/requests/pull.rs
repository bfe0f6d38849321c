//! 11: messages of one queue, from an offset on.

use bytes::Bytes;

use crate::code::{request, response};
use crate::command::{Command, Fields};
use crate::request::{Request, ResponseError, refused};
use crate::requests::offset::{check_place, place};
use crate::subscription::ExpressionKind;

/// The broker may hold the request until a message arrives.
const SUSPEND: i32 = 0x2;
/// The request brings its own expression.
const SUBSCRIPTION: i32 = 0x4;
/// Remark of 21 where an administrator moved the offset (5.x); without it the messages are gone or never were.
const OFFSET_RESET: &str = "OFFSET_RESET";
/// Remarks of 19 and 20 where stored messages could not be read any more, and the next offset lies behind them.
const UNREADABLE: [&str; 2] = ["OFFSET_FOUND_NULL", "MESSAGE_WAS_REMOVING"];
/// Remarks that 20 does not have at a master: a slave answers so what a master would answer otherwise.
const OF_SLAVES: [&str; 6] = [
    "FOUND",
    "NO_MATCHED_LOGIC_QUEUE",
    "NO_MESSAGE_IN_QUEUE",
    "OFFSET_OVERFLOW_BADLY",
    "OFFSET_OVERFLOW_ONE",
    "OFFSET_TOO_SMALL",
];

/// Pulls from one queue. Never commits: on 5.5.0 a commit in a pull can undo an administrator's reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Real (namespaced) group.
    pub group: String,
    /// Real (namespaced) topic.
    pub topic: String,
    /// Broker name of the queue; a proxy needs it.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
    /// Offset of the first message wanted.
    pub queue_offset: i64,
    /// Most messages wanted; a broker returns no more than 32.
    pub max_messages: i32,
    /// How long the broker may hold the request, in ms; it may take 5 s longer. 0: answer at once.
    pub suspend_ms: i64,
    /// Version of our subscription; without an expression one newer than the broker's is refused with 25, with one it means nothing.
    pub sub_version: i64,
    /// What kind of expression the subscription has.
    pub kind: ExpressionKind,
    /// An expression to use instead of the one that the broker keeps for the group, whoever announced that. A condition that the broker
    /// cannot read filters nothing.
    pub expression: Option<String>,
}

/// What a pull found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullStatus {
    /// Messages.
    Found,
    /// Nothing behind the offset yet; may also mean that the newest messages are not visible for some ms.
    NothingNew,
    /// Messages were looked at, none matched: go on from the next offset.
    NoMatch,
    /// Messages cannot be read any more: go on from the next offset.
    Unreadable,
    /// A slave has answered, which decides nothing.
    Slave,
    /// The offset is outside the queue; the next offset is the correction.
    OffsetIllegal {
        /// An administrator's reset rather than lost messages.
        reset: bool,
    },
}

/// The answer to a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// What was found.
    pub status: PullStatus,
    /// Where to pull next, in any case.
    pub next_offset: i64,
    /// First offset of the queue.
    pub min_offset: i64,
    /// Offset behind the last message.
    pub max_offset: i64,
    /// Broker id to pull from next; 0 is the master.
    pub suggested_broker_id: i64,
    /// Stored messages back to back, see [`crate::message::read_records`].
    pub body: Bytes,
}

impl Request for Pull {
    const CODE: i32 = request::PULL_MESSAGE;
    type Response = Pulled;

    fn encode(&self) -> (Fields, Bytes) {
        let suspend = if self.suspend_ms > 0 { SUSPEND } else { 0 };
        let subscription = if self.expression.is_some() { SUBSCRIPTION } else { 0 };
        let mut fields = Fields::new();
        fields.push("consumerGroup", self.group.as_str());
        fields.push("topic", self.topic.as_str());
        fields.push_display("queueId", self.queue_id);
        fields.push_display("queueOffset", self.queue_offset);
        fields.push_display("maxMsgNums", self.max_messages);
        fields.push_display("sysFlag", suspend | subscription);
        fields.push("commitOffset", "0");
        fields.push_display("suspendTimeoutMillis", self.suspend_ms.max(0));
        if let Some(expression) = &self.expression {
            fields.push("subscription", expression.as_str());
        }
        fields.push_display("subVersion", self.sub_version);
        fields.push("expressionType", self.kind.name());
        fields.push("bname", self.broker_name.as_str());
        (fields, Bytes::new())
    }

    fn decode(response: Command) -> Result<Pulled, ResponseError> {
        let remark = response.remark.as_deref().unwrap_or_default();
        let status = match response.code {
            response::SUCCESS => PullStatus::Found,
            response::PULL_NOT_FOUND | response::PULL_RETRY_IMMEDIATELY if UNREADABLE.contains(&remark) => {
                PullStatus::Unreadable
            }
            response::PULL_NOT_FOUND => PullStatus::NothingNew,
            response::PULL_RETRY_IMMEDIATELY if OF_SLAVES.contains(&remark) => PullStatus::Slave,
            response::PULL_RETRY_IMMEDIATELY => PullStatus::NoMatch,
            response::PULL_OFFSET_MOVED => PullStatus::OffsetIllegal { reset: remark == OFFSET_RESET },
            _ => return Err(refused(response)),
        };
        let fields = &response.fields;
        Ok(Pulled {
            status,
            next_offset: place(fields, "nextBeginOffset")?,
            // Below 0 it says as little as 0.
            min_offset: check_place("minOffset", fields.parse::<i64>("minOffset")?.max(0))?,
            max_offset: place(fields, "maxOffset")?,
            suggested_broker_id: fields.get("suggestWhichBrokerId").and_then(|id| id.parse().ok()).unwrap_or(0),
            body: response.body,
        })
    }
}
