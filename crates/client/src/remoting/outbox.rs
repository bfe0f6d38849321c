//! The writing half of a connection.
//!
//! A frame is offered to the socket at once, by the task that sends it: no thread hop where the socket takes it all. What it does
//! not take waits here for the writer task. Frames are never interleaved and never cut by a cancelled sender. Between frames, control
//! (locks, heartbeats, offsets, routes, answers) passes bulk (sends): on a thin line the megabytes of those last for seconds.
//!
//! Until its first byte is taken a frame can be withdrawn, and then it was never sent. A frame has left once its last byte is
//! acknowledged, where the system tells; elsewhere, once the socket has taken it.

use crate::env::{self, Instant, planted};
use crate::sync::{Mutex, MutexGuard};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;
use tokio::sync::{Notify, oneshot};

/// How many pieces go into one system call.
const PIECES: usize = 64;
/// There is room for another bulk frame while less than this waits here: enough for full system calls, and little enough that what waits
/// for room waits unsent, where it can still be changed or withdrawn, and not here.
const ROOM: usize = 64 * 1024;
/// So many that waited for room are let in before the first of them has used it.
const ENTRANTS: usize = 4;
/// Answers to a peer that does not read them may take so much; a single one of any size always has its place.
const ANSWERS: usize = 4 * 1024 * 1024;

/// The writing half of a socket.
pub(crate) trait Writer: AsyncWrite + Send + Unpin + 'static {
    /// How many of the bytes it took the peer's system has not acknowledged yet, where that is known.
    fn unacknowledged(&self) -> Option<u64> {
        None
    }
}

impl Writer for tokio::io::Sink {}

impl Writer for env::SocketWriter {
    fn unacknowledged(&self) -> Option<u64> {
        env::unacknowledged(self)
    }
}

#[cfg(test)]
impl<S: AsyncWrite + Send + 'static> Writer for tokio::io::WriteHalf<S> {}

/// What kind of frame it is, by who waits for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Small, and leases or order depend on its pace.
    Control,
    /// A send: may be large, and waits for room.
    Bulk,
    /// An answer to the peer; goes with control.
    Answer,
}

/// A frame that will not be written.
#[derive(Debug)]
pub(super) enum Rejected {
    /// The socket has failed.
    Failed(io::Error),
    /// The peer leaves so many bytes of answers unread.
    Unread(usize),
}

/// How far a frame has got; shared with whoever waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Departure {
    /// First byte taken by the socket.
    begun: OnceLock<()>,
    /// It will never be written; of whoever holds the lock of the outbox.
    withdrawn: OnceLock<()>,
    /// All of it taken by the socket, then.
    taken_at: OnceLock<Instant>,
    /// How many bytes the socket had taken with its last one, since the connection began.
    end: AtomicU64,
}

impl Departure {
    /// When its last byte was taken, provided that so many bytes, or more, have left.
    pub(super) fn taken_at(&self, left: u64) -> Option<Instant> {
        self.taken_at.get().copied().filter(|_| self.end.load(Ordering::Relaxed) <= left)
    }
}

/// How much has left so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Bytes.
    pub(super) bytes: u64,
    /// When the last of them was seen to.
    pub(super) at: Instant,
}

struct Frame {
    pieces: [Bytes; 2],
    class: Class,
    departure: Arc<Departure>,
}

impl Frame {
    fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

struct State {
    writer: Box<dyn Writer>,
    /// The frame of which the socket has taken a part.
    begun: VecDeque<Frame>,
    control: VecDeque<Frame>,
    bulk: VecDeque<Frame>,
    /// Bytes of all of them.
    unsent: usize,
    /// The writer has not taken all that it was offered, or keeps some of it: its task is awake when it goes on.
    is_behind: bool,
    /// Bytes of answers among them.
    answers: usize,
    taken: u64,
    left: Left,
    /// Those who wait for room, in order, and how many were let in and have not used it yet.
    waiting: VecDeque<oneshot::Sender<Entrance>>,
    entrants: usize,
    /// Nobody is let in any more.
    is_over: bool,
}

impl State {
    /// Writes until nothing waits, the socket is full, or it fails.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let advanced = self.write(context);
        self.is_behind = advanced.is_pending();
        advanced
    }

    fn write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unsent > 0 {
            let mut slices = [io::IoSlice::new(&[]); PIECES];
            let mut used = 0;
            let frames = self.begun.iter().chain(&self.control).chain(&self.bulk);
            let pieces = frames.flat_map(|frame| &frame.pieces).filter(|piece| !piece.is_empty());
            for (slice, piece) in slices.iter_mut().zip(pieces) {
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
        let now = env::now();
        self.unsent -= written;
        while written > 0 {
            let queues = [&mut self.begun, &mut self.control, &mut self.bulk];
            let Some(mut frame) = queues.into_iter().find_map(VecDeque::pop_front) else { return };
            let _ = frame.departure.begun.set(());
            for piece in &mut frame.pieces {
                let part = written.min(piece.len());
                piece.advance(part);
                written -= part;
                self.taken += part as u64;
                if frame.class == Class::Answer {
                    self.answers -= part;
                }
            }
            if frame.len() > 0 {
                self.begun.push_front(frame);
                return;
            }
            frame.departure.end.store(self.taken, Ordering::Relaxed);
            let _ = frame.departure.taken_at.set(now);
        }
    }

    /// Takes a frame out of which nothing was written.
    fn remove(&mut self, departure: &Arc<Departure>) {
        for queue in [&mut self.control, &mut self.bulk] {
            if let Some(index) = queue.iter().position(|frame| Arc::ptr_eq(&frame.departure, departure))
                && let Some(frame) = queue.remove(index)
            {
                self.unsent -= frame.len();
            }
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

/// Leave to write one bulk frame; given back when it is dropped.
pub(super) struct Entrance {
    /// None for one that did not have to wait.
    outbox: Option<Arc<Outbox>>,
}

impl Drop for Entrance {
    fn drop(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            let mut state = outbox.lock();
            state.entrants -= 1;
            outbox.let_in(&mut state);
        }
    }
}

impl Outbox {
    pub(super) fn new(writer: impl Writer) -> Arc<Self> {
        let state = State {
            writer: Box::new(writer),
            begun: VecDeque::new(),
            control: VecDeque::new(),
            bulk: VecDeque::new(),
            unsent: 0,
            is_behind: false,
            answers: 0,
            taken: 0,
            left: Left { bytes: 0, at: env::now() },
            waiting: VecDeque::new(),
            entrants: 0,
            is_over: false,
        };
        Arc::new(Self { state: Mutex::new(state), more: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one frame, given in two pieces. Never waits.
    pub(super) fn send(&self, pieces: [Bytes; 2], class: Class, departure: Arc<Departure>) -> Result<(), Rejected> {
        let frame = Frame { pieces, class, departure };
        let mut state = self.lock();
        if frame.departure.withdrawn.get().is_some() {
            // The connection has ended in this moment, and whoever waits was told.
            return Ok(());
        }
        let idle = !state.is_behind;
        if class == Class::Answer {
            if state.answers > ANSWERS {
                return Err(Rejected::Unread(state.answers));
            }
            state.answers += frame.len();
        }
        state.unsent += frame.len();
        match class {
            Class::Control | Class::Answer => state.control.push_back(frame),
            Class::Bulk => state.bulk.push_back(frame),
        }
        if idle {
            match state.advance(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => return result.map_err(Rejected::Failed),
                Poll::Pending => {}
            }
        }
        drop(state);
        if !planted("wake no writer") {
            self.more.notify_one();
        }
        Ok(())
    }

    /// Room for a bulk frame, if there is some and nobody has waited longer for it.
    pub(super) fn try_enter(&self) -> Option<Entrance> {
        let state = self.lock();
        let is_free = state.unsent < ROOM && state.waiting.is_empty() && !state.is_over;
        is_free.then_some(Entrance { outbox: None })
    }

    /// The same for one who waits, after those who came before. None once nobody is let in any more.
    pub(super) fn enter(self: &Arc<Self>) -> oneshot::Receiver<Entrance> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if !state.is_over {
            state.waiting.push_back(sender);
            self.let_in(&mut state);
        }
        receiver
    }

    fn let_in(self: &Arc<Self>, state: &mut State) {
        while state.unsent < ROOM && state.entrants < ENTRANTS {
            let Some(first) = state.waiting.pop_front() else { return };
            match first.send(Entrance { outbox: Some(Arc::clone(self)) }) {
                Ok(()) => state.entrants += 1,
                // It waits no more, and its entrance must not be given back: we hold the lock.
                Err(mut unused) => unused.outbox = None,
            }
        }
    }

    /// Lets nobody in any more; who waits for it is told.
    pub(super) fn shut(&self) {
        let waiting = {
            let mut state = self.lock();
            state.is_over = true;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }

    /// Takes a frame back, unless a part of it was written: true if it never will be.
    pub(super) fn withdraw(self: &Arc<Self>, departure: &Arc<Departure>) -> bool {
        let mut state = self.lock();
        if departure.begun.get().is_some() {
            return false;
        }
        let _ = departure.withdrawn.set(());
        state.remove(departure);
        self.let_in(&mut state);
        true
    }

    /// How much has left by now.
    pub(super) fn left(&self) -> Left {
        let mut state = self.lock();
        let bytes = state.taken - state.writer.unacknowledged().unwrap_or(0).min(state.taken);
        if bytes > state.left.bytes {
            state.left = Left { bytes, at: env::now() };
        }
        state.left
    }

    /// Writes what `send` could not; ends only when the socket fails.
    pub(super) async fn run(self: &Arc<Self>) -> io::Error {
        loop {
            self.more.notified().await;
            let written = std::future::poll_fn(|context| {
                let mut state = self.lock();
                let written = state.advance(context);
                self.let_in(&mut state);
                written
            });
            if let Err(error) = written.await {
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
        let state = &mut *self.lock();
        state.writer = Box::new(tokio::io::sink());
        for queue in [&mut state.begun, &mut state.control, &mut state.bulk] {
            queue.clear();
        }
        state.unsent = 0;
        state.answers = 0;
        state.is_over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_withdrawn_before_it_came_is_never_written() {
        let outbox = Outbox::new(tokio::io::sink());
        let send = |departure: &Arc<Departure>| {
            let pieces = [Bytes::from_static(b"head"), Bytes::from_static(b"body")];
            outbox.send(pieces, Class::Bulk, Arc::clone(departure)).unwrap();
        };
        let [withdrawn, other] = [Arc::new(Departure::default()), Arc::new(Departure::default())];
        assert!(outbox.withdraw(&withdrawn));
        send(&withdrawn);
        assert_eq!(outbox.left().bytes, 0);
        send(&other);
        assert_eq!(outbox.left().bytes, 8);
        assert!(!outbox.withdraw(&other));
    }
}
