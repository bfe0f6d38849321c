use super::{bad, good};

const SENT: &str = "0 p hello producer
                    1 p submit 1 k A
                    1 p submit 2 k B,C
                    2 p wire 1 q0 1
                    3 p answer 1 stored 0
                    3 p settle 1 stored q0 0
                    4 p wire 2 q0 2
                    5 p answer 2 stored 1
                    5 p settle 2 stored q0 1
                    6 p closed
                    7 w hello witness\n";

fn stored(text: &str) -> String {
    format!("{SENT}{text}")
}

#[test]
fn what_is_acknowledged_is_there() {
    let counts = good(&stored("8 w stored q0 0 A k\n 8 w stored q0 1 B k\n 8 w stored q0 2 C k")).counts;
    assert_eq!((counts.stored, counts.lost_writes, counts.stored_again), (3, 0, 0));
    // What was removed since is not lost.
    good(&stored("8 w stored q0 2 C k"));
}

#[test]
fn p6_lost_and_overwritten() {
    let lost = stored("8 w stored q0 0 A k\n 8 w stored q0 1 B k");
    assert_eq!(bad(&lost, &["P6"]), "#2 is acknowledged at 2, where nothing is stored: lost");
    assert_eq!(super::judge(&lost).counts.lost_writes, 1);
    let other = "8 w stored q0 0 A k\n 8 w stored q0 1 C k\n 8 w stored q0 2 B k";
    assert!(bad(&stored(other), &["P2", "P6"]).starts_with("#2 is acknowledged as B at 1, where C is stored"));
}

#[test]
fn p7_what_has_failed_and_what_nobody_sent() {
    let whole = "8 w stored q0 0 A k\n 8 w stored q0 1 B k\n 8 w stored q0 2 C k\n";
    let failed = SENT.replace("6 p closed", "5 p submit 3 l D\n 6 p settle 3 failed TIMEOUT\n 6 p closed");
    assert_eq!(
        bad(&format!("{failed}{whole} 8 w stored q0 3 D l"), &["P7"]),
        "#3 has failed for certain, and is stored"
    );
    let text = bad(&stored(&format!("{whole} 8 w stored q0 3 X k")), &["P7"]);
    assert_eq!(text, "X is stored, and nobody has sent it");
    // Of a killed producer the last lines may be missing.
    let killed = SENT.replace("6 p closed", "");
    assert_eq!(good(&format!("{killed}{whole} 8 w stored q0 3 X k")).counts.unknown_writes, 1);
}

#[test]
fn p8_copies_need_an_attempt_without_an_answer() {
    let twice = "8 w stored q0 0 A k\n 8 w stored q0 1 B k\n 8 w stored q0 2 C k\n 8 w stored q0 3 A k";
    assert_eq!(bad(&stored(twice), &["P8"]), "#1 is stored 2 times, of 1 attempts");
    let refused = SENT.replace("2 p wire 1 q0 1", "2 p wire 9 q0 1\n 2 p answer 9 refused\n 2 p wire 1 q0 1");
    assert_eq!(bad(&format!("{refused}{twice}"), &["P8"]), "#1 is stored 2 times though each attempt had an answer");
    assert_eq!(good(&format!("{}{twice}", refused.replace("refused", "unknown"))).counts.stored_again, 1);
}

#[test]
fn p9_each_has_its_own_key() {
    let text = bad(&stored("8 w stored q0 0 A l\n 8 w stored q0 1 B k\n 8 w stored q0 2 C k"), &["P9"]);
    assert_eq!(text, "#1 is stored with another key, \"l\"");
}

#[test]
fn p2_first_copies_are_in_the_order_of_the_calls() {
    // A's first attempt comes to light behind B's, whose answer told a later copy.
    let sent = "0 p hello producer
                1 p submit 1 k A
                1 p submit 2 k B
                2 p wire 1 q0 1
                3 p answer 1 stored 5
                3 p settle 1 stored q0 5
                4 p wire 2 q0 2
                5 p answer 2 unknown
                5 p wire 3 q0 2
                6 p answer 3 stored 6
                6 p settle 2 stored q0 6
                7 p closed\n";
    good(&format!("{sent} 8 w stored q0 5 A k\n 8 w stored q0 6 B k\n 8 w stored q0 7 B k"));
    let early = format!("{sent} 8 w stored q0 4 B k\n 8 w stored q0 5 A k\n 8 w stored q0 6 B k");
    assert_eq!(bad(&early, &["P2"]), "#2 is stored at 4, and #1, called before it, at 5");
    assert_eq!(super::judge(&early).counts.overtakings, 1);
}
