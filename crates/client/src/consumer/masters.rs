//! Requests to the master of a broker: found by the broker's name, sought where there is none, and given up where it has moved.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::brokers::Brokers;
use super::shared::Shared;
use crate::client::CallError;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::Request;

/// Between two questions for the routes of a broker that has no master.
const SEEK: Duration = Duration::from_millis(200);

/// When routes were last asked for because of a broker without a master, by its name.
#[derive(Debug, Default)]
pub(crate) struct Sought(Mutex<HashMap<String, Instant>>);

impl Sought {
    /// Whether it may be asked again now, which is noted.
    fn is_due(&self, broker_name: &str) -> bool {
        let now = env::now();
        let mut sought = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sought.get(broker_name).is_some_and(|before| now < *before + SEEK) {
            return false;
        }
        sought.insert(broker_name.to_owned(), now);
        true
    }
}

impl<B: Brokers> Shared<B> {
    /// Why nothing can be asked of a broker: no master, or the last attempt to connect to it failed.
    pub(crate) fn unreachable(&self, broker_name: &str) -> Option<ClientError> {
        match self.brokers.master(broker_name) {
            Some(address) => self.brokers.unreachable(&address),
            None => Some(no_master(broker_name)),
        }
    }

    /// One request to the master of a broker name.
    pub(crate) async fn ask_master<R>(
        &self,
        broker_name: &str,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, CallError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let Some(address) = self.brokers.master(broker_name) else {
            // One may have been chosen, or have registered, since the last look.
            self.seek(broker_name);
            return Err(CallError::NotSent(no_master(broker_name)));
        };
        self.brokers.call(&address, request, timeout).await
    }

    /// Has the routes of a broker looked at again soon. Its queues may be thousands, and each of them comes here.
    fn seek(&self, broker_name: &str) {
        if !self.sought.is_due(broker_name) {
            return;
        }
        for topic in self.subscriptions.topics.keys().filter(|topic| self.has_broker(topic, broker_name)) {
            self.brokers.refresh_route(topic);
        }
    }

    fn has_broker(&self, topic: &str, broker_name: &str) -> bool {
        let state = self.brokers.watch_route(topic).borrow().route.clone();
        state.is_some_and(|route| route.queue_datas.iter().any(|queues| queues.broker_name == broker_name))
    }

    /// One request to the master of a broker name, given up when the route shows that master at another address: for what a broker may
    /// hold, and what may be asked again.
    pub(crate) async fn ask_while_master<R>(
        &self,
        broker_name: &str,
        topic: &str,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, CallError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let mut route = self.brokers.watch_route(topic);
        let asked = self.brokers.master(broker_name);
        let moved = async {
            loop {
                if route.changed().await.is_err() {
                    return std::future::pending().await;
                }
                let address = self.brokers.master(broker_name);
                if address != asked
                    && let Some(address) = address
                {
                    return address;
                }
            }
        };
        tokio::select! {
            biased;
            answer = self.ask_master(broker_name, request, timeout) => answer,
            address = moved => {
                let text = format!("the master of {broker_name} is at {address} now");
                Err(CallError::Unanswered(ClientError::new(Code::Connection, text).with_address(address)))
            }
        }
    }
}

fn no_master(broker_name: &str) -> ClientError {
    let text = format!("broker {broker_name} has no master at the moment; its queues pause until it has");
    ClientError::new(Code::NoMaster, text)
}
