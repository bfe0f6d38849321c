use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use std::io::Write;

use super::{Crc, MAX_INFLATED, StoredMessage, Undecodable, UndecodableReason, decode_messages};
use crate::vectors::hex;
use crate::{batch, properties};

const V1: &str = "000000afdaa320a73610a6860000000200000000000000000000002a00000000075bcd15000000000000018bcfe56800
0a0000010000c3500000018bcfe5687b0a00000200002a9f0000000300000000000000000000000568656c6c6f066f72
6465727300495f5f5348415244494e474b4559016f726465725f3102554e49515f4b4559013041303030303031304241
44313842344141433230303030303030413030303102544147530154616741";
const V1_FINAL_SEPARATOR: &str =
    "000000b0daa320a73610a6860000000200000000000000000000002a00000000075bcd15000000000000018bcfe56800
0a0000010000c3500000018bcfe5687b0a00000200002a9f0000000300000000000000000000000568656c6c6f066f72
64657273004a5f5f5348415244494e474b4559016f726465725f3102554e49515f4b4559013041303030303031304241
4431384234414143323030303030303041303030310254414753015461674102";
const V1_IPV6: &str = "000000c7daa320a73610a6860000000200000000000000000000002a00000000075bcd15000000300000018bcfe56800
105000000000000000050600300c326b0000c3500000018bcfe5687b0000000000000000000000000000000100002a9f
0000000300000000000000000000000568656c6c6f066f726465727300495f5f5348415244494e474b4559016f726465
725f3102554e49515f4b4559013041303030303031304241443138423441414332303030303030304130303031025441
47530154616741";
const V2: &str = "000000b0daa320ab3610a6860000000200000000000000000000002a00000000075bcd15000000000000018bcfe56800
0a0000010000c3500000018bcfe5687b0a00000200002a9f0000000300000000000000000000000568656c6c6f00066f
726465727300495f5f5348415244494e474b4559016f726465725f3102554e49515f4b45590130413030303030313042
4144313842344141433230303030303030413030303102544147530154616741";
const ZLIB: &str = "000000b6daa320a7000000000000000200000000000000000000002a00000000075bcd15000000010000018bcfe56800
0a0000010000c3500000018bcfe5687b0a00000200002a9f0000000300000000000000000000000c785eaba8a00c0000
cf6d1e01066f726465727300495f5f5348415244494e474b4559016f726465725f3102554e49515f4b45590130413030
3030303130424144313842344141433230303030303030413030303102544147530154616741";
const ZLIB_TYPE_3: &str = "000000b7daa320a73610a6860000000200000000000000000000002a00000000075bcd15000003010000018bcfe568000a0000010000c3500000018bcfe5687b0a00000200002a9f0000000300000000000000000000000c785eaba8a00c0000cf6d1e01066f7264657273004a5f5f5348415244494e474b4559016f726465725f3102554e49515f4b45590130413030303030313042414431384234414143323030303030303041303030310254414753015461674102";
const LZ4: &str = "000000c5daa320a73610a6860000000200000000000000000000002a00000000075bcd15000001010000018bcfe568000a0000010000c3500000018bcfe5687b0a00000200002a9f0000000300000000000000000000001a04224d186070730b0000001f7801002750787878787800000000066f7264657273004a5f5f5348415244494e474b4559016f726465725f3102554e49515f4b45590130413030303030313042414431384234414143323030303030303041303030310254414753015461674102";
const ZSTD: &str = "000000bfdaa320a73610a6860000000200000000000000000000002a00000000075bcd15000002010000018bcfe568000a0000010000c3500000018bcfe5687b0a00000200002a9f0000000300000000000000000000001428b52ffd00584400001078780100930016010000066f7264657273004a5f5f5348415244494e474b4559016f726465725f3102554e49515f4b45590130413030303030313042414431384234414143323030303030303041303030310254414753015461674102";
const BROKER_4_9_8: &str = "000000a0 daa320a7 3610a686 00000000 00000000 0000000000000000 0000000000000000 00000000 000001a2030f8aeb 7f000001 0000b4c4
000001a2030f8b21 7f000001 000078bf 00000000 0000000000000000 00000005 68656c6c6f 02 5441 003e
5f5f5348415244494e474b4559016b3102554e49515f4b4559014142430243 4c5553544552014465 6661756c74436c757374657202 54414753 0154616741";
const BROKER_5_5_0: &str =
    "000000d2daa320a73610a6860000000000000000000000000000000000000000000001a700000000000001a20655c79b
7f0000010000be00000001a20655c7a07f000001000080760000000000000000000000000000000568656c6c6f025441
00704d53475f524547494f4e0144656661756c74526567696f6e025f5f5348415244494e474b4559016b3102554e4951
5f4b45590141424302434c55535445520144656661756c74436c75737465720254414753015461674102574149540174
7275650254524143455f4f4e017472756502";
const BROKER_OVER_IPV6: &str =
    "000000addaa320a77706591600000000000000000000000000000000000000000000000000000010000001a20633f802
000000000000000000000000000000010000904c000001a20633f80f7f00000100007c8e000000000000000000000000
00000002763604563339380040554e49515f4b4559015530303030303030303030303030303030413230363333463830
31303030303102434c55535445520144656661756c74436c7573746572";
const INNER_BATCH: &str =
    "00000177daa320a704f7b4f10000000200000000000000000000002a00000000075bcd15000000c00000018bcfe56800
0a0000010000c3500000018bcfe5687b0a00000200002a9f000000030000000000000000000000c00000004000000000
0000000000000000000000026d3000284b455953014b3002554e49515f4b455901553002574149540174727565025441
475301546167410200000040000000000000000000000000000000026d3100284b455953014b3102554e49515f4b4559
01553102574149540174727565025441475301546167410200000040000000000000000000000000000000026d320028
4b455953014b3202554e49515f4b4559015532025741495401747275650254414753015461674102066f726465727300
565f5f5348415244494e474b4559016f726465725f3102554e49515f4b45590130413030303030313042414431384234
414143323030303030303041303030310254414753015461674102494e4e45525f4e554d013302";

type Decoded = Result<StoredMessage, Undecodable>;

fn decode(record: &[u8], crc: Crc) -> Vec<Decoded> {
    decode_messages(&Bytes::copy_from_slice(record), crc)
}

fn one(record: &str, crc: Crc) -> StoredMessage {
    let mut messages = decode(&hex(record), crc);
    assert_eq!(messages.len(), 1);
    messages.remove(0).unwrap()
}

fn reason(record: &[u8], crc: Crc) -> (Option<i64>, UndecodableReason) {
    let mut messages = decode(record, crc);
    assert_eq!(messages.len(), 1);
    let error = messages.remove(0).unwrap_err();
    let of_body = error.as_stored.as_ref().is_some_and(|stored| stored.body == error.record);
    assert!(of_body || error.record == record, "{error}");
    (error.queue_offset, error.reason)
}

/// A record as a broker writes it, for what the vectors do not cover.
fn record(topic: &str, sys_flag: i32, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let v2 = topic.len() > 127;
    out.put_i32(0);
    out.put_u32(if v2 { 0xDAA3_20AB } else { 0xDAA3_20A7 });
    out.put_u32(crc32fast::hash(body) & 0x7FFF_FFFF);
    out.put_i32(2);
    out.put_i32(0);
    out.put_i64(42);
    out.put_i64(123_456_789);
    out.put_i32(sys_flag);
    out.put_i64(1);
    out.put_slice(&[10, 0, 0, 1, 0, 0, 0xC3, 0x50]);
    out.put_i64(2);
    out.put_slice(&[10, 0, 0, 2, 0, 0, 0x2A, 0x9F]);
    out.put_i32(3);
    out.put_i64(0);
    out.put_i32(i32::try_from(body.len()).unwrap());
    out.put_slice(body);
    if v2 {
        out.put_u16(u16::try_from(topic.len()).unwrap());
    } else {
        out.put_u8(u8::try_from(topic.len()).unwrap());
    }
    out.put_slice(topic.as_bytes());
    out.put_i16(0);
    let total = u32::try_from(out.len()).unwrap().to_be_bytes();
    out[..4].copy_from_slice(&total);
    out.to_vec()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(5));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_layout_gives_the_same_message() {
    for (vector, ip_v6) in [(V1, false), (V1_FINAL_SEPARATOR, false), (V2, false), (V1_IPV6, true)] {
        let message = one(vector, Crc::Check);
        assert_eq!((&*message.topic, message.queue_id, message.queue_offset), ("orders", 2, 42));
        assert_eq!((message.physical_offset, message.flag, message.reconsume_times), (123_456_789, 0, 3));
        assert_eq!((message.born_timestamp, message.store_timestamp), (1_700_000_000_000, 1_700_000_000_123));
        assert_eq!((message.prepared_transaction_offset, message.body_crc), (0, 907_060_870));
        assert_eq!(message.body, "hello");
        assert_eq!(
            (message.tags(), message.labels().keys, message.labels().sharding_key),
            (Some("TagA"), None, Some("order_1"))
        );
        assert_eq!(message.unique_id(), Some("0A0000010BAD18B4AAC20000000A0001"));
        assert_eq!(message.msg_id(), "0A0000010BAD18B4AAC20000000A0001");
        let (born, store, id) = if ip_v6 {
            let id = "0000000000000000000000000000000100002A9F00000000075BCD15";
            ("[1050::5:600:300c:326b]:50000", "[::1]:10911", id)
        } else {
            ("10.0.0.1:50000", "10.0.0.2:10911", "0A00000200002A9F00000000075BCD15")
        };
        assert_eq!((message.born_host.to_string().as_str(), message.store_host.to_string().as_str()), (born, store));
        assert_eq!(message.offset_msg_id(), id);
    }
}

#[test]
fn real_records_are_read() {
    let old = one(BROKER_4_9_8, Crc::Check);
    assert_eq!((&*old.topic, &old.body[..], old.physical_offset), ("TA", &b"hello"[..], 0));
    assert_eq!((old.property("CLUSTER"), old.unique_id()), (Some("DefaultCluster"), Some("ABC")));
    assert_eq!(old.offset_msg_id(), "7F000001000078BF0000000000000000");

    let new = one(BROKER_5_5_0, Crc::Check);
    assert_eq!((&*new.topic, &new.body[..], new.physical_offset), ("TA", &b"hello"[..], 423));
    assert_eq!(
        (new.property("WAIT"), new.property("TRACE_ON"), properties::decode(&new.properties).len()),
        (Some("true"), Some("true"), 7)
    );

    let mixed = one(BROKER_OVER_IPV6, Crc::Check);
    assert_eq!((&*mixed.topic, &mixed.body[..], mixed.sys_flag), ("V398", &b"v6"[..], 0x10));
    assert_eq!(
        (mixed.born_host.to_string().as_str(), mixed.store_host.to_string().as_str()),
        ("[::1]:36940", "127.0.0.1:31886")
    );
}

#[test]
fn long_topics_need_the_second_layout() {
    for length in [127, 128, 130, 300] {
        let topic = "t".repeat(length);
        let messages = decode(&record(&topic, 0, b"x"), Crc::Check);
        assert_eq!(messages[0].as_ref().unwrap().topic, topic);
    }
}

#[test]
fn without_a_unique_id_the_offset_id_is_shown() {
    let message = decode(&record("orders", 0, b"x"), Crc::Check).remove(0).unwrap();
    assert_eq!((message.unique_id(), message.msg_id()), (None, "0A00000200002A9F00000000075BCD15".into()));
}

#[test]
fn zlib_bodies_are_inflated() {
    let expected = "x".repeat(64);
    assert_eq!(one(ZLIB, Crc::Check).body, expected);
    assert_eq!(one(ZLIB_TYPE_3, Crc::Skip).body, expected);
    let java = hex("785eedc13101000000c2a0de4b6f0a3fa00000000080b701b6314f58");
    assert_eq!(decode(&record("orders", 0x301, &java), Crc::Check)[0].as_ref().unwrap().body, "z".repeat(5000));
    assert_eq!(decode(&record("orders", 0x1, b""), Crc::Check)[0].as_ref().unwrap().body, "");
}

#[test]
fn lz4_and_zstd_bodies_are_inflated() {
    for vector in [LZ4, ZSTD] {
        assert_eq!(one(vector, Crc::Skip).body, "x".repeat(64));
    }
}

#[test]
fn unknown_compressions_are_named() {
    assert_eq!(reason(&record("orders", 0x501, b"x"), Crc::Skip), (Some(42), UndecodableReason::CompressionType(5)));
}

#[test]
fn the_crc_is_of_the_stored_body() {
    let (offset, reason) = reason(&hex(ZLIB_TYPE_3), Crc::Check);
    assert_eq!(offset, Some(42));
    assert!(matches!(reason, UndecodableReason::Crc { stored: 907_060_870, .. }));
    assert_eq!(decode(&record("orders", 1, &zlib(b"hello")), Crc::Check)[0].as_ref().unwrap().body, "hello");
}

#[test]
fn crcs_are_javas() {
    let counting: Vec<u8> = (0..=255).cycle().take(1024).collect();
    for (body, crc) in [
        (&b""[..], 0),
        (b"a", 1_756_872_259),
        (b"123456789", 1_274_296_614),
        (b"hello", 907_060_870),
        (b"Hello RocketMQ", 1_774_740_973),
        ("订单".as_bytes(), 1_119_968_179),
        (&counting, 923_487_270),
        (b"x", 215_750_275),
        (b"bb", 900_602_798),
        (b"m0", 928_200_633),
    ] {
        let mut stored = record("orders", 0, body);
        stored[8..12].copy_from_slice(&i32::to_be_bytes(crc));
        assert_eq!(decode(&stored, Crc::Check)[0].as_ref().unwrap().body, body);
        stored[8..12].copy_from_slice(&i32::to_be_bytes(crc ^ 1));
        assert_eq!(decode(&stored, Crc::Check)[0].is_err(), crc ^ 1 != 0);
        assert!(decode(&stored, Crc::Skip)[0].is_ok());
    }
}

#[test]
fn a_body_that_cannot_be_read_is_kept_as_stored() {
    let garbage = [0x1, 0x101, 0x201].map(|sys_flag| (record("orders", sys_flag, b"garbage"), Crc::Check));
    for (stored, crc) in garbage.into_iter().chain([(hex(ZLIB_TYPE_3), Crc::Check)]) {
        let error = decode(&stored, crc).remove(0).unwrap_err();
        let message = error.as_stored.unwrap();
        assert_eq!((&*message.topic, message.queue_offset), ("orders", 42));
        assert!(stored.windows(message.body.len()).any(|window| window == message.body));
    }
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let fits = record("orders", 1, &zlib(&vec![0; MAX_INFLATED]));
    assert_eq!(decode(&fits, Crc::Check)[0].as_ref().unwrap().body.len(), MAX_INFLATED);
    let bomb = record("orders", 1, &zlib(&vec![0; MAX_INFLATED + 1]));
    assert!(matches!(reason(&bomb, Crc::Check).1, UndecodableReason::Inflate(_)));
}

#[test]
fn garbage_and_truncated_streams_are_told() {
    let mut short = zlib(&[7; 5000]);
    short.truncate(short.len() - 5);
    for body in [&b"garbage"[..], &short] {
        assert!(matches!(reason(&record("orders", 1, body), Crc::Check).1, UndecodableReason::Inflate(_)));
    }
}

#[test]
fn an_inner_batch_is_unwrapped() {
    let messages: Vec<_> = decode(&hex(INNER_BATCH), Crc::Check).into_iter().map(Result::unwrap).collect();
    assert_eq!(messages.len(), 3);
    for (index, message) in (0..).zip(&messages) {
        assert_eq!((message.queue_offset, message.physical_offset, message.queue_id), (42 + index, 123_456_789, 2));
        assert_eq!((&message.body[..], message.sys_flag), (format!("m{index}").as_bytes(), 0));
        assert_eq!(message.labels().keys, Some(format!("K{index}").as_str()));
        assert_eq!(message.unique_id(), Some(format!("U{index}").as_str()));
        assert_eq!((message.labels().sharding_key, &*message.topic), (None, "orders"));
    }
}

#[test]
fn one_batch_bit_alone_unwraps_nothing() {
    let mut batch = BytesMut::new();
    batch::append(&mut batch, 7, b"inner", "a\u{1}b\u{2}").unwrap();
    for sys_flag in [0x40, 0x80] {
        assert_eq!(decode(&record("orders", sys_flag, &batch), Crc::Check)[0].as_ref().unwrap().body, batch);
    }
    let both = decode(&record("orders", 0xC0, &batch), Crc::Check).remove(0).unwrap();
    assert_eq!((&both.body[..], both.flag, both.property("a")), (&b"inner"[..], 7, Some("b")));
}

#[test]
fn a_broken_inner_batch_tells_where_it_broke() {
    let mut batch = BytesMut::new();
    batch::append(&mut batch, 0, b"good", "").unwrap();
    let good = batch.len();
    batch::append(&mut batch, 0, b"bad", "").unwrap();
    for (name, broken) in [
        ("empty", Vec::new()),
        ("cut", batch[..batch.len() - 1].to_vec()),
        ("length", [&batch[..good], &[0; 9]].concat()),
    ] {
        let messages = decode(&record("orders", 0xC0, &broken), Crc::Check);
        let (last, before) = messages.split_last().unwrap();
        let offset = i64::try_from(before.len()).unwrap() + 42;
        assert!(before.iter().all(Result::is_ok));
        assert_eq!(last.as_ref().unwrap_err().queue_offset, Some(offset), "{name}");
    }
}

#[test]
fn a_bad_record_hides_no_good_one() {
    let good = hex(V1);
    let mut magic = good.clone();
    magic[7] = 0x99;
    let mut body_length = good.clone();
    body_length[84..88].copy_from_slice(&(-1_i32).to_be_bytes());
    let mut short = good.clone();
    short.truncate(100);
    short[..4].copy_from_slice(&100_i32.to_be_bytes());
    for (bad, offset, expected) in [
        (magic, None, UndecodableReason::Magic(0xDAA3_2099)),
        (body_length, Some(42), UndecodableReason::Bounds("body")),
        (short, Some(42), UndecodableReason::Bounds("properties length")),
        (hex("00000008 daa320a7"), None, UndecodableReason::Bounds("CRC")),
    ] {
        let messages = decode(&[&good[..], &bad, &good].concat(), Crc::Check);
        assert_eq!(messages.len(), 3, "{expected}");
        assert!(messages[0].is_ok() && messages[2].is_ok());
        let error = messages[1].as_ref().unwrap_err();
        assert_eq!((error.queue_offset, &error.reason, &error.record[..]), (offset, &expected, &bad[..]));
    }
}

#[test]
fn a_broken_length_ends_the_answer_with_one_error() {
    let good = hex(V1);
    for total in [0, -1, 7, 176, i32::MAX, i32::MIN] {
        let mut bad = good.clone();
        bad[..4].copy_from_slice(&i32::to_be_bytes(total));
        let messages = decode(&[&good[..], &bad].concat(), Crc::Check);
        assert_eq!(messages.len(), 2);
        assert!(messages[0].is_ok());
        let error = messages[1].as_ref().unwrap_err();
        assert_eq!((&error.reason, &error.record[..]), (&UndecodableReason::Bounds("record length"), &bad[..]));
    }
    assert_eq!(decode(&[], Crc::Check), []);
}

#[test]
fn one_error_stands_for_what_follows_many_bad_records() {
    let (good, bad) = (hex(V1), hex("00000008 daa320a7"));
    let few = decode(&[&bad.repeat(63)[..], &good].concat(), Crc::Check);
    assert_eq!((few.len(), few[63].is_ok()), (64, true));
    let many = decode(&[&bad.repeat(65)[..], &good].concat(), Crc::Check);
    let last = many[64].as_ref().unwrap_err();
    assert_eq!((many.len(), &last.reason), (65, &UndecodableReason::Bounds("number of bad records")));
    assert_eq!(last.record, [&bad[..], &good].concat());
}

#[test]
fn truncated_in_every_field_a_record_is_an_error() {
    for vector in [V1, V2, V1_IPV6, ZLIB, INNER_BATCH] {
        let good = hex(vector);
        for end in 1..good.len() {
            // Cut by the answer's end, then by the record's own length.
            assert!(decode(&good[..end], Crc::Check)[0].is_err());
            if end >= 8 {
                let mut cut = good[..end].to_vec();
                cut[..4].copy_from_slice(&u32::try_from(end).unwrap().to_be_bytes());
                assert!(decode(&cut, Crc::Check)[0].is_err(), "{end}");
            }
        }
    }
}

#[test]
fn no_bit_flip_panics_or_loses_the_next_record() {
    for vector in [V1, V2, V1_IPV6, ZLIB, INNER_BATCH] {
        let good = hex(vector);
        for bit in 0..good.len() * 8 {
            let mut flipped = [&good[..], &good].concat();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let messages = decode(&flipped, Crc::Check);
            if bit >= 32 {
                assert!(messages.last().unwrap().is_ok(), "{bit}");
            }
            assert!(!messages.is_empty());
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut with_head = hex("0000012c daa320a7");
        with_head.extend(&bytes);
        let _ = decode(&bytes, Crc::Check);
        let _ = decode(&with_head, Crc::Skip);
    }
}
