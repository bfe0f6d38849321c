//! Sends: one after the other, in batches one after the other, and one per key at a time.

use bytes::{Bytes, BytesMut};
use rocketmq_protocol::properties::{self, name};
use rocketmq_protocol::{Codec, Request, SendBatch, SendMessage, batch, frame};
use serde_json::{Value, json};

use crate::Failure;
use crate::given::Given;
use crate::timing::{Timing, add_latencies};
use crate::wire::{Connection, NUMBER_DIGITS, Template, stored, write_digits};

/// The group of whatever is sent here.
pub(crate) const GROUP: &str = "GID_bench_limit";
/// Digits of a body that name its key, and its number among the key's.
const KEY_DIGITS: usize = 4;
const HEAD_DIGITS: usize = KEY_DIGITS + NUMBER_DIGITS;
/// What real clients add; always the same one here.
const UNIQUE_ID: &str = "7F0000010001000000010000000000FF";

/// A body: whose key it is, its number among the key's, and letters up to the length.
pub(crate) fn body(key: u32, number: u32, bytes: usize) -> Vec<u8> {
    let mut body = vec![b'x'; bytes.max(HEAD_DIGITS)];
    write_digits(&mut body[..KEY_DIGITS], key);
    write_digits(&mut body[KEY_DIGITS..HEAD_DIGITS], number);
    body
}

/// The frame of a request that is sent once.
pub(crate) fn frame_of(request: &impl Request, connection: &mut Connection) -> Result<Bytes, Failure> {
    let mut command = request.command();
    command.opaque = connection.next_opaque();
    Ok(frame::encode(&command, Codec::Json)?)
}

fn properties_of(key: u32) -> String {
    properties::encode([(name::UNIQ_KEY, UNIQUE_ID), (name::SHARDING_KEY, &*format!("key-{key}"))])
}

/// A single of one key, whose queue is chosen by its number.
pub(crate) fn single(given: &Given, key: u32) -> Result<Template, Failure> {
    let queues: u32 = given.number("queues")?;
    let request = SendMessage {
        producer_group: GROUP.into(),
        topic: given.text("topic")?.into(),
        broker_name: given.text("brokerName")?.into(),
        queue_id: i32::try_from(key % queues)?,
        sys_flag: 0,
        born_timestamp: 0,
        flag: 0,
        properties: properties_of(key),
        reconsume_times: 0,
        max_reconsume_times: None,
        body: body(key, 0, given.number("bytes")?).into(),
    };
    Template::new(&request, std::iter::once(KEY_DIGITS))
}

/// A batch into one queue, a message for each key.
fn batch_of(given: &Given, queue: u32, keys: impl Iterator<Item = u32>) -> Result<Template, Failure> {
    let bytes = given.number("bytes")?;
    let mut entries = BytesMut::new();
    let mut numbers_at = Vec::new();
    for key in keys {
        numbers_at.push(entries.len() + batch::entry_len(0, 0) - size_of::<i16>() + KEY_DIGITS);
        batch::append(&mut entries, 0, &body(key, 0, bytes), &properties_of(key))?;
    }
    Template::new(&batch_request(given, queue, entries)?, numbers_at.into_iter())
}

/// The request for these entries of a batch.
pub(crate) fn batch_request(given: &Given, queue: u32, entries: BytesMut) -> Result<SendBatch, Failure> {
    Ok(SendBatch {
        producer_group: GROUP.into(),
        topic: given.text("topic")?.into(),
        broker_name: given.text("brokerName")?.into(),
        queue_id: i32::try_from(queue)?,
        born_timestamp: 0,
        body: entries.freeze(),
    })
}

/// W1: one after the other.
pub(crate) fn awaited(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let mut template = single(given, 0)?;
    let time = given.time()?;
    let mut latencies = Vec::new();
    let timing = Timing::start()?;
    let mut began = timing.elapsed();
    for sent in 0.. {
        let opaque = connection.next_opaque();
        connection.write(template.numbered(sent, 0).with_opaque(opaque).bytes())?;
        stored(&connection.read()?)?;
        let now = timing.elapsed();
        latencies.push(now.saturating_sub(began));
        began = now;
        if now >= time {
            break;
        }
    }
    let mut figures = timing.stop(latencies.len())?;
    add_latencies(&mut figures, latencies);
    Ok(figures)
}

/// W2: batches of one queue, one after the other.
pub(crate) fn burst(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let count: u32 = given.number("batch")?;
    let mut template = batch_of(given, 0, (0..count).map(|_| 0))?;
    let time = given.time()?;
    let mut sent = 0;
    let timing = Timing::start()?;
    while timing.elapsed() < time {
        let opaque = connection.next_opaque();
        connection.write(template.numbered(sent, 1).with_opaque(opaque).bytes())?;
        stored(&connection.read()?)?;
        sent += count;
    }
    let mut figures = timing.stop(sent as usize)?;
    figures["perRequest"] = json!(count);
    Ok(figures)
}

/// W3: every key has one message under way; whose answer comes sends its next one. All on one connection. With `batches` those of a queue
/// go in one request.
pub(crate) fn keys(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let mut lanes = lanes(given)?;
    // An answer tells its lane by its correlation id.
    let first = connection.next_opaque();
    let time = given.time()?;
    let mut out = Vec::new();
    let mut push = |out: &mut Vec<u8>, lane: usize| -> Result<usize, Failure> {
        let (template, sent) = &mut lanes[lane];
        let opaque = first + i32::try_from(lane)?;
        out.extend_from_slice(template.numbered(*sent, 0).with_opaque(opaque).bytes());
        *sent += 1;
        Ok(template.messages())
    };
    let timing = Timing::start()?;
    let (mut open, mut messages, mut requests) = (0, 0, 0);
    for lane in 0..lanes_of(given)? {
        messages += push(&mut out, lane)?;
        open += 1;
    }
    while open > 0 {
        connection.write(&out)?;
        out.clear();
        let is_over = timing.elapsed() >= time;
        let mut next = Some(connection.read()?);
        while let Some(answer) = next {
            stored(&answer)?;
            requests += 1;
            if is_over {
                open -= 1;
            } else {
                messages += push(&mut out, usize::try_from(answer.opaque - first)?)?;
            }
            next = connection.read_ready()?;
        }
    }
    let mut figures = timing.stop(messages)?;
    figures["perRequest"] = json!(messages / requests);
    Ok(figures)
}

/// How many requests are under way: one for each key, or for each queue that has keys.
fn lanes_of(given: &Given) -> Result<usize, Failure> {
    let keys: usize = given.number("keys")?;
    Ok(if given.has("batches") { keys.min(given.number("queues")?) } else { keys })
}

/// A request of each lane, and how often it was sent.
fn lanes(given: &Given) -> Result<Vec<(Template, u32)>, Failure> {
    let (keys, queues): (u32, u32) = (given.number("keys")?, given.number("queues")?);
    let lane = |lane: u32| {
        if given.has("batches") {
            batch_of(given, lane, (lane..keys).step_by(queues as usize))
        } else {
            single(given, lane)
        }
    };
    (0..u32::try_from(lanes_of(given)?)?).map(|at| Ok((lane(at)?, 0))).collect()
}

/// W10: a connection, and one message.
pub(crate) fn cold(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let opaque = connection.next_opaque();
    connection.write(single(given, 0)?.with_opaque(opaque).bytes())?;
    stored(&connection.read()?)?;
    Ok(json!({ "messages": 1 }))
}
