//! Frames: `i32 total | i32 type<<24 + header length | header | body`, big-endian.

use bytes::{Bytes, BytesMut};

use super::command::Command;

/// Largest `total` a server accepts: 16 MiB less the length field itself.
pub(crate) const MAX_TOTAL: usize = 16_777_212;
/// Largest header we read or write.
pub(crate) const MAX_HEADER: usize = 1024 * 1024;

/// How a header is written; a frame says so itself in its type byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Codec {
    /// JSON text, type 0: understood by every server of every version.
    #[default]
    Json,
    /// `ROCKETMQ`, type 1: binary, codes and versions only up to 32 767.
    Binary,
}

/// Why a frame cannot be written or read. Reading: fatal for the connection, nothing after it can be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The announced length is below 4 or above [`MAX_TOTAL`].
    #[error("frame of {0} bytes is outside 4..=16777212")]
    Total(i64),
    /// The header is longer than its frame or than [`MAX_HEADER`].
    #[error("header of {header} bytes in a frame of {total}")]
    HeaderLength {
        /// Announced length of the header.
        header: usize,
        /// Length of the whole frame without its length field.
        total: usize,
    },
    /// The type byte names no codec.
    #[error("unknown header type {0}")]
    Codec(u8),
    /// The header is not what its type byte says.
    #[error("header: {0}")]
    Header(String),
}

/// One whole frame.
pub(crate) fn encode(command: &Command, codec: Codec) -> Result<Bytes, FrameError> {
    let _ = (command, codec);
    todo!()
}

/// Appends a frame up to, not including, its body: the body can then be written from where it is.
pub(crate) fn encode_head(command: &Command, codec: Codec, out: &mut BytesMut) -> Result<(), FrameError> {
    let _ = (command, codec, out);
    todo!()
}

/// Takes the first whole frame out of `input`; `None` until it is all there. The body shares the input's memory.
pub(crate) fn decode(input: &mut BytesMut) -> Result<Option<Command>, FrameError> {
    let _ = input;
    todo!()
}
