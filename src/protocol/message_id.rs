//! Message ids: the sender's unique id and the broker's offset id, both as upper-case hex.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::AtomicU32;

/// Makes unique ids: address, process, random number, time and counter. One per client instance.
#[derive(Debug)]
pub(crate) struct UniqueIds {
    /// Hex of what does not change: address, process id, random number.
    prefix: String,
    counter: AtomicU32,
}

impl UniqueIds {
    /// `random` must differ between instances: threads and forks share address and process id.
    pub(crate) fn new(ip: IpAddr, pid: u32, random: i32) -> Self {
        let _ = (ip, pid, random);
        todo!()
    }

    /// The next id, 32 hex digits, 56 with an IPv6 address. Unique for 65 536 ids per millisecond.
    ///
    /// `ms_of_month`: since local midnight of the first of the month, so that tools can decode it.
    pub(crate) fn next(&self, ms_of_month: u32) -> String {
        let _ = (ms_of_month, &self.prefix, &self.counter);
        todo!()
    }
}

/// Where a broker stored a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetId {
    /// The broker.
    pub(crate) address: SocketAddr,
    /// Offset in its commit log.
    pub(crate) offset: i64,
}

/// A text that is no offset id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an offset message id: 32 or 56 hex digits are expected")]
pub(crate) struct InvalidId;

impl fmt::Display for OffsetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

impl FromStr for OffsetId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let _ = text;
        todo!()
    }
}
