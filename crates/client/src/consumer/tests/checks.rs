//! What must hold, read from the log.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Cluster, Entry};
use crate::consumer::gate::Outcome;
use crate::protocol::MessageQueue;

/// Offsets whose handlers started at a queue, in order.
pub(super) fn started(cluster: &Cluster, queue: &MessageQueue) -> Vec<i64> {
    cluster.state().started.get(queue).cloned().unwrap_or_default()
}

/// Offsets whose handlers succeeded and counted.
pub(super) fn succeeded(cluster: &Cluster, queue: &MessageQueue) -> BTreeSet<i64> {
    cluster.state().succeeded.get(queue).cloned().unwrap_or_default()
}

/// By offset.
pub(super) fn sorted(mut offsets: Vec<i64>) -> Vec<i64> {
    offsets.sort_unstable();
    offsets
}

/// Texts of events that contain this.
pub(super) fn events(cluster: &Cluster, wanted: &str) -> Vec<String> {
    let entries = cluster.entries().into_iter();
    entries
        .filter_map(|(_, entry)| match entry {
            Entry::Event { text, .. } if text.contains(wanted) => Some(text),
            _ => None,
        })
        .collect()
}

/// C1: handlers of one queue never overlap in the whole group; returns how often they did.
pub(super) fn overlaps(cluster: &Cluster) -> usize {
    let mut running: BTreeMap<MessageQueue, BTreeSet<String>> = BTreeMap::new();
    let mut overlaps = 0;
    for (_, entry) in cluster.entries() {
        match entry {
            Entry::Started { client, queue, .. } => {
                let at = running.entry(queue).or_default();
                overlaps += usize::from(!at.is_empty());
                at.insert(client);
            }
            Entry::Ended { client, queue, .. } => {
                running.entry(queue).or_default().remove(&client);
            }
            _ => {}
        }
    }
    overlaps
}

/// C2, C3: within one client's uninterrupted run the offsets rise by one; a step back is a retry, or follows a new lock,
/// a lost one, or a reset.
pub(super) fn assert_fifo_without_gaps(cluster: &Cluster) {
    let mut last: BTreeMap<(String, MessageQueue), i64> = BTreeMap::new();
    let mut done: BTreeMap<MessageQueue, i64> = BTreeMap::new();
    for (_, entry) in cluster.entries() {
        match entry {
            Entry::Started { client, queue, offset, .. } => {
                let key = (client, queue.clone());
                let highest = done.get(&queue).copied().unwrap_or(0);
                assert!(
                    offset <= highest,
                    "{queue}: {offset} started, but only what is below {highest} was done before"
                );
                if let Some(before) = last.get(&key) {
                    assert!(offset == *before || offset == before + 1, "{queue}: {offset} after {before}");
                }
                last.insert(key, offset);
            }
            Entry::Ended { queue, offset, outcome: Outcome::Success, counted: true, .. }
            | Entry::DeadLettered { queue, offset, .. } => {
                let highest = done.entry(queue).or_insert(0);
                *highest = (*highest).max(offset + 1);
            }
            // A new epoch may begin anywhere at or below what was done.
            Entry::Locked { client, queue, fresh: true } => {
                last.remove(&(client, queue));
            }
            Entry::Crashed { .. } => last.clear(),
            _ => {}
        }
    }
}

/// C5: no commit beyond what succeeded without a gap from the queue's beginning, none lower than the client's one before in
/// the same epoch.
pub(super) fn assert_safe_commits(cluster: &Cluster) {
    let mut done: BTreeMap<MessageQueue, BTreeSet<i64>> = BTreeMap::new();
    let mut most: BTreeMap<MessageQueue, i64> = BTreeMap::new();
    let mut last: BTreeMap<(String, MessageQueue), i64> = BTreeMap::new();
    for (_, entry) in cluster.entries() {
        match entry {
            Entry::Ended { queue, offset, outcome: Outcome::Success, counted: true, .. } => {
                let at = done.entry(queue.clone()).or_default();
                at.insert(offset);
                let end = most.entry(queue).or_insert(0);
                while at.contains(end) {
                    *end += 1;
                }
            }
            Entry::CommitSent { client, queue, offset } => {
                let end = most.get(&queue).copied().unwrap_or(0);
                assert!(offset <= end, "{queue}: {offset} committed, {end} is the most");
                let before = last.insert((client, queue.clone()), offset).unwrap_or(0);
                assert!(offset >= before, "{queue}: {offset} committed after {before}");
            }
            Entry::Locked { client, queue, fresh: true } => {
                last.remove(&(client, queue));
            }
            _ => {}
        }
    }
}

/// C6: a queue changes hands in this order: last handler's end, commit acknowledged, unlock acknowledged, next lock.
pub(super) fn assert_hand_over_order(cluster: &Cluster, queue: &MessageQueue, from: &str, to: &str) {
    let entries = cluster.entries();
    let last = |what: &dyn Fn(&Entry) -> bool| entries.iter().rposition(|(_, entry)| what(entry)).expect("happened");
    let end = last(&|entry| matches!(entry, Entry::Ended { client, queue: at, .. } if client == from && at == queue));
    let commit =
        last(&|entry| matches!(entry, Entry::Committed { client, queue: at, .. } if client == from && at == queue));
    let unlock_sent =
        last(&|entry| matches!(entry, Entry::UnlockSent { client, queue: at } if client == from && at == queue));
    let unlock = last(&|entry| matches!(entry, Entry::Unlocked { client, queue: at } if client == from && at == queue));
    let after = |what: &dyn Fn(&Entry) -> bool| {
        unlock + entries.iter().skip(unlock).position(|(_, entry)| what(entry)).expect("happened")
    };
    let lock = after(&|entry| matches!(entry, Entry::Locked { client, queue: at, .. } if client == to && at == queue));
    let start =
        after(&|entry| matches!(entry, Entry::Started { client, queue: at, .. } if client == to && at == queue));
    assert!(end < commit && commit < unlock_sent && unlock_sent < unlock && unlock < lock && lock < start);
    let Entry::Committed { offset: committed, .. } = &entries[commit].1 else { unreachable!() };
    let Entry::Started { offset, .. } = &entries[start].1 else { unreachable!() };
    assert_eq!(offset, committed, "the next owner begins where the last one committed");
}
