//! Stored messages, as pulls and direct consumption bring them.

mod decode;

use std::net::SocketAddr;

use bytes::Bytes;
use bytestring::ByteString;

use super::message_id::OffsetId;
use super::properties::{self, name};

pub use self::decode::decode_messages;
pub use self::decode::{Unpacked, read_records, records, unpack};

/// A record, or why it gives no message.
pub type Decoded = Result<StoredMessage, Undecodable>;

/// Largest body after decompression, in bytes.
pub const MAX_INFLATED: usize = 32 * 1024 * 1024;
/// Most messages one inner batch may hold.
pub const MAX_INNER: usize = 65_536;

/// One message of a queue. Its texts and its body are parts of what it was read from, see [`StoredMessage::detached`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Real (namespaced) topic.
    pub topic: ByteString,
    /// The queue.
    pub queue_id: i32,
    /// Offset in the queue.
    pub queue_offset: i64,
    /// Offset in the broker's commit log.
    pub physical_offset: i64,
    /// The sender's own flag.
    pub flag: i32,
    /// Bit set of the broker: compression, IPv6 hosts, batches. Never to be copied into a send.
    pub sys_flag: i32,
    /// When the sender made it, ms since the epoch.
    pub born_timestamp: i64,
    /// The sender.
    pub born_host: SocketAddr,
    /// When the broker stored it, ms since the epoch.
    pub store_timestamp: i64,
    /// The broker.
    pub store_host: SocketAddr,
    /// Attempts the broker knows of.
    pub reconsume_times: i32,
    /// Of transactions; 0 otherwise.
    pub prepared_transaction_offset: i64,
    /// CRC-32 of the stored body, 31 bits; 0 when the broker did not compute one.
    pub body_crc: i32,
    /// The payload; of a record as it is stored, not decompressed yet.
    pub body: Bytes,
    /// Properties as stored, encoded: most of a message's are never looked at, see [`super::properties::decode`].
    pub properties: ByteString,
}

/// See [`StoredMessage::labels`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Labels<'a> {
    /// The tag.
    pub tags: Option<&'a str>,
    /// The keys, as joined by spaces.
    pub keys: Option<&'a str>,
    /// The sharding key.
    pub sharding_key: Option<&'a str>,
    /// The sender's unique id.
    pub unique_id: Option<&'a str>,
}

impl StoredMessage {
    /// A property's value.
    pub fn property(&self, name: &str) -> Option<&str> {
        properties::value_of(&self.properties, name)
    }

    /// The id users see: the sender's, else the broker's.
    pub fn msg_id(&self) -> String {
        self.unique_id().map_or_else(|| self.offset_msg_id(), str::to_owned)
    }

    /// The sender's unique id.
    pub fn unique_id(&self) -> Option<&str> {
        self.property(name::UNIQ_KEY)
    }

    /// The broker's id: its address and the commit log offset.
    pub fn offset_id(&self) -> OffsetId {
        OffsetId { address: self.store_host, offset: self.physical_offset }
    }

    /// The text of the broker's id.
    pub fn offset_msg_id(&self) -> String {
        self.offset_id().to_string()
    }

    /// What every handler sees of the properties, in one pass over them.
    pub fn labels(&self) -> Labels<'_> {
        let mut labels = Labels::default();
        properties::visit(&self.properties, |name, value| match name {
            name::TAGS => labels.tags = Some(value),
            name::KEYS => labels.keys = Some(value),
            name::SHARDING_KEY => labels.sharding_key = Some(value),
            name::UNIQ_KEY => labels.unique_id = Some(value),
            _ => {}
        });
        labels
    }

    /// Of a record as it is stored: whether it is several messages. A pull brings all of them, also those before its offset.
    pub fn is_batch(&self) -> bool {
        decode::is_batch(self.sys_flag)
    }

    /// Of a record as it is stored: whether its body is to be inflated.
    pub fn is_compressed(&self) -> bool {
        decode::is_compressed(self)
    }

    /// Of a record as it is stored: how many bytes its body can become where it is to be inflated, at most.
    pub fn most_inflated(&self) -> usize {
        decode::most_inflated(self)
    }

    /// Of a record as it is stored: how many offsets it has, where that can be told without inflating it.
    pub fn span(&self) -> Option<i64> {
        decode::span(self)
    }

    /// The memory that it takes.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.topic.len() + self.properties.len() + self.body.len()
    }

    /// The same message in memory of its own.
    pub fn detached(mut self) -> Self {
        self.body = Bytes::copy_from_slice(&self.body);
        self.topic = ByteString::from(&*self.topic);
        self.properties = ByteString::from(&*self.properties);
        self
    }

    /// The tag.
    pub fn tags(&self) -> Option<&str> {
        self.property(name::TAGS)
    }
}

/// Whether the stored body is compared with its CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crc {
    /// Compare, where the record has one.
    Check,
    /// Take the body as it is, as Java does.
    Skip,
}

/// Why a record gives no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndecodableReason {
    /// A length leads out of the record, or out of the answer.
    #[error("{0} is out of bounds")]
    Bounds(&'static str),
    /// Neither of the two known record layouts.
    #[error("unknown magic {0:#010x}")]
    Magic(u32),
    /// The body was damaged after the broker computed its CRC.
    #[error("CRC is {actual:#010x}, stored was {stored:#010x}")]
    Crc {
        /// From the record.
        stored: i32,
        /// Of the body.
        actual: i32,
    },
    /// A compression type newer than this client.
    #[error("compression type {0} is unknown")]
    CompressionType(i32),
    /// Compressed data that does not decompress, or to more than [`MAX_INFLATED`].
    #[error("decompression: {0}")]
    Inflate(String),
}

/// A record that gives no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("undecodable message: {reason}")]
pub struct Undecodable {
    /// Offset in the queue, when the record is whole enough to tell.
    pub queue_offset: Option<i64>,
    /// What is wrong.
    pub reason: UndecodableReason,
    /// The bytes of the record, or of the body that does not inflate; of broken bounds, everything from there on.
    pub record: Bytes,
    /// The message with its body as stored, when only the body is at fault.
    pub as_stored: Option<Box<StoredMessage>>,
}

#[cfg(test)]
mod tests;
