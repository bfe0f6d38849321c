//! The consumer on scripted brokers, in virtual time. Tests are named after what must hold.

mod admin;
mod agreement;
mod another_store;
mod answers;
mod blocked;
mod broker;
mod checks;
mod cluster;
mod handover;
mod line;
mod member;
mod ordering;
mod panics;
mod records;
mod shutdown;
mod standing;
mod starting;
mod storm;
mod together;
mod trouble;
mod unread;
mod visible;

pub(crate) use records::{message, record_of, record_with};
