//! What brokers ask of us, on the connections that we opened.

use super::events::{Event, Events, Level};
use crate::env;
use crate::error::ClientError;
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
/// What a broker is told whose request has met a defect of ours.
const FAILED: &str = "the client has failed to look at this request";
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
    /// A panic is the end of this request, and not of the connection on which it came.
    fn request(&self, connection: &Connection, command: Command) {
        let failed = command.respond(response::SYSTEM_ERROR, Some(String::from(FAILED)), Bytes::new());
        let is_one_way = command.is_oneway();
        if let Err(panic) = env::caught_now(|| self.sort(connection, command)) {
            // Told to the broker first: telling it here may be what has failed.
            if !is_one_way {
                connection.respond(&failed);
            }
            let error = ClientError::panicked("a broker's request was not answered", &panic);
            let _ = env::caught_now(|| self.events.emit(Event::Warning { error }));
        }
    }
}

impl Pushes {
    fn sort(&self, connection: &Connection, command: Command) {
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
                let answered = env::caught(async {
                    let Ok(Ok(Answer { code, remark, body })) = tokio::time::timeout(PATIENCE, answer).await else {
                        return false;
                    };
                    connection.respond(&command.respond(code, remark, body));
                    true
                });
                if !answered.await.unwrap_or(false) {
                    refuse(&connection, &command, response::SYSTEM_ERROR, "the client did not answer");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::code::request;
    use crate::protocol::{Codec, Fields, frame};
    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    struct Broken;
    impl Events for Broken {
        fn emit(&self, _event: Event) {
            panic!("planted at emit");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_handling_panics_is_refused_and_the_connection_goes_on() {
        let pushes = Arc::new(Pushes::new(Arc::new(Broken)));
        // Nobody takes requests: that is told, which panics.
        drop(pushes.take());
        let (near, mut far) = duplex(1 << 16);
        let _connection = Connection::new("broker:1", near, Arc::clone(&pushes) as _);
        let mut buffer = BytesMut::new();
        for opaque in 1..3 {
            let fields = [("consumerGroup", "GID_test"), ("clientId", "c1")];
            let fields = Fields::from_iter(fields);
            let mut asked = Command::request(request::GET_CONSUMER_RUNNING_INFO, fields, Bytes::new());
            asked.opaque = opaque;
            far.write_all(&frame::encode(&asked, Codec::Json).unwrap()).await.unwrap();
            let answer = loop {
                if let Some(answer) = frame::decode(&mut buffer).unwrap() {
                    break answer;
                }
                assert_ne!(far.read_buf(&mut buffer).await.unwrap(), 0, "hung up");
            };
            assert_eq!((answer.code, answer.opaque), (response::SYSTEM_ERROR, opaque));
            assert_eq!(answer.remark.as_deref(), Some(FAILED));
        }
    }
}
