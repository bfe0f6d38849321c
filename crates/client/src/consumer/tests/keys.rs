//! Order per key inside a queue: C1 to C5 and C8, read per key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::checks::{assert_safe_commits, events, sorted, started, succeeded};
use super::cluster::{Cluster, Entry, Fault, GROUP, queue};
use super::member::{Handler, Member, PLACES, by_key, succeeds, until};
use super::records::{Stored, plain};
use super::storm::{moody, seeds, trip};
use crate::consumer::gate::Outcome;
use crate::consumer::{ConsumerOptions, Paused};
use crate::env;
use crate::protocol::code::request;
use crate::protocol::properties::name;
use crate::protocol::{MessageQueue, Push};

/// Messages with one of these outcomes: those at the offsets that the function names, the first so many times.
fn fails(outcome: Outcome, times: u32, which: impl Fn(i64) -> bool + Send + Sync + 'static) -> Handler {
    Arc::new(move |delivery| {
        let fails = which(delivery.message.queue_offset) && delivery.attempt <= times;
        (Duration::from_millis(5), if fails { outcome } else { Outcome::Success })
    })
}

/// C1 per key: how often two handlers of one key ran at once, in the whole group.
fn overlaps(cluster: &Cluster, keys: i64) -> usize {
    let mut running: BTreeMap<(MessageQueue, i64), BTreeSet<(String, i64)>> = BTreeMap::new();
    let mut overlaps = 0;
    for (_, entry) in cluster.entries() {
        match entry {
            Entry::Started { client, queue, offset, .. } => {
                let of_key = running.entry((queue, offset % keys)).or_default();
                overlaps += usize::from(!of_key.is_empty());
                of_key.insert((client, offset));
            }
            Entry::Ended { client, queue, offset, .. } => {
                running.entry((queue, offset % keys)).or_default().remove(&(client, offset));
            }
            _ => {}
        }
    }
    overlaps
}

/// C2, C3 per key: within one client's uninterrupted run the messages of a key follow each other, and no message starts before all of its key
/// that came before it were done by somebody.
fn assert_fifo_per_key(cluster: &Cluster, keys: i64) {
    let mut last: BTreeMap<(String, MessageQueue, i64), i64> = BTreeMap::new();
    let mut done: BTreeMap<(MessageQueue, i64), i64> = BTreeMap::new();
    for (_, entry) in cluster.entries() {
        match entry {
            Entry::Started { client, queue, offset, .. } => {
                let key = offset % keys;
                let next = done.get(&(queue.clone(), key)).copied().unwrap_or(key);
                assert!(offset <= next, "{queue}: {offset} started, {next} is the next of its key");
                let before = last.insert((client, queue.clone(), key), offset);
                if let Some(before) = before {
                    assert!(offset == before || offset == before + keys, "{queue}: {offset} after {before}");
                }
            }
            Entry::Ended { queue, offset, outcome: Outcome::Success, counted: true, .. }
            | Entry::DeadLettered { queue, offset, .. } => {
                let next = done.entry((queue, offset % keys)).or_insert(0);
                *next = (*next).max(offset + keys);
            }
            Entry::Locked { client, queue, fresh: true } => {
                last.retain(|(of, at, _), _| (of, at) != (&client, &queue));
            }
            Entry::Crashed { .. } => last.clear(),
            _ => {}
        }
    }
}

/// Most handlers at once.
fn most_at_once(cluster: &Cluster) -> usize {
    let (mut running, mut most) = (0_usize, 0);
    for (_, entry) in cluster.entries() {
        match entry {
            Entry::Started { .. } => running += 1,
            Entry::Ended { .. } => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    most
}

#[tokio::test(start_paused = true)]
async fn c1_c2_keys_of_a_queue_go_side_by_side_and_each_in_order() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 640, 64);
    let began = env::now();
    let _member = Member::start("c1", &cluster, by_key(), succeeds(100)).await;
    until("all handled", || cluster.committed(&at) == Some(640)).await;
    assert!(began.elapsed() < Duration::from_secs(4), "10 times 100 ms, not 640: {:?}", began.elapsed());
    assert_eq!(most_at_once(&cluster), 64);
    assert_eq!(overlaps(&cluster, 64), 0);
    assert_eq!(sorted(started(&cluster, &at)), (0..640).collect::<Vec<_>>());
    assert_fifo_per_key(&cluster, 64);
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn messages_without_a_key_are_one_lane_of_their_queue() {
    let cluster = Cluster::new(&["a"], 2);
    let queues = [queue("orders", "a", 0), queue("orders", "a", 1)];
    for at in &queues {
        cluster.send(at, 20);
    }
    let _member = Member::start("c1", &cluster, by_key(), succeeds(10)).await;
    until("all handled", || queues.iter().all(|at| cluster.committed(at) == Some(20))).await;
    assert_eq!(most_at_once(&cluster), 2);
    for at in &queues {
        assert_eq!(started(&cluster, at), (0..20).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_message_holds_its_key_alone_until_as_much_is_done_behind_it_as_may_come_again() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 2_000, 10);
    let small = ConsumerOptions { prefetch_messages: 200, ..by_key() };
    let healed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let heals = Arc::clone(&healed);
    let handler = fails(Outcome::Later, u32::MAX, move |offset| offset == 13 && !heals.load(Ordering::Relaxed));
    let member = Member::start("c1", &cluster, small, handler).await;
    until("nothing else is left to do", || {
        let tried = started(&cluster, &at).iter().filter(|offset| **offset == 13).count();
        tried > 1 && member.consumer.assignment()[0].state == "suspended"
    })
    .await;
    let state = member.consumer.assignment().remove(0);
    let blocked = state.blocked_by.unwrap();
    assert_eq!((blocked.sharding_key.as_deref(), blocked.queue_offset), (Some("3"), 13));
    assert_eq!(state.blocked_keys, Some(1));
    let counts = member.consumer.stats();
    assert_eq!((counts.blocked_queues, counts.blocked_keys), (1, 1));
    let problems = member.consumer.health().problems;
    assert!(problems[0].message().contains("holds key 3; as many"), "{}", problems[0].message());

    // The prefix ends before it; 200 messages from there on were begun, but of its key.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(cluster.committed(&at), Some(13));
    let highest = started(&cluster, &at).into_iter().max().unwrap();
    assert!((150..13 + 200).contains(&highest), "{highest}");
    assert!(!started(&cluster, &at).contains(&23));

    healed.store(true, Ordering::Relaxed);
    until("all handled", || cluster.committed(&at) == Some(2_000)).await;
    assert_eq!(succeeded(&cluster, &at).len(), 2_000);
    let others: Vec<_> = started(&cluster, &at).into_iter().filter(|offset| *offset != 13).collect();
    assert_eq!(others.len(), 1_999, "nothing else comes twice");
    assert_fifo_per_key(&cluster, 10);
    assert_safe_commits(&cluster);
    until("at ease", || member.consumer.assignment()[0].blocked_by.is_none()).await;
    assert_eq!(member.consumer.assignment()[0].blocked_keys, Some(0));
}

#[tokio::test(start_paused = true)]
async fn while_there_is_room_a_queue_with_a_failing_key_runs() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 100, 10);
    let member = Member::start("c1", &cluster, by_key(), fails(Outcome::Later, u32::MAX, |offset| offset == 0)).await;
    until("the others are done", || succeeded(&cluster, &at).len() == 90).await;
    until("it fails again", || started(&cluster, &at).iter().filter(|offset| **offset == 0).count() > 2).await;
    let state = member.consumer.assignment().remove(0);
    assert_eq!((state.state, state.blocked_keys, state.committed_offset), ("running", Some(1), Some(0)));
    let counts = member.consumer.stats();
    assert_eq!((counts.blocked_queues, counts.blocked_keys, counts.consumed), (0, 1, 90));
    assert!(member.consumer.health().problems[0].message().contains("holds key 0; all other keys go on"));
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_attempts_delays_and_dead_letters() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 60, 6);
    let limited = ConsumerOptions { max_reconsume_times: Some(2), ..by_key() };
    let handler: Handler = Arc::new(|delivery| {
        let outcome = match (delivery.message.queue_offset, delivery.attempt) {
            // Of keys 0 and 1, given up after three attempts; of key 2 at once; of key 3 after one more, at its own time.
            (0 | 7, _) => Outcome::Later,
            (8, _) => Outcome::DeadLetter,
            (9, 1) => Outcome::Suspend(Duration::from_secs(9)),
            _ => Outcome::Success,
        };
        (Duration::from_millis(5), outcome)
    });
    cluster.fault("a", request::SEND_MESSAGE_V2, 2, Fault::Refuse(2, "[REJECTREQUEST]"));
    let member = Member::start("c1", &cluster, limited, handler).await;
    until("all are done with", || cluster.committed(&at) == Some(60)).await;
    let attempts = |wanted: i64| started(&cluster, &at).iter().filter(|offset| **offset == wanted).count();
    assert_eq!([attempts(0), attempts(7), attempts(8), attempts(9)], [3, 3, 1, 2]);
    let letters = cluster.entries().into_iter().filter(|(_, entry)| matches!(entry, Entry::DeadLettered { .. }));
    assert_eq!((letters.count(), succeeded(&cluster, &at).len()), (3, 57));
    assert_eq!(member.consumer.stats().dead_lettered, 3);
    assert_fifo_per_key(&cluster, 6);
}

#[tokio::test(start_paused = true)]
async fn c4_c6_a_hand_over_without_a_failing_key_repeats_nothing() {
    let cluster = Cluster::new(&["a"], 2);
    let queues = [queue("orders", "a", 0), queue("orders", "a", 1)];
    for at in &queues {
        cluster.send_by_key(at, 3_000, 40);
    }
    // One key in ten is a hundred times slower: holes.
    let uneven: Handler = Arc::new(|delivery| {
        let time = if delivery.message.queue_offset % 40 < 4 { 200 } else { 2 };
        (Duration::from_millis(time), Outcome::Success)
    });
    let first = Member::start("c1", &cluster, by_key(), Arc::clone(&uneven)).await;
    until("begun", || queues.iter().all(|at| succeeded(&cluster, at).len() > 500)).await;
    let second = Member::start("c2", &cluster, by_key(), uneven).await;
    until("handed over", || cluster.owner(&queues[1]).as_deref() == Some("c2")).await;
    until("it works", || succeeded(&cluster, &queues[1]).len() > 1_500).await;
    second.close().await;
    until("all handled", || queues.iter().all(|at| cluster.committed(at) == Some(3_000))).await;
    for at in &queues {
        assert_eq!(sorted(started(&cluster, at)), (0..3_000).collect::<Vec<_>>());
    }
    assert_eq!(overlaps(&cluster, 40), 0);
    assert_fifo_per_key(&cluster, 40);
    assert_safe_commits(&cluster);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn after_a_hand_over_with_a_failing_key_what_lies_behind_it_comes_again_in_order() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 300, 10);
    let failing = fails(Outcome::Later, u32::MAX, |offset| offset == 55);
    let first = Member::start("c1", &cluster, by_key(), failing).await;
    until("all others are done", || succeeded(&cluster, &at).len() == 300 - 25).await;
    first.close().await;
    assert_eq!(cluster.committed(&at), Some(55));
    let before = started(&cluster, &at).len();
    let _second = Member::start("c2", &cluster, by_key(), succeeds(5)).await;
    until("all handled", || cluster.committed(&at) == Some(300)).await;
    let again: Vec<_> = started(&cluster, &at).split_off(before);
    assert_eq!(sorted(again), (55..300).collect::<Vec<_>>());
    assert_fifo_per_key(&cluster, 10);
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn c4_c5_after_a_crash_no_more_comes_again_than_may_lie_behind_the_prefix() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 5_000, 20);
    let small = ConsumerOptions { prefetch_messages: 100, ..by_key() };
    // One key hangs: all others run ahead of it.
    let hangs: Handler = Arc::new(|delivery| {
        let time = if delivery.message.queue_offset == 507 { 100_000 } else { 2 };
        (Duration::from_millis(time), Outcome::Success)
    });
    let crashing = Member::start("c1", &cluster, small.clone(), hangs).await;
    until("ahead", || cluster.committed(&at) == Some(507) && started(&cluster, &at).contains(&565)).await;
    let _heir = Member::start("c2", &cluster, small, succeeds(2)).await;
    crashing.line.silent.store(true, Ordering::Relaxed);
    crashing.line.lose("a:10911");
    let before = started(&cluster, &at).len();
    until("all handled", || cluster.committed(&at) == Some(5_000)).await;
    let again: Vec<_> = started(&cluster, &at).split_off(before);
    assert_eq!(sorted(again), (507..5_000).collect::<Vec<_>>());
    assert!(started(&cluster, &at)[..before].iter().all(|offset| *offset < 507 + 100));
    assert_fifo_per_key(&cluster, 20);
}

#[tokio::test(start_paused = true)]
async fn c8_what_was_done_behind_the_prefix_does_not_count_once_somebody_else_had_a_word() {
    let again = |is_moved| async move {
        let cluster = Cluster::new(&["a"], 1);
        let at = queue("orders", "a", 0);
        cluster.send_by_key(&at, 30, 10);
        let slow: Handler = Arc::new(|delivery| {
            let time = if delivery.message.queue_offset == 10 && delivery.attempt == 1 { 20_000 } else { 5 };
            (Duration::from_millis(time), Outcome::Success)
        });
        let member = Member::start("c1", &cluster, by_key(), slow).await;
        until("the others are done", || succeeded(&cluster, &at).len() == 28).await;
        until("committed", || cluster.committed(&at) == Some(10)).await;
        // Somebody else has the lock.
        cluster.state().broker(&at).locks.insert(at.clone(), ("stranger".into(), env::now()));
        until("lost", || !events(&cluster, "lockLost").is_empty()).await;
        if is_moved {
            cluster.set_committed(&at, 5);
        }
        cluster.state().broker(&at).locks.clear();
        until("all handled", || cluster.committed(&at) == Some(30)).await;
        assert!(member.consumer.health().problems.is_empty());
        assert_fifo_per_key(&cluster, 10);
        assert_safe_commits(&cluster);
        sorted(started(&cluster, &at)[29..].to_vec())
    };
    assert_eq!(again(false).await, [10, 20], "what was not done");
    assert_eq!(again(true).await, (5..30).collect::<Vec<_>>(), "all again");
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_a_broken_connection_repeat_nothing() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 3_000, 30);
    let member = Member::start("c1", &cluster, by_key(), succeeds(20)).await;
    for round in 1..=3 {
        until("going on", || succeeded(&cluster, &at).len() > round * 500).await;
        member.consumer.pause(Paused { everything: true, ..Paused::default() });
        let begun = started(&cluster, &at).len();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(started(&cluster, &at).len(), begun);
        assert_eq!(member.consumer.assignment()[0].state, "paused");
        member.consumer.pause(Paused::default());
        until("going on", || succeeded(&cluster, &at).len() > round * 500 + 200).await;
        member.line.lose("a:10911");
    }
    until("all handled", || cluster.committed(&at) == Some(3_000)).await;
    assert_eq!(sorted(started(&cluster, &at)), (0..3_000).collect::<Vec<_>>());
    assert_eq!(overlaps(&cluster, 30), 0);
    assert_fifo_per_key(&cluster, 30);
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_paused_queue_is_handed_over_with_its_holes() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 400, 8);
    let first = Member::start("c1", &cluster, by_key(), succeeds(5)).await;
    until("begun", || succeeded(&cluster, &at).len() > 100).await;
    first.consumer.pause(Paused { everything: true, ..Paused::default() });
    let begun = started(&cluster, &at).len();
    let closing = env::now();
    first.close().await;
    assert!(closing.elapsed() < Duration::from_secs(1), "{:?}", closing.elapsed());
    assert_eq!(started(&cluster, &at).len(), begun, "nothing starts");
    let _second = Member::start("c2", &cluster, by_key(), succeeds(5)).await;
    until("all handled", || cluster.committed(&at) == Some(400)).await;
    assert_eq!(overlaps(&cluster, 8), 0);
    assert_fifo_per_key(&cluster, 8);
    assert_safe_commits(&cluster);
}

/// One handler at a time, 6 s each; those of offsets 0 and 2 were called, the last of them runs, and 1, of the key of 0, waits for its place.
async fn with_a_hole(cluster: &Arc<Cluster>, at: &MessageQueue) -> Member {
    for key in ["a", "a", "b"] {
        let properties = vec![(name::SHARDING_KEY.to_owned(), key.to_owned())];
        cluster.store(at, Stored { properties, ..plain(b"body") });
    }
    let member = Member::new("c1", cluster, by_key(), succeeds(6_000));
    member.pump.places.forget_permits(PLACES - 1);
    member.try_start().await.unwrap();
    until("a hole", || started(cluster, at).len() == 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sorted(started(cluster, at)), [0, 2]);
    member
}

#[tokio::test(start_paused = true)]
async fn a_hole_that_waits_for_a_long_handler_is_closed_all_the_same() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    let member = with_a_hole(&cluster, &at).await;
    member.consumer.close(Duration::from_secs(60)).await;
    assert_eq!((sorted(started(&cluster, &at)), cluster.committed(&at)), (vec![0, 1, 2], Some(3)));
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_hole_is_closed_though_the_lock_was_in_doubt_before_the_queue_went() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    let member = with_a_hole(&cluster, &at).await;
    member.line.lose("a:10911");
    cluster.set_topic("orders", &["a"], 1);
    until("given back", || cluster.owner(&at).is_none()).await;
    assert_eq!((sorted(started(&cluster, &at)), cluster.committed(&at)), (vec![0, 1, 2], Some(3)));
}

#[tokio::test(start_paused = true)]
async fn holes_that_take_long_are_left_to_the_next_owner() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 200, 2);
    // One key takes a second each, the other nothing.
    let uneven: Handler = Arc::new(|delivery| {
        let time = if delivery.message.queue_offset % 2 == 0 { 1_000 } else { 1 };
        (Duration::from_millis(time), Outcome::Success)
    });
    let first = Member::start("c1", &cluster, by_key(), uneven).await;
    until("ahead", || started(&cluster, &at).contains(&199)).await;
    let closing = env::now();
    first.consumer.close(Duration::from_secs(60)).await;
    assert!((9..13).contains(&closing.elapsed().as_secs()), "{:?}", closing.elapsed());
    assert!(cluster.owner(&at).is_none(), "given back");
    let _second = Member::start("c2", &cluster, by_key(), succeeds(1)).await;
    until("all handled", || cluster.committed(&at) == Some(200)).await;
    assert_fifo_per_key(&cluster, 2);
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_called_off_begins_no_message_of_a_key_beside_another() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send_by_key(&at, 2_000, 20);
    let first = Member::start("c1", &cluster, by_key(), fails(Outcome::Later, 1, |offset| offset % 7 == 0)).await;
    until("begun", || succeeded(&cluster, &at).len() > 100).await;
    for _ in 0..20 {
        let second = Member::start("c2", &cluster, by_key(), succeeds(5)).await;
        second.close().await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    until("all handled", || cluster.committed(&at) == Some(2_000)).await;
    assert_eq!(overlaps(&cluster, 20), 0);
    assert_fifo_per_key(&cluster, 20);
    assert_safe_commits(&cluster);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_reset_forgets_what_was_done_behind_the_prefix() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 200, 10);
    let failing = fails(Outcome::Later, u32::MAX, |offset| offset == 20);
    let member = Member::start("c1", &cluster, by_key(), failing).await;
    until("the others are done", || succeeded(&cluster, &at).len() == 182).await;
    let before = started(&cluster, &at).len();
    let reset = Push::ResetOffsets {
        topic: "orders".into(),
        group: GROUP.into(),
        timestamp: 0,
        offsets: vec![(at.clone(), 101)],
    };
    member.line.push(reset);
    until("all handled", || cluster.committed(&at) == Some(200)).await;
    let again: Vec<_> = started(&cluster, &at).split_off(before).into_iter().filter(|offset| *offset != 20).collect();
    assert_eq!(sorted(again), (101..200).collect::<Vec<_>>());
    assert_eq!(member.consumer.stats().blocked_keys, 0);
    assert!(events(&cluster, "offsetReset")[0].contains("\"from\":20,\"to\":101"));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_failing_keys_hold_up_no_other() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 4_000, 2_000);
    let failing = fails(Outcome::Later, 3, |offset| offset % 2 == 0);
    let wide = ConsumerOptions { prefetch_messages: 10_000, ..by_key() };
    let member = Member::start("c1", &cluster, wide, failing).await;
    until("the others are done", || succeeded(&cluster, &at).len() >= 2_000).await;
    assert_eq!(member.consumer.stats().blocked_keys, 1_000);
    until("all handled", || cluster.committed(&at) == Some(4_000)).await;
    assert_eq!(started(&cluster, &at).len(), 2_000 + 4 * 2_000);
    assert_fifo_per_key(&cluster, 2_000);
}

/// Members come and go, connections break, brokers refuse and lose requests, handlers fail.
async fn storm(seed: u64) {
    const MESSAGES: i64 = 1_500;
    const KEYS: i64 = 12;
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::new(&["a", "b"], 2);
    let queues: Vec<MessageQueue> =
        ["a", "b"].iter().flat_map(|broker| (0..2).map(|id| queue("orders", broker, id))).collect();
    for at in &queues {
        cluster.send_by_key(at, MESSAGES, KEYS);
    }
    let mut quick = by_key();
    quick.suspend.initial = Duration::from_millis(20);
    quick.prefetch_messages = 150;
    let (mut members, mut count) = (Vec::new(), 0);
    for _ in 0..30 {
        match random.random_range(0..12) {
            0..=2 if members.len() < 4 => {
                count += 1;
                let member = Member::new(&format!("c{count}"), &cluster, quick.clone(), moody(seed, 40));
                if member.try_start().await.is_ok() {
                    members.push(member);
                }
            }
            3 if members.len() > 1 => {
                let member: Member = members.swap_remove(random.random_range(0..members.len()));
                member.close().await;
            }
            4 | 5 if !members.is_empty() => {
                let member = &members[random.random_range(0..members.len())];
                member.line.lose(if random.random() { "a:10911" } else { "b:10911" });
            }
            6 if !members.is_empty() => {
                let member = &members[random.random_range(0..members.len())];
                member.consumer.pause(Paused { everything: true, ..Paused::default() });
                tokio::time::sleep(Duration::from_millis(random.random_range(0..1_000))).await;
                member.consumer.pause(Paused::default());
            }
            7..=9 => trip(&cluster, &mut random),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..3_000))).await;
    }
    if members.is_empty() {
        members.push(Member::start("last", &cluster, quick, moody(seed, 40)).await);
    }
    until(&format!("seed {seed}: all handled"), || queues.iter().all(|at| cluster.committed(at) == Some(MESSAGES)))
        .await;
    for member in members {
        member.close().await;
    }
    assert_eq!(overlaps(&cluster, KEYS), 0, "seed {seed}");
    for at in &queues {
        assert_eq!(succeeded(&cluster, at).len(), usize::try_from(MESSAGES).unwrap(), "seed {seed}");
    }
    assert_fifo_per_key(&cluster, KEYS);
    assert_safe_commits(&cluster);
}

#[tokio::test(start_paused = true)]
async fn c1_to_c6_hold_per_key_in_a_storm() {
    for seed in seeds() {
        storm(seed).await;
    }
}
