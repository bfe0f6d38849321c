//! What administrators ask.

pub(crate) mod accounts;
pub(crate) mod changes;
pub(crate) mod reset;
pub(crate) mod statistics;
