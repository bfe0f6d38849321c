//! SQL92 conditions over properties, as RocketMQ reads and computes them; its oddities were tried on real brokers.
//!
//! `=`, `<>`, `>`, `>=`, `<`, `<=`, `BETWEEN`, `IN`, `IS [NOT] NULL`, `AND`, `OR`, `NOT`; 5.x adds `CONTAINS`, `STARTSWITH`
//! and `ENDSWITH`.
//!
//! * Reading stops where no operator follows; what is left is not looked at: `a LIKE 'x'` is `a`.
//! * `NOT` binds to what is next to it: `NOT a = TRUE` is `(NOT a) = TRUE`. `0.0` and whole numbers beyond 64 bits are refused.
//! * A property alone is taken for a boolean that is never true.
//! * Properties are texts. Compared with a whole number they must be one, else the message is not selected, whatever stands
//!   around it; compared with a number that has a point, they may be any number. Two properties have no order.
//! * Logic has three values, as in SQL, but two missing properties are equal, and `CONTAINS` and the like are never unknown.

use sqlparser::parser::{Parser, ParserError};

mod evaluate;
mod read;
mod words;

use self::evaluate::evaluate;
use self::read::test;
use self::words::{Words, check_letters, may_follow};

/// Longest condition read, in bytes: chains of AND become as deep as they are long.
const MAX_LENGTH: usize = 8 * 1024;
/// Deepest nesting read.
const MAX_DEPTH: usize = 40;

/// A condition that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition(Test);

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Constant(Option<bool>),
    /// A property taken for a boolean: unknown where it is missing, else false.
    Cast(String),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(Operand, Comparison, Operand),
    In(String, Vec<String>),
    IsNull(Operand),
    Text(Operand, TextOperator, String, bool),
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Property(String),
    Text(String),
    Whole(i64),
    Number(f64),
    Boolean(bool),
    /// The outcome of another test.
    Test(Box<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextOperator {
    Contains,
    StartsWith,
    EndsWith,
}

impl Condition {
    /// Reads a condition; the text says what is wrong with it.
    pub(super) fn parse(text: &str, text_operators: bool) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("a condition may have {MAX_LENGTH} bytes, not {}", text.len()));
        }
        check_letters(text)?;
        let words = Words { text_operators };
        let read = || {
            let mut parser = Parser::new(&words).with_recursion_limit(MAX_DEPTH).try_with_sql(text)?;
            let expression = parser.parse_expr()?;
            let rest = parser.peek_token();
            if !may_follow(&rest.token) {
                return parser.expected("an operand", rest);
            }
            Ok::<_, ParserError>(expression)
        };
        let expression = read().map_err(|error| error.to_string())?;
        test(&expression).map(Self)
    }

    /// Whether a message with these properties is wanted.
    pub(super) fn matches(&self, properties: &[(String, String)]) -> bool {
        let value = |name: &str| crate::record::property(properties, name);
        matches!(evaluate(&self.0, &value), Ok(Some(true)))
    }
}

#[cfg(test)]
mod tests;
