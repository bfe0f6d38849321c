//! What only a producer needs of the cluster: room at a broker's master, and one request at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::flight::Wire;
use crate::client::{CallError, Client, Cluster, Room};
use crate::error::ClientError;
use crate::protocol::{Refusal, SendReceipt};

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

impl From<CallError> for Unsent {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotSent(error) => Self::NotSent(error),
            CallError::Unanswered(error) | CallError::Malformed(error) => Self::Unanswered(error),
            CallError::Refused { refusal, address, renewal } => {
                let error = CallError::Refused { refusal: refusal.clone(), address, renewal }.into_error();
                Self::Refused { refusal, error }
            }
        }
    }
}

/// The masters of a cluster, as sends reach them.
pub trait Masters: Cluster {
    /// Leave to write one request.
    type Room: Send;
    /// Whether any name server answers.
    fn reach(&self) -> impl Future<Output = Result<(), ClientError>> + Send;
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
}

impl Masters for Arc<Client> {
    type Room = Room;

    async fn reach(&self) -> Result<(), ClientError> {
        self.reach_name_server().await
    }

    fn is_connected(&self, address: &str) -> bool {
        Client::is_connected(self, address)
    }

    fn try_room(&self, address: &str) -> Option<Room> {
        Client::try_room(self, address)
    }

    fn trouble(&self, address: &str) -> Option<ClientError> {
        Client::trouble(self, address)
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
}
