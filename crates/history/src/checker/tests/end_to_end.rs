use super::super::{Options, check};
use super::{bad, dsl, good, strict};

const SENT: &str = "0 p hello producer
                    1 p submit 1 k A
                    1 p submit 2 k B
                    2 p wire 1 q0 1,2
                    3 p answer 1 stored 0
                    3 p settle 1 stored q0 0
                    3 p settle 2 stored q0 1
                    6 p closed
                    4 a hello consumer\n";

#[test]
fn c8_in_the_order_of_the_calls() {
    let handled = "5 a lock q0 5\n 5 a position q0 0\n 6 a start q0 0\n 7 a end q0 0\n 8 a start q0 1\n 9 a end q0 1";
    good(&format!("{SENT}{handled}"));
    let inverted = handled.replace(
        "6 a start q0 0\n 7 a end q0 0\n 8 a start q0 1\n 9 a end q0 1",
        "6 a start q0 1\n 7 a end q0 1\n 8 a start q0 0\n 9 a end q0 0",
    );
    let verdict = super::judge(&format!("{SENT}{inverted}"));
    assert!(verdict.broken.contains_key("C8"), "{verdict}");
    // A seek back is somebody's wish.
    good(&format!("{SENT}{}", inverted.replace("8 a start", "8 a position q0 0 seek\n 8 a start")));
}

#[test]
fn c8_over_the_members_of_a_group() {
    let inverted = "5 a lock q0 5\n 5 a position q0 1\n 6 a start q0 1\n 7 a end q0 1\n 8 a lost q0 refused
                    8 b hello consumer\n 9 b lock q0 8\n 9 b position q0 0\n 10 b start q0 0\n 11 b end q0 0";
    let text = bad(&format!("{SENT}{inverted}"), &["C8"]);
    assert_eq!(text, "#2 is handled before #1, which was called before it");
    // In another group it is another story.
    good(&format!("{SENT}{}", inverted.replace("b hello consumer", "b hello consumer group=h")));
}

#[test]
fn c3_what_is_committed_was_handled_by_somebody() {
    let store = "9 w hello witness\n 9 w stored q0 0 A k\n 9 w stored q0 1 B k\n";
    let some = "5 a lock q0 5\n 5 a position q0 0\n 6 a start q0 0\n 7 a end q0 0\n 7 a commit q0 1 sent\n 7 a commit q0 1 done\n";
    good(&format!("{SENT}{some}{store}"));
    // At the end nothing may be left.
    let drained = Options { drained: true, ..strict() };
    let verdict = check(dsl::lines(&format!("{SENT}{some}{store}")).into_iter(), &drained);
    assert_eq!(verdict.violations[0].message, "1 is never handled, and 0 more", "{verdict}");
    let skip = some.replace("q0 1 sent", "q0 2 sent").replace("q0 1 done", "q0 2 done");
    let verdict = super::judge(&format!("{SENT}{skip}{store}"));
    assert!(verdict.broken.contains_key("C3") && verdict.broken.contains_key("C5"), "{verdict}");
    good(&format!(
        "{SENT}{}{store}",
        skip.replace("7 a commit q0 2 sent", "7 a skipped q0 1 2\n 7 a commit q0 2 sent")
    ));
}

#[test]
fn c3_and_c8_are_silent_of_what_an_administrator_has_set() {
    let inverted = "5 a lock q0 5\n 5 a position q0 1\n 6 a start q0 1\n 7 a end q0 1\n 8 a lost q0 refused
                    8 b hello consumer\n 9 b lock q0 8\n 9 b position q0 0\n 10 b start q0 0\n 11 b end q0 0\n";
    let told = |words: &str| format!("{SENT}{inverted} 12 w fault set {words}");
    good(&told("resets=g/t"));
    bad(&told(""), &["C8"]);
    bad(&told("resets=h/t"), &["C8"]);
    bad(&told("resets=g/u"), &["C8"]);
    let skipped = "5 a lock q0 5\n 5 a position q0 0\n 6 a start q0 1\n 7 a end q0 1
                   9 w hello witness\n 9 w stored q0 0 A k\n 9 w stored q0 1 B k\n";
    let drained = Options { drained: true, ..strict() };
    let judged = |words: &str| {
        let lines = dsl::lines(&format!("{SENT}{skipped} 4 w fault set {words}"));
        check(lines.into_iter(), &drained)
            .violations
            .iter()
            .any(|violation| violation.message.contains("never handled"))
    };
    assert!(judged("resets=h/t") && !judged("resets=g/t"));
}

#[test]
fn an_old_history_says_in_words_that_offsets_are_reset() {
    let inverted = "5 a lock q0 5\n 5 a position q0 1\n 6 a start q0 1\n 7 a end q0 1\n 8 a lost q0 refused
                    8 b hello consumer\n 9 b lock q0 8\n 9 b position q0 0\n 10 b start q0 0\n 11 b end q0 0\n";
    let mut lines = dsl::lines(&format!("{SENT}{inverted}"));
    assert!(!check(lines.clone().into_iter(), &strict()).is_clean());
    for what in ["offsets are reset: SetBack { group: 0 }", "a reset of offsets"] {
        let old = format!(r#"{{"t":12000,"by":"w","e":"fault","what":"{what}"}}"#);
        lines.push(serde_json::from_str(&old).unwrap());
        let verdict = check(lines.clone().into_iter(), &strict());
        assert!(verdict.is_clean(), "{verdict}");
        lines.pop();
    }
}
