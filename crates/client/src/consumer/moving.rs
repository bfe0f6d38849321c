//! Requests that wait for long at a master that has moved: nobody answers them there.

use std::time::Duration;

use super::brokers::Brokers;
use super::shared::Shared;
use crate::client::CallError;
use crate::error::{ClientError, Code};
use crate::protocol::Request;

impl<B: Brokers> Shared<B> {
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
