//! Frames: `i32 total | i32 type<<24 + header length | header | body`, big-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::command::Command;
use super::header::{binary, json};

/// Bytes of the length field.
const LENGTH: usize = 4;
/// Bytes of the type and header length.
const MARK: usize = 4;
/// Room for the usual header, to allocate once.
const HEAD_ESTIMATE: usize = 768;

/// Largest `total` a server accepts: 16 MiB less the length field itself.
pub const MAX_TOTAL: usize = 16_777_212;
/// Largest header we read or write.
pub const MAX_HEADER: usize = 1024 * 1024;

/// How a header is written; a frame says so itself in its type byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// JSON text, type 0: understood by every server of every version.
    #[default]
    Json,
    /// `ROCKETMQ`, type 1: binary, codes and versions only up to 32 767.
    Binary,
}

impl Codec {
    fn type_byte(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Binary => 1,
        }
    }

    fn of_type(byte: u8) -> Result<Self, FrameError> {
        match byte {
            0 => Ok(Self::Json),
            1 => Ok(Self::Binary),
            other => Err(FrameError::Codec(other)),
        }
    }
}

/// Why a frame cannot be written or read. Reading: fatal for the connection, nothing after it can be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
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

/// One whole frame. The body is copied once, behind its header.
pub fn encode(command: &Command, codec: Codec) -> Result<Bytes, FrameError> {
    let mut out = BytesMut::with_capacity(HEAD_ESTIMATE + command.body.len());
    encode_head(command, codec, &mut out)?;
    out.extend_from_slice(&command.body);
    Ok(out.freeze())
}

/// Appends a frame up to, not including, its body: a large body can then be written from where it is.
///
/// After an error `out` is as it was before.
pub fn encode_head(command: &Command, codec: Codec, out: &mut BytesMut) -> Result<(), FrameError> {
    let start = out.len();
    let written = append_head(command, codec, start, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn append_head(command: &Command, codec: Codec, start: usize, out: &mut BytesMut) -> Result<(), FrameError> {
    out.put_bytes(0, LENGTH + MARK);
    match codec {
        Codec::Json => json::encode(command, out)?,
        Codec::Binary => binary::encode(command, out)?,
    }
    let header = out.len() - start - LENGTH - MARK;
    let total = MARK + header + command.body.len();
    if header > MAX_HEADER {
        return Err(FrameError::HeaderLength { header, total });
    }
    let announced = i32::try_from(total).ok().filter(|_| total <= MAX_TOTAL);
    let announced = announced.ok_or_else(|| FrameError::Total(i64::try_from(total).unwrap_or(i64::MAX)))?;
    let mark = u32::from(codec.type_byte()) << 24 | u32::try_from(header).unwrap_or(u32::MAX);
    let mut head = &mut out[start..start + LENGTH + MARK];
    head.put_i32(announced);
    head.put_u32(mark);
    Ok(())
}

/// Takes the first whole frame out of `input`; `None` until it is all there. The body shares the input's memory.
///
/// Lengths are checked as soon as they are readable, and nothing is allocated because a peer announces it.
pub fn decode(input: &mut BytesMut) -> Result<Option<Command>, FrameError> {
    let mut ahead = &input[..];
    let Ok(announced) = ahead.try_get_i32() else { return Ok(None) };
    let total = usize::try_from(announced).ok().filter(|total| (MARK..=MAX_TOTAL).contains(total));
    let total = total.ok_or(FrameError::Total(i64::from(announced)))?;
    let Ok(mark) = ahead.try_get_u32() else { return Ok(None) };
    let [type_byte, ..] = mark.to_be_bytes();
    let codec = Codec::of_type(type_byte)?;
    let header = (mark & 0x00FF_FFFF) as usize;
    if header > MAX_HEADER || header > total - MARK {
        return Err(FrameError::HeaderLength { header, total });
    }
    if ahead.len() < total - MARK {
        return Ok(None);
    }
    let mut frame = input.split_to(LENGTH + total);
    frame.advance(LENGTH + MARK);
    let header = frame.split_to(header);
    let mut command = match codec {
        Codec::Json => json::decode(&header)?,
        Codec::Binary => binary::decode(&header)?,
    };
    command.body = frame.freeze();
    Ok(Some(command))
}

#[cfg(test)]
pub(super) mod tests;
