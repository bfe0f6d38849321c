//! One connection per address, opened when first needed and again after it ended.

use super::connection::{Connection, Inbound};
use super::tls::{Tls, Trouble};
use crate::env::{self, Backoff, Instant, JoinSet};
use crate::error::{ClientError, Code};
use crate::shutdown::Shutdown;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// First and longest pause between two attempts to reach one address.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// What happens on a new connection before anybody may use it, and what is told of its life.
pub(crate) trait Greeter: Send + Sync + 'static {
    /// Why there is no connection: ours, or what the greeting was answered.
    type Failure: From<ClientError> + Send + 'static;
    /// Introduces us to the peer. A failure ends the connection and is what the waiting caller gets.
    fn greet(
        &self,
        connection: &Connection,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;
    /// What to look at when such a peer cannot be reached.
    fn advice(&self) -> &'static str;
    /// A connection is about to be made.
    fn connecting(&self, _address: &str) {}
    /// No connection came of it; without a reason where nobody has waited for it any longer.
    fn unconnected(&self, _address: &str, _why: Option<&Self::Failure>) {}
    /// A connection is ready.
    fn connected(&self, address: &str);
    /// A connection that was ready has ended, or takes no more requests; told before another is ready.
    fn disconnected(&self, address: &str, reason: ClientError);
}

struct Attempt {
    connection: Option<Connection>,
    pause: Backoff,
    not_before: Option<Instant>,
}

struct Slot {
    address: String,
    /// Held while connecting, so that many callers make one connection.
    attempt: tokio::sync::Mutex<Attempt>,
    /// The connection in use, readable without waiting.
    ready: Mutex<Option<Connection>>,
    /// Why the last attempt to connect failed, if it did.
    failure: Mutex<Option<ClientError>>,
    /// How the last connection ended, until there is another.
    ended: Mutex<Option<ClientError>>,
    /// The connection in use, until it is told that it takes no more: before there is another.
    untold: Mutex<Option<Connection>>,
    /// How many connections have ended so far.
    losses: watch::Sender<u64>,
}

impl Slot {
    fn ready(&self) -> MutexGuard<'_, Option<Connection>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> MutexGuard<'_, Option<ClientError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, Option<ClientError>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way is there.
    fn reached(&self) {
        *self.failure() = None;
        *self.ended() = None;
    }

    /// There is a way, and what is there cannot be trusted, or does not trust us.
    fn insecure(&self, trouble: &Trouble) -> ClientError {
        let error = trouble.with(&self.address);
        *self.failure() = Some(error.clone());
        error
    }

    /// Why there is no connection.
    fn unreachable(&self, why: &str, advice: &str) -> ClientError {
        let error = unreachable(&self.address, why, advice);
        *self.failure() = Some(error.clone());
        error
    }

    fn untold(&self) -> MutexGuard<'_, Option<Connection>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection is ready.
    fn came(&self, connection: &Connection) {
        *self.untold() = Some(connection.clone());
        let mut ready = self.ready();
        *ready = Some(connection.clone());
        self.reached();
    }

    /// Tells once that the connection in use has ended, or takes no more; `of`: provided that it is this one.
    fn tell_end<G: Greeter>(&self, greeter: &G, of: Option<&Connection>) {
        // Held until it is told: nobody is told of the next connection before.
        let mut untold = self.untold();
        if let Some(connection) = untold.take_if(|it| of.is_none_or(|of| it.is(of))) {
            self.went(connection.reason());
            // Who is told may fail; there will be another connection all the same.
            let _ = env::caught_now(|| greeter.disconnected(&self.address, connection.reason()));
        }
    }

    /// A connection that was ready has ended; unless there is another by now, nothing leads there.
    fn went(&self, reason: ClientError) {
        let ready = self.ready();
        if ready.as_ref().is_none_or(Connection::is_closed) {
            *self.ended() = Some(reason);
        }
        self.losses.send_modify(|losses| *losses += 1);
    }
}

/// What it takes to open a connection.
struct Opener {
    /// For the way there, and once more for the handshake.
    connect_timeout: Duration,
    tls: Option<Tls>,
    inbound: Arc<dyn Inbound>,
    shutdown: Shutdown,
}

/// The connections of one client.
pub(crate) struct Pool {
    opener: Arc<Opener>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool, whose connections speak TLS where it is given; requests of peers go to `inbound`.
    pub(crate) fn new(connect_timeout: Duration, tls: Option<Tls>, inbound: Arc<dyn Inbound>) -> Self {
        let opener = Arc::new(Opener { connect_timeout, tls, inbound, shutdown: Shutdown::default() });
        Self { opener, slots: Mutex::default() }
    }

    fn slot(&self, address: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(address.to_owned()).or_insert_with(|| {
            let attempt = Attempt { connection: None, pause: Backoff::new(PAUSE.0, PAUSE.1), not_before: None };
            Arc::new(Slot {
                address: address.to_owned(),
                attempt: tokio::sync::Mutex::new(attempt),
                ready: Mutex::default(),
                failure: Mutex::default(),
                ended: Mutex::default(),
                untold: Mutex::default(),
                losses: watch::Sender::new(0),
            })
        });
        Arc::clone(slot)
    }

    /// Goes up by one whenever a ready connection to this address ends.
    pub(crate) fn losses(&self, address: &str) -> watch::Receiver<u64> {
        self.slot(address).losses.subscribe()
    }

    /// The connection to this address, if one is ready.
    pub(crate) fn ready(&self, address: &str) -> Option<Connection> {
        self.slot(address).ready().clone().filter(|connection| !connection.is_closed())
    }

    /// Why nothing leads to this address at the moment: the last attempt to connect has failed, or the last connection has ended.
    pub(crate) fn failure(&self, address: &str) -> Option<ClientError> {
        self.known(address, |slot| slot.failure().clone().or_else(|| slot.ended().clone()))
    }

    /// Why the last attempt to connect to this address failed, if it did.
    pub(crate) fn attempt_failure(&self, address: &str) -> Option<ClientError> {
        self.known(address, |slot| slot.failure().clone())
    }

    /// What is known of an address that somebody wanted to reach before.
    fn known<T>(&self, address: &str, of: impl FnOnce(&Slot) -> Option<T>) -> Option<T> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(address).and_then(|slot| of(slot))
    }

    /// The ready connections.
    pub(crate) fn open(&self) -> Vec<Connection> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter_map(|slot| slot.ready().clone()).filter(|connection| !connection.is_closed()).collect()
    }

    /// The connection to this address, opened and greeted if there is none.
    ///
    /// Attempts to one address follow each other with a growing, jittered pause; a caller waits through it until its `deadline`.
    /// A failure is one before the caller's own request was written.
    pub(crate) async fn connection<G: Greeter>(
        &self,
        address: &str,
        greeter: &Arc<G>,
        deadline: Instant,
    ) -> Result<Connection, G::Failure> {
        let slot = self.slot(address);
        if let Some(connection) = &*slot.ready()
            && !connection.is_closed()
        {
            return Ok(connection.clone());
        }
        // A task of its own, that ends with this call: it holds what all others wait for, and a caller may be a future that nobody
        // polls for a while, such as the pull of a queue that waits for its lock.
        let mut connecting = JoinSet::new();
        let (opener, wanted, with) = (Arc::clone(&self.opener), Arc::clone(&slot), Arc::clone(greeter));
        connecting.spawn(async move {
            let connected = env::caught(opener.connect(&wanted, &with, deadline));
            tokio::time::timeout_at(deadline, connected).await.ok()
        });
        match connecting.join_next().await {
            Some(Ok(Some(Ok(result)))) => return result,
            Some(Ok(Some(Err(panic)))) => {
                let text = format!("connecting to {address} has failed");
                return Err(ClientError::panicked(&text, &panic).with_address(address).into());
            }
            _ => {}
        }
        let known = slot.failure().clone();
        Err(known.unwrap_or_else(|| unreachable(address, "no connection in time", greeter.advice())).into())
    }

    /// Ends every connection and opens no more.
    pub(crate) fn close(&self) {
        self.opener.shutdown.end();
        for connection in self.open() {
            connection.close();
        }
    }
}

impl Opener {
    async fn connect<G: Greeter>(
        &self,
        slot: &Arc<Slot>,
        greeter: &Arc<G>,
        deadline: Instant,
    ) -> Result<Connection, G::Failure> {
        let mut attempt = slot.attempt.lock().await;
        if self.shutdown.is_over() {
            return Err(ClientError::new(Code::Closed, "the client is closed").into());
        }
        if let Some(connection) = attempt.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        slot.tell_end(&**greeter, None);
        if let Some(not_before) = attempt.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        // Set first: a caller that gives up in the middle counts as a failed attempt.
        attempt.not_before = Some(env::now() + attempt.pause.next());
        let told = ToldOf::begin(&**greeter, &slot.address);
        let result = self.open(slot, &mut attempt, greeter, deadline).await;
        told.end(&result);
        result
    }

    /// Makes the connection, and greets the peer.
    async fn open<G: Greeter>(
        &self,
        slot: &Arc<Slot>,
        attempt: &mut Attempt,
        greeter: &Arc<G>,
        deadline: Instant,
    ) -> Result<Connection, G::Failure> {
        let socket = match tokio::time::timeout(self.connect_timeout, env::connect(&slot.address)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(slot.unreachable(&error.to_string(), greeter.advice()).into()),
            Err(_) => {
                let text = format!("no connection within {} ms", self.connect_timeout.as_millis());
                return Err(slot.unreachable(&text, greeter.advice()).into());
            }
        };
        let (reader, writer) = socket.into_split();
        let inbound = Arc::clone(&self.inbound);
        let connection = match &self.tls {
            None => Connection::from_halves(&slot.address, reader, writer, inbound),
            Some(tls) => {
                let secured = tokio::time::timeout(self.connect_timeout, tls.secure(&slot.address, reader, writer));
                let late = Trouble::late(self.connect_timeout);
                match secured.await.unwrap_or(Err(late)) {
                    Ok((reader, writer)) => Connection::from_halves(&slot.address, reader, writer, inbound),
                    Err(trouble) => return Err(slot.insecure(&trouble).into()),
                }
            }
        };
        let ending = EndUnlessReady(Some(&connection));
        if let Err(failure) = greeter.greet(&connection, deadline).await {
            // What is wrong with the greeting, the greeter knows.
            slot.reached();
            return Err(failure);
        }
        ending.ready();
        attempt.connection = Some(connection.clone());
        attempt.pause.reset();
        attempt.not_before = None;
        slot.came(&connection);
        if self.shutdown.is_over() {
            connection.close();
        }
        let _ = env::caught_now(|| greeter.connected(&slot.address));
        let (slot, greeter, watched) = (Arc::clone(slot), Arc::clone(greeter), connection.clone());
        env::spawn(async move {
            watched.left().await;
            slot.tell_end(&*greeter, Some(&watched));
        });
        Ok(connection)
    }
}

/// Tells of an attempt to connect how it ends, also when the caller gave up in between. Of its success the connection's own life tells.
struct ToldOf<'a, G: Greeter> {
    greeter: &'a G,
    address: &'a str,
    is_over: bool,
}

impl<'a, G: Greeter> ToldOf<'a, G> {
    fn begin(greeter: &'a G, address: &'a str) -> Self {
        let _ = env::caught_now(|| greeter.connecting(address));
        Self { greeter, address, is_over: false }
    }

    fn end(mut self, result: &Result<Connection, G::Failure>) {
        self.is_over = true;
        if let Err(why) = result {
            let _ = env::caught_now(|| self.greeter.unconnected(self.address, Some(why)));
        }
    }
}

impl<G: Greeter> Drop for ToldOf<'_, G> {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = env::caught_now(|| self.greeter.unconnected(self.address, None));
        }
    }
}

/// Ends a connection that was opened but never became ready, also when the caller gave up in between.
struct EndUnlessReady<'a>(Option<&'a Connection>);

impl EndUnlessReady<'_> {
    fn ready(mut self) {
        self.0 = None;
    }
}

impl Drop for EndUnlessReady<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.close();
        }
    }
}

fn unreachable(address: &str, why: &str, advice: &str) -> ClientError {
    ClientError::new(Code::Connection, format!("cannot reach {address}: {why}. {advice}")).with_address(address)
}

#[cfg(test)]
mod tests;
