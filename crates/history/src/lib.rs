//! What clients did, as they recorded it, and whether that was right.
//!
//! A history is lines of JSON, each an [`Event`] of one client with the time at which it happened: written by clients in processes of
//! their own, by simulated ones, or by whoever reads a broker's store. Lines of one client are in the order in which things happened;
//! lines of several may come in any order, from one file or many. There are no bodies and no secrets in it.

pub mod event;
