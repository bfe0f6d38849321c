//! What a condition is for one message.

use std::cmp::Ordering;

use super::{Comparison, Operand, Test, TextOperator};

/// What an operand is for one message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operated {
    Text(String),
    Whole(i64),
    Number(f64),
    Boolean(bool),
    Outcome(bool),
}

/// RocketMQ's computation has thrown: the message is not selected.
#[derive(Debug)]
pub(super) struct Thrown;

/// The value of an operand that is the same for every message.
pub(super) fn constant(operand: &Operand) -> Option<Operated> {
    match operand {
        Operand::Text(text) => Some(Operated::Text(text.clone())),
        Operand::Whole(number) => Some(Operated::Whole(*number)),
        Operand::Number(number) => Some(Operated::Number(*number)),
        Operand::Boolean(truth) => Some(Operated::Boolean(*truth)),
        Operand::Property(_) | Operand::Null | Operand::Missing | Operand::Test(_) => None,
    }
}

fn resolve<'a>(operand: &Operand, value: &impl Fn(&str) -> Option<&'a str>) -> Result<Option<Operated>, Thrown> {
    Ok(match operand {
        Operand::Property(name) => value(name).map(|text| Operated::Text(text.to_owned())),
        Operand::Test(test) => evaluate(test, value)?.map(Operated::Outcome),
        other => constant(other),
    })
}

/// The outcome of a test for one message: true, false or unknown.
pub(super) fn evaluate<'a>(test: &Test, value: &impl Fn(&str) -> Option<&'a str>) -> Result<Option<bool>, Thrown> {
    Ok(match test {
        Test::Constant(truth) => *truth,
        Test::Cast(name) => value(name).map(|_| false),
        Test::Not(inner) => evaluate(inner, value)?.map(|truth| !truth),
        Test::All(members) => all(members, value, false)?,
        Test::Any(members) => all(members, value, true)?,
        Test::IsNull(operand) => Some(resolve(operand, value)?.is_none()),
        Test::In(name, texts) => value(name).map(|text| texts.iter().any(|known| known == text)),
        Test::Text(operand, operator, searched, not) => {
            let Some(Operated::Text(whole)) = resolve(operand, value)? else { return Ok(Some(false)) };
            let found = match operator {
                TextOperator::Contains => whole.contains(searched),
                TextOperator::StartsWith => whole.starts_with(searched),
                TextOperator::EndsWith => whole.ends_with(searched),
            };
            Some(!searched.is_empty() && found != *not)
        }
        Test::Compare(left, comparison, right) => match (resolve(left, value)?, resolve(right, value)?) {
            (Some(left), Some(right)) => Some(compare(&left, *comparison, &right)?),
            (None, None) if *comparison == Comparison::Equal => Some(true),
            _ => None,
        },
    })
}

/// One member with the deciding value decides; otherwise one that is unknown makes the whole unknown.
fn all<'a>(members: &[Test], value: &impl Fn(&str) -> Option<&'a str>, deciding: bool) -> Result<Option<bool>, Thrown> {
    let mut unknown = false;
    for member in members {
        match evaluate(member, value)? {
            Some(truth) if truth == deciding => return Ok(Some(deciding)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok((!unknown).then_some(!deciding))
}

/// A text is read as what it is compared with.
pub(super) fn compare(left: &Operated, comparison: Comparison, right: &Operated) -> Result<bool, Thrown> {
    use Operated::{Boolean, Outcome, Text, Whole};
    let equal = comparison == Comparison::Equal;
    let truth = |text: &str| text.eq_ignore_ascii_case("true");
    Ok(match (left, right) {
        (Text(left), Text(right)) => equal && left == right,
        (Boolean(left) | Outcome(left), Boolean(right) | Outcome(right)) => equal && left == right,
        (Boolean(boolean), Text(text)) | (Text(text), Boolean(boolean)) => equal && truth(text) == *boolean,
        (Boolean(_) | Outcome(_), _) | (_, Boolean(_) | Outcome(_)) => false,
        (Whole(left), Whole(right)) => by_order(left.cmp(right), comparison),
        (Text(left), Whole(right)) => by_order(whole(left)?.cmp(right), comparison),
        (Whole(left), Text(right)) => by_order(left.cmp(&whole(right)?), comparison),
        (left, right) => {
            let (left, right) = (real(left)?, real(right)?);
            left.partial_cmp(&right).is_some_and(|order| by_order(order, comparison))
        }
    })
}

fn by_order(order: Ordering, comparison: Comparison) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
    }
}

/// Java's `Long.valueOf`.
fn whole(text: &str) -> Result<i64, Thrown> {
    text.parse().map_err(|_| Thrown)
}

/// Java's `Double.valueOf`.
#[expect(clippy::cast_precision_loss, reason = "as Java does")]
fn real(operated: &Operated) -> Result<f64, Thrown> {
    match operated {
        Operated::Whole(number) => Ok(*number as f64),
        Operated::Number(number) => Ok(*number),
        Operated::Text(text) => text.trim().parse().map_err(|_| Thrown),
        Operated::Boolean(_) | Operated::Outcome(_) => Err(Thrown),
    }
}
