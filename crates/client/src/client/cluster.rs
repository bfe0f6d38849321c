//! Name servers and brokers, as a producer and a consumer use them alike: a seam, so that the tests of both run on scripted brokers in
//! virtual time. What only one of them needs extends it in its own room.

use super::Client;
use super::advice::Advice;
use super::call::CallError;
use super::events::Event;
use super::routes::RouteState;
use super::session::Registration;
use crate::env::Timing;
use crate::error::{ClientError, QueueName};
use crate::protocol::{MessageQueue, TopicRoute};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::watch;

/// As errors name it.
impl From<&MessageQueue> for QueueName {
    fn from(MessageQueue { topic, broker_name, queue_id }: &MessageQueue) -> Self {
        Self { topic: topic.clone(), broker_name: broker_name.clone(), queue_id: *queue_id }
    }
}

/// What every client needs of its name servers and brokers. Names of topics and groups are real ones unless said otherwise.
pub trait Cluster: Send + Sync + 'static {
    /// The client id: what brokers know us by, owner of locks, key of the allocation.
    fn id(&self) -> &str;
    /// Every interval.
    fn timing(&self) -> &Timing;
    /// The namespace, where there is one.
    fn namespace(&self) -> Option<&str>;
    /// The real name of a user's topic or group.
    fn wrap(&self, resource: &str) -> String;
    /// Whether a start waits for topics that do not exist.
    fn waits_for_topics(&self) -> bool {
        false
    }
    /// What advice to people depends on.
    fn advice(&self) -> Advice;
    /// What is wrong below producer and consumer at the moment.
    fn problems(&self) -> Vec<ClientError>;
    /// The route of a topic from now on, refreshed in the background.
    fn watch_route(&self, topic: &str) -> watch::Receiver<RouteState>;
    /// Has a topic's route looked at again soon, in the background; often called, rarely done.
    fn refresh_route(&self, topic: &str);
    /// The route of a topic, asked for now unless it is known.
    fn route(&self, topic: &str) -> impl Future<Output = Result<Arc<TopicRoute>, ClientError>> + Send;
    /// The address of a broker's master, where one is known.
    fn master(&self, broker_name: &str) -> Option<String>;
    /// What heartbeats say from now on.
    fn register(&self, registration: Registration);
    /// A heartbeat to every broker that should know us, now; by address.
    fn heartbeat_all(&self) -> impl Future<Output = Vec<(String, Result<(), CallError>)>> + Send;
    /// Tells users and loggers; never blocks.
    fn emit(&self, event: Event);
    /// A fault in the background, for the user to see.
    fn warn(&self, error: ClientError) {
        self.emit(Event::Warning { error });
    }
    /// Takes leave of every broker and ends every connection.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

impl Cluster for Arc<Client> {
    fn id(&self) -> &str {
        Client::id(self)
    }

    fn timing(&self) -> &Timing {
        Client::timing(self)
    }

    fn namespace(&self) -> Option<&str> {
        Client::namespace(self)
    }

    fn wrap(&self, resource: &str) -> String {
        Client::wrap(self, resource)
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

    fn register(&self, registration: Registration) {
        Client::register(self, registration);
    }

    async fn heartbeat_all(&self) -> Vec<(String, Result<(), CallError>)> {
        Client::heartbeat_all(self).await
    }

    fn emit(&self, event: Event) {
        self.events().emit(event);
    }

    async fn close(&self) {
        Client::close(self).await;
    }
}
