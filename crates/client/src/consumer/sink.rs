//! The way out of the core: to JavaScript, to a test, or to a Rust user.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Messages whose handlers are called one after the other.
#[derive(Debug)]
pub struct Handover {
    /// Their queue.
    pub queue: u32,
    /// Their run, which the gate is asked by. Where order is kept per key a run comes in one piece, and those of several generations
    /// go side by side; else what comes with the same generation follows, and what comes with another is instead of all before.
    pub generation: u32,
    /// Up to this generation all is over.
    pub after: u32,
    /// The messages.
    pub messages: Vec<Delivery>,
}

/// Runs handlers. Every message is asked for at the gate before its handler is called.
pub trait Sink: Send + Sync + 'static {
    /// Takes them. False: nobody is there any more.
    fn deliver(&self, handover: Handover) -> bool;
    /// The running handler of that queue and generation should stop; `error` says why.
    fn abort(&self, queue: u32, generation: u32, error: ClientError);
    /// The dead-letter queue has acknowledged the message.
    fn dead_lettered(&self, queue: u32, message: Delivery);
}

/// The sink, until nobody takes messages any more: Node's environment has ended.
pub(crate) struct Handlers {
    sink: Arc<dyn Sink>,
    gone: AtomicBool,
}

impl Handlers {
    /// Those behind this sink.
    pub(crate) fn new(sink: Arc<dyn Sink>) -> Self {
        Self { sink, gone: AtomicBool::new(false) }
    }

    /// The way to them.
    pub(crate) fn sink(&self) -> &dyn Sink {
        &*self.sink
    }

    /// Nobody runs handlers any more: what was running never ends.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Whether there are any.
    pub(crate) fn are_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}
