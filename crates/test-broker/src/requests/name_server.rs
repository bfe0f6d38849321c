//! The name server: routes, the order of topics, and what its administrators ask.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::reply::{Answer, Reply, flag, text};
use crate::env;
use crate::protocol::code::{request, response};
use crate::protocol::{Command, json as tolerant};
use crate::state::broker::Broker;
use crate::state::cluster::State;
use crate::state::names::CLUSTER;
use crate::state::registry::ORDER_NAMESPACE;

/// First version that gets standard JSON: 4.9.4.
const STANDARD_JSON: i32 = 401;

/// The brokers that are registered now.
fn registered(state: &State) -> impl Iterator<Item = &Broker> {
    let now = env::now();
    let is_known = move |broker: &&Broker| {
        broker.route_until.is_none_or(|until| until > now) && broker.registers_at.is_none_or(|at| at <= now)
    };
    state.brokers.iter().filter(is_known)
}

/// Answers one request.
pub(crate) fn answer(state: &mut State, command: &Command) -> Answer {
    let reply = match command.code {
        request::GET_ROUTEINFO_BY_TOPIC => route(state, command),
        106 => Ok(cluster_info(state)),
        100 => put_value(state, command),
        101 => get_value(state, command),
        102 => delete_value(state, command),
        205 => wipe(state, command, true),
        327 => wipe(state, command, false),
        206 | 224 => Ok(topic_list(state)),
        216 => Ok(delete_topic(state, command)),
        318 => update_config(state, command),
        319 => Ok(Reply::success().with_body(properties_text(&state.name_server.config))),
        code if state.release.is_v5() => {
            Ok(Reply::refuse(response::REQUEST_CODE_NOT_SUPPORTED, format!(" request type {code} not supported")))
        }
        // 4.9 throws it away.
        _ => return Answer::Silent,
    };
    Answer::Now(reply.unwrap_or_else(|refusal| refusal))
}

fn route(state: &State, command: &Command) -> Result<Reply, Reply> {
    let topic = command.fields.get("topic").unwrap_or_default();
    let known = match &state.name_server.stale {
        Some(kept) => kept.get(topic).cloned(),
        None => route_of(state, topic),
    };
    let Some(body) = known else {
        let remark = format!(
            "No topic route info in name server for the topic: {topic}\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
        );
        return Err(Reply::refuse(response::TOPIC_NOT_EXIST, remark));
    };
    let standard = command.version >= STANDARD_JSON || flag(command, "acceptStandardJsonOnly");
    let body = tolerant::to_bytes(&body);
    Ok(Reply::success().with_body(if standard { body } else { bare_ids(&body) }))
}

/// The route of every topic, as it is now.
pub(crate) fn all_routes(state: &State) -> BTreeMap<String, Value> {
    let topics: BTreeSet<&String> = state.brokers.iter().flat_map(|broker| broker.topics.keys()).collect();
    topics.into_iter().filter_map(|topic| Some((topic.clone(), route_of(state, topic)?))).collect()
}

fn route_of(state: &State, topic: &str) -> Option<Value> {
    let server = &state.name_server;
    let brokers: Vec<_> =
        registered(state).filter(|broker| broker.shows(topic) && !server.deleted.contains(topic)).collect();
    if brokers.is_empty() {
        return None;
    }
    let queues: Vec<Value> = brokers
        .iter()
        .filter_map(|broker| broker.topics.get(topic).map(|known| (broker, &known.config)))
        .map(|(broker, config)| {
            json!({
                "brokerName": broker.name, "perm": server.perm(broker, config.perm), "readQueueNums": config.read_queues,
                "topicSysFlag": config.sys_flag, "writeQueueNums": config.write_queues,
            })
        })
        .collect();
    let mut body = json!({
        "brokerDatas": brokers.iter().map(|broker| broker_data(state, broker)).collect::<Vec<_>>(),
        "filterServerTable": {},
        "queueDatas": queues,
    });
    if let Some(conf) = server.order_conf(topic) {
        body["orderTopicConf"] = conf.into();
    }
    Some(body)
}

fn broker_data(state: &State, broker: &Broker) -> Value {
    let mut data = json!({
        "brokerAddrs": { "0": broker.address.to_string() }, "brokerName": broker.name, "cluster": CLUSTER,
    });
    if state.release.is_v5() {
        data["enableActingMaster"] = false.into();
    }
    data
}

/// fastjson's own form: broker ids without quotes.
fn bare_ids(body: &[u8]) -> bytes::Bytes {
    String::from_utf8_lossy(body).replace("\"brokerAddrs\":{\"0\":", "\"brokerAddrs\":{0:").into()
}

fn cluster_info(state: &State) -> Reply {
    let brokers: BTreeMap<_, _> =
        registered(state).map(|broker| (broker.name.as_str(), broker_data(state, broker))).collect();
    let names: Vec<_> = brokers.keys().collect();
    let body = tolerant::to_bytes(&json!({ "brokerAddrTable": brokers, "clusterAddrTable": { CLUSTER: names } }));
    Reply::success().with_body(bare_ids(&body))
}

fn topic_list(state: &State) -> Reply {
    let server = &state.name_server;
    let topics: BTreeSet<_> = registered(state)
        .flat_map(|broker| broker.topics.keys().filter(|topic| broker.shows(topic)))
        .filter(|topic| !server.deleted.contains(*topic))
        .collect();
    Reply::success().with_body(tolerant::to_bytes(&json!({ "topicList": topics })))
}

fn put_value(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let key = (text(command, "namespace")?.to_owned(), text(command, "key")?.to_owned());
    let value = text(command, "value")?.to_owned();
    if key.0 == ORDER_NAMESPACE {
        // Brokers hear of it when they register the next time.
        let topics = state.brokers.iter_mut().filter_map(|broker| broker.topics.get_mut(&key.1));
        topics.for_each(|topic| topic.config.order = true);
    }
    state.name_server.values.insert(key, value);
    Ok(Reply::success())
}

fn get_value(state: &State, command: &Command) -> Result<Reply, Reply> {
    let field = |name| command.fields.get(name).unwrap_or("null").to_owned();
    let key = (field("namespace"), field("key"));
    match state.name_server.values.get(&key) {
        Some(value) => Ok(Reply::success().with("value", value)),
        None => Err(Reply::refuse(
            response::QUERY_NOT_FOUND,
            format!("No config item, Namespace: {} Key: {}", key.0, key.1),
        )),
    }
}

fn delete_value(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let key = (text(command, "namespace")?.to_owned(), text(command, "key")?.to_owned());
    state.name_server.values.remove(&key);
    Ok(Reply::success())
}

fn wipe(state: &mut State, command: &Command, wiped: bool) -> Result<Reply, Reply> {
    let name = text(command, "brokerName")?.to_owned();
    let broker = state.brokers.iter().find(|broker| broker.name == name);
    let topics = broker.map_or(0, |broker| broker.topics.keys().filter(|topic| broker.shows(topic)).count());
    if wiped {
        state.name_server.wiped.insert(name);
    } else {
        state.name_server.wiped.remove(&name);
    }
    Ok(Reply::success().with(if wiped { "wipeTopicCount" } else { "addTopicCount" }, topics))
}

fn delete_topic(state: &mut State, command: &Command) -> Reply {
    if let Some(topic) = command.fields.get("topic") {
        state.name_server.deleted.insert(topic.to_owned());
    }
    Reply::success()
}

fn update_config(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let body = std::str::from_utf8(&command.body).map_err(|_| Reply::error("string2Properties error"))?;
    state.name_server.config.extend(read_properties(body));
    Ok(Reply::success())
}

/// `name=value` lines.
pub(crate) fn read_properties(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
}

/// The same, written.
pub(crate) fn properties_text(properties: &BTreeMap<String, String>) -> String {
    let lines: Vec<_> = properties.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.concat()
}
