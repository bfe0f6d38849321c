//! What a producer needs of the cluster: routes, masters, and one request at a time. The seam at which tests put a script.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use crate::env::Timing;
use crate::error::ClientError;
use crate::protocol::{MessageQueue, Refusal, SendBatch, SendMessage, SendReceipt, TopicRoute};

/// What is known about a topic's route.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteState {
    /// The newest route; never taken back by a failed refresh.
    pub(crate) route: Option<Arc<TopicRoute>>,
    /// How the last refresh failed.
    pub(crate) error: Option<ClientError>,
}

/// Why a send has no receipt.
#[derive(Clone, Debug)]
pub(crate) enum Unsent {
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
pub(crate) trait Brokers: Send + Sync + 'static {
    /// Every interval.
    fn timing(&self) -> &Timing;
    /// The real name of a topic or group.
    fn wrap(&self, resource: &str) -> String;
    /// The namespace, where there is one.
    fn namespace(&self) -> Option<&str>;
    /// Our own address, for unique ids.
    fn local_ip(&self) -> IpAddr;
    /// The route of a topic from now on, refreshed in the background.
    fn watch_route(&self, topic: &str) -> watch::Receiver<RouteState>;
    /// Looks again soon, in the background; often called, rarely done.
    fn refresh_route(&self, topic: &str);
    /// The route, asked for now unless it is known.
    fn route(&self, topic: &str) -> impl Future<Output = Result<Arc<TopicRoute>, ClientError>> + Send;
    /// Whether any name server answers.
    fn reach(&self) -> impl Future<Output = Result<(), ClientError>> + Send;
    /// The address of a broker's master, where one is known.
    fn master(&self, broker_name: &str) -> Option<String>;
    /// Says in heartbeats that we produce for this group.
    fn register(&self, group: &str);
    /// A heartbeat to the master of every watched route's brokers: address and outcome of each.
    fn heartbeat(&self) -> impl Future<Output = Vec<(String, Result<(), ClientError>)>> + Send;
    /// Stores one message; one attempt.
    fn send(
        &self,
        address: &str,
        request: &SendMessage,
        timeout: Duration,
    ) -> impl Future<Output = Result<SendReceipt, Unsent>> + Send;
    /// Stores a batch; one attempt.
    fn send_batch(
        &self,
        address: &str,
        request: &SendBatch,
        timeout: Duration,
    ) -> impl Future<Output = Result<SendReceipt, Unsent>> + Send;
    /// A background fault, for the user to see.
    fn warn(&self, warning: ClientError);
    /// The queues of a topic (as the user sees it) are others now.
    fn route_changed(&self, topic: &str, queues: &[MessageQueue]);
}
