use super::{bad, good, judge};

const BEGIN: &str = "0 a hello consumer\n 0 b hello consumer\n 1 a lock q0 0\n 2 a position q0 0\n";

fn history(text: &str) -> String {
    format!("{BEGIN}{text}")
}

/// `a` is at 0 while `b` gets the lock and begins.
const BOTH: &str = "3 a start q0 0\n 9 b lock q0 8\n 9 b position q0 0\n 10 b start q0 0\n 11 a end q0 0 void\n";

#[test]
fn c1_two_handlers_of_a_client() {
    let text = bad(&history("3 a start q0 0\n 4 a start q0 1\n 5 a end q0 0\n 6 a end q0 1"), &["C1"]);
    assert_eq!(text, "two handlers at once: a is at 0 when a begins 1");
}

#[test]
fn c1_two_owners() {
    let verdict = judge(&history(BOTH));
    assert_eq!(verdict.broken["C1"], 2, "{verdict}");
    assert_eq!(verdict.counts.two_owners, 2);
    assert_eq!(verdict.violations[0].message, "b has the lock while a counts it as its own");
    assert_eq!(verdict.violations[1].message, "two handlers at once: a is at 0 when b begins 0");
}

#[test]
fn c1_a_broker_that_forgets_excuses_one_call() {
    let forgotten = format!("5 w fault restart locks whom=b\n{BOTH}");
    let counts = good(&history(&forgotten)).counts;
    assert_eq!((counts.two_owners, counts.excused), (2, 2));
    // Another broker's, one before the last renewal, and one afterwards.
    bad(&history(&forgotten.replace("whom=b", "whom=c")), &["C1"]);
    bad(&history(&forgotten.replace("10 b start", "7 a renewed q0 6\n 10 b start")), &["C1"]);
    bad(&history(&forgotten.replace("5 w", "10.5 w")), &["C1"]);
    // A second call of the one who has lost it.
    bad(
        &history(
            &forgotten
                .replace("11 a end q0 0 void", "11 a end q0 0 void\n 11 a start q0 1\n 12 b end q0 0\n 13 a end q0 1"),
        ),
        &["C1"],
    );
    let second = "12 b end q0 0\n 12 a start q0 1\n 13 b start q0 1\n 14 a end q0 1 void\n 15 b end q0 1";
    bad(&history(&format!("{forgotten}{second}")), &["C1"]);
}

#[test]
fn c1_a_process_that_stood_still_overlaps_once() {
    let text = BOTH.replace("9 b lock q0 8", "60009 b lock q0 60008").replace("9 b pos", "60009 b pos");
    let text = text.replace("10 b", "60010 b").replace("11 a end", "70000 a end");
    let counts = good(&history(&text)).counts;
    assert_eq!((counts.two_owners, counts.excused), (1, 1));
}

#[test]
fn c1_a_handler_that_outlives_close_and_one_of_a_killed_client() {
    good(&history(
        "3 a start q0 0\n 4 a unlock q0 sent\n 5 a closed\n 6 b lock q0 5\n 6 b position q0 0\n 6 b start q0 0\n 7 a end q0 0 void",
    ));
    good(&history("3 a start q0 0\n 60005 b lock q0 60004\n 60006 b position q0 0\n 60007 b start q0 0"));
}

#[test]
fn c1_keys_of_a_queue_have_one_handler_each() {
    let begin = BEGIN.replace("consumer", "consumer byKey");
    let other = "3 a start q0 0 key=k\n 4 a start q0 1 key=l\n 5 a end q0 1\n 6 a end q0 0";
    good(&format!("{begin}{other}"));
    let text = bad(&format!("{begin}{}", other.replace("key=l", "key=k")), &["C1"]);
    assert_eq!(text, "two handlers of key \"k\" at once: a is at 0 when a begins 1");
}

#[test]
fn other_groups_queues_and_broadcasting_members_are_nobodys_business() {
    good(&history(BOTH).replace("b hello consumer", "b hello consumer group=h"));
    good(&history(
        &BOTH
            .replace("b lock q0", "b lock q1")
            .replace("b position q0", "b position q1")
            .replace("b start q0", "b start q1"),
    ));
    good(&history(BOTH).replace("hello consumer", "hello consumer broadcasting"));
}

#[test]
fn clients_of_different_machines_are_compared_by_their_wall_clocks() {
    // b's clock counts from another day, and both begin at the same time.
    let history = |end_ms: u32| {
        format!(
            "0 a hello consumer wall=1000000
             500000 b hello consumer boot=2 wall=1000000
             1 a lock q0 0
             2 a position q0 0
             3 a start q0 0
             {end_ms} a end q0 0 void
             501000 b lock q0 500999
             501001 b position q0 0
             501002 b start q0 0"
        )
    };
    // They overlap by less than the tolerance, and by more: as do the locks.
    let close = judge(&history(1_100));
    assert_eq!((close.broken["C1"], close.counts.two_owners), (1, 1), "{close}");
    assert_eq!(judge(&history(1_200)).broken["C1"], 2);
}
