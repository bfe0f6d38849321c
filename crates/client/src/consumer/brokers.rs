//! What the consumer needs of the client: a seam, so that its tests run on scripted brokers in virtual time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::client::{Advice, CallError, Client, Event, PushCall, Registration, RouteState};
use crate::env::{self, Timing};
use crate::error::ClientError;
use crate::protocol::{ConsumerData, Refusal, Request, TopicRoute};

/// The client, as a consumer uses it. Names of topics and groups are real ones.
pub trait Brokers: Send + Sync + 'static {
    /// The client id: owner of locks, key of the allocation.
    fn id(&self) -> &str;
    /// Every interval.
    fn timing(&self) -> &Timing;
    /// The real name of a user's topic or group.
    fn wrap(&self, resource: &str) -> String;
    /// The user's name of a real topic or group.
    fn unwrap(&self, resource: &str) -> String;
    /// The namespace, if any.
    fn namespace(&self) -> Option<&str>;
    /// The name servers, as administrators may see them.
    fn name_servers(&self) -> String;
    /// Whether a start waits for topics that do not exist.
    fn waits_for_topics(&self) -> bool {
        false
    }
    /// What to do about what is missing.
    fn advice(&self) -> Advice {
        Advice { name_servers: self.name_servers(), ..Advice::default() }
    }
    /// What is wrong below the consumer at the moment.
    fn problems(&self) -> Vec<ClientError>;
    /// Follows a topic's route from now on.
    fn watch_route(&self, topic: &str) -> watch::Receiver<RouteState>;
    /// Has a topic's route looked at again soon.
    fn refresh_route(&self, topic: &str);
    /// A topic's route, asked for when none is known.
    fn route(&self, topic: &str) -> impl Future<Output = Result<Arc<TopicRoute>, ClientError>> + Send;
    /// Address of a broker's master.
    fn master(&self, broker_name: &str) -> Option<String>;
    /// One request to a broker, never tried again.
    fn call<R>(
        &self,
        address: &str,
        request: &R,
        timeout: Duration,
    ) -> impl Future<Output = Result<R::Response, CallError>> + Send
    where
        R: Request + Sync,
        R::Response: Send;
    /// Goes up whenever the connection to this address ends.
    fn losses(&self, address: &str) -> watch::Receiver<u64>;
    /// Why this address cannot be reached, where the last attempt to connect to it failed.
    fn unreachable(&self, address: &str) -> Option<ClientError>;
    /// What heartbeats say from now on; nothing more after `None`.
    fn register(&self, consumer: Option<ConsumerData>);
    /// A heartbeat to every broker, now; by address.
    fn heartbeat_all(&self) -> impl Future<Output = Vec<(String, Result<(), CallError>)>> + Send;
    /// What brokers ask of us; once.
    fn pushes(&self) -> Option<mpsc::Receiver<PushCall>>;
    /// Tells users and loggers; never blocks.
    fn emit(&self, event: Event);
    /// Unregisters everywhere and closes the connections.
    fn close(&self) -> impl Future<Output = ()> + Send;
    /// The wall clock, ms since 1970.
    fn wall_ms(&self) -> i64 {
        env::wall_ms()
    }
}

impl Brokers for Arc<Client> {
    fn id(&self) -> &str {
        Client::id(self)
    }

    fn timing(&self) -> &Timing {
        Client::timing(self)
    }

    fn wrap(&self, resource: &str) -> String {
        Client::wrap(self, resource)
    }

    fn unwrap(&self, resource: &str) -> String {
        Client::unwrap(self, resource)
    }

    fn namespace(&self) -> Option<&str> {
        Client::namespace(self)
    }

    fn name_servers(&self) -> String {
        Client::name_servers(self)
    }

    fn waits_for_topics(&self) -> bool {
        Client::waits_for_topics(self)
    }

    fn advice(&self) -> Advice {
        Client::advice(self)
    }

    fn problems(&self) -> Vec<ClientError> {
        Client::problems(self)
    }

    fn watch_route(&self, topic: &str) -> watch::Receiver<RouteState> {
        Client::watch_route(self, topic)
    }

    fn refresh_route(&self, topic: &str) {
        Client::refresh_route(self, topic);
    }

    async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, ClientError> {
        Client::route(self, topic).await
    }

    fn master(&self, broker_name: &str) -> Option<String> {
        Client::master(self, broker_name)
    }

    async fn call<R>(&self, address: &str, request: &R, timeout: Duration) -> Result<R::Response, CallError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        Client::call(self, address, request, timeout).await
    }

    fn losses(&self, address: &str) -> watch::Receiver<u64> {
        Client::losses(self, address)
    }

    fn unreachable(&self, address: &str) -> Option<ClientError> {
        Client::unreachable(self, address)
    }

    fn register(&self, consumer: Option<ConsumerData>) {
        self.set_registration(Registration { producer_group: None, consumer });
    }

    async fn heartbeat_all(&self) -> Vec<(String, Result<(), CallError>)> {
        Client::heartbeat_all(self).await
    }

    fn pushes(&self) -> Option<mpsc::Receiver<PushCall>> {
        Client::pushes(self)
    }

    fn emit(&self, event: Event) {
        self.events().emit(event);
    }

    async fn close(&self) {
        Client::close(self).await;
    }
}

/// The broker's own "no", where that is how a call failed.
pub(super) fn refusal(error: &CallError) -> Option<&Refusal> {
    match error {
        CallError::Refused { refusal, .. } => Some(refusal),
        _ => None,
    }
}

/// Whether the broker may have done what was asked, or may still do it.
pub(super) fn is_uncertain(error: &CallError) -> bool {
    matches!(error, CallError::Unanswered(_) | CallError::Malformed(_))
}
