//! Clients that would have much kept for them, or read.

use super::*;

#[tokio::test]
async fn pulls_wait_as_far_as_there_is_memory_for_what_they_select_by() {
    let test = start(TestBrokerOptions { time_factor: 1.0, ..with_topic(Release::V5) }).await;
    let mut raw = broker_of(&test).await;
    // Counted with 1.6 MB.
    let condition = format!("a = '{}'", "x".repeat(7_994));
    let greedy = Pull { kind: ExpressionKind::Sql92, ..pull(0, 15_000, &condition) };
    let mut refused = Vec::new();
    for _ in 0..30 {
        let opaque = raw.write(greedy.command(), Codec::Json).await;
        if opaque > 21 {
            refused.push(raw.answer(opaque).await.code);
        }
    }
    assert_eq!(refused, [19; 9], "answered at once");
    assert_eq!(test.shared.lock().broker(0).held.len(), 21);
    drop(raw);
    let mut other = broker_of(&test).await;
    while test.shared.lock().broker(0).held.len() > 0 {
        tokio::task::yield_now().await;
    }
    let waiting = other.write(greedy.command(), Codec::Json).await;
    other.ask(&send("t", 0, b"x", &format!("a\u{1}{}\u{2}", "x".repeat(7_994)))).await;
    assert_eq!(other.answer(waiting).await.code, 0, "there is room again");
}

#[tokio::test]
async fn bodies_are_read_for_what_is_looked_at() {
    let test = start(TestBrokerOptions { time_factor: 1.0, ..with_topic(Release::V5) }).await;
    let mut raw = broker_of(&test).await;
    // Of any kind but those of locks: no client has more to say.
    let long = format!(r#"{{"clientID":"c1","x":[{}0]}}"#, "0,".repeat(200_000));
    for code in [34, 46, 200] {
        let command = Command::request(code, Fields::new(), Bytes::from(long.clone()));
        let answer = raw.call(command).await;
        assert_eq!(answer.code, 1, "{code}");
        assert!(answer.remark_text().contains("a body of 400"), "{code}: {}", answer.remark_text());
    }
    let queues: Vec<_> = (0..2_000).map(|id| MessageQueue::new("t", "broker-a", id)).collect();
    let lock = LockQueues { client_id: "c1".into(), group: "G".into(), queues };
    assert_eq!(raw.ask(&lock).await.len(), 2_000);
    let body = br#"{"clientId":"c2","consumerGroup":"G","x":[[{}]],"mqSet":[{"brokerName":"broker-a","queueId":"7","topic":"t"}]}"#;
    let answer = raw.call(Command::request(41, Fields::new(), Bytes::from_static(body))).await;
    assert_eq!((answer.code, &answer.body[..]), (0, &br#"{"lockOKMQSet":[]}"#[..]), "it is the other's");
    let nothing = raw.call(Command::request(41, Fields::new(), Bytes::from_static(b"null"))).await;
    assert!(nothing.code == 1 && nothing.remark_text().contains("NullPointerException"), "{nothing:?}");
}
