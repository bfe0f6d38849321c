//! Sends, pulls, retries.

use super::*;

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
        assert_eq!(message.properties.ends_with('\u{2}'), release == Release::V5);
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
    assert!((20..1_900).contains(&waited.as_millis()), "2 s scaled by 0.01, then a look every 50 ms: {waited:?}");
    assert_eq!(raw.call(pull(3, 2000, "*").command()).await.code, 21);
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
