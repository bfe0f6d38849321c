use bytes::Bytes;

use super::{ConsumeDirectlyResult, DirectOutcome, Push, QueueInfo, RunningInfo, TopicStatus, consumer_status};
use crate::command::{Command, Fields};
use crate::queue::MessageQueue;
use crate::request::ResponseError;
use crate::subscription::Subscription;
use crate::vectors::hex;

fn push(code: i32, fields: &[(&'static str, &str)], body: impl Into<Vec<u8>>) -> Result<Push, ResponseError> {
    let fields = fields.iter().copied().collect::<Fields>();
    Push::decode(&Command::request(code, fields, Bytes::from(body.into())))
}

fn reset(body: &str) -> Result<Vec<(MessageQueue, i64)>, ResponseError> {
    let fields =
        [("topic", "T"), ("group", "G"), ("timestamp", "1700000000000"), ("isForce", "false"), ("queueId", "-1")];
    push(220, &fields, body).map(|push| match push {
        Push::ResetOffsets { topic, group, timestamp, offsets } => {
            assert_eq!((topic.as_str(), group.as_str(), timestamp), ("T", "G", 1_700_000_000_000));
            offsets
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_changed_group_is_named() {
    let group = push(40, &[("consumerGroup", "G")], "").unwrap();
    assert_eq!(group, Push::MembersChanged { group: "G".into() });
    assert!(matches!(push(40, &[], ""), Err(ResponseError::Malformed(_))));
}

#[test]
fn both_forms_of_a_reset_are_read() {
    let queue = |topic, id| MessageQueue::new(topic, "broker-a", id);
    let map = r#"{"offsetTable":{{"brokerName":"broker-a","queueId":3,"topic":"TP97711"}:0,{"brokerName":"broker-a","queueId":2,"topic":"TP97711"}:5}}"#;
    let mut offsets = reset(map).unwrap();
    offsets.sort();
    assert_eq!(offsets, [(queue("TP97711", 2), 5), (queue("TP97711", 3), 0)]);
    let list = r#"{"offsetTable":[{"brokerName":"broker-a","offset":0,"queueId":3,"topic":"TP97711"},{"brokerName":"broker-a","offset":7,"queueId":2,"topic":"TP97711"}]}"#;
    assert_eq!(reset(list).unwrap(), [(queue("TP97711", 3), 0), (queue("TP97711", 2), 7)]);
    let one = r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:"9007199254740993"}}"#;
    assert_eq!(reset(one).unwrap(), [(queue("orders", 0), 9_007_199_254_740_993)]);
    for empty in ["", "{}", r#"{"offsetTable":null}"#, r#"{"offsetTable":{}}"#, r#"{"offsetTable":[]}"#] {
        assert_eq!(reset(empty).unwrap(), [], "{empty}");
    }
    for broken in ["{", r#"{"offsetTable":5}"#, r#"{"offsetTable":{"x":1}}"#, r#"{"offsetTable":[{"queueId":1}]}"#] {
        assert!(matches!(reset(broken), Err(ResponseError::Malformed(_))), "{broken}");
    }
}

#[test]
fn an_administrators_questions_are_read() {
    let status = push(221, &[("topic", "T"), ("group", "G")], "").unwrap();
    assert_eq!(status, Push::ConsumerStatus { topic: "T".into(), group: "G".into() });
    let info = push(307, &[("consumerGroup", "G"), ("clientId", "c"), ("jstackEnable", "TRUE")], "").unwrap();
    assert_eq!(info, Push::RunningInfo { group: "G".into(), client_id: "c".into(), jstack: true });
    assert!(push(307, &[("clientId", "c")], "").is_err());
}

#[test]
fn a_message_to_consume_directly_is_read() {
    let record = hex("000000a0 daa320a7 3610a686 00000000 00000000 0000000000000000 0000000000000000 00000000 000001a2030f8aeb 7f000001 0000b4c4
        000001a2030f8b21 7f000001 000078bf 00000000 0000000000000000 00000005 68656c6c6f 02 5441 003e
        5f5f5348415244494e474b4559016b3102554e49515f4b45590141424302434c5553544552014465 6661756c74436c757374657202 544147530154616741");
    let fields = [
        ("consumerGroup", "G"),
        ("clientId", "c"),
        ("msgId", "ABC"),
        ("brokerName", "broker-a"),
        ("groupSysFlag", "0"),
    ];
    match push(309, &fields, record.clone()).unwrap() {
        Push::ConsumeDirectly { group, client_id, msg_id, broker_name, topic, message } => {
            assert_eq!([group, client_id, msg_id, broker_name], ["G", "c", "ABC", "broker-a"]);
            assert_eq!((topic, &*message.topic, &message.body[..]), (None, "TA", &b"hello"[..]));
        }
        other => panic!("{other:?}"),
    }
    for broken in [&b""[..], &record[1..]] {
        assert!(matches!(push(309, &fields, broken), Err(ResponseError::Malformed(_))));
    }
}

#[test]
fn what_is_not_for_us_is_ignored_or_refused() {
    assert_eq!(push(39, &[], ""), Ok(Push::Ignored { code: 39 }));
    assert_eq!(push(326, &[], ""), Ok(Push::Unsupported { code: 326 }));
    assert_eq!(push(9999, &[], ""), Ok(Push::Unsupported { code: 9999 }));
    let oneway = Command::request(9999, Fields::new(), Bytes::new()).oneway();
    assert_eq!(Push::decode(&oneway), Ok(Push::Ignored { code: 9999 }));
}

#[test]
fn answers_are_what_brokers_parse() {
    let queue = MessageQueue::new("orders", "broker-a", 0);
    assert_eq!(
        consumer_status(&[(queue.clone(), 5)]),
        r#"{"consumerTable":{},"messageQueueTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:5}}"#
    );
    assert_eq!(consumer_status(&[]), r#"{"consumerTable":{},"messageQueueTable":{}}"#);

    let info = RunningInfo {
        queues: vec![(queue, QueueInfo { commit_offset: 5, locked: true, ..QueueInfo::default() })],
        properties: vec![("PROP_CONSUME_TYPE".into(), "CONSUME_PASSIVELY".into())],
        statuses: vec![("orders".into(), TopicStatus::default())],
        subscriptions: vec![Subscription::by_tags("orders", "TagA || TagB", 1_700_000_000_000).unwrap()],
    };
    assert_eq!(
        info.encode(),
        r#"{"mqTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:{"cachedMsgCount":0,"cachedMsgMaxOffset":0,"cachedMsgMinOffset":0,"cachedMsgSizeInMiB":0,"commitOffset":5,"droped":false,"lastConsumeTimestamp":0,"lastLockTimestamp":0,"lastPullTimestamp":0,"locked":true,"transactionMsgCount":0,"transactionMsgMaxOffset":0,"transactionMsgMinOffset":0,"tryUnlockTimes":0}},"properties":{"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY"},"statusTable":{"orders":{"consumeFailedMsgs":0,"consumeFailedTPS":0.0,"consumeOKTPS":0.0,"consumeRT":0.0,"pullRT":0.0,"pullTPS":0.0}},"subscriptionSet":[{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1700000000000,"tagsSet":["TagA","TagB"],"topic":"orders"}]}"#
    );

    let done = ConsumeDirectlyResult { outcome: DirectOutcome::Success, spent_ms: 3, remark: None };
    assert_eq!(done.encode(), r#"{"autoCommit":true,"consumeResult":"CR_SUCCESS","order":true,"spentTimeMills":3}"#);
    let failed =
        ConsumeDirectlyResult { outcome: DirectOutcome::ThrowException, spent_ms: 3, remark: Some("no".into()) };
    assert!(
        String::from_utf8_lossy(&failed.encode())
            .contains(r#""consumeResult":"CR_THROW_EXCEPTION","order":true,"remark":"no""#)
    );
}
