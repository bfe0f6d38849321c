use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{Codec, FrameError, MAX_TOTAL, decode, encode, encode_head};
use crate::command::{Command, Fields, Language};
use crate::request::Request;
use crate::requests::{Pull, PullStatus, SendMessage, StoredStatus};
use crate::vectors::hex;

fn heartbeat() -> Command {
    Command { opaque: 7, ..Command::request(34, Fields::new(), Bytes::from_static(b"{}")) }
}

fn route() -> Command {
    let fields = Fields::from_iter([("topic", "orders")]);
    Command { opaque: 258, ..Command::request(105, fields, Bytes::new()) }
}

/// A1.3.
pub(crate) fn send() -> Command {
    let properties =
        "KEYS\u{1}K1\u{2}UNIQ_KEY\u{1}0A0000010BAD18B4AAC20000000A0001\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}";
    let fields = Fields::from_iter([
        ("a", "GID_test"),
        ("b", "orders"),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "2"),
        ("f", "0"),
        ("g", "1700000000000"),
        ("h", "0"),
        ("i", properties),
        ("j", "0"),
        ("k", "false"),
        ("m", "false"),
    ]);
    Command { opaque: -2, ..Command::request(310, fields, Bytes::from_static(b"hello")) }
}

fn refusal() -> Command {
    Command {
        language: Language::Java,
        remark: Some("no topic 主题".into()),
        ..Command { opaque: 9, ..Command::request(105, Fields::new(), Bytes::new()) }.respond(17, None, Bytes::new())
    }
}

const HEARTBEAT_JSON: &str =
    "00000067000000617b22636f6465223a33342c22666c6167223a302c226c616e6775616765223a224f54484552222c22
6f7061717565223a372c2273657269616c697a655479706543757272656e74525043223a224a534f4e222c2276657273
696f6e223a3430397d7b7d";
const HEARTBEAT_BINARY: &str = "0000001b010000150022070199000000070000000000000000000000007b7d";
const ROUTE_JSON: &str =
    "00000087000000837b22636f6465223a3130352c226578744669656c6473223a7b22746f706963223a226f7264657273
227d2c22666c6167223a302c226c616e6775616765223a224f54484552222c226f7061717565223a3235382c22736572
69616c697a655479706543757272656e74525043223a224a534f4e222c2276657273696f6e223a3430397d";
const ROUTE_BINARY: &str =
    "0000002a010000260069070199000001020000000000000000000000110005746f706963000000066f7264657273";
const SEND_BINARY: &str =
    "000000e8010000df0136070199fffffffe0000000000000000000000ca000161000000084749445f7465737400016200
0000066f7264657273000163000000065442573130320001640000000134000165000000013200016600000001300001
670000000d313730303030303030303030300001680000000130000169000000464b455953014b3102554e49515f4b45
590130413030303030313042414431384234414143323030303030303041303030310257414954017472756502544147
5301546167410200016a000000013000016b0000000566616c736500016d0000000566616c736568656c6c6f";
const SEND_JSON: &str = r#"{"code":310,"extFields":{"a":"GID_test","b":"orders","c":"TBW102","d":"4","e":"2","f":"0","g":"1700000000000","h":"0","i":"KEYS\u0001K1\u0002UNIQ_KEY\u00010A0000010BAD18B4AAC20000000A0001\u0002WAIT\u0001true\u0002TAGS\u0001TagA\u0002","j":"0","k":"false","m":"false"},"flag":0,"language":"OTHER","opaque":-2,"serializeTypeCurrentRPC":"JSON","version":409}"#;
const REFUSAL_BINARY: &str = "0000002801000024001100019900000009000000010000000f6e6f20746f70696320e4b8bbe9a29800000000";
const REFUSAL_JSON: &str =
    "0000007f0000007b7b22636f6465223a31372c22666c6167223a312c226c616e6775616765223a224a415641222c226f
7061717565223a392c2272656d61726b223a226e6f20746f70696320e4b8bbe9a298222c2273657269616c697a655479
706543757272656e74525043223a224a534f4e222c2276657273696f6e223a3430397d";

fn framed(type_byte: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(4 + header.len() + body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend((u32::from(type_byte) << 24 | u32::try_from(header.len()).unwrap()).to_be_bytes());
    frame.extend(header);
    frame.extend(body);
    frame
}

fn golden() -> Vec<(Command, Codec, Vec<u8>)> {
    vec![
        (heartbeat(), Codec::Json, hex(HEARTBEAT_JSON)),
        (heartbeat(), Codec::Binary, hex(HEARTBEAT_BINARY)),
        (route(), Codec::Json, hex(ROUTE_JSON)),
        (route(), Codec::Binary, hex(ROUTE_BINARY)),
        (send(), Codec::Json, framed(0, SEND_JSON.as_bytes(), b"hello")),
        (send(), Codec::Binary, hex(SEND_BINARY)),
        (refusal(), Codec::Json, hex(REFUSAL_JSON)),
        (refusal(), Codec::Binary, hex(REFUSAL_BINARY)),
    ]
}

fn decode_one(frame: &[u8]) -> Result<Option<Command>, FrameError> {
    decode(&mut BytesMut::from(frame))
}

#[test]
fn frames_are_written_and_read_as_java_does() {
    for (command, codec, bytes) in golden() {
        assert_eq!(encode(&command, codec).unwrap(), bytes, "{codec:?} {command:?}");
        assert_eq!(decode_one(&bytes).unwrap().unwrap(), command, "{codec:?}");
    }
}

#[test]
fn head_and_body_written_apart_are_the_same_frame() {
    for (command, codec, bytes) in golden() {
        let mut out = BytesMut::from(&b"before"[..]);
        encode_head(&command, codec, &mut out).unwrap();
        out.extend_from_slice(&command.body);
        assert_eq!(out[6..], bytes);
    }
}

#[test]
fn frames_follow_each_other_and_each_says_its_own_codec() {
    let mut stream = BytesMut::new();
    for (_, _, bytes) in golden() {
        stream.extend_from_slice(&bytes);
    }
    for (command, _, _) in golden() {
        assert_eq!(decode(&mut stream).unwrap(), Some(command));
    }
    assert_eq!(decode(&mut stream), Ok(None));
    assert!(stream.is_empty());
}

#[test]
fn a_prefix_of_a_frame_waits_and_is_left_alone() {
    for (_, _, bytes) in golden() {
        for end in 0..bytes.len() {
            let mut input = BytesMut::from(&bytes[..end]);
            assert_eq!(decode(&mut input), Ok(None), "{end}");
            assert_eq!(input, bytes[..end]);
        }
    }
}

#[test]
fn no_bit_flip_panics() {
    for (_, _, bytes) in golden() {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = decode_one(&flipped);
        }
    }
}

#[test]
fn real_binary_answers_are_read() {
    let header = hex(
        "0000000199000000010000000100000000 0000007a 0005 6d73674964 00000020 3746303030303031303030303738424630303030303030303030303030303030 0007 71756575654964 00000001 31 000b 71756575654f6666736574 00000001 30 0008 54524143455f4f4e 00000004 74727565 000a 4d53475f524547494f4e 0000000d 44656661756c74526567696f6e",
    );
    let answer = decode_one(&framed(1, &header, b"")).unwrap().unwrap();
    assert!(answer.is_response());
    assert_eq!((answer.code, answer.version, answer.opaque, answer.language), (0, 409, 1, Language::Java));
    let fields: Vec<_> = answer.fields.iter().collect();
    assert_eq!(fields[0], ("msgId", "7F000001000078BF0000000000000000"));
    assert_eq!(
        fields[1..],
        [("queueId", "1"), ("queueOffset", "0"), ("TRACE_ON", "true"), ("MSG_REGION", "DefaultRegion")]
    );

    let bare =
        decode_one(&framed(1, &hex("0000 00 0199 00000001 00000001 00000000 00000000"), b"{}")).unwrap().unwrap();
    assert_eq!((bare.code, bare.remark, bare.fields.iter().len(), &bare.body[..]), (0, None, 0, &b"{}"[..]));
}

#[test]
fn real_json_headers_are_read() {
    let push = br#"{"code":40,"extFields":{"consumerGroup":"G"},"flag":2,"language":"JAVA","opaque":547,"serializeTypeCurrentRPC":"JSON","version":513}"#;
    let push = decode_one(&framed(0, push, b"")).unwrap().unwrap();
    assert!(!push.is_response() && push.is_oneway());
    assert_eq!((push.code, push.version, push.fields.get("consumerGroup")), (40, 513, Some("G")));
}

#[test]
fn real_json_answers_are_typed() {
    let sent = br#"{"code":0,"extFields":{"queueId":"0","transactionId":"ABC","msgId":"7F0000010000807600000000000001A7","TRACE_ON":"true","MSG_REGION":"DefaultRegion","queueOffset":"0"},"flag":1,"language":"JAVA","opaque":102,"serializeTypeCurrentRPC":"JSON","version":513}"#;
    let receipt = SendMessage::decode(decode_one(&framed(0, sent, b"")).unwrap().unwrap()).unwrap();
    assert_eq!((receipt.queue_id, receipt.queue_offset, receipt.status), (0, 0, StoredStatus::Ok));
    assert_eq!(receipt.msg_ids, "7F0000010000807600000000000001A7");

    let pulled = br#"{"code":0,"extFields":{"suggestWhichBrokerId":"0","groupSysFlag":"0","nextBeginOffset":"1","maxOffset":"1","minOffset":"0","topicSysFlag":"0"},"flag":1,"language":"JAVA","opaque":103,"remark":"FOUND","serializeTypeCurrentRPC":"JSON","version":513}"#;
    let pulled = Pull::decode(decode_one(&framed(0, pulled, b"records")).unwrap().unwrap()).unwrap();
    assert_eq!((pulled.status, pulled.next_offset, pulled.max_offset), (PullStatus::Found, 1, 1));
    assert_eq!(pulled.body, "records");
}

#[test]
fn of_a_repeated_field_the_last_counts() {
    let mut fields = Fields::from_iter([("a", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!(fields.get("a"), Some("3"));
    assert_eq!(fields.take("a"), Some("3".into()));
    assert_eq!((fields.take("a"), fields.iter().len(), fields.get("b")), (None, 1, Some("2")));
}

#[test]
fn a_json_header_is_read_tolerantly() {
    let odd = r#" {"zzz":[{"a":1}],"remark":null,"language":"NODE_JSX","extFields":{"n":5,"b":true,"f":1.5,"none":null,"o":{"x":[1]},"s":""},"code":0,"opaque":-7,"flag":1} "#;
    let command = decode_one(&framed(0, odd.as_bytes(), b"")).unwrap().unwrap();
    assert_eq!((command.language, command.version, command.opaque, command.remark), (Language::Unknown, 0, -7, None));
    let fields: Vec<_> = command.fields.iter().collect();
    assert_eq!(fields, [("n", "5"), ("b", "true"), ("f", "1.5"), ("s", "")]);

    for odd in [r#"{"code":1,"extFields":null,"language":null}"#, r#"{"code":1,"language":7,"flag":null}"#] {
        assert_eq!(decode_one(&framed(0, odd.as_bytes(), b"")).unwrap().unwrap().code, 1, "{odd}");
    }
    for broken in ["", "{}", "[]", "{\"code\":1", "{\"code\":\"x\"}", "{\"code\":1}}", "{\"code\":99999999999}"] {
        assert!(matches!(decode_one(&framed(0, broken.as_bytes(), b"")), Err(FrameError::Header(_))), "{broken}");
    }
}

#[test]
fn lengths_outside_the_limits_are_refused_before_the_frame_is_there() {
    for total in [i32::MIN, -1, 0, 3, 16_777_213, 16_777_217, i32::MAX] {
        let frame = total.to_be_bytes();
        assert_eq!(decode_one(&frame), Err(FrameError::Total(i64::from(total))));
    }
    assert_eq!(decode_one(&16_777_212_i32.to_be_bytes()), Ok(None));
    assert_eq!(decode_one(&hex("00000010 00000010")), Err(FrameError::HeaderLength { header: 16, total: 16 }));
    assert_eq!(
        decode_one(&hex("00fffffc 00100001")),
        Err(FrameError::HeaderLength { header: 0x0010_0001, total: MAX_TOTAL })
    );
    assert_eq!(decode_one(&hex("00fffffc 00100000")), Ok(None));
    assert_eq!(decode_one(&hex("00000010 07000001")), Err(FrameError::Codec(7)));
}

#[test]
fn what_no_server_would_take_is_not_written() {
    let fits = MAX_TOTAL - 4 - (hex(HEARTBEAT_JSON).len() - 10);
    let large = |length| Command { body: Bytes::from(vec![0; length]), ..heartbeat() };
    assert_eq!(encode(&large(fits), Codec::Json).unwrap().len(), MAX_TOTAL + 4);
    assert!(matches!(encode(&large(fits + 1), Codec::Json), Err(FrameError::Total(16_777_213))));
    let long = Command { remark: Some("x".repeat(super::MAX_HEADER)), ..heartbeat() };
    let mut out = BytesMut::from(&b"kept"[..]);
    assert!(matches!(encode_head(&long, Codec::Json, &mut out), Err(FrameError::HeaderLength { .. })));
    assert_eq!(out, &b"kept"[..]);
    assert!(encode(&Command { code: 200_050, ..heartbeat() }, Codec::Binary).is_err());
    assert!(encode(&Command { code: 200_050, ..heartbeat() }, Codec::Json).is_ok());
}

#[test]
fn the_binary_header_has_javas_sizes() {
    let size = |command: &Command| encode(command, Codec::Binary).unwrap().len() - 8;
    let bare = Command::request(103, Fields::new(), Bytes::new());
    assert_eq!(size(&bare), 21);
    assert_eq!(size(&Command { remark: Some("Sample Remark".into()), ..bare.clone() }), 34);
    assert_eq!(size(&Command { fields: Fields::from_iter([("key", "value")]), ..bare }), 35);
}

#[test]
fn lengths_inside_a_binary_header_are_checked() {
    let start = "0022 07 0199 00000007 00000000";
    for (case, rest) in [
        ("remark length -1", "ffffffff 00000000"),
        ("remark longer than the rest", "00000005 00000000"),
        ("fields longer than the rest", "00000000 00000001"),
        ("fields length -1", "00000000 ffffffff"),
        ("name length -1", "00000000 00000006 ffff 00000000"),
        ("name longer than the fields", "00000000 00000006 0005 00000000"),
        ("value length -1", "00000000 00000007 0001 61 ffffffff"),
        ("value longer than the fields", "00000000 00000007 0001 61 7fffffff"),
        ("a trailing byte", "00000000 00000000 00"),
        ("a trailing byte in the fields", "00000000 00000009 0001 61 00000001 62 00"),
        ("no fields length", "00000000"),
        ("remark not UTF-8", "00000001 ff 00000000"),
    ] {
        let frame = framed(1, &hex(&format!("{start}{rest}")), b"");
        assert!(matches!(decode_one(&frame), Err(FrameError::Header(_))), "{case}");
    }
}

#[test]
fn the_body_shares_the_memory_of_the_input() {
    let mut input = BytesMut::from(&encode(&send(), Codec::Json).unwrap()[..]);
    let range = input.as_ptr_range();
    let body = decode(&mut input).unwrap().unwrap().body;
    assert!(range.contains(&body.as_ptr()));
}

prop_compose! {
    fn any_command()(
        (code, version) in (any::<i16>(), any::<i16>()),
        (opaque, flag) in (any::<i32>(), any::<i32>()),
        language in 0_u8..14,
        remark in proptest::option::of(".{1,40}"),
        fields in proptest::collection::vec(("\\PC{1,12}", ".{1,40}"), 0..8),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) -> Command {
        Command {
            code: i32::from(code), language: Language::from_ordinal(language), version: i32::from(version), opaque, flag, remark,
            fields: fields.into_iter().collect(), body: Bytes::from(body),
        }
    }
}

proptest! {
    #[test]
    fn every_command_survives_both_codecs(command in any_command()) {
        for codec in [Codec::Json, Codec::Binary] {
            let frame = encode(&command, codec).unwrap();
            prop_assert_eq!(decode_one(&frame).unwrap().unwrap(), command.clone());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), type_byte in 0_u8..3) {
        let _ = decode_one(&bytes);
        let _ = decode_one(&framed(type_byte, &bytes, b"tail"));
    }
}
