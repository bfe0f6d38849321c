//! From what the parser has read to what RocketMQ takes it for.

use sqlparser::ast::{BinaryOperator, Expr, InTarget, UnaryOperator, Value};

use super::evaluate::{compare, constant};
use super::words::NOT;
use super::{Comparison, MAX_DEPTH, Operand, Test, TextOperator};

/// Words that are no property's name.
const RESERVED: [&str; 9] = ["AND", "OR", "NOT", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE"];

/// Nothing prints an expression: chains are as deep as they are long, and printing them recurses.
fn refused<T>() -> Result<T, String> {
    Err("not a condition that RocketMQ knows".into())
}

/// What an expression asks.
pub(super) fn test(expression: &Expr) -> Result<Test, String> {
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
