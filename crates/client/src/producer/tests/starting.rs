//! The start: what is wrong fails at once, what may come is waited for.

use super::*;
use crate::error::{ClientError, Code};

fn with_topics(topics: &[&str]) -> ProducerOptions {
    ProducerOptions { topics: topics.iter().map(|&topic| topic.to_owned()).collect(), ..options() }
}

fn down() -> ClientError {
    ClientError::new(Code::Connection, "refused")
}

fn address(broker: &str) -> String {
    format!("{broker}:10911")
}

/// A start that waits: what it waits for, after a minute of it, and then the start itself.
async fn waiting(caller: &Caller) -> (Code, impl Future<Output = Result<(), ClientError>> + Unpin + use<>) {
    let producer = Arc::clone(&caller.producer);
    let mut start = Box::pin(async move { producer.start().await });
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut start).await.is_err());
    (caller.producer.obstacle().unwrap().code(), start)
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_fails_at_once() {
    let cluster = Cluster::new();
    let code = async |topics: &[&str]| {
        let caller = Caller::new(&cluster, with_topics(topics));
        let start = caller.producer.start();
        tokio::time::timeout(Duration::from_secs(1), start).await.expect("at once").unwrap_err().code()
    };
    cluster.set_route("T", &[("a", 1), ("b", 1)]);
    let refused = ClientError::new(Code::AccessDenied, "wrong keys");
    cluster.inner().beats = vec![(address("a"), Ok(())), (address("b"), Err(refused))];
    assert_eq!(code(&["T"]).await, Code::AccessDenied);
    assert_eq!(code(&["nowhere"]).await, Code::TopicNotFound);
    let mut sealed = Cluster::route_of(&[("a", 1)]);
    sealed.queue_datas[0].perm = 4;
    cluster.set("R", sealed);
    assert_eq!(code(&["R"]).await, Code::NoWritableQueue);
    let wrong_port = ClientError::new(Code::Protocol, "it answers as an HTTP server");
    cluster.inner().reach = Some(wrong_port);
    assert_eq!(code(&[]).await, Code::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_down_is_no_obstacle_while_another_is_up() {
    let cluster = Cluster::new();
    cluster.set_route("T", &[("a", 1), ("b", 1)]);
    cluster.inner().beats = vec![(address("a"), Ok(())), (address("b"), Err(down()))];
    Caller::new(&cluster, with_topics(&["T"])).producer.start().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_not_up_yet_are_waited_for() {
    let cluster = Cluster::new();
    cluster.inner().reach = Some(down());
    let caller = Caller::new(&cluster, options());
    let (obstacle, start) = waiting(&caller).await;
    assert_eq!(obstacle, Code::Connection);
    assert_eq!(caller.error(caller.send("k", "m")).await.code(), Code::InvalidState);
    cluster.inner().reach = None;
    start.await.unwrap();

    // No broker is registered, then one without a master, then one that is not reached, then all is well.
    cluster.fail_route("T", ClientError::new(Code::NoMaster, "no broker is registered"));
    let caller = Caller::new(&cluster, with_topics(&["T"]));
    let (obstacle, mut start) = waiting(&caller).await;
    assert_eq!(obstacle, Code::NoMaster);
    let mut headless = Cluster::route_of(&[("a", 1)]);
    headless.broker_datas[0].addresses.clear();
    cluster.set("T", headless);
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut start).await.is_err());
    assert_eq!(caller.producer.obstacle().unwrap().code(), Code::NoWritableQueue);
    assert!(caller.producer.obstacle().unwrap().retriable());
    cluster.inner().beats = vec![(address("a"), Err(down()))];
    cluster.set_route("T", &[("a", 1)]);
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut start).await.is_err());
    assert_eq!(caller.producer.obstacle().unwrap().code(), Code::Connection);
    cluster.inner().beats = vec![(address("a"), Ok(()))];
    start.await.unwrap();
}
