//! zlib streams.

use std::io::Write;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::output::{Halt, Output};

/// All of a stream; what is behind it is nobody's, as in Java.
pub(super) fn inflate(body: &[u8], output: &mut Output<'_>) -> Result<(), Halt> {
    output.read(ZlibDecoder::new(body))
}

/// As Java does, at its level.
pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(body.len() / 2), Compression::new(5));
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
