//! Requests on lines that take little, bring little, or nothing at all.

use super::*;
use crate::env::{self, Instant};
use crate::error::Code;
use crate::protocol::{Command, Fields, frame};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinHandle;

const TIME: Duration = Duration::from_secs(3);
/// A tick of a thin line.
const TICK: Duration = Duration::from_millis(100);

/// Answers everything that the peer asks.
struct Obliging;
impl Inbound for Obliging {
    fn request(&self, connection: &Connection, command: Command) {
        connection.respond(&command.respond(3, Some(String::from("not supported")), Bytes::new()));
    }
}

/// The peer's end: reads so many bytes in a tick.
struct Peer {
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    buffer: BytesMut,
    rate: usize,
}

impl Peer {
    async fn receive(&mut self) -> Command {
        loop {
            if let Some(command) = frame::decode(&mut self.buffer).unwrap() {
                return command;
            }
            tokio::time::sleep(TICK).await;
            let mut room = vec![0; self.rate];
            let read = self.reader.read(&mut room).await.unwrap();
            assert_ne!(read, 0, "hung up");
            self.buffer.extend_from_slice(&room[..read]);
        }
    }

    /// Writes so many bytes in a tick.
    async fn trickle(&mut self, bytes: &[u8], rate: usize) {
        for piece in bytes.chunks(rate) {
            self.writer.write_all(piece).await.unwrap();
            tokio::time::sleep(TICK).await;
        }
    }

    async fn answer(&mut self, command: &Command) {
        let bytes = bytes_of(&command.respond(0, None, Bytes::new()));
        self.writer.write_all(&bytes).await.unwrap();
    }
}

fn bytes_of(command: &Command) -> Vec<u8> {
    let mut head = BytesMut::new();
    frame::encode_head(command, crate::protocol::Codec::Json, &mut head).unwrap();
    [&head, &command.body[..]].concat()
}

/// A connection whose peer reads `rate` bytes in a tick; the line itself holds 1 000.
fn connect(rate: usize) -> (Connection, Peer) {
    let (near, far) = duplex(1_000);
    let connection = Connection::new("broker:1", near, Arc::new(Obliging));
    let (reader, writer) = split(far);
    (connection, Peer { reader, writer, buffer: BytesMut::new(), rate })
}

fn request(code: i32, size: usize) -> Command {
    Command::request(code, Fields::new(), Bytes::from(vec![7; size]))
}

type Call = JoinHandle<(Result<Command, CallFailure>, Instant)>;

fn call(connection: &Connection, code: i32, size: usize, class: Class) -> Call {
    let connection = connection.clone();
    tokio::spawn(async move { (connection.call(request(code, size), class, TIME).await, env::now()) })
}

/// Uses the room, and waits for the answer.
async fn call_in(room: Room, command: Command) -> Result<Command, CallFailure> {
    let (sender, answer) = tokio::sync::oneshot::channel();
    room.post(command, TIME, Box::new(|result| sender.send(result).unwrap()));
    answer.await.unwrap()
}

async fn settled() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn control_passes_bulk_between_frames() {
    let (connection, mut peer) = connect(10_000);
    let mut calls: Vec<Call> = (1..=5).map(|code| call(&connection, code, 20_000, Class::Bulk)).collect();
    settled().await;
    calls.push(call(&connection, 41, 10, Class::Control));
    settled().await;
    let mut codes = Vec::new();
    for _ in 0..6 {
        let command = peer.receive().await;
        codes.push(command.code);
        peer.answer(&command).await;
    }
    assert_eq!(codes, [1, 41, 2, 3, 4, 5]);
    for call in calls {
        call.await.unwrap().0.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_request_begins_when_its_last_byte_has_left() {
    let (connection, mut peer) = connect(1_000);
    let began = env::now();
    let large = call(&connection, 1, 100_000, Class::Bulk);
    settled().await;
    let small = call(&connection, 2, 10, Class::Bulk);
    let received = peer.receive().await;
    assert!(began.elapsed() > TIME * 3);
    // Of its own time it needs most, too.
    tokio::time::sleep(TIME * 5 / 6).await;
    peer.answer(&received).await;
    large.await.unwrap().0.unwrap();
    let left = env::now();
    let (answer, at) = small.await.unwrap();
    let Err(CallFailure::Unanswered(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(error.code(), Code::Timeout);
    assert!(at - left < TIME && at - began > TIME * 4);
    assert!(!connection.is_closed(), "bytes have come");
}

#[tokio::test(start_paused = true)]
async fn what_never_leaves_is_not_sent_and_a_line_that_takes_nothing_is_given_up() {
    let (connection, mut peer) = connect(10_000);
    let began = env::now();
    let [first, second] = [1, 2].map(|code| call(&connection, code, 100_000, Class::Bulk));
    peer.rate = 500;
    let mut some = vec![0; 500];
    peer.reader.read_exact(&mut some).await.unwrap();
    let (answer, at) = first.await.unwrap();
    assert!(matches!(&answer, Err(CallFailure::Unanswered(_))), "{answer:?}");
    let (answer, _) = second.await.unwrap();
    let Err(CallFailure::NotSent(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(error.address(), Some("broker:1"));
    assert!(at - began < TIME + TICK * 3, "{:?}", at - began);
    connection.closed().await;
    assert!(connection.reason().message().contains("no sign of life"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_waits_for_any_more_is_withdrawn_unless_it_is_begun() {
    let (connection, mut peer) = connect(10_000);
    let calls: Vec<Call> = (1..=3).map(|code| call(&connection, code, 50_000, Class::Bulk)).collect();
    settled().await;
    calls[0].abort();
    calls[1].abort();
    settled().await;
    assert_eq!(peer.receive().await.code, 1);
    assert_eq!(peer.receive().await.code, 3);
}

#[tokio::test(start_paused = true)]
async fn sends_wait_for_room_in_the_order_of_their_calls_and_unsent() {
    let (connection, mut peer) = connect(10_000);
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let begun = connection.try_room().unwrap();
    let first = tokio::spawn(async move { call_in(begun, request(1, 200_000)).await });
    settled().await;
    assert!(connection.try_room().is_none());
    let mut calls = Vec::new();
    for code in 2..=20 {
        let (connection, order) = (connection.clone(), Arc::clone(&order));
        calls.push(tokio::spawn(async move {
            let room = connection.room(TIME).await.unwrap();
            order.lock().unwrap().push(code);
            call_in(room, request(code, 50_000)).await
        }));
        settled().await;
    }
    calls.remove(3).abort(); // 5
    let mut codes = Vec::new();
    for _ in 0..19 {
        let command = peer.receive().await;
        codes.push(command.code);
        // Of 64 KiB, a frame more, and four that are let in at once.
        let inside = order.lock().unwrap().len() + 1 - codes.len();
        assert!(inside <= 6, "{inside} inside");
        peer.answer(&command).await;
    }
    let expected: Vec<i32> = (1..=20).filter(|code| *code != 5).collect();
    assert_eq!(codes, expected);
    assert_eq!(*order.lock().unwrap(), expected[1..]);
    first.await.unwrap().unwrap();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(connection.try_room().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_hears_of_the_end() {
    let (connection, _peer) = connect(10_000);
    let large = call(&connection, 1, 200_000, Class::Bulk);
    settled().await;
    let waiting = connection.clone();
    let waiting = tokio::spawn(async move { waiting.room(Duration::from_secs(60)).await.map(|_| ()) });
    settled().await;
    connection.retire();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.message().contains("as its server had asked for"), "{error}");
    assert!(matches!(large.await.unwrap().0, Err(CallFailure::Unanswered(_))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_trickles_in_holds_up_others_and_neither_it_nor_they_nor_the_connection_fail() {
    let (connection, mut peer) = connect(1 << 20);
    let pull = call(&connection, 11, 10, Class::Control);
    let asked = peer.receive().await;
    let renewal = call(&connection, 41, 10, Class::Control);
    let lock = peer.receive().await;
    let answer = bytes_of(&asked.respond(0, None, Bytes::from(vec![1; 400_000])));
    let began = env::now();
    peer.trickle(&answer, 3_000).await;
    assert!(began.elapsed() > TIME * 4);
    tokio::time::sleep(TIME * 5 / 6).await;
    peer.answer(&lock).await;
    assert_eq!(pull.await.unwrap().0.unwrap().body.len(), 400_000);
    renewal.await.unwrap().0.unwrap();
    assert!(!connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_not_awaited_for_ever_however_busy_the_line() {
    let (connection, mut peer) = connect(1 << 20);
    let lost = call(&connection, 41, 10, Class::Control);
    peer.receive().await;
    let began = env::now();
    let trickling = tokio::spawn(async move {
        loop {
            let push = bytes_of(&request(40, 100_000).oneway());
            peer.trickle(&push, 5_000).await;
        }
    });
    let (answer, at) = lost.await.unwrap();
    assert!(matches!(&answer, Err(CallFailure::Unanswered(error)) if error.code() == Code::Timeout), "{answer:?}");
    assert!(at - began > TIME * 9 && at - began < TIME * 11, "{:?}", at - began);
    assert!(!connection.is_closed());
    trickling.abort();
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_stops_in_its_middle_is_no_sign_of_life() {
    let (connection, mut peer) = connect(1 << 20);
    let pull = call(&connection, 11, 10, Class::Control);
    let asked = peer.receive().await;
    let answer = bytes_of(&asked.respond(0, None, Bytes::from(vec![1; 400_000])));
    peer.trickle(&answer[..30_000], 3_000).await;
    let stopped = env::now();
    let silent = call(&connection, 41, 10, Class::Control);
    let (answer, at) = silent.await.unwrap();
    assert!(matches!(answer, Err(CallFailure::Unanswered(_))));
    assert!(at - stopped <= TIME + TICK * 3, "{:?}", at - stopped);
    pull.await.unwrap().0.unwrap_err();
    assert!(connection.is_closed());
}

#[tokio::test]
async fn a_peer_that_asks_and_never_reads_ends_its_connection() {
    let (connection, mut peer) = connect(1);
    let asking = tokio::spawn(async move {
        let asked = bytes_of(&request(999, 0));
        while peer.writer.write_all(&asked).await.is_ok() {}
    });
    connection.closed().await;
    asking.await.unwrap();
    assert!(connection.reason().message().contains("does not read the answers"), "{}", connection.reason());
}

#[tokio::test]
async fn what_the_peers_system_has_not_acknowledged_has_not_left() {
    let listener = env::listen(0).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let socket = env::connect(&address).await.unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let (reader, writer) = socket.into_split();
    let connection = Connection::from_halves(&address, reader, writer, Arc::new(Obliging));
    // More than the systems on both sides take of a peer that does not read.
    let large = call(&connection, 1, 12 << 20, Class::Bulk);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!large.is_finished() && connection.try_room().is_none());
    let mut buffer = BytesMut::new();
    let received = loop {
        if let Some(command) = frame::decode(&mut buffer).unwrap() {
            break command;
        }
        peer.read_buf(&mut buffer).await.unwrap();
    };
    peer.write_all(&bytes_of(&received.respond(0, None, Bytes::new()))).await.unwrap();
    large.await.unwrap().0.unwrap();
    assert!(connection.try_room().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_send_whose_connection_ends_before_it_is_written_is_not_sent_at_once_and_waits_for_no_other() {
    let (connection, peer) = connect(10_000);
    let room = connection.try_room().unwrap();
    drop(peer);
    connection.closed().await;
    let began = env::now();
    let answer = call_in(room, request(1, 10)).await;
    assert!(matches!(answer, Err(CallFailure::NotSent(_))), "{answer:?}");
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(connection.try_room().is_none() && connection.room(TIME).await.is_err());
}
