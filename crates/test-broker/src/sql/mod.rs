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

mod evaluate;
mod read;
mod token;

use self::evaluate::evaluate;

/// Longest condition read, in bytes: chains of AND become as deep as they are long.
const MAX_LENGTH: usize = 8 * 1024;
/// Deepest nesting read.
const MAX_DEPTH: usize = 40;

/// Most memory that a byte of a condition takes once it is read.
const PER_BYTE: usize = 200;

/// A condition that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    test: Test,
    /// Of its text.
    length: usize,
}

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
    Null,
    /// A value that no message has.
    Missing,
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
    pub fn parse(text: &str, text_operators: bool) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("a condition may have {MAX_LENGTH} bytes, not {}", text.len()));
        }
        check_letters(text)?;
        read::test(text, text_operators).map(|test| Self { test, length: text.len() })
    }

    /// The most memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        PER_BYTE * self.length
    }

    /// Whether a message with these properties is wanted.
    pub fn matches(&self, properties: &[(String, String)]) -> bool {
        let value = |name: &str| crate::store::record::property(properties, name);
        matches!(evaluate(&self.test, &value), Ok(Some(true)))
    }
}

/// Outside of quotes and comments, only what RocketMQ's own reader knows.
fn check_letters(text: &str) -> Result<(), String> {
    let known =
        |letter: char| letter.is_ascii_alphanumeric() || letter.is_ascii_whitespace() || "_$,=<>()+-.".contains(letter);
    for outside in text.split('\'').step_by(2) {
        let mut rest = outside;
        while let Some((before, comment)) = rest.split_once("/*") {
            if let Some(letter) = before.chars().find(|letter| !known(*letter)) {
                return Err(format!("Lexical error: {letter:?}"));
            }
            rest = comment.split_once("*/").map_or("", |(_, behind)| behind);
        }
        if let Some(letter) = rest.chars().find(|letter| !known(*letter)) {
            return Err(format!("Lexical error: {letter:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
