//! The consumer on scripted brokers, in virtual time.
