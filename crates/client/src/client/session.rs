//! Who we are to every peer: identity, credentials, registration; and one signed request on one connection.

use super::call::{CallError, is_of_account};
use super::events::{Event, Events, Server};
use super::keyring::{Keyring, Occasion, Signing};
use super::reconnect::{Lost, Reconnect};
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::code::{request, response};
use crate::protocol::{Command, ConsumerData, Heartbeat, Request, ResponseError};
use crate::remoting::{CallFailure, Class, Connection, Greeter, Room};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What heartbeats say about this client. Group names are real ones.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// The producer's group.
    pub producer_group: Option<String>,
    /// The consumer's group and subscriptions.
    pub consumer: Option<ConsumerData>,
}

/// What brokers know us as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// One that subscribes.
    Consumer,
    /// One that sends.
    Producer,
    /// Nothing yet, or no more.
    Nobody,
}

/// Shared by everything of one client that talks to peers.
pub(super) struct Session {
    id: String,
    keyring: Arc<Keyring>,
    registration: Mutex<Registration>,
    /// The last heartbeat's failure, by broker address; empty while all is well.
    refused_beats: Mutex<HashMap<String, ClientError>>,
    /// The highest `MQVersion` ordinal of an answer.
    version: AtomicI32,
    events: Arc<dyn Events>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(super) fn new(id: String, keyring: Arc<Keyring>, events: Arc<dyn Events>) -> Self {
        Self {
            id,
            keyring,
            registration: Mutex::default(),
            refused_beats: Mutex::default(),
            version: AtomicI32::new(0),
            events,
        }
    }

    /// The highest `MQVersion` ordinal of an answer so far.
    pub(super) fn version(&self) -> i32 {
        self.version.load(Ordering::Relaxed)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn events(&self) -> &Arc<dyn Events> {
        &self.events
    }

    pub(super) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    pub(super) fn registration(&self) -> Registration {
        lock(&self.registration).clone()
    }

    /// What heartbeats say we are; a consumer's subscriptions may be thousands, and are not copied for it.
    pub(super) fn role(&self) -> Role {
        match &*lock(&self.registration) {
            Registration { consumer: Some(_), .. } => Role::Consumer,
            Registration { producer_group: Some(_), .. } => Role::Producer,
            Registration { .. } => Role::Nobody,
        }
    }

    pub(super) fn set_registration(&self, registration: Registration) {
        *lock(&self.registration) = registration;
    }

    /// How the last heartbeat to this address failed, if it did.
    pub(super) fn problem(&self, address: &str) -> Option<ClientError> {
        lock(&self.refused_beats).get(address).cloned()
    }

    /// Signs and sends one request, and decodes its answer. Its time begins when it has left. Refused for its credentials, it is sent once
    /// more, if there are others.
    pub(super) async fn call<R: Request>(
        &self,
        connection: &Connection,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, CallError> {
        let class = if R::IS_BULK { Class::Bulk } else { Class::Control };
        let signing = tokio::time::timeout(timeout, self.keyring.signing(&self.events)).await.unwrap_or_else(|_| {
            let text = "there are no credentials, as the function that was asked for them has not answered yet";
            Err(ClientError::new(Code::AccessDenied, text).with_retriable(true))
        })?;
        let mut command = request.command();
        signing.sign(&mut command);
        let again = self.keyring.asks().then(|| command.clone());
        let answer = connection.call(command, class, timeout).await;
        let outcome = self.decode::<R>(connection, answer);
        match again {
            Some(command) if refuses_credentials(&outcome) => {
                self.again::<R>(connection, command, &signing, (class, timeout), outcome).await
            }
            _ => outcome,
        }
    }

    /// Asks for other credentials than those that were refused, and sends the request with them.
    async fn again<R: Request>(
        &self,
        connection: &Connection,
        mut command: Command,
        refused: &Signing,
        (class, timeout): (Class, Duration),
        outcome: Result<R::Response, CallError>,
    ) -> Result<R::Response, CallError> {
        let newer =
            tokio::time::timeout(timeout, self.keyring.newer_than(refused, Occasion::Refusal, &self.events)).await;
        match newer.unwrap_or_else(|_| {
            let text = "the function that was asked for new credentials has not answered yet";
            Err(Some(ClientError::new(Code::Timeout, text)))
        }) {
            Ok(signing) => {
                signing.sign(&mut command);
                let answer = connection.call(command, class, timeout).await;
                self.decode::<R>(connection, answer)
            }
            Err(why) => outcome.map_err(|error| error.with_renewal(why)),
        }
    }

    /// The same without waiting, where there is room for a send; `answered` is told how it ended, perhaps before this returns.
    pub(super) fn post<R: Request>(
        self: &Arc<Self>,
        room: Room,
        request: &R,
        timeout: Duration,
        answered: impl FnOnce(Result<R::Response, CallError>) + Send + 'static,
    ) {
        let (session, connection) = (Arc::clone(self), room.connection().clone());
        // Whoever has room was greeted, and so has credentials.
        let signing = self.keyring.now();
        let mut command = request.command();
        signing.sign(&mut command);
        let again = self.keyring.asks().then(|| command.clone());
        let answered = move |answer| {
            let decoded = env::caught_now(|| session.decode::<R>(&connection, answer));
            let outcome = decoded.unwrap_or_else(|panic| Err(unread(&panic)));
            match again {
                Some(command) if refuses_credentials(&outcome) => {
                    env::spawn(async move {
                        let again = session.again::<R>(&connection, command, &signing, (Class::Bulk, timeout), outcome);
                        answered(env::caught(again).await.unwrap_or_else(|panic| Err(unread(&panic))));
                    });
                }
                _ => answered(outcome),
            }
        };
        room.post(command, timeout, Box::new(answered));
    }

    fn decode<R: Request>(
        &self,
        connection: &Connection,
        answer: Result<Command, CallFailure>,
    ) -> Result<R::Response, CallError> {
        let answer = answer.map_err(|failure| match failure {
            CallFailure::NotSent(error) => CallError::NotSent(error),
            CallFailure::Unanswered(error) => CallError::Unanswered(error),
        })?;
        self.version.fetch_max(answer.version, Ordering::Relaxed);
        R::decode(answer).map_err(|error| match error {
            ResponseError::Refused(refusal) => {
                if refusal.code == response::GO_AWAY {
                    // The server is leaving; the next request shall find another connection, and what it has been asked before may
                    // still be answered.
                    connection.retire();
                }
                CallError::Refused { refusal, address: connection.address().to_owned(), renewal: None }
            }
            ResponseError::Malformed(why) => {
                let text = format!(
                    "the answer of {} to {} makes no sense: {why}",
                    connection.address(),
                    request::name(R::CODE)
                );
                CallError::Malformed(ClientError::new(Code::Protocol, text).with_address(connection.address()))
            }
        })
    }

    /// Tells a broker that we are here. Without a registration there is nothing to tell.
    pub(super) async fn beat(&self, connection: &Connection, timeout: Duration) -> Result<(), CallError> {
        let registration = self.registration();
        let heartbeat = Heartbeat {
            client_id: self.id.clone(),
            producers: registration.producer_group.into_iter().collect(),
            consumers: registration.consumer.into_iter().collect(),
        };
        if heartbeat.producers.is_empty() && heartbeat.consumers.is_empty() {
            return Ok(());
        }
        let result = self.call(connection, &heartbeat, timeout).await.map(|_| ());
        let mut refused = lock(&self.refused_beats);
        match &result {
            Ok(()) => _ = refused.remove(connection.address()),
            Err(error) => _ = refused.insert(connection.address().to_owned(), error.clone().into_error()),
        }
        result
    }

    fn connecting(&self, address: &str, server: Server) {
        self.events.emit(Event::Connecting { address: address.to_owned(), server });
    }

    fn unconnected(&self, address: &str, server: Server, why: Option<ClientError>) {
        let error =
            why.unwrap_or_else(|| ClientError::new(Code::Timeout, format!("no connection to {address} in time")));
        self.events.emit(Event::Unconnected {
            address: address.to_owned(),
            server,
            error: error.with_address(address),
        });
    }

    fn connected(&self, address: &str, server: Server) {
        self.events.emit(Event::Connected { address: address.to_owned(), server });
    }

    fn disconnected(&self, address: &str, server: Server, reason: &ClientError) {
        let reason = reason.message().to_owned();
        self.events.emit(Event::Disconnected { address: address.to_owned(), server, reason });
    }
}

/// Whether other credentials may help.
fn refuses_credentials<T>(outcome: &Result<T, CallError>) -> bool {
    matches!(outcome, Err(CallError::Refused { refusal, .. }) if is_of_account(refusal))
}

fn unread(panic: &str) -> CallError {
    let text = "what became of a request is unknown, as reading its answer has failed";
    CallError::Unanswered(ClientError::panicked(text, panic))
}

/// So much earlier than the attempt to connect the greeting gives up.
const MARGIN: Duration = Duration::from_millis(25);

/// Brokers are greeted with a heartbeat: a registration belongs to a connection, and nothing may come before it.
pub(super) struct ToBroker(pub(super) Arc<Session>, pub(super) Arc<Reconnect>);

impl Greeter for ToBroker {
    type Failure = CallError;

    async fn greet(&self, connection: &Connection, deadline: Instant) -> Result<(), CallError> {
        // A little less: its failure tells more than that there was no connection in time.
        let left = deadline.saturating_duration_since(env::now());
        let timeout = left.saturating_sub((left / 10).min(MARGIN));
        self.0.beat(connection, timeout).await.map_err(|failure| match failure {
            refused @ CallError::Refused { .. } if refused.is_access_denied() => refused,
            // Whatever became of the heartbeat: the caller's own request was not sent.
            other => CallError::NotSent(other.into_error()),
        })
    }

    fn advice(&self) -> &'static str {
        "The address comes from the route: check that the broker runs, and that its brokerIP1 and port can be reached from here"
    }

    fn connecting(&self, address: &str) {
        self.0.connecting(address, Server::Broker);
    }

    fn unconnected(&self, address: &str, why: Option<&CallError>) {
        self.0.unconnected(address, Server::Broker, why.map(|why| why.clone().into_error()));
    }

    fn connected(&self, address: &str) {
        self.0.connected(address, Server::Broker);
    }

    fn disconnected(&self, address: &str, reason: ClientError) {
        self.0.disconnected(address, Server::Broker, &reason);
        self.1.lost(Lost::Broker(address.to_owned()));
    }
}

/// Name servers keep no registrations.
pub(super) struct ToNameServer(pub(super) Arc<Session>, pub(super) Arc<Reconnect>);

impl Greeter for ToNameServer {
    type Failure = ClientError;

    async fn greet(&self, _connection: &Connection, _deadline: Instant) -> Result<(), ClientError> {
        Ok(())
    }

    fn advice(&self) -> &'static str {
        "Check the address of the name server, that it runs, and that it can be reached from here"
    }

    fn connecting(&self, address: &str) {
        self.0.connecting(address, Server::NameServer);
    }

    fn unconnected(&self, address: &str, why: Option<&ClientError>) {
        self.0.unconnected(address, Server::NameServer, why.cloned());
    }

    fn connected(&self, address: &str) {
        self.0.connected(address, Server::NameServer);
    }

    fn disconnected(&self, address: &str, reason: ClientError) {
        self.0.disconnected(address, Server::NameServer, &reason);
        self.1.lost(Lost::NameServer);
    }
}
