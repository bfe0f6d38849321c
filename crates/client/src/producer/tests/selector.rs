//! P1: a key's queue is a pure function of the list, and Java's.

use super::cluster::Cluster;
use crate::producer::options::{OnRouteChange, ShardingHash};
use crate::producer::queue_selector::{queue_index, queue_list};
use crate::protocol::MessageQueue;

/// Results of the genuine Java class (VECTORS A3): the key, and its index for 1, 2, 3, 4, 5, 7, 8, 12, 16 and 24 queues.
const JAVA: [(&str, [usize; 10]); 28] = [
    ("", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("a", [0, 1, 1, 1, 2, 6, 1, 1, 1, 1]),
    ("b", [0, 0, 2, 2, 3, 0, 2, 2, 2, 2]),
    ("A", [0, 1, 2, 1, 0, 2, 1, 5, 1, 17]),
    ("0", [0, 0, 0, 0, 3, 6, 0, 0, 0, 0]),
    ("1", [0, 1, 1, 1, 4, 0, 1, 1, 1, 1]),
    ("order_0", [0, 1, 1, 1, 1, 4, 1, 1, 1, 1]),
    ("order_1", [0, 0, 0, 0, 0, 3, 0, 0, 0, 0]),
    ("order_2", [0, 1, 2, 3, 4, 2, 7, 11, 15, 23]),
    ("order_10", [0, 0, 0, 0, 2, 5, 0, 0, 0, 0]),
    ("order-1001", [0, 1, 2, 3, 3, 5, 7, 11, 15, 23]),
    ("user:42", [0, 1, 0, 3, 3, 0, 3, 3, 3, 3]),
    ("20230101", [0, 1, 1, 3, 3, 2, 7, 7, 15, 7]),
    ("TagA", [0, 1, 1, 3, 4, 1, 7, 7, 7, 7]),
    ("TagB", [0, 0, 2, 0, 0, 2, 0, 8, 8, 8]),
    ("TagC", [0, 1, 0, 1, 1, 3, 1, 9, 9, 9]),
    ("*", [0, 0, 0, 2, 2, 0, 2, 6, 10, 18]),
    ("订单-1", [0, 1, 2, 3, 3, 6, 7, 11, 7, 23]),
    ("订单号10086", [0, 1, 0, 1, 4, 0, 5, 9, 5, 21]),
    ("😀", [0, 1, 1, 3, 4, 2, 3, 7, 3, 19]),
    ("é", [0, 1, 2, 1, 3, 2, 1, 5, 9, 17]),
    ("polygenelubricants", [0, 0, 2, 0, 3, 2, 0, 8, 0, 8]),
    ("GydZG_", [0, 0, 2, 0, 3, 2, 0, 8, 0, 8]),
    ("DESIGNING WORKHOUSES", [0, 0, 2, 0, 3, 2, 0, 8, 0, 8]),
    ("Aa", [0, 0, 0, 0, 2, 5, 0, 0, 0, 0]),
    ("BB", [0, 0, 0, 0, 2, 5, 0, 0, 0, 0]),
    ("a1b2c3d4-e5f6-7890-abcd-ef1234567890", [0, 0, 0, 2, 2, 0, 2, 6, 2, 18]),
    ("0123456789abcdef0123456789abcdef", [0, 0, 0, 0, 3, 3, 0, 0, 0, 0]),
];
const COUNTS: [usize; 10] = [1, 2, 3, 4, 5, 7, 8, 12, 16, 24];

#[test]
fn keys_go_where_java_sends_them() {
    for (key, indices) in JAVA {
        for (count, index) in COUNTS.into_iter().zip(indices) {
            assert_eq!(queue_index(ShardingHash::Java, key, count), index, "{key} over {count}");
            let without_absolute_value = ["polygenelubricants", "GydZG_", "DESIGNING WORKHOUSES"].contains(&key);
            let ons = if without_absolute_value { 0 } else { index };
            assert_eq!(queue_index(ShardingHash::Ons, key, count), ons, "{key} over {count}, as ONS does");
        }
    }
}

fn names(list: &[MessageQueue]) -> Vec<String> {
    list.iter().map(|queue| format!("{}{}", queue.broker_name, queue.queue_id)).collect()
}

#[test]
fn hold_keeps_the_queues_of_a_broker_that_has_left_in_their_places() {
    let before = Cluster::route_of(&[("a", 2), ("b", 2), ("c", 1)]).write_queues("T");
    let without_b = Cluster::route_of(&[("a", 2), ("c", 1)]);
    assert_eq!(
        names(&queue_list(&without_b, "T", &before, ShardingHash::Java, OnRouteChange::Follow)),
        ["a0", "a1", "c0"]
    );
    assert_eq!(queue_list(&without_b, "T", &before, ShardingHash::Java, OnRouteChange::Hold), before);

    let mut masterless = Cluster::route_of(&[("a", 2), ("b", 2), ("c", 1)]);
    masterless.broker_datas[1].addresses.clear();
    assert_eq!(queue_list(&masterless, "T", &before, ShardingHash::Java, OnRouteChange::Hold), before);
}

#[test]
fn hold_follows_a_broker_that_stays_with_other_queues() {
    let before = Cluster::route_of(&[("a", 2), ("b", 2)]).write_queues("T");
    let fewer = Cluster::route_of(&[("a", 1), ("b", 3)]);
    assert_eq!(
        names(&queue_list(&fewer, "T", &before, ShardingHash::Java, OnRouteChange::Hold)),
        ["a0", "b0", "b1", "b2"]
    );
    let mut drained = Cluster::route_of(&[("a", 2), ("b", 2)]);
    drained.queue_datas[1].perm = 4;
    assert_eq!(names(&queue_list(&drained, "T", &before, ShardingHash::Java, OnRouteChange::Hold)), ["a0", "a1"]);
}

#[test]
fn a_fixed_list_is_taken_as_it_is() {
    let before = Cluster::route_of(&[("a", 1), ("c", 1)]).write_queues("T");
    let mut route = Cluster::route_of(&[("a", 2)]);
    route.order_topic_conf = Some(String::from("b:1;a:2"));
    assert_eq!(names(&queue_list(&route, "T", &before, ShardingHash::Java, OnRouteChange::Hold)), ["b0", "a0", "a1"]);
}

/// What other clients did with 1 000 keys: scripts/vectors/sharding.js.
const VECTORS: &str = include_str!("../../../../../scripts/vectors/sharding.json");

#[test]
fn keys_go_where_other_clients_send_them() {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let keys: Vec<&str> = vectors["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(keys.len(), 1_000);
    for (name, hash) in [("go", ShardingHash::Go), ("cpp", ShardingHash::Cpp), ("proxy", ShardingHash::Proxy)] {
        for count in [1, 3, 8, 16] {
            let digits = vectors["hashes"][name][count.to_string()].as_str().unwrap();
            let theirs: Vec<_> = digits.chars().map(|digit| digit.to_digit(36).unwrap() as usize).collect();
            let ours: Vec<_> = keys.iter().map(|key| queue_index(hash, key, count)).collect();
            assert_eq!(ours, theirs, "{name} over {count}");
        }
    }
}

#[test]
fn each_client_lists_the_queues_in_its_own_order() {
    // By bytes the last plane comes last; by UTF-16 units its surrogates come first.
    let route = Cluster::route_of(&[("a", 1), ("\u{1F600}", 1), ("\u{FF21}", 1)]);
    let list = |route: &_, hash| names(&queue_list(route, "T", &[], hash, OnRouteChange::Follow));
    for hash in [ShardingHash::Java, ShardingHash::Ons, ShardingHash::Proxy, ShardingHash::Caller] {
        assert_eq!(list(&route, hash), ["a0", "\u{1F600}0", "\u{FF21}0"], "{hash:?}");
    }
    for hash in [ShardingHash::Go, ShardingHash::Cpp] {
        assert_eq!(list(&route, hash), ["a0", "\u{FF21}0", "\u{1F600}0"], "{hash:?}");
    }

    let mut fixed = Cluster::route_of(&[("a", 2)]);
    fixed.order_topic_conf = Some(String::from("b:1;c:1;a:2"));
    for hash in [ShardingHash::Java, ShardingHash::Ons, ShardingHash::Go, ShardingHash::Cpp, ShardingHash::Caller] {
        assert_eq!(list(&fixed, hash), ["b0", "c0", "a0", "a1"], "{hash:?}");
    }
    // Sorted, and without brokers that are away.
    assert_eq!(list(&fixed, ShardingHash::Proxy), ["a0", "a1"]);
}

#[test]
fn hold_keeps_the_places_of_every_order() {
    let names_of_brokers = [("a", 1), ("\u{1F600}", 1), ("\u{FF21}", 1)];
    for hash in [ShardingHash::Go, ShardingHash::Proxy] {
        let before = queue_list(&Cluster::route_of(&names_of_brokers), "T", &[], hash, OnRouteChange::Hold);
        let without = Cluster::route_of(&[("a", 1), ("\u{FF21}", 1)]);
        assert_eq!(queue_list(&without, "T", &before, hash, OnRouteChange::Hold), before, "{hash:?}");
    }
}
