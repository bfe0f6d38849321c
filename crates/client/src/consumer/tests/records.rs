//! Stored messages, byte by byte.

use bytes::{BufMut, Bytes, BytesMut};

use crate::protocol::{Crc, StoredMessage, decode_messages, properties};

/// What a test broker stores.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) body: Bytes,
    pub(super) properties: Vec<(String, String)>,
    pub(super) timestamp: i64,
    pub(super) reconsume_times: i32,
    /// The bytes on disk are damaged.
    pub(super) damaged: bool,
}

/// The record of a message with IPv4 hosts and the old magic.
pub(super) fn record(topic: &str, queue_id: i32, offset: i64, stored: &Stored) -> Bytes {
    let properties = properties::encode(stored.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let total = 91 + stored.body.len() + topic.len() + properties.len();
    let mut out = BytesMut::with_capacity(total);
    let crc = crc32fast::hash(&stored.body) & 0x7fff_ffff;
    out.put_i32(i32::try_from(total).unwrap());
    out.put_u32(0xDAA3_20A7);
    out.put_u32(if stored.damaged { crc ^ 1 } else { crc });
    out.put_i32(queue_id);
    out.put_i32(0);
    out.put_i64(offset);
    out.put_i64(offset * 1_000 + i64::from(queue_id));
    out.put_i32(0);
    out.put_i64(stored.timestamp);
    out.put_slice(&[10, 0, 0, 9]);
    out.put_i32(4_242);
    out.put_i64(stored.timestamp);
    out.put_slice(&[10, 0, 0, 2]);
    out.put_i32(10_911);
    out.put_i32(stored.reconsume_times);
    out.put_i64(0);
    out.put_i32(i32::try_from(stored.body.len()).unwrap());
    out.put_slice(&stored.body);
    out.put_u8(u8::try_from(topic.len()).unwrap());
    out.put_slice(topic.as_bytes());
    out.put_i16(i16::try_from(properties.len()).unwrap());
    out.put_slice(properties.as_bytes());
    out.freeze()
}

/// A stored message without properties.
pub(super) fn plain(body: &[u8]) -> Stored {
    Stored {
        body: Bytes::copy_from_slice(body),
        properties: Vec::new(),
        timestamp: 0,
        reconsume_times: 0,
        damaged: false,
    }
}

/// A message as decoded from its record.
pub(crate) fn message(topic: &str, queue_id: i32, offset: i64, body: &[u8]) -> StoredMessage {
    let record = record(topic, queue_id, offset, &plain(body));
    decode_messages(&record, Crc::Check).remove(0).unwrap()
}

/// The bytes of a message.
pub(crate) fn record_of(topic: &str, queue_id: i32, offset: i64) -> Vec<u8> {
    record_with(topic, queue_id, offset, b"body")
}

/// The bytes of a message with this body.
pub(crate) fn record_with(topic: &str, queue_id: i32, offset: i64, body: &[u8]) -> Vec<u8> {
    record(topic, queue_id, offset, &plain(body)).to_vec()
}
