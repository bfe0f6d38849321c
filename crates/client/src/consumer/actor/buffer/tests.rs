//! The buffer alone.

use std::time::Duration;

use super::*;
use crate::consumer::queue::Blocked;
use crate::consumer::tests::message;
use crate::env;

fn filled(offsets: &[i64]) -> Buffer {
    let mut buffer = Buffer::new(OrderedBy::Queue, 1, offsets[0]);
    for offset in offsets {
        buffer.push(message("orders", 0, *offset, b"body"), "orders".into());
    }
    buffer
}

fn offsets(chunk: &Chunk) -> Vec<i64> {
    chunk.messages.iter().map(|delivery| delivery.message.queue_offset).collect()
}

#[test]
fn the_position_jumps_over_filtered_messages_only_when_nothing_before_is_unfinished() {
    let mut buffer = filled(&[3, 7]);
    buffer.set_next(12);
    assert_eq!(buffer.position(), 3);
    assert!(buffer.done(3));
    assert_eq!(buffer.position(), 7, "4 to 6 were filtered out");
    assert!(buffer.done(7));
    assert_eq!(buffer.position(), 12, "8 to 11 too");
}

#[test]
fn two_chunks_are_under_way_at_most() {
    let mut buffer = filled(&(0..100).collect::<Vec<_>>());
    assert_eq!(offsets(&buffer.take_chunk(i64::MAX).unwrap()), (0..32).collect::<Vec<_>>());
    assert_eq!(offsets(&buffer.take_chunk(i64::MAX).unwrap()), (32..64).collect::<Vec<_>>());
    assert!(buffer.take_chunk(i64::MAX).is_none());
    for offset in 0..31 {
        assert!(buffer.done(offset));
        assert!(buffer.take_chunk(i64::MAX).is_none());
    }
    assert!(buffer.done(31));
    assert_eq!(offsets(&buffer.take_chunk(i64::MAX).unwrap()), (64..96).collect::<Vec<_>>());
}

#[test]
fn an_absurd_offset_of_a_peer_is_the_last() {
    let mut buffer = Buffer::new(OrderedBy::Queue, 1, 0);
    let last = StoredMessage { queue_offset: i64::MAX, ..message("orders", 0, 0, b"body") };
    buffer.push(last, "orders".into());
    assert_eq!(buffer.next(), i64::MAX);
    assert!(buffer.done(i64::MAX));
}

#[test]
fn all_of_a_message_counts() {
    let mut buffer = Buffer::new(OrderedBy::Queue, 1, 0);
    buffer.push(message("orders", 0, 0, &[7; 100]), "orders".into());
    assert!(buffer.bytes() > 100 + "orders".len() && buffer.bytes() < 1_024, "{}", buffer.bytes());
}

#[test]
fn a_large_message_travels_alone() {
    let mut buffer = Buffer::new(OrderedBy::Queue, 1, 0);
    for (offset, size) in [(0, 200 * 1024), (1, 100 * 1024), (2, 300 * 1024), (3, 1)] {
        buffer.push(message("orders", 0, offset, &vec![0; size]), "orders".into());
    }
    assert_eq!(offsets(&buffer.take_chunk(i64::MAX).unwrap()), [0]);
    assert_eq!(offsets(&buffer.take_chunk(i64::MAX).unwrap()), [1]);
    assert!(buffer.done(0) && buffer.done(1));
    assert_eq!(offsets(&buffer.take_chunk(i64::MAX).unwrap()), [2]);
    assert_eq!(offsets(&buffer.take_chunk(i64::MAX).unwrap()), [3]);
}

#[test]
fn only_the_front_message_counts_its_failures() {
    let mut buffer = filled(&[0, 1]);
    buffer.set_trouble(0, trouble(0, 1));
    assert!(buffer.take_chunk(i64::MAX).is_none(), "it pauses");
    assert_eq!(buffer.wake_troubled(env::now() + Duration::from_secs(1)), None);
    let chunk = buffer.take_chunk(i64::MAX).unwrap();
    let attempts: Vec<_> = chunk.messages.iter().map(|delivery| delivery.attempt).collect();
    assert_eq!(attempts, [2, 1]);
    assert!(buffer.done(0));
    assert_eq!(buffer.message(1).unwrap().attempt, 1);
}

#[test]
fn advancing_drops_what_somebody_else_has_done() {
    let mut buffer = filled(&[0, 1, 5]);
    buffer.take_chunk(i64::MAX);
    buffer.advance_to(3);
    assert_eq!((buffer.position(), buffer.len(), buffer.next()), (5, 1, 6));
    buffer.advance_to(9);
    assert_eq!((buffer.position(), buffer.len(), buffer.bytes()), (9, 0, 0));
    assert!(!buffer.done(5));
}

fn trouble(offset: i64, failures: u32) -> Trouble {
    let blocked =
        Blocked { msg_id: String::new(), sharding_key: None, offset, attempt: failures, since: 0, reason: None };
    Trouble::again(failures, blocked, env::now() + Duration::from_secs(1))
}

/// Messages of these keys, from offset 0 on.
fn keyed(keys: &str) -> Buffer {
    let mut buffer = Buffer::new(OrderedBy::Key, 1, 0);
    for (offset, key) in keys.chars().enumerate() {
        let properties = if key == '-' { String::new() } else { format!("__SHARDINGKEY\u{1}{key}\u{2}") };
        let offset = i64::try_from(offset).unwrap();
        let message = StoredMessage { properties: properties.into(), ..message("orders", 0, offset, b"body") };
        buffer.push(message, "orders".into());
    }
    buffer
}

/// All that may be sent now.
fn sent(buffer: &mut Buffer) -> Vec<Vec<i64>> {
    std::iter::from_fn(|| buffer.take_chunk(i64::MAX)).map(|chunk| offsets(&chunk)).collect()
}

#[test]
fn each_key_is_a_lane_and_so_is_what_has_none() {
    let mut buffer = keyed("aab-ab-");
    assert_eq!(sent(&mut buffer), [vec![0, 1, 4], vec![2, 5], vec![3, 6]]);
    assert!(buffer.done(2), "keys do not wait for each other");
    assert!(!buffer.done(1), "messages of one do");
    assert_eq!((buffer.position(), buffer.len(), buffer.span(), buffer.sent()), (0, 6, 7, 6));
}

#[test]
fn the_prefix_is_what_counts_and_what_is_done_behind_it_is_a_number() {
    let mut buffer = keyed("abcabc");
    sent(&mut buffer);
    for offset in [1, 2, 4, 5] {
        assert!(buffer.done(offset));
    }
    assert_eq!((buffer.position(), buffer.len(), buffer.span()), (0, 2, 6));
    assert!(buffer.done(0));
    assert_eq!((buffer.position(), buffer.len(), buffer.span()), (3, 1, 3), "1 and 2 are no more");
    assert!(buffer.done(3));
    assert_eq!((buffer.position(), buffer.span(), buffer.bytes()), (6, 0, 0));
}

#[test]
fn any_order_of_ends_leaves_nothing_behind() {
    let mut buffer = keyed("abcdefgh");
    sent(&mut buffer);
    for offset in [3, 5, 4, 0, 7, 1, 2, 6] {
        let (position, span) = (buffer.position(), buffer.span());
        assert!(buffer.done(offset));
        assert!(buffer.position() >= position && buffer.span() <= span);
        assert!(buffer.span() >= buffer.len());
    }
    assert_eq!((buffer.position(), buffer.span(), buffer.sent()), (8, 0, 0));
}

#[test]
fn a_key_whose_message_has_failed_waits_alone() {
    let mut buffer = keyed("aabb");
    sent(&mut buffer);
    buffer.set_trouble(0, trouble(0, 1));
    assert!(buffer.done(2) && buffer.done(3));
    assert_eq!((buffer.sent(), sent(&mut buffer).len()), (0, 0));
    assert!(!buffer.has_holes(9), "what waits behind it is none");
    buffer.wake_troubled(env::now() + Duration::from_secs(2));
    assert_eq!(sent(&mut buffer), [[0, 1]]);
    assert!(buffer.done(0) && buffer.troubles().next().is_none());
}

#[test]
fn a_run_that_was_refused_is_sent_again_and_no_other() {
    let mut buffer = keyed("ab");
    let chunks = [buffer.take_chunk(i64::MAX).unwrap(), buffer.take_chunk(i64::MAX).unwrap()];
    buffer.set_run(chunks[0].lane, 7);
    buffer.set_run(chunks[1].lane, 8);
    buffer.run_over(chunks[1].lane, 7);
    assert!(sent(&mut buffer).is_empty(), "of another generation");
    buffer.run_over(chunks[1].lane, 8);
    assert_eq!(sent(&mut buffer), [[1]]);
}

#[test]
fn nothing_is_sent_behind_a_limit() {
    let mut buffer = keyed("abab");
    let chunks: Vec<_> = std::iter::from_fn(|| buffer.take_chunk(2)).map(|chunk| offsets(&chunk)).collect();
    assert_eq!(chunks, [vec![0, 2], vec![1]]);
    assert!(buffer.has_holes(2) && buffer.done(0) && buffer.done(1) && buffer.done(2) && !buffer.has_holes(2));
    buffer.restart();
    assert_eq!(sent(&mut buffer), [[3]]);
}

#[test]
fn a_lane_is_used_again_by_another_key() {
    let mut buffer = keyed("a");
    for round in 0..100 {
        sent(&mut buffer);
        assert!(buffer.done(round));
        let properties = format!("__SHARDINGKEY\u{1}key {round}\u{2}");
        let message = StoredMessage { properties: properties.into(), ..message("orders", 0, round + 1, b"body") };
        buffer.push(message, "orders".into());
    }
    assert_eq!((buffer.lanes.len(), buffer.by_key.len()), (2, 1));
}

#[test]
fn what_is_done_apart_is_known_until_it_has_come_again() {
    let mut buffer = filled(&[10, 11, 12, 13, 14]);
    assert!(buffer.done(10));
    buffer.set_next(20);
    let known = |done: Option<&Done>| (9..22).filter(|offset| done.unwrap().has(*offset)).collect::<Vec<_>>();
    let first = buffer.done_apart(None);
    assert_eq!(known(first.as_ref()), [9, 10, 15, 16, 17, 18, 19]);
    // Again from the first that was not done; not as far as before.
    let again = filled(&[11, 12]);
    let second = again.done_apart(first);
    assert_eq!(known(second.as_ref()), [9, 10, 15, 16, 17, 18, 19]);
    // And farther.
    let mut last = filled(&[11, 12]);
    last.set_next(21);
    assert!(last.done(11));
    assert_eq!(known(last.done_apart(second).as_ref()), [9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20]);
    assert!(Buffer::new(OrderedBy::Key, 1, 7).done_apart(None).is_none());
}
