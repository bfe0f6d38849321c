use bytes::Bytes;

use super::{
    CheckClientConfig, CommitOffset, CommitOutcome, ConsumeFrom, ConsumerData, ConsumerList, GetRoute, Heartbeat,
    LockQueues, MaxOffset, MinOffset, Pull, PullStatus, QueryOffset, SearchOffset, SendBatch, SendMessage,
    StoredStatus, UnlockQueues, Unregister,
};
use crate::command::{Command, Fields};
use crate::queue::MessageQueue;
use crate::request::{Refusal, Request, ResponseError};
use crate::subscription::{ExpressionKind, Subscription};

fn answer(code: i32, fields: &[(&'static str, &str)], remark: Option<&str>, body: &str) -> Command {
    let request = Command::request(0, Fields::new(), Bytes::new());
    let response = request.respond(code, remark.map(str::to_owned), Bytes::copy_from_slice(body.as_bytes()));
    Command { fields: fields.iter().copied().collect(), version: 513, ..response }
}

fn ok(fields: &[(&'static str, &str)], body: &str) -> Command {
    answer(0, fields, None, body)
}

fn wire<R: Request>(request: &R) -> (i32, String, Bytes) {
    let command = request.command();
    let fields: Vec<_> = command.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (command.code, fields.join(" "), command.body)
}

fn refused<R: Request<Response: std::fmt::Debug>>(code: i32) {
    let expected = ResponseError::Refused(Refusal { code, remark: "no".into() });
    assert_eq!(R::decode(answer(code, &[], Some("no"), "")).unwrap_err(), expected);
}

fn lock() -> LockQueues {
    let queues = vec![MessageQueue::new("orders", "broker-a", 0)];
    LockQueues { client_id: "10.0.0.1@4242#77".into(), group: "GID_test".into(), queues }
}

fn send() -> SendMessage {
    SendMessage {
        producer_group: "PG".into(),
        topic: "orders".into(),
        broker_name: "broker-a".into(),
        queue_id: 2,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 0,
        properties: "WAIT\u{1}true\u{2}".into(),
        reconsume_times: 0,
        max_reconsume_times: None,
        body: Bytes::from_static(b"hello"),
    }
}

#[test]
fn a_route_may_be_missing() {
    let request = GetRoute { topic: "orders".into() };
    assert_eq!(wire(&request), (105, "topic=orders acceptStandardJsonOnly=true".into(), Bytes::new()));
    assert_eq!(GetRoute::decode(answer(17, &[], Some("No topic route info"), "")), Ok(None));
    assert_eq!(GetRoute::decode(ok(&[], "{}")).unwrap().unwrap().queue_datas, []);
    assert!(matches!(GetRoute::decode(ok(&[], "x")), Err(ResponseError::Malformed(_))));
    refused::<GetRoute>(1);
}

#[test]
fn a_send_has_all_fields_a_broker_and_a_proxy_want() {
    let fields =
        "a=PG b=orders c=TBW102 d=4 e=2 f=0 g=1700000000000 h=0 i=WAIT\u{1}true\u{2} j=0 k=false m=false n=broker-a";
    assert_eq!(wire(&send()), (310, fields.into(), Bytes::from_static(b"hello")));
    let handed_off = SendMessage { reconsume_times: 4, max_reconsume_times: Some(3), ..send() };
    assert!(wire(&handed_off).1.contains("j=4 k=false l=3 m=false"));
}

#[test]
fn ipv6_bits_never_reach_a_send() {
    for (given, sent) in [(0x30, "f=0"), (0x331, "f=769"), (0xC0 | 0x101, "f=257"), (-1, "f=1793")] {
        let fields = wire(&SendMessage { sys_flag: given, ..send() }).1;
        assert!(fields.split(' ').any(|field| field == sent), "{fields}");
    }
}

#[test]
fn a_batch_carries_only_wait_in_its_header() {
    let batch = SendBatch {
        producer_group: "PG".into(),
        topic: "orders".into(),
        broker_name: "broker-a".into(),
        queue_id: 2,
        born_timestamp: 1,
        body: Bytes::from_static(b"entries"),
    };
    let fields = "a=PG b=orders c=TBW102 d=4 e=2 f=0 g=1 h=0 i=WAIT\u{1}true j=0 k=false m=true n=broker-a";
    assert_eq!(wire(&batch), (320, fields.into(), Bytes::from_static(b"entries")));
}

#[test]
fn four_codes_mean_stored() {
    let fields = [("queueId", "1"), ("queueOffset", "7"), ("msgId", "A,B"), ("TRACE_ON", "true"), ("MSG_REGION", "R")];
    for (code, status) in [
        (0, StoredStatus::Ok),
        (10, StoredStatus::FlushDiskTimeout),
        (11, StoredStatus::SlaveNotAvailable),
        (12, StoredStatus::FlushSlaveTimeout),
    ] {
        let receipt = SendMessage::decode(answer(code, &fields, None, "")).unwrap();
        assert_eq!((receipt.status, receipt.queue_id, receipt.queue_offset), (status, 1, 7));
        assert_eq!((receipt.msg_ids.as_str(), receipt.trace_on, receipt.region.as_deref()), ("A,B", true, Some("R")));
        assert_eq!(SendBatch::decode(answer(code, &fields, None, "")).unwrap(), receipt);
    }
    let proxy = SendMessage::decode(ok(
        &[("queueId", "0"), ("queueOffset", "0"), ("TRACE_ON", "false"), ("MSG_REGION", "")],
        "",
    ));
    let proxy = proxy.unwrap();
    assert_eq!((proxy.trace_on, proxy.region, proxy.msg_ids), (false, None, String::new()));
    let nowhere =
        ["-1", "9007199254740992", "9223372036854775807"].map(|offset| [("queueId", "0"), ("queueOffset", offset)]);
    let unreadable = [&[("queueId", "0")][..], &[("queueId", "x"), ("queueOffset", "0")]];
    for fields in unreadable.into_iter().chain(nowhere.iter().map(|fields| &fields[..])) {
        assert!(matches!(SendMessage::decode(ok(fields, "")), Err(ResponseError::Malformed(_))));
    }
    for code in [1, 2, 3, 13, 14, 16, 17, 1500] {
        refused::<SendMessage>(code);
        refused::<SendBatch>(code);
    }
}

#[test]
fn a_heartbeat_is_javas() {
    let heartbeat = Heartbeat {
        client_id: "10.0.0.1@4242#77".into(),
        consumers: vec![ConsumerData {
            group: "GID_test".into(),
            from: ConsumeFrom::LastOffset,
            broadcasting: false,
            subscriptions: vec![
                Subscription::by_tags("orders", "TagA || TagB", 1_700_000_000_000).unwrap(),
                Subscription::by_tags("%RETRY%GID_test", "*", 1_700_000_000_001).unwrap(),
            ],
        }],
        producers: vec!["CLIENT_INNER_PRODUCER".into()],
    };
    let body = r#"{"clientID":"10.0.0.1@4242#77","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"GID_test","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1700000000000,"tagsSet":["TagA","TagB"],"topic":"orders"},{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"*","subVersion":1700000000001,"tagsSet":[],"topic":"%RETRY%GID_test"}],"unitMode":false}],"producerDataSet":[{"groupName":"CLIENT_INNER_PRODUCER"}]}"#;
    assert_eq!(wire(&heartbeat), (34, String::new(), Bytes::from_static(body.as_bytes())));
    assert_eq!(Heartbeat::decode(ok(&[("IS_SUB_CHANGE", "true")], "")), Ok(513));
    refused::<Heartbeat>(16);
}

#[test]
fn a_farewell_names_only_what_leaves() {
    let both = Unregister { client_id: "c".into(), producer_group: Some("P".into()), consumer_group: Some("G".into()) };
    assert_eq!(wire(&both), (35, "clientID=c producerGroup=P consumerGroup=G".into(), Bytes::new()));
    let none = Unregister { producer_group: None, consumer_group: None, ..both };
    assert_eq!(wire(&none).1, "clientID=c");
    assert_eq!(Unregister::decode(ok(&[], "")), Ok(()));
    refused::<Unregister>(1);
}

#[test]
fn members_are_listed_and_nobody_is_a_refusal() {
    assert_eq!(wire(&ConsumerList { group: "G".into() }), (38, "consumerGroup=G".into(), Bytes::new()));
    let list = |body| ConsumerList::decode(ok(&[], body));
    assert_eq!(list(r#"{"consumerIdList":["c1@1","c2@1"]}"#), Ok(vec!["c1@1".into(), "c2@1".into()]));
    assert_eq!((list("{}"), list(r#"{"consumerIdList":null}"#)), (Ok(vec![]), Ok(vec![])));
    assert!(matches!(list(""), Err(ResponseError::Malformed(_))));
    refused::<ConsumerList>(1);
}

#[test]
fn an_expression_is_checked_with_its_subscription() {
    let check = CheckClientConfig {
        client_id: "c".into(),
        group: "G".into(),
        namespace: None,
        subscription: Subscription::by_sql92("orders", "a > 1", 5).unwrap(),
    };
    let body = r#"{"clientId":"c","group":"G","namespace":"","subscriptionData":{"classFilterMode":false,"codeSet":[],"expressionType":"SQL92","subString":"a > 1","subVersion":5,"tagsSet":[],"topic":"orders"}}"#;
    assert_eq!(wire(&check), (46, String::new(), Bytes::from_static(body.as_bytes())));
    assert_eq!(CheckClientConfig::decode(ok(&[], "")), Ok(()));
    refused::<CheckClientConfig>(23);
}

fn pull() -> Pull {
    Pull {
        max_messages: 32,
        group: "G".into(),
        topic: "orders".into(),
        broker_name: "broker-a".into(),
        queue_id: 2,
        queue_offset: 5,
        suspend_ms: 15_000,
        sub_version: 1_700_000_000_000,
        kind: ExpressionKind::Tag,
        expression: None,
    }
}

#[test]
fn a_pull_never_commits() {
    let fields = "consumerGroup=G topic=orders queueId=2 queueOffset=5 maxMsgNums=32 sysFlag=2 commitOffset=0 suspendTimeoutMillis=15000 subVersion=1700000000000 expressionType=TAG bname=broker-a";
    assert_eq!(wire(&pull()), (11, fields.into(), Bytes::new()));
    let own = Pull { expression: Some("TagA".into()), ..pull() };
    assert!(wire(&own).1.contains("sysFlag=6 commitOffset=0 suspendTimeoutMillis=15000 subscription=TagA subVersion"));
    assert!(wire(&Pull { suspend_ms: 0, ..pull() }).1.contains("sysFlag=0 commitOffset=0 suspendTimeoutMillis=0"));
}

#[test]
fn a_pull_tells_what_it_found_and_where_to_go_on() {
    let fields = [
        ("suggestWhichBrokerId", "1"),
        ("nextBeginOffset", "6"),
        ("maxOffset", "9"),
        ("minOffset", "3"),
        ("groupSysFlag", "0"),
    ];
    for (code, remark, status) in [
        (0, "FOUND", PullStatus::Found),
        (19, "OFFSET_OVERFLOW_ONE", PullStatus::NothingNew),
        (20, "NO_MATCHED_MESSAGE", PullStatus::NoMatch),
        (20, "", PullStatus::NoMatch),
        (20, "OFFSET_TOO_SMALL", PullStatus::Slave),
        (20, "FOUND", PullStatus::Slave),
        (20, "MESSAGE_WAS_REMOVING", PullStatus::Unreadable),
        (19, "OFFSET_FOUND_NULL", PullStatus::Unreadable),
        (21, "OFFSET_OVERFLOW_BADLY", PullStatus::OffsetIllegal { reset: false }),
        (21, "OFFSET_RESET", PullStatus::OffsetIllegal { reset: true }),
    ] {
        let pulled = Pull::decode(answer(code, &fields, Some(remark), "records")).unwrap();
        assert_eq!((pulled.status, pulled.next_offset, pulled.min_offset, pulled.max_offset), (status, 6, 3, 9));
        assert_eq!((pulled.suggested_broker_id, &pulled.body[..]), (1, &b"records"[..]));
    }
    assert!(matches!(Pull::decode(ok(&fields[1..3], "")), Err(ResponseError::Malformed(_))));
    assert_eq!(Pull::decode(ok(&fields[1..], "")).unwrap().suggested_broker_id, 0);
    for code in [1, 16, 17, 24, 25, 26, 215] {
        refused::<Pull>(code);
    }
}

#[test]
fn offsets_are_asked_and_committed() {
    let (topic, broker_name) = ("orders".to_owned(), "broker-a".to_owned());
    let young = QueryOffset { group: "G".into(), topic, broker_name, queue_id: 2, zero_if_young: true };
    assert_eq!(wire(&young), (14, "consumerGroup=G topic=orders queueId=2 bname=broker-a".into(), Bytes::new()));
    let query = QueryOffset { zero_if_young: false, ..young };
    assert_eq!(wire(&query).1, "consumerGroup=G topic=orders queueId=2 bname=broker-a setZeroIfNotFound=false");
    assert_eq!(QueryOffset::decode(ok(&[("offset", "123")], "")), Ok(Some(123)));
    assert_eq!(QueryOffset::decode(ok(&[("offset", "0")], "")), Ok(Some(0)));
    assert_eq!(QueryOffset::decode(ok(&[("offset", "-1")], "")), Ok(None));
    assert_eq!(QueryOffset::decode(answer(22, &[], Some("Not found"), "")), Ok(None));
    for wrong in ["-7", "9007199254740992"] {
        assert!(matches!(QueryOffset::decode(ok(&[("offset", wrong)], "")), Err(ResponseError::Malformed(_))));
    }
    assert!(matches!(QueryOffset::decode(ok(&[], "")), Err(ResponseError::Malformed(_))));
    refused::<QueryOffset>(1);

    let QueryOffset { group, topic, broker_name, queue_id, .. } = query;
    let commit = CommitOffset { group, topic, broker_name, queue_id, offset: 123 };
    assert_eq!(wire(&commit).0, 15);
    assert_eq!(wire(&commit).1, "consumerGroup=G commitOffset=123 topic=orders queueId=2 bname=broker-a");
    assert_eq!(CommitOffset::decode(ok(&[], "")), Ok(CommitOutcome::Committed));
    let pending = answer(0, &[], Some("Offset has been previously reset"), "");
    assert_eq!(CommitOffset::decode(pending), Ok(CommitOutcome::ResetPending));
    refused::<CommitOffset>(26);

    let CommitOffset { topic, broker_name, queue_id, .. } = commit;
    let search = SearchOffset { topic, broker_name, queue_id, timestamp: 7 };
    assert_eq!(wire(&search), (29, "timestamp=7 topic=orders queueId=2 bname=broker-a".into(), Bytes::new()));
    let max = MaxOffset { topic: "orders".into(), broker_name: "broker-a".into(), queue_id: 2 };
    assert_eq!(wire(&max), (30, "topic=orders queueId=2 bname=broker-a".into(), Bytes::new()));
    let min = MinOffset { topic: "orders".into(), broker_name: "broker-a".into(), queue_id: 2 };
    assert_eq!(wire(&min), (31, "topic=orders queueId=2 bname=broker-a".into(), Bytes::new()));
    for decode in [SearchOffset::decode, MaxOffset::decode, MinOffset::decode] {
        assert_eq!(decode(ok(&[("offset", "9")], "")), Ok(9));
        for wrong in ["nine", "-1", "9007199254740992", "99999999999999999999"] {
            assert!(matches!(decode(ok(&[("offset", wrong)], "")), Err(ResponseError::Malformed(_))), "{wrong}");
        }
        assert!(matches!(decode(answer(16, &[], None, "")), Err(ResponseError::Refused(_))));
    }
}

#[test]
fn locks_are_granted_in_part_and_in_any_order() {
    let body = r#"{"clientId":"10.0.0.1@4242#77","consumerGroup":"GID_test","mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"orders"}]}"#;
    let lock = lock();
    assert_eq!(wire(&lock), (41, String::new(), Bytes::from_static(body.as_bytes())));
    let LockQueues { client_id, group, queues } = lock;
    let unlock = UnlockQueues { client_id, group, queues };
    assert_eq!(wire(&unlock), (42, String::new(), Bytes::from_static(body.as_bytes())));

    let granted = |body| LockQueues::decode(ok(&[], body));
    let two = r#"{"lockOKMQSet":[{"brokerName":"broker-a","queueId":1,"topic":"TP48723"},{"brokerName":"broker-a","queueId":0,"topic":"TP48723"}]}"#;
    let queue = |id| MessageQueue::new("TP48723", "broker-a", id);
    assert_eq!(granted(two), Ok(vec![queue(1), queue(0)]));
    assert_eq!((granted(r#"{"lockOKMQSet":[]}"#), granted("{}")), (Ok(vec![]), Ok(vec![])));
    assert!(matches!(granted(r#"{"lockOKMQSet":[{"queueId":0}]}"#), Err(ResponseError::Malformed(_))));
    assert_eq!(UnlockQueues::decode(ok(&[], "")), Ok(()));
    refused::<LockQueues>(16);
    refused::<UnlockQueues>(1);
}

#[test]
fn a_refused_account_is_told_from_other_refusals() {
    let denied = |code, remark: &str| Refusal { code, remark: remark.into() }.is_access_denied();
    for remark in [
        "org.apache.rocketmq.acl.common.AclException: No accessKey is configured, org.apache.rocketmq.acl.plain.PlainPermissionManager.validate(PlainPermissionManager.java:663)",
        "org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=AKtest12345",
        "username cannot be null.",
        "User:nobodyx is not found.",
        "check signature failed.",
        "User:AKlimited1 has no permission to access Topic:T from 127.0.0.1, no matched policies.",
    ] {
        assert!(denied(1, remark), "{remark}");
        assert!(denied(16, remark), "{remark}");
        assert!(!denied(2, remark), "{remark}");
    }
    for remark in ["no consumer for this group, G", "request queueId[99] is illegal", "", "the topic is not found"] {
        assert!(!denied(1, remark), "{remark}");
    }
}
