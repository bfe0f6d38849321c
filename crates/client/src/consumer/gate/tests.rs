//! The gate alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::protocol::MessageQueue;
use crate::record::History;

const LEASE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

fn unrecorded() -> QueueRecord {
    QueueRecord::new(&History::default(), &MessageQueue::new("orders", "a", 0))
}

fn limited(max_reconsume_times: Option<i32>) -> Gate {
    let suspend = Suspend { initial: SECOND, factor: 2.0, max: 3 * SECOND };
    let epoch = env::now();
    let gate = Gate::new(
        suspend,
        max_reconsume_times,
        Arc::new(move || i64::try_from(epoch.elapsed().as_millis()).unwrap()),
        unrecorded(),
    );
    gate.granted(gate.lease(LEASE));
    gate
}

/// The run of a whole queue, if the gate may be opened.
fn opened(gate: &Gate) -> Option<u32> {
    gate.open().then(|| gate.begin_run(0, i64::MAX))
}

fn open() -> (Gate, u32) {
    let gate = limited(None);
    let generation = opened(&gate).unwrap();
    (gate, generation)
}

fn done(gate: &Gate, generation: u32, offset: i64) -> Ack {
    gate.ack(generation, offset, Outcome::Success, None, None)
}

/// What has come since the last call.
fn taken(gate: &Gate) -> Vec<Ended> {
    let mut outcomes = Vec::new();
    gate.take(&mut outcomes, &mut Vec::new());
    outcomes
}

/// The runs that were refused since the last call.
fn over(gate: &Gate) -> Vec<u32> {
    let mut over = Vec::new();
    gate.take(&mut Vec::new(), &mut over);
    over.into_iter().map(|(_, generation)| generation).collect()
}

#[tokio::test(start_paused = true)]
async fn one_handler_at_a_time_each_in_the_gates_generation() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    assert!(!gate.open(), "a new epoch does not begin beside a running handler");
    assert!(done(&gate, generation, 0).go_on);
    assert!(gate.may_start(generation, 1, 1));
    assert!(!gate.ack(generation, 7, Outcome::Success, None, None).counted, "that one does not run");
    assert!(done(&gate, generation, 1).counted);
    assert_eq!(taken(&gate).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_next_handler_begins_with_the_success_of_the_one_before() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    let ack = gate.ack(generation, 0, Outcome::Success, None, Some(1));
    assert_eq!((ack.counted, ack.go_on, ack.starts), (true, true, true));
    assert!(!gate.may_start(generation, 2, 2), "one is running");
}

#[tokio::test(start_paused = true)]
async fn behind_a_failure_or_a_doubt_the_next_handler_does_not_begin() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    let ack = gate.ack(generation, 0, Outcome::Later, None, Some(1));
    assert_eq!((ack.counted, ack.go_on, ack.starts), (true, false, false));

    let (gate, generation) = open();
    gate.wake_after(100);
    assert!(gate.may_start(generation, 0, 0));
    gate.doubt();
    gate.changed().await;
    let ack = gate.ack(generation, 0, Outcome::Success, None, Some(1));
    assert_eq!((ack.counted, ack.starts), (true, false));
    assert_eq!(over(&gate), [generation], "the rest of the chunk is delivered again");
    tokio::time::timeout(SECOND, gate.changed()).await.expect("the actor hears of it");
}

#[tokio::test(start_paused = true)]
async fn a_no_is_final_for_its_generation() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    assert!(!gate.may_start(generation, 1, 1), "one is running");
    done(&gate, generation, 0);
    assert!(!gate.may_start(generation, 1, 1), "the second chunk must not run with the rest of the first skipped");
}

#[tokio::test(start_paused = true)]
async fn a_retry_raises_the_generation_inside_the_ack() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    let ack = gate.ack(generation, 0, Outcome::Later, Some("no stock".into()), None);
    assert_eq!((ack.counted, ack.go_on, ack.delay), (true, false, SECOND));
    assert!(!gate.may_start(generation, 1, 1), "the second chunk is stale before the actor wakes up");
    let outcomes = taken(&gate);
    assert_eq!(outcomes[0].verdict, Verdict::Again(env::now() + SECOND));
    assert_eq!(outcomes[0].reason.as_deref(), Some("no stock"));
    assert!(gate.may_start(gate.begin_run(0, i64::MAX), 0, 0));
}

#[tokio::test(start_paused = true)]
async fn delays_grow_with_each_failure_of_one_message_and_a_handlers_own_wins() {
    let (gate, _) = open();
    let attempt = |offset, outcome| {
        let generation = gate.begin_run(0, i64::MAX);
        assert!(gate.may_start(generation, offset, offset));
        gate.ack(generation, offset, outcome, None, None).delay.as_millis()
    };
    assert_eq!(
        [attempt(0, Outcome::Later), attempt(0, Outcome::Later), attempt(0, Outcome::Later)],
        [1_000, 2_000, 3_000]
    );
    assert_eq!(attempt(0, Outcome::Suspend(Duration::from_millis(10))), 10);
    assert_eq!(attempt(0, Outcome::Success), 0);
    assert_eq!(attempt(1, Outcome::Later), 1_000, "another message begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_given_up_when_its_attempts_are_used_up() {
    let gate = limited(Some(2));
    let mut generation = opened(&gate).unwrap();
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        assert!(gate.may_start(generation, 4, 4));
        let ack = gate.ack(generation, 4, Outcome::Later, None, None);
        let outcomes = taken(&gate);
        verdicts.push((outcomes[0].verdict == Verdict::GiveUp { asked: false }, ack.delay.is_zero()));
        generation = gate.begin_run(0, i64::MAX);
    }
    assert_eq!(verdicts, [(false, false), (false, false), (true, true)]);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_the_broker_counted_count() {
    let gate = limited(Some(2));
    let generation = opened(&gate).unwrap();
    gate.note_attempts(4, 2);
    assert!(gate.may_start(generation, 4, 4));
    gate.ack(generation, 4, Outcome::Later, None, None);
    assert_eq!(taken(&gate)[0].verdict, Verdict::GiveUp { asked: false });
}

#[tokio::test(start_paused = true)]
async fn dead_letter_holds_the_queue_until_the_actor_goes_on() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    assert!(!gate.ack(generation, 0, Outcome::DeadLetter, None, None).go_on);
    assert!(!gate.may_start(generation, 1, 1));
    assert_eq!(taken(&gate)[0].verdict, Verdict::GiveUp { asked: true });
}

#[tokio::test(start_paused = true)]
async fn closing_lets_the_running_handler_count() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    gate.close();
    let ack = done(&gate, generation, 0);
    assert_eq!((ack.counted, ack.go_on), (true, false));
    assert!(!gate.may_start(generation, 1, 1));
    assert!(opened(&gate).unwrap() > generation, "every opening is a new generation");
    assert!(!gate.may_start(generation, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_late_ack_after_a_lost_lock_ends_the_handler_and_does_not_count() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    assert!(gate.lose("refused").iter().any(|running| (running.generation, running.offset) == (generation, 0)));
    assert!(!gate.open(), "lost");
    gate.granted(gate.lease(LEASE));
    assert!(!gate.open(), "the old handler still runs");
    let ack = done(&gate, generation, 0);
    assert_eq!((ack.counted, ack.go_on), (false, false));
    assert!(taken(&gate).is_empty());
    assert!(gate.open());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ran_out_starts_nothing_even_before_anybody_noticed() {
    let (gate, generation) = open();
    tokio::time::advance(LEASE).await;
    assert!(!gate.may_start(generation, 0, 0));
    assert_eq!(gate.tenure(), Tenure::Lost);
    gate.renewed(gate.lease(LEASE));
    assert_eq!(gate.tenure(), Tenure::Lost, "a renewal does not bring back what was given up");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_the_lease_alone_raises_the_generation() {
    let (gate, generation) = open();
    assert!(gate.doubt());
    assert!(!gate.may_start(generation, 0, 0));
    gate.renewed(gate.lease(LEASE));
    assert!(gate.acknowledge());
    assert!(!gate.may_start(generation, 0, 0), "the chunk is over; the actor delivers again");
    assert_eq!(over(&gate), [generation]);
}

#[tokio::test(start_paused = true)]
async fn a_doubt_keeps_the_running_handlers_result() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    gate.doubt();
    gate.close();
    assert!(done(&gate, generation, 0).counted);
    gate.renewed(gate.lease(LEASE));
    assert!(!gate.open(), "not before the actor has looked what happened meanwhile");
    assert!(gate.acknowledge());
    assert!(gate.open());
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_starts_nothing() {
    let wall = Arc::new(AtomicI64::new(0));
    let clock = Arc::clone(&wall);
    let suspend = Suspend { initial: SECOND, factor: 1.0, max: SECOND };
    let gate = Gate::new(suspend, None, Arc::new(move || clock.load(Ordering::Relaxed)), unrecorded());
    gate.granted(gate.lease(LEASE));
    let generation = opened(&gate).unwrap();
    wall.store(70_000, Ordering::Relaxed);
    assert!(gate.slept());
    assert!(!gate.may_start(generation, 0, 0));
    assert!(matches!(gate.tenure(), Tenure::Doubtful(_)));
}

#[tokio::test(start_paused = true)]
async fn an_administrators_message_moves_nothing() {
    let (gate, _) = open();
    gate.close();
    assert!(gate.open_direct());
    let generation = gate.begin_run(0, i64::MAX);
    assert!(gate.may_start(generation, 0, 0));
    let ack = gate.ack(generation, 0, Outcome::Later, None, None);
    assert_eq!((ack.counted, ack.go_on, ack.delay), (true, false, Duration::ZERO));
    assert!(taken(&gate)[0].direct);
}

#[tokio::test(start_paused = true)]
async fn c9_a_renewal_asked_for_after_the_lease_was_over_does_not_bridge_the_gap() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    tokio::time::advance(LEASE + SECOND).await;
    // Somebody else may have had the queue in between: nothing that began before counts, whoever notices first.
    gate.renewed(gate.lease(LEASE));
    assert_eq!(gate.tenure(), Tenure::Lost);
    assert!(!done(&gate, generation, 0).counted);
    assert!(!gate.may_start(generation, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_asked_for_in_time_counts_though_its_answer_came_late() {
    let (gate, generation) = open();
    tokio::time::advance(29 * SECOND).await;
    let lease = gate.lease(LEASE);
    tokio::time::advance(2 * SECOND).await;
    gate.renewed(lease);
    assert!(gate.may_start(generation, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn successes_wake_the_actor_once_a_chunk_and_everything_else_at_once() {
    let (gate, generation) = open();
    let gate = Arc::new(gate);
    let is_awake = async || tokio::time::timeout(Duration::from_millis(1), gate.changed()).await.is_ok();
    is_awake().await;
    gate.wake_after(3);
    for offset in 0..3 {
        assert!(!is_awake().await, "{offset}");
        assert!(gate.may_start(generation, offset, offset));
        assert!(done(&gate, generation, offset).go_on);
    }
    assert!(is_awake().await);
    gate.wake_after(2);
    assert!(is_awake().await, "what was there before counts");
    taken(&gate);
    gate.wake_after(2);
    assert!(gate.may_start(generation, 3, 3));
    gate.close();
    done(&gate, generation, 3);
    assert!(is_awake().await, "somebody may wait for the end of the handler");
    taken(&gate);
    let generation = opened(&gate).unwrap();
    assert!(gate.may_start(generation, 4, 4));
    gate.ack(generation, 4, Outcome::Later, None, None);
    assert!(is_awake().await, "a failure");
}

#[tokio::test(start_paused = true)]
async fn from_a_call_of_seek_on_nothing_starts_and_what_runs_counts() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 0));
    gate.hold(true);
    let ack = gate.ack(generation, 0, Outcome::Success, None, Some(1));
    assert_eq!((ack.counted, ack.starts), (true, false));
    assert_eq!((taken(&gate).len(), over(&gate)), (1, vec![]), "both were looked at together");
    // The actor may not have heard of it yet.
    let generation = opened(&gate).unwrap();
    assert!(!gate.may_start(generation, 1, 1));
    gate.hold(false);
    assert!(!gate.may_start(generation, 1, 1), "a no is final");
    let generation = opened(&gate).unwrap();
    assert!(gate.may_start(generation, 7, 7));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_left_has_no_outcome_and_comes_again() {
    let (gate, generation) = open();
    gate.wake_after(100);
    assert!(gate.may_start(generation, 0, 0));
    gate.left(generation, 1);
    assert!(gate.running().is_some(), "that one does not run");
    gate.left(generation, 0);
    assert!(gate.running().is_none() && !gate.may_start(generation, 1, 1));
    tokio::time::timeout(SECOND, gate.changed()).await.expect("the actor hears of it");
    let (mut outcomes, mut over) = (Vec::new(), Vec::new());
    gate.take(&mut outcomes, &mut over);
    assert_eq!((outcomes.len(), over), (0, vec![(0, generation)]));
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_several_messages_passes_them_one_by_one_and_fails_at_the_first_that_is_not_done() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 3, 9));
    gate.pause(true);
    gate.pass(generation, 3, 5);
    gate.pass(generation, 3, 5);
    gate.pass(generation, 5, 9);
    assert_eq!(gate.running().map(|running| running.offset), Some(9), "a pause does not concern what runs");
    assert!(gate.ack(generation, 9, Outcome::Later, None, None).counted);
    let ended: Vec<_> = taken(&gate).into_iter().map(|ended| (ended.offset, ended.outcome)).collect();
    assert_eq!(ended, [(3, Outcome::Success), (5, Outcome::Success), (9, Outcome::Later)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_of_several_messages_passes_after_a_lost_lock_does_not_count() {
    let (gate, generation) = open();
    assert!(gate.may_start(generation, 0, 2));
    gate.pass(generation, 0, 1);
    taken(&gate);
    gate.lose("refused");
    gate.pass(generation, 1, 2);
    assert!(!done(&gate, generation, 2).counted);
    assert!(taken(&gate).is_empty() && gate.running().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_goes_beyond_the_furthest_does_not_begin_once_the_gate_is_narrow() {
    let gate = limited(None);
    assert!(gate.open());
    let [one, other] = [gate.begin_run(0, 9), gate.begin_run(1, 8)];
    assert!(gate.may_start(one, 3, 5));
    assert_eq!(gate.narrow(true), 5);
    assert!(!gate.may_start(other, 4, 8), "a part of it lies behind");
    assert_eq!(over(&gate), [other], "so it is handed over again, up to there");
    let again = gate.begin_run(1, 4);
    assert!(gate.may_start(again, 4, 4));
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_once_the_gate_is_narrow_and_there_are_no_holes() {
    let gate = limited(None);
    assert!(gate.open());
    let run = gate.begin_run(0, 9);
    assert!(gate.may_start(run, 3, 5));
    gate.narrow(false);
    let again = gate.begin_run(0, 9);
    assert!(!gate.may_start(again, 4, 5), "the rest of a batch whose first message went to the dead-letter queue");
}
