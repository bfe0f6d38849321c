//! Does one thing so many times: `count_me encode|decode|sign COUNT`. Instructions are counted outside, by valgrind: what runs once is
//! gone in the difference between two counts. See `__tests__/testing/instructions.spec.js`.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_protocol::signature::sign;
use rocketmq_protocol::{Codec, Command, Crc, Credentials, Request, SendMessage, frame, properties, read_records};

/// Bytes of a body.
const BODY: usize = 100;
/// Messages of an answer, as many as brokers give.
const MESSAGES: u8 = 32;

fn properties() -> String {
    properties::encode([
        ("UNIQ_KEY", "0A0000010BAD18B4AAC2000000090001"),
        ("WAIT", "true"),
        ("TAGS", "paid"),
        ("KEYS", "order-4711"),
        ("__SHARDINGKEY", "customer-7"),
        ("CLUSTER", "DefaultCluster"),
    ])
}

fn request() -> Command {
    let send = SendMessage {
        producer_group: "GID_orders".into(),
        topic: "orders".into(),
        broker_name: "broker-a".into(),
        queue_id: 3,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 0,
        properties: properties(),
        reconsume_times: 0,
        max_reconsume_times: None,
        body: Bytes::from(vec![b'x'; BODY]),
    };
    let (fields, body) = send.encode();
    Command::request(SendMessage::CODE, fields, body)
}

/// A message as it is stored.
fn record(offset: i64) -> BytesMut {
    let properties = properties();
    let mut record = BytesMut::new();
    record.put_i32(0);
    record.put_u32(0xDAA3_20A7);
    record.put_slice(&[0; 8]);
    record.put_i32(0);
    record.put_i64(offset);
    record.put_i64(300 * offset);
    record.put_i32(0);
    for _ in ["born", "stored"] {
        record.put_i64(1_700_000_000_000);
        record.put_slice(&[10, 0, 0, 1, 0, 0, 0x2A, 0x9F]);
    }
    record.put_slice(&[0; 12]);
    record.put_i32(i32::try_from(BODY).unwrap_or_default());
    record.put_bytes(b'x', BODY);
    record.put_u8(6);
    record.put_slice(b"orders");
    record.put_i16(i16::try_from(properties.len()).unwrap_or_default());
    record.put_slice(properties.as_bytes());
    let size = i32::try_from(record.len()).unwrap_or_default();
    record[..4].copy_from_slice(&size.to_be_bytes());
    record
}

/// The frame of an answer to a pull.
fn answer() -> Bytes {
    let body: Vec<u8> = (0..MESSAGES).flat_map(|offset| record(offset.into())).collect();
    let mut answer = request().respond(0, None, body.into());
    for name in ["nextBeginOffset", "minOffset", "maxOffset", "suggestWhichBrokerId"] {
        answer.fields.push(name, "32");
    }
    frame::encode(&answer, Codec::Json).unwrap_or_default()
}

/// What every handler sees of the messages of an answer.
fn decode(answer: &Bytes) -> usize {
    let mut input = BytesMut::from(&answer[..]);
    let Ok(Some(answer)) = frame::decode(&mut input) else { return 0 };
    let records = read_records(&answer.body, Crc::Check);
    records.iter().flatten().filter(|message| black_box(message.labels()).unique_id.is_some()).count()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let count: usize = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1);
    let (request, answer) = (request(), answer());
    let account =
        Credentials { access_key: "AK_demo".into(), secret_key: "SK_demo".into(), security_token: None, channel: None };
    for _ in 0..count {
        match what.as_str() {
            "encode" => assert!(black_box(frame::encode(black_box(&request), Codec::Json)).is_ok()),
            "decode" => assert_eq!(decode(black_box(&answer)), usize::from(MESSAGES)),
            "sign" => sign(black_box(&mut request.clone()), &account),
            other => panic!("{other:?} is not encode, decode or sign"),
        }
    }
}
