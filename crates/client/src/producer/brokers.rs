//! What a producer needs of the cluster: routes, masters, and one request at a time. The seam at which tests put a script.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use super::flight::Wire;
use crate::client::{Advice, CallError, Client, Event, Registration, Room, RouteState};
use crate::env::Timing;
use crate::error::ClientError;
use crate::protocol::{Refusal, SendReceipt, TopicRoute};

/// Why a send has no receipt.
#[derive(Clone, Debug)]
pub enum Unsent {
    /// The frame was never written.
    NotSent(ClientError),
    /// Written, and what the broker did is unknown: reset, timed out, or an answer that breaks the protocol.
    Unanswered(ClientError),
    /// The broker said no.
    Refused {
        /// Its code and words.
        refusal: Refusal,
        /// The same as an error for the user.
        error: ClientError,
    },
}

/// The cluster as a producer sees it. Topics and groups are real names (namespace wrapped) unless said otherwise.
pub trait Brokers: Send + Sync + 'static {
    /// Every interval.
    fn timing(&self) -> &Timing;
    /// The real name of a topic or group.
    fn wrap(&self, resource: &str) -> String;
    /// The namespace, where there is one.
    fn namespace(&self) -> Option<&str>;
    /// What advice to people depends on.
    fn advice(&self) -> Advice;
    /// Our own address, for unique ids.
    fn local_ip(&self) -> IpAddr;
    /// The route of a topic from now on, refreshed in the background.
    fn watch_route(&self, topic: &str) -> watch::Receiver<RouteState>;
    /// Looks again soon, in the background; often called, rarely done.
    fn refresh_route(&self, topic: &str);
    /// The route, asked for now unless it is known.
    fn route(&self, topic: &str) -> impl Future<Output = Result<Arc<TopicRoute>, ClientError>> + Send;
    /// Whether a start waits for topics that do not exist.
    fn waits_for_topics(&self) -> bool {
        false
    }
    /// Whether any name server answers.
    fn reach(&self) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// The address of a broker's master, where one is known.
    fn master(&self, broker_name: &str) -> Option<String>;
    /// Says in heartbeats that we produce for this group.
    fn register(&self, group: &str);
    /// A heartbeat to the master of every watched route's brokers: address and outcome of each.
    fn heartbeat(&self) -> impl Future<Output = Vec<(String, Result<(), ClientError>)>> + Send;
    /// Leave to write one request.
    type Room: Send;
    /// Whether there is a connection to this address.
    fn is_connected(&self, address: &str) -> bool;
    /// Leave for a request that can be written at once: there is a connection to this address, and it has room.
    fn try_room(&self, address: &str) -> Option<Self::Room>;
    /// Why there is none, where an attempt has failed.
    fn trouble(&self, address: &str) -> Option<ClientError>;
    /// Makes that connection within `timeout`, and waits for room there, in the order of the calls. Whatever fails, nothing of a send was
    /// written.
    fn room(&self, address: &str, timeout: Duration) -> impl Future<Output = Result<Self::Room, Unsent>> + Send;
    /// Whether nothing else is under way on the connection of this room.
    fn is_idle(&self, _room: &Self::Room) -> bool {
        false
    }
    /// Stores what is in a request; one attempt, whose `timeout` begins when it has left. Does not wait: `answered` is told how it ended,
    /// by the thread that learns of it, perhaps before this returns.
    fn post(
        &self,
        room: Self::Room,
        request: &Wire,
        timeout: Duration,
        answered: impl FnOnce(Result<SendReceipt, Unsent>) + Send + 'static,
    );
    /// A background fault, for the user to see.
    fn warn(&self, warning: ClientError);
    /// What is wrong at the moment.
    fn problems(&self) -> Vec<ClientError>;
    /// Takes leave and ends every connection.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

impl From<CallError> for Unsent {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotSent(error) => Self::NotSent(error),
            CallError::Unanswered(error) | CallError::Malformed(error) => Self::Unanswered(error),
            CallError::Refused { refusal, address } => {
                let error = CallError::Refused { refusal: refusal.clone(), address }.into_error();
                Self::Refused { refusal, error }
            }
        }
    }
}

impl Brokers for Arc<Client> {
    type Room = Room;

    fn timing(&self) -> &Timing {
        Client::timing(self)
    }

    fn wrap(&self, resource: &str) -> String {
        Client::wrap(self, resource)
    }

    fn namespace(&self) -> Option<&str> {
        Client::namespace(self)
    }

    fn advice(&self) -> Advice {
        Client::advice(self)
    }

    fn local_ip(&self) -> IpAddr {
        // A client id begins with the address from which the name server is reached.
        let address = self.id().split('@').next().and_then(|address| address.parse().ok());
        address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
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

    fn waits_for_topics(&self) -> bool {
        Client::waits_for_topics(self)
    }

    async fn reach(&self) -> Result<(), ClientError> {
        self.reach_name_server().await
    }

    fn master(&self, broker_name: &str) -> Option<String> {
        Client::master(self, broker_name)
    }

    fn register(&self, group: &str) {
        self.set_registration(Registration { producer_group: Some(group.to_owned()), ..Registration::default() });
    }

    async fn heartbeat(&self) -> Vec<(String, Result<(), ClientError>)> {
        let outcomes = self.heartbeat_all().await;
        outcomes.into_iter().map(|(address, outcome)| (address, outcome.map_err(CallError::into_error))).collect()
    }

    fn is_connected(&self, address: &str) -> bool {
        Client::is_connected(self, address)
    }

    fn trouble(&self, address: &str) -> Option<ClientError> {
        Client::trouble(self, address)
    }

    fn try_room(&self, address: &str) -> Option<Room> {
        Client::try_room(self, address)
    }

    async fn room(&self, address: &str, timeout: Duration) -> Result<Room, Unsent> {
        Client::room(self, address, timeout).await.map_err(|error| Unsent::NotSent(error.into_error()))
    }

    fn is_idle(&self, room: &Room) -> bool {
        room.is_idle()
    }

    fn post(
        &self,
        room: Room,
        request: &Wire,
        timeout: Duration,
        answered: impl FnOnce(Result<SendReceipt, Unsent>) + Send + 'static,
    ) {
        let answered = |outcome: Result<_, CallError>| answered(outcome.map_err(Unsent::from));
        match request {
            Wire::One(request) => Client::post(self, room, request, timeout, answered),
            Wire::Batch(request) => Client::post(self, room, request, timeout, answered),
        }
    }

    fn warn(&self, warning: ClientError) {
        self.events().emit(Event::Warning { error: warning });
    }

    fn problems(&self) -> Vec<ClientError> {
        Client::problems(self)
    }

    async fn close(&self) {
        Client::close(self).await;
    }
}
