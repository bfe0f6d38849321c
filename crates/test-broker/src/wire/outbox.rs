//! The writing half of a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::tls::Stream;
use crate::env::{self, Instant};
use crate::faults::requests_seen::Asked;
use crate::state::cluster::Shared;

/// Frames that wait to be written on one connection; then its requests wait, and pushes are lost.
const FRAMES: usize = 1024;
/// Bytes that wait there; a frame that is larger takes all of it.
const BYTES: u32 = 4 * 1024 * 1024;

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

/// What is written next, with its share of the bytes that may wait.
type Queued = (Outgoing, OwnedSemaphorePermit);

/// Where everything goes that a client is told.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    frames: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
}

impl Outbox {
    /// An outbox, and what [`write()`] takes from it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Queued>) {
        let (frames, queued) = mpsc::channel(FRAMES);
        (Self { frames, room: Arc::new(Semaphore::new(BYTES as usize)) }, queued)
    }

    /// Waits until there is room for it; false when the connection is over, or the client takes nothing for so long.
    pub(crate) async fn send(&self, outgoing: Outgoing, patience: Duration) -> bool {
        let bytes = share(&outgoing.bytes);
        let sent = async {
            let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.ok()?;
            self.frames.send((outgoing, room)).await.ok()
        };
        tokio::time::timeout(patience, sent).await.is_ok_and(|sent| sent.is_some())
    }

    /// Frames that wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.frames.max_capacity() - self.frames.capacity()
    }

    /// A request of the broker's own; nothing when the client does not read.
    pub(crate) fn push(&self, bytes: Bytes) {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(share(&bytes)) {
            let _ = self.frames.try_send((Outgoing { bytes, last: false, flight: None }, room));
        }
    }
}

fn share(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(BYTES).min(BYTES)
}

/// Writes what comes, until the socket or the outbox ends.
pub(crate) async fn write(
    mut socket: WriteHalf<Box<dyn Stream>>,
    mut outbox: mpsc::Receiver<Queued>,
    opened: Instant,
    active: Arc<AtomicU64>,
) {
    while let Some((outgoing, _room)) = outbox.recv().await {
        // First: whoever has the answer must find it noted, and its next request of a key alone.
        if let Some(mut flight) = outgoing.flight {
            flight.land(Some(env::wall_ms()));
        }
        // Flushed: what speaks TLS keeps a part.
        if socket.write_all(&outgoing.bytes).await.is_err() || socket.flush().await.is_err() {
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
