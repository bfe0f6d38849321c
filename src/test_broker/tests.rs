//! The test broker under a raw client: frames over a real socket.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::control::{Perm, Position, Publication};
use super::{ClientPattern, Effect, FaultMatch, Keep, Release, TestBroker, TestBrokerOptions};
use crate::env::{self, Socket};
use crate::protocol::{
    Codec, Command, CommitOffset, Crc, Fields, MessageQueue, Pull, QueryOffset, Request, batch, decode_messages, frame,
    json as tolerant,
};
use crate::protocol::{ExpressionKind, LockQueues, SendMessage, TopicRoute, UnlockQueues};

/// Long enough for anything but a hang.
const PATIENCE: Duration = Duration::from_secs(10);

struct Raw {
    socket: Socket,
    input: BytesMut,
    opaque: i32,
    /// Requests of the broker that came in between.
    pushes: Vec<Command>,
}

impl Raw {
    async fn connect(address: &str) -> Self {
        let socket = env::connect(address).await.unwrap();
        Self { socket, input: BytesMut::new(), opaque: 0, pushes: Vec::new() }
    }

    async fn write(&mut self, mut command: Command, codec: Codec) -> i32 {
        self.opaque += 1;
        command.opaque = self.opaque;
        self.socket.write_all(&frame::encode(&command, codec).unwrap()).await.unwrap();
        self.opaque
    }

    /// The next frame and its codec; `None` when the connection has ended.
    async fn read(&mut self) -> Option<(Command, u8)> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let codec = self.input.get(4).copied();
                if let Some(command) = frame::decode(&mut self.input).unwrap() {
                    return Some((command, codec.unwrap()));
                }
                if self.socket.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        })
        .await
        .expect("no frame came")
    }

    async fn call(&mut self, command: Command) -> Command {
        let opaque = self.write(command, Codec::Json).await;
        self.answer(opaque).await
    }

    async fn answer(&mut self, opaque: i32) -> Command {
        loop {
            let (command, _) = self.read().await.expect("the connection has ended");
            if !command.is_response() {
                self.pushes.push(command);
            } else if command.opaque == opaque {
                return command;
            }
        }
    }

    async fn ask<R: Request>(&mut self, request: &R) -> R::Response {
        R::decode(self.call(request.command()).await).unwrap()
    }

    async fn heartbeat(
        &mut self,
        client_id: &str,
        group: &str,
        topic: &str,
        expression: &str,
        version: i64,
    ) -> Command {
        let subscription = |topic: &str, expression: &str| json!({"topic": topic, "subString": expression, "subVersion": version, "expressionType": "TAG"});
        let topics = [subscription(topic, expression), subscription(&format!("%RETRY%{group}"), "*")];
        let body = json!({"clientID": client_id, "consumerDataSet": [{
            "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING", "subscriptionDataSet": topics}]});
        self.call(Command::request(34, Fields::new(), tolerant::to_bytes(&body))).await
    }
}

async fn start(options: TestBrokerOptions) -> TestBroker {
    TestBroker::start(options).await.unwrap()
}

fn with_topic(release: Release) -> TestBrokerOptions {
    TestBrokerOptions {
        topics: Some(vec![("t".into(), 4)]),
        release,
        time_factor: 0.01,
        ..TestBrokerOptions::default()
    }
}

async fn broker_of(test: &TestBroker) -> Raw {
    Raw::connect(&test.brokers()[0]).await
}

fn send(topic: &str, queue_id: i32, body: &'static [u8], properties: &str) -> SendMessage {
    SendMessage {
        producer_group: "PG".into(),
        topic: topic.into(),
        broker_name: "broker-a".into(),
        queue_id,
        sys_flag: 0,
        born_timestamp: 1,
        flag: 0,
        properties: properties.into(),
        reconsume_times: 0,
        max_reconsume_times: None,
        body: Bytes::from_static(body),
    }
}

/// A pull with its own subscription.
fn pull(offset: i64, suspend_ms: i64, expression: &str) -> Pull {
    Pull {
        group: "G".into(),
        topic: "t".into(),
        broker_name: "broker-a".into(),
        queue_id: 0,
        queue_offset: offset,
        max_messages: 32,
        suspend_ms,
        sub_version: 0,
        kind: ExpressionKind::Tag,
        expression: Some(expression.into()),
    }
}

fn query(group: &str, topic: &str, queue_id: i32) -> QueryOffset {
    QueryOffset { group: group.into(), topic: topic.into(), broker_name: "broker-a".into(), queue_id }
}

fn commit(group: &str, offset: i64) -> CommitOffset {
    CommitOffset { group: group.into(), topic: "t".into(), broker_name: "broker-a".into(), queue_id: 0, offset }
}

fn plain(code: i32, fields: &[(&'static str, &str)]) -> Command {
    Command::request(code, fields.iter().copied().collect(), Bytes::new())
}

/// Both releases, in turn.
const BOTH: [Release; 2] = [Release::V4, Release::V5];

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
async fn sends_are_stored_and_pulled() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        let answer =
            raw.call(send("t", 0, b"hello", "UNIQ_KEY\u{1}U1\u{2}WAIT\u{1}true\u{2}TAGS\u{1}A\u{2}").command()).await;
        assert_eq!(
            (answer.code, answer.fields.get("queueOffset"), answer.fields.get("MSG_REGION")),
            (0, Some("0"), Some("DefaultRegion"))
        );
        assert_eq!(answer.fields.get("transactionId"), (release == Release::V5).then_some("U1"));
        let pulled = raw.ask(&pull(0, 2000, "*")).await;
        assert_eq!((pulled.next_offset, pulled.min_offset, pulled.max_offset), (1, 0, 1));
        let message = decode_messages(&pulled.body, Crc::Check).remove(0).unwrap();
        assert_eq!((&message.body[..], message.msg_id().as_str()), (&b"hello"[..], "U1"));
        assert_eq!(message.offset_msg_id(), answer.fields.get("msgId").unwrap());
        let has = |name: &str| message.property(name).is_some();
        assert_eq!(
            (has("WAIT"), has("CLUSTER"), has("MSG_REGION")),
            (release == Release::V5, true, release == Release::V5)
        );
        assert_eq!(message.record.ends_with(b"\x02"), release == Release::V5);
    }
}

#[tokio::test]
async fn bad_sends_are_refused_as_each_version_does() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        let illegal = if release == Release::V5 { 29 } else { 1 };
        for (request, code) in [
            (send("t", 99, b"x", ""), illegal),
            (send("a!", 0, b"x", ""), illegal),
            (send("none", 0, b"x", ""), 17),
            (send("SCHEDULE_TOPIC_XXXX", 0, b"x", ""), 16),
            (send("t", 0, b"", ""), i32::from(release == Release::V5)),
        ] {
            let answer = raw.call(request.command()).await;
            assert_eq!(answer.code, code, "{request:?} {answer:?}");
        }
        let mut lacking = send("t", 0, b"x", "").command();
        lacking.fields.take("e");
        assert_eq!(raw.call(lacking).await.code, 1);
        let large = SendMessage { body: Bytes::from(vec![1; 4 * 1024 * 1024 + 1]), ..send("t", 0, b"", "") };
        assert_eq!(raw.call(large.command()).await.code, 13);
    }
}

#[tokio::test]
async fn batches_get_consecutive_offsets_and_their_versions_properties() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        let mut body = BytesMut::new();
        for id in ["U0", "U1"] {
            batch::append(&mut body, 0, id.as_bytes(), &format!("UNIQ_KEY\u{1}{id}\u{2}")).unwrap();
        }
        let mut request = send("t", 0, b"", "WAIT\u{1}true").command();
        request.code = 320;
        request.fields.take("m");
        request.fields.push("m", "true");
        request.body = body.freeze();
        let answer = raw.call(request).await;
        assert_eq!((answer.code, answer.fields.get("msgId").unwrap().split(',').count()), (0, 2));
        let stored = test.messages("t").unwrap();
        let stored: Vec<Value> = stored.iter().map(|message| serde_json::to_value(message).unwrap()).collect();
        assert_eq!(stored.iter().map(|message| message["msgId"].as_str().unwrap()).collect::<Vec<_>>(), ["U0", "U1"]);
        let names = stored[0]["properties"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap());
        let names: Vec<_> = names.collect();
        assert_eq!(names, if release == Release::V5 { vec!["UNIQ_KEY"] } else { vec!["UNIQ_KEY", "WAIT", "CLUSTER"] });
    }
}

#[tokio::test]
async fn a_held_pull_wakes_on_a_wanted_arrival_and_answers_in_json() {
    let test = start(TestBrokerOptions { time_factor: 1.0, ..with_topic(Release::V4) }).await;
    let (mut raw, mut producer) = (broker_of(&test).await, broker_of(&test).await);
    let opaque = raw.write(pull(0, 15_000, "B").command(), Codec::Binary).await;
    producer.ask(&send("t", 0, b"a", "TAGS\u{1}A")).await;
    let early = tokio::time::timeout(Duration::from_millis(100), raw.read()).await;
    assert!(early.is_err(), "another tag wakes nothing");
    producer.ask(&send("t", 0, b"b", "TAGS\u{1}B")).await;
    let (answer, codec) = raw.read().await.unwrap();
    assert_eq!((answer.opaque, answer.code, codec), (opaque, 0, 0));
    assert_eq!(decode_messages(&answer.body, Crc::Check).len(), 1);
    raw.write(pull(9, 0, "*").command(), Codec::Binary).await;
    let (answer, codec) = raw.read().await.unwrap();
    assert_eq!((answer.code, codec), (21, 1), "an answer at once has the codec of its request");
}

#[tokio::test]
async fn a_held_pull_ends_at_a_look_of_the_broker() {
    let test = start(with_topic(Release::V5)).await;
    let mut raw = broker_of(&test).await;
    let before = env::now();
    let answer = raw.call(pull(0, 2000, "*").command()).await;
    assert_eq!((answer.code, answer.remark_text()), (19, "NO_MESSAGE_IN_QUEUE"));
    let waited = env::now() - before;
    assert!((20..500).contains(&waited.as_millis()), "2 s scaled by 0.01, then a look every 50 ms: {waited:?}");
    assert_eq!(raw.call(pull(3, 2000, "*").command()).await.code, 21);
}

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
async fn give_ups_become_dead_letters_as_each_version_does() {
    for (release, j, held, dead) in [
        (Release::V4, 1, false, true),
        (Release::V5, 1, false, false),
        (Release::V5, 2, false, true),
        (Release::V5, 0, true, true),
        (Release::V4, 0, true, false),
    ] {
        let test = start(TestBrokerOptions { time_factor: 1.0, ..with_topic(release) }).await;
        let mut raw = broker_of(&test).await;
        if held {
            let queues = vec![MessageQueue::new("t", "broker-a", 0)];
            raw.ask(&LockQueues { client_id: "c".into(), group: "G".into(), queues }).await;
        }
        check_dead(&test, raw, j, dead).await;
    }
}

async fn check_dead(test: &TestBroker, mut raw: Raw, j: i32, dead: bool) {
    let request =
        SendMessage { reconsume_times: j, max_reconsume_times: Some(1), ..send("%RETRY%G", 0, b"x", "UNIQ_KEY\u{1}U") };
    raw.ask(&request).await;
    assert_eq!(test.messages("%DLQ%G").unwrap().len(), usize::from(dead), "{j}");
    assert_eq!(test.messages("%RETRY%G").unwrap().len(), usize::from(!dead), "{j}");
}

#[tokio::test]
async fn a_delay_moves_a_dead_letter_of_4_9_only() {
    for (release, at_once) in [(Release::V4, false), (Release::V5, true)] {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        let request = SendMessage {
            reconsume_times: 9,
            max_reconsume_times: Some(1),
            ..send("%RETRY%G", 0, b"x", "DELAY\u{1}1")
        };
        raw.ask(&request).await;
        assert_eq!(test.messages("%DLQ%G").unwrap().len(), usize::from(at_once));
        let arrived = async {
            let mut places = Vec::new();
            while test.messages("%DLQ%G").unwrap().is_empty() {
                places = test.stored_since(places).await.unwrap().1;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.unwrap();
    }
}

#[tokio::test]
async fn a_reset_of_5_5_waits_for_the_next_pull() {
    let test = start(with_topic(Release::V5)).await;
    test.create_group("G").unwrap();
    let mut raw = broker_of(&test).await;
    for _ in 0..3 {
        raw.ask(&send("t", 0, b"x", "")).await;
    }
    raw.ask(&commit("G", 3)).await;
    let answer = raw.call(plain(222, &[("topic", "t"), ("group", "G"), ("timestamp", "0"), ("isForce", "true")])).await;
    assert_eq!(answer.code, 0);
    assert_eq!(raw.ask(&query("G", "t", 0)).await, Some(0));
    let ignored = raw.call(commit("G", 2).command()).await;
    assert_eq!((ignored.code, ignored.remark_text()), (0, "Offset has been previously reset"));
    let pulled = raw.call(pull(3, 0, "*").command()).await;
    assert_eq!(
        (pulled.code, pulled.remark_text(), pulled.fields.get("nextBeginOffset")),
        (21, "OFFSET_RESET", Some("0"))
    );
    raw.ask(&commit("G", 2)).await;
    assert_eq!(raw.ask(&query("G", "t", 0)).await, Some(2));
    assert_eq!(raw.call(plain(222, &[("topic", "none"), ("group", "G"), ("timestamp", "0")])).await.code, 17);
}

#[tokio::test]
async fn a_reset_of_4_9_is_pushed_to_the_members() {
    let test = start(with_topic(Release::V4)).await;
    let mut raw = broker_of(&test).await;
    let reset = || plain(222, &[("topic", "t"), ("group", "G"), ("timestamp", "0"), ("isForce", "true")]);
    assert_eq!(raw.call(reset()).await.code, 1, "nothing is committed");
    for queue_id in 0..4 {
        raw.ask(&CommitOffset { queue_id, ..commit("G", 3) }).await;
    }
    assert_eq!(raw.call(reset()).await.code, 206, "nobody is there");
    raw.heartbeat("c1", "G", "t", "*", 1).await;
    raw.pushes.clear();
    assert_eq!(raw.call(reset()).await.code, 0);
    let push = raw.pushes.remove(0);
    let crate::protocol::Push::ResetOffsets { offsets, .. } = crate::protocol::Push::decode(&push).unwrap() else {
        panic!("{push:?}")
    };
    assert_eq!(offsets.len(), 4);
    assert_eq!(raw.ask(&query("G", "t", 0)).await, Some(3), "the members do it");
    let mut from_cpp = reset();
    from_cpp.language = crate::protocol::Language::Cpp;
    raw.call(from_cpp).await;
    assert!(raw.pushes[0].body.starts_with(b"{\"offsetTable\":["));
}

#[tokio::test]
async fn questions_are_passed_on_to_the_client() {
    let test = start(with_topic(Release::V5)).await;
    let (mut client, mut admin) = (broker_of(&test).await, broker_of(&test).await);
    client.heartbeat("c1", "G", "t", "*", 1).await;
    let stored = client.call(send("t", 0, b"x", "").command()).await;
    let id = stored.fields.get("msgId").unwrap().to_owned();
    for (code, fields) in [
        (307, vec![("consumerGroup", "G"), ("clientId", "c1"), ("jstackEnable", "false")]),
        (309, vec![("consumerGroup", "G"), ("clientId", "c1"), ("msgId", id.as_str()), ("brokerName", "broker-a")]),
    ] {
        let opaque = admin.write(plain(code, &fields), Codec::Json).await;
        let (asked, _) = client.read().await.unwrap();
        assert_eq!((asked.code, asked.fields.get("clientId")), (code, Some("c1")));
        assert_eq!(asked.body.is_empty(), code == 307);
        let mut reply = asked.respond(0, None, Bytes::from_static(b"{\"a\":1}"));
        reply.opaque = asked.opaque;
        client.socket.write_all(&frame::encode(&reply, Codec::Json).unwrap()).await.unwrap();
        let answer = admin.answer(opaque).await;
        assert_eq!((answer.code, &answer.body[..]), (0, &b"{\"a\":1}"[..]));
    }
    assert_eq!(admin.call(plain(307, &[("consumerGroup", "G"), ("clientId", "c2")])).await.code, 1);
    let opaque = admin.write(plain(307, &[("consumerGroup", "G"), ("clientId", "c1")]), Codec::Json).await;
    client.read().await.unwrap();
    drop(client);
    assert_eq!(admin.answer(opaque).await.code, 1, "the client has gone without an answer");
}

#[tokio::test]
async fn ruinous_flags_are_acknowledged_recorded_and_cut_the_log() {
    let test = start(with_topic(Release::V5)).await;
    let mut raw = broker_of(&test).await;
    raw.ask(&send("t", 0, b"a", "")).await;
    let mut ruin = send("t", 0, b"b", "").command();
    ruin.fields.take("f");
    ruin.fields.push("f", "16");
    assert_eq!(raw.call(ruin).await.fields.get("queueOffset"), Some("1"));
    assert_eq!(raw.ask(&send("t", 0, b"c", "")).await.queue_offset, 2);
    assert_eq!(test.messages("t").unwrap().len(), 2);
    test.stop_broker(0).await.unwrap();
    test.start_broker(0, Keep::Stored).await.unwrap();
    assert_eq!(test.messages("t").unwrap().len(), 1, "what came later is cut off");
    assert!(test.close().await.unwrap_err().message().contains("sysFlag 0x10"));
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let test = start(with_topic(Release::V5)).await;
    let sends = || FaultMatch { codes: vec![310], times: Some(1), ..FaultMatch::default() };
    let mut raw = broker_of(&test).await;
    let stored = || test.messages("t").unwrap().len();

    test.fault(sends(), Effect::Answer { code: 2, remark: Some("busy".into()) }).unwrap();
    let refused = raw.call(send("t", 0, b"x", "").command()).await;
    assert_eq!((refused.code, refused.remark_text(), stored()), (2, "busy", 0));

    test.fault(sends(), Effect::DropAnswer).unwrap();
    let lost = raw.write(send("t", 0, b"x", "").command(), Codec::Json).await;
    let next = raw.write(send("t", 0, b"x", "").command(), Codec::Json).await;
    assert_eq!((raw.answer(next).await.fields.get("queueOffset"), stored()), (Some("1"), 2), "{lost} was stored");

    test.fault(sends(), Effect::Delay(30)).unwrap();
    let late = raw.write(send("t", 1, b"x", "").command(), Codec::Json).await;
    let quick = raw.write(plain(38, &[("consumerGroup", "x")]), Codec::Json).await;
    assert_eq!(raw.read().await.unwrap().0.opaque, quick);
    assert_eq!(raw.read().await.unwrap().0.opaque, late);

    test.fault(sends(), Effect::Garbage(Bytes::from_static(b"\x00\x00\x00\x05garbage"))).unwrap();
    raw.write(send("t", 0, b"x", "").command(), Codec::Json).await;
    let mut bytes = [0; 11];
    raw.socket.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes[4..], b"garbage");

    for (effect, stores) in [(Effect::DisconnectBefore, 0), (Effect::DisconnectAfter, 1), (Effect::CutAnswerAt(7), 1)] {
        let cut = effect == Effect::CutAnswerAt(7);
        let before = stored();
        test.fault(sends(), effect).unwrap();
        let mut raw = broker_of(&test).await;
        raw.write(send("t", 0, b"x", "").command(), Codec::Json).await;
        let mut rest = Vec::new();
        let _ = raw.socket.read_to_end(&mut rest).await;
        assert_eq!((rest.len(), stored() - before), (if cut { 7 } else { 0 }, stores));
    }

    let id = test
        .fault(FaultMatch { client: Some(ClientPattern::Exact("c9".into())), ..Default::default() }, Effect::Blackhole)
        .unwrap();
    let mut dead = broker_of(&test).await;
    let beat = json!({"clientID": "c9", "consumerDataSet": []});
    dead.write(Command::request(34, Fields::new(), tolerant::to_bytes(&beat)), Codec::Json).await;
    dead.write(plain(38, &[("consumerGroup", "x")]), Codec::Json).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), dead.read()).await.is_err());
    assert_eq!(test.fault_hits(id), 1);
    test.clear_faults().unwrap();
}

#[tokio::test]
async fn a_store_that_stands_still_refuses_who_waits_too_long() {
    let test = start(TestBrokerOptions { time_factor: 0.1, ..with_topic(Release::V5) }).await;
    test.fault(FaultMatch { codes: vec![310], nth: Some(1), ..Default::default() }, Effect::Stall(100)).unwrap();
    let mut raw = broker_of(&test).await;
    let slow = raw.write(send("t", 0, b"a", "").command(), Codec::Json).await;
    let impatient = raw.write(send("t", 0, b"b", "").command(), Codec::Json).await;
    let (refused, _) = raw.read().await.unwrap();
    assert_eq!((refused.opaque, refused.code), (impatient, 2), "20 ms are up before the 100 ms");
    assert!(refused.remark_text().starts_with("[TIMEOUT_CLEAN_QUEUE]"));
    assert_eq!((raw.answer(slow).await.code, test.messages("t").unwrap().len()), (0, 1));
}

fn bodies(test: &TestBroker) -> Vec<Value> {
    test.messages("t").unwrap().iter().map(|message| serde_json::to_value(message).unwrap()["body"].clone()).collect()
}

#[tokio::test]
async fn pipelined_sends_change_places_when_asked() {
    let test = start(with_topic(Release::V5)).await;
    test.fault(FaultMatch { codes: vec![310], times: Some(1), ..Default::default() }, Effect::Disorder).unwrap();
    let mut raw = broker_of(&test).await;
    let first = raw.write(send("t", 0, b"first", "").command(), Codec::Json).await;
    let second = raw.write(send("t", 0, b"second", "").command(), Codec::Json).await;
    assert_eq!(raw.read().await.unwrap().0.opaque, second);
    assert_eq!(raw.read().await.unwrap().0.opaque, first);
    assert_eq!(bodies(&test), ["c2Vjb25k", "Zmlyc3Q="]);
    test.fault(FaultMatch { codes: vec![310], times: Some(1), ..Default::default() }, Effect::Disorder).unwrap();
    assert_eq!(raw.ask(&send("t", 0, b"alone", "")).await.queue_offset, 2, "alone it only takes a moment longer");
}

#[tokio::test]
async fn pipelined_sends_are_disordered_now_and_then_and_serial_ones_never() {
    let test = start(with_topic(Release::V5)).await;
    let mut raw = broker_of(&test).await;
    let mut two = BytesMut::new();
    let (mut inversions, rounds) = (0, 500);
    for _ in 0..rounds {
        two.clear();
        for body in [&b"1"[..], b"2"] {
            raw.opaque += 1;
            let mut command = send("t", 0, b"", "").command();
            (command.opaque, command.body) = (raw.opaque, Bytes::copy_from_slice(body));
            two.extend_from_slice(&frame::encode(&command, Codec::Json).unwrap());
        }
        raw.socket.write_all(&two).await.unwrap();
        let (first, second) = (raw.read().await.unwrap().0, raw.read().await.unwrap().0);
        inversions += i32::from(first.opaque > second.opaque);
    }
    assert!((3..60).contains(&inversions), "{inversions} of {rounds}");
    for round in 0..100 {
        let offset = raw.ask(&send("t", 1, b"x", "")).await.queue_offset;
        assert_eq!(offset, round);
    }
}

#[tokio::test]
async fn acknowledged_messages_are_sometimes_invisible_for_a_moment() {
    let test = start(with_topic(Release::V5)).await;
    let mut raw = broker_of(&test).await;
    let mut unseen = 0;
    for round in 0..100 {
        raw.ask(&send("t", 0, b"x", "")).await;
        unseen += i32::from(raw.call(pull(round, 0, "*").command()).await.code == 19);
        raw.ask(&pull(round, 1000, "*")).await;
    }
    assert!((5..60).contains(&unseen), "{unseen}");
}

#[tokio::test]
async fn every_request_is_seen_and_keys_in_flight_are_counted() {
    let test = start(with_topic(Release::V5)).await;
    let mut raw = broker_of(&test).await;
    let keyed = |key: &str| send("t", 0, b"x", &format!("__SHARDINGKEY\u{1}{key}\u{2}")).command();
    raw.call(keyed("k")).await;
    raw.call(keyed("k")).await;
    assert_eq!(test.max_in_flight_per_key().unwrap(), 1);
    test.fault(FaultMatch::default(), Effect::Delay(20)).unwrap();
    let (one, two) = (raw.write(keyed("k"), Codec::Json).await, raw.write(keyed("k"), Codec::Json).await);
    raw.answer(one).await;
    raw.answer(two).await;
    assert_eq!(test.max_in_flight_per_key().unwrap(), 2);
    let seen = serde_json::to_value(test.requests().unwrap()).unwrap();
    assert_eq!((seen[0]["name"].clone(), seen[0]["shardingKeys"][0].clone()), (json!("SEND_MESSAGE_V2"), json!("k")));
    assert_eq!(
        (seen[0]["topic"].clone(), seen[0]["queueId"].clone(), seen[0]["broker"].clone()),
        (json!("t"), json!(0), json!("broker-a"))
    );
    assert!(seen[0]["answered"].as_i64() >= seen[0]["at"].as_i64());
}

#[tokio::test]
async fn catching_up_is_awaited() {
    let test = start(with_topic(Release::V5)).await;
    let mut raw = broker_of(&test).await;
    let publication = |key: &str| Publication {
        topic: "t".into(),
        sharding_key: key.into(),
        body: Bytes::from_static(b"x"),
        properties: Vec::new(),
    };
    let nobody = test.caught_up("G", Duration::from_millis(10)).await.unwrap_err();
    assert!(nobody.message().contains("no consumer"), "{nobody}");
    raw.heartbeat("c1", "G", "t", "*", 1).await;
    let published = serde_json::to_value(test.publish(publication("order_2")).unwrap()).unwrap();
    assert_eq!(
        (published["queue"]["queueId"].clone(), published["queueOffset"].clone()),
        (json!(3), json!(0)),
        "Java's hash"
    );
    let behind = test.caught_up("G", Duration::from_millis(10)).await.unwrap_err();
    assert!(behind.message().contains("t@broker-a:3 lacks 1"), "{behind}");
    let waiting = test.caught_up("G", PATIENCE);
    let committing = async { raw.ask(&CommitOffset { queue_id: 3, ..commit("G", 1) }).await };
    let (caught_up, _) = tokio::join!(waiting, committing);
    caught_up.unwrap();
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
        assert_eq!(Raw::connect(&test.name_server()).await.call(plain(105, &[("topic", "t")])).await.code, 0);
    }
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
async fn positions_of_times_differ_behind_the_end() {
    for (release, behind) in [(Release::V4, "1"), (Release::V5, "2")] {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        raw.ask(&send("t", 0, b"x", "")).await;
        raw.ask(&send("t", 0, b"x", "")).await;
        let far = plain(29, &[("topic", "t"), ("queueId", "0"), ("timestamp", "9999999999999")]);
        assert_eq!(raw.call(far).await.fields.get("offset"), Some(behind));
        let early = plain(29, &[("topic", "t"), ("queueId", "0"), ("timestamp", "1")]);
        assert_eq!(raw.call(early).await.fields.get("offset"), Some("0"));
    }
}

#[tokio::test]
async fn a_graceful_stop_sends_newer_clients_away() {
    let test = start(with_topic(Release::V5)).await;
    test.create_group("G").unwrap();
    let mut raw = broker_of(&test).await;
    let mut settings = plain(25, &[]);
    settings.body = Bytes::from_static(b"enableShutdownGracefully=true\nshutdownWaitTimeSeconds=20\n");
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
