//! The program has a queue go on elsewhere whose keys are handled side by side.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{events, started};
use super::cluster::{Cluster, queue};
use super::member::{Handler, Member, by_key, succeeds, until};
use super::seeking::{after, offsets, seek};
use crate::consumer::{Delivery, Outcome, SeekTo};

/// Of each key the offsets rise, and together they are these.
fn assert_each_key_in_order(started: &[i64], keys: i64, expected: &[i64]) {
    for key in 0..keys {
        let of_key: Vec<_> = started.iter().filter(|offset| *offset % keys == key).collect();
        assert!(of_key.is_sorted(), "{of_key:?}");
    }
    let mut sorted = started.to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
}

#[tokio::test(start_paused = true)]
async fn of_keys_side_by_side_all_handlers_end_first_and_what_was_handled_above_a_hole_is_forgotten() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_by_key(&at, 400, 8);
    let handler: Handler = Arc::new(|delivery: &Delivery| {
        let fails = delivery.message.queue_offset == 3;
        (Duration::from_millis(20), if fails { Outcome::Later } else { Outcome::Success })
    });
    let member = Member::start("c1", &cluster, by_key(), handler).await;
    until("far above the hole", || started(&cluster, &at).len() > 200).await;
    assert!(member.consumer.commit().await.is_empty());
    assert_eq!(cluster.committed(&at), Some(3), "the end of what is handled without a gap");

    let sought = member.consumer.seek(&at, SeekTo::Offset(320));
    let begun = started(&cluster, &at).len();
    sought.await.unwrap();
    assert_eq!((cluster.committed(&at), started(&cluster, &at).len()), (Some(320), begun));
    assert_eq!(member.consumer.assignment()[0].in_flight, 0);
    until("all handled", || cluster.committed(&at) == Some(400)).await;
    assert_each_key_in_order(&after(&cluster, &at, begun), 8, &offsets(320..400));
    assert!(member.consumer.assignment()[0].blocked_by.is_none());

    let begun = started(&cluster, &at).len();
    seek(&member, &at, SeekTo::Offset(4)).await.unwrap();
    until("all handled again", || cluster.committed(&at) == Some(400)).await;
    assert_each_key_in_order(&after(&cluster, &at, begun), 8, &offsets(4..400));
    assert_eq!(events(&cluster, "offsetReset").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_keys_side_by_side_a_queue_on_its_way_out_is_handed_over_at_the_new_position() {
    let cluster = Cluster::new(&["a"], 2);
    let at = queue("orders", "a", 1);
    cluster.send_by_key(&at, 200, 8);
    let first = Member::start("c1", &cluster, by_key(), succeeds(5_000)).await;
    until("working", || started(&cluster, &at).len() >= 16).await;
    let _second = Member::start("c2", &cluster, by_key(), succeeds(1)).await;
    until("on its way out", || first.consumer.assignment().iter().any(|queue| queue.state == "draining")).await;
    let sought = first.consumer.seek(&at, SeekTo::Offset(150));
    let begun = started(&cluster, &at).len();
    sought.await.unwrap();
    until("all handled", || cluster.committed(&at) == Some(200)).await;
    assert_each_key_in_order(&after(&cluster, &at, begun), 8, &offsets(150..200));
    assert_eq!(cluster.owner(&at).as_deref(), Some("c2"));
}
