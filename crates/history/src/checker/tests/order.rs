use super::{bad, good};

const BEGIN: &str = "0 p hello producer\n";

fn history(text: &str) -> String {
    format!("{BEGIN}{text}")
}

#[test]
fn one_request_of_a_key_after_the_other_is_good() {
    let counts = good(&history(
        "1 p submit 1 k A
         1 p submit 2 k B
         1 p submit 3 k C,D
         2 p wire 1 q0 1
         3 p answer 1 stored 7
         3 p settle 1 stored q0 7
         4 p wire 2 q0 2,3
         5 p answer 2 refused
         6 p wire 3 q0 2,3
         7 p answer 3 unknown
         8 p wire 4 q0 2,3
         9 p answer 4 stored 20
         9 p settle 2 stored q0 20
         9 p settle 3 stored q0 21
         10 p closed",
    ))
    .counts;
    assert_eq!((counts.sends, counts.acknowledged, counts.requests), (3, 3, 4));
}

#[test]
fn keys_overlap_where_each_has_one_request() {
    good(&history(
        "1 p submit 1 k A
         1 p submit 2 l B
         2 p wire 1 q0 1
         2 p wire 2 q0 2
         3 p answer 2 stored 0
         3 p answer 1 stored 1",
    ));
}

#[test]
fn p3_two_requests_of_a_key_at_once() {
    let text = bad(
        &history(
            "1 p submit 1 k A
             1 p submit 2 k B
             2 p wire 1 q0 1
             2 p wire 2 q0 2",
        ),
        &["P3", "P4"],
    );
    assert_eq!(text, "a second request of the key is sent while request 1 is under way");
}

#[test]
fn p3_an_answer_that_comes_after_its_end() {
    let text = bad(
        &history(
            "1 p submit 1 k A
             2 p wire 1 q0 1
             3 p answer 1 unknown
             4 p answer 1 stored 1",
        ),
        &["P3"],
    );
    assert_eq!(text, "request 1 is answered again after its end");
}

#[test]
fn p4_retried_behind_its_successor() {
    let text = bad(
        &history(
            "1 p submit 1 k A
             1 p submit 2 k B
             2 p wire 1 q0 1
             3 p answer 1 refused
             4 p wire 2 q0 2
             5 p answer 2 stored 1",
        ),
        &["P4"],
    );
    assert_eq!(text, "#2 is sent while #1, called before it, has no outcome");
}

#[test]
fn p4_in_a_batch_in_another_order_and_after_an_outcome() {
    let wrong = "1 p submit 1 k A
                 1 p submit 2 k B
                 2 p wire 1 q0 2,1";
    assert_eq!(bad(&history(wrong), &["P4"]), "#2 is sent while #1, called before it, has no outcome");
    let again = "1 p submit 1 k A
                 2 p wire 1 q0 1
                 3 p answer 1 stored 0
                 4 p wire 2 q0 1";
    bad(&history(again), &["P4"]);
}

#[test]
fn p2_offsets_that_fall() {
    let text = bad(
        &history(
            "1 p submit 1 k A
             1 p submit 2 k B
             2 p wire 1 q0 1
             3 p answer 1 stored 9
             4 p wire 2 q0 2
             5 p answer 2 stored 8",
        ),
        &["P2"],
    );
    assert_eq!(text, "#2 is stored at 8, and what was called before it at 9");
}

#[test]
fn p1_a_key_moves_with_the_route_only() {
    let moved = "1 p submit 1 k A
                 1 p submit 2 k B
                 2 p wire 1 q0 1
                 3 p answer 1 stored 9
                 4 p CHANGE
                 5 p wire 2 q1 2
                 6 p answer 2 stored 2";
    let text = bad(&history(&moved.replace("p CHANGE", "p skipped q0 0 0")), &["P1"]);
    assert_eq!(text, "the key moves from t@b:0 to t@b:1 though nobody tells of another route");
    good(&history(&moved.replace("p CHANGE", "p route q1 q2")));
    good(&history(&moved.replace("p CHANGE", "w fault broker-died")));
    good(&history(&format!("0.5 p route q0\n{}", moved.replace("p CHANGE", "p route q0 q1"))));
    // Once for each, whenever what was placed by it is sent.
    let placed = format!("0.5 p route q0\n1.5 p route q0 q1\n{}", moved.replace("p CHANGE", "w fault broker-died"));
    good(&history(&placed));
    bad(&history(&format!("{placed}\n7 p submit 3 k C\n8 p wire 3 q0 3\n9 p answer 3 stored 11")), &["P1"]);
    // Before, and not since.
    bad(&history(&format!("0.5 p route q0 q1\n{}", moved.replace("p CHANGE", "w fault broker-died"))), &["P1"]);
}

#[test]
fn p1_what_may_be_stored_goes_nowhere_else() {
    let text = bad(
        &history(
            "1 p submit 1 k A
             2 p wire 1 q0 1
             3 p answer 1 unknown
             4 p route q1
             5 p wire 2 q1 1
             6 p answer 2 stored 2",
        ),
        &["P1"],
    );
    assert_eq!(text, "#1 goes to t@b:1 though it may be stored in t@b:0");
}

const FAILED: &str = "1 p submit 1 k A
                      1 p submit 2 k B
                      2 p wire 1 q0 1
                      3 p answer 1 unknown
                      4 p settle 1 unknown TIMEOUT\n";

#[test]
fn p5_what_is_behind_a_failure_fails_with_it_and_what_comes_later_begins_anew() {
    good(&history(&format!(
        "{FAILED}
         4 p settle 2 failed ORDER_BROKEN
         5 p submit 3 k C
         6 p wire 2 q0 3
         7 p answer 2 stored 5
         7 p settle 3 stored q0 5
         8 p closed"
    )));
    good(&history(&format!("{FAILED} 4 p settle 2 failed CLOSED\n 8 p closed")));
}

#[test]
fn p5_what_is_in_front_of_a_failure_may_be_stored() {
    good(&history(
        "1 p submit 1 k A
         1 p submit 2 k B
         2 p wire 1 q0 1
         3 p settle 2 failed TIMEOUT
         4 p answer 1 stored 0
         4 p settle 1 stored q0 0",
    ));
}

#[test]
fn p5_sent_stored_or_failed_otherwise_behind_a_failure() {
    let sent = bad(&history(&format!("{FAILED} 5 p wire 2 q0 2")), &["P5"]);
    assert_eq!(sent, "#2 is sent though a message before it has failed");
    let otherwise = bad(&history(&format!("{FAILED} 5 p settle 2 failed TIMEOUT")), &["P5"]);
    assert_eq!(otherwise, "#2 fails with ERR_ROCKETMQ_TIMEOUT, and not because of what has failed before it");
    let stored = format!("{FAILED} 5 p wire 2 q0 2\n 6 p answer 2 stored 5\n 7 p settle 2 stored q0 5");
    assert!(bad(&history(&stored), &["P5"]).contains("is sent though"));
}

#[test]
fn p9_keys_in_one_request() {
    let mixed = "1 p submit 1 k A
                 1 p submit 2 l B
                 2 p wire 1 q0 1,2
                 3 p answer 1 stored 0";
    let text = bad(&history(mixed), &["P9"]);
    assert_eq!(text, "request 1 has messages of 2 keys, where one is allowed");
    good(&format!("0 p hello producer mixesKeys\n{mixed}"));
}

#[test]
fn p10_each_send_has_one_outcome() {
    let none = bad(&history("1 p submit 1 k A\n 1 p submit 2 l A\n 2 p closed"), &["P10"]);
    assert_eq!(none, "2 sends have no outcome when it is closed, the first is #1");
    let two = "1 p submit 1 k A
               2 p settle 1 failed TIMEOUT
               3 p settle 1 failed TIMEOUT";
    assert_eq!(bad(&history(two), &["P10"]), "#1 has two outcomes");
    bad(&history("1 p settle 1 failed TIMEOUT"), &["P10"]);
    // Of one that was killed nobody knows.
    good(&history("1 p submit 1 k A"));
}

#[test]
fn p6_told_as_stored_where_no_answer_has_said_so() {
    let text = bad(
        &history(
            "1 p submit 1 k A
             2 p wire 1 q0 1
             3 p answer 1 unknown
             4 p settle 1 stored q0 5",
        ),
        &["P6"],
    );
    assert_eq!(text, "#1 is told as stored where no answer has said so");
}
