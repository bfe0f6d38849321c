use std::time::Duration;

use super::super::{Liveness, Options, Verdict, check};
use super::{dsl, strict};

fn judge(text: &str) -> Verdict {
    judge_with(text, Liveness::default())
}

fn judge_with(text: &str, liveness: Liveness) -> Verdict {
    check(dsl::lines(text).into_iter(), &Options { liveness: Some(liveness), ..strict() })
}

#[track_caller]
fn late(text: &str) -> String {
    let verdict = judge(text);
    assert_eq!(verdict.broken.keys().collect::<Vec<_>>(), [&"C10"], "{verdict}");
    verdict.violations[0].message.clone()
}

#[track_caller]
fn timely(text: &str) {
    let verdict = judge(text);
    assert!(verdict.is_clean(), "{verdict}");
}

/// `a` leaves at 1 s; `b` works with another queue of the topic until the end.
const LEFT: &str = "0 a hello consumer
                    0 b hello consumer
                    0 b lock q1 0
                    0 a lock q0 0
                    1000 a unlock q0 sent
                    1001 a closed\n";
const END: &str = "200000 b unlock q1 sent\n 200001 b closed\n";

#[test]
fn a_queue_that_was_given_back_has_a_new_owner_in_two_seconds() {
    timely(&format!("{LEFT} 3000 b lock q0 2999\n {END}"));
    let text = late(&format!("{LEFT} 3002 b lock q0 3001\n {END}"));
    assert_eq!(text, "nobody has it 2002 ms after a gave it back, where 2001 ms are allowed");
    late(&format!("{LEFT} {END}"));
    // Nobody is there to take it.
    timely(LEFT);
}

#[test]
fn after_a_fault_it_may_take_longer() {
    let fault = "500 w fault link-cut\n";
    timely(&format!("{fault}{LEFT} 22000 b lock q0 21999\n {END}"));
    late(&format!("{fault}{LEFT} 22002 b lock q0 22001\n {END}"));
    // Each fault begins it anew.
    timely(&format!("{fault} 20000 w fault again\n {LEFT} 40000 b lock q0 39999\n {END}"));
}

#[test]
fn a_dead_members_queue_has_a_new_owner_in_81_seconds() {
    let dead = "0 a hello consumer\n 0 b hello consumer\n 0 b lock q1 0\n 0 a lock q0 0\n 1000 a renewed q0 999\n";
    timely(&format!("{dead} 82000 b lock q0 81999\n {END}"));
    assert_eq!(
        late(&format!("{dead} 82001 b lock q0 82000\n {END}")),
        "nobody has it 81001 ms after a died, where 81000 ms are allowed"
    );
    let away = Liveness { away: vec!["b".into()], ..Liveness::default() };
    assert!(judge_with(&format!("{dead} {END}"), away).is_clean());
    let scaled = Liveness { crash: Duration::from_secs(8), ..Liveness::default() };
    assert!(!judge_with(&format!("{dead} 10000 b lock q0 9999\n {END}"), scaled).is_clean());
}

#[test]
fn a_fault_is_over_when_it_says_so() {
    let fault = "0 w fault link-cut lasts=30000\n";
    timely(&format!("{fault}{LEFT} 51000 b lock q0 50999\n {END}"));
    late(&format!("{fault}{LEFT} 51002 b lock q0 51001\n {END}"));
    timely(&format!("{IDLE} 900 w fault link-cut lasts=20000\n 23900 a start q0 0"));
    late(&format!("{IDLE} 900 w fault link-cut lasts=20000\n 23901 a start q0 0"));
    // What stays for ever excuses nothing but its beginning.
    late(&format!("0 w fault link-cut lasts=1000000\n {LEFT} 22002 b lock q0 22001\n {END}"));
}

#[test]
fn a_member_whose_end_nobody_hears_is_one_for_longer() {
    let dead = "0 a hello consumer\n 0 b hello consumer\n 0 b lock q1 0\n 0 a lock q0 0\n 1000 a renewed q0 999\n";
    // It stands still for ever; or its lines are cut when it is killed.
    for end in [
        "1000 w fault stopped whom=a lasts=1000000",
        "900 w fault link-cut whom=a lasts=20000\n 1000 w fault killed whom=a",
    ] {
        timely(&format!("{dead} {end}\n 151000 b lock q0 150999\n {END}"));
        assert_eq!(
            late(&format!("{dead} {end}\n 180000 b lock q0 179999\n {END}")).split(", where").next(),
            Some("nobody has it 179000 ms after a died")
        );
    }
    // Cut some time before, it is heard.
    let end = "100 w fault link-cut whom=a lasts=200\n 1000 w fault killed whom=a";
    late(&format!("{dead} {end}\n 83000 b lock q0 82999\n {END}"));
}

#[test]
fn what_was_given_back_without_an_answer_may_have_to_run_out() {
    timely(&format!("{LEFT} 1002 a unlock q0 unknown\n 82000 b lock q0 81999\n {END}"));
    late(&format!("{LEFT} 1002 a unlock q0 unknown\n 82003 b lock q0 82002\n {END}"));
    late(&format!("{LEFT} 1002 a unlock q0 done\n 82000 b lock q0 81999\n {END}"));
}

#[test]
fn a_queue_whose_lock_was_lost_has_an_owner_again() {
    let lost = "0 a hello consumer\n 0 b hello consumer\n 0 b lock q1 0\n 0 a lock q0 0\n 1000 a lost q0 expired\n";
    timely(&format!("{lost} 82000 a lock q0 81999\n 200000 a unlock q0 sent\n 200001 a closed\n {END}"));
    late(&format!("{lost} 82001 a lock q0 82000\n 200000 a unlock q0 sent\n 200001 a closed\n {END}"));
}

#[test]
fn a_queue_that_is_no_more_has_no_owner() {
    timely(&format!("900 p hello producer\n 900 p route q1\n {LEFT} {END}"));
}

/// A message comes at 1 s to an owner that has nothing to do.
const IDLE: &str = "0 a hello consumer
                    0 p hello producer
                    0 a lock q0 0
                    0 a position q0 0
                    999 p submit 1 k A
                    999 p wire 1 q0 1
                    1000 p answer 1 stored 0
                    1000 p settle 1 stored q0 0\n";

#[test]
fn a_message_is_handled_within_three_seconds() {
    timely(&format!("{IDLE} 4000 a start q0 0\n 9000 a end q0 0\n 9900 a renewed q0 9899"));
    let text = late(&format!("{IDLE} 4001 a start q0 0"));
    assert_eq!(text, "0 waits for 3001 ms, where 3000 ms are allowed");
    late(&format!("{IDLE} 9000 a renewed q0 8999"));
    timely(&format!("{IDLE} 3000 w fault broker-slow\n 6000 a start q0 0"));
    // Paused handlers are nobody's fault, where it is said so.
    let without = Liveness { progress: None, ..Liveness::default() };
    assert!(judge_with(&format!("{IDLE} 9000 a start q0 0"), without).is_clean());
}
