//! A topic of many queues, of which all fail alike.

use std::time::Duration;

use tokio::time::sleep;

use super::checks::events;
use super::cluster::{Cluster, Entry, Fault};
use super::member::{Member, options, succeeds, until};
use crate::env;
use crate::protocol::code::request;

const QUEUES: i32 = 500;

#[tokio::test(start_paused = true)]
async fn what_fails_for_many_queues_is_told_of_them_together() {
    let cluster = Cluster::new(&["a"], QUEUES);
    cluster.fault("a", request::PULL_MESSAGE, usize::MAX, Fault::Refuse(1, "out of order"));
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let told = || events(&cluster, "out of order");
    until("told", || !told().is_empty()).await;
    sleep(Duration::from_secs(600)).await;
    let warnings: Vec<String> = told().into_iter().filter(|text| text.contains("\"warning\"")).collect();
    // Those told one by one, of the topic and of the retry topic, and the rest.
    assert!((9..=12).contains(&warnings.len()), "{}: {warnings:#?}", warnings.len());
    let together: Vec<_> = warnings.iter().filter(|text| text.contains("of orders at a: ")).collect();
    assert!((1..=2).contains(&together.len()), "{together:#?}");
    assert!(together[0].contains("queues ") && together[0].contains("..") && !together[0].contains("\"queue\":"));
    let began = env::now();
    member.consumer.close(Duration::from_secs(5)).await;
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn all_that_is_asked_for_at_once_goes_in_one_request() {
    let cluster = Cluster::new(&["a"], QUEUES);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    let moments = |of: fn(&Entry) -> bool| {
        let entries = cluster.entries().into_iter().filter(|(_, entry)| of(entry));
        let mut moments: Vec<_> = entries.map(|(at, _)| at).collect();
        let queues = moments.len();
        moments.dedup();
        (queues, moments.len())
    };
    // Those of the topic, and the one of the retry topic, which may have been asked for before.
    let all = QUEUES as usize + 1;
    let fresh = |entry: &Entry| matches!(entry, Entry::Locked { fresh: true, .. });
    until("locked", || moments(fresh).0 == all).await;
    assert!(moments(fresh).1 <= 3, "{} requests", moments(fresh).1);
    member.consumer.close(Duration::from_secs(5)).await;
    let (queues, requests) = moments(|entry| matches!(entry, Entry::UnlockSent { .. }));
    assert!(queues == all && requests <= 3, "{requests} requests for {queues} queues");
}
