//! Which queues of a topic belong to which member of a group.

use super::queue::MessageQueue;

/// Java's `AllocateMessageQueueAveragely`: contiguous shares of the sorted queues, by the sorted client ids.
///
/// `None` when nothing can be said (no queues, no clients, no id): the rebalance is then skipped and nothing released.
/// A list without `own` gives us nothing.
pub(crate) fn averagely(queues: &[MessageQueue], clients: &[String], own: &str) -> Option<Vec<MessageQueue>> {
    let _ = (queues, clients, own);
    todo!()
}
