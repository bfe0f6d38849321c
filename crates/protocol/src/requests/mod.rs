//! The requests we make, one file per subject.

mod cluster;
mod inquiry;
mod lock;
mod membership;
mod offset;
mod pull;
mod route;
mod send;

#[allow(unused_imports, reason = "the rooms above take what they need from this list")]
pub use self::{
    cluster::GetClusters,
    inquiry::{Kept, KeptSubscriptions, MemberSubscriptions, Said},
    lock::{LockQueues, UnlockQueues},
    membership::{CheckClientConfig, ConsumeFrom, ConsumerData, ConsumerList, Heartbeat, Unregister},
    offset::{CommitOffset, CommitOutcome, MaxOffset, MinOffset, NOWHERE, QueryOffset, SearchOffset},
    pull::{Pull, PullStatus, Pulled},
    route::GetRoute,
    send::{SendBatch, SendMessage, SendReceipt, StoredStatus},
};

#[cfg(test)]
mod tests;
