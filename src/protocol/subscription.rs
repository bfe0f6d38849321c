//! What a group wants of a topic.

use serde::Serialize;

use super::limits::Invalid;

/// The language of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum ExpressionKind {
    /// `TagA || TagB`, or `*`.
    #[serde(rename = "TAG")]
    Tag,
    /// A condition over properties.
    #[serde(rename = "SQL92")]
    Sql92,
}

impl ExpressionKind {
    /// The wire's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tag => "TAG",
            Self::Sql92 => "SQL92",
        }
    }
}

/// One topic of a group. Serialised as in heartbeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Subscription {
    #[serde(rename = "classFilterMode")]
    class_filter_mode: bool,
    /// Java hash codes of the tags: what the broker filters by.
    #[serde(rename = "codeSet")]
    pub(crate) codes: Vec<i32>,
    /// Language of the expression.
    #[serde(rename = "expressionType")]
    pub(crate) kind: ExpressionKind,
    /// The expression as given; `*` for everything.
    #[serde(rename = "subString")]
    pub(crate) expression: String,
    /// Milliseconds since the epoch at the last change: a broker replaces a subscription only by a newer one.
    #[serde(rename = "subVersion")]
    pub(crate) version: i64,
    /// The tags, each once; empty for everything and for SQL.
    #[serde(rename = "tagsSet")]
    pub(crate) tags: Vec<String>,
    /// Real (namespaced) topic.
    pub(crate) topic: String,
}

impl Subscription {
    /// By tags: `*` or nothing for all, else `TagA || TagB`; only separators are refused, they would match nothing.
    pub(crate) fn by_tags(topic: impl Into<String>, expression: &str, version: i64) -> Result<Self, Invalid> {
        let _: String = topic.into();
        let _ = (expression, version);
        todo!()
    }

    /// By an SQL92 condition, which only a broker with property filters can check.
    pub(crate) fn by_sql92(topic: impl Into<String>, expression: &str, version: i64) -> Result<Self, Invalid> {
        let _: String = topic.into();
        let _ = (expression, version);
        todo!()
    }

    /// Whether a message with this tag is wanted: exact, where the broker compared hash codes only.
    pub(crate) fn matches(&self, tags: Option<&str>) -> bool {
        let _ = tags;
        todo!()
    }
}
