//! Threads that write to one connection, and one that ends it, in any order of their steps.

#![allow(clippy::unwrap_used, reason = "a test")]

use super::{CallFailure, Class, Connection, Inbound};
use crate::env;
use crate::protocol::{Codec, Command, Fields, frame};
use crate::schedules::{Own, catches, in_any_order};
use bytes::{Bytes, BytesMut};
use shuttle::thread;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const TICK: Duration = Duration::from_millis(5);
const TIME: Duration = Duration::from_secs(3);
/// Most that the line holds: less than a frame.
const LINE: usize = 100;
/// Requests of each thread.
const REQUESTS: i32 = 4;

/// Asks nothing.
struct Quiet;
impl Inbound for Quiet {
    fn request(&self, _connection: &Connection, _command: Command) {}
}

/// How the connection ends, beside the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Behind them.
    Late,
    /// At once.
    Close,
    /// With the last answer.
    Retire,
}

/// What became of the requests, by their codes.
#[derive(Debug, Default)]
struct Book {
    /// Those that the peer has read.
    read: Mutex<Vec<i32>>,
    /// What was told of each.
    told: Mutex<BTreeMap<i32, Vec<&'static str>>>,
}

impl Book {
    fn tell(&self, code: i32, result: &Result<Command, CallFailure>) {
        let word = match result {
            Ok(_) => "answered",
            Err(CallFailure::NotSent(_)) => "not sent",
            Err(CallFailure::Unanswered(_)) => "unanswered",
        };
        self.told.lock().unwrap().entry(code).or_default().push(word);
    }

    fn check(&self, end: End) {
        let (read, told) = (self.read.lock().unwrap(), self.told.lock().unwrap());
        assert_eq!(told.len(), 2 * REQUESTS as usize, "{told:?}");
        for (code, words) in told.iter() {
            let times = read.iter().filter(|read| *read == code).count();
            match words[..] {
                ["answered"] => assert_eq!(times, 1),
                ["not sent"] => assert_eq!(times, 0, "{code} was read"),
                ["unanswered"] => assert!(times <= 1),
                _ => panic!("{code} was told {words:?}"),
            }
            assert!(end == End::Close || words[0] != "unanswered", "{code} was left alone");
            assert!(end != End::Late || words[0] == "answered", "{code}: {words:?}");
        }
    }
}

/// Reads what comes and answers it.
async fn answer(mut line: DuplexStream, book: Arc<Book>) {
    let mut buffer = BytesMut::new();
    loop {
        match frame::decode(&mut buffer).expect("frames come whole, one after the other") {
            Some(command) => {
                book.read.lock().unwrap().push(command.code);
                let answer = command.respond(0, None, Bytes::new());
                let bytes = frame::encode(&answer, Codec::Json).unwrap();
                if line.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            None if line.read_buf(&mut buffer).await.unwrap_or(0) == 0 => return,
            None => {}
        }
    }
}

fn request(code: i32) -> Command {
    Command::request(code, Fields::new(), Bytes::from_static(&[7; LINE]))
}

/// One thread sends where there is room, the other calls.
fn requests(end: End) {
    let own = Own::new();
    let book = Arc::new(Book::default());
    let connection = own.alone(async {
        let (near, far) = duplex(LINE);
        env::spawn(answer(far, Arc::clone(&book)));
        Connection::new("broker:1", near, Arc::new(Quiet))
    });
    let (sender, told) = (connection.clone(), Arc::clone(&book));
    own.beside(TICK, move || {
        let all = || told.told.lock().unwrap().len() == 2 * REQUESTS as usize;
        env::spawn({
            let (connection, told) = (sender.clone(), Arc::clone(&told));
            async move {
                for code in 1..=REQUESTS {
                    told.tell(code, &connection.call(request(code), Class::Control, TIME).await);
                }
            }
        });
        for code in REQUESTS + 1..=2 * REQUESTS {
            if code == REQUESTS + 3 && end != End::Late {
                let connection = sender.clone();
                env::spawn(async move { if end == End::Close { connection.close() } else { connection.retire() } });
            }
            let answered = Arc::clone(&told);
            let answered = move |result: Result<Command, CallFailure>| answered.tell(code, &result);
            loop {
                if let Some(room) = sender.try_room() {
                    break room.post(request(code), TIME, Box::new(answered));
                }
                if sender.is_closed() {
                    break answered(Err(CallFailure::NotSent(sender.reason())));
                }
                thread::yield_now();
            }
        }
        while !all() {
            thread::yield_now();
        }
    });
    book.check(end);
}

#[test]
fn each_request_is_written_whole_and_answered() {
    in_any_order(400, || requests(End::Late));
}

#[test]
fn what_is_not_written_when_it_ends_never_will_be() {
    in_any_order(400, || requests(End::Close));
    in_any_order(400, || requests(End::Retire));
}

#[test]
fn a_writer_that_nobody_wakes_would_be_found() {
    assert!(catches("wake no writer", 200, || requests(End::Late)));
}
