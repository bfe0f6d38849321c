//! Messages at one broker: topics, queues and records.

pub(crate) mod append;
pub(crate) mod queues;
pub(crate) mod record;
