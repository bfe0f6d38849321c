use super::{bad, good};

const FIRST: &str = "0 a hello consumer
                     0 b hello consumer
                     1 a lock q0 0
                     2 a position q0 0
                     3 a start q0 0
                     4 a end q0 0
                     5 a start q0 1
                     6 a end q0 1
                     7 a commit q0 2 sent
                     8 a commit q0 2 done\n";
const FAREWELL: &str = "9 a unlock q0 sent\n 10 a unlock q0 done\n";

fn history(text: &str) -> String {
    format!("{FIRST}{text}")
}

#[test]
fn the_next_owner_begins_where_the_one_before_has_committed() {
    let counts = good(&history(&format!("{FAREWELL} 11 b lock q0 10\n 12 b position q0 2\n 13 b start q0 2"))).counts;
    assert_eq!((counts.hand_overs, counts.longest_hand_over), (1, 2_000));
}

#[test]
fn c6_it_begins_elsewhere() {
    let text = bad(&history(&format!("{FAREWELL} 11 b lock q0 10\n 12 b position q0 1")), &["C6"]);
    assert_eq!(text, "it begins at 1 where 2 is committed");
    bad(&history(&format!("{FAREWELL} 11 b lock q0 10\n 12 b position q0 3")), &["C6"]);
    let text = bad(&history(&format!("{FAREWELL} 11 b lock q0 10\n 12 b position q0 2 initial")), &["C6"]);
    assert_eq!(text, "it begins at 2 as if nothing was committed");
    // A commit without an answer may be done or not.
    for place in [2, 3] {
        let unknown =
            "9 a start q0 2\n 9 a end q0 2\n 9 a commit q0 3 sent\n 9 a commit q0 3 unknown\n 9 a lost q0 refused\n";
        good(&history(&format!("{unknown} 11 b lock q0 10\n 12 b position q0 {place}")));
    }
}

#[test]
fn c6_after_what_a_broker_has_forgotten() {
    let position = "11 b lock q0 10\n 12 b position q0 0\n";
    let forgets = |micros| format!("8.5 a lost q0 refused\n 9 w fault kill whom=b locks commits={micros}\n{position}");
    bad(&history(&forgets(500)), &["C6"]);
    good(&history(&forgets(5_000_000)));
}

#[test]
fn c6_where_an_administrator_has_set_it() {
    let set = |words: &str| {
        history(&format!("8.5 a lost q0 refused\n 9 w fault {words}\n 11 b lock q0 10\n 12 b position q0 0\n"))
    };
    good(&set("set resets=g/t"));
    // Of another group, of another topic, and of a connection.
    bad(&set("set resets=h/t"), &["C6"]);
    bad(&set("set resets=g/u"), &["C6"]);
    bad(&set("reset"), &["C6"]);
}

#[test]
fn what_a_killed_client_has_committed_unheard() {
    let counts = good(&history("60002 b lock q0 60001\n 60003 b position q0 7\n 60004 b start q0 7")).counts;
    assert_eq!(counts.handled_again, 0);
}

#[test]
fn c4_repeats_come_after_a_death_and_not_after_a_farewell() {
    let more = "9 a start q0 2\n 9.1 a end q0 2\n";
    let next = "60009 b lock q0 60008\n 60010 b position q0 2\n 60011 b start q0 2\n 60012 b end q0 2\n";
    let counts = good(&history(&format!("{more}{next}"))).counts;
    assert_eq!(counts.handled_again, 1);
    let text = bad(&history(&format!("{more} 10 a unlock q0 sent\n{next}")), &["C4", "C6"]);
    assert_eq!(text, "the queue is given back though all before 3 is handled and 2 is committed");
}

#[test]
fn c6_memory_after_somebody_else_was_there() {
    let lost =
        "9 a lost q0 doubt\n 60000 b lock q0 59999\n 60001 b position q0 2\n 60002 b start q0 2\n 60003 b end q0 2
                60004 b commit q0 3 sent\n 60005 b commit q0 3 done\n 60006 b unlock q0 sent\n 60007 a lock q0 60006\n";
    good(&history(&format!("{lost} 60008 a position q0 3")));
    let text = bad(&history(&format!("{lost} 60008 a position q0 2 memory")), &["C6"]);
    assert_eq!(text, "it goes on at 2 where 3 is committed by another");
}

#[test]
fn c5_what_the_broker_holds_at_the_end() {
    good(&history("20 w hello witness\n 21 w committed q0 2"));
    let text = bad(&history("9 a closed\n 20 w hello witness\n 21 w committed q0 1"), &["C5"]);
    assert_eq!(text, "the broker holds 1 at the end where 2 was committed");
}
