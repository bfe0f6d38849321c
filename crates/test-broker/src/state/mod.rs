//! What there is at one moment: a cluster, its brokers, and what its name server knows. One lock holds all of it.

pub(crate) mod broker;
pub(crate) mod cluster;
pub(crate) mod held;
pub(crate) mod names;
pub(crate) mod registry;
