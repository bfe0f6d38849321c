//! From a pull's body to messages, record by record.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf, Bytes, TryGetError};
use bytestring::ByteString;

use super::{Crc, Decoded, MAX_INFLATED, MAX_INNER, StoredMessage, Undecodable, UndecodableReason};
use crate::compression::{self, Compression, Inflated};

/// Layout with an u8 in front of the topic.
const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Layout with an u16 in front of the topic.
const MAGIC_V2: u32 = 0xDAA3_20AB;
/// Length and magic: a record that is shorter says nothing about where the next one begins.
const SMALLEST: usize = 8;
/// Bad records that are told apart. An answer may have two million of them, and a queue waits at the first.
const MOST_BAD: usize = 64;

const BORN_HOST_V6: i32 = 0x10;
const STORE_HOST_V6: i32 = 0x20;
const NEED_UNWRAP: i32 = 0x40;
const INNER_BATCH: i32 = 0x80;
/// Both: the body is a batch.
const UNWRAPPED: i32 = NEED_UNWRAP | INNER_BATCH;

/// What a record holds, as far as it may be looked at.
#[derive(Debug)]
pub enum Unpacked {
    /// Its messages: one, or those of a batch.
    Messages(Vec<Decoded>),
    /// More bytes than were allowed for it; nothing of it is kept.
    TooLarge,
    /// Nobody wants it any more.
    Stopped,
}

/// Decodes the records of a pull's body, each by itself: after a bad one it goes on behind it, nothing is dropped.
///
/// Where a record's own length is broken, no next one can be found: one last error stands for the rest, as it does behind many bad ones.
pub fn decode_messages(body: &Bytes, crc: Crc) -> Vec<Decoded> {
    let unpacked = read_records(body, crc).into_iter().map(|record| match record {
        Ok(stored) => match unpack(stored, MAX_INFLATED, &|| false) {
            Unpacked::Messages(messages) => messages,
            other => unreachable!("{other:?}"),
        },
        Err(bad) => vec![Err(bad)],
    });
    unpacked.flatten().collect()
}

/// The records of a pull's body as they are stored: compressed bodies are not inflated, batches are not taken apart. Each is read by
/// itself: after a bad one it goes on behind it, nothing is dropped.
///
/// Where a record's own length is broken, no next one can be found: one last error stands for the rest, as it does behind many bad ones.
pub fn read_records(body: &Bytes, crc: Crc) -> Vec<Decoded> {
    records(body, crc).collect()
}

/// As [`read_records`], one after the other.
pub fn records(body: &Bytes, crc: Crc) -> impl Iterator<Item = Decoded> {
    let mut rest = body.clone();
    let mut bad = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let total = (&rest[..]).try_get_i32().ok().and_then(|total| usize::try_from(total).ok());
        let total = total.filter(|total| (SMALLEST..=rest.len()).contains(total));
        let total = total
            .ok_or("record length")
            .and_then(|total| if bad < MOST_BAD { Ok(total) } else { Err("number of bad records") });
        let record = match total {
            Ok(total) => read_record(rest.split_to(total), crc),
            Err(bound) => {
                let (reason, record) = (UndecodableReason::Bounds(bound), std::mem::take(&mut rest));
                Err(Undecodable { queue_offset: None, reason, record, as_stored: None })
            }
        };
        bad += usize::from(record.is_err());
        Some(record)
    })
}

fn read_record(record: Bytes, crc: Crc) -> Decoded {
    let mut queue_offset = None;
    let stored = match read_fields(&record, &mut queue_offset) {
        Ok(stored) => stored,
        Err(reason) => return Err(Undecodable { queue_offset, reason, record, as_stored: None }),
    };
    match check_crc(&stored, crc) {
        Ok(()) => Ok(stored),
        Err(reason) => Err(Undecodable { queue_offset, reason, record, as_stored: Some(Box::new(stored)) }),
    }
}

/// What a record holds, in at most `limit` bytes. `stop` is asked now and then, and ends it.
pub fn unpack(stored: StoredMessage, limit: usize, stop: &dyn Fn() -> bool) -> Unpacked {
    let body = match inflate_body(&stored, limit, stop) {
        Ok(Inflated::Whole(body)) => body,
        Ok(Inflated::TooLarge) => return Unpacked::TooLarge,
        Ok(Inflated::Stopped) => return Unpacked::Stopped,
        Err(reason) => {
            let (queue_offset, record) = (Some(stored.queue_offset), stored.body.clone());
            let bad = Undecodable { queue_offset, reason, record, as_stored: Some(Box::new(stored)) };
            return Unpacked::Messages(vec![Err(bad)]);
        }
    };
    let message = StoredMessage { body, ..stored };
    let mut messages = Vec::new();
    if is_batch(message.sys_flag) {
        unwrap_batch(message, &mut messages);
    } else {
        messages.push(Ok(message));
    }
    Unpacked::Messages(messages)
}

/// Whether a body as stored has to be inflated.
pub(super) fn is_compressed(stored: &StoredMessage) -> bool {
    compression::is_compressed(stored.sys_flag) && !stored.body.is_empty()
}

/// What may come of a body that has to be inflated.
pub(super) fn most_inflated(stored: &StoredMessage) -> usize {
    if !is_compressed(stored) {
        return 0;
    }
    // Of an unknown compression comes nothing, and that is soon found.
    Compression::of(stored.sys_flag).map_or(1, |compression| compression.most_of(stored.body.len()))
}

/// Whether a record holds several messages.
pub(super) fn is_batch(sys_flag: i32) -> bool {
    sys_flag & UNWRAPPED == UNWRAPPED
}

/// How many offsets a record has: of a batch as many as it has entries, a broken one standing for the rest. A compressed one does not tell.
pub(super) fn span(stored: &StoredMessage) -> Option<i64> {
    if !is_batch(stored.sys_flag) {
        return Some(1);
    }
    if is_compressed(stored) {
        return None;
    }
    let mut rest = &stored.body[..];
    let mut count = 0;
    while !rest.is_empty() || count == 0 {
        count += 1;
        let total = rest.try_get_i32().ok().and_then(|total| usize::try_from(total).ok());
        let total = total.filter(|total| (SMALLEST..=rest.len() + 4).contains(total));
        match total.filter(|_| count <= MAX_INNER) {
            Some(total) => rest.advance(total - 4),
            None => break,
        }
    }
    i64::try_from(count).ok()
}

/// Reads the fields; the body stays as stored. `queue_offset` is set as soon as it is read.
fn read_fields(record: &Bytes, queue_offset: &mut Option<i64>) -> Result<StoredMessage, UndecodableReason> {
    let mut rest = record.clone();
    let _total = read("record length", rest.try_get_i32())?;
    let magic = read("magic", rest.try_get_u32())?;
    if !matches!(magic, MAGIC_V1 | MAGIC_V2) {
        return Err(UndecodableReason::Magic(magic));
    }
    let body_crc = read("CRC", rest.try_get_i32())?;
    let queue_id = read("queue id", rest.try_get_i32())?;
    let flag = read("flag", rest.try_get_i32())?;
    let offset = read("queue offset", rest.try_get_i64())?;
    *queue_offset = Some(offset);
    let physical_offset = read("physical offset", rest.try_get_i64())?;
    let sys_flag = read("sysFlag", rest.try_get_i32())?;
    let born_timestamp = read("born timestamp", rest.try_get_i64())?;
    let born_host = read_host("born host", &mut rest, sys_flag & BORN_HOST_V6 != 0)?;
    let store_timestamp = read("store timestamp", rest.try_get_i64())?;
    let store_host = read_host("store host", &mut rest, sys_flag & STORE_HOST_V6 != 0)?;
    let reconsume_times = read("reconsume times", rest.try_get_i32())?;
    let prepared_transaction_offset = read("prepared transaction offset", rest.try_get_i64())?;
    let body_length = read("body length", rest.try_get_i32())?;
    let body = read_bytes("body", &mut rest, body_length)?;
    let topic_length = match magic {
        MAGIC_V1 => i32::from(read("topic length", rest.try_get_u8())?),
        _ => i32::from(read("topic length", rest.try_get_u16())?),
    };
    let topic = read_bytes("topic", &mut rest, topic_length)?;
    let properties = read_properties(&mut rest)?;
    Ok(StoredMessage {
        topic: text(&topic),
        queue_id,
        queue_offset: offset,
        physical_offset,
        flag,
        sys_flag,
        born_timestamp,
        born_host,
        store_timestamp,
        store_host,
        reconsume_times,
        prepared_transaction_offset,
        body_crc,
        body,
        properties,
    })
}

fn read<T>(field: &'static str, value: Result<T, TryGetError>) -> Result<T, UndecodableReason> {
    value.map_err(|_| UndecodableReason::Bounds(field))
}

fn read_bytes(field: &'static str, rest: &mut Bytes, length: i32) -> Result<Bytes, UndecodableReason> {
    let length = usize::try_from(length).ok().filter(|length| *length <= rest.len());
    Ok(rest.split_to(length.ok_or(UndecodableReason::Bounds(field))?))
}

fn read_host(field: &'static str, rest: &mut Bytes, v6: bool) -> Result<SocketAddr, UndecodableReason> {
    let ip = if v6 {
        IpAddr::V6(Ipv6Addr::from_bits(read(field, rest.try_get_u128())?))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(read(field, rest.try_get_u32())?))
    };
    let port = u16::try_from(read(field, rest.try_get_i32())?).map_err(|_| UndecodableReason::Bounds(field))?;
    Ok(SocketAddr::new(ip, port))
}

fn read_properties(rest: &mut Bytes) -> Result<ByteString, UndecodableReason> {
    let length = read("properties length", rest.try_get_i16())?;
    Ok(text(&read_bytes("properties", rest, i32::from(length))?))
}

fn text(bytes: &Bytes) -> ByteString {
    ByteString::try_from(bytes.clone()).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}

/// The CRC is of the body as stored, and 0 where the broker computed none.
fn check_crc(message: &StoredMessage, crc: Crc) -> Result<(), UndecodableReason> {
    if crc == Crc::Skip || message.body_crc == 0 {
        return Ok(());
    }
    let actual = (crc32fast::hash(&message.body) & 0x7FFF_FFFF).cast_signed();
    if actual == message.body_crc { Ok(()) } else { Err(UndecodableReason::Crc { stored: message.body_crc, actual }) }
}

fn inflate_body(stored: &StoredMessage, limit: usize, stop: &dyn Fn() -> bool) -> Result<Inflated, UndecodableReason> {
    if !is_compressed(stored) {
        return Ok(Inflated::Whole(stored.body.clone()));
    }
    let compression = Compression::of(stored.sys_flag).map_err(UndecodableReason::CompressionType)?;
    compression.inflate(&stored.body, limit, stop).map_err(UndecodableReason::Inflate)
}

/// Message `i` of an inner batch is the outer one with flag, body and properties of its own, `i` offsets further.
///
/// A broken one stands for the rest of the batch.
fn unwrap_batch(outer: StoredMessage, messages: &mut Vec<Result<StoredMessage, Undecodable>>) {
    let mut rest = outer.body.clone();
    // Without its properties, which each inner message would copy only to replace them.
    let outer = StoredMessage { properties: ByteString::new(), ..outer };
    let mut queue_offset = outer.queue_offset;
    let mut count = 0;
    while !rest.is_empty() || count == 0 {
        let read = if count < MAX_INNER { read_entry(&mut rest, &outer, queue_offset) } else { Err("inner batch") };
        let message = match read {
            Ok(message) => message,
            Err(field) => {
                let (reason, record) = (UndecodableReason::Bounds(field), outer.body.clone());
                messages.push(Err(Undecodable { queue_offset: Some(queue_offset), reason, record, as_stored: None }));
                return;
            }
        };
        messages.push(Ok(message));
        count += 1;
        queue_offset = queue_offset.wrapping_add(1);
    }
}

fn read_entry(rest: &mut Bytes, outer: &StoredMessage, queue_offset: i64) -> Result<StoredMessage, &'static str> {
    let total = (&rest[..]).try_get_i32().ok().and_then(|total| usize::try_from(total).ok());
    let total = total.filter(|total| (SMALLEST..=rest.len()).contains(total)).ok_or("inner record length")?;
    let mut entry = rest.split_to(total);
    entry.advance(4);
    let mut fields = || {
        entry.try_get_i32()?; // magic
        entry.try_get_i32()?; // CRC
        Ok::<_, TryGetError>((entry.try_get_i32()?, entry.try_get_i32()?))
    };
    let (flag, body_length) = fields().map_err(|_| "inner record")?;
    let body = read_bytes("inner body", &mut entry, body_length).map_err(|_| "inner body")?;
    let properties = read_properties(&mut entry).map_err(|_| "inner properties")?;
    Ok(StoredMessage {
        queue_offset,
        flag,
        sys_flag: outer.sys_flag & !UNWRAPPED,
        body_crc: 0,
        body,
        properties,
        ..outer.clone()
    })
}
