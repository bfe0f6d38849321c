//! All of it at once: members come and go, brokers crash, connections break, handlers fail. What must hold, holds.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::checks::{assert_fifo_without_gaps, assert_safe_commits, overlaps, started, succeeded};
use super::cluster::{Cluster, Fault, queue};
use super::member::{Handler, Member, options, until};
use crate::consumer::gate::Outcome;
use crate::protocol::MessageQueue;
use crate::protocol::code::request;

const MESSAGES: usize = 1_500;

/// Which storms of each kind: six, or what the environment asks for before a release, as 1000..1200.
pub(super) fn seeds() -> Range<u64> {
    let Ok(range) = std::env::var("STORM_SEEDS") else { return 0..6 };
    let (from, to) = range.split_once("..").expect("STORM_SEEDS is a range, as 1000..1200");
    from.parse().unwrap()..to.parse().unwrap()
}

/// Handlers that take up to so many milliseconds, and of which one in twenty fails.
pub(super) fn moody(seed: u64, most_ms: u64) -> Handler {
    Arc::new(move |delivery| {
        let mut random =
            StdRng::seed_from_u64(seed ^ delivery.message.physical_offset.unsigned_abs() ^ u64::from(delivery.attempt));
        let outcome = match random.random_range(0..40) {
            0 => Outcome::Later,
            1 => Outcome::Suspend(Duration::from_millis(50)),
            _ => Outcome::Success,
        };
        (Duration::from_millis(random.random_range(0..most_ms)), outcome)
    })
}

/// Some of the next requests of a kind meet a fault.
pub(super) fn trip(cluster: &Cluster, random: &mut StdRng) {
    let codes = [
        request::LOCK_BATCH_MQ,
        request::UNLOCK_BATCH_MQ,
        request::PULL_MESSAGE,
        request::UPDATE_CONSUMER_OFFSET,
        request::QUERY_CONSUMER_OFFSET,
        request::GET_CONSUMER_LIST_BY_GROUP,
    ];
    let fault = match random.random_range(0..4) {
        0 => Fault::Swallow,
        1 => Fault::Mute,
        2 => Fault::Refuse(2, "[REJECTREQUEST]"),
        _ => Fault::Delay(Duration::from_millis(random.random_range(0..2_500))),
    };
    let code = codes[random.random_range(0..codes.len())];
    cluster.fault(if random.random() { "a" } else { "b" }, code, random.random_range(1..4), fault);
}

/// Every message of every queue is handled in the end, each first time in order; a broker that loses locks may let one
/// running handler per queue overlap with its successor, and nothing else may.
async fn storm(seed: u64, crashes: bool) {
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::new(&["a", "b"], 3);
    let queues: Vec<MessageQueue> =
        ["a", "b"].iter().flat_map(|broker| (0..3).map(|id| queue("orders", broker, id))).collect();
    for at in &queues {
        cluster.send(at, MESSAGES);
    }
    let mut members = Vec::new();
    let mut count = 0;
    let mut crashes_seen = 0;
    for _ in 0..40 {
        match random.random_range(0..12) {
            0..=2 if members.len() < 4 => {
                count += 1;
                let mut quick = options();
                quick.suspend.initial = Duration::from_millis(20);
                let member = Member::new(&format!("c{count}"), &cluster, quick, moody(seed, 12));
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
            6 if crashes => {
                let broker = if random.random() { "a" } else { "b" };
                cluster.crash(broker, random.random_range(0..50));
                crashes_seen += 1;
                tokio::time::sleep(Duration::from_millis(random.random_range(0..5_000))).await;
                cluster.recover(broker);
            }
            7..=9 => trip(&cluster, &mut random),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..4_000))).await;
    }
    if members.is_empty() {
        members.push(Member::start("last", &cluster, options(), moody(seed, 12)).await);
    }
    // A crash that loses commits behind the last message has its queue handled again from there.
    let is_done = |at| succeeded(&cluster, at).len() == MESSAGES && (crashes_seen == 0 || committed_all(&cluster, at));
    until(&format!("seed {seed}: all handled"), || queues.iter().all(is_done)).await;
    for member in members {
        member.close().await;
    }
    check(&cluster, &queues, seed, crashes_seen);
}

fn committed_all(cluster: &Cluster, at: &MessageQueue) -> bool {
    cluster.committed(at) == i64::try_from(MESSAGES).ok()
}

fn check(cluster: &Cluster, queues: &[MessageQueue], seed: u64, crashed: usize) {
    assert!(
        overlaps(cluster) <= crashed * queues.len(),
        "seed {seed}: {} overlaps, {crashed} crashes",
        overlaps(cluster)
    );
    for at in queues {
        let mut before = BTreeSet::new();
        let firsts: Vec<_> = started(cluster, at).into_iter().filter(|offset| before.insert(*offset)).collect();
        assert!(firsts.is_sorted(), "seed {seed}: {at}: first occurrences are out of order");
        assert!(committed_all(cluster, at), "seed {seed}: {at}: {:?}", cluster.committed(at));
    }
    assert_fifo_without_gaps(cluster);
    assert_safe_commits(cluster);
}

#[tokio::test(start_paused = true)]
async fn c1_to_c6_hold_in_a_storm_without_crashes() {
    for seed in seeds() {
        storm(seed, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c1_to_c6_hold_in_a_storm_with_crashing_brokers() {
    for seed in seeds() {
        storm(10_000 + seed, true).await;
    }
}
