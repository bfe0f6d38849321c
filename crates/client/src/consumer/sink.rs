//! The way out of the core: to JavaScript, to a test, or to a Rust user.

use std::sync::Arc;

use crate::error::ClientError;
use crate::protocol::StoredMessage;

/// A message on its way to a handler.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Arc<StoredMessage>,
    /// The topic as the user sees it; of a message in the retry topic, the topic it came from.
    pub topic: Arc<str>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// Runs handlers. Every message of a chunk is asked for at the gate before its handler is called.
pub trait Sink: Send + Sync + 'static {
    /// Consecutive messages of one queue. False: nobody is there any more.
    fn deliver(&self, queue: u32, generation: u32, chunk: Vec<Delivery>) -> bool;
    /// The running handler of that queue and generation should stop; `error` says why.
    fn abort(&self, queue: u32, generation: u32, error: ClientError);
    /// The dead-letter queue has acknowledged the message.
    fn dead_lettered(&self, queue: u32, message: Delivery);
}
