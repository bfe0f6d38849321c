//! What a consumer is told when it is made.

use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::ExpressionKind;
use crate::record::History;

/// One subscription, with the topic as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The topic.
    pub topic: String,
    /// Language of the expression.
    pub kind: ExpressionKind,
    /// `*`, `TagA || TagB`, or an SQL92 condition.
    pub expression: String,
}

/// Where a group begins in a queue for which it has no committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialPosition {
    /// Behind what was stored when the consumer started.
    Last,
    /// At the first message.
    First,
    /// At the first message stored at or after this time, ms since 1970.
    Timestamp(i64),
}

/// Who handles what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MessageModel {
    /// Every message goes to one member of the group.
    #[default]
    Clustering,
    /// Every message goes to every member.
    Broadcasting {
        /// Where this member keeps its offsets; in memory without it.
        offset_file: Option<PathBuf>,
    },
}

/// What becomes of a stored message that cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUndecodable {
    /// It holds its queue.
    #[default]
    Hold,
    /// Its bytes go to the dead-letter queue, then on.
    DeadLetter,
    /// On with the next one.
    Skip,
}

/// How long a queue waits after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspend {
    /// After the first failure of a message.
    pub initial: Duration,
    /// By how much each further failure of the same message makes it longer; 1 and more.
    pub factor: f64,
    /// The longest.
    pub max: Duration,
}

impl Suspend {
    /// The delay after a failure, `before` being how many of the same message came before it.
    pub fn delay(&self, before: i32) -> Duration {
        let seconds = self.initial.as_secs_f64() * self.factor.powi(before.clamp(0, 1_000));
        if seconds < self.max.as_secs_f64() { Duration::from_secs_f64(seconds) } else { self.max }
    }
}

/// What is handled one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderedBy {
    /// All messages of a queue.
    #[default]
    Queue,
    /// Messages of a queue with the same sharding key, and those without one.
    Key,
}

/// Everything that can be set on a consumer; validated by the facade.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// The group as the user sees it.
    pub group: String,
    /// One per topic, at least one.
    pub subscriptions: Vec<Wish>,
    /// Who handles what.
    pub message_model: MessageModel,
    /// What is handled one after the other.
    pub ordered_by: OrderedBy,
    /// Most messages that a handler gets at once, 1 and more.
    pub batch_messages: usize,
    /// Only where the group has no committed offset.
    pub initial_position: InitialPosition,
    /// Failed attempts before a message goes to the dead-letter queue; `None`: never.
    pub max_reconsume_times: Option<i32>,
    /// After `RECONSUME_LATER` and its like.
    pub suspend: Suspend,
    /// Most messages of one queue in memory, 1 and more.
    pub prefetch_messages: usize,
    /// Most bytes of all queues in memory.
    pub prefetch_bytes: usize,
    /// Between two commits of a queue.
    pub commit_interval: Duration,
    /// What becomes of a stored message that cannot be decoded.
    pub on_undecodable: OnUndecodable,
    /// What its user thinks of as too long for a handler, and is told of elsewhere; `None`: what we think, and tell.
    pub handler_timeout: Option<Duration>,
    /// What it does is written down there.
    pub history: History,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_by_the_factor_up_to_the_longest() {
        let suspend = Suspend { initial: Duration::from_millis(100), factor: 3.0, max: Duration::from_secs(1) };
        let delays: Vec<_> = [0, 1, 2, 3, i32::MAX].map(|before| suspend.delay(before).as_millis()).into();
        assert_eq!(delays, [100, 300, 900, 1_000, 1_000]);
    }

    #[test]
    fn a_fixed_delay_stays() {
        let suspend = Suspend { initial: Duration::from_secs(1), factor: 1.0, max: Duration::from_secs(1) };
        assert_eq!(suspend.delay(7), Duration::from_secs(1));
    }
}
