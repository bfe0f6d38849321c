//! Registrations, locks, offsets of groups.

use super::*;

#[tokio::test]
async fn registrations_belong_to_their_connection() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let (mut first, mut second) = (broker_of(&test).await, broker_of(&test).await);
        let registered = Pull { expression: None, sub_version: 5, ..pull(0, 0, "*") };
        assert_eq!(first.call(registered.command()).await.code, 24);
        let answer = first.heartbeat("c1", "G", "t", "*", 5).await;
        assert_eq!(answer.version, release.version());
        assert_eq!(answer.fields.get("IS_SUB_CHANGE").is_some(), release == Release::V5);
        assert_eq!(
            first.pushes.iter().map(|push| push.code).collect::<Vec<_>>(),
            [40],
            "told of itself, before the answer"
        );
        assert_eq!(first.call(registered.command()).await.code, 19);
        assert_eq!(first.call(Pull { sub_version: 6, ..registered.clone() }.command()).await.code, 25);
        second.heartbeat("c2", "G", "t", "*", 5).await;
        assert_eq!(test.members("G").unwrap(), ["c1", "c2"]);
        drop(second);
        let (push, _) = first.read().await.unwrap();
        let (left, _) = first.read().await.unwrap();
        assert_eq!((push.code, left.code), (40, 40), "one for the coming, one for the going");
        let listed = first.call(plain(38, &[("consumerGroup", "G")])).await;
        assert_eq!(&listed.body[..], br#"{"consumerIdList":["c1"]}"#);
        assert_eq!(first.call(plain(38, &[("consumerGroup", "other")])).await.code, 1);
        let mut names = Raw::connect(&test.name_server()).await;
        assert_eq!(names.call(plain(105, &[("topic", "%RETRY%G")])).await.code, 0);
    }
}

#[tokio::test]
async fn unknown_groups_where_none_are_made() {
    for release in BOTH {
        let test = start(TestBrokerOptions { groups: Some(vec!["G".into()]), ..with_topic(release) }).await;
        let mut raw = broker_of(&test).await;
        assert_eq!(raw.heartbeat("c1", "other", "t", "*", 1).await.code, 0);
        assert_eq!(test.members("other").unwrap().is_empty(), release == Release::V5);
        let other = Pull { group: "other".into(), ..pull(0, 0, "*") };
        assert_eq!(raw.call(other.command()).await.code, 26);
        assert_eq!(raw.call(commit("other", 1).command()).await.code, if release == Release::V5 { 26 } else { 0 });
    }
}

#[tokio::test]
async fn new_groups_are_told_offset_0() {
    for (release, empty, unknown) in [(Release::V4, Some(0), Some(0)), (Release::V5, None, None)] {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        assert_eq!(raw.ask(&query("G", "t", 0)).await, empty);
        assert_eq!(raw.ask(&query("G", "none", 0)).await, unknown);
        raw.ask(&send("t", 0, b"x", "")).await;
        raw.ask(&pull(0, 1000, "*")).await;
        assert_eq!(raw.ask(&query("G", "t", 0)).await, Some(0));
        for offset in [5, 3, 1 << 40] {
            raw.ask(&commit("G", offset)).await;
            assert_eq!(raw.ask(&query("G", "t", 0)).await, Some(offset));
        }
    }
}

#[tokio::test]
async fn locks_survive_their_connection_but_no_restart() {
    let test = start(TestBrokerOptions { time_factor: 1.0, ..with_topic(Release::V5) }).await;
    test.create_group("G").unwrap();
    let queues = vec![MessageQueue::new("t", "broker-a", 0)];
    let lock = |client: &str| LockQueues { client_id: client.into(), group: "G".into(), queues: queues.clone() };
    let mut first = broker_of(&test).await;
    assert_eq!(first.ask(&lock("c1")).await, queues);
    drop(first);
    let mut second = broker_of(&test).await;
    assert_eq!(second.ask(&lock("c2")).await, []);
    second.ask(&UnlockQueues { client_id: "c2".into(), group: "G".into(), queues: queues.clone() }).await;
    assert_eq!(second.ask(&lock("c2")).await, [], "unlocking another's is a silent no-op");
    second.ask(&commit("G", 7)).await;
    test.stop_broker(0).await.unwrap();
    assert!(second.read().await.is_none(), "all sockets are closed");
    test.start_broker(0, Keep::Stored).await.unwrap();
    let mut third = broker_of(&test).await;
    assert_eq!(third.ask(&lock("c2")).await, queues);
    assert_eq!(third.ask(&query("G", "t", 0)).await, None, "the last 5 s of offsets are gone");
}

#[tokio::test]
async fn stolen_and_forgotten_locks() {
    let test = start(TestBrokerOptions { time_factor: 1.0, ..with_topic(Release::V5) }).await;
    let mut raw = broker_of(&test).await;
    let queues = vec![MessageQueue::new("t", "broker-a", 0)];
    let lock = LockQueues { client_id: "c1".into(), group: "G".into(), queues: queues.clone() };
    assert_eq!(raw.ask(&lock).await, queues);
    test.steal_locks("G", None).unwrap();
    assert_eq!(raw.ask(&lock).await, []);
    assert_eq!(test.locks("G").unwrap().len(), 1);
    test.forget_locks().unwrap();
    assert_eq!(raw.ask(&lock).await, queues);
}
