use super::{bad, good};

const BEGIN: &str = "0 a hello consumer\n 1 a lock q0 0\n 2 a position q0 5\n 3 a start q0 5\n 4 a end q0 5\n";

fn history(text: &str) -> String {
    format!("{BEGIN}{text}")
}

#[test]
fn what_is_handled_is_committed_before_the_queue_is_given_back() {
    good(&history(
        "5 a commit q0 6 sent
         6 a commit q0 6 done
         7 a skipped q0 6 9
         8 a start q0 9
         9 a end q0 9
         10 a commit q0 10 sent
         11 a commit q0 10 unknown
         12 a commit q0 10 sent
         13 a commit q0 10 done
         14 a unlock q0 sent
         15 a unlock q0 done
         16 a closed",
    ));
}

#[test]
fn c5_past_what_runs_what_has_failed_and_what_has_not_begun() {
    let running = "5 a start q0 6\n 6 a commit q0 7 sent";
    assert_eq!(bad(&history(running), &["C5"]), "7 is committed though 6 is not handled");
    bad(&history("5 a start q0 6\n 5 a end q0 6 failure\n 6 a commit q0 7 sent"), &["C5"]);
    bad(&history("5 a start q0 6\n 5 a end q0 6 void\n 6 a commit q0 7 sent"), &["C5"]);
    assert_eq!(bad(&history("5 a commit q0 7 sent"), &["C5"]), "7 is committed though nothing behind 6 was handled");
    good(&history("5 a skipped q0 6 7\n 6 a commit q0 7 sent"));
}

#[test]
fn c5_over_a_hole_between_keys() {
    let text = "0 a hello consumer byKey\n 1 a lock q0 0\n 2 a position q0 0
                3 a start q0 1 key=l\n 4 a end q0 1\n 5 a commit q0 2 sent";
    // Whether there is a message at 0, a look at the store tells,
    good(text);
    let stored = format!("{text}\n 9 w hello witness\n 9 w stored q0 0 A k\n 9 w stored q0 1 B l");
    assert_eq!(bad(&stored, &["C5"]), "2 is committed though 0 is not handled");
    // or its handler, later.
    assert_eq!(
        bad(&format!("{text}\n 6 a start q0 0 key=k"), &["C5"]),
        "0 is handled after all before 2 was committed"
    );
}

#[test]
fn c5_back_within_an_epoch() {
    let back = "5 a commit q0 6 sent\n 6 a commit q0 6 done\n 7 a commit q0 5 sent";
    assert_eq!(bad(&history(back), &["C5"]), "5 is committed after 6");
    // A seek and its commit.
    good(&history(&format!("{back}\n 8 a commit q0 5 done\n 9 a position q0 5 seek\n 10 a start q0 5")));
    good(&history(
        &back.replace("7 a commit", "7 a position q0 2 reset\n 7 a commit").replace("q0 5 sent", "q0 2 sent"),
    ));
}

#[test]
fn c5_after_the_lock() {
    assert_eq!(
        bad(&history("5 a lost q0 refused\n 6 a commit q0 6 sent"), &["C5"]),
        "6 is committed after the lock was lost"
    );
    assert_eq!(bad(&history("30001 a commit q0 6 sent"), &["C5"]), "6 is committed after the lock has run out");
    // In doubt it is ours until its end.
    good(&history("5 a lost q0 doubt\n 6 a commit q0 6 sent"));
}

#[test]
fn c6_given_back_too_early() {
    let all = "the queue is given back though all before 6 is handled and 5 is committed";
    assert_eq!(bad(&history("5 a unlock q0 sent"), &["C6"]), all);
    assert_eq!(
        bad(&history("5 a commit q0 6 sent\n 6 a unlock q0 sent\n 7 a commit q0 6 done"), &["C6"]),
        "the queue is given back before a commit is answered"
    );
    // The broker is gone: it was tried.
    good(&history("5 a commit q0 6 sent\n 6 a commit q0 6 unknown\n 7 a unlock q0 sent"));
    let running =
        "5 a commit q0 6 sent\n 6 a commit q0 6 done\n 7 a start q0 6\n 8 a unlock q0 sent\n 9 a end q0 6 void\n";
    assert_eq!(
        bad(&history(&format!("{running} 10 a lock q1")), &["C6"]),
        "the queue is given back while 6 is being handled"
    );
    good(&history(&format!("{running} 10 a closed")));
}

#[test]
fn c11_two_commits_at_once() {
    let text = "5 a commit q0 6 sent\n 6 a commit q0 6 sent";
    assert_eq!(bad(&history(text), &["C11"]), "a second commit is sent while one is under way");
}
