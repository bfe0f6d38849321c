//! The targets: what reads bytes of servers, of messages, and of users' filters.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use rocketmq_protocol::code::{request, response};
use rocketmq_protocol::message::MAX_INNER;
use rocketmq_protocol::properties;
use rocketmq_protocol::route::{MAX_BROKERS, MAX_QUEUES};
use rocketmq_protocol::{
    Announced, Codec, Command, ConsumerList, Crc, Decoded, Fields, GetClusters, KeptSubscriptions, Language,
    LockQueues, MaxOffset, MemberSubscriptions, Push, QueryOffset, Request, StoredMessage, Subscription, TopicRoute,
    UnlockQueues, Unpacked, frame, read_records, unpack,
};
use rocketmq_test_broker::Condition;

use crate::{Memory, Target};

const KIB: usize = 1024;
/// Most that a body is inflated to here: what clients allow is theirs to choose.
const INFLATED: usize = 64 * KIB;
/// What inflating takes beside the body: windows, tables, and one block's sequences, of which a few bytes may be a hundred thousand.
const INFLATING: usize = 3 * 1024 * KIB;
/// Queues that are listed one by one: what more are is known from fewer.
const LISTED: usize = 64;

const fn target(name: &'static str, run: fn(&[u8]), per_byte: usize, fixed: usize) -> Target {
    Target { name, run, memory: Memory { per_byte, fixed } }
}

/// All of them.
pub const TARGETS: [Target; 12] = [
    target("frames", frames, 48, 4 * KIB),
    target("json_header", |input| header(0, input), 48, 4 * KIB),
    target("binary_header", |input| header(1, input), 48, 4 * KIB),
    target("properties", property_texts, 60, 4 * KIB),
    target("messages", messages, 16, INFLATING),
    target("compressed_bodies", compressed_bodies, 16, INFLATING),
    target("routes", routes, 8, 64 * KIB),
    target("locks", locks, 12, 4 * KIB),
    target("offsets", offsets, 12, 4 * KIB),
    target("members", members, 20, 4 * KIB),
    target("subscriptions", subscriptions, 60, 4 * KIB),
    target("sql", sql, 200, 4 * KIB),
];

/// Frames one behind the other, as a connection brings them.
fn frames(input: &[u8]) {
    let mut rest = BytesMut::from(input);
    while let Ok(Some(command)) = frame::decode(&mut rest) {
        survives(command);
    }
    assert!(rest.len() <= input.len());
}

/// What can be read can be written, and is the same when it is read again.
fn survives(command: Command) {
    let Ok(written) = frame::encode(&command, Codec::Json) else { return };
    let again = frame::decode(&mut BytesMut::from(&written[..])).expect("what we write is readable").expect("whole");
    // What we do not know of is written as another.
    let language = if command.language == Language::Unknown { Language::Other } else { command.language };
    assert_eq!(again, Command { language, ..command });
}

/// One header in a frame of its own, with this type.
fn header(type_byte: u8, input: &[u8]) {
    let length = u32::try_from(input.len()).unwrap_or(u32::MAX);
    let mut framed = BytesMut::with_capacity(input.len() + 8);
    framed.extend_from_slice(&length.saturating_add(4).to_be_bytes());
    framed.extend_from_slice(&(u32::from(type_byte) << 24 | length & 0x00FF_FFFF).to_be_bytes());
    framed.extend_from_slice(input);
    if let Ok(Some(command)) = frame::decode(&mut framed) {
        survives(command);
    }
}

/// A message's properties.
fn property_texts(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut visited = 0;
    let mut pairs = properties::pairs(&text);
    properties::visit(&text, |name, value| {
        assert_eq!(pairs.next(), Some((name, value)));
        visited += 1;
    });
    assert_eq!(pairs.next(), None);
    let decoded = properties::decode(&text);
    assert!(decoded.len() <= visited);
    for (name, value) in decoded.iter().take(LISTED) {
        assert_eq!(properties::value_of(&text, name), Some(value.as_str()));
    }
}

/// The body of a pull, and of a message that is consumed directly.
fn messages(input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    let checked = read_records(&body, Crc::Check);
    let taken = read_records(&body, Crc::Skip);
    assert!(checked.len() <= taken.len(), "a wrong CRC is of one record");
    drop(checked);
    // Its limit is what clients allow, and no part of the bound here.
    let inflates = taken.iter().flatten().next().is_some_and(StoredMessage::is_compressed);
    for record in taken {
        one_record(record);
    }
    if inflates {
        return;
    }
    let fields = [("consumerGroup", "G"), ("clientId", "c")].into_iter().collect::<Fields>();
    let _ = Push::decode(&Command::request(request::CONSUME_MESSAGE_DIRECTLY, fields, body));
}

fn one_record(record: Decoded) {
    let Ok(stored) = record else { return };
    let span = stored.span();
    look_at(&stored);
    match unpack(stored, INFLATED, &|| false) {
        Unpacked::Messages(messages) => {
            // A broken entry stands for all behind it.
            let is_whole = messages.iter().all(Result::is_ok);
            let count = i64::try_from(messages.len()).unwrap_or(i64::MAX);
            assert!(span.is_none_or(|span| span == count || (span > count && !is_whole)), "{span:?} {count}");
            assert!(messages.len() <= MAX_INNER + 1);
            messages.iter().flatten().take(LISTED).for_each(look_at);
        }
        Unpacked::TooLarge | Unpacked::Stopped => {}
    }
}

/// The body of one message: the first byte says by what it is compressed.
fn compressed_bodies(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
    let stored = StoredMessage {
        topic: "orders".into(),
        queue_id: 0,
        queue_offset: 0,
        physical_offset: 0,
        flag: 0,
        sys_flag: 1 | i32::from(kind & 0x7) << 8,
        born_timestamp: 0,
        born_host: nobody,
        store_timestamp: 0,
        store_host: nobody,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body_crc: 0,
        body: Bytes::copy_from_slice(body),
        properties: "".into(),
    };
    match unpack(stored, INFLATED, &|| false) {
        Unpacked::Messages(messages) => {
            assert_eq!(messages.len(), 1);
            let inflated = messages.iter().flatten().map(|message| message.body.len()).sum::<usize>();
            assert!(inflated <= INFLATED.max(body.len()), "{inflated}");
        }
        Unpacked::TooLarge => {}
        Unpacked::Stopped => unreachable!("nobody has stopped it"),
    }
}

fn look_at(message: &StoredMessage) {
    let labels = message.labels();
    assert_eq!((labels.tags, labels.unique_id), (message.tags(), message.unique_id()));
    assert_eq!(message.clone().detached(), *message);
    assert!(!message.msg_id().is_empty());
}

/// A route.
fn routes(input: &[u8]) {
    let Ok(route) = TopicRoute::parse(input) else { return };
    assert!(route.queue_datas.len() <= MAX_BROKERS && route.broker_datas.len() <= MAX_BROKERS);
    let count = |counts: &mut dyn Iterator<Item = i32>| counts.map(|count| usize::try_from(count).unwrap_or(0)).sum();
    let read: usize = count(&mut route.queue_datas.iter().map(|data| data.read_queues));
    let written: usize = count(&mut route.queue_datas.iter().map(|data| data.write_queues));
    assert!(read.max(written) <= MAX_QUEUES);
    if read.max(written) <= LISTED && route.order_topic_conf.is_none() {
        let queues = route.read_queues("orders");
        assert!(queues.is_sorted() && queues.len() <= read);
        assert!(route.write_queues("orders").is_sorted());
        assert!(route.unread_queues("orders").len() <= written);
    }
    assert!(route.masters().count() <= route.brokers().count());
}

fn answer(code: i32, fields: Fields, input: &[u8]) -> Command {
    let mut command =
        Command::request(0, Fields::new(), Bytes::new()).respond(code, None, Bytes::copy_from_slice(input));
    command.fields = fields;
    command
}

/// The answer to a question for locks.
fn locks(input: &[u8]) {
    let Ok(queues) = LockQueues::decode(answer(response::SUCCESS, Fields::new(), input)) else { return };
    assert!(queues.len() <= MAX_QUEUES);
    let request = UnlockQueues { client_id: "c".into(), group: "G".into(), queues };
    let (_, body) = request.encode();
    let written: serde_json::Value = serde_json::from_slice(&body).expect("what we write is readable");
    assert_eq!(written["mqSet"].as_array().map(Vec::len), Some(request.queues.len()));
}

/// Offsets: as a field of an answer, and as the body of an administrator's reset.
fn offsets(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let fields = || [("offset", text.as_ref())].into_iter().collect::<Fields>();
    for code in [response::SUCCESS, response::QUERY_NOT_FOUND] {
        if let Ok(Some(offset)) = QueryOffset::decode(answer(code, fields(), b"")) {
            assert!(offset >= 0);
        }
    }
    if let Ok(offset) = MaxOffset::decode(answer(response::SUCCESS, fields(), b"")) {
        assert!(offset >= 0);
    }
    let fields = [("topic", "T"), ("group", "G")].into_iter().collect::<Fields>();
    let command = Command::request(request::RESET_CONSUMER_CLIENT_OFFSET, fields, Bytes::copy_from_slice(input));
    if let Ok(Push::ResetOffsets { offsets, .. }) = Push::decode(&command) {
        assert!(offsets.len() <= MAX_QUEUES);
    }
}

/// Who is in a group and what they want, and which clusters there are.
fn members(input: &[u8]) {
    let answered = || answer(response::SUCCESS, Fields::new(), input);
    let _ = ConsumerList::decode(answered());
    let _ = GetClusters::decode(answered());
    if let Ok(kept) = KeptSubscriptions::decode(answered()) {
        kept.announced.iter().take(LISTED).for_each(agrees_with_itself);
    }
    if let Ok(said) = MemberSubscriptions::decode(answered()) {
        said.announced.iter().flatten().take(LISTED).for_each(agrees_with_itself);
    }
}

fn agrees_with_itself(announced: &Announced) {
    assert!(announced.agrees_with(announced));
    assert!(!announced.to_string().is_empty());
}

/// An expression, as users and other members write it.
fn subscriptions(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(by_tags) = Subscription::by_tags("orders", &text, 1) {
        assert_eq!(by_tags.tags.len(), by_tags.codes.len());
        agrees_with_itself(&Announced::from(&by_tags));
        for tag in by_tags.tags.iter().take(LISTED) {
            assert!(by_tags.matches(Some(tag)));
        }
    }
    if let Ok(by_condition) = Subscription::by_sql92("orders", &text, 1) {
        agrees_with_itself(&Announced::from(&by_condition));
    }
}

/// A condition, as the test broker reads it, for some messages.
fn sql(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for text_operators in [false, true] {
        let Ok(condition) = Condition::parse(&text, text_operators) else { continue };
        for value in ["5", "5.5", "true", "x", ""] {
            let properties = [("a".to_owned(), value.to_owned()), ("b".to_owned(), "abc".to_owned())];
            condition.matches(&properties);
        }
    }
}
