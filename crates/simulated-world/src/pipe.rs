//! One direction of a connection.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use crate::chance;
use crate::line::Line;

/// What both systems together hold of it: a writer waits for more.
const CAPACITY: usize = 128 * 1024;
/// Bytes that are on their way together, where a line is narrow.
const SEGMENT: usize = 1460;
/// How long a system waits before it sends again what was swallowed.
const RESEND: Duration = Duration::from_millis(200);

#[derive(Default)]
pub(crate) struct Pipe {
    /// With the times of their arrivals, rising.
    flying: VecDeque<(Instant, Bytes)>,
    /// Arrived and not read.
    received: VecDeque<Bytes>,
    held: usize,
    /// The line is busy until then.
    busy_until: Option<Instant>,
    pub(crate) taken: u64,
    arrived: u64,
    /// The writer has ended: the end arrives then.
    ends: Option<Instant>,
    /// Nobody reads any more.
    pub(crate) unread: bool,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

/// What a reader finds.
pub(crate) enum Found {
    Bytes(Bytes),
    End,
    /// Nothing before then, or before something happens.
    Nothing(Option<Instant>),
}

impl Pipe {
    pub(crate) fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.held)
    }

    /// Takes bytes, of which there is room for all.
    pub(crate) fn write(&mut self, bytes: &[u8], line: &Line, now: Instant) {
        self.held += bytes.len();
        self.taken += bytes.len() as u64;
        let piece = if line.bytes_per_second.is_some() { SEGMENT } else { bytes.len().max(1) };
        for part in bytes.chunks(piece) {
            let begins = self.busy_until.map_or(now, |until| until.max(now));
            let takes = line.bytes_per_second.map_or(Duration::ZERO, |rate| {
                let nanos = part.len() as u64 * 1_000_000_000;
                Duration::from_nanos(nanos / u64::from(rate.max(1)))
            });
            self.busy_until = Some(begins + takes);
            let at = self.arrival(begins + takes, line);
            self.flying.push_back((at, Bytes::copy_from_slice(part)));
        }
    }

    /// What leaves then arrives behind all that left before.
    fn arrival(&self, leaves: Instant, line: &Line) -> Instant {
        let at = leaves + line.latency + chance::up_to(line.jitter);
        self.flying.back().map_or(at, |(last, _)| at.max(*last))
    }

    /// The writer ends.
    pub(crate) fn end(&mut self, line: &Line, now: Instant) {
        if self.ends.is_none() {
            let leaves = self.busy_until.map_or(now, |until| until.max(now));
            self.ends = Some(self.arrival(leaves, line));
        }
    }

    fn settle(&mut self, is_cut: bool, now: Instant) {
        while !is_cut && self.flying.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, bytes)) = self.flying.pop_front() {
                self.arrived += bytes.len() as u64;
                self.received.push_back(bytes);
            }
        }
    }

    /// The next bytes, `most` at most.
    pub(crate) fn read(&mut self, most: usize, is_cut: bool, now: Instant) -> Found {
        self.settle(is_cut, now);
        let Some(first) = self.received.front_mut() else {
            let ended = self.flying.is_empty() && self.ends.is_some_and(|at| at <= now);
            if ended && !is_cut {
                return Found::End;
            }
            let next = self.flying.front().map(|(at, _)| *at).or(self.ends);
            return Found::Nothing(next.filter(|_| !is_cut));
        };
        let bytes = first.split_to(most.min(first.len()));
        if !first.has_remaining() {
            self.received.pop_front();
        }
        self.held -= bytes.len();
        Found::Bytes(bytes)
    }

    pub(crate) fn has_unread(&self) -> bool {
        !self.received.is_empty()
    }

    /// Bytes that the other system has not acknowledged.
    pub(crate) fn unacknowledged(&mut self, is_cut: bool, now: Instant) -> u64 {
        self.settle(is_cut, now);
        self.taken - self.arrived
    }

    /// The line is whole again: what was swallowed is sent again, all that is behind it with it.
    pub(crate) fn resend(&mut self, now: Instant) {
        let at = now + RESEND;
        let late = |time: &mut Instant| *time = (*time).max(at);
        self.flying.iter_mut().for_each(|(time, _)| late(time));
        self.ends.iter_mut().for_each(late);
    }

    /// What is on its way never arrives.
    pub(crate) fn drop_flying(&mut self) {
        self.held -= self.flying.drain(..).map(|(_, bytes)| bytes.len()).sum::<usize>();
    }

    /// Everybody who waits looks again.
    pub(crate) fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}
