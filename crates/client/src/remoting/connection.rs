//! One connection: many requests at once, each answered by its number (`opaque`).
//!
//! Who closes what: the reader task ends when the peer hangs up or breaks the protocol, when a write fails, or when `close` is
//! called. Whatever ends it poisons the waiters first, so that every pending request fails in that moment and no later one is
//! accepted; then its shutdown is over.

use super::foreign;
use super::life::{Arrival, Life};
use super::outbox::{Class, Departure, Outbox, Rejected, Writer};
use super::tls::Trouble;
use super::waiters::{Answers, Waiter};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::{Codec, Command, FrameError, frame};
use crate::shutdown::Shutdown;
use crate::sync::{Mutex, MutexGuard};
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Notify;

/// What a read buffer starts with and grows by.
const READ_CHUNK: usize = 64 * 1024;

/// Of a peer that hangs up at once: without a word, or in the middle of ours.
const SHUT: &str = "was closed by the peer before it had answered anything: is it a RocketMQ port, and does it take connections of this kind, \
                    with TLS or without?";

/// Takes the requests that the peer makes of us. Must not block.
pub(crate) trait Inbound: Send + Sync + 'static {
    /// A request of the peer; answer it with [`Connection::respond`] unless it is one-way.
    fn request(&self, connection: &Connection, command: Command);
}

pub(super) enum Waiters {
    Open(Answers),
    /// Takes no more requests, and ends with the last answer.
    Leaving(Answers),
    Poisoned(ClientError),
}

pub(super) struct Inner {
    pub(super) address: String,
    waiters: Mutex<Waiters>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) life: Life,
    pub(super) next_opaque: AtomicI32,
    /// Frames read so far: until the first, it is unknown what the peer speaks.
    frames_read: AtomicU64,
    /// A request's time has to be looked at earlier than the tick would.
    pub(super) tick: Notify,
    stop: Notify,
    /// Leaving, it takes no more requests and still answers.
    shutdown: Shutdown,
}

/// A handle to one connection; clones share it. Dropping handles does not close it, [`Connection::close`] does.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(super) inner: Arc<Inner>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails everything that waits, and everything to come. The first reason stays.
    pub(super) fn poison(&self, reason: &ClientError) {
        let before = {
            let mut waiters = self.waiters();
            if matches!(&*waiters, Waiters::Poisoned(_)) {
                return;
            }
            std::mem::replace(&mut *waiters, Waiters::Poisoned(reason.clone()))
        };
        // Without the lock: who learns of it may ask for something else.
        if let Waiters::Open(answers) | Waiters::Leaving(answers) = before {
            answers.into_waiters().for_each(|waiter| self.forsake(waiter, reason.clone()));
        }
    }

    /// Whoever waits for this answer; nobody waits any more.
    pub(super) fn take_waiter(&self, opaque: i32) -> Option<Waiter> {
        let mut waiters = self.waiters();
        match &mut *waiters {
            Waiters::Open(answers) => answers.remove(opaque),
            Waiters::Leaving(answers) => {
                let waiter = answers.remove(opaque);
                if answers.is_empty() {
                    *waiters = Waiters::Poisoned(self.left());
                    self.stop.notify_one();
                }
                waiter
            }
            Waiters::Poisoned(_) => None,
        }
    }

    /// Whether nothing is sent or taken any more.
    fn is_poisoned(&self) -> bool {
        matches!(&*self.waiters(), Waiters::Poisoned(_))
    }

    pub(super) fn left(&self) -> ClientError {
        self.ended("was given up, as its server had asked for")
    }

    pub(super) fn failure(&self) -> ClientError {
        match &*self.waiters() {
            Waiters::Poisoned(reason) => reason.clone(),
            Waiters::Leaving(_) => self.left(),
            Waiters::Open(_) => self.ended("was closed"),
        }
    }

    pub(super) fn ended(&self, what: &str) -> ClientError {
        ClientError::new(Code::Connection, format!("the connection to {} {what}", self.address))
            .with_address(&self.address)
    }
}

impl Connection {
    /// Takes over a connected stream and starts to read.
    #[cfg(test)]
    pub(crate) fn new<S>(address: &str, stream: S, inbound: Arc<dyn Inbound>) -> Self
    where
        S: AsyncRead + tokio::io::AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        Self::from_halves(address, Box::pin(reader), writer, inbound)
    }

    /// As `new`, for streams that split without a lock.
    pub(crate) fn from_halves<R, W>(address: &str, reader: R, writer: W, inbound: Arc<dyn Inbound>) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: Writer,
    {
        let inner = Arc::new(Inner {
            address: address.to_owned(),
            waiters: Mutex::new(Waiters::Open(Answers::default())),
            outbox: Outbox::new(writer),
            life: Life::new(),
            next_opaque: AtomicI32::new(1),
            frames_read: AtomicU64::new(0),
            tick: Notify::new(),
            stop: Notify::new(),
            shutdown: Shutdown::default(),
        });
        let connection = Self { inner };
        env::spawn(connection.clone().run(reader, inbound));
        connection
    }

    /// Where it leads, `host:port` as it was asked for.
    pub(crate) fn address(&self) -> &str {
        &self.inner.address
    }

    /// Whether both lead to the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// True once the connection takes no more requests.
    pub(crate) fn is_closed(&self) -> bool {
        !matches!(&*self.inner.waiters(), Waiters::Open(_))
    }

    /// Waits for the end of the connection.
    #[cfg(test)]
    pub(crate) async fn closed(&self) {
        self.inner.shutdown.over().await;
    }

    /// Waits until the connection takes no more requests, for whatever reason; one that was [retired](Self::retire) still answers.
    pub(crate) async fn left(&self) {
        self.inner.shutdown.left().await;
    }

    /// Why it ended, or takes no more requests.
    pub(crate) fn reason(&self) -> ClientError {
        self.inner.failure()
    }

    /// Sends the answer to a request of the peer. A peer that is gone by now misses it; one that asks on and on and does not read what it
    /// is answered ends the connection: to stop reading instead would stop the answers to our own requests.
    pub(crate) fn respond(&self, response: &Command) {
        if self.inner.is_poisoned() {
            return;
        }
        let Ok(pieces) = pieces(response) else { return };
        match self.inner.outbox.send(pieces, Class::Answer, Arc::new(Departure::default())) {
            Ok(()) => {}
            Err(Rejected::Failed(error)) => self.end(&self.inner.ended(&format!("failed while writing: {error}"))),
            Err(Rejected::Unread(bytes)) => self.end(&self.inner.ended(&format!(
                "was given up: the server asks, and does not read the answers, of which {bytes} bytes wait"
            ))),
        }
    }

    /// Ends the connection; pending requests fail.
    pub(crate) fn close(&self) {
        self.end(&self.inner.ended("was closed by this client"));
    }

    /// Takes no more requests; those that wait may still be answered, and then the connection ends.
    pub(crate) fn retire(&self) {
        let mut waiters = self.inner.waiters();
        if let Waiters::Open(answers) = &mut *waiters {
            *waiters = Waiters::Leaving(std::mem::take(answers));
        }
        drop(waiters);
        self.inner.outbox.shut();
        self.inner.shutdown.leave();
        // Its own number is never used: with nobody waiting this is the end.
        self.inner.take_waiter(0);
    }

    /// Ends the connection for this reason.
    pub(super) fn end(&self, reason: &ClientError) {
        self.inner.poison(reason);
        self.inner.stop.notify_one();
    }

    async fn run(self, mut reader: impl AsyncRead + Send + Unpin + 'static, inbound: Arc<dyn Inbound>) {
        let inner = &self.inner;
        let work = async {
            tokio::select! {
                reason = self.read(&mut reader, &*inbound) => reason,
                error = inner.outbox.run() => inner.ended(&format!("failed while writing: {error}")),
                reason = inner.tick() => reason,
                () = inner.stop.notified() => inner.failure(),
            }
        };
        let reason = env::caught(work).await.unwrap_or_else(|panic| {
            let text = format!("the connection to {} has failed and is given up", inner.address);
            ClientError::panicked(&text, &panic).with_address(&inner.address)
        });
        inner.poison(&reason);
        inner.outbox.shut();
        // Half a second is plenty for a FIN; a dead peer must not hold the task.
        let _ = tokio::time::timeout(Duration::from_millis(500), inner.outbox.shut_down()).await;
        // A closed client lives on until JavaScript's garbage collector finds it; its sockets must not.
        drop(reader);
        inner.outbox.release();
        inner.shutdown.end();
    }

    /// Reads frames until the stream ends; says why it did.
    async fn read(&self, reader: &mut (impl AsyncRead + Send + Unpin), inbound: &dyn Inbound) -> ClientError {
        let inner = &self.inner;
        let mut buffer = BytesMut::with_capacity(READ_CHUNK);
        let mut arrival = Arrival::default();
        loop {
            if self.is_new() && foreign::is_http2(&buffer) {
                return self.foreign(&buffer, "HTTP/2");
            }
            let mut any_whole = false;
            loop {
                match frame::decode(&mut buffer) {
                    Ok(Some(command)) => self.dispatch(command, inbound),
                    Ok(None) => break,
                    Err(error) => return self.foreign(&buffer, &error.to_string()),
                }
                any_whole = true;
            }
            arrival.read(!buffer.is_empty(), any_whole, inner.life.last_came());
            buffer.reserve(READ_CHUNK);
            match reader.read_buf(&mut buffer).await {
                Ok(0) if self.is_new() && foreign::speaker(&buffer).is_some() => return self.foreign(&buffer, ""),
                Ok(0) if self.is_new() => return inner.ended(SHUT),
                Err(error) if self.is_new() && error.kind() == io::ErrorKind::ConnectionReset => {
                    return inner.ended(SHUT);
                }
                Ok(0) => return inner.ended("was closed by the peer"),
                Ok(_) => arrival.bytes(&inner.life, env::now()),
                Err(error) => match Trouble::behind(&error) {
                    Some(trouble) => return trouble.with(&inner.address),
                    None => return inner.ended(&format!("failed: {error}")),
                },
            }
        }
    }

    /// Whether the peer has not said anything yet that can be understood.
    fn is_new(&self) -> bool {
        self.inner.frames_read.load(Ordering::Relaxed) == 0
    }

    /// The peer does not speak the protocol, or no longer does.
    fn foreign(&self, said: &[u8], error: &str) -> ClientError {
        let address = &self.inner.address;
        let text = match foreign::speaker(said) {
            Some(what) if self.is_new() => format!(
                "{address} does not speak RocketMQ's remoting protocol: {what}. Name servers listen on port 9876, brokers on 10911"
            ),
            _ => format!("{address} broke the protocol: {error}"),
        };
        ClientError::new(Code::Protocol, text).with_address(address)
    }

    fn dispatch(&self, command: Command, inbound: &dyn Inbound) {
        self.inner.frames_read.fetch_add(1, Ordering::Relaxed);
        if !command.is_response() {
            return inbound.request(self, command);
        }
        // No waiter: the caller stopped waiting.
        if let Some(waiter) = self.inner.take_waiter(command.opaque) {
            waiter.tell(Ok(command));
        }
    }
}

/// A frame in two pieces, so that a large body is not copied.
pub(super) fn pieces(command: &Command) -> Result<[Bytes; 2], FrameError> {
    let mut head = BytesMut::with_capacity(512);
    frame::encode_head(command, Codec::Json, &mut head)?;
    Ok([head.freeze(), command.body.clone()])
}

#[cfg(test)]
mod tests;
