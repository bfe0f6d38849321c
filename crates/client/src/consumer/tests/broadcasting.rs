//! Broadcasting: every member handles every message, in order per queue, without locks, and keeps its own offsets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::checks::events;
use super::cluster::{Cluster, Entry, GROUP, queue};
use super::member::{Handler, Member, options, succeeds, until};
use super::records::{Stored, plain};
use crate::consumer::gate::Outcome;
use crate::consumer::{ConsumerOptions, InitialPosition, MessageModel, OnUndecodable};
use crate::env::files::{self, Folder};
use crate::error::Code;
use crate::protocol::{MessageQueue, Push};

fn broadcasting(offset_file: Option<PathBuf>) -> ConsumerOptions {
    ConsumerOptions { message_model: MessageModel::Broadcasting { offset_file }, ..options() }
}

fn in_file(path: &Path) -> ConsumerOptions {
    broadcasting(Some(path.to_owned()))
}

/// Offsets that a member has started in a queue, in order.
fn started(cluster: &Cluster, member: &str, at: &MessageQueue) -> Vec<i64> {
    let entries = cluster.entries().into_iter();
    let offsets = entries.filter_map(|(_, entry)| match entry {
        Entry::Started { client, queue, offset, .. } if client == member && queue == *at => Some(offset),
        _ => None,
    });
    offsets.collect()
}

/// What the file says of a queue.
fn stored(path: &Path, at: &MessageQueue) -> Option<i64> {
    let content: serde_json::Value = serde_json::from_slice(&files::read(path).unwrap()?).unwrap();
    assert_eq!((&content["version"], &content["group"]), (&1.into(), &GROUP.into()));
    let offsets = content["offsets"].as_array().unwrap();
    let entry = offsets.iter().find(|entry| {
        (&entry["topic"], &entry["brokerName"], &entry["queueId"])
            == (&at.topic.as_str().into(), &at.broker_name.as_str().into(), &at.queue_id.into())
    });
    entry?["offset"].as_i64()
}

/// That nobody has asked a broker for a lock, or told it an offset.
fn assert_brokers_keep_nothing(cluster: &Cluster) {
    for (_, entry) in cluster.entries() {
        let is_kept = matches!(
            entry,
            Entry::Locked { .. }
                | Entry::Refused { .. }
                | Entry::UnlockSent { .. }
                | Entry::CommitSent { .. }
                | Entry::DeadLetter { .. }
        );
        assert!(!is_kept, "{entry:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_member_handles_everything_in_order_and_asks_for_no_lock() {
    let cluster = Cluster::new(&["a", "b"], 2);
    let queues = [queue("orders", "a", 0), queue("orders", "a", 1), queue("orders", "b", 0), queue("orders", "b", 1)];
    for at in &queues {
        cluster.send(at, 50);
    }
    let first = Member::start("c1", &cluster, broadcasting(None), succeeds(3)).await;
    let second = Member::start("c2", &cluster, broadcasting(None), succeeds(5)).await;
    let all: Vec<i64> = (0..50).collect();
    until("all handled by both", || {
        queues.iter().all(|at| started(&cluster, "c1", at) == all && started(&cluster, "c2", at) == all)
    })
    .await;
    for member in [&first, &second] {
        assert_eq!(member.consumer.assignment().len(), 4);
        until("no lag", || member.consumer.stats().lag == 0).await;
        assert!(member.consumer.health().problems.is_empty(), "{:?}", member.consumer.health().problems);
    }
    // What comes and goes changes nobody's queues.
    first.close().await;
    for at in &queues {
        cluster.send(at, 1);
    }
    until("the rest", || queues.iter().all(|at| started(&cluster, "c2", at).len() == 51)).await;
    second.close().await;
    assert_brokers_keep_nothing(&cluster);
    assert!(events(&cluster, "\"lockLost\"").is_empty());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_say_so_and_leave_the_retry_topic_out() {
    let cluster = Cluster::new(&["a"], 1);
    let member = Member::start("c1", &cluster, broadcasting(None), succeeds(1)).await;
    let said = member.line.registration().unwrap();
    assert!(said.broadcasting);
    assert_eq!(said.subscriptions.iter().map(|it| it.topic.as_str()).collect::<Vec<_>>(), ["orders"]);
    let answer =
        member.line.asked(Push::RunningInfo { group: GROUP.into(), client_id: "c1".into(), jstack: false }).await;
    let info = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(info.contains("\"messageModel\":\"BROADCASTING\"") && !info.contains("\"locked\":true"), "{info}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_message_holds_its_queue_and_one_that_is_given_up_is_skipped_loudly() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 4);
    let handler: Handler = Arc::new(|delivery| {
        let outcome = match delivery.message.queue_offset {
            1 => Outcome::Later,
            2 => Outcome::DeadLetter,
            _ => Outcome::Success,
        };
        (Duration::from_millis(1), outcome)
    });
    let mut patient = broadcasting(None);
    let member = Member::start("c1", &cluster, patient.clone(), Arc::clone(&handler)).await;
    until("tried again", || started(&cluster, "c1", &at).len() == 6).await;
    assert_eq!(started(&cluster, "c1", &at), [0, 1, 1, 1, 1, 1], "nothing overtakes it");
    until("held", || member.consumer.assignment()[0].state == "suspended").await;
    member.close().await;

    patient.max_reconsume_times = Some(2);
    let member = Member::start("c2", &cluster, patient, handler).await;
    until("all of it", || started(&cluster, "c2", &at).last() == Some(&3)).await;
    assert_eq!(started(&cluster, "c2", &at), [0, 1, 1, 1, 2, 3]);
    let told = events(&cluster, "is given up");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("offset 1 of orders@a:0") && told[0].contains("attempt 3"), "{}", told[0]);
    assert!(told[1].contains("offset 2 of orders@a:0") && told[1].contains("\"type\":\"warning\""), "{}", told[1]);
    until("consumed", || member.consumer.stats().consumed == 2).await;
    let stats = member.consumer.stats();
    assert_eq!((stats.skipped, stats.dead_lettered, stats.failed), (2, 0, 4));
    assert_brokers_keep_nothing(&cluster);
}

#[tokio::test(start_paused = true)]
async fn without_a_file_every_start_begins_where_it_is_told() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 5);
    // Of when the group was a clustering one.
    cluster.set_committed(&at, 3);
    for client in ["c1", "c2"] {
        let member = Member::start(client, &cluster, broadcasting(None), succeeds(1)).await;
        until("all handled", || started(&cluster, client, &at) == [0, 1, 2, 3, 4]).await;
        member.close().await;
    }
    let last = ConsumerOptions { initial_position: InitialPosition::Last, ..broadcasting(None) };
    let _member = Member::start("c3", &cluster, last, succeeds(1)).await;
    cluster.send(&at, 1);
    until("the new one", || started(&cluster, "c3", &at) == [5]).await;
}

#[tokio::test(start_paused = true)]
async fn with_a_file_the_next_process_goes_on_where_this_one_has_ended() {
    let folder = Folder::new();
    let path = folder.0.join("offsets.json");
    let cluster = Cluster::new(&["a"], 2);
    let (at, other) = (queue("orders", "a", 0), queue("orders", "a", 1));
    cluster.send(&at, 100);
    let member = Member::start("c1", &cluster, in_file(&path), succeeds(100)).await;
    until("handled for a while", || started(&cluster, "c1", &at).len() == 40).await;
    let kept = stored(&path, &at).unwrap();
    assert!((20..40).contains(&kept), "written every second: {kept}");
    assert_eq!(member.consumer.assignment()[0].committed_offset, Some(kept), "committed is what would outlast us");
    member.close().await;
    let reached = i64::try_from(started(&cluster, "c1", &at).len()).unwrap();
    assert_eq!((stored(&path, &at), stored(&path, &other)), (Some(reached), Some(0)));

    cluster.send(&other, 1);
    // The file counts, and not the initial position.
    let last = ConsumerOptions { initial_position: InitialPosition::Last, ..in_file(&path) };
    let member = Member::start("c2", &cluster, last.clone(), succeeds(1)).await;
    until("the rest", || started(&cluster, "c2", &at).last() == Some(&99)).await;
    assert_eq!(started(&cluster, "c2", &at), (reached..100).collect::<Vec<_>>(), "nothing again, nothing left out");
    until("the other", || started(&cluster, "c2", &other) == [0]).await;
    member.close().await;
    assert_eq!(stored(&path, &at), Some(100));

    // A topic that the file knows nothing of begins as it is told.
    cluster.set_topic("payments", &["a"], 1);
    let new = queue("payments", "a", 0);
    cluster.send(&new, 3);
    let mut both = last;
    both.subscriptions.push(crate::consumer::Wish { topic: "payments".into(), ..both.subscriptions[0].clone() });
    let _member = Member::start("c3", &cluster, both, succeeds(1)).await;
    cluster.send(&new, 1);
    until("the new one", || started(&cluster, "c3", &new) == [3]).await;
    assert_brokers_keep_nothing(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_certainly_ours_is_refused_and_left_alone() {
    let folder = Folder::new();
    let path = folder.0.join("offsets.json");
    let cluster = Cluster::new(&["a"], 1);
    let foreign = br#"{"format":"rocketmq-orderly offsets","version":1,"group":"GID_other","namespace":null,"written":"","offsets":[]}"#;
    for (content, says) in [
        (&b""[..], "torn"),
        (br#"{"format":"rocketmq-or"#, "torn"),
        (foreign, "belongs to group GID_other"),
        (b"{}", "torn"),
    ] {
        files::replace(&path, content).unwrap();
        let member = Member::new("c1", &cluster, in_file(&path), succeeds(1));
        let error = member.try_start().await.unwrap_err();
        assert_eq!(error.code(), Code::OffsetFile);
        for said in [says, path.to_str().unwrap(), "Nothing was changed"] {
            assert!(error.message().contains(said), "{said}: {}", error.message());
        }
        assert_eq!(files::read(&path).unwrap().unwrap(), content);
    }
    assert!(cluster.state().brokers["a"].members.is_empty(), "no broker has heard of it");
    let nowhere = Member::new("c1", &cluster, in_file(&folder.0.join("nowhere/offsets.json")), succeeds(1));
    let error = nowhere.try_start().await.unwrap_err();
    assert!(error.code() == Code::OffsetFile && error.message().contains("a folder that exists"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn one_consumer_at_a_time_has_the_file() {
    let folder = Folder::new();
    let path = folder.0.join("offsets.json");
    let cluster = Cluster::new(&["a"], 1);
    cluster.send(&queue("orders", "a", 0), 3);
    let first = Member::start("c1", &cluster, in_file(&path), succeeds(1)).await;
    let second = Member::new("c2", &cluster, in_file(&path), succeeds(1));
    let error = second.try_start().await.unwrap_err();
    assert_eq!(error.code(), Code::OffsetFile);
    let process = std::process::id().to_string();
    for said in ["in use by client c1", "GID_test", process.as_str()] {
        assert!(error.message().contains(said), "{said}: {}", error.message());
    }
    first.close().await;
    let third = Member::start("c3", &cluster, in_file(&path), succeeds(1)).await;
    third.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_is_told_once_and_stops_nothing() {
    let folder = Folder::new();
    let path = folder.0.join("offsets.json");
    let cluster = Cluster::new(&["a"], 2);
    let (at, other) = (queue("orders", "a", 0), queue("orders", "a", 1));
    let member = Member::start("c1", &cluster, in_file(&path), succeeds(1)).await;
    let running = || member.consumer.assignment().iter().filter(|queue| queue.state == "running").count();
    until("positioned", || running() == 2).await;
    // Something else is where the new content goes.
    std::fs::create_dir(files::beside(&path, ".new")).unwrap();
    cluster.send(&at, 5);
    cluster.send(&other, 5);
    until("told", || !events(&cluster, "cannot be written").is_empty()).await;
    until("handled", || started(&cluster, "c1", &at).len() == 5 && started(&cluster, "c1", &other).len() == 5).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(events(&cluster, "cannot be written").len(), 1, "once, of all queues");
    let problems = member.consumer.health().problems;
    assert!(matches!(&problems[..], [problem] if problem.code() == Code::OffsetFile), "{problems:?}");
    assert_eq!((stored(&path, &at), member.consumer.stats().lag), (Some(0), 10));
    std::fs::remove_dir(files::beside(&path, ".new")).unwrap();
    until("written", || stored(&path, &at) == Some(5) && stored(&path, &other) == Some(5)).await;
    until("healthy", || member.consumer.health().problems.is_empty()).await;

    std::fs::create_dir(files::beside(&path, ".new")).unwrap();
    cluster.send(&at, 1);
    until("handled", || started(&cluster, "c1", &at).len() == 6).await;
    member.close().await;
    let told = events(&cluster, "close() could not keep the offsets");
    assert!(told.len() == 1 && told[0].contains("offsets.json"), "{told:?}");
    assert_eq!(stored(&path, &at), Some(5), "the old content is whole");
}

#[tokio::test(start_paused = true)]
async fn an_administrators_reset_moves_this_member_and_its_file() {
    let folder = Folder::new();
    let path = folder.0.join("offsets.json");
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 5);
    let member = Member::start("c1", &cluster, in_file(&path), succeeds(1)).await;
    until("all handled", || stored(&path, &at) == Some(5)).await;
    let offsets = vec![(at.clone(), 2)];
    let reset = Push::ResetOffsets { topic: "orders".into(), group: GROUP.into(), timestamp: 0, offsets };
    member.line.push(reset);
    until("again", || started(&cluster, "c1", &at) == [0, 1, 2, 3, 4, 2, 3, 4]).await;
    assert_eq!(events(&cluster, "\"offsetReset\"").len(), 1);
    member.close().await;
    assert_eq!(stored(&path, &at), Some(5));
}

#[tokio::test(start_paused = true)]
async fn neither_a_lost_broker_nor_a_machine_that_slept_takes_a_queue_away() {
    let folder = Folder::new();
    let path = folder.0.join("offsets.json");
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 20);
    let member = Member::start("c1", &cluster, in_file(&path), succeeds(1_000)).await;
    until("some", || started(&cluster, "c1", &at).len() == 3).await;
    cluster.crash("a", 0);
    member.line.wall.fetch_add(3_600_000, Ordering::Relaxed);
    until("what was fetched", || started(&cluster, "c1", &at).len() == 20).await;
    until("kept", || stored(&path, &at) == Some(20)).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    cluster.recover("a");
    cluster.send(&at, 1);
    until("the next", || started(&cluster, "c1", &at).len() == 21).await;
    assert_eq!(started(&cluster, "c1", &at), (0..21).collect::<Vec<_>>());
    assert!(events(&cluster, "\"lockLost\"").is_empty() && events(&cluster, "\"revoked\"").is_empty());
    assert_brokers_keep_nothing(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_set_back_skips_nothing() {
    let folder = Folder::new();
    let path = folder.0.join("offsets.json");
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send_at(&at, 10, 1_000);
    let member = Member::start("c1", &cluster, in_file(&path), succeeds(1)).await;
    until("all handled", || stored(&path, &at) == Some(10)).await;
    member.close().await;
    cluster.renew(&at);
    cluster.send_at(&at, 3, 600_000);
    let _member = Member::start("c2", &cluster, in_file(&path), succeeds(1)).await;
    until("all of the new store", || started(&cluster, "c2", &at) == [0, 1, 2]).await;
    assert!(events(&cluster, "\"offsetReset\"")[0].contains("store-set-back"));
    until("kept", || stored(&path, &at) == Some(3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_decoded_is_passed_for_this_member_alone() {
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.store(&at, Stored { damaged: true, ..plain(b"bits rot") });
    cluster.send(&at, 1);
    let skipping = ConsumerOptions { on_undecodable: OnUndecodable::Skip, ..broadcasting(None) };
    let _first = Member::start("c1", &cluster, skipping, succeeds(1)).await;
    let _second = Member::start("c2", &cluster, broadcasting(None), succeeds(1)).await;
    until("passed", || started(&cluster, "c1", &at) == [1]).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(started(&cluster, "c2", &at).is_empty(), "it holds the other's queue");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlives_close_is_told_and_its_message_comes_again() {
    let folder = Folder::new();
    let path = folder.0.join("offsets.json");
    let cluster = Cluster::new(&["a"], 1);
    let at = queue("orders", "a", 0);
    cluster.send(&at, 3);
    let stuck: Handler = Arc::new(|delivery| {
        let time = if delivery.message.queue_offset == 1 { 600 } else { 0 };
        (Duration::from_secs(time), Outcome::Success)
    });
    let member = Member::start("c1", &cluster, in_file(&path), stuck).await;
    until("stuck", || started(&cluster, "c1", &at) == [0, 1]).await;
    member.close().await;
    let told = events(&cluster, "still runs at the end of close()");
    assert!(told.len() == 1 && told[0].contains("comes again") && !told[0].contains("unlocked"), "{told:?}");
    assert_eq!(stored(&path, &at), Some(1));
    let next = Member::start("c2", &cluster, in_file(&path), succeeds(1)).await;
    until("the rest", || started(&cluster, "c2", &at) == [1, 2]).await;
    next.close().await;
}

#[tokio::test(start_paused = true)]
async fn members_whose_models_differ_are_told_on_both_sides() {
    let cluster = Cluster::new(&["a"], 2);
    let first = Member::start("c1", &cluster, broadcasting(None), succeeds(1)).await;
    let second = Member::start("c2", &cluster, options(), succeeds(1)).await;
    until("told", || events(&cluster, "ERR_ROCKETMQ_MESSAGE_MODEL").len() == 2).await;
    let told = events(&cluster, "ERR_ROCKETMQ_MESSAGE_MODEL");
    assert!(
        told.iter().any(|it| it.contains("member c2 of group GID_test is clustering, this consumer is broadcasting"))
    );
    assert!(
        told.iter().any(|it| it.contains("member c1 of group GID_test is broadcasting, this consumer is clustering"))
    );
    let is_shown =
        |member: &Member| member.consumer.health().problems.iter().any(|problem| problem.code() == Code::MessageModel);
    assert!(is_shown(&first) && is_shown(&second));
    first.close().await;
    until("over", || !is_shown(&second)).await;
}
