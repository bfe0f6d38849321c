//! Resets, questions to clients, catching up.

use super::*;

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
        (309, vec![("consumerGroup", "G"), ("clientId", "c1"), ("msgId", id.as_str())]),
    ] {
        let opaque = admin.write(plain(code, &fields), Codec::Json).await;
        let (asked, _) = client.read().await.unwrap();
        assert_eq!((asked.code, asked.fields.get("clientId")), (code, Some("c1")));
        assert_eq!(asked.body.is_empty(), code == 307);
        assert_eq!(asked.fields.get("brokerName"), (code == 309).then_some("broker-a"), "the tool does not say it");
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
