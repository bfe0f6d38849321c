//! RocketMQ's grammar, with its own precedence: one function a level, each over the one below it.

use super::evaluate::{compare, constant};
use super::token::{Token, tokens};
use super::{Comparison, MAX_DEPTH, Operand, Test, TextOperator};

/// Words that are no property's name.
const RESERVED: [&str; 9] = ["AND", "OR", "NOT", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE"];
/// Those of 5.x.
const TEXT_OPERATORS: [(&str, TextOperator); 3] = [
    ("CONTAINS", TextOperator::Contains),
    ("STARTSWITH", TextOperator::StartsWith),
    ("ENDSWITH", TextOperator::EndsWith),
];

/// What a condition asks; `text_operators` are known to 5.x.
pub(super) fn test(text: &str, text_operators: bool) -> Result<Test, String> {
    let mut reader = Reader { tokens: tokens(text), at: 0, text_operators, depth: 0 };
    let asked = as_test(reader.alternatives()?)?;
    // What follows is not looked at, but what RocketMQ comes to on its way it has to understand.
    if reader.is_word(0, "NOT") || reader.peek(0) == Some(&Token::Unknown) {
        return reader.expected("the end");
    }
    Ok(asked)
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    text_operators: bool,
    /// How many levels are open.
    depth: usize,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn is_word(&self, ahead: usize, known: &str) -> bool {
        matches!(self.peek(ahead), Some(Token::Word(word)) if word.eq_ignore_ascii_case(known))
    }

    /// Takes these words, if they are what comes next.
    fn words(&mut self, known: &[&str]) -> bool {
        let come = known.iter().enumerate().all(|(ahead, word)| self.is_word(ahead, word));
        self.at += if come { known.len() } else { 0 };
        come
    }

    fn sign(&mut self, known: &str) -> bool {
        let comes = matches!(self.peek(0), Some(Token::Sign(sign)) if *sign == known);
        self.at += usize::from(comes);
        comes
    }

    fn expected<T>(&self, what: &str) -> Result<T, String> {
        match self.peek(0) {
            Some(token) => Err(format!("{what} is expected, not {token:?}")),
            None => Err(format!("{what} is expected, not the end")),
        }
    }

    fn require(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { self.expected(sign) }
    }

    /// `… OR …`.
    fn alternatives(&mut self) -> Result<Operand, String> {
        self.chain("OR", Self::conditions, Test::Any)
    }

    /// `… AND …`.
    fn conditions(&mut self) -> Result<Operand, String> {
        self.chain("AND", Self::equality, Test::All)
    }

    /// Members that a word links; one alone is itself.
    fn chain(
        &mut self,
        link: &str,
        member: fn(&mut Self) -> Result<Operand, String>,
        linked: fn(Vec<Test>) -> Test,
    ) -> Result<Operand, String> {
        let first = member(self)?;
        if !self.is_word(0, link) {
            return Ok(first);
        }
        let mut members = vec![as_test(first)?];
        while self.words(&[link]) {
            members.push(as_test(member(self)?)?);
        }
        Ok(outcome(linked(members)))
    }

    /// `… = …`, `… <> …`, `… IS [NOT] NULL`, from the left.
    fn equality(&mut self) -> Result<Operand, String> {
        let mut left = self.comparison()?;
        for _ in 0..MAX_DEPTH {
            left = if self.sign("=") {
                outcome(equal(left, self.comparison()?)?)
            } else if self.sign("<>") {
                outcome(negated(equal(left, self.comparison()?)?, true))
            } else if self.words(&["IS", "NULL"]) {
                outcome(Test::IsNull(left))
            } else if self.words(&["IS", "NOT", "NULL"]) {
                outcome(negated(Test::IsNull(left), true))
            } else if self.is_word(0, "IS") {
                return self.expected("IS NULL or IS NOT NULL");
            } else {
                return Ok(left);
            };
        }
        too_deep()
    }

    /// `<`, `<=`, `>`, `>=`, `[NOT] BETWEEN`, `[NOT] IN`, and what 5.x asks of texts, from the left.
    fn comparison(&mut self) -> Result<Operand, String> {
        let mut left = self.unary()?;
        for _ in 0..MAX_DEPTH {
            let test = if self.sign("<") {
                ordered(left, Comparison::Less, self.unary()?)?
            } else if self.sign("<=") {
                ordered(left, Comparison::LessOrEqual, self.unary()?)?
            } else if self.sign(">") {
                ordered(self.unary()?, Comparison::Less, left)?
            } else if self.sign(">=") {
                ordered(self.unary()?, Comparison::LessOrEqual, left)?
            } else {
                match self.negatable(&left)? {
                    Some(test) => test,
                    None => return Ok(left),
                }
            };
            left = outcome(test);
        }
        too_deep()
    }

    /// Operators that may have a NOT in front.
    fn negatable(&mut self, left: &Operand) -> Result<Option<Test>, String> {
        let not = self.is_word(0, "NOT");
        let start = self.at;
        self.at += usize::from(not);
        if self.words(&["BETWEEN"]) {
            return Ok(Some(negated(self.between(left)?, not)));
        }
        if self.words(&["IN"]) {
            return Ok(Some(negated(self.within(left)?, not)));
        }
        for (name, operator) in TEXT_OPERATORS {
            if self.text_operators && self.words(&[name]) {
                return Ok(Some(Test::Text(left.clone(), operator, self.text()?, not)));
            }
        }
        self.at = start;
        Ok(None)
    }

    fn between(&mut self, value: &Operand) -> Result<Test, String> {
        let low = self.unary()?;
        if !self.words(&["AND"]) {
            return self.expected("AND");
        }
        let high = self.unary()?;
        let above = ordered(low.clone(), Comparison::LessOrEqual, value.clone())?;
        let below = ordered(value.clone(), Comparison::LessOrEqual, high.clone())?;
        if let (Some(low), Some(high)) = (constant(&low), constant(&high))
            && matches!(compare(&high, Comparison::Less, &low), Ok(true))
        {
            return Err("Illegal values of between, left value must less than or equal to right value!".into());
        }
        Ok(Test::All(vec![above, below]))
    }

    fn within(&mut self, left: &Operand) -> Result<Test, String> {
        let Operand::Property(name) = left else { return Err("IN asks for a property".into()) };
        self.require("(")?;
        let mut texts = vec![self.text()?];
        while self.sign(",") {
            texts.push(self.text()?);
        }
        self.require(")")?;
        Ok(Test::In(name.clone(), texts))
    }

    fn text(&mut self) -> Result<String, String> {
        match self.peek(0) {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => self.expected("a text in quotes"),
        }
    }

    /// `+`, `-` and `NOT` bind to what is next to them.
    fn unary(&mut self) -> Result<Operand, String> {
        if self.depth == MAX_DEPTH {
            return too_deep();
        }
        self.depth += 1;
        let operand = if self.sign("+") {
            self.unary()?
        } else if self.sign("-") {
            negative(&self.unary()?)
        } else if self.words(&["NOT"]) {
            outcome(negated(as_test(self.unary()?)?, true))
        } else if self.sign("(") {
            let inner = self.alternatives()?;
            self.require(")")?;
            inner
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(operand)
    }

    fn primary(&mut self) -> Result<Operand, String> {
        let operand = match self.peek(0) {
            Some(Token::Text(text)) => Operand::Text(text.clone()),
            Some(Token::Whole(digits)) => {
                Operand::Whole(digits.parse().map_err(|_| format!("{digits} is out of range"))?)
            }
            Some(Token::Number(digits)) => Operand::Number(number(digits)?),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("TRUE") => Operand::Boolean(true),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("FALSE") => Operand::Boolean(false),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("NULL") => Operand::Null,
            Some(Token::Word(word)) if !self.is_reserved(word) => Operand::Property(word.clone()),
            _ => return self.expected("an operand"),
        };
        self.at += 1;
        Ok(operand)
    }

    fn is_reserved(&self, word: &str) -> bool {
        let is = |known: &&str| word.eq_ignore_ascii_case(known);
        RESERVED.iter().any(is) || (self.text_operators && TEXT_OPERATORS.iter().any(|(known, _)| is(known)))
    }
}

fn too_deep<T>() -> Result<T, String> {
    Err(format!("a condition may be {MAX_DEPTH} levels deep"))
}

fn outcome(test: Test) -> Operand {
    Operand::Test(Box::new(test))
}

fn negated(test: Test, negated: bool) -> Test {
    if negated { Test::Not(Box::new(test)) } else { test }
}

/// What stands where a boolean is wanted.
fn as_test(operand: Operand) -> Result<Test, String> {
    match operand {
        Operand::Test(test) => Ok(*test),
        Operand::Property(name) => Ok(Test::Cast(name)),
        Operand::Boolean(truth) => Ok(Test::Constant(Some(truth))),
        Operand::Null => Ok(Test::Constant(None)),
        Operand::Text(_) | Operand::Whole(_) | Operand::Number(_) | Operand::Missing => {
            Err("Expression will not result in a boolean value".into())
        }
    }
}

fn equal(left: Operand, right: Operand) -> Result<Test, String> {
    if left == Operand::Null || right == Operand::Null {
        return Err("NULL cannot be compared; use IS NULL or IS NOT NULL".into());
    }
    Ok(Test::Compare(left, Comparison::Equal, right))
}

/// Texts and booleans have no order.
fn ordered(left: Operand, comparison: Comparison, right: Operand) -> Result<Test, String> {
    for operand in [&left, &right] {
        if !matches!(operand, Operand::Property(_) | Operand::Whole(_) | Operand::Number(_) | Operand::Missing) {
            return Err("only numbers can be compared with <, <=, >, >= or BETWEEN".into());
        }
    }
    Ok(Test::Compare(left, comparison, right))
}

/// What is no number has no negative, for any message.
fn negative(operand: &Operand) -> Operand {
    match operand {
        Operand::Whole(number) => Operand::Whole(-number),
        Operand::Number(number) => Operand::Number(-number),
        _ => Operand::Missing,
    }
}

fn number(digits: &str) -> Result<f64, String> {
    let number: f64 = digits.parse().map_err(|_| format!("{digits} is no number"))?;
    // Java's smallest double is above 0, and RocketMQ takes it for the least one.
    let fits = number.is_finite() && number >= f64::from_bits(1);
    if fits { Ok(number) } else { Err(format!("{digits} is out of range")) }
}
