//! W6: messages at a steady rate on one connection, long polls on another.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_protocol::{Crc, Pull, Request, read_records};
use serde_json::{Value, json};

use crate::Failure;
use crate::drain::pull;
use crate::given::Given;
use crate::send::{frame_of, single};
use crate::timing::{Timing, add_latencies};
use crate::wire::{Connection, stored};

/// So long a broker may hold a pull.
const SUSPEND_MS: i64 = 5_000;
/// So long the first polls are under way before the first message.
const HEAD_START: Duration = Duration::from_millis(300);

pub(crate) fn latency(given: &Given) -> Result<Value, Failure> {
    let (keys, rate): (u32, u32) = (given.number("keys")?, given.number("rate")?);
    let messages = u32::try_from(u128::from(rate) * given.time()?.as_millis() / 1_000)?;
    let mut answers = Connection::open(given.text("broker")?)?;
    let mut writer = answers.writer()?;
    let mut templates = (0..keys).map(|key| single(given, key)).collect::<Result<Vec<_>, Failure>>()?;
    let polls = Connection::open(given.text("broker")?)?;
    let timing = Timing::start()?;
    let start = Instant::now() + HEAD_START;
    let due = |index: u32| start + Duration::from_secs(1) * index / rate;
    let written: Vec<AtomicU64> = (0..messages).map(|_| AtomicU64::new(0)).collect();
    let written = &written;
    let latencies = thread::scope(|scope| {
        let receiving = scope.spawn(move || receive(given, polls, keys, written, start));
        let confirming = scope.spawn(move || (0..messages).try_for_each(|_| stored(&answers.read()?)));
        for index in 0..messages {
            thread::sleep(due(index).saturating_duration_since(Instant::now()));
            let template = &mut templates[(index % keys) as usize];
            written[index as usize].store(nanos_since(start), Ordering::Release);
            writer.write_all(template.numbered(index / keys, 0).bytes())?;
        }
        confirming.join().map_err(|_| "the reader of answers panicked")??;
        receiving.join().map_err(|_| "the reader of messages panicked")?
    })?;
    let mut figures = timing.stop(latencies.len())?;
    figures["inversions"] = json!(0);
    add_latencies(&mut figures, latencies);
    Ok(figures)
}

/// Polls every queue until all messages have come; how long after it was written each came.
fn receive(
    given: &Given,
    mut connection: Connection,
    keys: u32,
    written: &[AtomicU64],
    start: Instant,
) -> Result<Vec<Duration>, Failure> {
    let queues: i32 = given.number("queues")?;
    let mut waiting = std::collections::HashMap::new();
    for queue in 0..queues {
        let frame = frame_of(&poll(given, queue, 0)?, &mut connection)?;
        connection.write(&frame)?;
        waiting.insert(connection.last_opaque(), queue);
    }
    let mut latencies = Vec::new();
    while latencies.len() < written.len() {
        let answer = connection.read()?;
        let now = nanos_since(start);
        let queue = waiting.remove(&answer.opaque).ok_or("an answer to no pull")?;
        let pulled = Pull::decode(answer)?;
        let frame = frame_of(&poll(given, queue, pulled.next_offset)?, &mut connection)?;
        connection.write(&frame)?;
        waiting.insert(connection.last_opaque(), queue);
        for record in read_records(&pulled.body, Crc::Skip) {
            let body = record.map_err(|error| error.to_string())?.body;
            let text = std::str::from_utf8(&body[..12])?;
            let (key, number) = (text[..4].parse::<u32>()?, text[4..].parse::<u32>()?);
            let began = written[(number * keys + key) as usize].load(Ordering::Acquire);
            latencies.push(Duration::from_nanos(now.saturating_sub(began)));
        }
    }
    Ok(latencies)
}

fn poll(given: &Given, queue: i32, offset: i64) -> Result<Pull, Failure> {
    Ok(Pull { suspend_ms: SUSPEND_MS, ..pull(given, queue, offset)? })
}

fn nanos_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
