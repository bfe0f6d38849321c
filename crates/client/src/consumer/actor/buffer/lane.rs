//! The messages of a lane.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::troubles::Trouble;
use crate::consumer::sink::Delivery;
use crate::protocol::StoredMessage;

/// Most bytes of a chunk; a larger message travels alone.
const CHUNK_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Buffered {
    pub(super) message: Arc<StoredMessage>,
    pub(super) topic: Arc<str>,
}

impl Buffered {
    pub(super) fn bytes(&self) -> usize {
        self.message.weight() + size_of::<Self>()
    }
}

/// Messages that are handled one after the other.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) key: Option<Box<str>>,
    pub(super) messages: VecDeque<Buffered>,
    /// How many of them are with the sink, in this run.
    pub(super) sent: usize,
    /// The sizes of the chunks under way.
    pub(super) chunks: VecDeque<usize>,
    /// The gate's number of what is under way.
    pub(super) run: Option<u32>,
    /// The first message has failed, or could not be handed over.
    pub(super) trouble: Option<Trouble>,
    /// It is among those that wait for their turn.
    pub(super) is_ready: bool,
}

impl Lane {
    pub(super) fn front(&self) -> Option<i64> {
        self.messages.front().map(|first| first.message.queue_offset)
    }

    pub(super) fn restart(&mut self) -> usize {
        self.chunks.clear();
        self.run = None;
        std::mem::take(&mut self.sent)
    }

    pub(super) fn is_free(&self, chunks: usize) -> bool {
        let is_held = self.trouble.as_ref().is_some_and(|trouble| !trouble.is_over());
        !is_held && self.chunks.len() < chunks && self.sent < self.messages.len()
    }

    pub(super) fn delivery(&self, index: usize) -> Option<Delivery> {
        let buffered = self.messages.get(index)?;
        let stored = u32::try_from(buffered.message.reconsume_times).unwrap_or(0);
        let failures = self.trouble.as_ref().filter(|_| index == 0).map_or(0, |trouble| trouble.failures);
        Some(Delivery {
            message: Arc::clone(&buffered.message),
            topic: Arc::clone(&buffered.topic),
            attempt: stored.saturating_add(failures).saturating_add(1),
        })
    }

    /// The next messages for the sink, as many as belong into a chunk.
    pub(super) fn chunk(&mut self, most: usize, limit: i64) -> Vec<Delivery> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while let Some(delivery) = self.delivery(self.sent + chunk.len()) {
            bytes += delivery.message.body.len();
            let is_full = !chunk.is_empty() && (chunk.len() == most || bytes > CHUNK_BYTES);
            if is_full || delivery.message.queue_offset > limit {
                break;
            }
            chunk.push(delivery);
        }
        if !chunk.is_empty() {
            self.sent += chunk.len();
            self.chunks.push_back(chunk.len());
        }
        chunk
    }
}
