use super::*;
use crate::client::{ClientOptions, Events};
use crate::env::Timing;
use crate::protocol::code::response;
use crate::protocol::{Codec, frame};
use bytes::{Bytes, BytesMut};
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Deaf;
impl Events for Deaf {
    fn emit(&self, _event: Event) {}
}

/// A name server that knows no topic and counts how often it was asked.
async fn ignorant(asked: Arc<AtomicUsize>) -> String {
    let listener = env::listen(0).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    env::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let asked = Arc::clone(&asked);
            env::spawn(async move {
                let mut buffer = BytesMut::new();
                while socket.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                    while let Some(question) = frame::decode(&mut buffer).unwrap() {
                        asked.fetch_add(1, Ordering::Relaxed);
                        let answer = question.respond(response::TOPIC_NOT_EXIST, None, Bytes::new());
                        socket.write_all(&frame::encode(&answer, Codec::Json).unwrap()).await.unwrap();
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn whoever_waits_for_a_route_hears_of_the_end() {
    let servers = vec![ignorant(Arc::default()).await];
    let timing = Timing { request_timeout: Duration::from_secs(1), ..Timing::default() };
    let client = Client::start(ClientOptions::new("g".into(), servers, None, None, None, timing), Arc::new(Deaf));
    assert_eq!(client.route("typo").await.unwrap_err().code(), Code::TopicNotFound);
    // The next look is half a second away, and will never be made.
    let waiting = tokio::time::timeout(Duration::from_secs(5), client.route("typo"));
    let (waiting, ()) = tokio::join!(waiting, client.close());
    assert_eq!(waiting.expect("an answer").unwrap_err().code(), Code::Closed);
    assert_eq!(client.route("typo").await.unwrap_err().code(), Code::Closed);
}

#[tokio::test]
async fn a_topic_that_is_unknown_is_looked_for_only_while_somebody_follows_it() {
    const REFRESH: Duration = Duration::from_millis(20);
    let asked = Arc::new(AtomicUsize::new(0));
    let timing = Timing { route_refresh: REFRESH, ..Timing::default() };
    let servers = vec![ignorant(Arc::clone(&asked)).await];
    let client = Client::start(ClientOptions::new("g".into(), servers, None, None, None, timing), Arc::new(Deaf));
    for _ in 0..2 {
        let mut followed = client.watch_route("typo");
        let looks = asked.load(Ordering::Relaxed);
        followed.wait_for(|state| state.asked >= 3).await.unwrap();
        assert!(asked.load(Ordering::Relaxed) >= looks + 3);
        let codes: Vec<Code> = client.problems().iter().map(ClientError::code).collect();
        assert_eq!(codes, [Code::TopicNotFound]);
        drop(followed);
        assert!(client.problems().is_empty());
        while client.routes.lock().contains_key("typo") {
            tokio::time::sleep(REFRESH).await;
        }
    }
    let looks = asked.load(Ordering::Relaxed);
    tokio::time::sleep(10 * REFRESH).await;
    assert_eq!(asked.load(Ordering::Relaxed), looks);
    // A question without a follower leaves nothing behind either.
    assert_eq!(client.route("typo").await.unwrap_err().code(), Code::TopicNotFound);
    assert!(client.problems().is_empty());
    client.close().await;
}
