//! From a request's code to its handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::membership;
use super::name_server;
use super::pull;
use super::queue_offsets;
use super::relay;
use super::reply::{Answer, Reply};
use super::retry;
use super::send;
use crate::admin::accounts;
use crate::admin::changes;
use crate::admin::reset;
use crate::admin::statistics;
use crate::faults::request_names::{LITE_PULL, is_send};
use crate::faults::rules::Verdict;
use crate::protocol::Command;
use crate::protocol::code::{request, response};
use crate::state::cluster::{Shared, State};

/// How long a send waits for the store before it is refused; scaled.
const WAIT_IN_QUEUE_MS: i64 = 200;
/// Newer clients are sent away by a leaving broker: 5.3.1.
const GOES_AWAY: i32 = 475;

/// Answers one request to the name server.
pub(crate) fn to_name_server(shared: &Shared, command: &Command) -> Answer {
    name_server::answer(&mut shared.lock(), command)
}

/// Answers one request to a broker.
pub(crate) fn to_broker(
    shared: &Arc<Shared>,
    index: usize,
    (connection, from): (u64, SocketAddr),
    command: &Command,
    verdict: &Verdict,
) -> Answer {
    let mut state = shared.lock();
    let broker = state.broker(index);
    if broker.leaving && command.version > GOES_AWAY {
        return Answer::Now(relay::go_away());
    }
    if let Err(refusal) = state.accounts.check(state.release, command) {
        return Answer::Now(refusal);
    }
    if is_send(command.code) {
        return queue_send(shared, &mut state, index, from, command, verdict);
    }
    match command.code {
        request::PULL_MESSAGE => return pull::pull(shared, &mut state, index, command),
        LITE_PULL if state.release.is_v5() => return pull::pull(shared, &mut state, index, command),
        request::GET_CONSUMER_RUNNING_INFO | request::CONSUME_MESSAGE_DIRECTLY => {
            return relay::to_client(&mut state, index, command);
        }
        223 => return relay::consumer_status(&mut state, index, command),
        _ => {}
    }
    Answer::Now(at_once(shared, &mut state, index, connection, command).unwrap_or_else(|refusal| refusal))
}

fn at_once(
    shared: &Arc<Shared>,
    state: &mut State,
    index: usize,
    connection: u64,
    command: &Command,
) -> Result<Reply, Reply> {
    let newer = state.release.is_v5();
    match command.code {
        request::HEART_BEAT => membership::heartbeat(shared, state, index, connection, command),
        request::UNREGISTER_CLIENT => Ok(membership::unregister(shared, state, index, connection, command)),
        request::GET_CONSUMER_LIST_BY_GROUP => membership::list(state, index, command),
        request::CHECK_CLIENT_CONFIG => membership::check_config(state, index, command),
        request::LOCK_BATCH_MQ => membership::lock(shared, state, index, command),
        request::UNLOCK_BATCH_MQ => membership::unlock(shared, state, index, command),
        request::QUERY_CONSUMER_OFFSET => queue_offsets::query(state, index, command),
        request::UPDATE_CONSUMER_OFFSET => queue_offsets::commit(shared, state, index, command),
        request::SEARCH_OFFSET_BY_TIMESTAMP => queue_offsets::search(state, index, command),
        request::GET_MAX_OFFSET => queue_offsets::max(state, index, command),
        request::GET_MIN_OFFSET => queue_offsets::min(state, index, command),
        32 => queue_offsets::earliest(state, index, command),
        36 => retry::send_back(shared, state, index, command),
        12 => statistics::query(state, index, command),
        17 => changes::create_topic(state, index, command),
        18 if newer => changes::create_topics(state, index, command),
        21 => Ok(changes::topics(state, index)),
        25 => changes::update_config(state, index, command),
        26 => Ok(changes::config(state, index)),
        28 => Ok(statistics::runtime_info(state, index)),
        33 => statistics::view(state, index, command),
        50 if !newer => accounts::update_acl(state, command),
        200 => changes::create_group(state, index, command),
        201 => Ok(changes::groups(state, index)),
        202 => statistics::topic_stats(state, index, command),
        203 => statistics::consumer_connections(state, index, command),
        204 => statistics::producer_connections(state, index, command),
        207 => changes::delete_group(state, index, command),
        208 => statistics::consume_stats(state, index, command),
        215 => changes::delete_topic(state, index, command),
        222 => reset::reset_offset(shared, state, index, command),
        300 => statistics::groups_of_topic(state, index, command),
        343 if newer => statistics::topics_of_group(state, index, command),
        351 if newer => changes::topic(state, index, command),
        352 if newer => changes::group(state, index, command),
        3001 if newer => accounts::create_user(state, command),
        3006 if newer => accounts::create_acl(state, command),
        code => Err(Reply::refuse(response::REQUEST_CODE_NOT_SUPPORTED, format!(" request type {code} not supported"))),
    }
}

/// Sends go through the store one after the other. While it stands still they wait, and are refused when they wait too long.
fn queue_send(
    shared: &Arc<Shared>,
    state: &mut State,
    index: usize,
    from: SocketAddr,
    command: &Command,
    verdict: &Verdict,
) -> Answer {
    let broker = state.broker(index);
    let store = Arc::clone(&broker.store);
    // Taken now, so that what comes next finds it taken.
    let turn = Arc::clone(&store).try_lock_owned().ok();
    if turn.is_some() && verdict.stall_ms == 0 {
        return Answer::Now(send::send(shared, state, index, from, command));
    }
    let wait = broker.number("waitTimeMillsInSendQueue").unwrap_or(WAIT_IN_QUEUE_MS);
    let patience = shared.scaled(Duration::from_millis(u64::try_from(wait).unwrap_or(0)));
    let stall = Duration::from_millis(verdict.stall_ms);
    let (shared, command) = (Arc::clone(shared), command.clone());
    let reply = async move {
        let turn = match turn {
            Some(turn) => Ok(turn),
            None => tokio::time::timeout(patience, store.lock_owned()).await,
        };
        let Ok(turn) = turn else {
            let remark =
                format!("[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: {wait}ms");
            return Reply::refuse(response::SYSTEM_BUSY, remark);
        };
        tokio::time::sleep(stall).await;
        let reply = send::send(&shared, &mut shared.lock(), index, from, &command);
        drop(turn);
        reply
    };
    Answer::Later { reply: Box::pin(reply), json: false }
}
