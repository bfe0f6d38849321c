//! 50, 3001 and 3006: accounts made by request.

use serde_json::Value;

use super::changes::json_body;
use crate::access::rights::Right;
use crate::protocol::Command;
use crate::protocol::code::response;
use crate::requests::reply::{Reply, flag, text};
use crate::state::cluster::State;

/// 50: makes an account of 4.9, or changes it; its rights come with it.
pub(crate) fn update_acl(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let (name, secret) = (text(command, "accessKey")?, text(command, "secretKey")?);
    if name.len() <= 6 || secret.len() <= 6 {
        return Err(Reply::error("The accessKey or secretKey's length should be bigger than 6"));
    }
    state.accounts.create(name, secret);
    let action = |action: &str| match action {
        "PUB" => Some("Pub".to_owned()),
        "SUB" => Some("Sub".to_owned()),
        _ => None,
    };
    let mut rights = Vec::new();
    for (kind, default, own) in
        [("Topic", "defaultTopicPerm", "topicPerms"), ("Group", "defaultGroupPerm", "groupPerms")]
    {
        let field = |name: &str| command.fields.get(name).unwrap_or_default();
        let own = field(own).split(',').filter_map(|entry| entry.split_once('='));
        for (resource, perm) in own.chain([("*", field(default))]) {
            let actions = perm.split('|').map(str::trim).filter_map(action).collect();
            rights.push(Right { resource: format!("{kind}:{resource}"), actions });
        }
    }
    state.accounts.grant(name, rights);
    if flag(command, "admin") {
        state.accounts.promote(name);
    }
    Ok(Reply::success())
}

/// 3001: makes an account of 5.x.
pub(crate) fn create_user(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let body = json_body(command)?;
    let string = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = command.fields.get("username").unwrap_or_else(|| string("username"));
    if name.is_empty() || string("password").is_empty() {
        return Err(Reply::refuse(response::INVALID_PARAMETER, "The username and password are required"));
    }
    state.accounts.create(name, string("password"));
    Ok(Reply::success())
}

/// 3006: gives an account of 5.x its rights.
pub(crate) fn create_acl(state: &mut State, command: &Command) -> Result<Reply, Reply> {
    let body = json_body(command)?;
    let subject = command.fields.get("subject").unwrap_or_default().trim_start_matches("User:");
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let entries = list(&body, "policies").iter().flat_map(|policy| list(policy, "entries")).collect::<Vec<_>>();
    let rights = entries
        .iter()
        .filter(|entry| entry.get("decision").and_then(Value::as_str) == Some("Allow"))
        .map(|entry| Right {
            resource: entry.get("resource").and_then(Value::as_str).unwrap_or_default().to_owned(),
            actions: list(entry, "actions").iter().filter_map(|action| action.as_str().map(str::to_owned)).collect(),
        })
        .collect();
    if state.accounts.grant(subject, rights) {
        Ok(Reply::success())
    } else {
        Err(Reply::error(format!("The subject of User:{subject} is not exist.")))
    }
}
