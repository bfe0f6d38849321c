//! How other clients than Java's turn a sharding key into a number: what has to be equal, bit by bit, for both to choose the same queue.

use super::hash::java_string_hash;

/// FNV-1a, 32 bits, over UTF-8: Go's `hash/fnv`, as its client's hash selector has it.
pub fn fnv1a(key: &str) -> u32 {
    key.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// `std::hash<std::string>` of libstdc++ on 64 bits (Murmur, `_Hash_bytes` with its seed), over UTF-8, little-endian.
///
/// The client hands the key on as a C string, which ends at its first NUL.
pub fn libstdcxx_hash(key: &str) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xc70f_6907;
    let mixed = |value: u64| value ^ (value >> 47);
    let bytes = key.as_bytes().split(|&byte| byte == 0).next().unwrap_or_default();
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        hash = (hash ^ mixed(word).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        hash = (hash ^ word).wrapping_mul(MULTIPLIER);
    }
    mixed(mixed(hash).wrapping_mul(MULTIPLIER))
}

/// Guava's `Hashing.consistentHash` of Java's hash code, over so many queues: a 5.x gRPC proxy, for a message group.
///
/// Of `n + 1` queues instead of `n`, only the keys of the new one move. 0 without queues.
pub fn guava_consistent_hash(key: &str, queues: usize) -> usize {
    let queues = i32::try_from(queues).unwrap_or(i32::MAX);
    // Java widens the hash code with its sign.
    let mut state = i64::from(java_string_hash(key));
    let mut candidate = 0_i32;
    loop {
        state = state.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let draw = f64::from(high_bits(state).wrapping_add(1)) / f64::from(1_u32 << 31);
        let next = saturated(f64::from(candidate.wrapping_add(1)) / draw);
        if !(0..queues).contains(&next) {
            return usize::try_from(candidate).unwrap_or(0);
        }
        candidate = next;
    }
}

/// Java's `(int) (state >>> 33)`: 31 bits.
#[expect(clippy::cast_sign_loss, reason = "31 bits are left of it")]
fn high_bits(state: i64) -> i32 {
    (state as u64 >> 33) as i32
}

/// Java's `(int)` of a double: truncated, and no further than the range.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as Java does")]
fn saturated(value: f64) -> i32 {
    value as i32
}

#[cfg(test)]
mod tests {
    use super::{fnv1a, guava_consistent_hash, libstdcxx_hash};

    #[test]
    fn gos_hash_is_the_published_one() {
        // Of the algorithm's own test vectors.
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("b", 0xe70c_2de5), ("foobar", 0xbf9c_f968)] {
            assert_eq!(fnv1a(text), hash, "{text}");
        }
    }

    #[test]
    fn a_c_string_ends_at_its_first_nul() {
        assert_eq!(libstdcxx_hash("order\0-4711"), libstdcxx_hash("order"));
        assert_ne!(libstdcxx_hash("order-4711"), libstdcxx_hash("order"));
    }

    #[test]
    fn one_queue_more_moves_only_the_keys_that_go_to_it() {
        for key in (0..1_000).map(|i| format!("order_{i}")) {
            let mut index = guava_consistent_hash(&key, 1);
            assert_eq!(index, 0, "{key}");
            for queues in 2..=64 {
                let next = guava_consistent_hash(&key, queues);
                assert!(next == index || next == queues - 1, "{key}: {index}, then {next} of {queues}");
                index = next;
            }
        }
        assert_eq!(guava_consistent_hash("order_0", 0), 0);
    }
}
