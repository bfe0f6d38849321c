//! What a group wants of a topic.

use serde::Serialize;

use super::hash::java_string_hash;
use super::limits::Invalid;

/// The language of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ExpressionKind {
    /// `TagA || TagB`, or `*`.
    #[serde(rename = "TAG")]
    Tag,
    /// A condition over properties.
    #[serde(rename = "SQL92")]
    Sql92,
}

impl ExpressionKind {
    /// The wire's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tag => "TAG",
            Self::Sql92 => "SQL92",
        }
    }
}

/// The expression for every message.
const EVERYTHING: &str = "*";
/// Between the tags of an expression.
const OR: &str = "||";

fn refused(problem: String) -> Invalid {
    Invalid { field: "expression", problem }
}

/// Whether an expression of tags asks for every message.
pub(super) fn is_everything(expression: &str) -> bool {
    matches!(expression, "" | EVERYTHING)
}

/// The tags of an expression as brokers and Java's client find them, who trim what is no more than a space; none for everything.
pub fn tags_of(expression: &str) -> impl Iterator<Item = &str> {
    let named = if is_everything(expression) { "" } else { expression };
    named.split(OR).map(|tag| tag.trim_matches(|letter| letter <= ' ')).filter(|tag| !tag.is_empty())
}

/// One topic of a group. Serialised as in heartbeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscription {
    #[serde(rename = "classFilterMode")]
    class_filter_mode: bool,
    /// Java hash codes of the tags: what the broker filters by.
    #[serde(rename = "codeSet")]
    pub codes: Vec<i32>,
    /// Language of the expression.
    #[serde(rename = "expressionType")]
    pub kind: ExpressionKind,
    /// The expression as given; `*` for everything.
    #[serde(rename = "subString")]
    pub expression: String,
    /// Milliseconds since the epoch at the last change: a broker replaces a subscription only by a newer one.
    #[serde(rename = "subVersion")]
    pub version: i64,
    /// The tags, each once; empty for everything and for SQL.
    #[serde(rename = "tagsSet")]
    pub tags: Vec<String>,
    /// Real (namespaced) topic.
    pub topic: String,
}

impl Subscription {
    /// By tags: `*` or nothing for all, else `TagA || TagB`; only separators are refused, they would match nothing.
    pub fn by_tags(topic: impl Into<String>, expression: &str, version: i64) -> Result<Self, Invalid> {
        let mut tags: Vec<String> = Vec::new();
        let everything = is_everything(expression);
        for tag in tags_of(expression) {
            if !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
        if tags.is_empty() && !everything {
            return Err(refused(format!("{expression:?} names no tag: it would match nothing")));
        }
        let expression = if everything { EVERYTHING } else { expression };
        Ok(Self {
            class_filter_mode: false,
            codes: tags.iter().map(|tag| java_string_hash(tag)).collect(),
            kind: ExpressionKind::Tag,
            expression: expression.to_owned(),
            version,
            tags,
            topic: topic.into(),
        })
    }

    /// By an SQL92 condition, which only a broker with property filters can check.
    pub fn by_sql92(topic: impl Into<String>, expression: &str, version: i64) -> Result<Self, Invalid> {
        if expression.trim().is_empty() {
            return Err(refused("an SQL92 expression must not be empty".into()));
        }
        Ok(Self {
            class_filter_mode: false,
            codes: Vec::new(),
            kind: ExpressionKind::Sql92,
            expression: expression.to_owned(),
            version,
            tags: Vec::new(),
            topic: topic.into(),
        })
    }

    /// Whether it is for some tags only.
    pub fn has_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// Whether a message with this tag is wanted: exact, where the broker compared hash codes only.
    pub fn matches(&self, tags: Option<&str>) -> bool {
        self.tags.is_empty() || tags.is_some_and(|tag| self.tags.iter().any(|wanted| wanted == tag))
    }
}

#[cfg(test)]
mod tests {
    use super::{ExpressionKind, Subscription};

    fn by_tags(expression: &str) -> (String, Vec<String>, Vec<i32>) {
        let subscription = Subscription::by_tags("orders", expression, 1).unwrap();
        assert_eq!(subscription.kind, ExpressionKind::Tag);
        (subscription.expression, subscription.tags, subscription.codes)
    }

    #[test]
    fn tag_expressions_are_read_as_java_does() {
        for everything in ["*", ""] {
            assert_eq!(by_tags(everything), ("*".into(), vec![], vec![]));
        }
        for (expression, tags, codes) in [
            ("TagA", vec!["TagA"], vec![2_598_919]),
            ("TagA || TagB", vec!["TagA", "TagB"], vec![2_598_919, 2_598_920]),
            ("TagA||TagB||", vec!["TagA", "TagB"], vec![2_598_919, 2_598_920]),
            ("订单 || b", vec!["订单", "b"], vec![1_129_459, 98]),
            ("a||b||a", vec!["a", "b"], vec![97, 98]),
            ("\t a\n||\u{a0}b", vec!["a", "\u{a0}b"], vec![97, 5_058]),
        ] {
            let tags = tags.into_iter().map(str::to_owned).collect();
            assert_eq!(by_tags(expression), (expression.to_owned(), tags, codes));
        }
    }

    #[test]
    fn expressions_that_match_nothing_are_refused() {
        for expression in [" || ", "||", " "] {
            assert_eq!(Subscription::by_tags("orders", expression, 1).unwrap_err().field, "expression");
        }
        assert_eq!(Subscription::by_sql92("orders", " ", 1).unwrap_err().field, "expression");
    }

    #[test]
    fn tags_with_equal_hashes_are_told_apart() {
        let some = Subscription::by_tags("orders", "Aa || c", 1).unwrap();
        assert!(some.matches(Some("Aa")) && some.matches(Some("c")));
        assert!(!some.matches(Some("BB")) && !some.matches(None) && !some.matches(Some("")));
        for all in [Subscription::by_tags("orders", "*", 1), Subscription::by_sql92("orders", "a > 1", 1)] {
            let all = all.unwrap();
            assert!(all.matches(None) && all.matches(Some("BB")));
        }
    }

    #[test]
    fn sql_has_no_tags() {
        let sql = Subscription::by_sql92("orders", "a between 1 and 3", 5).unwrap();
        assert_eq!(
            serde_json::to_string(&sql).unwrap(),
            r#"{"classFilterMode":false,"codeSet":[],"expressionType":"SQL92","subString":"a between 1 and 3","subVersion":5,"tagsSet":[],"topic":"orders"}"#
        );
    }
}
