//! The bytes of RocketMQ's remoting protocol: frames, headers, typed requests and pushes, stored messages.
//!
//! Nothing here waits, reads a clock or touches a socket: bytes and plain values in, bytes and plain values out.

pub mod allocation;
pub mod announced;
pub mod batch;
pub mod code;
pub mod command;
pub mod compression;
pub mod endpoint;
pub mod frame;
pub mod hash;
mod header;
pub mod json;
pub mod limits;
pub mod message;
pub mod message_id;
pub mod namespace;
pub mod properties;
pub mod push;
pub mod queue;
pub mod request;
pub mod requests;
pub mod route;
pub mod sharding;
pub mod signature;
pub mod subscription;
#[cfg(test)]
pub(crate) mod vectors;

#[allow(unused_imports, reason = "the rooms above take what they need from this list")]
pub use self::{
    announced::{Announced, Meaning},
    command::{Command, Fields, Language},
    compression::Compression,
    endpoint::{Endpoint, NameServers},
    frame::{Codec, FrameError},
    hash::java_string_hash,
    limits::Invalid,
    message::{Crc, Decoded, StoredMessage, Unpacked, decode_messages, read_records, records, unpack},
    message_id::{OffsetId, UniqueIds},
    push::Push,
    queue::MessageQueue,
    request::{Refusal, Request, ResponseError},
    requests::*,
    route::TopicRoute,
    sharding::{fnv1a, guava_consistent_hash, libstdcxx_hash},
    signature::Credentials,
    subscription::{ExpressionKind, Subscription},
};
