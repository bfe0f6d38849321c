//! What somebody else of the group wants of a topic, compared with ours by what it selects, not by how it is spelt.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

use super::subscription::{ExpressionKind, Subscription, is_everything, tags_of};

/// One topic of a group, as a broker keeps it or as another member says it: of Java's client, of ours, or of any other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Announced {
    /// Real (namespaced) topic.
    pub topic: String,
    /// Language of the expression; C++ clients leave it out for tags.
    #[serde(rename = "expressionType")]
    kind: Option<String>,
    /// The expression as given.
    #[serde(rename = "subString")]
    expression: Option<String>,
}

/// What an expression selects: equal for equal selections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meaning {
    kind: String,
    words: Vec<String>,
}

impl From<&Subscription> for Announced {
    fn from(ours: &Subscription) -> Self {
        let (kind, expression) = (ours.kind.name().to_owned(), ours.expression.clone());
        Self { topic: ours.topic.clone(), kind: Some(kind), expression: Some(expression) }
    }
}

/// As users write it: `'paid || created'`, or `sql92 'amount > 5'`.
impl fmt::Display for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expression = self.expression();
        match self.kind() {
            "TAG" if is_everything(expression) => f.write_str("'*'"),
            "TAG" => write!(f, "'{expression}'"),
            kind => write!(f, "{} '{expression}'", kind.to_lowercase()),
        }
    }
}

impl Announced {
    fn kind(&self) -> &str {
        self.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(ExpressionKind::Tag.name())
    }

    fn expression(&self) -> &str {
        self.expression.as_deref().unwrap_or_default()
    }

    /// What it selects, as far as its text tells: tags in any order, conditions however they are spaced.
    pub fn meaning(&self) -> Meaning {
        let (kind, expression) = (self.kind().to_owned(), self.expression());
        let words = match kind == ExpressionKind::Tag.name() {
            true if is_everything(expression) => vec![String::new()],
            true => tags_of(expression).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect(),
            false => expression.split_whitespace().map(str::to_owned).collect(),
        };
        Meaning { kind, words }
    }

    /// Whether both select the same messages.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

#[cfg(test)]
mod tests {
    use super::{Announced, Subscription};

    fn read(json: &str) -> Announced {
        serde_json::from_str(json).unwrap()
    }

    fn tags(expression: &str) -> Announced {
        Announced::from(&Subscription::by_tags("orders", expression, 1).unwrap())
    }

    fn sql(expression: &str) -> Announced {
        Announced::from(&Subscription::by_sql92("orders", expression, 1).unwrap())
    }

    #[test]
    fn the_order_of_tags_and_spaces_mean_nothing() {
        for (a, b) in [("a || b", "b||a"), ("a", "a || a"), ("*", "")] {
            assert!(tags(a).agrees_with(&tags(b)), "{a} and {b}");
        }
        for (a, b) in [("a", "A"), ("a || b", "a"), ("*", "a"), ("a || *", "a"), ("a || *", "*")] {
            assert!(!tags(a).agrees_with(&tags(b)) && !tags(b).agrees_with(&tags(a)), "{a} and {b}");
        }
        assert!(sql("a > 1  AND\nb = 'x'").agrees_with(&sql("a > 1 AND b = 'x'")));
        assert!(!sql("a > 1").agrees_with(&sql("a > 2")));
        assert!(!sql("a").agrees_with(&tags("a")));
    }

    #[test]
    fn others_leave_out_what_means_nothing() {
        assert!(read(r#"{"topic":"orders"}"#).agrees_with(&tags("*")));
        assert!(
            read(r#"{"topic":"orders","subString":"b || a","expressionType":null,"x":1}"#).agrees_with(&tags("a || b"))
        );
    }

    #[test]
    fn they_are_shown_as_users_write_them() {
        let shown = [tags("a || b"), tags(""), sql("a > 1")].map(|announced| announced.to_string());
        assert_eq!(shown, ["'a || b'", "'*'", "sql92 'a > 1'"]);
    }
}
