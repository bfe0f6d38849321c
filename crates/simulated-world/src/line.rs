//! The line between a host and a server.

use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

impl Direction {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Up => 0,
            Self::Down => 1,
        }
    }
}

/// How it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Every byte takes this long.
    pub latency: Duration,
    /// And up to this long more.
    pub jitter: Duration,
    /// Most bytes in a second, each way; none for a line that is never full.
    pub bytes_per_second: Option<u32>,
    /// Whether nothing gets through, up and down.
    pub cut: [bool; 2],
}
