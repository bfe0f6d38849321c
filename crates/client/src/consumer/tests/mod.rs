//! The consumer on scripted brokers, in virtual time. Tests are named after what must hold.

mod admin;
mod another_store;
mod answers;
mod blocked;
mod broadcasting;
mod broker;
mod checks;
mod cluster;
mod committing;
mod handover;
mod keys;
mod line;
mod many_queues;
mod member;
mod ordering;
mod panics;
mod pausing;
mod recorded;
mod records;
mod seeking;
mod seeking_by_key;
mod set_back;
mod shutdown;
mod stalls;
mod starting;
mod storm;
mod subscription_check;
#[cfg(feature = "shuttle")]
mod threads;
mod together;
mod trouble;
mod undecodable;
mod unread_queues;
mod visible;

pub(crate) use records::{message, record_of, record_with};
