//! What only a consumer needs of the cluster: any request to a broker, and the brokers' own to us.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::client::{CallError, Client, Cluster, PushCall};
use crate::env;
use crate::error::ClientError;
use crate::protocol::Request;

/// The brokers of a cluster, as a consumer uses them.
pub trait Brokers: Cluster {
    /// The user's name of a real topic or group.
    fn unwrap(&self, resource: &str) -> String;
    /// The name servers, as administrators may see them.
    fn name_servers(&self) -> String;
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
    /// What brokers ask of us; once.
    fn pushes(&self) -> Option<mpsc::Receiver<PushCall>>;
    /// The wall clock, ms since 1970.
    fn wall_ms(&self) -> i64 {
        env::wall_ms()
    }
}

impl Brokers for Arc<Client> {
    fn unwrap(&self, resource: &str) -> String {
        Client::unwrap(self, resource)
    }

    fn name_servers(&self) -> String {
        Client::name_servers(self)
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

    fn pushes(&self) -> Option<mpsc::Receiver<PushCall>> {
        Client::pushes(self)
    }
}
