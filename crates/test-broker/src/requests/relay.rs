//! Questions that a broker passes on to a client: 307, 309, 221 (asked with 223), and the push of a reset.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::json;
use tokio::sync::oneshot;

use super::bodies;
use super::reply::{Answer, Reply, text};
use crate::admin::changes::by_queue;
use crate::protocol::code::{request, response};
use crate::protocol::{Command, Fields, MessageQueue, OffsetId};
use crate::state::broker::Broker;
use crate::state::cluster::{Shared, State};

/// How long a broker waits for the client; not scaled, since the client's time is real.
const PATIENCE: Duration = Duration::from_secs(10);
/// The client did not answer in time.
const CONSUME_MSG_TIMEOUT: i32 = 207;
/// Nobody of the group is there.
const CONSUMER_NOT_ONLINE: i32 = 206;

/// Asks a client; the receiver ends without an answer when the connection does.
fn ask(broker: &mut Broker, connection: u64, code: i32, fields: Fields, body: Bytes) -> oneshot::Receiver<Command> {
    let command = broker.own_request(code, fields, body);
    let (sender, receiver) = oneshot::channel();
    if let Some(known) = broker.connections.get_mut(&connection) {
        known.asked.retain(|_, waiting| !waiting.is_closed());
        known.asked.insert(command.opaque, sender);
    }
    broker.push(connection, &command);
    receiver
}

/// 307 and 309: to one client of a group, whose answer is passed on as it is.
pub(crate) fn to_client(state: &mut State, index: usize, command: &Command) -> Answer {
    match forward(state, index, command) {
        Ok(answer) => answer,
        Err(refusal) => Answer::Now(refusal),
    }
}

fn forward(state: &mut State, index: usize, command: &Command) -> Result<Answer, Reply> {
    let (group, client_id) = (text(command, "consumerGroup")?.to_owned(), text(command, "clientId")?.to_owned());
    let connection = state.connection_of(index, &group, &client_id);
    let connection =
        connection.ok_or_else(|| Reply::error(format!("The Consumer <{group}> <{client_id}> not online")))?;
    let mut fields: Fields = command
        .fields
        .iter()
        .filter(|(name, _)| !matches!(*name, "AccessKey" | "Signature" | "SecurityToken" | "OnsChannel"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let broker = state.broker(index);
    let mut body = command.body.clone();
    if command.code == request::CONSUME_MESSAGE_DIRECTLY {
        let id = text(command, "msgId")?;
        let offset = id.parse::<OffsetId>().map_err(|_| Reply::error(format!("illegal message id {id}")))?.offset;
        let message = broker.message_at(offset).ok_or_else(|| Reply::error(format!("no message {id}")))?;
        let mut bytes = BytesMut::with_capacity(message.len());
        message.encode(&mut bytes);
        body = bytes.freeze();
        // Whatever the administrator says.
        fields.take("brokerName");
        fields.push("brokerName", broker.name.as_str());
        if broker.release.is_v5() {
            fields.push("groupSysFlag", "0");
            fields.push("topicSysFlag", "0");
        }
    }
    let answer = ask(broker, connection, command.code, fields, body);
    let reply = async move {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(command)) => Reply {
                code: command.code,
                remark: command.remark,
                fields: command.fields,
                body: command.body,
                thrown: false,
            },
            Ok(Err(_)) => {
                Reply::error(format!("invoke consumer <{group}> <{client_id}> Exception: the connection has ended"))
            }
            Err(_) => Reply::refuse(CONSUME_MSG_TIMEOUT, format!("consumer <{group}> <{client_id}> Timeout")),
        }
    };
    Ok(Answer::Later { reply: Box::pin(reply), json: false })
}

/// 223: the offsets of the group's members, each asked with 221.
pub(crate) fn consumer_status(state: &mut State, index: usize, command: &Command) -> Answer {
    match ask_all(state, index, command) {
        Ok(answer) => answer,
        Err(refusal) => Answer::Now(refusal),
    }
}

fn ask_all(state: &mut State, index: usize, command: &Command) -> Result<Answer, Reply> {
    let (topic, group) = (text(command, "topic")?.to_owned(), text(command, "group")?.to_owned());
    let one = command.fields.get("clientAddr").unwrap_or_default().to_owned();
    let broker = state.broker(index);
    let known = broker.registrations.consumers.get(&group);
    let known =
        known.ok_or_else(|| Reply::error(format!("No Any Consumer online in the consumer group: [{group}]")))?;
    let members: Vec<_> = known
        .members
        .iter()
        .filter(|(_, member)| one.is_empty() || one == member.client_id)
        .map(|(connection, member)| (*connection, member.client_id.clone()))
        .collect();
    let mut asked = Vec::new();
    for (connection, client_id) in members {
        let fields = [("topic", topic.as_str()), ("group", group.as_str())].into_iter().collect();
        let code = request::GET_CONSUMER_STATUS_FROM_CLIENT;
        asked.push((client_id, ask(broker, connection, code, fields, Bytes::new())));
    }
    let reply = async move {
        let mut tables = Vec::new();
        for (client_id, answer) in asked {
            if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, answer).await {
                tables.push((client_id, bodies::offsets(&answer)));
            }
        }
        let tables: Vec<_> = tables
            .into_iter()
            .map(|(client_id, offsets)| {
                let offsets = by_queue(offsets.into_iter().map(|(queue, offset)| (queue, offset.into())));
                format!("{}:{offsets}", json!(client_id))
            })
            .collect();
        Reply::success().with_body(format!("{{\"consumerTable\":{{{}}},\"messageQueueTable\":{{}}}}", tables.join(",")))
    };
    Ok(Answer::Later { reply: Box::pin(reply), json: false })
}

/// Pushes a reset (220) to all members, as 4.9 does and 5.5 when it is told to. `names`: topic and group.
pub(crate) fn push_reset(
    state: &mut State,
    index: usize,
    names: (&str, &str),
    timestamp: i64,
    table: &[(MessageQueue, i64)],
    as_list: bool,
) -> Result<(), Reply> {
    let (topic, group) = names;
    let broker = state.broker(index);
    let known = broker.registrations.consumers.get(group);
    let known = known.ok_or_else(|| {
        let remark = format!(
            "Consumer not online, so can not reset offset, Group: {group} Topic: {topic} Timestamp: {timestamp}"
        );
        Reply::refuse(CONSUMER_NOT_ONLINE, remark)
    })?;
    let connections: Vec<_> = known.members.keys().copied().collect();
    let body = if as_list {
        let list: Vec<_> = table
            .iter()
            .map(|(queue, offset)| {
                json!({ "brokerName": queue.broker_name, "offset": offset, "queueId": queue.queue_id, "topic": queue.topic })
            })
            .collect();
        json!({ "offsetTable": list }).to_string()
    } else {
        let offsets = by_queue(table.iter().map(|(queue, offset)| (queue.clone(), (*offset).into())));
        format!("{{\"offsetTable\":{offsets}}}")
    };
    let body = Bytes::from(body);
    for connection in connections {
        let mut fields: Fields = [("topic", topic), ("group", group), ("isForce", "false")].into_iter().collect();
        fields.push_display("timestamp", timestamp);
        if broker.release.is_v5() {
            fields.push("queueId", "-1");
        }
        let notice = broker.notice(request::RESET_CONSUMER_CLIENT_OFFSET, fields, body.clone());
        broker.push(connection, &notice);
    }
    Ok(())
}

/// A client's answer to a question of ours.
pub(crate) fn answered(shared: &Arc<Shared>, index: usize, connection: u64, command: Command) {
    let mut state = shared.lock();
    let known = state.broker(index).connections.get_mut(&connection);
    if let Some(waiting) = known.and_then(|known| known.asked.remove(&command.opaque)) {
        let _ = waiting.send(command);
    }
}

/// Code of a request that a leaving 5.x broker does not execute.
pub(crate) fn go_away() -> Reply {
    Reply::refuse(response::GO_AWAY, "please go away")
}
