//! From letters to tokens, as RocketMQ's own reader makes them.

use winnow::ascii::{digit0, digit1};
use winnow::combinator::{alt, delimited, opt, preceded, repeat};
use winnow::prelude::*;
use winnow::token::{any, one_of, take_till, take_until, take_while};

/// What a condition is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, or a word of the grammar.
    Word(String),
    Text(String),
    /// Digits, as they are written.
    Whole(String),
    /// With a point or an exponent.
    Number(String),
    Sign(&'static str),
    /// What is no token. RocketMQ's reader fails when it comes to it.
    Unknown,
}

/// The longest first.
const SIGNS: [&str; 11] = ["<>", "<=", ">=", "<", ">", "=", "(", ")", ",", "+", "-"];

/// The tokens up to the end, or up to the first that is none.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let (mut rest, mut tokens) = (text, Vec::new());
    loop {
        skipped(&mut rest);
        if rest.is_empty() {
            return tokens;
        }
        let Ok(token) = token.parse_next(&mut rest) else {
            tokens.push(Token::Unknown);
            return tokens;
        };
        tokens.push(token);
    }
}

/// Leaves white space and comments behind. A comment that begins with `--` ends with its line; without an end it is none.
fn skipped(rest: &mut &str) {
    let space = || take_while::<_, _, ()>(1.., [' ', '\t', '\n', '\r', '\x0c']).void();
    let line = || ("--", take_till(0.., ['\n', '\r']), one_of(['\n', '\r'])).void();
    let block = || ("/*", take_until(0.., "*/"), "*/").void();
    // Nothing to skip is no failure.
    let _ = repeat::<_, _, (), _, _>(0.., alt((space(), line(), block()))).parse_next(rest);
}

fn token(rest: &mut &str) -> Result<Token, ()> {
    alt((word, text, number, whole, sign)).parse_next(rest)
}

fn word(rest: &mut &str) -> Result<Token, ()> {
    let letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || letter == '$';
    let further = move |it: char| letter(it) || it.is_ascii_digit();
    (one_of(letter), take_while(0.., further)).take().map(|name: &str| Token::Word(name.to_owned())).parse_next(rest)
}

/// A quote inside is doubled.
fn text(rest: &mut &str) -> Result<Token, ()> {
    let letters = repeat(0.., alt(("''".value('\''), any.verify(|letter| *letter != '\''))));
    delimited('\'', letters, '\'').map(Token::Text).parse_next(rest)
}

/// `1.`, `1.5`, `.5`, `1e3`.
fn number(rest: &mut &str) -> Result<Token, ()> {
    let exponent = || (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    alt((
        (digit1, '.', digit0, opt(exponent())).take(),
        preceded('.', (digit1, opt(exponent()))).take(),
        (digit1, exponent()).take(),
    ))
    .map(|digits: &str| Token::Number(digits.to_owned()))
    .parse_next(rest)
}

/// `0`, or digits that do not begin with it; an `L` behind them means nothing.
fn whole(rest: &mut &str) -> Result<Token, ()> {
    let long = (one_of('1'..='9'), digit0).take();
    alt(("0", (long, opt(one_of(['l', 'L']))).map(|(digits, _)| digits)))
        .map(|digits: &str| Token::Whole(digits.to_owned()))
        .parse_next(rest)
}

fn sign(rest: &mut &str) -> Result<Token, ()> {
    let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign)).ok_or(())?;
    *rest = &rest[sign.len()..];
    Ok(Token::Sign(sign))
}
