//! What brokers ask of us, on the connections that we opened.

use super::events::{Event, Events, Level};
use crate::env;
use crate::protocol::code::response;
use crate::protocol::{Command, Push};
use crate::remoting::{Connection, Inbound};
use bytes::Bytes;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the consumer; a broker that floods us is answered "busy".
const WAITING: usize = 256;
/// How long a broker waits for our answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer to a broker's request.
#[derive(Debug)]
pub struct Answer {
    /// 0 or a response code.
    pub code: i32,
    /// Why not, where the code is not 0.
    pub remark: Option<String>,
    /// The body; may be empty.
    pub body: Bytes,
}

/// A broker's request on its way to the consumer.
#[derive(Debug)]
pub struct PushCall {
    /// What it asks.
    pub push: Push,
    /// Where the answer goes; none for one-way requests.
    pub reply: Option<oneshot::Sender<Answer>>,
}

/// Sorts the requests of brokers.
pub(super) struct Pushes {
    calls: mpsc::Sender<PushCall>,
    receiver: Mutex<Option<mpsc::Receiver<PushCall>>>,
    events: Arc<dyn Events>,
}

impl Pushes {
    pub(super) fn new(events: Arc<dyn Events>) -> Self {
        let (calls, receiver) = mpsc::channel(WAITING);
        Self { calls, receiver: Mutex::new(Some(receiver)), events }
    }

    /// Where the requests come out; once.
    pub(super) fn take(&self) -> Option<mpsc::Receiver<PushCall>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn log(&self, address: &str, code: i32, text: &str) {
        self.events.emit(Event::log(Level::Warn, text, json!({ "address": address, "code": code })));
    }
}

impl Inbound for Pushes {
    fn request(&self, connection: &Connection, command: Command) {
        let address = connection.address();
        let push = match Push::decode(&command) {
            Ok(Push::Ignored { .. }) => return,
            Ok(Push::Unsupported { .. }) => {
                return refuse(
                    connection,
                    &command,
                    response::REQUEST_CODE_NOT_SUPPORTED,
                    "not supported by this client",
                );
            }
            Ok(push) => push,
            Err(error) => {
                self.log(address, command.code, &format!("a broker's request cannot be read: {error:?}"));
                return refuse(connection, &command, response::SYSTEM_ERROR, "the request cannot be read");
            }
        };
        let (reply, answer) = oneshot::channel();
        let one_way = command.is_oneway();
        let call = PushCall { push, reply: (!one_way).then_some(reply) };
        if self.calls.try_send(call).is_err() {
            self.log(address, command.code, "a broker's request was dropped: nobody takes it, or too many wait");
            return refuse(connection, &command, response::SYSTEM_ERROR, "the client is busy or has no consumer");
        }
        if !one_way {
            let connection = connection.clone();
            env::spawn(async move {
                match tokio::time::timeout(PATIENCE, answer).await {
                    Ok(Ok(Answer { code, remark, body })) => connection.respond(&command.respond(code, remark, body)),
                    Ok(Err(_)) | Err(_) => {
                        refuse(&connection, &command, response::SYSTEM_ERROR, "the client did not answer");
                    }
                }
            });
        }
    }
}

fn refuse(connection: &Connection, command: &Command, code: i32, why: &str) {
    if !command.is_oneway() {
        connection.respond(&command.respond(code, Some(why.to_owned()), Bytes::new()));
    }
}
