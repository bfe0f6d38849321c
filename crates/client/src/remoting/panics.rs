//! A defect of ours at a connection: whoever waits there hears of it, its end is told, and there is another one.

use super::{CallFailure, Class, Connection, Greeter, Inbound, Pool};
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::{Codec, Command, Fields, frame};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Broken;
impl Inbound for Broken {
    fn request(&self, _connection: &Connection, command: Command) {
        panic!("planted at request {}", command.code);
    }
}

/// Panics at the step of that name, so often.
struct Planted(&'static str, AtomicU32);

impl Planted {
    fn new(step: &'static str, times: u32) -> Arc<Self> {
        Arc::new(Self(step, AtomicU32::new(times)))
    }

    fn at(&self, step: &str) {
        let is_planted = self.0 == step
            && self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |times| times.checked_sub(1)).is_ok();
        assert!(!is_planted, "planted at {step}");
    }
}

impl Greeter for Planted {
    type Failure = ClientError;
    async fn greet(&self, _connection: &Connection, _deadline: Instant) -> Result<(), ClientError> {
        self.at("greet");
        Ok(())
    }
    fn advice(&self) -> &'static str {
        "Look there"
    }
    fn connected(&self, _address: &str) {
        self.at("connected");
    }
    fn disconnected(&self, _address: &str, _reason: ClientError) {
        self.at("disconnected");
    }
}

fn soon() -> Instant {
    env::now() + Duration::from_secs(5)
}

async fn broker() -> (TcpListener, String) {
    let listener = env::listen(0).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn receive(peer: &mut TcpStream) -> Command {
    let mut buffer = BytesMut::new();
    loop {
        if let Some(command) = frame::decode(&mut buffer).unwrap() {
            return command;
        }
        assert_ne!(peer.read_buf(&mut buffer).await.unwrap(), 0, "hung up");
    }
}

async fn send(peer: &mut TcpStream, command: &Command) {
    peer.write_all(&frame::encode(command, Codec::Json).unwrap()).await.unwrap();
}

fn request(code: i32) -> Command {
    Command::request(code, Fields::new(), Bytes::new())
}

#[tokio::test]
async fn a_panic_while_reading_fails_what_waits_there_and_the_next_request_has_another_connection() {
    let pool = Pool::new(Duration::from_secs(3), None, Arc::new(Broken));
    let ((listener, address), greeter) = (broker().await, Planted::new("nowhere", 0));
    let mut losses = pool.losses(&address);
    let connection = pool.connection(&address, &greeter, soon()).await.unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let pending = connection.call(request(1), Class::Control, Duration::from_secs(60));
    let breaks = async {
        receive(&mut peer).await;
        send(&mut peer, &request(40)).await;
    };
    let (failed, ()) = tokio::join!(pending, breaks);
    let Err(CallFailure::Unanswered(error)) = failed else { panic!("{failed:?}") };
    assert_eq!(error.code(), Code::Internal);
    assert!(error.message().contains("planted at request 40") && error.message().contains(&address), "{error}");
    losses.wait_for(|losses| *losses == 1).await.unwrap();
    let next = pool.connection(&address, &greeter, soon()).await.unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let answer = async {
        let asked = receive(&mut peer).await;
        send(&mut peer, &asked.respond(0, None, Bytes::new())).await;
    };
    let (answered, ()) = tokio::join!(next.call(request(2), Class::Control, Duration::from_secs(5)), answer);
    assert_eq!(answered.unwrap().code, 0);
}

#[tokio::test]
async fn a_panic_of_one_who_is_told_keeps_nobody_else_from_being_told() {
    let pool = Pool::new(Duration::from_secs(3), None, Arc::new(Broken));
    let ((listener, address), greeter) = (broker().await, Planted::new("nowhere", 0));
    let mut losses = pool.losses(&address);
    let connection = pool.connection(&address, &greeter, soon()).await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    for code in 0..10 {
        let told = told.clone();
        let answered = Box::new(move |result: Result<Command, CallFailure>| {
            told.send(code).unwrap();
            assert!(code % 2 == 0, "planted: {result:?}");
        });
        connection.try_room().unwrap().post(request(code), Duration::from_secs(60), answered);
    }
    drop(peer);
    losses.wait_for(|losses| *losses == 1).await.unwrap();
    let mut all: Vec<i32> = std::iter::from_fn(|| hears.try_recv().ok()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn losses_count_whatever_becomes_of_telling_them() {
    for step in ["connected", "disconnected"] {
        let pool = Pool::new(Duration::from_secs(3), None, Arc::new(Broken));
        let ((listener, address), greeter) = (broker().await, Planted::new(step, u32::MAX));
        let mut losses = pool.losses(&address);
        for count in 1..3 {
            pool.connection(&address, &greeter, soon()).await.unwrap();
            drop(listener.accept().await.unwrap());
            let counted = tokio::time::timeout(Duration::from_secs(5), losses.wait_for(|losses| *losses == count));
            counted.await.unwrap_or_else(|_| panic!("loss {count} was not counted: {step}")).unwrap();
        }
    }
}

#[tokio::test]
async fn a_greeting_that_panics_is_the_callers_error_and_the_next_attempt_greets_anew() {
    let pool = Pool::new(Duration::from_secs(3), None, Arc::new(Broken));
    let ((_listener, address), greeter) = (broker().await, Planted::new("greet", 1));
    let error = pool.connection(&address, &greeter, soon()).await.unwrap_err();
    assert_eq!((error.code(), error.address()), (Code::Internal, Some(address.as_str())));
    assert!(error.message().contains("planted at greet"), "{error}");
    pool.connection(&address, &greeter, soon()).await.unwrap();
}
