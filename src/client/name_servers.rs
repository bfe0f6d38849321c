//! The list of name servers: one is chosen and kept; when it fails, the next one takes over.

use super::call::CallError;
use super::session::{Session, ToNameServer};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::{GetRoute, TopicRoute};
use crate::remoting::Pool;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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

    /// Asks for a route, each name server at most once, beginning with the chosen one. `None`: no name server knows the topic.
    ///
    /// Name servers do not talk to each other, but they hear from the same brokers: the first answer counts.
    pub(super) async fn route(
        &self,
        topic: &str,
        pool: &Pool,
        greeter: &Arc<ToNameServer>,
        session: &Session,
        timeout: Duration,
    ) -> Result<Option<TopicRoute>, ClientError> {
        let first = self.chosen.load(Ordering::Relaxed);
        let mut last = None;
        for step in 0..self.addresses.len() {
            let index = (first + step) % self.addresses.len();
            let Some(address) = self.addresses.get(index) else { break };
            let deadline = env::now() + timeout;
            let failure = match pool.connection(address, greeter, deadline).await {
                Err(error) => error,
                Ok(connection) => {
                    match session.call(&connection, &GetRoute { topic: topic.to_owned() }, deadline).await {
                        Ok(route) => {
                            self.chosen.store(index, Ordering::Relaxed);
                            return Ok(route);
                        }
                        Err(error @ CallError::Refused { .. }) => return Err(error.into_error()),
                        Err(error) => error.into_error(),
                    }
                }
            };
            last = Some(failure);
        }
        let text = format!("no name server answers ({}): check the address and that it runs", self.list());
        let error =
            ClientError::new(last.as_ref().map_or(Code::Connection, ClientError::code), text).with_address(self.list());
        Err(match last {
            Some(cause) => error.with_cause(cause),
            None => error,
        })
    }
}
