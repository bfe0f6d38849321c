//! From a pull's body to messages, record by record.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf, Bytes, TryGetError};
use flate2::read::ZlibDecoder;

use super::{Crc, MAX_INFLATED, MAX_INNER, StoredMessage, Undecodable, UndecodableReason};

/// Layout with an u8 in front of the topic.
const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Layout with an u16 in front of the topic.
const MAGIC_V2: u32 = 0xDAA3_20AB;
/// Length and magic: a record that is shorter says nothing about where the next one begins.
const SMALLEST: usize = 8;

const COMPRESSED: i32 = 0x1;
const BORN_HOST_V6: i32 = 0x10;
const STORE_HOST_V6: i32 = 0x20;
const NEED_UNWRAP: i32 = 0x40;
const INNER_BATCH: i32 = 0x80;
/// Both: the body is a batch.
const UNWRAPPED: i32 = NEED_UNWRAP | INNER_BATCH;
/// Where a record has its `sysFlag`.
const SYS_FLAG_AT: usize = 36;
const COMPRESSION_SHIFT: i32 = 8;
const COMPRESSION_MASK: i32 = 0x7;

/// Decodes the records of a pull's body, each by itself: after a bad one it goes on behind it, nothing is dropped.
///
/// Where a record's own length is broken, no next one can be found: one last error stands for the rest.
pub fn decode_messages(body: &Bytes, crc: Crc) -> Vec<Result<StoredMessage, Undecodable>> {
    let mut messages = Vec::new();
    let mut rest = body.clone();
    while !rest.is_empty() {
        let total = (&rest[..]).try_get_i32().ok().and_then(|total| usize::try_from(total).ok());
        let Some(total) = total.filter(|total| (SMALLEST..=rest.len()).contains(total)) else {
            let reason = UndecodableReason::Bounds("record length");
            messages.push(Err(Undecodable { queue_offset: None, reason, record: rest, as_stored: None }));
            break;
        };
        decode_record(rest.split_to(total), crc, &mut messages);
    }
    messages
}

fn decode_record(record: Bytes, crc: Crc, messages: &mut Vec<Result<StoredMessage, Undecodable>>) {
    let mut queue_offset = None;
    let stored = match read_record(&record, &mut queue_offset) {
        Ok(stored) => stored,
        Err(reason) => return messages.push(Err(Undecodable { queue_offset, reason, record, as_stored: None })),
    };
    let body = match check_crc(&stored, crc).and_then(|()| inflate(&stored)) {
        Ok(body) => body,
        Err(reason) => {
            return messages.push(Err(Undecodable { queue_offset, reason, record, as_stored: Some(Box::new(stored)) }));
        }
    };
    let message = StoredMessage { body, ..stored };
    if message.sys_flag & UNWRAPPED == UNWRAPPED {
        unwrap_batch(message, messages);
    } else {
        messages.push(Ok(message));
    }
}

/// Reads the fields; the body stays as stored. `queue_offset` is set as soon as it is read.
fn read_record(record: &Bytes, queue_offset: &mut Option<i64>) -> Result<StoredMessage, UndecodableReason> {
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
        topic: String::from_utf8_lossy(&topic).into_owned(),
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
        record: record.clone(),
    })
}

/// Whether a record holds several messages.
pub(super) fn is_batch(record: &[u8]) -> bool {
    let mut flag = record.get(SYS_FLAG_AT..).unwrap_or_default();
    flag.try_get_i32().is_ok_and(|flag| flag & UNWRAPPED == UNWRAPPED)
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

fn read_properties(rest: &mut Bytes) -> Result<String, UndecodableReason> {
    let length = read("properties length", rest.try_get_i16())?;
    let text = read_bytes("properties", rest, i32::from(length))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The CRC is of the body as stored, and 0 where the broker computed none.
fn check_crc(message: &StoredMessage, crc: Crc) -> Result<(), UndecodableReason> {
    if crc == Crc::Skip || message.body_crc == 0 {
        return Ok(());
    }
    let actual = (crc32fast::hash(&message.body) & 0x7FFF_FFFF).cast_signed();
    if actual == message.body_crc { Ok(()) } else { Err(UndecodableReason::Crc { stored: message.body_crc, actual }) }
}

fn inflate(message: &StoredMessage) -> Result<Bytes, UndecodableReason> {
    if message.sys_flag & COMPRESSED == 0 || message.body.is_empty() {
        return Ok(message.body.clone());
    }
    match (message.sys_flag >> COMPRESSION_SHIFT) & COMPRESSION_MASK {
        0 | 3 => inflate_zlib(&message.body),
        1 => Err(UndecodableReason::Compression("LZ4")),
        2 => Err(UndecodableReason::Compression("ZSTD")),
        other => Err(UndecodableReason::CompressionType(other)),
    }
}

fn inflate_zlib(body: &[u8]) -> Result<Bytes, UndecodableReason> {
    let mut inflated = Vec::with_capacity(body.len().saturating_mul(4).min(MAX_INFLATED));
    let limit = MAX_INFLATED as u64 + 1;
    let read = ZlibDecoder::new(body).take(limit).read_to_end(&mut inflated);
    read.map_err(|error| UndecodableReason::Inflate(error.to_string()))?;
    if inflated.len() > MAX_INFLATED {
        return Err(UndecodableReason::Inflate(format!("more than {MAX_INFLATED} bytes")));
    }
    Ok(Bytes::from(inflated))
}

/// Message `i` of an inner batch is the outer one with flag, body and properties of its own, `i` offsets further.
///
/// A broken one stands for the rest of the batch.
fn unwrap_batch(outer: StoredMessage, messages: &mut Vec<Result<StoredMessage, Undecodable>>) {
    let mut rest = outer.body.clone();
    // Without its properties, which each inner message would copy only to replace them.
    let outer = StoredMessage { properties: String::new(), ..outer };
    let mut queue_offset = outer.queue_offset;
    let mut count = 0;
    while !rest.is_empty() || count == 0 {
        let read = if count < MAX_INNER { read_entry(&mut rest, &outer, queue_offset) } else { Err("inner batch") };
        let message = match read {
            Ok(message) => message,
            Err(field) => {
                let (reason, record) = (UndecodableReason::Bounds(field), outer.record.clone());
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
