use super::super::{Options, check};
use super::{dsl, judge, strict};

#[test]
fn a_violation_reads_as_a_short_timeline() {
    let verdict = judge(
        "0 worker-1 hello consumer
         0 b hello consumer
         1 worker-1 lock q0 0
         2 worker-1 position q0 5
         3 worker-1 start q0 5
         4 worker-1 lost q0 refused
         5 b lock q0 4.5
         5.25 b position q0 5
         6 b start q0 5
         7.5 worker-1 end q0 5 void
         8 b end q0 5",
    );
    let expected = "\
C1  t@b:0 for g: two handlers at once: worker-1 is at 5 when b begins 5
  from +0.001 s of the first client's clock
        +0.000 s  worker-1  lock      t@b:0
        +0.001 s  worker-1  position  t@b:0 5, as committed
  >     +0.002 s  worker-1  start     t@b:0 5
        +0.003 s  worker-1  lost      t@b:0: refused
        +0.004 s  b         lock      t@b:0
     +0.004250 s  b         position  t@b:0 5, as committed
  >     +0.005 s  b         start     t@b:0 5
  >  +0.006500 s  worker-1  end       t@b:0 5 success, does not count
  >     +0.007 s  b         end       t@b:0 5 success

lines: 11, clients: 2, handler calls: 2, hand-overs: 1, longest hand-over in µs: 1000, duplicates handled: 1, two owners: 1
1 violations
";
    assert_eq!(verdict.to_string(), expected);
}

#[test]
fn a_producers_timeline_has_its_key_only() {
    let verdict = judge(
        "0 p hello producer
         1 p submit 1 k A
         1 p submit 2 other B
         1 p submit 3 k C
         2 p wire 1 q0 1
         2 p wire 2 q1 2
         2.5 w fault cut whom=b
         3 p answer 1 unknown
         4 p wire 3 q0 3",
    );
    let expected = "\
P4  key \"k\" of t, producer p: #3 is sent while #1, called before it, has no outcome
  from +0.001 s of the first client's clock
  >     +0.000 s  p  submit    #1 key \"k\"
  >     +0.000 s  p  submit    #3 key \"k\"
        +0.001 s  p  wire      request 1 to t@b:0: #1
     +0.001500 s  w  fault     cut (b)
        +0.002 s  p  answer    request 1 never came
  >     +0.003 s  p  wire      request 3 to t@b:0: #3

lines: 9, clients: 2, sends: 3, requests: 3, faults: 1, overtakings: 1
1 violations
";
    assert_eq!(verdict.to_string(), expected);
}

#[test]
fn a_timeline_has_twenty_lines_and_a_verdict_five_of_a_kind() {
    let turn = |i| format!("{i} a start q0 {i}\n {i} a end q0 {i}\n {i} a start q0 0\n {i} a end q0 0\n");
    let turns: Vec<String> = (1..=30).map(turn).collect();
    let text = format!("0 a hello consumer\n 0 a lock q0\n 0 a position q0 0\n{}", turns.concat());
    let verdict = judge(&text);
    assert_eq!(verdict.broken["C2"], 30);
    assert_eq!(verdict.violations.len(), 5);
    assert!(verdict.violations.iter().all(|violation| violation.timeline.rows.len() <= 20));
    assert_eq!(verdict.violations[4].timeline.rows.len(), 20);
    assert!(verdict.to_string().contains("C2: 25 more\n"));
    let few = check(dsl::lines(&text).into_iter(), &Options { shown: 1, ..strict() });
    assert_eq!(few.violations.len(), 1);
}

#[test]
fn nothing_is_good() {
    assert_eq!(judge("").to_string(), "\nno violations\n");
}
