//! Every input of the corpus, and some that are large, through its target: nothing panics, and memory stays within its bound.

use std::fs;
use std::path::PathBuf;

use rocketmq_bad_input::counting::{Counting, Peak};
use rocketmq_bad_input::{TARGETS, target};
use rocketmq_protocol::TopicRoute;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(clippy::disallowed_methods, reason = "nobody waits for anything else here")]
fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths.map(|path| (path.clone(), fs::read(path).expect("the input can be read"))).collect()
}

#[test]
fn every_input_of_the_corpus_is_read_in_bounded_memory() {
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(inputs.len() >= 3, "{}: {} inputs", target.name, inputs.len());
        for (path, input) in inputs {
            let caught = std::panic::catch_unwind(|| target.check(&input));
            assert!(caught.is_ok(), "{}", path.display());
        }
    }
}

/// So much of each.
const LARGE: usize = 256 * 1024;

/// What takes the most memory for its size, as far as is known: a beginning, what comes again and again, an end.
const DENSE: [(&str, [&str; 3]); 16] = [
    ("json_header", [r#"{"code":1,"extFields":{"#, r#""":"","#, r#""":""}}"#]),
    ("binary_header", ["", "\0", ""]),
    ("properties", ["", "a\u{1}b\u{2}", ""]),
    ("routes", [r#"{"queueDatas":["#, r#"{"brokerName":""},"#, r#"{"brokerName":""}]}"#]),
    ("routes", [r#"{"brokerDatas":[{"brokerName":"","brokerAddrs":{"#, r#"1:"","#, r#"2:""}}]}"#]),
    // What is skipped, in both forms of a key.
    ("routes", [r#"{"x":["#, "[],", "[]]}"]),
    ("routes", [r#"{"x":["#, "{0:1},", "[]]}"]),
    ("locks", [r#"{"lockOKMQSet":["#, r#"{"brokerName":"","queueId":0,"topic":""},"#, "null]}"]),
    ("members", [r#"{"consumerIdList":["#, r#""","#, r#"""]}"#]),
    ("members", [r#"{"subscriptionSet":["#, r#"{"topic":""},"#, r#"{"topic":""}]}"#]),
    ("members", [r#"{"subscriptionTable":{"#, r#""":{"topic":""},"#, r#""":{"topic":""}}}"#]),
    ("members", [r#"{"clusterAddrTable":{"#, r#""":[1],"#, r#""":[]}}"#]),
    ("offsets", [r#"{"offsetTable":["#, r#"{"brokerName":"","queueId":0,"topic":"","offset":0},"#, "null]}"]),
    (
        "offsets",
        [
            r#"{"offsetTable":{"#,
            r#"{"brokerName":"","queueId":0,"topic":""}:1,"#,
            r#"{"brokerName":"","queueId":0,"topic":""}:1}}"#,
        ],
    ),
    ("subscriptions", ["", "a||", ""]),
    ("messages", ["", "\0\0\0\u{8}xxxx", ""]),
];

#[test]
fn what_is_densest_is_read_in_bounded_memory() {
    for (name, [before, again, after]) in DENSE {
        let count = (LARGE - before.len() - after.len()) / again.len();
        target(name).check([before, &again.repeat(count), after].concat().as_bytes());
    }
}

/// It once took 1.5 GB.
#[test]
fn a_route_of_a_whole_frame_takes_little_more_than_itself() {
    let queues =
        r#"{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4},"#.repeat(4_095);
    let broker = r#"{"brokerAddrs":{0:"127.0.0.1:10911"},"brokerName":"broker-a","cluster":"C"}"#;
    let unknown = r#"{"a":[1,{"b":null}]},"#.repeat(700_000);
    let body =
        format!(r#"{{"x":[{unknown}{{}}],"queueDatas":[{queues}{{"brokerName":"b"}}],"brokerDatas":[{broker}]}}"#);
    assert!((14_000_000..16_777_000).contains(&body.len()), "{}", body.len());
    let peak = Peak::begin();
    let route = TopicRoute::parse(body.as_bytes()).unwrap();
    let peak = peak.end();
    assert_eq!((route.queue_datas.len(), route.master_of("broker-a")), (4_096, Some("127.0.0.1:10911")));
    assert!(peak < 3 * body.len(), "{peak} bytes for {}", body.len());
}
