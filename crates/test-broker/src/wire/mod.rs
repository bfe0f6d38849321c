//! Sockets and connections: frames in, answers out.

pub(crate) mod outbox;
pub(crate) mod reply_path;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod tls;
