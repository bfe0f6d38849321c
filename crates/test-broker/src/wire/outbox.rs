//! The writing half of a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;

use crate::env::{self, Instant, Socket};
use crate::faults::requests_seen::Asked;
use crate::state::cluster::Shared;

/// One request's way through the statistics; dropped without an answer, it was never answered.
pub(crate) struct Flight {
    pub(crate) shared: Arc<Shared>,
    pub(crate) number: u64,
    pub(crate) asked: Option<Asked>,
}

impl std::fmt::Debug for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Flight").field(&self.number).finish()
    }
}

impl Flight {
    fn land(&mut self, answered: Option<i64>) {
        if let Some(asked) = self.asked.take() {
            self.shared.lock().seen.over(self.number, &asked, answered);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.land(None);
    }
}

/// Bytes on their way to the client.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Bytes,
    /// The connection ends behind them.
    pub(crate) last: bool,
    pub(crate) flight: Option<Flight>,
}

impl Outgoing {
    /// A request of the broker's own.
    pub(crate) fn push(bytes: Bytes) -> Self {
        Self { bytes, last: false, flight: None }
    }
}

/// Writes what comes, until the socket or the outbox ends.
pub(crate) async fn write(
    mut socket: WriteHalf<Socket>,
    mut outbox: mpsc::Receiver<Outgoing>,
    opened: Instant,
    active: Arc<AtomicU64>,
) {
    while let Some(outgoing) = outbox.recv().await {
        // First: whoever has the answer must find it noted, and its next request of a key alone.
        if let Some(mut flight) = outgoing.flight {
            flight.land(Some(env::wall_ms()));
        }
        if socket.write_all(&outgoing.bytes).await.is_err() {
            return;
        }
        active.store(since(opened), Ordering::Relaxed);
        if outgoing.last {
            let _ = socket.shutdown().await;
            return;
        }
    }
}

/// Milliseconds since a connection was opened.
pub(crate) fn since(opened: Instant) -> u64 {
    u64::try_from(env::now().saturating_duration_since(opened).as_millis()).unwrap_or(u64::MAX)
}
