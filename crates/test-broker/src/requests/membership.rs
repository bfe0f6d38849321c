//! 34, 35, 38, 46, 41 and 42: members of groups, what they want, and their locks.

use serde::Serialize;
use serde_json::{Value, json};

use super::bodies::{self, Locking};
use super::reply::{Reply, text};
use crate::env;
use crate::groups::locks;
use crate::groups::registrations::{Filter, Member};
use crate::protocol::code::response;
use crate::protocol::{Command, MessageQueue, json as tolerant};
use crate::state::cluster::{Shared, State};
use crate::state::names::is_name;

fn unreadable(error: &str) -> Reply {
    Reply::thrown(format!("com.alibaba.fastjson: {error}"))
}

fn body(command: &Command) -> Result<Value, Reply> {
    let body = bodies::value(command).map_err(|error| unreadable(&error))?;
    if body.is_object() { Ok(body) } else { Err(Reply::thrown("java.lang.NullPointerException")) }
}

fn string<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// 34: registers the connection's groups.
pub(crate) fn heartbeat(
    shared: &Shared,
    state: &mut State,
    index: usize,
    connection: u64,
    command: &Command,
) -> Result<Reply, Reply> {
    let body = body(command)?;
    let release = state.release;
    let client_id = string(&body, "clientID").to_owned();
    let broker = state.broker(index);
    let Some(known) = broker.connections.get_mut(&connection) else {
        return Err(Reply::error("the connection has ended"));
    };
    known.client_id = Some(client_id.clone());
    known.last_heartbeat = Some(env::now());
    let address = known.address;
    let member = Member { client_id, language: command.language.name(), version: command.version, address };
    let list = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut topics = Vec::new();
    for data in list("consumerDataSet") {
        let group = string(&data, "groupName").to_owned();
        if broker.group(&group).is_none() {
            if release.is_v5() {
                continue;
            }
        } else if is_name(&group, 255) {
            broker.ensure_retry_topic(&group);
            topics.push(crate::protocol::namespace::retry_topic(&group));
        }
        if broker.registrations.consumer(connection, &member, &data, release) {
            broker.notify_members(&group);
        }
    }
    for data in list("producerDataSet") {
        let members = broker.registrations.producers.entry(string(&data, "groupName").to_owned()).or_default();
        // Whoever was first on a connection stays.
        members.entry(connection).or_insert_with(|| member.clone());
    }
    for topic in topics {
        state.name_server.register(&topic);
    }
    shared.change();
    let reply = Reply::success();
    Ok(if release.is_v5() {
        reply.with("IS_SUPPORT_HEART_BEAT_V2", "true").with("IS_SUB_CHANGE", "true")
    } else {
        reply
    })
}

/// 35: takes the connection out of its groups; locks stay.
pub(crate) fn unregister(
    shared: &Shared,
    state: &mut State,
    index: usize,
    connection: u64,
    command: &Command,
) -> Reply {
    // By its connection: the client id is not looked at.
    let broker = state.broker(index);
    if let Some(group) = command.fields.get("producerGroup") {
        broker.registrations.leave_producers(connection, group);
    }
    if let Some(group) = command.fields.get("consumerGroup")
        && broker.registrations.leave(connection, group)
    {
        broker.notify_members(group);
    }
    shared.change();
    Reply::success()
}

/// 38: the members that this broker sees, once per connection.
pub(crate) fn list(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let group = text(command, "consumerGroup")?;
    let known = state.broker(index).registrations.consumers.get(group);
    let known = known.ok_or_else(|| Reply::error(format!("no consumer for this group, {group}")))?;
    Ok(Reply::success().with_body(tolerant::to_bytes(&json!({ "consumerIdList": known.client_ids() }))))
}

/// 46: whether an expression can be read.
pub(crate) fn check_config(state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    if state.release.is_v5() && command.body.is_empty() {
        return Ok(Reply::success());
    }
    let body = body(command)?;
    let Some(data) = body.get("subscriptionData").filter(|data| data.is_object()) else { return Ok(Reply::success()) };
    let (kind, expression) = (string(data, "expressionType"), string(data, "subString"));
    if matches!(kind, "TAG" | "") {
        return Ok(Reply::success());
    }
    if !state.broker(index).is_set("enablePropertyFilter") {
        return Err(Reply::error(format!("The broker does not support consumer to filter message by {kind}")));
    }
    match Filter::of(kind, expression, state.release) {
        Ok(_) => Ok(Reply::success()),
        Err(problem) => Err(Reply::refuse(response::SUBSCRIPTION_PARSE_FAILED, problem)),
    }
}

/// The body of 41 and 42: client, group, queues.
fn lock_body(command: &Command) -> Result<(String, String, Vec<MessageQueue>), Reply> {
    let locking = Locking::of(command).map_err(|error| unreadable(&error))?;
    let locking = locking.ok_or_else(|| Reply::thrown("java.lang.NullPointerException"))?;
    locking.parts().map_err(|error| unreadable(&error))
}

/// The answer to 41.
#[derive(Serialize)]
struct Granted {
    #[serde(rename = "lockOKMQSet")]
    queues: Vec<MessageQueue>,
}

/// 41: locks or renews; the answer is what the client holds now.
pub(crate) fn lock(shared: &Shared, state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let (client_id, group, queues) = lock_body(command)?;
    let life = shared.scaled(locks::LIFE);
    let granted = state.broker(index).locks.lock(&group, &client_id, &queues, env::now(), life);
    shared.change();
    Ok(Reply::success().with_body(tolerant::to_bytes(&Granted { queues: granted })))
}

/// 42: unlocks the client's own.
pub(crate) fn unlock(shared: &Shared, state: &mut State, index: usize, command: &Command) -> Result<Reply, Reply> {
    let (client_id, group, queues) = lock_body(command)?;
    state.broker(index).locks.unlock(&group, &client_id, &queues);
    shared.change();
    Ok(Reply::success())
}
