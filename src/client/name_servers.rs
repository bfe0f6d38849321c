//! The list of name servers: one is chosen and kept; when it fails, the next one takes over.

use super::Client;
use super::call::CallError;
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::{GetRoute, TopicRoute};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long one name server may be silent before the next is asked as well.
const PATIENCE: Duration = Duration::from_millis(500);

/// The addresses, and which one is in use.
#[derive(Debug)]
pub(super) struct NameServers {
    addresses: Vec<String>,
    chosen: AtomicUsize,
}

impl NameServers {
    /// Begins at a random one, so that the clients of a fleet spread.
    pub(super) fn new(addresses: Vec<String>) -> Self {
        let first = env::random_u32() as usize % addresses.len().max(1);
        Self { addresses, chosen: AtomicUsize::new(first) }
    }

    /// All of them, for messages to people.
    pub(super) fn list(&self) -> String {
        self.addresses.join(";")
    }
}

/// Asks for a route, each name server at most once, beginning with the chosen one; another one is asked when one fails, does not know
/// the topic, or is silent for a while. `None`: those that answer do not know the topic.
///
/// Name servers do not talk to each other, and one that was just started knows nothing yet: the first route counts.
pub(super) async fn route(client: &Arc<Client>, topic: &str) -> Result<Option<TopicRoute>, ClientError> {
    let servers = &client.name_servers;
    let (first, count) = (servers.chosen.load(Ordering::Relaxed), servers.addresses.len());
    let mut order = (0..count).map(|step| (first + step) % count);
    let mut next = order.next();
    let mut asking = JoinSet::new();
    let (mut unknown_to, mut last) = (None, None);
    loop {
        if let Some(index) = next.take() {
            let (client, topic) = (Arc::clone(client), topic.to_owned());
            asking.spawn(async move { (index, ask(&client, index, topic).await) });
        }
        let answer = match tokio::time::timeout(PATIENCE, asking.join_next()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => break,
            // One has answered already; the others may be dead.
            Err(_) if unknown_to.is_some() => break,
            Err(_) => {
                next = order.next();
                continue;
            }
        };
        match answer {
            Ok((index, Ok(Some(route)))) => {
                servers.chosen.store(index, Ordering::Relaxed);
                return Ok(Some(route));
            }
            Ok((index, Ok(None))) => unknown_to = Some(index),
            Ok((_, Err(error))) if error.is_access_denied() => return Err(error.into_error()),
            Ok((_, Err(error))) => last = Some(error.into_error()),
            Err(error) => last = Some(ClientError::new(Code::Internal, format!("looking for a route failed: {error}"))),
        }
        next = order.next();
    }
    if let Some(index) = unknown_to {
        servers.chosen.store(index, Ordering::Relaxed);
        return Ok(None);
    }
    let text = format!("no name server answers ({}): check the address and that it runs", servers.list());
    let error = ClientError::new(last.as_ref().map_or(Code::Connection, ClientError::code), text);
    Err(match last {
        Some(cause) => error.with_address(servers.list()).with_cause(cause),
        None => error.with_address(servers.list()),
    })
}

async fn ask(client: &Client, index: usize, topic: String) -> Result<Option<TopicRoute>, CallError> {
    let Some(address) = client.name_servers.addresses.get(index) else { return Ok(None) };
    let deadline = env::now() + client.options.timing.request_timeout;
    let connection = client.pool.connection(address, &client.to_name_server, deadline).await?;
    client.session.call(&connection, &GetRoute { topic }, deadline).await
}
