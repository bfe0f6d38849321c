//! Faults, and what is remembered of requests.

use super::*;

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
async fn a_status_is_said_of_what_is_stored_all_the_same() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        for (code, offset) in [(10, "0"), (11, "1"), (12, "2")] {
            test.fault(FaultMatch { codes: vec![310], times: Some(1), ..Default::default() }, Effect::Status(code))
                .unwrap();
            let answer = raw.call(send("t", 0, b"x", "").command()).await;
            assert_eq!((answer.code, answer.fields.get("queueOffset")), (code, Some(offset)));
            assert!(answer.fields.get("msgId").is_some());
        }
        assert_eq!(test.messages("t").unwrap().len(), 3);
        // What is refused is not stored, and says why.
        test.fault(FaultMatch { codes: vec![310], ..Default::default() }, Effect::Status(10)).unwrap();
        let refused = raw.call(send("t", 77, b"x", "").command()).await;
        assert!(!matches!(refused.code, 0 | 10), "{}", refused.code);
        assert_eq!(test.messages("t").unwrap().len(), 3);
    }
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
