//! A secured connection in two halves that share the session: what the outbox writes and what the connection reads.
//!
//! The library's own stream would do but for one thing: the outbox must know what has left, which includes what the session keeps.

use super::super::outbox;
use super::Trouble;
use super::identity::Identity;
use crate::sync::{Mutex, MutexGuard};
use rustls::client::ClientConnection;
use std::io::{self, BufRead, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes the session takes that the socket does not: four records. What it has taken cannot be withdrawn any more.
pub(super) const UNSENT: usize = 64 * 1024;

/// The state of the encryption, and what it keeps of either direction.
pub(super) struct Session(Mutex<ClientConnection>);

impl Session {
    pub(super) fn split<R, W>(
        identity: Arc<Identity>,
        session: ClientConnection,
        reader: R,
        writer: W,
    ) -> (Reader<R>, Writer<W>) {
        let session = Arc::new(Self(Mutex::new(session)));
        let reader = Reader { session: Arc::clone(&session), identity, socket: reader, is_new: true };
        (reader, Writer { session, socket: writer, said_goodbye: false })
    }

    fn lock(&self) -> MutexGuard<'_, ClientConnection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading half.
pub(in super::super) struct Reader<R> {
    session: Arc<Session>,
    identity: Arc<Identity>,
    socket: R,
    /// Nothing was read yet.
    is_new: bool,
}

impl<R: AsyncRead + Unpin> AsyncRead for Reader<R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut session = this.session.lock();
        loop {
            let mut plain = session.reader();
            match plain.fill_buf() {
                Ok(bytes) => {
                    let read = bytes.len().min(buffer.remaining());
                    buffer.put_slice(&bytes[..read]);
                    plain.consume(read);
                    this.is_new &= read == 0;
                    return Poll::Ready(this.ended(read == 0));
                }
                // It has hung up without a word: whether something is missing, the frames tell.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(this.ended(true)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
            ready!(pending(session.read_tls(&mut Incoming(&mut this.socket, context))))?;
            if let Err(error) = session.process_new_packets() {
                // What it is told of this goes with the goodbye.
                return Poll::Ready(Err(Trouble::of(&io::Error::other(error), &this.identity).into()));
            }
        }
    }
}

impl<R> Reader<R> {
    /// The end of what the server says; one that ends before it has said anything did not like the handshake.
    fn ended(&self, is_end: bool) -> io::Result<()> {
        if is_end && self.is_new && self.identity.is_missed() {
            return Err(Trouble::of(&io::ErrorKind::UnexpectedEof.into(), &self.identity).into());
        }
        Ok(())
    }
}

/// The writing half.
pub(in super::super) struct Writer<W> {
    session: Arc<Session>,
    socket: W,
    said_goodbye: bool,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Hands the socket all that the session keeps.
    fn drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut session = self.session.lock();
        while session.wants_write() {
            if ready!(pending(session.write_tls(&mut Outgoing(&mut self.socket, context))))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Writer<W> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.drain(context))?;
        let written = this.session.lock().writer().write_vectored(slices)?;
        // A part may have left, whatever becomes of the rest, which goes with the next write, or the flush: that meets a failure again.
        let _ = this.drain(context);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.drain(context))?;
        Pin::new(&mut this.socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.said_goodbye {
            this.said_goodbye = true;
            this.session.lock().send_close_notify();
        }
        ready!(this.drain(context))?;
        Pin::new(&mut this.socket).poll_shutdown(context)
    }
}

impl<W: outbox::Writer> outbox::Writer for Writer<W> {
    fn unacknowledged(&self) -> Option<u64> {
        // More than that much of what it took is nowhere: an encrypted byte is at most one of them.
        let kept = if self.session.lock().wants_write() { UNSENT as u64 } else { 0 };
        self.socket.unacknowledged().map(|bytes| bytes + kept)
    }
}

/// A result of the session's, whose reader or writer may have to wait.
fn pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// A result of the socket's, as the session wants it.
fn blocking<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

struct Incoming<'a, 'c, R>(&'a mut R, &'a mut Context<'c>);

impl<R: AsyncRead + Unpin> Read for Incoming<'_, '_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        blocking(Pin::new(&mut *self.0).poll_read(self.1, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

struct Outgoing<'a, 'c, W>(&'a mut W, &'a mut Context<'c>);

impl<W: AsyncWrite + Unpin> Write for Outgoing<'_, '_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocking(Pin::new(&mut *self.0).poll_write(self.1, bytes))
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        blocking(Pin::new(&mut *self.0).poll_write_vectored(self.1, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
