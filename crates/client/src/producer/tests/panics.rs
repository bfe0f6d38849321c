//! A defect of ours in a lane: what is there fails, once each, and the lane begins anew.

use std::time::Duration;

use super::cluster::Answer;
use super::{ProducerOptions, options, started};
use crate::error::{Code, Outcome};
use crate::producer::options::Batching;

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_lane_in_which_hundreds_wait_fails_them_all() {
    let (cluster, caller) = started(options(), &[("a", 1)]).await;
    let first = caller.launch(&cluster, "k", "m0").await;
    cluster.inner().planted = true;
    // More than a request holds, so that most of them still wait.
    let sends: Vec<usize> = (1..3_000).map(|i| caller.send("k", &format!("m{i}"))).collect();
    caller.receipt(first).await;
    for (i, send) in sends.into_iter().enumerate() {
        let error = caller.error(send).await;
        assert_eq!(error.code(), if i == 0 { Code::Internal } else { Code::OrderBroken });
    }
    let afresh = caller.send("k", "again");
    assert_eq!(caller.receipt(afresh).await.queue_offset, 1);
    assert_eq!(caller.producer.stats().pending_messages, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_lane_fails_what_is_there_and_what_is_called_then_starts_afresh() {
    for batching in [Batching::Queue, Batching::Key, Batching::Off] {
        let (cluster, caller) = started(ProducerOptions { batching, ..options() }, &[("a", 1)]).await;
        let first = caller.launch(&cluster, "k", "m0").await;
        cluster.inner().planted = true;
        let sends = ["m1", "m2", "m3"].map(|body| caller.send("k", body));
        assert_eq!(caller.receipt(first).await.queue_offset, 0);
        let errors = [caller.error(sends[0]).await, caller.error(sends[1]).await, caller.error(sends[2]).await];
        assert_eq!((errors[0].code(), errors[0].outcome()), (Code::Internal, Some(Outcome::Unknown)), "{batching:?}");
        assert!(errors[0].message().contains("planted"), "{}", errors[0]);
        assert!(errors[1..].iter().all(|error| error.code() == Code::OrderBroken), "{errors:?}");
        let afresh = caller.send("k", "m4");
        assert_eq!(caller.receipt(afresh).await.queue_offset, 1);
        assert_eq!(cluster.stored("a", 0), ["m0", "m4"]);
        assert_eq!(cluster.inner().warnings.iter().filter(|warning| warning.code() == Code::Internal).count(), 1);
        let stats = caller.producer.stats();
        assert_eq!((stats.pending_messages, stats.pending_bytes, stats.sent, stats.failed), (0, 0, 2, 3));
        // Nothing is left that a close would have to wait for.
        tokio::time::timeout(Duration::from_millis(600), caller.producer.close(Duration::from_secs(5))).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_cannot_reject_what_is_left_takes_leave_all_the_same() {
    let (cluster, caller) = started(options(), &[("a", 1)]).await;
    cluster.then([Answer::Silent { reset: None, stored: false }]);
    caller.launch(&cluster, "k", "m0").await;
    caller.plant();
    tokio::time::timeout(Duration::from_secs(1), caller.producer.close(Duration::from_millis(100))).await.unwrap();
    let inner = cluster.inner();
    assert!(inner.closed);
    let told: Vec<_> = inner.warnings.iter().filter(|warning| warning.code() == Code::Internal).collect();
    assert!(told.len() == 1 && told[0].message().contains("planted at a failure"), "{told:?}");
}
