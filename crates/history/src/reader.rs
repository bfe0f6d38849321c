//! Histories as they lie in files: a line of JSON each.

use std::io::{self, BufRead};

use crate::event::Line;

/// How many lines that are none are told by their numbers.
const TOLD: usize = 5;

/// What the files have that is no line of a history: the rest of one that could not be written, or something else altogether.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// How many.
    pub lines: u64,
    /// The first ones: a name and a number, and why.
    pub told: Vec<String>,
}

impl Odd {
    fn note(&mut self, name: &str, number: usize, why: &serde_json::Error) {
        self.lines += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("{name}:{number}: {why}"));
        }
    }
}

/// Reads all lines of a source; empty ones are nothing.
pub fn read(source: impl BufRead, name: &str, odd: &mut Odd, mut take: impl FnMut(Line)) -> io::Result<()> {
    for (i, line) in source.split(b'\n').enumerate() {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(line) => take(line),
            Err(error) => odd.note(name, i + 1, &error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_line_is_told_by_its_number() {
        let closed = r#"{"t":7,"by":"c1","e":"closed"}"#;
        let text = format!("{closed}\n\n{{\"t\":8,\"by\n  \n{closed}\r\n{closed}");
        let (mut odd, mut lines) = (Odd::default(), Vec::new());
        read(text.as_bytes(), "a.jsonl", &mut odd, |line| lines.push(line)).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(odd.lines, 1);
        assert!(odd.told[0].starts_with("a.jsonl:3: EOF while parsing a string"), "{odd:?}");
        read("x\n".repeat(9).as_bytes(), "b", &mut odd, |_| unreachable!()).unwrap();
        assert_eq!((odd.lines, odd.told.len()), (10, 5));
    }
}
