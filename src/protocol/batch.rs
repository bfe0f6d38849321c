//! The body of a classic batch (320): entries back to back, each with flag, body and properties of its own.

use bytes::BytesMut;

/// Bytes of an entry besides its body and properties.
const FIXED: usize = 22;

/// Bytes an entry takes in the batch body.
pub(crate) const fn entry_len(body: usize, properties: usize) -> usize {
    FIXED + body + properties
}

/// Appends an entry; `properties` is encoded and at most 32 767 bytes, which the local limits guarantee.
pub(crate) fn append(out: &mut BytesMut, flag: i32, body: &[u8], properties: &str) {
    let _ = (out, flag, body, properties);
    todo!()
}
