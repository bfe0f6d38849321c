//! The body of a classic batch (320): entries back to back, each with flag, body and properties of its own.

use bytes::{BufMut, BytesMut};

use super::limits::Invalid;

/// Bytes of an entry besides its body and properties.
const FIXED: usize = 22;

/// Bytes an entry takes in the batch body.
pub const fn entry_len(body: usize, properties: usize) -> usize {
    FIXED + body + properties
}

/// Appends an entry. `properties` is encoded, 32 767 bytes at most; lengths past their fields are refused.
pub fn append(out: &mut BytesMut, flag: i32, body: &[u8], properties: &str) -> Result<(), Invalid> {
    let too_long = |field| move |_| Invalid { field, problem: "is too long for a batch entry".into() };
    let total = i32::try_from(entry_len(body.len(), properties.len())).map_err(too_long("body"))?;
    let body_length = i32::try_from(body.len()).map_err(too_long("body"))?;
    let properties_length = i16::try_from(properties.len()).map_err(too_long("properties"))?;
    out.put_i32(total);
    out.put_i32(0); // magic
    out.put_i32(0); // CRC: the broker computes its own
    out.put_i32(flag);
    out.put_i32(body_length);
    out.extend_from_slice(body);
    out.put_i16(properties_length);
    out.extend_from_slice(properties.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{append, entry_len};
    use crate::properties::encode;
    use crate::vectors::hex;

    #[test]
    fn entries_are_javas() {
        // 4.9.8 leaves the last separator out.
        let mut batch = BytesMut::new();
        for (flag, properties) in [
            (0, "KEYS\u{1}K0\u{2}UNIQ_KEY\u{1}U0\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA"),
            (1, "KEYS\u{1}K1\u{2}UNIQ_KEY\u{1}U1\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA"),
        ] {
            append(&mut batch, flag, format!("m{flag}").as_bytes(), properties).unwrap();
        }
        assert_eq!(
            batch,
            hex("0000003f000000000000000000000000000000026d3000274b455953014b3002554e49515f4b45590155300257414954
                0174727565025441475301546167410000003f000000000000000000000001000000026d3100274b455953014b310255
                4e49515f4b45590155310257414954017472756502544147530154616741")
        );

        let mut batch = BytesMut::new();
        for index in 0..3 {
            let (key, id) = (format!("K{index}"), format!("U{index}"));
            let properties = encode([("KEYS", key.as_str()), ("UNIQ_KEY", &id), ("WAIT", "true"), ("TAGS", "TagA")]);
            append(&mut batch, 0, format!("m{index}").as_bytes(), &properties).unwrap();
            assert_eq!(batch.len(), (index + 1) * entry_len(2, properties.len()));
        }
        assert_eq!(
            batch,
            hex("00000040000000000000000000000000000000026d3000284b455953014b3002554e49515f4b45590155300257414954
                0174727565025441475301546167410200000040000000000000000000000000000000026d3100284b455953014b3102
                554e49515f4b455901553102574149540174727565025441475301546167410200000040000000000000000000000000
                000000026d3200284b455953014b3202554e49515f4b4559015532025741495401747275650254414753015461674102")
        );
    }

    #[test]
    fn a_length_past_its_field_is_refused_and_nothing_written() {
        let mut batch = BytesMut::new();
        assert_eq!(append(&mut batch, 0, b"x", &"p".repeat(32_768)).unwrap_err().field, "properties");
        assert!(batch.is_empty());
        assert!(append(&mut batch, 0, b"x", &"p".repeat(32_767)).is_ok());
    }
}
