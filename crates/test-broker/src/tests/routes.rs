//! Routes, servers that come and go, and frames.

use super::*;
use crate::protocol::{GetClusters, Request};

#[tokio::test]
async fn routes_are_told_and_queues_spread() {
    let test = start(TestBrokerOptions {
        topics: Some(vec![("t".into(), 5), ("one".into(), 1)]),
        brokers: 2,
        ..Default::default()
    })
    .await;
    let mut names = Raw::connect(&test.name_server()).await;
    let route = names.call(plain(105, &[("topic", "t")])).await;
    let route = TopicRoute::parse(&route.body).unwrap();
    let queues: Vec<_> = route.write_queues("t").iter().map(ToString::to_string).collect();
    assert_eq!(queues, ["t@broker-a:0", "t@broker-a:1", "t@broker-a:2", "t@broker-b:0", "t@broker-b:1"]);
    assert_eq!(route.masters().map(|(_, address)| address).collect::<Vec<_>>(), test.brokers());
    let one = TopicRoute::parse(&names.call(plain(105, &[("topic", "one")])).await.body).unwrap();
    assert_eq!(one.broker_datas.len(), 1);
    assert_eq!(names.call(plain(105, &[("topic", "none")])).await.code, 17);
    let mut old = plain(105, &[("topic", "t")]);
    old.version = 399;
    assert!(
        String::from_utf8_lossy(&names.call(old).await.body).contains("{0:\"127.0.0.1:"),
        "bare ids for old clients"
    );
    test.close().await.unwrap();
}

#[tokio::test]
async fn unknown_codes_are_answered_by_all_but_the_old_name_server() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        assert_eq!(broker_of(&test).await.call(plain(9999, &[])).await.code, 3);
        let mut names = Raw::connect(&test.name_server()).await;
        names.write(plain(9999, &[]), Codec::Json).await;
        let known = names.write(plain(105, &[("topic", "t")]), Codec::Json).await;
        let (first, _) = names.read().await.unwrap();
        assert_eq!(first.opaque == known, release == Release::V4);
    }
}

#[tokio::test]
async fn routes_change_and_brokers_leave_them() {
    for release in BOTH {
        let test = start(TestBrokerOptions { brokers: 2, time_factor: 1.0, ..with_topic(release) }).await;
        let mut names = Raw::connect(&test.name_server()).await;
        test.create_topic("t", 6, Perm::Read).unwrap();
        let route = TopicRoute::parse(&names.call(plain(105, &[("topic", "t")])).await.body).unwrap();
        assert_eq!((route.read_queues("t").len(), route.write_queues("t").len()), (6, 0));
        test.stop_broker(1).await.unwrap();
        let route = TopicRoute::parse(&names.call(plain(105, &[("topic", "t")])).await.body).unwrap();
        assert_eq!(route.broker_datas.len(), if release == Release::V5 { 1 } else { 2 }, "4.9 lingers for 2 s");
        test.start_broker(1, Keep::All).await.unwrap();
        let route = TopicRoute::parse(&names.call(plain(105, &[("topic", "t")])).await.body).unwrap();
        assert_eq!(route.broker_datas.len(), 2);
        test.stop_name_server().await.unwrap();
        assert!(names.read().await.is_none());
        test.start_name_server().await.unwrap();
        let mut names = Raw::connect(&test.name_server()).await;
        assert_eq!(names.call(plain(105, &[("topic", "t")])).await.code, 17, "no broker has registered yet");
        test.stop_broker(0).await.unwrap();
        test.start_broker(0, Keep::All).await.unwrap();
        assert_eq!(names.call(plain(105, &[("topic", "t")])).await.code, 0, "one that starts registers at once");
    }
}

#[tokio::test]
async fn a_name_server_that_is_started_again_knows_nothing_until_the_brokers_register() {
    let test = start(TestBrokerOptions { time_factor: 0.05, ..with_topic(Release::V5) }).await;
    test.stop_name_server().await.unwrap();
    test.start_name_server().await.unwrap();
    let mut names = Raw::connect(&test.name_server()).await;
    let clusters = names.call(plain(106, &[])).await;
    assert_eq!(GetClusters::decode(clusters).unwrap(), Vec::<String>::new());
    while names.call(plain(105, &[("topic", "t")])).await.code == 17 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let clusters = names.call(plain(106, &[])).await;
    assert_eq!(GetClusters::decode(clusters).unwrap(), ["DefaultCluster"]);
}

#[tokio::test]
async fn order_confs_show_when_they_are_enabled() {
    let test = start(with_topic(Release::V5)).await;
    let mut names = Raw::connect(&test.name_server()).await;
    let conf = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "t"), ("value", "broker-a:4;broker-b:4")];
    assert_eq!(names.call(plain(101, &conf[..2])).await.code, 22);
    names.call(plain(100, &conf)).await;
    let shown = |body: &[u8]| TopicRoute::parse(body).unwrap().order_topic_conf;
    assert_eq!(shown(&names.call(plain(105, &[("topic", "t")])).await.body), None);
    let mut enable = plain(318, &[]);
    enable.body = Bytes::from_static(b"orderMessageEnable=true");
    names.call(enable).await;
    assert_eq!(shown(&names.call(plain(105, &[("topic", "t")])).await.body).as_deref(), Some("broker-a:4;broker-b:4"));
}

/// What the name server says of the topic.
async fn shown(names: &mut Raw) -> TopicRoute {
    TopicRoute::parse(&names.call(plain(105, &[("topic", "t")])).await.body).unwrap()
}

#[tokio::test]
async fn a_list_of_queues_is_fixed_until_it_is_taken_back() {
    let test = start(with_topic(Release::V5)).await;
    let mut names = Raw::connect(&test.name_server()).await;
    let unfixed = shown(&mut names).await;
    assert_eq!(unfixed.order_topic_conf, None);
    for conf in ["broker-a:2", "broker-a:3"] {
        test.fix_queues("t", Some(conf.into())).unwrap();
        assert_eq!(shown(&mut names).await.order_topic_conf.as_deref(), Some(conf));
    }
    test.fix_queues("t", None).unwrap();
    assert_eq!(shown(&mut names).await, unfixed);
}

#[tokio::test]
async fn kept_routes_hear_of_nothing_new() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let mut names = Raw::connect(&test.name_server()).await;
        let before = shown(&mut names).await;
        test.keep_routes(true).unwrap();
        test.create_topic("new", 1, Perm::default()).unwrap();
        test.resize_topic("t", 8, 8, Perm::ReadWrite).unwrap();
        test.stop_broker(0).await.unwrap();
        assert_eq!(shown(&mut names).await, before);
        assert_eq!(names.call(plain(105, &[("topic", "new")])).await.code, 17);
        test.start_broker(0, Keep::All).await.unwrap();
        test.keep_routes(false).unwrap();
        assert_ne!(shown(&mut names).await, before);
        assert_eq!(names.call(plain(105, &[("topic", "new")])).await.code, 0);
    }
}

#[tokio::test]
async fn a_broker_that_starts_elsewhere_has_its_disk_and_another_address() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let mut names = Raw::connect(&test.name_server()).await;
        broker_of(&test).await.ask(&send("t", 0, b"x", "")).await;
        let old = test.brokers();
        test.start_broker_elsewhere(0, Keep::All).await.unwrap();
        assert_eq!(test.brokers(), old, "it runs");
        test.stop_broker(0).await.unwrap();
        // Nobody gets its port before it has another.
        let held = env::listen(old[0].rsplit(':').next().unwrap().parse().unwrap()).await.unwrap();
        test.start_broker_elsewhere(0, Keep::Stored).await.unwrap();
        drop(held);
        assert_ne!(test.brokers(), old);
        let route = names.call(plain(105, &[("topic", "t")])).await;
        assert!(String::from_utf8_lossy(&route.body).contains(&test.brokers()[0]));
        let mut moved = broker_of(&test).await;
        assert_eq!(moved.ask(&send("t", 0, b"y", "")).await.queue_offset, 1);
        assert_eq!(test.messages("t").unwrap().len(), 2);
    }
}

#[tokio::test]
async fn broken_frames_end_the_connection_without_a_word() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        for bytes in [
            &b"\x00\x00\x00\x00aaaaaaaaaaaa"[..],
            b"\x7f\xff\xff\xff\x00\x00\x00\x00aaaa",
            b"\x00\x00\x00\x0a\x07\x00\x00\x01aaaaaa",
        ] {
            let mut raw = broker_of(&test).await;
            raw.socket.write_all(bytes).await.unwrap();
            assert!(raw.read().await.is_none());
        }
        let mut proxied = broker_of(&test).await;
        proxied.socket.write_all(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n").await.unwrap();
        proxied.write(plain(38, &[("consumerGroup", "x")]), Codec::Json).await;
        assert_eq!(proxied.read().await.is_some(), release == Release::V5);
    }
}

#[tokio::test]
async fn a_graceful_stop_sends_newer_clients_away() {
    let test = start(with_topic(Release::V5)).await;
    test.create_group("G").unwrap();
    let mut raw = broker_of(&test).await;
    let mut settings = plain(25, &[]);
    settings.body = Bytes::from_static(b"enableShutdownGracefully=true\nshutdownWaitTimeSeconds=200\n");
    assert_eq!(raw.call(settings).await.code, 0);
    let asking = async {
        let mut newer = commit("G", 1).command();
        newer.version = 476;
        // Until the stop has begun.
        while raw.call(newer.clone()).await.code != 1500 {
            tokio::task::yield_now().await;
        }
        assert_eq!(raw.call(commit("G", 1).command()).await.code, 0, "409 is served");
    };
    let (stopped, ()) = tokio::join!(test.stop_broker(0), asking);
    stopped.unwrap();
}

#[tokio::test]
async fn a_used_port_and_a_closed_broker_are_named() {
    let test = start(TestBrokerOptions::default()).await;
    let port = test.name_server().rsplit(':').next().unwrap().parse().unwrap();
    let error = TestBroker::start(TestBrokerOptions { port, ..Default::default() }).await.unwrap_err();
    assert!(error.message().contains("is in use"), "{error}");
    test.close().await.unwrap();
    test.close().await.unwrap();
    assert_eq!(test.reset_offset("G", "t", Position::Offset(0)).unwrap_err().code(), crate::error::Code::Closed);
    let again = start(TestBrokerOptions { port, ..Default::default() }).await;
    again.close().await.unwrap();
}
