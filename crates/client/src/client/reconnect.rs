//! The ways to the servers in use: one that is lost is found again without waiting for somebody to need it, and what is known of the
//! routes is looked at again at once.

use super::Client;
use super::call::CallError;
use crate::env::{self, Backoff, JoinSet};
use crate::error::Code;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// First and longest pause between two attempts to mend the way to one broker.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// What has not been found for so long is sought less often.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two attempts from then on.
const SELDOM: Duration = Duration::from_secs(10);

/// What was lost.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lost {
    /// The way to the broker at this address.
    Broker(String),
    /// The way to a name server.
    NameServer,
}

/// Where losses are told, and heard.
pub(super) struct Reconnect {
    losses: mpsc::UnboundedSender<Lost>,
    heard: Mutex<Option<mpsc::UnboundedReceiver<Lost>>>,
    /// Brokers to which a way is being sought: a loss is told once.
    mending: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconnect").finish_non_exhaustive()
    }
}

impl Reconnect {
    pub(super) fn new() -> Self {
        let (losses, heard) = mpsc::unbounded_channel();
        Self { losses, heard: Mutex::new(Some(heard)), mending: Mutex::default() }
    }

    /// Tells of a loss; never blocks. Nobody hears it once the client is closed.
    pub(super) fn lost(&self, lost: Lost) {
        if let Lost::Broker(address) = &lost
            && !self.mending().insert(address.clone())
        {
            return;
        }
        let _ = self.losses.send(lost);
    }

    /// The outcome of something asked of a broker, which may show that the way there is lost.
    pub(super) fn note<T>(&self, address: &str, outcome: &Result<T, CallError>) {
        if outcome.as_ref().is_err_and(shows_loss) {
            self.lost(Lost::Broker(address.to_owned()));
        }
    }

    fn mending(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.mending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The losses, taken out while somebody listens.
struct Heard<'a>(&'a Client, Option<mpsc::UnboundedReceiver<Lost>>);

impl Heard<'_> {
    async fn recv(&mut self) -> Option<Lost> {
        self.1.as_mut()?.recv().await
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        *self.0.reconnect.heard.lock().unwrap_or_else(PoisonError::into_inner) = self.1.take();
    }
}

/// An address whose way is being mended; it may be lost again once that has ended, however.
struct Mending<'a>(&'a Client, &'a str);

impl Drop for Mending<'_> {
    fn drop(&mut self) {
        self.0.reconnect.mending().remove(self.1);
    }
}

/// Mends until the client is closed.
pub(super) async fn run(client: Arc<Client>) {
    let Some(heard) = client.reconnect.heard.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    // Given back for whoever follows after a panic.
    let mut heard = Heard(&client, Some(heard));
    let mut mending = JoinSet::new();
    loop {
        tokio::select! {
            lost = heard.recv() => match lost {
                Some(Lost::Broker(address)) => _ = mending.spawn(kept(Arc::clone(&client), address)),
                // Another one may know more, or none may answer any more: either is worth knowing at once.
                Some(Lost::NameServer) => client.routes.refresh_all(),
                None => return,
            },
            Some(_) = mending.join_next() => {}
        }
    }
}

/// Seeks the way to one broker, whatever panics meanwhile.
async fn kept(client: Arc<Client>, address: String) {
    let seek = || mend(Arc::clone(&client), address.clone());
    env::kept(seek, |panic| client.tell_panic("seeking the way to a broker has failed and begins anew", &panic)).await;
}

/// Seeks the way to one broker, until it is found or nobody needs it.
async fn mend(client: Arc<Client>, address: String) {
    let mending = Mending(&client, &address);
    let mut pause = Backoff::new(PAUSE.0, PAUSE.1);
    let since = env::now();
    let denied = loop {
        // It may be elsewhere by now, or gone.
        client.routes.refresh_at(&address);
        let is_new = env::now() < since + PATIENCE;
        tokio::time::sleep(if is_new { pause.next() } else { env::jittered(SELDOM) }).await;
        if !client.in_use().contains(&address) {
            break false;
        }
        match Arc::clone(&client).beat(address.clone()).await.1 {
            Ok(()) => break false,
            // Asked again with the next heartbeat: the way is there, and a refusal is not mended in seconds.
            Err(error) if !shows_loss(&error) => break true,
            Err(_) => {}
        }
    };
    drop(mending);
    // Lost again before it could be told again.
    if !denied && !client.is_connected(&address) && client.in_use().contains(&address) {
        client.reconnect.lost(Lost::Broker(address));
    }
}

/// Whether a failed request shows that the way to its broker is lost.
fn shows_loss(error: &CallError) -> bool {
    match error {
        CallError::NotSent(error) | CallError::Unanswered(error) => {
            matches!(error.code(), Code::Connection | Code::Tls | Code::Timeout)
        }
        CallError::Refused { .. } | CallError::Malformed(_) => false,
    }
}
