//! Chunks that wait for the facade: each queue's, until its lane has a place for a handler. A thousand queues with a backlog build no
//! objects that nobody can handle.

use super::packing::{Packer, room_for, room_for_all};
use crate::consumer::{Delivery, Handover, OrderedBy};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Consecutive messages of one queue, of which some may be with the facade already.
struct Chunk {
    generation: u32,
    messages: VecDeque<Delivery>,
}

/// By queue, the oldest first.
pub(super) struct Chunks {
    waiting: Mutex<HashMap<u32, VecDeque<Chunk>>>,
    /// Runs go side by side, each of them whole.
    whole: bool,
}

/// What was packed into the facade's scratch memory.
pub(super) enum Packed {
    /// So many messages of this generation.
    Messages { generation: u32, count: u32 },
    /// Nothing: the memory must be of this size.
    TooSmall(usize),
}

impl Chunks {
    /// None yet.
    pub(super) fn new(ordered_by: OrderedBy) -> Self {
        Self { waiting: Mutex::default(), whole: ordered_by == OrderedBy::Key }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, VecDeque<Chunk>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more; true when the queue had none, so that the facade has to hear of it. What is over goes: a gate's "no" is final.
    pub(super) fn put(&self, handover: Handover) -> bool {
        let Handover { queue, generation, after, messages } = handover;
        // Generations begin anew at some time.
        let age = generation.wrapping_sub(after);
        let mut chunks = self.lock();
        let is_new = !chunks.contains_key(&queue);
        let of_queue = chunks.entry(queue).or_default();
        of_queue.retain(|chunk| (1..=age).contains(&chunk.generation.wrapping_sub(after)));
        of_queue.push_back(Chunk { generation, messages: messages.into() });
        is_new
    }

    /// The next messages of a queue; none when there are no more, and then the next ones are told of.
    pub(super) fn take(&self, queue: u32, scratch: &mut [u8]) -> Option<Packed> {
        let mut chunks = self.lock();
        let of_queue = chunks.get_mut(&queue)?;
        while of_queue.front().is_some_and(|chunk| chunk.messages.is_empty()) {
            of_queue.pop_front();
        }
        let Some(chunk) = of_queue.front_mut() else {
            chunks.remove(&queue);
            return None;
        };
        let mut packer = Packer::new(scratch);
        let count = chunk.messages.iter().take_while(|message| packer.pack(message)).count();
        packer.finish();
        match chunk.messages.front() {
            Some(_) if self.whole && count < chunk.messages.len() => {
                Some(Packed::TooSmall(room_for_all(&chunk.messages)))
            }
            Some(message) if count == 0 => Some(Packed::TooSmall(room_for(message))),
            _ => {
                chunk.messages.drain(..count);
                Some(Packed::Messages { generation: chunk.generation, count: count as u32 })
            }
        }
    }
}
