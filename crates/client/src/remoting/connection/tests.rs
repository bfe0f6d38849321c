use super::*;
use crate::protocol::Fields;
use crate::remoting::CallFailure;
use bytes::Bytes;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

/// Keeps the requests of the peer.
struct Kept(mpsc::UnboundedSender<Command>);
impl Inbound for Kept {
    fn request(&self, _connection: &Connection, command: Command) {
        self.0.send(command).unwrap();
    }
}

/// The peer's end of an in-memory connection.
struct Peer {
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Peer {
    async fn receive(&mut self) -> Command {
        loop {
            if let Some(command) = frame::decode(&mut self.buffer).unwrap() {
                return command;
            }
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "hung up");
        }
    }

    async fn send(&mut self, command: &Command) {
        self.stream.write_all(&bytes_of(command)).await.unwrap();
    }
}

fn bytes_of(command: &Command) -> Vec<u8> {
    pieces(command).unwrap().concat()
}

fn connect(capacity: usize) -> (Connection, Peer, mpsc::UnboundedReceiver<Command>) {
    let (near, far) = duplex(capacity);
    let (sender, requests) = mpsc::unbounded_channel();
    let connection = Connection::new("broker:1", near, Arc::new(Kept(sender)));
    (connection, Peer { stream: far, buffer: BytesMut::new() }, requests)
}

fn request(code: i32) -> Command {
    Command::request(code, Fields::new(), Bytes::new())
}

const TIME: Duration = Duration::from_secs(3);
fn call(connection: &Connection, code: i32) -> tokio::task::JoinHandle<Result<Command, CallFailure>> {
    let connection = connection.clone();
    tokio::spawn(async move { connection.call(request(code), Class::Control, TIME).await })
}

#[tokio::test(start_paused = true)]
async fn answers_in_any_order_reach_their_requests() {
    let (connection, mut peer, _requests) = connect(1 << 16);
    let (first, second) = (call(&connection, 1), call(&connection, 2));
    let (a, b) = (peer.receive().await, peer.receive().await);
    for received in [&b, &a] {
        peer.send(&received.respond(received.code * 10, None, Bytes::new())).await;
    }
    assert_eq!(first.await.unwrap().unwrap().code, 10);
    assert_eq!(second.await.unwrap().unwrap().code, 20);
}

#[tokio::test(start_paused = true)]
async fn frames_that_arrive_byte_by_byte_or_glued_together_are_read() {
    let (connection, mut peer, mut requests) = connect(1 << 16);
    let pending = call(&connection, 7);
    let received = peer.receive().await;
    let mut glued = bytes_of(&received.respond(0, None, Bytes::from_static(b"body")));
    glued.extend(bytes_of(&request(40).oneway()));
    glued.extend(bytes_of(&request(40).oneway()));
    for byte in glued {
        peer.stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(pending.await.unwrap().unwrap().body, "body");
    assert_eq!(requests.recv().await.unwrap().code, 40);
    assert_eq!(requests.recv().await.unwrap().code, 40);
}

#[tokio::test(start_paused = true)]
async fn a_frame_larger_than_the_socket_takes_arrives_whole_and_unmixed() {
    let (connection, mut peer, _requests) = connect(100);
    let large = Bytes::from(vec![7; 300_000]);
    let sending = {
        let (connection, large) = (connection.clone(), large.clone());
        tokio::spawn(
            async move { connection.call(Command::request(1, Fields::new(), large), Class::Control, TIME).await },
        )
    };
    tokio::task::yield_now().await;
    let small = call(&connection, 2);
    let first = peer.receive().await;
    assert_eq!((first.code, first.body.len()), (1, large.len()));
    let second = peer.receive().await;
    assert_eq!(second.code, 2);
    for received in [first, second] {
        peer.send(&received.respond(0, None, Bytes::new())).await;
    }
    sending.await.unwrap().unwrap();
    small.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_fails_what_waits_as_unanswered_and_refuses_what_comes_later_as_not_sent() {
    let (connection, mut peer, _requests) = connect(1 << 16);
    let pending = call(&connection, 1);
    peer.receive().await;
    drop(peer);
    assert!(matches!(pending.await.unwrap(), Err(CallFailure::Unanswered(error)) if error.code() == Code::Connection));
    connection.closed().await;
    let late = connection.call(request(2), Class::Control, TIME).await;
    assert!(matches!(late, Err(CallFailure::NotSent(error)) if error.code() == Code::Connection));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stays_silent_is_given_up_and_one_that_answers_others_is_not() {
    let (connection, mut peer, _requests) = connect(1 << 16);
    let held = call(&connection, 1);
    peer.receive().await;
    let other = call(&connection, 2);
    let received = peer.receive().await;
    peer.send(&received.respond(0, None, Bytes::new())).await;
    other.await.unwrap().unwrap();
    assert!(matches!(held.await.unwrap(), Err(CallFailure::Unanswered(error)) if error.code() == Code::Timeout));
    assert!(!connection.is_closed());

    let silent = call(&connection, 3);
    assert!(matches!(silent.await.unwrap(), Err(CallFailure::Unanswered(error)) if error.code() == Code::Timeout));
    assert!(connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_leaves_no_waiter_and_its_late_answer_harms_nobody() {
    let (connection, mut peer, _requests) = connect(1 << 16);
    let cancelled = call(&connection, 1);
    let received = peer.receive().await;
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    assert!(matches!(&*connection.inner.waiters(), Waiters::Open(waiters) if waiters.is_empty()));
    peer.send(&received.respond(0, None, Bytes::new())).await;
    let next = call(&connection, 2);
    let received = peer.receive().await;
    peer.send(&received.respond(5, None, Bytes::new())).await;
    assert_eq!(next.await.unwrap().unwrap().code, 5);
}

#[tokio::test(start_paused = true)]
async fn garbage_ends_the_connection_with_a_protocol_error() {
    for garbage in
        [&b"\0\0\0\0"[..], b"\xff\xff\xff\xff\0\0\0\0", b"\x7f\xff\xff\xff\0\0\0\0", b"\0\0\0\x06\0\0\0\x02{}"]
    {
        let (connection, mut peer, _requests) = connect(1 << 16);
        let pending = call(&connection, 1);
        peer.receive().await;
        peer.stream.write_all(garbage).await.unwrap();
        assert!(
            matches!(pending.await.unwrap(), Err(CallFailure::Unanswered(error)) if error.code() == Code::Protocol),
            "{garbage:?}"
        );
        connection.closed().await;
        assert_eq!(connection.reason().code(), Code::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn the_peers_requests_are_handed_over_and_answered_under_their_own_number() {
    let (connection, mut peer, mut requests) = connect(1 << 16);
    let mut asked = request(307);
    asked.opaque = 99;
    peer.send(&asked).await;
    let received = requests.recv().await.unwrap();
    connection.respond(&received.respond(0, None, Bytes::from_static(b"info")));
    let answer = peer.receive().await;
    assert!(answer.is_response());
    assert_eq!((answer.opaque, answer.body), (99, Bytes::from_static(b"info")));
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_frees_its_socket_although_somebody_still_holds_it() {
    let (connection, mut peer, _requests) = connect(1 << 16);
    connection.close();
    connection.closed().await;
    // A stream that is only shut down would still take this.
    assert_eq!(peer.stream.write(b"x").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    assert!(connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_retired_connection_answers_what_it_was_asked_and_ends() {
    let (connection, mut peer, _requests) = connect(4096);
    let (first, second) = (call(&connection, 1), call(&connection, 2));
    let (one, two) = (peer.receive().await, peer.receive().await);
    connection.retire();
    assert!(connection.is_closed());
    assert!(matches!(connection.call(request(3), Class::Control, TIME).await, Err(CallFailure::NotSent(_))));
    peer.send(&two.respond(0, None, Bytes::new())).await;
    assert_eq!(second.await.unwrap().unwrap().code, 0);
    peer.send(&one.respond(7, None, Bytes::new())).await;
    assert_eq!(first.await.unwrap().unwrap().code, 7);
    connection.closed().await;
    assert_eq!(peer.stream.read(&mut [0; 8]).await.unwrap(), 0);

    let (idle, mut peer, _requests) = connect(4096);
    idle.retire();
    idle.closed().await;
    assert_eq!(peer.stream.read(&mut [0; 8]).await.unwrap(), 0);
}
