use super::*;
use crate::client::{ClientOptions, Events};
use crate::env::Timing;
use crate::protocol::code::response;
use crate::protocol::{Codec, frame};
use bytes::{Bytes, BytesMut};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
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
        while client.routes.lock().topics.contains_key("typo") {
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

/// The route of a topic with one queue at one broker.
fn at(broker: &str, address: &str) -> TopicRoute {
    let text = format!(
        r#"{{"queueDatas":[{{"brokerName":"{broker}","readQueueNums":1,"writeQueueNums":1,"perm":6}}],
            "brokerDatas":[{{"brokerName":"{broker}","cluster":"c","brokerAddrs":{{"0":"{address}"}}}}]}}"#
    );
    TopicRoute::parse(text.as_bytes()).unwrap()
}

fn without_route(_: Missing, _: Option<i64>) -> ClientError {
    ClientError::new(Code::TopicNotFound, "no")
}

const REFRESH: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn each_of_thousands_of_topics_is_looked_for_once_however_often_it_is_wanted_and_not_all_at_once() {
    const TOPICS: usize = 4_000;
    let routes = Routes::default();
    let names: Vec<String> = (0..TOPICS).map(|number| format!("topic-{number}")).collect();
    let _followed: Vec<_> = names.iter().map(|name| routes.watch(name)).collect();
    let mut looks = 0;
    loop {
        let (due, next) = routes.take_due();
        if due.is_empty() {
            assert!(next.is_none_or(|at| at >= env::now() + REFRESH), "nothing is due before the next tick");
            break;
        }
        assert!(due.len() <= AT_ONCE);
        looks += due.len();
        for name in &due {
            // As a producer with messages for it.
            routes.refresh(name);
            assert!(routes.record(name, REFRESH, Ok(Found::Route(at("a", "h:1"))), without_route).is_some());
            routes.looked(name, REFRESH);
        }
    }
    assert_eq!(looks, TOPICS);
    assert_eq!((routes.masters(), routes.master("a").as_deref()), (vec![String::from("h:1")], Some("h:1")));
}

#[tokio::test(start_paused = true)]
async fn a_master_is_where_the_last_look_saw_it_and_nowhere_when_no_route_names_it_any_more() {
    let routes = Routes::default();
    let followed = [routes.watch("orders"), routes.watch("bills")];
    let names: [Arc<str>; 2] = ["orders".into(), "bills".into()];
    routes.take_due();
    routes.record(&names[0], REFRESH, Ok(Found::Route(at("a", "h:1"))), without_route);
    tokio::time::advance(Duration::from_secs(1)).await;
    routes.record(&names[1], REFRESH, Ok(Found::Route(at("a", "h:2"))), without_route);
    assert_eq!(routes.master("a").as_deref(), Some("h:2"));
    tokio::time::advance(Duration::from_secs(1)).await;
    routes.record(&names[0], REFRESH, Ok(Found::Route(at("a", "h:1"))), without_route);
    assert_eq!(routes.master("a").as_deref(), Some("h:1"), "known before, and seen again");
    routes.record(&names[0], REFRESH, Ok(Found::Route(at("b", "h:3"))), without_route);
    assert_eq!(routes.master("a").as_deref(), Some("h:2"));
    // A topic that is gone, and that nobody follows, is forgotten with what it told.
    drop(followed);
    routes.record(&names[1], REFRESH, Ok(Found::Nothing(Missing::Topic)), without_route);
    tokio::time::advance(REFRESH).await;
    routes.take_due();
    assert_eq!((routes.master("a"), routes.addresses()), (None, vec![String::from("h:3")]));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_panics_is_made_again() {
    let routes = Routes::default();
    let followed = routes.watch("orders");
    let (due, _) = routes.take_due();
    routes.looked(&due[0], REFRESH);
    assert_eq!(followed.borrow().error.as_ref().map(ClientError::code), Some(Code::Internal));
    tokio::time::advance(REFRESH).await;
    assert_eq!(routes.take_due().0, due);
}

#[tokio::test(start_paused = true)]
async fn a_loss_and_a_question_for_problems_cost_what_they_concern_and_not_what_is_known() {
    const TOPICS: usize = 4_000;
    let routes = Routes::default();
    let names: Vec<String> = (0..TOPICS).map(|number| format!("topic-{number:04}")).collect();
    let _followed: Vec<_> = names.iter().map(|name| routes.watch(name)).collect();
    loop {
        let (due, _) = routes.take_due();
        if due.is_empty() {
            break;
        }
        for name in &due {
            let answer = match &**name {
                "topic-0007" => Ok(Found::Route(at("b", "h:2"))),
                "topic-0008" => Ok(Found::Nothing(Missing::Topic)),
                _ => Ok(Found::Route(at("a", "h:1"))),
            };
            routes.record(name, REFRESH, answer, without_route);
            routes.looked(name, REFRESH);
        }
    }
    tokio::time::advance(CALM).await;
    routes.refresh_at("h:2");
    let wanted: Vec<_> = routes
        .lock()
        .topics
        .iter()
        .filter(|(_, topic)| topic.wanted.is_some())
        .map(|(name, _)| Arc::clone(name))
        .collect();
    assert_eq!(wanted, [Arc::from("topic-0007")]);
    let failing: Vec<_> = routes.lock().failing.iter().cloned().collect();
    assert_eq!(failing, [Arc::from("topic-0008")]);
    assert_eq!(routes.problems().len(), 1);
    let healed: Arc<str> = "topic-0008".into();
    routes.record(&healed, REFRESH, Ok(Found::Route(at("a", "h:1"))), without_route);
    assert!(routes.problems().is_empty() && routes.lock().failing.is_empty());
}
