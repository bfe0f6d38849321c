//! Java's idea of a string: its hash code and its order, both over UTF-16 code units.

use std::cmp::Ordering;

/// `String.hashCode` of Java: `h = 31·h + unit` over UTF-16 code units, wrapping, from 0.
///
/// Tag filters and the choice of a queue by sharding key stand on it.
pub(crate) fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// `String.compareTo` of Java: by UTF-16 code units, which differs from byte order beyond the BMP.
pub(crate) fn java_string_cmp(left: &str, right: &str) -> Ordering {
    if left.is_ascii() && right.is_ascii() {
        return left.cmp(right);
    }
    left.encode_utf16().cmp(right.encode_utf16())
}
