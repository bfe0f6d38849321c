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

use sqlparser::ast::{BinaryOperator, Expr, InTarget, UnaryOperator, Value};
use sqlparser::dialect::Dialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

mod evaluate;

use self::evaluate::{compare, constant, evaluate};

/// Longest condition read, in bytes: chains of AND become as deep as they are long.
const MAX_LENGTH: usize = 8 * 1024;
/// Deepest nesting read.
const MAX_DEPTH: usize = 40;
/// In front of the name of a negated operator of 5.x.
const NOT: &str = "NOT ";
/// Words that are no property's name.
const RESERVED: [&str; 9] = ["AND", "OR", "NOT", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE"];
/// How strongly the operators of 5.x bind: as `LIKE` does.
const TEXT_OPERATOR: u8 = 19;

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

impl TextOperator {
    const NAMES: [(&'static str, Self); 3] =
        [("CONTAINS", Self::Contains), ("STARTSWITH", Self::StartsWith), ("ENDSWITH", Self::EndsWith)];

    fn of(token: &Token) -> Option<Self> {
        let Token::Word(word) = token else { return None };
        Self::NAMES.iter().find(|(name, _)| word.value.eq_ignore_ascii_case(name)).map(|(_, operator)| *operator)
    }

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }
}

/// RocketMQ's words; `text_operators` are those of 5.x.
#[derive(Debug)]
struct Words {
    text_operators: bool,
}

impl Words {
    /// The operator that comes next, and whether a NOT is in front of it.
    fn next(&self, parser: &Parser<'_>) -> Option<(TextOperator, bool)> {
        if !self.text_operators {
            return None;
        }
        if let Some(operator) = TextOperator::of(&parser.peek_token().token) {
            return Some((operator, false));
        }
        let Token::Word(word) = parser.peek_token().token else { return None };
        let operator = TextOperator::of(&parser.peek_nth_token(1).token)?;
        word.value.eq_ignore_ascii_case("NOT").then_some((operator, true))
    }
}

impl Dialect for Words {
    fn is_identifier_start(&self, letter: char) -> bool {
        letter.is_ascii_alphabetic() || letter == '_' || letter == '$'
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        letter.is_ascii_alphanumeric() || letter == '_' || letter == '$'
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        if self.next(parser).is_some() {
            return Some(Ok(TEXT_OPERATOR));
        }
        let known = |token: &Token, words: &[&str]| match token {
            Token::Word(word) => words.iter().any(|known| word.value.eq_ignore_ascii_case(known)),
            Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => true,
            _ => false,
        };
        let token = parser.peek_token().token;
        let negated = known(&token, &["NOT"]) && known(&parser.peek_nth_token(1).token, &["BETWEEN", "IN"]);
        // No operator of ours: the condition ends here.
        if negated || known(&token, &["AND", "OR", "BETWEEN", "IN", "IS"]) { None } else { Some(Ok(0)) }
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        let (operator, negated) = self.next(parser)?;
        for _ in 0..=usize::from(negated) {
            parser.next_token();
        }
        let not = if negated { NOT } else { "" };
        let op = BinaryOperator::Custom(format!("{not}{}", operator.name()));
        let right = parser.parse_subexpr(TEXT_OPERATOR);
        Some(right.map(|right| Expr::BinaryOp { left: Box::new(left.clone()), op, right: Box::new(right) }))
    }
}

/// Whether a condition may end in front of this: where RocketMQ would read on and fail, it may not.
fn may_follow(token: &Token) -> bool {
    match token {
        Token::Word(word) => !word.value.eq_ignore_ascii_case("NOT"),
        Token::ShiftRight | Token::ShiftLeft | Token::Spaceship | Token::DoubleEq => false,
        _ => true,
    }
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
        let value = |name: &str| crate::test_broker::record::property(properties, name);
        matches!(evaluate(&self.0, &value), Ok(Some(true)))
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

/// Nothing prints an expression: chains are as deep as they are long, and printing them recurses.
fn refused<T>() -> Result<T, String> {
    Err("not a condition that RocketMQ knows".into())
}

fn test(expression: &Expr) -> Result<Test, String> {
    Ok(match expression {
        Expr::Nested(inner) => test(inner)?,
        Expr::Value(value) => match value.value {
            Value::Boolean(truth) => Test::Constant(Some(truth)),
            Value::Null => Test::Constant(None),
            _ => return refused(),
        },
        Expr::Identifier(_) => Test::Cast(property(expression)?),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => not(expr)?,
        Expr::IsNull(inner) => Test::IsNull(operand(inner)?),
        Expr::IsNotNull(inner) => negated(Test::IsNull(operand(inner)?), true),
        Expr::In { expr, target: InTarget::List(list), negated: not, global: false } => {
            let texts = list.iter().map(text_constant).collect::<Result<_, _>>()?;
            negated(Test::In(property(expr)?, texts), *not)
        }
        Expr::Between { expr, negated: not, low, high } => {
            let (value, low, high) = (operand(expr)?, operand(low)?, operand(high)?);
            let above = ordered(low.clone(), Comparison::LessOrEqual, value.clone())?;
            let below = ordered(value, Comparison::LessOrEqual, high.clone())?;
            if let (Some(low), Some(high)) = (constant(&low), constant(&high))
                && matches!(compare(&high, Comparison::Less, &low), Ok(true))
            {
                return Err("Illegal values of between, left value must less than or equal to right value!".into());
            }
            negated(Test::All(vec![above, below]), *not)
        }
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::And => Test::All(chain(expression, op)?),
            BinaryOperator::Or => Test::Any(chain(expression, op)?),
            BinaryOperator::Eq => Test::Compare(operand(left)?, Comparison::Equal, operand(right)?),
            BinaryOperator::NotEq => negated(Test::Compare(operand(left)?, Comparison::Equal, operand(right)?), true),
            BinaryOperator::Lt => ordered(operand(left)?, Comparison::Less, operand(right)?)?,
            BinaryOperator::LtEq => ordered(operand(left)?, Comparison::LessOrEqual, operand(right)?)?,
            BinaryOperator::Gt => ordered(operand(right)?, Comparison::Less, operand(left)?)?,
            BinaryOperator::GtEq => ordered(operand(right)?, Comparison::LessOrEqual, operand(left)?)?,
            BinaryOperator::Custom(name) => {
                let bare = name.strip_prefix(NOT).unwrap_or(name);
                let operator = TextOperator::NAMES.iter().find(|(known, _)| *known == bare);
                let Some((_, operator)) = operator else { return refused() };
                Test::Text(operand(left)?, *operator, text_constant(right)?, bare != name)
            }
            _ => return refused(),
        },
        _ => return refused(),
    })
}

/// `NOT` and what is next to it, which `sqlparser` takes further than RocketMQ does.
fn not(expression: &Expr) -> Result<Test, String> {
    let outcome = |inner: &Expr| Ok::<_, String>(Operand::Test(Box::new(negated(test(inner)?, true))));
    Ok(match expression {
        Expr::IsNull(inner) => Test::IsNull(outcome(inner)?),
        Expr::IsNotNull(inner) => negated(Test::IsNull(outcome(inner)?), true),
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            Test::Compare(outcome(left)?, Comparison::Equal, operand(right)?)
        }
        Expr::BinaryOp { left, op: BinaryOperator::NotEq, right } => {
            negated(Test::Compare(outcome(left)?, Comparison::Equal, operand(right)?), true)
        }
        Expr::Nested(_) | Expr::Value(_) | Expr::Identifier(_) | Expr::UnaryOp { .. } => {
            negated(test(expression)?, true)
        }
        _ => return Err("the outcome of NOT cannot be compared".into()),
    })
}

/// The members of `a AND b AND c`, or of the same with OR, without a recursion for each.
fn chain(expression: &Expr, link: &BinaryOperator) -> Result<Vec<Test>, String> {
    let (mut rest, mut members) = (expression, Vec::new());
    while let Expr::BinaryOp { left, op, right } = rest
        && op == link
    {
        members.push(test(right)?);
        rest = left;
    }
    members.push(test(rest)?);
    members.reverse();
    Ok(members)
}

fn negated(test: Test, negated: bool) -> Test {
    if negated { Test::Not(Box::new(test)) } else { test }
}

/// Texts and booleans have no order.
fn ordered(left: Operand, comparison: Comparison, right: Operand) -> Result<Test, String> {
    for operand in [&left, &right] {
        if !matches!(operand, Operand::Property(_) | Operand::Whole(_) | Operand::Number(_)) {
            return Err("only numbers can be compared with <, <=, >, >= or BETWEEN".into());
        }
    }
    Ok(Test::Compare(left, comparison, right))
}

fn property(expression: &Expr) -> Result<String, String> {
    match expression {
        Expr::Nested(inner) => property(inner),
        Expr::Identifier(name)
            if name.quote_style.is_none() && !RESERVED.iter().any(|word| name.value.eq_ignore_ascii_case(word)) =>
        {
            Ok(name.value.clone())
        }
        _ => Err("the name of a property is expected".into()),
    }
}

fn text_constant(expression: &Expr) -> Result<String, String> {
    match operand(expression)? {
        Operand::Text(text) => Ok(text),
        _ => Err("a text in quotes is expected".into()),
    }
}

fn operand(expression: &Expr) -> Result<Operand, String> {
    match expression {
        Expr::Nested(inner) if matches!(**inner, Expr::BinaryOp { .. } | Expr::IsNull(_) | Expr::IsNotNull(_)) => {
            test(inner).map(|inner| Operand::Test(Box::new(inner)))
        }
        Expr::Nested(inner) => operand(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => number(digits),
            // Its `0` is read, and the rest not looked at.
            Value::HexStringLiteral(_) => Ok(Operand::Whole(0)),
            Value::SingleQuotedString(text) => Ok(Operand::Text(text.clone())),
            Value::Boolean(truth) => Ok(Operand::Boolean(*truth)),
            _ => Err("this cannot be compared; use IS NULL or IS NOT NULL".into()),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => operand(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(expr)? {
            Operand::Whole(number) => Ok(Operand::Whole(-number)),
            Operand::Number(number) => Ok(Operand::Number(-number)),
            _ => Err("only a number can be negative".into()),
        },
        Expr::BinaryOp { op: BinaryOperator::Eq | BinaryOperator::NotEq, .. } if is_short(expression) => {
            test(expression).map(|inner| Operand::Test(Box::new(inner)))
        }
        other => property(other).map(Operand::Property),
    }
}

/// Whether `a = b = c = …` is short enough to be read link by link.
fn is_short(expression: &Expr) -> bool {
    let (mut rest, mut links) = (expression, 0);
    while let Expr::BinaryOp { left, .. } = rest {
        rest = left;
        links += 1;
    }
    links < MAX_DEPTH
}

fn number(digits: &str) -> Result<Operand, String> {
    if digits.contains(['.', 'e', 'E']) {
        let number: f64 = digits.parse().map_err(|_| format!("{digits} is no number"))?;
        // Java's smallest double is above 0, and RocketMQ takes it for the least one.
        let fits = number.is_finite() && number >= f64::from_bits(1);
        return if fits { Ok(Operand::Number(number)) } else { Err(format!("{digits} is out of range")) };
    }
    if digits.starts_with('0') {
        return Ok(Operand::Whole(0));
    }
    digits.parse().map(Operand::Whole).map_err(|_| format!("{digits} is out of range"))
}

#[cfg(test)]
mod tests;
