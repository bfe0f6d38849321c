//! What the package's own thread says and hands over, and what JavaScript's takes and says itself, in any order of their steps.

#![allow(clippy::unwrap_used, reason = "a test")]

use super::super::chunks::{Chunks, Packed};
use super::*;
use crate::consumer::Handover;
use rocketmq_client::schedules::{catches, in_any_order};
use shuttle::sync::Condvar;
use shuttle::thread;

const QUEUE: u32 = 5;
/// Chunks that are handed over.
const CHUNKS: u32 = 4;

/// An event loop, as far as it can be woken.
#[derive(Default)]
struct Loop {
    rung: Mutex<bool>,
    wakes: Condvar,
}

impl Loop {
    fn wake(&self) {
        *self.rung.lock().unwrap() = true;
        self.wakes.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !std::mem::take(&mut *rung) {
            rung = self.wakes.wait(rung).unwrap();
        }
    }
}

struct Facade {
    bell: Arc<Bell<u32>>,
    chunks: Arc<Chunks>,
    events: Arc<Loop>,
}

impl Facade {
    fn new() -> Self {
        let events = Arc::new(Loop::default());
        let woken = Arc::clone(&events);
        let ring = Callback::heard(move || woken.wake());
        let bell = Bell { queue: Mutex::default(), ring, records: Records::None, pulse: Pulse::new() };
        Self { bell: Arc::new(bell), chunks: Arc::default(), events }
    }

    /// What is heard until the last word: numbers, and generations of chunks.
    fn listen(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut said, mut handed) = (Vec::new(), Vec::new());
        loop {
            self.events.wait();
            while let Some(heard) = self.bell.take(|own| Taken::Whole(*own)) {
                match heard {
                    Heard::Own(QUEUE) => {
                        while let Some(Packed::Messages { generation, .. }) =
                            self.chunks.take(QUEUE, &mut [0; 64], None)
                        {
                            handed.push(generation);
                        }
                    }
                    Heard::Own(number) => said.push(number),
                    Heard::Answer(_) => return (said, handed),
                    Heard::Event(json) => panic!("{json}"),
                }
            }
        }
    }
}

/// As a sink does it.
fn hand_over(bell: &Bell<u32>, chunks: &Chunks, generation: u32) {
    if chunks.put(Handover { queue: QUEUE, generation, after: 0, messages: Vec::new() }) {
        bell.say(QUEUE);
    }
}

fn say_and_hear() {
    let facade = Facade::new();
    let (bell, chunks) = (Arc::clone(&facade.bell), Arc::clone(&facade.chunks));
    let own = thread::spawn(move || {
        for generation in 1..=CHUNKS {
            hand_over(&bell, &chunks, generation);
        }
        bell.say(1);
        bell.last(Answer::of(7, Ok(String::from("null"))));
    });
    // A call of the program, which settles something.
    facade.bell.keep([2]);
    facade.bell.ring();
    let (mut said, handed) = facade.listen();
    own.join().unwrap();
    // It may have come behind the last word.
    said.retain(|number| *number != 2);
    assert_eq!(said, [1]);
    assert_eq!(handed, (1..=CHUNKS).collect::<Vec<_>>());
}

/// The last word beside a call of the program.
fn say_last() {
    let facade = Facade::new();
    let bell = Arc::clone(&facade.bell);
    let own = thread::spawn(move || bell.last(Answer::of(7, Ok(String::from("null")))));
    facade.bell.keep([2]);
    facade.bell.ring();
    facade.listen();
    own.join().unwrap();
}

#[test]
fn all_that_is_said_is_heard_up_to_the_last_word() {
    in_any_order(4_000, say_and_hear);
    in_any_order(4_000, say_last);
}

/// It was so: an answer to `close()` that nobody heard.
#[test]
fn a_last_word_that_nobody_is_woken_for_would_be_found() {
    assert!(catches("leave the last ring to others", 4_000, say_last));
}

#[test]
fn chunks_that_nobody_is_told_of_would_be_found() {
    assert!(catches("think that it will be told", 2_000, say_and_hear));
}
