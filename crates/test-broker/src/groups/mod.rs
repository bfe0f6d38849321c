//! Groups of consumers at one broker: who is registered, who holds which lock, how far the group has come.

pub(crate) mod locks;
pub(crate) mod offsets;
pub(crate) mod registrations;
