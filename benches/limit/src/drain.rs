//! W4: every queue has one pull under way, and nobody looks at what comes.

use rocketmq_protocol::subscription::ExpressionKind;
use rocketmq_protocol::{Pull, Request};
use serde_json::{Value, json};

use crate::Failure;
use crate::given::Given;
use crate::send::{GROUP, frame_of};
use crate::timing::Timing;
use crate::wire::Connection;

/// Most messages that a broker gives for one pull.
const MOST: i32 = 32;

/// A pull that is answered at once.
pub(crate) fn pull(given: &Given, queue_id: i32, queue_offset: i64) -> Result<Pull, Failure> {
    Ok(Pull {
        group: GROUP.into(),
        topic: given.text("topic")?.into(),
        broker_name: given.text("brokerName")?.into(),
        queue_id,
        queue_offset,
        max_messages: MOST,
        suspend_ms: 0,
        sub_version: 0,
        kind: ExpressionKind::Tag,
        expression: Some("*".into()),
    })
}

pub(crate) fn drain(given: &Given) -> Result<Value, Failure> {
    let mut connection = Connection::open(given.text("broker")?)?;
    let queues: i32 = given.number("queues")?;
    let time = given.time()?;
    // An answer tells its queue by its correlation id, which has one place for each.
    let mut waiting = std::collections::HashMap::new();
    let ask = |connection: &mut Connection, queue: i32, offset: i64| -> Result<_, Failure> {
        let frame = frame_of(&pull(given, queue, offset)?, connection)?;
        Ok((frame, (queue, offset)))
    };
    let (mut pulled, mut pulls) = (0, 0);
    let timing = Timing::start()?;
    for queue in 0..queues {
        let (frame, place) = ask(&mut connection, queue, 0)?;
        waiting.insert(connection.last_opaque(), place);
        connection.write(&frame)?;
    }
    while !waiting.is_empty() {
        let answer = connection.read()?;
        let (queue, offset) = waiting.remove(&answer.opaque).ok_or("an answer to no pull")?;
        let answer = Pull::decode(answer)?;
        pulled += answer.next_offset - offset;
        pulls += 1;
        if answer.next_offset < answer.max_offset && timing.elapsed() < time {
            let (frame, place) = ask(&mut connection, queue, answer.next_offset)?;
            waiting.insert(connection.last_opaque(), place);
            connection.write(&frame)?;
        }
    }
    let mut figures = timing.stop(usize::try_from(pulled)?)?;
    figures["perRequest"] = json!(pulled / pulls);
    Ok(figures)
}
