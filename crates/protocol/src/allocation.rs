//! Which queues of a topic belong to which member of a group.

use super::hash::java_string_cmp;
use super::queue::MessageQueue;

/// Java's `AllocateMessageQueueAveragely`: contiguous shares of the sorted queues, by the sorted client ids.
///
/// `None` when nothing can be said (no queues, no clients, no id): the rebalance is then skipped and nothing released.
/// A list without `own` gives us nothing.
pub fn averagely(queues: &[MessageQueue], clients: &[String], own: &str) -> Option<Vec<MessageQueue>> {
    if queues.is_empty() || clients.is_empty() || own.trim().is_empty() {
        return None;
    }
    let mut queues = queues.to_vec();
    queues.sort_unstable();
    let mut clients: Vec<&str> = clients.iter().map(String::as_str).collect();
    clients.sort_unstable_by(|left, right| java_string_cmp(left, right));
    clients.dedup();
    let Some(index) = clients.iter().position(|client| *client == own) else { return Some(Vec::new()) };
    let (share, rest) = (queues.len() / clients.len(), queues.len() % clients.len());
    // The first `rest` clients own one queue more.
    let start = index * share + index.min(rest);
    let count = share + usize::from(index < rest);
    Some(queues.into_iter().skip(start).take(count).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::averagely;
    use crate::queue::MessageQueue;

    /// Queues, then each client's first and last queue, as Java allocates them; `-` for none.
    const SHARES: &str = "\
1 queues / 1 clients: 0
1 queues / 2 clients: 0 -
1 queues / 3 clients: 0 - -
1 queues / 4 clients: 0 - - -
1 queues / 5 clients: 0 - - - -
1 queues / 6 clients: 0 - - - - -
2 queues / 1 clients: 0..1
2 queues / 2 clients: 0 1
2 queues / 3 clients: 0 1 -
2 queues / 4 clients: 0 1 - -
2 queues / 5 clients: 0 1 - - -
2 queues / 6 clients: 0 1 - - - -
3 queues / 1 clients: 0..2
3 queues / 2 clients: 0..1 2
3 queues / 3 clients: 0 1 2
3 queues / 4 clients: 0 1 2 -
3 queues / 5 clients: 0 1 2 - -
3 queues / 6 clients: 0 1 2 - - -
4 queues / 1 clients: 0..3
4 queues / 2 clients: 0..1 2..3
4 queues / 3 clients: 0..1 2 3
4 queues / 4 clients: 0 1 2 3
4 queues / 5 clients: 0 1 2 3 -
4 queues / 6 clients: 0 1 2 3 - -
5 queues / 1 clients: 0..4
5 queues / 2 clients: 0..2 3..4
5 queues / 3 clients: 0..1 2..3 4
5 queues / 4 clients: 0..1 2 3 4
5 queues / 5 clients: 0 1 2 3 4
5 queues / 6 clients: 0 1 2 3 4 -
8 queues / 1 clients: 0..7
8 queues / 2 clients: 0..3 4..7
8 queues / 3 clients: 0..2 3..5 6..7
8 queues / 4 clients: 0..1 2..3 4..5 6..7
8 queues / 5 clients: 0..1 2..3 4..5 6 7
8 queues / 6 clients: 0..1 2..3 4 5 6 7
9 queues / 1 clients: 0..8
9 queues / 2 clients: 0..4 5..8
9 queues / 3 clients: 0..2 3..5 6..8
9 queues / 4 clients: 0..2 3..4 5..6 7..8
9 queues / 5 clients: 0..1 2..3 4..5 6..7 8
9 queues / 6 clients: 0..1 2..3 4..5 6 7 8
10 queues / 1 clients: 0..9
10 queues / 2 clients: 0..4 5..9
10 queues / 3 clients: 0..3 4..6 7..9
10 queues / 4 clients: 0..2 3..5 6..7 8..9
10 queues / 5 clients: 0..1 2..3 4..5 6..7 8..9
10 queues / 6 clients: 0..1 2..3 4..5 6..7 8 9
16 queues / 1 clients: 0..15
16 queues / 2 clients: 0..7 8..15
16 queues / 3 clients: 0..5 6..10 11..15
16 queues / 4 clients: 0..3 4..7 8..11 12..15
16 queues / 5 clients: 0..3 4..6 7..9 10..12 13..15
16 queues / 6 clients: 0..2 3..5 6..8 9..11 12..13 14..15";

    fn queues(count: i32) -> Vec<MessageQueue> {
        (0..count).rev().map(|id| MessageQueue::new("orders", "broker-a", id)).collect()
    }

    fn owned(allocated: &[MessageQueue]) -> String {
        match allocated {
            [] => "-".into(),
            [one] => one.queue_id.to_string(),
            [first, .., last] => format!("{}..{}", first.queue_id, last.queue_id),
        }
    }

    #[test]
    fn shares_are_javas() {
        let mut lines = 0;
        for line in SHARES.lines() {
            let (head, shares) = line.split_once(": ").unwrap();
            let numbers: Vec<i32> = head.split(' ').filter_map(|word| word.parse().ok()).collect();
            let clients: Vec<String> = (0..numbers[1]).rev().map(|client| format!("c{client}")).collect();
            let allocated: Vec<String> = (0..numbers[1])
                .map(|client| owned(&averagely(&queues(numbers[0]), &clients, &format!("c{client}")).unwrap()))
                .collect();
            assert_eq!(allocated.join(" "), shares, "{head}");
            lines += 1;
        }
        assert_eq!(lines, 54);
    }

    #[test]
    fn clients_sort_as_plain_strings() {
        let sorted = ["10.0.0.10@1#5", "10.0.0.1@10#1", "10.0.0.1@9#0", "10.0.0.1@9#1", "10.0.0.1@a", "10.0.0.2@1#5"];
        let mut clients = sorted.map(str::to_owned);
        clients.reverse();
        for (index, client) in (0..).zip(sorted) {
            assert_eq!(owned(&averagely(&queues(6), &clients, client).unwrap()), index.to_string());
        }
    }

    #[test]
    fn an_unknown_client_owns_nothing_and_nobody_is_no_answer() {
        let clients = ["a".to_owned()];
        assert_eq!(averagely(&queues(3), &clients, "b"), Some(vec![]));
        assert_eq!(averagely(&queues(3), &clients, " "), None);
        assert_eq!(averagely(&[], &clients, "a"), None);
        assert_eq!(averagely(&queues(3), &[], "a"), None);
    }

    proptest! {
        #[test]
        fn every_queue_has_one_owner(count in 1..100, members in 1..40) {
            let clients: Vec<String> = (0..members).map(|client| client.to_string()).collect();
            let mut all: Vec<_> = clients.iter().flat_map(|own| averagely(&queues(count), &clients, own).unwrap()).collect();
            all.sort();
            let mut expected = queues(count);
            expected.sort();
            prop_assert_eq!(all, expected);
        }
    }
}
