//! Histories in few words, for tests: a line each, `time-in-milliseconds client event …`.

use std::time::Duration;

use crate::event::{Answer, Ended, Event, Forgets, Hello, Line, Phase, Queue, Resets, Role, Settled, Why};

/// `q0` is `t@b:0`, `x.q1` is `t@x:1`.
fn queue(word: &str) -> Queue {
    let (broker, id) = word.split_once('.').unwrap_or(("b", word));
    Queue { topic: "t".into(), broker: broker.into(), id: id.strip_prefix('q').unwrap().parse().unwrap() }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

/// Of milliseconds.
fn micros(word: &str) -> u64 {
    Duration::from_secs_f64(number::<f64>(word) / 1_000.0).as_micros().try_into().unwrap()
}

fn phase(word: &str) -> Phase {
    match word {
        "sent" => Phase::Sent,
        "done" => Phase::Done,
        "unknown" => Phase::Unknown,
        other => panic!("{other:?} is no phase"),
    }
}

fn code(word: &str) -> String {
    format!("ERR_ROCKETMQ_{word}")
}

/// The word behind `name=`.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn hello(by: &str, words: &[&str]) -> Hello {
    let has = |flag: &str| words.contains(&flag);
    Hello {
        version: 1,
        role: match words[0] {
            "producer" => Role::Producer,
            "consumer" => Role::Consumer,
            _ => Role::Witness,
        },
        client: format!("{by}@1"),
        group: option(words, "group").unwrap_or("g").into(),
        boot: option(words, "boot").unwrap_or("boot").into(),
        wall: option(words, "wall").map_or(0, number),
        by_key: has("byKey"),
        broadcasting: has("broadcasting"),
        mixes_keys: has("mixesKeys"),
        as_user: has("asUser"),
    }
}

fn event(by: &str, t: u64, words: &[&str]) -> Event {
    let rest = &words[1..];
    let key = || option(rest, "key").map(Into::into);
    match words[0] {
        "hello" => Event::Hello(hello(by, rest)),
        "closed" => Event::Closed {},
        "route" => Event::Route { topic: "t".into(), queues: rest.iter().map(|word| queue(word)).collect() },
        "submit" => Event::Submit {
            send: number(rest[0]),
            topic: "t".into(),
            key: rest[1].into(),
            ids: rest[2].split(',').map(Into::into).collect(),
        },
        "wire" => Event::Wire {
            request: number(rest[0]),
            queue: queue(rest[1]),
            sends: rest[2].split(',').map(number).collect(),
        },
        "answer" => Event::Answer {
            request: number(rest[0]),
            outcome: match rest[1] {
                "stored" => Answer::Stored { offset: number(rest[2]) },
                "refused" => Answer::Refused { code: 2 },
                "unsent" => Answer::Unsent,
                _ => Answer::Unknown,
            },
        },
        "settle" => Event::Settle {
            send: number(rest[0]),
            outcome: match rest[1] {
                "stored" => Settled::Stored { queue: queue(rest[2]), offset: number(rest[3]) },
                "failed" => Settled::Failed { code: code(rest[2]) },
                _ => Settled::Unknown { code: code(rest[2]) },
            },
        },
        "heard" => Event::Heard { topic: "t".into(), key: rest[0].into() },
        "lock" => Event::Lock { queue: queue(rest[0]), asked: rest.get(1).map_or(t, |word| micros(word)) },
        "renewed" => Event::Renewed { queue: queue(rest[0]), asked: rest.get(1).map_or(t, |word| micros(word)) },
        "lost" => Event::Lost { queue: queue(rest[0]), why: rest[1].into() },
        "revoked" => Event::Revoked { queue: queue(rest[0]) },
        "unlock" => Event::Unlock { queue: queue(rest[0]), phase: phase(rest[1]) },
        "position" => Event::Position {
            queue: queue(rest[0]),
            offset: number(rest[1]),
            why: match rest.get(2).copied().unwrap_or("committed") {
                "committed" => Why::Committed,
                "initial" => Why::Initial,
                "memory" => Why::Memory,
                "reset" => Why::Reset,
                "seek" => Why::Seek,
                _ => Why::Correction,
            },
        },
        "start" => {
            let (offset, last) = rest[1].split_once("..").unwrap_or((rest[1], rest[1]));
            let attempt = option(rest, "attempt").map_or(1, number);
            Event::Start { queue: queue(rest[0]), offset: number(offset), last: number(last), key: key(), attempt }
        }
        "end" => Event::End {
            queue: queue(rest[0]),
            offset: number(rest[1]),
            outcome: match rest.get(2).copied() {
                Some("failure") => Ended::Failure,
                Some("left") => Ended::Left,
                _ => Ended::Success,
            },
            counted: !rest.contains(&"void"),
        },
        "passed" => Event::Passed { queue: queue(rest[0]), offset: number(rest[1]) },
        "skipped" => {
            Event::Skipped { queue: queue(rest[0]), from: number(rest[1]), to: number(rest[2]), why: "filtered".into() }
        }
        "commit" => Event::Commit { queue: queue(rest[0]), offset: number(rest[1]), phase: phase(rest[2]) },
        "dead" => Event::DeadLetter { queue: queue(rest[0]), offset: number(rest[1]), phase: phase(rest[2]) },
        "stored" => Event::Stored {
            queue: queue(rest[0]),
            offset: number(rest[1]),
            id: rest[2].into(),
            key: rest.get(3).copied().filter(|word| *word != "-").unwrap_or_default().into(),
            matched: !rest.contains(&"unmatched"),
        },
        "committed" => Event::Committed {
            group: option(rest, "group").unwrap_or("g").into(),
            queue: queue(rest[0]),
            offset: number(rest[1]),
        },
        "fault" => Event::Fault {
            what: rest[0].into(),
            whom: option(rest, "whom").map(|names| names.split(',').map(Into::into).collect()).unwrap_or_default(),
            forgets: Forgets { locks: rest.contains(&"locks"), commits: option(rest, "commits").map_or(0, number) },
            resets: option(rest, "resets")
                .and_then(|whose| whose.split_once('/'))
                .map(|(group, topic)| Resets { group: group.into(), topic: topic.into() }),
            lasts: option(rest, "lasts").map_or(0, micros),
        },
        other => panic!("{other:?} is no event"),
    }
}

/// The lines of a text; what stands behind `#` is for its reader.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let said = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    said.filter(|line| !line.is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let t = micros(words[0]);
            Line { t, by: words[1].into(), event: event(words[1], t, &words[2..]) }
        })
        .collect()
}
