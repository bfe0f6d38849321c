//! Ends of connections, as `env` knows them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::hosts::Host;
use crate::line::{Direction, Line};
use crate::pipe::{Found, Pipe};

/// A connection, seen by both systems at once.
pub(crate) struct Connection {
    pub(crate) host: Host,
    pub(crate) server: SocketAddr,
    pub(crate) client: SocketAddr,
    pub(crate) line: Arc<Mutex<Line>>,
    pub(crate) state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) pipes: [Pipe; 2],
    /// How client and server were told that it is over: by a reset, or by silence.
    pub(crate) broken: [Option<io::ErrorKind>; 2],
}

impl Connection {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn line(&self) -> Line {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is over for one side, which is told; the other is when it writes.
    pub(crate) fn fail(&self, side: Direction, kind: io::ErrorKind) {
        let mut state = self.state();
        let (own, other) = (side.index(), 1 - side.index());
        state.broken[own].get_or_insert(kind);
        state.pipes[other].unread = true;
        // Its system sends nothing again.
        state.pipes[own].drop_flying();
        state.pipes.iter_mut().for_each(Pipe::wake);
    }
}

/// One end: of the client, whose bytes go up, or of the server.
struct End {
    connection: Arc<Connection>,
    sends: Direction,
}

impl End {
    fn receives(&self) -> usize {
        1 - self.sends.index()
    }

    /// The side whose error tells this end's.
    fn side(&self) -> usize {
        self.sends.index()
    }

    /// Whether its process may act: that of a server always does.
    fn acts(&self, context: &Context<'_>) -> bool {
        self.sends == Direction::Down || self.connection.host.acts(context)
    }

    fn close_reading(&self) {
        let mut state = self.connection.state();
        let pipe = &mut state.pipes[self.receives()];
        pipe.unread = true;
        let lost = pipe.has_unread();
        pipe.wake();
        if lost {
            // A system that throws away what was received says so.
            state.broken[1 - self.side()].get_or_insert(io::ErrorKind::ConnectionReset);
            state.pipes.iter_mut().for_each(Pipe::wake);
        }
    }

    fn close_writing(&self) {
        let line = self.connection.line();
        let mut state = self.connection.state();
        let pipe = &mut state.pipes[self.sends.index()];
        pipe.end(&line, Instant::now());
        pipe.wake();
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.acts(context) {
            return Poll::Pending;
        }
        let line = self.connection.line();
        let mut state = self.connection.state();
        if let Some(kind) = state.broken[self.side()] {
            return Poll::Ready(Err(kind.into()));
        }
        let is_cut = line.cut.contains(&true);
        let pipe = &mut state.pipes[self.sends.index()];
        if pipe.unread && !is_cut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = pipe.room().min(bytes.len());
        if count == 0 && !bytes.is_empty() {
            pipe.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        pipe.write(&bytes[..count], &line, Instant::now());
        if let Some(reader) = pipe.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(count))
    }
}

/// The end that reads.
pub struct SocketReader {
    end: End,
    next: Option<Pin<Box<Sleep>>>,
}

/// The end that writes.
pub struct SocketWriter(End);

/// Both.
#[derive(Debug)]
pub struct Socket {
    reader: SocketReader,
    writer: SocketWriter,
}

impl std::fmt::Debug for SocketReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketReader").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SocketWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketWriter").finish_non_exhaustive()
    }
}

impl Socket {
    pub(crate) fn new(connection: &Arc<Connection>, sends: Direction) -> Self {
        let end = || End { connection: Arc::clone(connection), sends };
        Self { reader: SocketReader { end: end(), next: None }, writer: SocketWriter(end()) }
    }

    /// Its halves.
    pub fn into_split(self) -> (SocketReader, SocketWriter) {
        (self.reader, self.writer)
    }

    /// As every socket here.
    pub fn set_nodelay(&self, _nodelay: bool) -> io::Result<()> {
        Ok(())
    }
}

/// How many of the written bytes the other system has not acknowledged yet.
pub fn unacknowledged(writer: &SocketWriter) -> u64 {
    let line = writer.0.connection.line();
    let way = writer.0.sends.index();
    writer.0.connection.state().pipes[way].unacknowledged(line.cut[way], Instant::now())
}

impl AsyncRead for SocketReader {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.end.acts(context) {
                return Poll::Pending;
            }
            let way = self.end.receives();
            let is_cut = self.end.connection.line().cut[way];
            let found = {
                let mut state = self.end.connection.state();
                let broken = state.broken[self.end.side()];
                let pipe = &mut state.pipes[way];
                let found =
                    if broken.is_some() { Found::End } else { pipe.read(into.remaining(), is_cut, Instant::now()) };
                match (&found, broken) {
                    (_, Some(kind)) => return Poll::Ready(Err(kind.into())),
                    (Found::Bytes(_), None) => pipe.writer.take().into_iter().for_each(std::task::Waker::wake),
                    (Found::Nothing(_), None) => pipe.reader = Some(context.waker().clone()),
                    (Found::End, None) => {}
                }
                found
            };
            match found {
                Found::Bytes(bytes) => {
                    into.put_slice(&bytes);
                    return Poll::Ready(Ok(()));
                }
                Found::End => return Poll::Ready(Ok(())),
                Found::Nothing(None) => return Poll::Pending,
                Found::Nothing(Some(at)) => {
                    let next = self.next.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
                    if next.deadline() != at {
                        next.as_mut().reset(at);
                    }
                    ready!(next.as_mut().poll(context));
                }
            }
        }
    }
}

impl AsyncWrite for SocketWriter {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.close_writing();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}

impl Drop for SocketReader {
    fn drop(&mut self) {
        self.end.close_reading();
    }
}

impl Drop for SocketWriter {
    fn drop(&mut self) {
        self.0.close_writing();
    }
}
