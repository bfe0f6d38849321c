//! What comes of a compressed body, as far as it is wanted.

use std::io::Read;

use bytes::Bytes;

/// Inflated between two looks whether it is still wanted.
const STEP: usize = 256 * 1024;

/// Why there is no more of it.
#[derive(Debug)]
pub(super) enum Halt {
    /// Not what such a body looks like.
    Bad(String),
    /// It has more bytes than are allowed.
    TooLarge,
    /// Nobody wants it any more.
    Stopped,
}

impl Halt {
    pub(super) fn bad(error: &(impl ToString + ?Sized)) -> Self {
        Self::Bad(error.to_string())
    }
}

/// The inflated bytes: at most so many, and one more for a moment.
pub(super) struct Output<'a> {
    bytes: Vec<u8>,
    most: usize,
    stop: &'a dyn Fn() -> bool,
}

impl<'a> Output<'a> {
    /// Of a body of `size` bytes.
    pub(super) fn new(size: usize, most: usize, stop: &'a dyn Fn() -> bool) -> Self {
        Self { bytes: Vec::with_capacity(size.saturating_mul(4).min(most).min(STEP)), most, stop }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes are allowed beside those that are there.
    pub(super) fn room(&self) -> usize {
        self.most - self.bytes.len()
    }

    /// All but the first ones.
    pub(super) fn from(&self, start: usize) -> &[u8] {
        &self.bytes[start..]
    }

    /// Ends it if nobody wants it any more.
    pub(super) fn look(&self) -> Result<(), Halt> {
        if (self.stop)() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Takes all that a reader has.
    pub(super) fn read(&mut self, mut reader: impl Read) -> Result<(), Halt> {
        loop {
            self.look()?;
            // One byte more tells whether that was all.
            let chunk = (self.room() + 1).min(STEP);
            let read =
                reader.by_ref().take(chunk as u64).read_to_end(&mut self.bytes).map_err(|error| Halt::bad(&error))?;
            if self.bytes.len() > self.most {
                return Err(Halt::TooLarge);
            }
            if read < chunk {
                return Ok(());
            }
        }
    }

    /// Takes bytes as they are.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        self.look()?;
        if bytes.len() > self.room() {
            return Err(Halt::TooLarge);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Gives what was there from `start` on, and room for `more` bytes, to one who says how many of them are written.
    pub(super) fn write<E>(
        &mut self,
        start: usize,
        more: usize,
        write: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let length = self.bytes.len();
        self.bytes.resize(length + more, 0);
        let (before, room) = self.bytes.split_at_mut(length);
        let written = write(&before[start..], room);
        self.bytes.truncate(length + *written.as_ref().unwrap_or(&0));
        written.map(|_| ())
    }

    pub(super) fn into_bytes(mut self) -> Bytes {
        self.bytes.shrink_to_fit();
        Bytes::from(self.bytes)
    }
}
