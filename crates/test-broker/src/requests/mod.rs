//! What clients ask: from a request's code to what it does, a file for each kind.

pub(crate) mod bodies;
pub(crate) mod dispatch;
pub(crate) mod membership;
pub(crate) mod name_server;
pub(crate) mod pull;
pub(crate) mod queue_offsets;
pub(crate) mod relay;
pub(crate) mod reply;
pub(crate) mod retry;
pub(crate) mod send;
