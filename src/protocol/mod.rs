//! The bytes of RocketMQ's remoting protocol: frames, headers, typed requests and pushes, stored messages.
//!
//! Nothing here waits, reads a clock or touches a socket: bytes and plain values in, bytes and plain values out.

pub(crate) mod allocation;
pub(crate) mod announced;
pub(crate) mod batch;
pub(crate) mod code;
pub(crate) mod command;
pub(crate) mod endpoint;
pub(crate) mod frame;
pub(crate) mod hash;
mod header;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod message;
pub(crate) mod message_id;
pub(crate) mod namespace;
pub(crate) mod properties;
pub(crate) mod push;
pub(crate) mod queue;
pub(crate) mod request;
pub(crate) mod requests;
pub(crate) mod route;
pub(crate) mod signature;
pub(crate) mod subscription;
#[cfg(test)]
pub(crate) mod vectors;

#[cfg(test)]
pub(crate) use self::message::decode_messages;
#[allow(unused_imports, reason = "the rooms above take what they need from this list")]
pub(crate) use self::{
    announced::{Announced, Meaning},
    command::{Command, Fields, Language},
    endpoint::{Endpoint, NameServers},
    frame::{Codec, FrameError},
    hash::java_string_hash,
    limits::Invalid,
    message::{Crc, Decoded, StoredMessage, Unpacked, read_records, records, unpack},
    message_id::{OffsetId, UniqueIds},
    push::Push,
    queue::MessageQueue,
    request::{Refusal, Request, ResponseError},
    requests::*,
    route::TopicRoute,
    signature::Credentials,
    subscription::{ExpressionKind, Subscription},
};
