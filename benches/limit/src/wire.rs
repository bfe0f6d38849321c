//! One blocking socket, and frames whose few changing digits are written over in place.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use rocketmq_protocol::code::response;
use rocketmq_protocol::{Codec, Command, Request, frame};

use crate::Failure;

/// The first correlation id: all that a round uses have as many digits.
const FIRST_OPAQUE: i32 = 10_000_000;
const OPAQUE_FIELD: &[u8] = b"\"opaque\":";
const PATIENCE: Duration = Duration::from_secs(30);
/// Of the number of a message among its key's.
pub(crate) const NUMBER_DIGITS: usize = 8;
const READ_BYTES: usize = 256 * 1024;

/// A connection to one broker.
pub(crate) struct Connection {
    socket: TcpStream,
    received: BytesMut,
    scratch: Vec<u8>,
    opaque: i32,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Result<Self, Failure> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, received: BytesMut::new(), scratch: vec![0; READ_BYTES], opaque: FIRST_OPAQUE })
    }

    /// A second hand on the same socket, for another thread that only writes.
    pub(crate) fn writer(&self) -> Result<TcpStream, Failure> {
        Ok(self.socket.try_clone()?)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.socket.write_all(bytes)?)
    }

    /// The next answer. What the broker asks on its own account is passed over.
    pub(crate) fn read(&mut self) -> Result<Command, Failure> {
        loop {
            match frame::decode(&mut self.received)? {
                Some(command) if command.is_response() => return Ok(command),
                Some(_) => {}
                None => self.fill()?,
            }
        }
    }

    /// An answer that is here already.
    pub(crate) fn read_ready(&mut self) -> Result<Option<Command>, Failure> {
        Ok(frame::decode(&mut self.received)?.filter(Command::is_response))
    }

    fn fill(&mut self) -> Result<(), Failure> {
        loop {
            match self.socket.read(&mut self.scratch) {
                Ok(0) => return Err("the broker has closed the connection".into()),
                Ok(count) => {
                    self.received.extend_from_slice(&self.scratch[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A correlation id that no other request of this connection has.
    pub(crate) fn next_opaque(&mut self) -> i32 {
        self.opaque += 1;
        self.opaque
    }

    /// The one that was given last.
    pub(crate) fn last_opaque(&self) -> i32 {
        self.opaque
    }

    /// Asks, and waits for the answer.
    pub(crate) fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, Failure> {
        let mut command = request.command();
        command.opaque = self.next_opaque();
        let encoded = frame::encode(&command, Codec::Json)?;
        self.write(&encoded)?;
        Ok(R::decode(self.read()?)?)
    }
}

/// An encoded request that is sent again and again.
pub(crate) struct Template {
    bytes: Vec<u8>,
    opaque_at: usize,
    /// Where the numbers of its messages stand.
    numbers_at: Vec<usize>,
}

impl Template {
    /// `numbers_at`: in the body.
    pub(crate) fn new(request: &impl Request, numbers_at: impl Iterator<Item = usize>) -> Result<Self, Failure> {
        let mut command = request.command();
        command.opaque = FIRST_OPAQUE;
        let bytes = frame::encode(&command, Codec::Json)?.to_vec();
        let body_at = bytes.len() - command.body.len();
        let field = bytes.windows(OPAQUE_FIELD.len()).position(|window| window == OPAQUE_FIELD);
        let opaque_at = field.ok_or("a frame without a correlation id")? + OPAQUE_FIELD.len();
        Ok(Self { bytes, opaque_at, numbers_at: numbers_at.map(|at| body_at + at).collect() })
    }

    /// The frame with this correlation id.
    pub(crate) fn with_opaque(&mut self, opaque: i32) -> &mut Self {
        write_digits(&mut self.bytes[self.opaque_at..self.opaque_at + 8], opaque.unsigned_abs());
        self
    }

    /// The frame with these numbers: the first of its messages has `first`, each other one `step` more than the one before it.
    pub(crate) fn numbered(&mut self, first: u32, step: u32) -> &mut Self {
        let mut number = first;
        for at in &self.numbers_at {
            write_digits(&mut self.bytes[*at..*at + NUMBER_DIGITS], number);
            number += step;
        }
        self
    }

    /// How many messages it has.
    pub(crate) fn messages(&self) -> usize {
        self.numbers_at.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Fails for a send that was not stored.
pub(crate) fn stored(answer: &Command) -> Result<(), Failure> {
    match answer.code {
        response::SUCCESS
        | response::FLUSH_DISK_TIMEOUT
        | response::SLAVE_NOT_AVAILABLE
        | response::FLUSH_SLAVE_TIMEOUT => Ok(()),
        code => Err(format!("a send was refused with {code}: {}", answer.remark_text()).into()),
    }
}

/// Fills `into` with a number, leading zeros included.
pub(crate) fn write_digits(into: &mut [u8], mut number: u32) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}
