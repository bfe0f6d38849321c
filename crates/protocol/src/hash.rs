//! Java's idea of a string: its hash code and its order, both over UTF-16 code units.

use std::cmp::Ordering;

/// `String.hashCode` of Java: `h = 31·h + unit` over UTF-16 code units, wrapping, from 0.
///
/// Tag filters and the choice of a queue by sharding key stand on it.
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// `String.compareTo` of Java: by UTF-16 code units, which differs from byte order beyond the BMP.
pub fn java_string_cmp(left: &str, right: &str) -> Ordering {
    if left.is_ascii() && right.is_ascii() {
        return left.cmp(right);
    }
    left.encode_utf16().cmp(right.encode_utf16())
}

#[cfg(test)]
mod tests {
    use super::{java_string_cmp, java_string_hash};

    #[test]
    fn hashes_are_javas() {
        for (text, hash) in [
            ("", 0),
            ("a", 97),
            ("b", 98),
            ("A", 65),
            ("0", 48),
            ("1", 49),
            ("order_0", -1_207_109_761),
            ("order_1", -1_207_109_760),
            ("order_2", -1_207_109_759),
            ("order_10", 1_234_303_152),
            ("order-1001", 708_180_863),
            ("user:42", -147_170_163),
            ("20230101", -1_923_257_023),
            ("TagA", 2_598_919),
            ("TagB", 2_598_920),
            ("TagC", 2_598_921),
            ("*", 42),
            ("订单", 1_129_459),
            ("订单-1", 1_085_411_543),
            ("订单号10086", -2_147_167_029),
            ("😀", 1_772_899),
            ("é", 233),
            ("polygenelubricants", i32::MIN),
            ("GydZG_", i32::MIN),
            ("DESIGNING WORKHOUSES", i32::MIN),
            ("Aa", 2112),
            ("BB", 2112),
            ("a1b2c3d4-e5f6-7890-abcd-ef1234567890", 1_891_949_682),
            ("0123456789abcdef0123456789abcdef", -1_783_317_168),
        ] {
            assert_eq!(java_string_hash(text), hash, "{text}");
        }
    }

    #[test]
    fn strings_sort_by_utf16_units() {
        let keys = [
            "1x",
            "AccessKey",
            "OnsChannel",
            "SecurityToken",
            "Signature",
            "Zz",
            "_UNIQUE_KEY_QUERY",
            "a",
            "b",
            "bname",
            "c",
            "commitOffset",
            "consumerGroup",
            "d",
            "n",
            "ns",
            "nsd",
            "queueId",
            "topic",
            "\u{1F600}",
            "\u{FF21}",
        ];
        let mut sorted = keys;
        sorted.reverse();
        sorted.sort_by(|left, right| java_string_cmp(left, right));
        assert_eq!(sorted, keys);
    }
}
