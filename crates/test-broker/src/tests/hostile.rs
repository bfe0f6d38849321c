//! What no client sends: it is answered or its connection ends, and nothing else happens.

use super::super::release::draw_bits;
use super::*;
use crate::faults::rules::Verdict;
use crate::requests::dispatch::{to_broker, to_name_server};
use crate::requests::reply::Answer;

/// Requests per release.
const REQUESTS: usize = 2_000;
/// Connections per release.
const CONNECTIONS: usize = 150;

const CODES: [i32; 62] = [
    0,
    10,
    11,
    12,
    14,
    15,
    17,
    18,
    21,
    25,
    26,
    28,
    29,
    30,
    31,
    32,
    33,
    34,
    35,
    36,
    37,
    38,
    41,
    42,
    46,
    50,
    100,
    101,
    102,
    105,
    106,
    200,
    201,
    202,
    203,
    204,
    205,
    206,
    207,
    208,
    215,
    216,
    222,
    223,
    224,
    300,
    307,
    309,
    310,
    318,
    319,
    320,
    327,
    343,
    351,
    352,
    361,
    3001,
    3006,
    9999,
    -1,
    i32::MAX,
];
/// Names of fields, and a value that makes sense.
const FIELDS: [(&str, &str); 58] = [
    ("topic", "t"),
    ("queueId", "0"),
    ("consumerGroup", "G"),
    ("producerGroup", "PG"),
    ("a", "PG"),
    ("b", "t"),
    ("c", "TBW102"),
    ("d", "4"),
    ("e", "0"),
    ("f", "0"),
    ("g", "1"),
    ("h", "0"),
    ("i", "TAGS\u{1}A\u{2}"),
    ("j", "0"),
    ("l", "16"),
    ("m", "false"),
    ("defaultTopic", "TBW102"),
    ("defaultTopicQueueNums", "4"),
    ("sysFlag", "6"),
    ("flag", "0"),
    ("bornTimestamp", "1"),
    ("properties", "DELAY\u{1}3\u{2}"),
    ("reconsumeTimes", "1"),
    ("maxReconsumeTimes", "16"),
    ("queueOffset", "0"),
    ("maxMsgNums", "32"),
    ("commitOffset", "1"),
    ("suspendTimeoutMillis", "10"),
    ("subscription", "*"),
    ("subVersion", "1"),
    ("expressionType", "TAG"),
    ("timestamp", "1"),
    ("boundaryType", "UPPER"),
    ("offset", "0"),
    ("group", "G"),
    ("delayLevel", "0"),
    ("clientID", "c1"),
    ("clientId", "c1"),
    ("key", "k"),
    ("maxNum", "32"),
    ("beginTimestamp", "0"),
    ("endTimestamp", "9999999999999"),
    ("_UNIQUE_KEY_QUERY", "true"),
    ("readQueueNums", "4"),
    ("writeQueueNums", "4"),
    ("perm", "6"),
    ("attributes", "+message.type=FIFO"),
    ("brokerName", "broker-a"),
    ("namespace", "N"),
    ("value", "v"),
    ("groupName", "G"),
    ("msgId", "7F00000100002A9F0000000000000000"),
    ("clientAddr", ""),
    ("isForce", "true"),
    ("accessKey", "AK_demo"),
    ("secretKey", "SK_demo"),
    ("username", "u"),
    ("subject", "User:u"),
];
const VALUES: [&str; 20] = [
    "",
    " ",
    "-1",
    "0",
    "true",
    "2147483647",
    "-2147483648",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "1e3",
    "%RETRY%",
    "%RETRY%G",
    "%DLQ%G",
    "SCHEDULE_TOPIC_XXXX",
    "a\u{1}\u{2}\u{1}b\u{2}\u{2}",
    "DELAY\u{1}99999999\u{2}",
    "\u{1F600}\u{0}",
    "SQL92",
];
const BODIES: [&str; 20] = [
    "",
    "x",
    "{",
    "[]",
    "null",
    "{}",
    "\u{0}\u{0}\u{0}\u{16}aaaaaaaaaaaa\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}",
    "\u{0}\u{0}\u{0}\u{1}",
    r#"{"clientID":7,"consumerDataSet":{"groupName":1},"producerDataSet":[1,null]}"#,
    r#"{"clientID":"c1","consumerDataSet":[{"groupName":"G","subscriptionDataSet":[{"topic":"t","subVersion":"9223372036854775807","expressionType":"SQL92","subString":"NOT NOT"}]},7]}"#,
    r#"{"clientID":"c1","consumerDataSet":[{"groupName":"G","subscriptionDataSet":[{"topic":"t","codeSet":[1e99,"x"],"subString":"A"}]}]}"#,
    r#"{"clientId":"c1","consumerGroup":"G","mqSet":[{"topic":"t","brokerName":"b","queueId":-2147483648}]}"#,
    r#"{"clientId":"c1","consumerGroup":"G","mqSet":[{"queueId":"x"}]}"#,
    r#"{"clientId":"c1","group":"G","subscriptionData":{"topic":"t","expressionType":"SQL92","subString":"((((((((((a"}}"#,
    r#"{"groupName":"G","retryMaxTimes":-5,"retryQueueNums":99999999999,"consumeEnable":"no"}"#,
    r#"{"topicConfigList":[{"topicName":"t","readQueueNums":2147483647,"writeQueueNums":-7,"perm":"x"},null]}"#,
    r#"{"username":"u","password":"p","policies":[{"entries":[{"resource":"Topic","actions":"All","decision":"Allow"}]}]}"#,
    "brokerPermission=-1\nmaxMessageSize=-5\nwaitTimeMillsInSendQueue=9223372036854775807\nshutdownWaitTimeSeconds=x\n=\n==",
    "sendMessageThreadPoolNums=-3\nautoCreateTopicEnable=true\nautoCreateSubscriptionGroup=true",
    r#"{"a":{{"b":1}:2,3:[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}"#,
];

/// Numbers of a seed.
struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.drawn += 1;
        usize::try_from(draw_bits(self.seed, 0, self.drawn) % most as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn command(&mut self) -> Command {
        let mut fields = Fields::new();
        for (name, usual) in FIELDS {
            match self.below(10) {
                0 => {}
                1..=2 => fields.push(name, self.of(&VALUES)),
                _ => fields.push(name, usual),
            }
        }
        let mut command = Command::request(self.of(&CODES), fields, Bytes::from(self.of(&BODIES)));
        command.version = self.of(&[0, 121, 399, 409, 513, i32::MAX]);
        command
    }

    fn bytes(&mut self) -> Vec<u8> {
        let codec = if self.below(2) == 0 { Codec::Json } else { Codec::Binary };
        let mut command = self.command();
        command.code = command.code.clamp(0, 32_767);
        command.version = command.version.min(513);
        let mut bytes = frame::encode(&command, codec).unwrap().to_vec();
        match self.below(4) {
            // Only its beginning.
            0 => bytes.truncate(self.below(bytes.len())),
            // Some bytes of it are others.
            1 => {
                for _ in 0..=self.below(8) {
                    let at = self.below(bytes.len());
                    bytes[at] = u8::try_from(self.below(256)).unwrap();
                }
            }
            2 => bytes = (0..self.below(400)).map(|_| u8::try_from(self.below(256)).unwrap()).collect(),
            _ => {}
        }
        bytes
    }
}

fn options(release: Release) -> TestBrokerOptions {
    TestBrokerOptions { topics: None, time_factor: 1000.0, ..with_topic(release) }
}

/// The broker still does what it is for.
async fn check_alive(test: &TestBroker) {
    let mut names = Raw::connect(&test.name_server()).await;
    assert_eq!(names.call(plain(106, &[])).await.code, 0);
    let mut raw = broker_of(test).await;
    let refused = raw.call(plain(38, &[("consumerGroup", "nobody")])).await;
    assert!(refused.code == 1 || refused.code == 16, "{refused:?}");
}

#[tokio::test]
async fn requests_of_any_kind_are_answered() {
    for (release, seed) in BOTH.into_iter().zip(1..) {
        let test = start(options(release)).await;
        let _connected = broker_of(&test).await;
        check_alive(&test).await;
        let connection = *test.shared.lock().broker(0).connections.keys().next().unwrap();
        let from = "127.0.0.1:4242".parse().unwrap();
        let mut chance = Chance { seed, drawn: 0 };
        let (mut done, mut refused, mut later) = (0, 0, 0);
        for _ in 0..REQUESTS {
            let command = chance.command();
            match to_broker(&test.shared, 0, (connection, from), &command, &Verdict::default()) {
                Answer::Now(reply) if reply.code == 0 => done += 1,
                Answer::Now(_) => refused += 1,
                Answer::Later { .. } => later += 1,
                Answer::Silent => panic!("a broker answers everything: {command:?}"),
            }
            // An account made here would have everything refused that follows.
            test.shared.lock().accounts = crate::access::acl::Accounts::default();
            to_name_server(&test.shared, &command);
        }
        assert!(done > REQUESTS / 20 && refused > REQUESTS / 20 && later > 0, "{done} {refused} {later}");
        check_alive(&test).await;
        let _ = test.take_violations();
        test.close().await.unwrap();
    }
}

#[tokio::test]
async fn bytes_of_any_kind_end_their_own_connection_at_most() {
    for (release, seed) in BOTH.into_iter().zip(11..) {
        let test = start(options(release)).await;
        let mut chance = Chance { seed, drawn: 0 };
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            let address = if chance.below(4) == 0 { test.name_server() } else { test.brokers()[0].clone() };
            let mut raw = Raw::connect(&address).await;
            for _ in 0..4 {
                // The other side may have closed it already.
                let _ = raw.socket.write_all(&chance.bytes()).await;
            }
            open.push(raw);
        }
        test.shared.lock().accounts = crate::access::acl::Accounts::default();
        check_alive(&test).await;
        drop(open);
        let _ = test.take_violations();
        test.close().await.unwrap();
    }
}

#[tokio::test]
async fn announced_lengths_are_not_believed() {
    let test = start(with_topic(Release::V5)).await;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut raw = broker_of(&test).await;
        // The largest frame allowed, of which 16 bytes come.
        raw.socket.write_all(b"\x00\xff\xff\xfc\x00\x00\x00\x10aaaaaaaa").await.unwrap();
        waiting.push(raw);
    }
    for announced in [0x7fff_ffff_u32, 0x8000_0000, 0xffff_ffff, 0x0100_0000, 0x00ff_fffd, 3] {
        let mut raw = broker_of(&test).await;
        raw.socket.write_all(&[&announced.to_be_bytes()[..], &[0; 8]].concat()).await.unwrap();
        assert!(raw.read().await.is_none(), "{announced:x}");
    }
    check_alive(&test).await;
    for raw in &waiting {
        assert!(raw.socket.try_read(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
}

#[tokio::test]
async fn requests_without_end_are_held_back_by_their_answers() {
    let test = start(with_topic(Release::V5)).await;
    let mut flood = broker_of(&test).await;
    let mut command = plain(26, &[]);
    command.opaque = 7;
    let bytes = frame::encode(&command, Codec::Json).unwrap().repeat(100);
    // Nobody reads the answers: at some point no more is taken.
    let stuck = async {
        loop {
            flood.socket.write_all(&bytes).await.unwrap();
        }
    };
    let settled = async {
        let mut taken = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let seen = test.requests().unwrap().len();
            if seen == taken && seen > 0 {
                break seen;
            }
            taken = seen;
        }
    };
    let taken = tokio::select! {
        taken = settled => taken,
        () = stuck => 0,
    };
    assert!(taken < 50_000, "{taken} were taken");
    let mut other = broker_of(&test).await;
    assert_eq!(other.call(plain(38, &[("consumerGroup", "nobody")])).await.code, 1);
}

/// It once kept 1 024 of them.
#[tokio::test]
async fn large_answers_that_nobody_reads_are_few() {
    const LARGE: usize = 4_000_000;
    let test = start(with_topic(Release::V5)).await;
    let mut greedy = broker_of(&test).await;
    let message = SendMessage { body: Bytes::from(vec![b'x'; LARGE]), ..send("t", 0, b"", "") };
    assert_eq!(greedy.call(message.command()).await.code, 0);
    let found = |answer: Command| answer.code == 0 && answer.body.len() > LARGE;
    while !found(greedy.call(pull(0, 0, "*").command()).await) {}
    for _ in 0..100 {
        greedy.write(pull(0, 0, "*").command(), Codec::Json).await;
    }
    let waiting = || test.shared.lock().broker(0).connections.values().map(|known| known.out.waiting()).sum::<usize>();
    let mut most = 0;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        most = most.max(waiting());
    }
    assert!(most <= 2, "{most} answers of 4 MB wait");
    let mut other = broker_of(&test).await;
    assert_eq!(other.call(plain(38, &[("consumerGroup", "nobody")])).await.code, 1);
    for _ in 0..100 {
        assert!(found(greedy.read().await.expect("every answer comes when it is read").0));
    }
}

#[tokio::test]
async fn a_topic_of_many_queues_takes_memory_for_none_of_them() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        for name in ["many-a", "many-b"] {
            let fields = [("topic", name), ("readQueueNums", "65536"), ("writeQueueNums", "65536"), ("perm", "6")];
            let fields =
                [&fields[..], &[("defaultTopic", "TBW102"), ("topicFilterType", "SINGLE_TAG"), ("order", "false")]]
                    .concat();
            assert_eq!(raw.call(plain(17, &fields)).await.code, 0);
        }
        assert_eq!(raw.call(send("many-a", 65_000, b"x", "").command()).await.code, 0);
        let state = test.shared.lock();
        let used = |topic: &str| state.brokers[0].topics[topic].used().count();
        assert_eq!((used("many-a"), used("many-b")), (1, 0), "{release:?}");
    }
}
