use super::{bad, good};

const BEGIN: &str = "0 a hello consumer\n 1 a lock q0 0\n 2 a position q0 5\n";
const BY_KEY: &str = "0 a hello consumer byKey\n 1 a lock q0 0\n 2 a position q0 0\n";

fn history(text: &str) -> String {
    format!("{BEGIN}{text}")
}

fn by_key(text: &str) -> String {
    format!("{BY_KEY}{text}")
}

#[test]
fn one_after_the_other_with_retries_and_batches_is_good() {
    good(&history(
        "3 a start q0 5
         4 a end q0 5 failure
         5 a start q0 5 attempt=2
         6 a end q0 5 left
         6 a start q0 5 attempt=2
         7 a end q0 5
         8 a start q0 6..9
         9 a passed q0 7
         9 a end q0 7 failure
         10 a start q0 7..9 attempt=2
         11 a end q0 7
         12 a commit q0 10 sent
         13 a commit q0 10 done",
    ));
}

#[test]
fn what_a_batch_of_a_key_passes_may_have_others_between() {
    // Of k are 0, 2 and 3, of l is 1, which runs meanwhile.
    let history = by_key(
        "3 a start q0 0..3 key=k
         3 a start q0 1 key=l
         4 a passed q0 2
         5 a commit q0 1 sent
         6 a commit q0 1 done
         7 a end q0 1
         8 a passed q0 3
         9 a end q0 3
         9 a commit q0 4 sent
         9 a commit q0 4 done
         10 s hello witness
         11 s stored q0 0 A k
         11 s stored q0 1 B l
         11 s stored q0 2 C k
         11 s stored q0 3 D k",
    );
    good(&history);
    assert_eq!(
        bad(&history.replace("5 a commit q0 1 sent", "5 a commit q0 2 sent"), &["C5"]),
        "2 is committed though 1 is not handled"
    );
}

#[test]
fn c2_backwards_and_again() {
    let back = "3 a start q0 6
                4 a end q0 6
                5 a start q0 5
                6 a end q0 5";
    let text = bad(&history(back), &["C2"]);
    assert_eq!(text, "5 is handled after all before 7 was");
    let again = "3 a start q0 5
                 4 a end q0 5
                 5 a start q0 5";
    bad(&history(again), &["C2"]);
    // A seek brings it back.
    good(&history(&again.replace("5 a start", "5 a position q0 5 seek\n 5 a start")));
}

#[test]
fn c7_what_has_failed_comes_first_and_counts_up() {
    let passed_over = "3 a start q0 5
                       4 a end q0 5 failure
                       5 a start q0 6";
    assert_eq!(
        bad(&history(passed_over), &["C7"]),
        "6 is handled though 5 before it has failed and was not tried again"
    );
    let same = "3 a start q0 5
                4 a end q0 5 failure
                5 a start q0 5";
    assert_eq!(bad(&history(same), &["C7"]), "5 is tried again as attempt 1, after attempt 1");
    good(&history(&passed_over.replace("5 a start", "4 a dead q0 5 sent\n 5 a dead q0 5 done\n 5 a start")));
}

#[test]
fn c7_the_dead_letter_queue_has_it_before_the_commit() {
    let early = "3 a start q0 5
                 4 a end q0 5 failure
                 5 a dead q0 5 sent
                 6 a commit q0 6 sent
                 7 a commit q0 6 done
                 8 a dead q0 5 done";
    assert_eq!(bad(&history(early), &["C7"]), "6 is committed before 5 is in the dead-letter queue");
}

const STORE: &str =
    "\n99 w hello witness\n 100 w stored q0 5 A k\n 100 w stored q0 6 B k unmatched\n 100 w stored q0 7 C l\n";

#[test]
fn c3_what_is_stored_and_matched_is_handled_or_passed_over() {
    let seven = "3 a start q0 7\n 4 a end q0 7";
    let text = bad(&history(&format!("{seven}{STORE}")), &["C3"]);
    assert_eq!(text, "7 is handled before 5 and 0 more, from 5 on");
    good(&history(&format!("3 a skipped q0 5 6\n{seven}{STORE}")));
    good(&history(&format!("3 a start q0 5\n 3 a end q0 5\n{seven}{STORE}")));
}

#[test]
fn c3_per_key() {
    // Of k only: what is l's waits for nobody.
    let l = "3 a start q0 7 key=l\n 4 a end q0 7";
    good(&by_key(&format!("{l}{STORE}")));
    let behind = "3 a start q0 8 key=k\n 4 a end q0 8";
    assert_eq!(
        bad(&by_key(&format!("{behind}{STORE} 100 w stored q0 8 D k")), &["C3"]),
        "8 is handled before 5 and 0 more, from 0 on"
    );
}

#[test]
fn keys_of_a_queue_go_on_for_themselves() {
    good(&by_key(
        "3 a start q0 0 key=k
         3 a start q0 1 key=l
         4 a end q0 1
         4 a start q0 4 key=l
         5 a end q0 0 failure
         6 a end q0 4
         7 a start q0 0 key=k attempt=2
         8 a end q0 0
         9 a start q0 3 key=k",
    ));
    bad(&by_key("3 a start q0 3 key=k\n 4 a end q0 3\n 5 a start q0 2 key=k"), &["C2"]);
}

#[test]
fn c9_without_a_lock_and_after_it() {
    assert_eq!(bad("0 a hello consumer\n 1 a start q0 5", &["C9"]), "5 is handled without a lock");
    for word in ["refused", "expired", "doubt", "slept"] {
        let lost = format!("3 a lost q0 {word}\n 4 a start q0 5");
        assert_eq!(bad(&history(&lost), &["C9"]), "5 is handled though the lock does not count any more");
        good(&history(&format!("3 a lost q0 {word}\n 4 a lock q0 3.5\n 4 a position q0 5\n 4 a start q0 5")));
    }
    let unlocked = "3 a unlock q0 sent\n 4 a start q0 5";
    assert_eq!(bad(&history(unlocked), &["C9"]), "5 is handled though the lock does not count any more");
}

#[test]
fn c9_after_the_lease() {
    assert_eq!(
        bad(&history("30001 a start q0 5"), &["C9"]),
        "5 is handled 1 ms after the end of the lock, which was not renewed"
    );
    good(&history("30000 a start q0 5"));
    good(&history("20001 a renewed q0 20000\n 50000 a start q0 5"));
    assert_eq!(
        bad(&history("30002 a renewed q0 30001\n 30003 a start q0 5"), &["C9"]),
        "a renewal counts that was asked for 1 ms after the lock was over"
    );
}

#[test]
fn c9_a_stale_answer_is_no_lock() {
    let text = bad(&history("3 a unlock q0 sent\n 4 a lock q0 2"), &["C9"]);
    assert_eq!(text, "a lock counts that was asked for before the queue was given back or lost");
}

#[test]
fn c9_on_its_way_out_and_after_close() {
    assert_eq!(
        bad(&history("3 a revoked q0\n 4 a start q0 5"), &["C9"]),
        "5 is handled though the queue is on its way out"
    );
    good(&history("3 a revoked q0\n 4 a position q0 5 memory\n 5 a start q0 5"));
    let holes = "3 a start q0 5 key=k\n 4 a revoked q0\n 5 a start q0 3 key=l";
    good(&by_key(holes));
    bad(&by_key(&holes.replace("q0 3", "q0 6")), &["C9"]);
    assert_eq!(bad(&history("3 a closed\n 4 a start q0 5"), &["C9"]), "5 is handled after close() is done");
}

#[test]
fn broadcasting_needs_no_lease() {
    good(
        "0 a hello consumer broadcasting\n 1 a lock q0 0\n 2 a position q0 5\n 99999 a start q0 5\n 99999.1 a end q0 5",
    );
}
