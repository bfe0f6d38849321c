//! The list of name servers: one is chosen and kept; when it fails, the next one takes over.

use super::Client;
use super::advice::Missing;
use super::call::CallError;
use crate::env::{self, JoinSet};
use crate::error::{ClientError, Code};
use crate::protocol::code::response::REQUEST_CODE_NOT_SUPPORTED;
use crate::protocol::namespace::RETRY_PREFIX;
use crate::protocol::{GetClusters, GetRoute, Request, TopicRoute};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long one name server may be silent before the next is asked as well.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a name server may take to tell which brokers it knows; some never answer that.
const INQUIRY: Duration = Duration::from_secs(1);

/// The addresses, and which one is in use.
#[derive(Debug)]
pub(super) struct NameServers {
    addresses: Vec<String>,
    chosen: AtomicUsize,
    /// The clusters that one of them has named last.
    clusters: Mutex<Vec<String>>,
    /// One has not told its clusters in time, and may never: it is not asked for them again.
    is_silent: AtomicBool,
}

impl NameServers {
    /// Begins at a random one, so that the clients of a fleet spread.
    pub(super) fn new(addresses: Vec<String>) -> Self {
        let first = env::random_u32() as usize % addresses.len().max(1);
        Self {
            addresses,
            chosen: AtomicUsize::new(first),
            clusters: Mutex::default(),
            is_silent: AtomicBool::new(false),
        }
    }

    fn remember(&self, clusters: Vec<String>) {
        *self.clusters.lock().unwrap_or_else(PoisonError::into_inner) = clusters;
    }

    /// The only cluster there is, as far as is known.
    pub(super) fn only_cluster(&self) -> Option<String> {
        match &**self.clusters.lock().unwrap_or_else(PoisonError::into_inner) {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    /// All of them, for messages to people.
    pub(super) fn list(&self) -> String {
        self.addresses.join(";")
    }
}

/// What name servers know of a topic.
#[derive(Debug)]
pub(super) enum Found {
    /// Where it is.
    Route(TopicRoute),
    /// Nothing; and what that means.
    Nothing(Missing),
}

/// Looks for a topic: its route, or what it means that there is none.
pub(super) async fn find(client: &Arc<Client>, topic: &str) -> Result<Found, ClientError> {
    match route(client, topic).await? {
        Ok(route) => Ok(Found::Route(route)),
        Err(unknown_to) => Ok(Found::Nothing(missing(client, topic, &unknown_to).await)),
    }
}

/// Whether any name server answers; the topic asked for need not exist.
pub(super) async fn reach(client: &Arc<Client>) -> Result<(), ClientError> {
    route(client, "TBW102").await.map(|_| ())
}

/// Asks for a route, each name server at most once, beginning with the chosen one; another one is asked when one fails, does not know
/// the topic, or is silent for a while. `Err` within: those that answer, by their numbers, do not know the topic.
///
/// Name servers do not talk to each other, and one that was just started knows nothing yet: the first route counts.
async fn route(client: &Arc<Client>, topic: &str) -> Result<Result<TopicRoute, Vec<usize>>, ClientError> {
    let servers = &client.name_servers;
    let (first, count) = (servers.chosen.load(Ordering::Relaxed), servers.addresses.len());
    let mut order = (0..count).map(|step| (first + step) % count);
    let mut next = order.next();
    let mut asking = JoinSet::new();
    let (mut unknown_to, mut last) = (Vec::new(), None);
    loop {
        if let Some(index) = next.take() {
            let (client, topic) = (Arc::clone(client), topic.to_owned());
            let timeout = client.options.timing.request_timeout;
            asking.spawn(async move { (index, ask(&client, index, &GetRoute { topic }, timeout).await) });
        }
        let answer = match tokio::time::timeout(PATIENCE, asking.join_next()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => break,
            // One has answered already; the others may be dead.
            Err(_) if !unknown_to.is_empty() => break,
            Err(_) => {
                next = order.next();
                continue;
            }
        };
        match answer {
            Ok((index, Ok(Some(route)))) => {
                servers.chosen.store(index, Ordering::Relaxed);
                return Ok(Ok(route));
            }
            Ok((index, Ok(None))) => unknown_to.push(index),
            Ok((_, Err(error))) if error.is_access_denied() => return Err(error.into_error()),
            Ok((_, Err(error))) => last = Some(worse(last, of_no_name_server(error))),
            Err(error) => last = Some(ClientError::new(Code::Internal, format!("looking for a route failed: {error}"))),
        }
        next = order.next();
    }
    if let Some(index) = unknown_to.last() {
        servers.chosen.store(*index, Ordering::Relaxed);
        return Ok(Err(unknown_to));
    }
    Err(match last {
        // It speaks something else, or makes no sense: no time will mend that.
        Some(error) if is_lasting(&error) => error,
        Some(error) if !matches!(error.code(), Code::Connection | Code::Timeout) => error.with_retriable(true),
        last => {
            let why = last.as_ref().map_or("there is none", ClientError::message);
            let text = format!("no name server answers ({}): {why}", servers.list());
            let error = ClientError::new(last.as_ref().map_or(Code::Connection, ClientError::code), text);
            let error = error.with_address(servers.list());
            error.caused_by(last)
        }
    })
}

/// What waiting does not mend.
fn is_lasting(error: &ClientError) -> bool {
    error.code() == Code::Protocol || error.code() == Code::Tls && !error.retriable()
}

/// Of two failures the one that may pass: another attempt is worth it then.
fn worse(before: Option<ClientError>, now: ClientError) -> ClientError {
    before.filter(|before| !is_lasting(before) && is_lasting(&now)).unwrap_or(now)
}

/// A broker, or a proxy, in the place of a name server knows no such request.
fn of_no_name_server(error: CallError) -> ClientError {
    let is_other = matches!(&error, CallError::Refused { refusal, .. } if refusal.code == REQUEST_CODE_NOT_SUPPORTED);
    let error = error.into_error();
    if !is_other {
        return error;
    }
    let address = error.address().unwrap_or("it").to_owned();
    let text = format!(
        "{address} is no name server, but a broker as it seems: it knows no routes. Name servers listen on port 9876, brokers on 10911"
    );
    ClientError::new(Code::Protocol, text).with_address(address).with_cause(error)
}

/// What it means that these name servers do not know a topic. Who may not be asked, or does not tell, leaves it at the topic.
async fn missing(client: &Arc<Client>, topic: &str, unknown_to: &[usize]) -> Missing {
    let mut missing = Missing::Topic;
    let is_silent = client.name_servers.is_silent.load(Ordering::Relaxed);
    // A retry topic is nobody's to make, and is missing in every new group.
    if client.options.alibaba_cloud || is_silent || topic.starts_with(RETRY_PREFIX) {
        return missing;
    }
    let timeout = client.options.timing.request_timeout.min(INQUIRY);
    for &index in unknown_to {
        match ask(client, index, &GetClusters, timeout).await {
            Ok(clusters) if clusters.is_empty() => missing = Missing::Brokers,
            Ok(clusters) => {
                client.name_servers.remember(clusters);
                return Missing::Topic;
            }
            // What else was asked on that connection may have failed with it.
            Err(CallError::Unanswered(_)) => client.name_servers.is_silent.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
    }
    missing
}

async fn ask<R: Request>(
    client: &Client,
    index: usize,
    request: &R,
    timeout: Duration,
) -> Result<R::Response, CallError> {
    let Some(address) = client.name_servers.addresses.get(index) else {
        return Err(ClientError::new(Code::Internal, "there is no such name server").into());
    };
    let deadline = env::now() + timeout;
    let connection = client.pool.connection(address, &client.to_name_server, deadline).await?;
    client.session.call(&connection, request, timeout).await
}
