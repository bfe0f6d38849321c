//! The consumer on scripted brokers, in virtual time. Tests are named after what must hold.

mod admin;
mod blocked;
mod broker;
mod checks;
mod cluster;
mod handover;
mod line;
mod member;
mod ordering;
mod records;
mod shutdown;
mod standing;
mod starting;
mod storm;
mod together;
mod trouble;
mod visible;

pub(crate) use records::message;
