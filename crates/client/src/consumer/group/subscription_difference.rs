//! One way in which members of a group do not subscribe alike, and what to tell of it.

use std::collections::BTreeSet;

use crate::error::{ClientError, Code};
use crate::protocol::{Announced, Meaning};

/// Members that are named; of more, their number.
const NAMED: usize = 3;

/// What differs.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// The expressions of one topic.
    Expression {
        /// This consumer's.
        ours: Announced,
        /// The others'.
        theirs: Announced,
    },
    /// The others do not subscribe this topic of ours.
    Theirs(String),
    /// We do not subscribe this topic of theirs.
    Ours(String),
}

/// Equal for differences that are one: those of members that select the same, however they spell it. They are told together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    topic: String,
    theirs: Option<Meaning>,
    is_ours: bool,
    is_certain: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// What.
    pub(crate) subject: Subject,
    /// By the members' own word; else a broker keeps the expression, and any member that does not tell may have announced it.
    pub(crate) certain: bool,
    /// Who.
    pub(crate) members: BTreeSet<String>,
}

impl Subject {
    /// Real name of the topic.
    pub(crate) fn topic(&self) -> &str {
        match self {
            Self::Expression { ours, .. } => &ours.topic,
            Self::Theirs(topic) | Self::Ours(topic) => topic,
        }
    }

    /// See [`Key`].
    pub(crate) fn key(&self, is_certain: bool) -> Key {
        let theirs = match self {
            Self::Expression { theirs, .. } => Some(theirs.meaning()),
            Self::Theirs(_) | Self::Ours(_) => None,
        };
        Key { topic: self.topic().to_owned(), theirs, is_ours: matches!(self, Self::Ours(_)), is_certain }
    }
}

impl Difference {
    /// What users read, in a warning and in `health()`. `shown` makes the user's name of a topic.
    pub(crate) fn problem(&self, group: &str, shown: impl Fn(&str) -> String) -> ClientError {
        let (topic, who) = (shown(self.subject.topic()), self.who());
        let (does, do_) =
            if self.certain && self.members.len() > 1 { ("subscribe", "do") } else { ("subscribes", "does") };
        let text = match &self.subject {
            Subject::Expression { ours, theirs } => format!(
                "{who} of group {group} {does} topic {topic} with {theirs}, this consumer with {ours}: each member handles what it \
                 subscribes of its own queues, and what else is in them is passed over for good. {REMEDY}"
            ),
            Subject::Theirs(_) => format!(
                "{who} of group {group} {do_} not subscribe topic {topic}, as this consumer does: nobody handles the queues of the \
                 topic that fall to it. {REMEDY}"
            ),
            Subject::Ours(_) => format!(
                "{who} of group {group} {does} topic {topic}, this consumer does not: nobody handles the queues of the topic that fall \
                 to this consumer. {REMEDY}"
            ),
        };
        ClientError::new(Code::Filter, text).with_topic(topic)
    }

    fn who(&self) -> String {
        let members = &self.members;
        let names: Vec<_> = members.iter().take(NAMED).map(String::as_str).collect();
        let more = match members.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let list = names.join(", ") + &more;
        match (self.certain, members.len()) {
            (true, 1) => format!("member {list}"),
            (true, _) => format!("members {list}"),
            (false, 1) => format!("a member ({list}, which does not tell)"),
            (false, _) => format!("a member (one of {list}, which do not tell)"),
        }
    }
}

const REMEDY: &str = "All members of a group must subscribe the same topics with the same expressions: finish the roll-out, or give the \
                      other program a group of its own (docs/ordering.md, \"Changing a filter\")";
