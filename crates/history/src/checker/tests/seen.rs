use super::{bad, good, judge, strict};
use crate::checker::{Options, check};

const MEMBERS: &str = "0 a hello consumer asUser
                       0 b hello consumer asUser
                       0 w hello witness
                       0 p hello producer asUser\n";

/// Four messages of a key, as users see them.
const SENT: &str = "1 p submit 1 k A
                    1 p submit 2 k B
                    1 p submit 3 k C
                    1 p submit 4 k D
                    2 p settle 2 stored q0 1
                    2 p settle 1 stored q0 0
                    3 p settle 3 stored q0 2
                    4 p settle 4 unknown RemotingTimeoutException\n";

const STORED: &str = "900 w stored q0 0 A k
                      900 w stored q0 1 B k
                      900 w stored q0 2 C k
                      900 w stored q0 3 D k\n";

fn history(text: &str) -> String {
    format!("{MEMBERS}{SENT}{text}\n{STORED}")
}

/// Handled one after the other, each in a millisecond.
fn calls(by: &str, from: u32, offsets: std::ops::Range<u32>) -> String {
    let call = |(at, offset)| format!("{at} {by} start q0 {offset}\n{at}.5 {by} end q0 {offset}\n");
    (from..).zip(offsets).map(call).collect()
}

#[test]
fn nothing_is_asked_of_requests_locks_and_commits() {
    let counts = good(&history(&format!("{}{}905 p closed", calls("a", 10, 0..2), calls("b", 20, 1..4)))).counts;
    assert_eq!((counts.calls, counts.acknowledged, counts.unknown, counts.handled_again), (5, 3, 1, 1));
}

#[test]
fn p2_and_p6_as_of_everybody() {
    let told = SENT.replace("2 stored q0 1", "2 stored q0 0").replace("1 stored q0 0", "1 stored q0 1");
    let overtaken = STORED.replace("0 A", "1 A").replace("1 B", "0 B");
    bad(&format!("{MEMBERS}{told}{overtaken}"), &["P2"]);
    let lost = STORED.replace("900 w stored q0 2 C k", "");
    bad(&format!("{MEMBERS}{SENT}{lost}"), &["P6"]);
    // Its attempts are not told.
    assert_eq!(good(&history("900 w stored q0 4 A k")).counts.stored_again, 1);
}

#[test]
fn p1_a_key_in_two_queues() {
    let moved = SENT.replace("settle 3 stored q0 2", "settle 3 stored q1 2");
    let text = bad(&format!("{MEMBERS}{moved}"), &["P1"]);
    assert_eq!(text, "the key moves from t@b:0 to t@b:1, for no reason");
    good(&format!("{MEMBERS}1 w fault broker-died\n{moved}"));
}

#[test]
fn p10_sends_without_an_outcome() {
    bad(&format!("{MEMBERS}1 p submit 1 k A\n2 p closed"), &["P10"]);
}

/// `a` is at message 0 while `b` begins it.
const TWO: &str = "10 a start q0 0
                   12 b start q0 0
                   13 b end q0 0
                   14 a end q0 0\n";

#[test]
fn c1_two_handlers_at_once() {
    assert_eq!(bad(&history(TWO), &["C1"]), "two handlers at once: a is at 0 when b begins 0");
    assert_eq!(good(&history(&format!("11 w fault restarted whom=b locks\n{TWO}"))).counts.excused, 1);
    assert_eq!(good(&history(&format!("11 w fault stopped whom=a\n{TWO}"))).counts.excused, 1);
    assert_eq!(good(&history(&format!("11 w fault stopped whom=a@1\n{TWO}"))).counts.excused, 1);
    let outlived = TWO.replacen("0\n", "0\n11 a closed\n", 1);
    assert_eq!(good(&history(&outlived)).counts.excused, 1);
    // Somebody else stood still.
    bad(&history(&format!("11 w fault stopped whom=b\n{TWO}")), &["C1"]);
    // One call for each event.
    let more = "20 a start q0 1\n21 b start q0 1\n22 a end q0 1\n23 b end q0 1\n";
    bad(&history(&format!("9 w fault restarted whom=b locks\n{TWO}{more}")), &["C1"]);
}

#[test]
fn c3_what_nobody_has_handled_is_left_out() {
    let skipped = history(&format!("{}{}", calls("a", 10, 0..1), calls("b", 20, 2..4)));
    assert_eq!(bad(&skipped, &["C3"]), "2 is handled before 1 and 0 more");
    assert_eq!(judge(&skipped).counts.poll_skips, 1);
    // It died while it was at it.
    bad(&history("10 a start q0 0\n11 b start q0 1\n12 b end q0 1"), &["C3"]);
}

#[test]
fn c3_up_to_what_is_committed_or_to_the_end() {
    let three = history(&calls("a", 10, 0..3));
    good(&format!("{three}901 w committed q0 3"));
    let text = bad(&format!("{three}901 w committed q0 4"), &["C3"]);
    assert_eq!(text, "3 is never handled, and 0 more");
    let drained = Options { drained: true, ..strict() };
    let verdict = check(super::dsl::lines(&three).into_iter(), &drained);
    assert!(verdict.broken.contains_key("C3"), "{verdict}");
}

#[test]
fn c7_what_has_failed_comes_first() {
    let failed = "10 a start q0 0\n11 a end q0 0 failure\n";
    good(&history(&format!("{failed}{}", calls("a", 12, 0..4))));
    let text = bad(&history(&format!("{failed}{}", calls("a", 12, 1..4))), &["C7"]);
    assert_eq!(text, "1 is handled though 0 before it has failed and was not tried again");
}

#[test]
fn c8_overtaken_in_the_end() {
    let text = "10 a start q0 1
                11 a end q0 1
                12 a start q0 0
                13 a end q0 0";
    bad(&history(text), &["C3", "C8"]);
}

#[test]
fn c9_nothing_begins_behind_close() {
    bad(&history(&format!("9 a closed\n{}", calls("a", 10, 0..4))), &["C9"]);
}
