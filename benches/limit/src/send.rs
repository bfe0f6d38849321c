//! Sends: one after the other, in batches one after the other, and one per key at a time.

use bytes::{Bytes, BytesMut};
use rocketmq_protocol::properties::{self, name};
use rocketmq_protocol::{Codec, Request, SendBatch, SendMessage, batch, frame};
use serde_json::{Value, json};

use crate::Failure;
use crate::given::Given;
use crate::timing::{Timing, add_latencies};
use crate::wire::{Connection, Template, stored, write_digits};

/// The group of whatever is sent here.
pub(crate) const GROUP: &str = "GID_bench_limit";
/// Digits of a body that name its key, and its number among the key's.
const KEY_DIGITS: usize = 4;
const HEAD_DIGITS: usize = 12;
/// What real clients add; always the same one here.
const UNIQUE_ID: &str = "7F0000010001000000010000000000FF";

/// A body: whose key it is, its number among the key's, and letters up to the length.
pub(crate) fn body(key: u32, number: u32, bytes: usize) -> Vec<u8> {
    let mut body = vec![b'x'; bytes.max(HEAD_DIGITS)];
    write_digits(&mut body[..KEY_DIGITS], key);
    write_digits(&mut body[KEY_DIGITS..HEAD_DIGITS], number);
    body
}

fn write_number(body: &mut [u8], number: u32) {
    write_digits(&mut body[KEY_DIGITS..HEAD_DIGITS], number);
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
    Template::new(&SendMessage {
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
    })
}

/// Makes room for the number of a template's only message.
pub(crate) fn number(template: &mut Template, number: u32) {
    write_number(template.body(), number);
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
        number(&mut template, sent);
        let opaque = connection.next_opaque();
        connection.write(template.with_opaque(opaque).bytes())?;
        stored(&connection.read()?)?;
        let now = timing.elapsed();
        latencies.push(now - began);
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
    let (count, bytes): (u32, usize) = (given.number("batch")?, given.number("bytes")?);
    let properties = properties_of(0);
    let mut entries = BytesMut::new();
    for _ in 0..count {
        batch::append(&mut entries, 0, &body(0, 0, bytes), &properties)?;
    }
    let stride = entries.len() / count as usize;
    let body_at = batch::entry_len(0, 0) - size_of::<i16>();
    let mut template = Template::new(&SendBatch {
        producer_group: GROUP.into(),
        topic: given.text("topic")?.into(),
        broker_name: given.text("brokerName")?.into(),
        queue_id: 0,
        born_timestamp: 0,
        body: entries.freeze(),
    })?;
    let time = given.time()?;
    let mut sent = 0;
    let timing = Timing::start()?;
    while timing.elapsed() < time {
        for entry in template.body().chunks_exact_mut(stride) {
            write_number(&mut entry[body_at..], sent);
            sent += 1;
        }
        let opaque = connection.next_opaque();
        connection.write(template.with_opaque(opaque).bytes())?;
        stored(&connection.read()?)?;
    }
    let mut figures = timing.stop(sent as usize)?;
    figures["perRequest"] = json!(count);
    Ok(figures)
}

/// W3: every key has one message under way; whose answer comes sends its next one. All on one connection.
pub(crate) fn keys(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let keys: u32 = given.number("keys")?;
    let mut lanes = (0..keys).map(|key| Ok((single(given, key)?, 0))).collect::<Result<Vec<_>, Failure>>()?;
    // An answer tells its key by its correlation id.
    let first = connection.next_opaque();
    let time = given.time()?;
    let mut out = Vec::new();
    let mut push = |out: &mut Vec<u8>, lane: usize| -> Result<(), Failure> {
        let (template, sent): &mut (Template, u32) = &mut lanes[lane];
        number(template, *sent);
        *sent += 1;
        out.extend_from_slice(template.with_opaque(first + i32::try_from(lane)?).bytes());
        Ok(())
    };
    let timing = Timing::start()?;
    for lane in 0..keys as usize {
        push(&mut out, lane)?;
    }
    let (mut done, mut open) = (0, keys as usize);
    while open > 0 {
        connection.write(&out)?;
        out.clear();
        let is_over = timing.elapsed() >= time;
        let mut next = Some(connection.read()?);
        while let Some(answer) = next {
            stored(&answer)?;
            done += 1;
            if is_over {
                open -= 1;
            } else {
                push(&mut out, usize::try_from(answer.opaque - first)?)?;
            }
            next = connection.read_ready()?;
        }
    }
    let mut figures = timing.stop(done)?;
    figures["perRequest"] = json!(1);
    Ok(figures)
}

/// W10: a connection, and one message.
pub(crate) fn cold(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let opaque = connection.next_opaque();
    connection.write(single(given, 0)?.with_opaque(opaque).bytes())?;
    stored(&connection.read()?)?;
    Ok(json!({ "messages": 1 }))
}
