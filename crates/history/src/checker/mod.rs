//! One checker for every history: of simulated clients, of specs, and of what a user has recorded.
//!
//! It reads all lines into a `book`, in one order of time, and then looks at them from one side after the other, each with a
//! room of its own: producers (`order`, `store`), what each consumer did with each queue (`strands`: `handling`, `commits`), what the
//! members of a group did together (`ownership`, `handover`, `delivery`, `liveness`), and what is left to judge of clients that tell only
//! what their users see (`seen`). Nothing here knows a client's code.

mod book;
mod clocks;
mod commits;
mod delivery;
mod handling;
mod handover;
mod liveness;
mod names;
mod options;
mod order;
mod ownership;
mod report;
mod seen;
mod store;
mod strands;
mod timeline;

#[cfg(test)]
mod tests;

pub use self::options::{Liveness, Options};
pub use self::report::{Counts, Verdict, Violation};
pub use self::timeline::{Row, Timeline};

use self::book::Book;
use self::delivery::Handled;
use self::liveness::Times;
use self::report::Findings;
use self::strands::Strand;
use crate::event::Line;

/// Judges a history: the lines of each client in its own order, those of several in any.
pub fn check(lines: impl Iterator<Item = Line>, options: &Options) -> Verdict {
    let book = Book::read(lines);
    let mut findings = Findings::new(&book, options);
    let counts = findings.counts();
    (counts.lines, counts.clients) = (book.entries.len() as u64, book.clients.len() as u64);
    counts.faults = book.faults.len() as u64;
    let sends = order::check(&mut findings);
    store::check(&mut findings, &sends);
    seen::homes(&mut findings, &sends);
    let strands = strands::of(&mut findings);
    for strand in &strands {
        handling::check(&mut findings, strand);
        commits::check(&mut findings, strand);
    }
    let times = Times::new(&book, &sends);
    let mut handled = Handled::default();
    for members in strands.chunk_by(|one, other| (one.group, one.queue) == (other.group, other.queue)) {
        together(&mut findings, members, &times, &mut handled);
    }
    delivery::end_to_end(&mut findings, &sends, &handled);
    findings.verdict
}

/// What the members of a group did with one queue.
fn together(findings: &mut Findings<'_>, members: &[Strand], times: &Times, handled: &mut Handled) {
    ownership::check(findings, members);
    let unheard = handover::check(findings, members);
    delivery::check(findings, members, &unheard, handled);
    seen::in_order(findings, members);
    liveness::check(findings, members, times);
}
