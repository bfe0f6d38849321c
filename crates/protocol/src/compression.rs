//! Compressed bodies: never more than is allowed, and never for longer than somebody wants it.

mod lz4;
mod output;
mod zlib;
mod zstd;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use self::output::{Halt, Output};
use crate::message::MAX_INFLATED;

/// sysFlag bit: the body is compressed.
const COMPRESSED: i32 = 0x1;
const TYPE_SHIFT: i32 = 8;
const TYPE_MASK: i32 = 0x7;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// A zlib stream (RFC 1950): every client reads it.
    Zlib,
    /// LZ4 frames: Java 4.9.7 and 5.x.
    Lz4,
    /// Zstandard frames (RFC 8878): Java 4.9.7 and 5.x.
    Zstd,
}

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inflated {
    /// All of it.
    Whole(Bytes),
    /// It has more bytes than are allowed now.
    TooLarge,
    /// Nobody wants it any more.
    Stopped,
}

/// Whether a stored body of this sysFlag is compressed.
pub(crate) fn is_compressed(sys_flag: i32) -> bool {
    sys_flag & COMPRESSED != 0
}

impl Compression {
    /// What a compressed body of this sysFlag is compressed by; an unknown type is an error.
    pub(crate) fn of(sys_flag: i32) -> Result<Self, i32> {
        match (sys_flag >> TYPE_SHIFT) & TYPE_MASK {
            // Of senders older than the type bits.
            0 | 3 => Ok(Self::Zlib),
            1 => Ok(Self::Lz4),
            2 => Ok(Self::Zstd),
            other => Err(other),
        }
    }

    /// The sysFlag of a message with such a body, as Java writes it.
    pub fn sys_flag(self) -> i32 {
        let kind = match self {
            Self::Lz4 => 1,
            Self::Zstd => 2,
            Self::Zlib => 3,
        };
        COMPRESSED | kind << TYPE_SHIFT
    }

    /// How many bytes so many can become, at most.
    pub(crate) fn most_of(self, length: usize) -> usize {
        let most = match self {
            Self::Zlib => length.saturating_mul(1032),
            Self::Lz4 => length.saturating_mul(255),
            // Four bytes are a block of one letter.
            Self::Zstd => length.saturating_mul(128 * 1024 / 4),
        };
        most.min(MAX_INFLATED)
    }

    /// A body that is smaller than this one, unless there is none.
    pub fn compress(self, body: &[u8]) -> Option<Bytes> {
        let compressed = match self {
            Self::Zlib => zlib::compress(body),
            Self::Lz4 => lz4::compress(body),
            Self::Zstd => zstd::compress(body),
        };
        compressed.filter(|compressed| compressed.len() < body.len()).map(Bytes::from)
    }

    /// Inflates to at most `limit` bytes; what has more than [`MAX_INFLATED`] is an error, whatever the limit, and whatever it says of itself.
    pub(crate) fn inflate(self, body: &[u8], limit: usize, stop: &dyn Fn() -> bool) -> Result<Inflated, String> {
        let most = limit.min(MAX_INFLATED);
        let mut output = Output::new(body.len(), most, stop);
        // Bytes of strangers: a reader that holds them for impossible must not take more along than this body.
        let read = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Zlib => zlib::inflate(body, &mut output),
            Self::Lz4 => lz4::inflate(body, &mut output),
            Self::Zstd => zstd::inflate(body, &mut output),
        }));
        match read {
            Ok(Ok(())) => Ok(Inflated::Whole(output.into_bytes())),
            Ok(Err(Halt::Stopped)) => Ok(Inflated::Stopped),
            Ok(Err(Halt::TooLarge)) if most < MAX_INFLATED => Ok(Inflated::TooLarge),
            Ok(Err(Halt::TooLarge)) => Err(format!("more than {MAX_INFLATED} bytes")),
            Ok(Err(Halt::Bad(text))) => Err(text),
            Err(_) => Err("impossible bytes".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
