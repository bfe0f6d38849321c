//! Compressed bodies: never more than is allowed, and never for longer than somebody wants it.

use std::io::Read;

use bytes::Bytes;
use flate2::read::ZlibDecoder;

use super::{MAX_INFLATED, UndecodableReason};

/// Inflated between two looks whether it is still wanted.
const STEP: usize = 256 * 1024;

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inflated {
    /// All of it.
    Whole(Bytes),
    /// It has more bytes than are allowed now.
    TooLarge,
    /// Nobody wants it any more.
    Stopped,
}

/// Inflates to at most `limit` bytes; what has more than [`MAX_INFLATED`] is an error, whatever the limit.
pub(super) fn zlib(body: &[u8], limit: usize, stop: &dyn Fn() -> bool) -> Result<Inflated, UndecodableReason> {
    let most = limit.min(MAX_INFLATED);
    let mut inflated = Vec::with_capacity(body.len().saturating_mul(4).min(most).min(STEP));
    let mut decoder = ZlibDecoder::new(body);
    loop {
        if stop() {
            return Ok(Inflated::Stopped);
        }
        // One byte more tells whether that was all.
        let chunk = (most + 1 - inflated.len()).min(STEP);
        let read = decoder.by_ref().take(chunk as u64).read_to_end(&mut inflated);
        let read = read.map_err(|error| UndecodableReason::Inflate(error.to_string()))?;
        if inflated.len() > MAX_INFLATED {
            return Err(UndecodableReason::Inflate(format!("more than {MAX_INFLATED} bytes")));
        }
        if inflated.len() > most {
            return Ok(Inflated::TooLarge);
        }
        if read < chunk {
            inflated.shrink_to_fit();
            return Ok(Inflated::Whole(Bytes::from(inflated)));
        }
    }
}
