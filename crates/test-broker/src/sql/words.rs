//! The words and letters of RocketMQ's conditions, for a parser that knows more of both.

use sqlparser::ast::{BinaryOperator, Expr};
use sqlparser::dialect::Dialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::TextOperator;

/// In front of the name of a negated operator of 5.x.
pub(super) const NOT: &str = "NOT ";
/// How strongly the operators of 5.x bind: as `LIKE` does.
const TEXT_OPERATOR: u8 = 19;

impl TextOperator {
    pub(super) const NAMES: [(&'static str, Self); 3] =
        [("CONTAINS", Self::Contains), ("STARTSWITH", Self::StartsWith), ("ENDSWITH", Self::EndsWith)];

    pub(super) fn of(token: &Token) -> Option<Self> {
        let Token::Word(word) = token else { return None };
        Self::NAMES.iter().find(|(name, _)| word.value.eq_ignore_ascii_case(name)).map(|(_, operator)| *operator)
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }
}

/// RocketMQ's words; `text_operators` are those of 5.x.
#[derive(Debug)]
pub(super) struct Words {
    /// Whether those of 5.x are among them.
    pub(super) text_operators: bool,
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
pub(super) fn may_follow(token: &Token) -> bool {
    match token {
        Token::Word(word) => !word.value.eq_ignore_ascii_case("NOT"),
        Token::ShiftRight | Token::ShiftLeft | Token::Spaceship | Token::DoubleEq => false,
        _ => true,
    }
}

/// Outside of quotes and comments, only what RocketMQ's own reader knows.
pub(super) fn check_letters(text: &str) -> Result<(), String> {
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
