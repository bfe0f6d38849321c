//! What is stored: filling topics for the drains, and reading back what somebody has sent.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rocketmq_protocol::message::MAX_INFLATED;
use rocketmq_protocol::properties::{self, name};
use rocketmq_protocol::{Crc, Pull, StoredMessage, UniqueIds, Unpacked, batch, read_records, unpack};
use serde_json::{Value, json};

use crate::Failure;
use crate::drain::pull;
use crate::given::Given;
use crate::send::{batch_request, body, frame_of};
use crate::wire::{Connection, stored};

/// The key of what is sent before the clock starts.
const WARM_UP_KEY: u32 = 9_999;
const BATCH: u32 = 128;
/// So long the end of a queue may stand still before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Stores `messages` messages, evenly over the queues: key and queue are one, and the numbers of each queue ascend.
pub(crate) fn fill(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let queues: u32 = given.number("queues")?;
    let each = given.number::<u32>("messages")?.div_ceil(queues);
    let bytes: usize = given.number("bytes")?;
    let ids = UniqueIds::new(IpAddr::V4(Ipv4Addr::LOCALHOST), std::process::id(), 1);
    for from in (0..each).step_by(BATCH as usize) {
        let count = BATCH.min(each - from);
        for queue in 0..queues {
            let mut entries = BytesMut::new();
            for number in from..from + count {
                let key = format!("key-{queue}");
                let pairs = [(name::UNIQ_KEY, &*ids.next(number)), (name::SHARDING_KEY, &*key)];
                batch::append(&mut entries, 0, &body(queue, number, bytes), &properties::encode(pairs))?;
            }
            let frame = frame_of(&batch_request(given, queue, entries)?, &mut connection)?;
            connection.write(&frame)?;
        }
        for _ in 0..queues {
            stored(&connection.read()?)?;
        }
    }
    Ok(json!({ "messages": each * queues }))
}

/// What lies in a topic, against the order of the calls, which each body tells: inversions, what is there twice, and what is missing.
pub(crate) fn check(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let queues: i32 = given.number("queues")?;
    let expected: usize = given.number("messages")?;
    let mut found = Found::default();
    let mut offsets = vec![0; usize::try_from(queues)?];
    let mut moved = Instant::now();
    loop {
        let before = found.messages;
        for queue in 0..queues {
            let offset = &mut offsets[usize::try_from(queue)?];
            while let Some(records) = next_records(&mut connection, given, queue, offset)? {
                for record in read_records(&records, Crc::Skip) {
                    found.see(record.map_err(|error| error.to_string())?)?;
                }
            }
        }
        if found.messages > before {
            moved = Instant::now();
        } else if found.messages >= expected || moved.elapsed() > PATIENCE {
            return Ok(found.told(expected));
        }
        std::thread::sleep(PAUSE);
    }
}

fn next_records(
    connection: &mut Connection,
    given: &Given,
    queue: i32,
    offset: &mut i64,
) -> Result<Option<bytes::Bytes>, Failure> {
    let pulled = connection.call::<Pull>(&pull(given, queue, *offset)?)?;
    let is_new = pulled.next_offset > *offset && !pulled.body.is_empty();
    *offset = pulled.next_offset;
    Ok(is_new.then_some(pulled.body))
}

/// The messages that were read back so far.
#[derive(Default)]
struct Found {
    messages: usize,
    inversions: usize,
    duplicates: usize,
    seen: HashSet<(u32, u32)>,
    /// By key and queue.
    last: HashMap<(u32, i32), u32>,
    queue_of: HashMap<u32, i32>,
    spread: HashSet<u32>,
}

impl Found {
    fn see(&mut self, record: StoredMessage) -> Result<(), Failure> {
        match unpack(record, MAX_INFLATED, &|| false) {
            Unpacked::Messages(messages) => messages.into_iter().try_for_each(|message| {
                let message = message.map_err(|bad| bad.to_string())?;
                self.see_body(message.queue_id, &message.body)
            }),
            _ => Err("a message cannot be unpacked".into()),
        }
    }

    fn see_body(&mut self, queue: i32, body: &[u8]) -> Result<(), Failure> {
        let text = body.get(..12).and_then(|head| std::str::from_utf8(head).ok()).ok_or("a body without a number")?;
        let (key, number) = (text[..4].parse::<u32>()?, text[4..].parse::<u32>()?);
        if key == WARM_UP_KEY {
            return Ok(());
        }
        if !self.seen.insert((key, number)) {
            self.duplicates += 1;
            return Ok(());
        }
        self.messages += 1;
        if *self.queue_of.entry(key).or_insert(queue) != queue {
            self.spread.insert(key);
        }
        let before = self.last.insert((key, queue), number);
        if before.is_some_and(|before| number < before) {
            self.inversions += 1;
        }
        Ok(())
    }

    fn told(&self, expected: usize) -> Value {
        json!({
            "stored": self.messages,
            "inversions": self.inversions,
            "duplicates": self.duplicates,
            "spreadKeys": self.spread.len(),
            "missing": expected.saturating_sub(self.messages),
        })
    }
}
