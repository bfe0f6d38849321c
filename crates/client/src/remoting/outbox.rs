//! The writing half of a connection.
//!
//! A frame is offered to the socket at once, by the task that sends it: no thread hop where the socket takes it all. What it does
//! not take waits here for the writer task. Frames are never interleaved and never cut by a cancelled sender.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;
use tokio::sync::Notify;

/// How many pieces go into one system call.
const PIECES: usize = 64;

struct State {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    waiting: VecDeque<Bytes>,
}

impl State {
    /// Writes until nothing waits, the socket is full, or it fails.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let mut slices = [io::IoSlice::new(&[]); PIECES];
            let mut used = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.waiting) {
                *slice = io::IoSlice::new(piece);
                used += 1;
            }
            let written = match Pin::new(&mut self.writer).poll_write_vectored(context, &slices[..used]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            self.forget(written);
        }
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn forget(&mut self, mut written: usize) {
        while let Some(piece) = self.waiting.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.waiting.pop_front();
        }
    }
}

/// What waits to be written, and the socket's writing half.
pub(super) struct Outbox {
    state: Mutex<State>,
    more: Notify,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    pub(super) fn new(writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        let state = State { writer: Box::new(writer), waiting: VecDeque::new() };
        Self { state: Mutex::new(state), more: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one frame, given in pieces. Never waits; an error means that the socket has failed.
    pub(super) fn send(&self, pieces: impl IntoIterator<Item = Bytes>) -> io::Result<()> {
        let mut state = self.lock();
        let idle = state.waiting.is_empty();
        state.waiting.extend(pieces.into_iter().filter(|piece| !piece.is_empty()));
        if idle {
            match state.advance(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => return result,
                Poll::Pending => {}
            }
        }
        drop(state);
        self.more.notify_one();
        Ok(())
    }

    /// Writes what `send` could not; ends only when the socket fails.
    pub(super) async fn run(&self) -> io::Error {
        loop {
            self.more.notified().await;
            if let Err(error) = std::future::poll_fn(|context| self.lock().advance(context)).await {
                return error;
            }
        }
    }

    /// Tells the peer that nothing more will come.
    pub(super) async fn shut_down(&self) {
        // A peer that is gone already has no use for it.
        let _ = std::future::poll_fn(|context| Pin::new(&mut self.lock().writer).poll_shutdown(context)).await;
    }

    /// Lets go of the socket, whoever still holds the connection.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        state.writer = Box::new(tokio::io::sink());
        state.waiting.clear();
    }
}
