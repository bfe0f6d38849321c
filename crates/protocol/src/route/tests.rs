use super::{MAX_BROKERS, RouteError, TopicRoute};

fn parse(text: &str) -> TopicRoute {
    TopicRoute::parse(text.as_bytes()).unwrap()
}

fn queue(broker: &str, read: i32, write: i32, perm: i32) -> String {
    format!(
        r#"{{"brokerName":"{broker}","perm":{perm},"readQueueNums":{read},"topicSysFlag":0,"writeQueueNums":{write}}}"#
    )
}

fn broker(name: &str, addresses: &str) -> String {
    format!(r#"{{"brokerAddrs":{{{addresses}}},"brokerName":"{name}","cluster":"C"}}"#)
}

fn route(queues: &[String], brokers: &[String]) -> String {
    format!(r#"{{"brokerDatas":[{}],"filterServerTable":{{}},"queueDatas":[{}]}}"#, brokers.join(","), queues.join(","))
}

fn names(queues: Vec<super::MessageQueue>) -> Vec<String> {
    queues.into_iter().map(|queue| format!("{}:{}", queue.broker_name, queue.queue_id)).collect()
}

const STANDARD: &str = r#"{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:30911"},"brokerName":"broker-a","cluster":"DefaultCluster"}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#;
const OLD: &str = r#"{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:30911"},"brokerName":"broker-a","cluster":"DefaultCluster"}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":7,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}"#;
const ORDERED_5_5: &str = r#"{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:32886"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"orderTopicConf":"broker-a:4;broker-b:2","queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#;

#[test]
fn real_routes_are_read() {
    for (text, queues) in [(STANDARD, 4), (OLD, 8)] {
        let route = parse(text);
        assert_eq!(route.write_queues("t").len(), queues);
        assert_eq!(route.read_queues("t").len(), queues);
        assert_eq!(route.master_of("broker-a"), Some("127.0.0.1:30911"));
        assert_eq!(route.master_of("broker-b"), None);
        assert_eq!(route.broker_datas[0].cluster, "DefaultCluster");
    }
}

#[test]
fn an_order_conf_fixes_the_list_whatever_is_up() {
    let route = parse(ORDERED_5_5);
    let expected = ["broker-a:0", "broker-a:1", "broker-a:2", "broker-a:3", "broker-b:0", "broker-b:1"];
    assert_eq!(names(route.write_queues("t")), expected);
    assert_eq!(route.read_queues("t").len(), 4);
    let backwards = parse(&ORDERED_5_5.replace("broker-a:4;broker-b:2", " broker-b:1; broker-a:1;"));
    assert_eq!(names(backwards.write_queues("t")), ["broker-b:0", "broker-a:0"]);
    for conf in ["broker-a", "broker-a:", "broker-a:x"] {
        let text = ORDERED_5_5.replace("broker-a:4;broker-b:2", conf);
        assert!(matches!(TopicRoute::parse(text.as_bytes()), Err(RouteError::Malformed(_))), "{conf}");
    }
    assert_eq!(parse(&ORDERED_5_5.replace("broker-a:4;broker-b:2", "")).write_queues("t").len(), 4);
}

#[test]
fn lists_are_in_javas_order_and_masters_only_for_writing() {
    let queues = ["broker-b", "broker-2", "broker-a", "broker-10", "lonely"].map(|name| queue(name, 1, 2, 6));
    let brokers = [
        broker("broker-a", r#""0":"a:1","1":"a:2""#),
        broker("broker-10", r#"1:"ten:2""#),
        broker("broker-b", r#"1:"b:2",0:"b:1""#),
        broker("broker-2", r#"0:"[::1]:1""#),
    ];
    let route = parse(&route(&queues, &brokers));
    assert_eq!(
        names(route.write_queues("t")),
        ["broker-2:0", "broker-2:1", "broker-a:0", "broker-a:1", "broker-b:0", "broker-b:1"]
    );
    assert_eq!(names(route.read_queues("t")), ["broker-10:0", "broker-2:0", "broker-a:0", "broker-b:0", "lonely:0"]);
    let mut sorted = route.write_queues("t");
    sorted.sort();
    assert_eq!(sorted, route.write_queues("t"));
    assert_eq!(route.brokers().count(), 6);
    assert_eq!(
        route.masters().collect::<Vec<_>>(),
        [("broker-2", "[::1]:1"), ("broker-a", "a:1"), ("broker-b", "b:1")]
    );
}

#[test]
fn permissions_and_counts_are_separate_for_reading_and_writing() {
    let brokers = [broker("b", "0:\"x:1\"")];
    let counts = |perm| {
        let route = parse(&route(&[queue("b", 8, 4, perm)], &brokers));
        (route.read_queues("t").len(), route.write_queues("t").len())
    };
    assert_eq!([6, 7, 4, 2, 0, 1].map(counts), [(8, 4), (8, 4), (8, 0), (0, 4), (0, 0), (0, 0)]);
}

#[test]
fn equal_routes_in_another_order_are_equal() {
    let queues = [queue("a", 1, 1, 6), queue("b", 2, 2, 6)];
    let brokers = [broker("a", r#""0":"a:1""#), broker("b", r#""0":"b:1","1":"b:2""#)];
    let turned = [broker("b", r#"1:"b:2",0:"b:1""#), broker("a", r#"0:"a:1""#)];
    assert_eq!(parse(&route(&queues, &brokers)), parse(&route(&[queues[1].clone(), queues[0].clone()], &turned)));
}

#[test]
fn missing_null_and_unknown_members_are_tolerated() {
    for text in [
        "{}",
        r#"{"brokerDatas":null,"queueDatas":null,"orderTopicConf":null,"topicQueueMappingByBroker":null,"x":{1:{}}}"#,
        r#"{"topicQueueMappingByBroker":{}}"#,
    ] {
        assert_eq!(parse(text), TopicRoute::default(), "{text}");
    }
    let odd = r#"{"queueDatas":[{"brokerName":"\u4e2d","readQueueNums":"2","writeQueueNums":-1,"perm":"6","zoneName":null}],
        "brokerDatas":[{"brokerName":"\u4e2d","brokerAddrs":{"0":null,"7":"s:1"}},{"brokerName":"x","brokerAddrs":null}]}"#;
    let route = parse(odd);
    assert_eq!((route.read_queues("t").len(), route.write_queues("t").len()), (2, 0));
    assert_eq!((route.master_of("中"), route.brokers().collect::<Vec<_>>()), (None, vec![("中", 7, "s:1")]));
}

#[test]
fn static_topics_are_detected() {
    let mapped = STANDARD.replacen('{', r#"{"topicQueueMappingByBroker":{"broker-a":{"totalQueues":4}},"#, 1);
    assert_eq!(TopicRoute::parse(mapped.as_bytes()), Err(RouteError::StaticTopic));
    let logical = STANDARD.replace("broker-a", "__syslo__global__");
    assert_eq!(TopicRoute::parse(logical.as_bytes()), Err(RouteError::StaticTopic));
}

#[test]
fn what_no_cluster_has_is_out_of_bounds() {
    let queues = Err(RouteError::Bounds("the number of queues"));
    let parse = |text: String| TopicRoute::parse(text.as_bytes()).map(|_| ());
    assert_eq!(parse(route(&[queue("a", 65_536, 65_536, 6)], &[])), Ok(()));
    assert_eq!(parse(route(&[queue("a", 65_537, 1, 6)], &[])), queues);
    assert_eq!(parse(route(&[queue("a", 1, 65_536, 6), queue("b", 1, 1, 6)], &[])), queues);
    assert_eq!(parse(route(&vec![queue("a", i32::MAX, 1, 6); 4], &[])), queues);
    assert_eq!(parse(ORDERED_5_5.replace("broker-b:2", "broker-b:65536")), queues);
    let brokers = Err(RouteError::Bounds("the number of brokers"));
    assert_eq!(parse(route(&[], &vec![broker("a", ""); MAX_BROKERS])), Ok(()));
    assert_eq!(parse(route(&[], &vec![broker("a", ""); MAX_BROKERS + 1])), brokers);
    assert_eq!(parse(route(&vec![queue("a", 1, 1, 6); MAX_BROKERS + 1], &[])), brokers);
    let addresses = (0..=MAX_BROKERS).map(|id| format!("{id}:\"a:1\"")).collect::<Vec<_>>().join(",");
    assert_eq!(parse(route(&[], &[broker("a", &addresses)])), brokers);
    let names = Err(RouteError::Bounds("the length of a name"));
    let (longest, longer) = ("n".repeat(255), "n".repeat(256));
    assert_eq!(parse(route(&[queue(&longest, 1, 1, 6)], &[broker(&longest, "")])), Ok(()));
    assert_eq!(parse(route(&[queue(&longer, 1, 1, 6)], &[])), names);
    assert_eq!(parse(route(&[], &[broker(&longer, "")])), names);
    let address = format!("0:\"{}:10911\"", "h".repeat(256));
    assert_eq!(parse(route(&[], &[broker("a", &address)])), Err(RouteError::Bounds("the length of an address")));
}

#[test]
fn what_is_no_route_is_refused() {
    for text in [
        "",
        "[]",
        "null",
        r#"{"queueDatas":{}}"#,
        r#"{"queueDatas":[1]}"#,
        r#"{"queueDatas":[{"brokerName":"a","perm":"x"}]}"#,
        r#"{"queueDatas":[{"brokerName":"a","readQueueNums":99999999999}]}"#,
        r#"{"brokerDatas":[{"brokerName":null}]}"#,
        r#"{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"x":"a:1"}}]}"#,
    ] {
        assert!(matches!(TopicRoute::parse(text.as_bytes()), Err(RouteError::Malformed(_))), "{text}");
    }
}
