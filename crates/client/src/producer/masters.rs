//! What only a producer needs of the cluster: room at a broker's master, and one request at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{CallError, Client, Cluster, Room};
use crate::error::ClientError;
use crate::protocol::{Refusal, SendBatch, SendMessage, SendReceipt};

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
            CallError::Refused { refusal, address } => {
                let error = CallError::Refused { refusal: refusal.clone(), address }.into_error();
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
    /// Stores one message; one attempt, whose `timeout` begins when it has left.
    fn send(
        &self,
        room: Self::Room,
        request: &SendMessage,
        timeout: Duration,
    ) -> impl Future<Output = Result<SendReceipt, Unsent>> + Send;
    /// Stores a batch; one attempt, whose `timeout` begins when it has left.
    fn send_batch(
        &self,
        room: Self::Room,
        request: &SendBatch,
        timeout: Duration,
    ) -> impl Future<Output = Result<SendReceipt, Unsent>> + Send;
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

    async fn send(&self, room: Room, request: &SendMessage, timeout: Duration) -> Result<SendReceipt, Unsent> {
        self.call_in(room, request, timeout).await.map_err(Unsent::from)
    }

    async fn send_batch(&self, room: Room, request: &SendBatch, timeout: Duration) -> Result<SendReceipt, Unsent> {
        self.call_in(room, request, timeout).await.map_err(Unsent::from)
    }
}
