//! What a test does to its test broker, reads of it, and waits for.

pub(crate) mod commands;
pub(crate) mod lifecycle;
pub(crate) mod options;
pub(crate) mod readings;
pub(crate) mod views;
