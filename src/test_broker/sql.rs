//! SQL92 conditions over properties: the operators that RocketMQ documents, and its idea of types.
//!
//! `=`, `<>`, `>`, `>=`, `<`, `<=`, `BETWEEN`, `IN`, `IS [NOT] NULL`, `AND`, `OR`, `NOT`; 5.x adds `CONTAINS`, `STARTSWITH`
//! and `ENDSWITH`. As there, reading stops where no operator follows, and what is left is not looked at; `NOT` binds to what is
//! next to it, so a comparison behind it needs parentheses; a property alone is a condition that is never true. Properties are texts; compared with a number they are read as one. Logic has three values, as in SQL:
//! a missing property makes a comparison unknown, and unknown is no match.

use sqlparser::ast::{BinaryOperator, Expr, InTarget, UnaryOperator, Value};
use sqlparser::dialect::Dialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Longest condition read, in bytes: chains of AND become as deep as they are long.
const MAX_LENGTH: usize = 8 * 1024;
/// Deepest nesting read.
const MAX_DEPTH: usize = 40;
/// In front of the name of a negated operator of 5.x.
const NOT: &str = "NOT ";
/// How strongly the operators of 5.x bind: as `LIKE` does.
const TEXT_OPERATOR: u8 = 19;

/// A condition that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition(Test);

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Constant(bool),
    /// A property taken for a boolean: unknown where it is missing, else false.
    Cast(String),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(Operand, Comparison, Operand),
    In(String, Vec<String>),
    IsNull(String),
    Text(String, TextOperator, String),
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Property(String),
    Text(String),
    Number(f64),
    Boolean(bool),
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
        letter.is_alphabetic() || letter == '_' || letter == '$'
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        letter.is_alphanumeric() || letter == '_' || letter == '$'
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
            if matches!(parser.peek_token().token, Token::ShiftRight | Token::ShiftLeft | Token::Spaceship) {
                return parser.expected("an operand", parser.peek_token());
            }
            Ok::<_, ParserError>(expression)
        };
        let expression = read().map_err(|error| error.to_string())?;
        test(&expression).map(Self)
    }

    /// Whether a message with these properties is wanted.
    pub(super) fn matches(&self, properties: &[(String, String)]) -> bool {
        let value = |name: &str| super::record::property(properties, name);
        evaluate(&self.0, &value) == Some(true)
    }
}

/// Outside of quotes, only what RocketMQ's own reader knows.
fn check_letters(text: &str) -> Result<(), String> {
    let outside = text.split('\'').step_by(2).flat_map(str::chars);
    let known = |letter: char| letter.is_alphanumeric() || letter.is_whitespace() || "_$,=<>()+-.".contains(letter);
    match outside.into_iter().find(|letter| !known(*letter)) {
        Some(letter) => Err(format!("Lexical error: {letter:?}")),
        None => Ok(()),
    }
}

fn test(expression: &Expr) -> Result<Test, String> {
    // Nothing prints an expression: chains are as deep as they are long, and printing them recurses.
    let refused = |_: &Expr| Err("not a condition that RocketMQ knows".to_owned());
    Ok(match expression {
        Expr::Nested(inner) => test(inner)?,
        Expr::Value(value) => match value.value {
            Value::Boolean(truth) => Test::Constant(truth),
            _ => return refused(expression),
        },
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => match &**expr {
            Expr::Nested(_) | Expr::Value(_) | Expr::Identifier(_) | Expr::UnaryOp { .. } => {
                Test::Not(Box::new(test(expr)?))
            }
            _ => return Err("NOT binds to what is next to it: put the comparison in parentheses".into()),
        },
        Expr::Identifier(_) => Test::Cast(property(expression)?),
        Expr::IsNull(inner) => Test::IsNull(property(inner)?),
        Expr::IsNotNull(inner) => Test::Not(Box::new(Test::IsNull(property(inner)?))),
        Expr::In { expr, target: InTarget::List(list), negated, global: false } => {
            let texts = list.iter().map(text_constant).collect::<Result<_, _>>()?;
            negate(Test::In(property(expr)?, texts), *negated)
        }
        Expr::Between { expr, negated, low, high } => {
            let (value, low, high) = (operand(expr)?, operand(low)?, operand(high)?);
            if let (Operand::Number(low), Operand::Number(high)) = (&low, &high)
                && low > high
            {
                return Err("Illegal values of between, left value must less than or equal to right value!".into());
            }
            let above = ordered(low, Comparison::LessOrEqual, value.clone())?;
            let below = ordered(value, Comparison::LessOrEqual, high)?;
            negate(Test::All(vec![above, below]), *negated)
        }
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::And => Test::All(chain(expression, op)?),
            BinaryOperator::Or => Test::Any(chain(expression, op)?),
            BinaryOperator::Eq => Test::Compare(operand(left)?, Comparison::Equal, operand(right)?),
            BinaryOperator::NotEq => negate(Test::Compare(operand(left)?, Comparison::Equal, operand(right)?), true),
            BinaryOperator::Lt => ordered(operand(left)?, Comparison::Less, operand(right)?)?,
            BinaryOperator::LtEq => ordered(operand(left)?, Comparison::LessOrEqual, operand(right)?)?,
            BinaryOperator::Gt => ordered(operand(right)?, Comparison::Less, operand(left)?)?,
            BinaryOperator::GtEq => ordered(operand(right)?, Comparison::LessOrEqual, operand(left)?)?,
            BinaryOperator::Custom(name) => {
                let bare = name.strip_prefix(NOT).unwrap_or(name);
                let operator = TextOperator::NAMES.iter().find(|(known, _)| *known == bare);
                let Some((_, operator)) = operator else { return refused(expression) };
                let constant = text_constant(right)?;
                if constant.is_empty() {
                    return Err(format!("{name} needs a text that is not empty"));
                }
                negate(Test::Text(property(left)?, *operator, constant), bare != name)
            }
            _ => return refused(expression),
        },
        _ => return refused(expression),
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

fn negate(test: Test, negated: bool) -> Test {
    if negated { Test::Not(Box::new(test)) } else { test }
}

/// Texts and booleans have no order.
fn ordered(left: Operand, comparison: Comparison, right: Operand) -> Result<Test, String> {
    for operand in [&left, &right] {
        if !matches!(operand, Operand::Property(_) | Operand::Number(_)) {
            return Err("only numbers can be compared with <, <=, >, >= or BETWEEN".into());
        }
    }
    Ok(Test::Compare(left, comparison, right))
}

fn property(expression: &Expr) -> Result<String, String> {
    match expression {
        Expr::Nested(inner) => property(inner),
        Expr::Identifier(name) if name.quote_style.is_none() => Ok(name.value.clone()),
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
        Expr::Nested(inner) => operand(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => {
                digits.parse().map(Operand::Number).map_err(|_| format!("{digits} is no number"))
            }
            Value::SingleQuotedString(text) => Ok(Operand::Text(text.clone())),
            Value::Boolean(truth) => Ok(Operand::Boolean(*truth)),
            other => Err(format!("{other} cannot be compared; use IS NULL or IS NOT NULL")),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(expr)? {
            Operand::Number(number) => Ok(Operand::Number(-number)),
            _ => Err("only a number can be negative".into()),
        },
        other => property(other).map(Operand::Property),
    }
}

fn evaluate<'a>(test: &Test, value: &impl Fn(&str) -> Option<&'a str>) -> Option<bool> {
    match test {
        Test::Constant(truth) => Some(*truth),
        Test::Cast(name) => value(name).map(|_| false),
        Test::Not(inner) => evaluate(inner, value).map(|truth| !truth),
        Test::All(members) => all(members, value, false),
        Test::Any(members) => all(members, value, true),
        Test::IsNull(name) => Some(value(name).is_none()),
        Test::In(name, texts) => value(name).map(|text| texts.iter().any(|known| known == text)),
        Test::Text(name, operator, constant) => value(name).map(|text| match operator {
            TextOperator::Contains => text.contains(constant),
            TextOperator::StartsWith => text.starts_with(constant),
            TextOperator::EndsWith => text.ends_with(constant),
        }),
        Test::Compare(left, comparison, right) => {
            let resolved = |operand: &Operand| match operand {
                Operand::Property(name) => value(name).map(|text| Operand::Text(text.to_owned())),
                constant => Some(constant.clone()),
            };
            Some(compare(&resolved(left)?, *comparison, &resolved(right)?))
        }
    }
}

/// One member with the deciding value decides; otherwise one that is unknown makes the whole unknown.
fn all<'a>(members: &[Test], value: &impl Fn(&str) -> Option<&'a str>, deciding: bool) -> Option<bool> {
    let mut unknown = false;
    for member in members {
        match evaluate(member, value) {
            Some(truth) if truth == deciding => return Some(deciding),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!deciding)
}

/// A text is read as what it is compared with; one that cannot be read is no match.
#[expect(clippy::float_cmp, reason = "equality is what the condition asks for")]
fn compare(left: &Operand, comparison: Comparison, right: &Operand) -> bool {
    let number = |operand: &Operand| match operand {
        Operand::Number(number) => Some(*number),
        Operand::Text(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    let truth = |operand: &Operand| match operand {
        Operand::Boolean(truth) => Some(*truth),
        Operand::Text(text) => Some(text.eq_ignore_ascii_case("true")),
        _ => None,
    };
    match (left, right) {
        (Operand::Text(left), Operand::Text(right)) => match comparison {
            Comparison::Equal => left == right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
        },
        (Operand::Boolean(_), _) | (_, Operand::Boolean(_)) => {
            comparison == Comparison::Equal && truth(left).is_some_and(|left| truth(right) == Some(left))
        }
        _ => match (number(left), number(right), comparison) {
            (Some(left), Some(right), Comparison::Equal) => left == right,
            (Some(left), Some(right), Comparison::Less) => left < right,
            (Some(left), Some(right), Comparison::LessOrEqual) => left <= right,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;

    fn matches(condition: &str, properties: &[(&str, &str)]) -> bool {
        let properties: Vec<_> =
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Condition::parse(condition, true).unwrap_or_else(|error| panic!("{condition}: {error}")).matches(&properties)
    }

    #[test]
    fn documented_operators_work() {
        let order = [("a", "5"), ("b", "abc"), ("c", "true"), ("__SHARDINGKEY", "k1")];
        for wanted in [
            "a > 4",
            "a >= 5 AND a <= 5",
            "a = 5.0",
            "a <> 6",
            "a between 0 and 5",
            "a NOT BETWEEN 6 AND 7",
            "-1 < a",
            "b = 'abc'",
            "b <> 'x'",
            "b in ('x', 'abc')",
            "b NOT IN ('x')",
            "d IS NULL",
            "a IS NOT NULL and (d is null or a > 9)",
            "c = TRUE",
            "NOT (c = FALSE)",
            "a > 4 LIKE whatever follows",
            "NOT c",
            "TRUE",
            "__SHARDINGKEY = 'k1'",
            "b contains 'b' and b startswith 'a' and b endswith 'c'",
            "b not contains 'x'",
            "b NOT STARTSWITH 'b'",
        ] {
            assert!(matches(wanted, &order), "{wanted}");
        }
        for unwanted in [
            "a > 5",
            "a in ('x')",
            "b = 'ABC'",
            "d > 1",
            "d <> 1",
            "NOT (d = 1)",
            "a",
            "NOT d",
            "a LIKE '5'",
            "a + 1 > 2",
            "b > 1",
            "FALSE",
            "d in ('x')",
        ] {
            assert!(!matches(unwanted, &order), "{unwanted}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "",
            "a >",
            "a > 'x'",
            "a = 1 and",
            "a between 3 and 1",
            "a between 'x' and 'y'",
            "a in (1)",
            "a = NULL",
            "\"a\" = 1",
            "a > TRUE",
            "a = 1; drop table t",
            "1",
            "b contains ''",
            "NOT a > 1",
            "(a + 1) > 2",
            "(a > 1",
        ] {
            assert!(Condition::parse(text, true).is_err(), "{text}");
        }
        let old = Condition::parse("b contains 'x'", false).unwrap();
        assert!(!old.matches(&[("b".into(), "x".into())]), "for 4.9 the condition is `b`");
        assert!(Condition::parse(&format!("{}TRUE{}", "(".repeat(5000), ")".repeat(5000)), true).is_err());
        assert!(Condition::parse(&format!("{}TRUE", "NOT ".repeat(5000)), true).is_err());
        let long = |count| vec!["a = 1"; count].join(" AND ");
        assert!(Condition::parse(&long(800), true).unwrap().matches(&[("a".into(), "1".into())]));
        assert!(Condition::parse(&long(5000), true).is_err());
        for chain in ["a = ".repeat(2000) + "1", "- ".repeat(4000) + "1 = a"] {
            assert!(Condition::parse(&chain, true).is_err());
        }
    }
}
