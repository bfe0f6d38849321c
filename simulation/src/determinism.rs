//! What libraries ask the system for: hash maps and tokio's choices take their seeds from here.

use std::sync::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0x9E37_79B9_7F4A_7C15);

/// The seed of this process.
pub(crate) fn begin(seed: u64) {
    STATE.store(seed ^ 0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
}

fn next() -> u64 {
    // SplitMix64.
    let state = STATE.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Instead of the C library's: everything in this process that wants chance from the system gets that of the seed.
///
/// # Safety
/// As the C library's: `buffer` has room for `length` bytes.
#[expect(unsafe_code, reason = "the linker takes this one for the C library's")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    _flags: libc::c_uint,
) -> libc::ssize_t {
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for part in bytes.chunks_mut(8) {
        let chance = next().to_le_bytes();
        part.copy_from_slice(&chance[..part.len()]);
    }
    length.cast_signed()
}
