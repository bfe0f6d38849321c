//! One stored message, and its bytes as pulls carry it.

use std::net::{IpAddr, SocketAddr};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::protocol::properties::{self, name};
use crate::protocol::{OffsetId, java_string_hash};

/// Layout with an u8 in front of the topic.
const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Layout with an u16 in front of the topic, for topics longer than 127 bytes.
const MAGIC_V2: u32 = 0xDAA3_20AB;
/// Bytes of a record besides body, topic and properties (IPv4, first layout).
const FIXED: usize = 91;
/// Bytes of a batch entry besides body and properties.
const ENTRY_FIXED: usize = 22;

/// A message as the broker keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) queue_id: i32,
    pub(crate) queue_offset: i64,
    pub(crate) physical_offset: i64,
    pub(crate) flag: i32,
    pub(crate) sys_flag: i32,
    pub(crate) born_timestamp: i64,
    pub(crate) born_host: SocketAddr,
    pub(crate) store_timestamp: i64,
    pub(crate) store_host: SocketAddr,
    pub(crate) reconsume_times: i32,
    pub(crate) body: Bytes,
    /// Encoded, as stored.
    pub(crate) properties: String,
    /// Java's hash of the tag; 0 without one.
    pub(crate) tag_code: i32,
}

impl Record {
    /// Bytes the record takes in the log and in a pull's answer.
    pub(crate) fn len(&self) -> usize {
        let long_topic = usize::from(self.topic.len() > 127);
        FIXED + long_topic + self.body.len() + self.topic.len() + self.properties.len()
    }

    /// The broker's id of the message.
    pub(crate) fn offset_id(&self) -> String {
        OffsetId { address: self.store_host, offset: self.physical_offset }.to_string()
    }

    /// Appends the record. Both hosts are IPv4: a test broker listens on 127.0.0.1.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let long_topic = self.topic.len() > 127;
        out.put_i32(i32::try_from(self.len()).unwrap_or(i32::MAX));
        out.put_u32(if long_topic { MAGIC_V2 } else { MAGIC_V1 });
        out.put_u32(crc32fast::hash(&self.body) & 0x7FFF_FFFF);
        out.put_i32(self.queue_id);
        out.put_i32(self.flag);
        out.put_i64(self.queue_offset);
        out.put_i64(self.physical_offset);
        out.put_i32(self.sys_flag);
        out.put_i64(self.born_timestamp);
        put_host(out, self.born_host);
        out.put_i64(self.store_timestamp);
        put_host(out, self.store_host);
        out.put_i32(self.reconsume_times);
        out.put_i64(0); // of transactions
        out.put_i32(i32::try_from(self.body.len()).unwrap_or(i32::MAX));
        out.extend_from_slice(&self.body);
        if long_topic {
            out.put_u16(u16::try_from(self.topic.len()).unwrap_or(u16::MAX));
        } else {
            out.put_u8(u8::try_from(self.topic.len()).unwrap_or(u8::MAX));
        }
        out.extend_from_slice(self.topic.as_bytes());
        out.put_i16(i16::try_from(self.properties.len()).unwrap_or(i16::MAX));
        out.extend_from_slice(self.properties.as_bytes());
    }
}

fn put_host(out: &mut BytesMut, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.put_u32(ip.to_bits()),
        IpAddr::V6(_) => out.put_u32(0),
    }
    out.put_i32(i32::from(host.port()));
}

/// What a filter by tags looks at.
pub(crate) fn tag_code(properties: &[(String, String)]) -> i32 {
    property(properties, name::TAGS).map_or(0, java_string_hash)
}

/// A property's value.
pub(crate) fn property<'a>(properties: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    properties.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// Sets a property, in its place or at the end.
pub(crate) fn set_property(properties: &mut Vec<(String, String)>, wanted: &str, value: impl Into<String>) {
    match properties.iter_mut().find(|(name, _)| name == wanted) {
        Some((_, old)) => *old = value.into(),
        None => properties.push((wanted.to_owned(), value.into())),
    }
}

/// Takes a property out.
pub(crate) fn take_property(properties: &mut Vec<(String, String)>, wanted: &str) -> Option<String> {
    let at = properties.iter().position(|(name, _)| name == wanted)?;
    Some(properties.remove(at).1)
}

/// Properties as one text; 4.9 leaves the last separator out.
pub(crate) fn encode_properties(pairs: &[(String, String)], last_separator: bool) -> String {
    let mut text = properties::encode(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if !last_separator {
        text.pop();
    }
    text
}

/// One message of a batch's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) flag: i32,
    pub(crate) body: Bytes,
    pub(crate) properties: String,
}

/// Reads a batch's body; `None` when an entry is cut short or a length leads out of it.
pub(crate) fn batch_entries(body: &Bytes) -> Option<Vec<Entry>> {
    let mut rest = body.clone();
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let total = usize::try_from((&rest[..]).try_get_i32().ok()?).ok()?;
        if !(ENTRY_FIXED..=rest.len()).contains(&total) {
            return None;
        }
        let mut entry = rest.split_to(total);
        entry.advance(12); // length, magic, CRC
        let flag = entry.try_get_i32().ok()?;
        let body_length = usize::try_from(entry.try_get_i32().ok()?).ok().filter(|length| *length <= entry.len())?;
        let body = entry.split_to(body_length);
        let length = usize::try_from(entry.try_get_i16().ok()?).ok().filter(|length| *length <= entry.len())?;
        let properties = String::from_utf8_lossy(&entry.split_to(length)).into_owned();
        entries.push(Entry { flag, body, properties });
    }
    (!entries.is_empty()).then_some(entries)
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::{Record, batch_entries};
    use crate::protocol::{Crc, batch, decode_messages};

    fn record(topic: &str) -> Record {
        Record {
            topic: topic.into(),
            queue_id: 3,
            queue_offset: 7,
            physical_offset: 1234,
            flag: 9,
            sys_flag: 0,
            born_timestamp: 1,
            born_host: "127.0.0.1:4242".parse().unwrap(),
            store_timestamp: 2,
            store_host: "127.0.0.1:10911".parse().unwrap(),
            reconsume_times: 1,
            body: Bytes::from_static(b"hello"),
            properties: "TAGS\u{1}A\u{2}".into(),
            tag_code: 65,
        }
    }

    #[test]
    fn records_are_read_by_the_client() {
        for topic in ["orders", &"t".repeat(130)] {
            let stored = record(topic);
            let mut bytes = BytesMut::new();
            stored.encode(&mut bytes);
            assert_eq!(bytes.len(), stored.len());
            let read = decode_messages(&bytes.freeze(), Crc::Check).remove(0).unwrap();
            assert_eq!((&*read.topic, read.queue_id, read.queue_offset), (topic, 3, 7));
            assert_eq!((read.physical_offset, read.flag, read.reconsume_times), (1234, 9, 1));
            assert_eq!((read.born_host, read.store_host), (stored.born_host, stored.store_host));
            assert_eq!((read.tags(), &read.body), (Some("A"), &stored.body));
            assert_eq!(stored.offset_id(), "7F00000100002A9F00000000000004D2");
        }
    }

    #[test]
    fn batches_are_read_whole_or_not_at_all() {
        let mut body = BytesMut::new();
        batch::append(&mut body, 0, b"m0", "a\u{1}b\u{2}").unwrap();
        batch::append(&mut body, 1, b"m1", "").unwrap();
        let body = body.freeze();
        let entries = batch_entries(&body).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[1].flag, &entries[1].body[..]), (1, &b"m1"[..]));
        assert_eq!(entries[0].properties, "a\u{1}b\u{2}");
        for cut in (1..body.len()).filter(|cut| *cut != 28) {
            assert_eq!(batch_entries(&body.slice(..cut)), None, "{cut}");
        }
    }
}
