//! Chunks that wait for the facade: each queue's, until its lane has a place for a handler. A thousand queues with a backlog build no
//! objects that nobody can handle.

use super::packing::{Packer, room_for};
use crate::consumer::{Delivery, Handover};
use crate::env;
use crate::sync::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::PoisonError;

/// Consecutive messages of one queue, of which some may be with the facade already.
struct Chunk {
    generation: u32,
    messages: VecDeque<Delivery>,
}

/// Those of one queue.
#[derive(Default)]
struct Waiting {
    /// The oldest first.
    chunks: VecDeque<Chunk>,
    /// Up to this generation all is over.
    after: u32,
}

/// By queue.
#[derive(Default)]
pub(super) struct Chunks(Mutex<HashMap<u32, Waiting>>);

/// What was packed into the facade's scratch memory.
pub(super) enum Packed {
    /// So many messages of this generation; so many of their chunk are left.
    Messages { generation: u32, count: u32, left: u32 },
    /// Nothing: the memory must be of this size.
    TooSmall(usize),
}

impl Chunks {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more; true when the queue had none, so that the facade has to hear of it. What is over goes: a gate's "no" is final.
    pub(super) fn put(&self, handover: Handover) -> bool {
        let Handover { queue, generation, after, messages } = handover;
        let mut waiting = self.lock();
        let is_new = !waiting.contains_key(&queue);
        let of_queue = waiting.entry(queue).or_default();
        if of_queue.after != after {
            // Generations begin anew at some time.
            let age = generation.wrapping_sub(after);
            of_queue.chunks.retain(|chunk| (1..=age).contains(&chunk.generation.wrapping_sub(after)));
            of_queue.after = after;
        }
        of_queue.chunks.push_back(Chunk { generation, messages: messages.into() });
        is_new
    }

    /// The next messages of a queue; none when there are no more, and then the next ones are told of. With `rest_of` only what is left of a
    /// chunk of that generation, which may have gone meanwhile.
    pub(super) fn take(&self, queue: u32, scratch: &mut [u8], rest_of: Option<u32>) -> Option<Packed> {
        let mut waiting = self.lock();
        let of_queue = &mut waiting.get_mut(&queue)?.chunks;
        if let Some(generation) = rest_of {
            of_queue.front().filter(|chunk| chunk.generation == generation)?;
        }
        let Some(chunk) = of_queue.front_mut() else {
            if !env::planted("think that it will be told") {
                waiting.remove(&queue);
            }
            return None;
        };
        let mut packer = Packer::new(scratch);
        let count = chunk.messages.iter().take_while(|message| packer.pack(message)).count();
        packer.finish();
        if let Some(message) = chunk.messages.front().filter(|_| count == 0) {
            return Some(Packed::TooSmall(room_for(message)));
        }
        chunk.messages.drain(..count);
        let messages =
            Packed::Messages { generation: chunk.generation, count: count as u32, left: chunk.messages.len() as u32 };
        if chunk.messages.is_empty() {
            of_queue.pop_front();
        }
        Some(messages)
    }
}
