//! One connection: many requests at once, each answered by its number (`opaque`).
//!
//! Who closes what: the reader task ends when the peer hangs up or breaks the protocol, when a write fails, or when `close` is
//! called. Whatever ends it poisons the waiters first, so that every pending request fails in that moment and no later one is
//! accepted; then the `closed` watch turns true.

use super::foreign;
use super::outbox::Outbox;
use crate::env::{self, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::code::request;
use crate::protocol::{Codec, Command, FrameError, frame};
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Notify, oneshot, watch};

/// What a read buffer starts with and grows by.
const READ_CHUNK: usize = 64 * 1024;

/// Takes the requests that the peer makes of us. Must not block.
pub(crate) trait Inbound: Send + Sync + 'static {
    /// A request of the peer; answer it with [`Connection::respond`] unless it is one-way.
    fn request(&self, connection: &Connection, command: Command);
}

/// Why a request got no answer.
#[derive(Clone, Debug)]
pub(crate) enum CallFailure {
    /// The frame never left.
    NotSent(ClientError),
    /// The frame left, wholly or in part; what the peer did is unknown.
    Unanswered(ClientError),
}

type Answers = HashMap<i32, oneshot::Sender<Command>>;

enum Waiters {
    Open(Answers),
    /// Takes no more requests, and ends with the last answer.
    Leaving(Answers),
    Poisoned(ClientError),
}

struct Shared {
    address: String,
    waiters: Mutex<Waiters>,
    outbox: Outbox,
    next_opaque: AtomicI32,
    /// Frames read so far: silence since a request was written means a dead peer.
    frames_read: AtomicU64,
    stop: Notify,
    closed: watch::Sender<bool>,
}

/// A handle to one connection; clones share it. Dropping handles does not close it, [`Connection::close`] does.
#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

/// Takes the waiter out again when the caller stops waiting.
struct Waiting<'a> {
    shared: &'a Shared,
    opaque: i32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.take_waiter(self.opaque);
    }
}

impl Shared {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails everything that waits, and everything to come. The first reason stays.
    fn poison(&self, reason: ClientError) {
        let mut waiters = self.waiters();
        if !matches!(&*waiters, Waiters::Poisoned(_)) {
            *waiters = Waiters::Poisoned(reason);
        }
    }

    /// Whoever waits for this answer; nobody waits any more.
    fn take_waiter(&self, opaque: i32) -> Option<oneshot::Sender<Command>> {
        let mut waiters = self.waiters();
        match &mut *waiters {
            Waiters::Open(answers) => answers.remove(&opaque),
            Waiters::Leaving(answers) => {
                let waiter = answers.remove(&opaque);
                if answers.is_empty() {
                    *waiters = Waiters::Poisoned(self.left());
                    self.stop.notify_one();
                }
                waiter
            }
            Waiters::Poisoned(_) => None,
        }
    }

    fn left(&self) -> ClientError {
        self.ended("was given up, as its server had asked for")
    }

    fn failure(&self) -> ClientError {
        match &*self.waiters() {
            Waiters::Poisoned(reason) => reason.clone(),
            Waiters::Open(_) | Waiters::Leaving(_) => self.ended("was closed"),
        }
    }

    fn ended(&self, what: &str) -> ClientError {
        ClientError::new(Code::Connection, format!("the connection to {} {what}", self.address))
            .with_address(&self.address)
    }
}

impl Connection {
    /// Takes over a connected stream and starts to read.
    #[cfg(test)]
    pub(crate) fn new<S>(address: &str, stream: S, inbound: Arc<dyn Inbound>) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        Self::from_halves(address, Box::pin(reader), Box::pin(writer), inbound)
    }

    /// As `new`, for streams that split without a lock.
    pub(crate) fn from_halves<R, W>(address: &str, reader: R, writer: W, inbound: Arc<dyn Inbound>) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            waiters: Mutex::new(Waiters::Open(HashMap::new())),
            outbox: Outbox::new(writer),
            next_opaque: AtomicI32::new(1),
            frames_read: AtomicU64::new(0),
            stop: Notify::new(),
            closed: watch::Sender::new(false),
        });
        let connection = Self { shared };
        env::spawn(connection.clone().run(reader, inbound));
        connection
    }

    /// Where it leads, `host:port` as it was asked for.
    pub(crate) fn address(&self) -> &str {
        &self.shared.address
    }

    /// True once the connection takes no more requests.
    pub(crate) fn is_closed(&self) -> bool {
        !matches!(&*self.shared.waiters(), Waiters::Open(_))
    }

    /// Waits for the end of the connection.
    pub(crate) async fn closed(&self) {
        // The sender lives in `shared`, so this cannot fail while `self` does.
        let _ = self.shared.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Why it ended.
    pub(crate) fn reason(&self) -> ClientError {
        self.shared.failure()
    }

    /// Sends a request and awaits its answer until `deadline`.
    ///
    /// When nothing at all was read since the request was written, a time-out also ends the connection: its peer is dead.
    pub(crate) async fn call(&self, mut command: Command, deadline: Instant) -> Result<Command, CallFailure> {
        let shared = &*self.shared;
        command.opaque = shared.next_opaque.fetch_add(1, Ordering::Relaxed);
        let opaque = command.opaque;
        let pieces = pieces(&command).map_err(|error| {
            let text = format!("{} cannot be encoded: {error}", request::name(command.code));
            CallFailure::NotSent(ClientError::new(Code::InvalidArgument, text))
        })?;
        let (sender, answer) = oneshot::channel();
        match &mut *shared.waiters() {
            Waiters::Open(waiters) => _ = waiters.insert(opaque, sender),
            Waiters::Leaving(_) => return Err(CallFailure::NotSent(shared.left())),
            Waiters::Poisoned(reason) => return Err(CallFailure::NotSent(reason.clone())),
        }
        let _waiting = Waiting { shared, opaque };
        let read_before = shared.frames_read.load(Ordering::Relaxed);
        let began = env::now();
        if let Err(error) = shared.outbox.send(pieces) {
            shared.poison(shared.ended(&format!("failed while writing: {error}")));
            shared.stop.notify_one();
            return Err(CallFailure::Unanswered(shared.failure()));
        }
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) => Err(CallFailure::Unanswered(shared.failure())),
            Err(_) => {
                let waited = env::now().duration_since(began);
                if shared.frames_read.load(Ordering::Relaxed) == read_before && waited >= Duration::from_millis(100) {
                    self.end(shared.ended(&format!("gave no sign of life for {} ms", waited.as_millis())));
                }
                let text = format!(
                    "{} gave no answer to {} within {} ms",
                    shared.address,
                    request::name(command.code),
                    waited.as_millis()
                );
                Err(CallFailure::Unanswered(ClientError::new(Code::Timeout, text).with_address(&shared.address)))
            }
        }
    }

    /// Sends the answer to a request of the peer. A peer that is gone by now misses it.
    pub(crate) fn respond(&self, response: &Command) {
        if let Ok(pieces) = pieces(response)
            && let Err(error) = self.shared.outbox.send(pieces)
        {
            self.end(self.shared.ended(&format!("failed while writing: {error}")));
        }
    }

    /// Ends the connection; pending requests fail.
    pub(crate) fn close(&self) {
        self.end(self.shared.ended("was closed by this client"));
    }

    /// Takes no more requests; those that wait may still be answered, and then the connection ends.
    pub(crate) fn retire(&self) {
        let mut waiters = self.shared.waiters();
        if let Waiters::Open(answers) = &mut *waiters {
            *waiters = Waiters::Leaving(std::mem::take(answers));
        }
        drop(waiters);
        // Its own number is never used: with nobody waiting this is the end.
        self.shared.take_waiter(0);
    }

    /// Ends the connection for this reason.
    pub(crate) fn end(&self, reason: ClientError) {
        self.shared.poison(reason);
        self.shared.stop.notify_one();
    }

    async fn run(self, mut reader: impl AsyncRead + Send + Unpin + 'static, inbound: Arc<dyn Inbound>) {
        let shared = &self.shared;
        let reason = tokio::select! {
            reason = self.read(&mut reader, &*inbound) => reason,
            error = shared.outbox.run() => shared.ended(&format!("failed while writing: {error}")),
            () = shared.stop.notified() => shared.failure(),
        };
        shared.poison(reason);
        // Half a second is plenty for a FIN; a dead peer must not hold the task.
        let _ = tokio::time::timeout(Duration::from_millis(500), shared.outbox.shut_down()).await;
        // A closed client lives on until JavaScript's garbage collector finds it; its sockets must not.
        drop(reader);
        shared.outbox.release();
        shared.closed.send_replace(true);
    }

    /// Reads frames until the stream ends; says why it did.
    async fn read(&self, reader: &mut (impl AsyncRead + Send + Unpin), inbound: &dyn Inbound) -> ClientError {
        let shared = &self.shared;
        let mut buffer = BytesMut::with_capacity(READ_CHUNK);
        loop {
            if self.is_new() && foreign::is_http2(&buffer) {
                return self.foreign(&buffer, "HTTP/2");
            }
            loop {
                match frame::decode(&mut buffer) {
                    Ok(Some(command)) => self.dispatch(command, inbound),
                    Ok(None) => break,
                    Err(error) => return self.foreign(&buffer, &error.to_string()),
                }
            }
            buffer.reserve(READ_CHUNK);
            match reader.read_buf(&mut buffer).await {
                Ok(0) if self.is_new() && foreign::speaker(&buffer).is_some() => return self.foreign(&buffer, ""),
                Ok(0) if self.is_new() => {
                    return shared.ended(
                        "was closed by the peer before it had answered anything: is it a RocketMQ port, and does it take connections \
                         without TLS?",
                    );
                }
                Ok(0) => return shared.ended("was closed by the peer"),
                Ok(_) => {}
                Err(error) => return shared.ended(&format!("failed: {error}")),
            }
        }
    }

    /// Whether the peer has not said anything yet that can be understood.
    fn is_new(&self) -> bool {
        self.shared.frames_read.load(Ordering::Relaxed) == 0
    }

    /// The peer does not speak the protocol, or no longer does.
    fn foreign(&self, said: &[u8], error: &str) -> ClientError {
        let address = &self.shared.address;
        let text = match foreign::speaker(said) {
            Some(what) if self.is_new() => format!(
                "{address} does not speak RocketMQ's remoting protocol: {what}. Name servers listen on port 9876, brokers on 10911"
            ),
            _ => format!("{address} broke the protocol: {error}"),
        };
        ClientError::new(Code::Protocol, text).with_address(address)
    }

    fn dispatch(&self, command: Command, inbound: &dyn Inbound) {
        self.shared.frames_read.fetch_add(1, Ordering::Relaxed);
        if !command.is_response() {
            return inbound.request(self, command);
        }
        // No waiter: the caller stopped waiting.
        if let Some(waiter) = self.shared.take_waiter(command.opaque) {
            let _ = waiter.send(command);
        }
    }
}

/// A frame in two pieces, so that a large body is not copied.
fn pieces(command: &Command) -> Result<[Bytes; 2], FrameError> {
    let mut head = BytesMut::with_capacity(512);
    frame::encode_head(command, Codec::Json, &mut head)?;
    Ok([head.freeze(), command.body.clone()])
}

#[cfg(test)]
mod tests;
