//! The way of one answer to its client, and what faults do to it there.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::faults::Verdict;
use super::outbox::{Flight, Outgoing};
use super::release::Release;
use super::reply::Reply;
use crate::protocol::{Codec, frame};

/// The connection is over.
pub(super) struct Over;

/// What an answer needs to find its way.
pub(super) struct ReplyPath {
    pub(super) opaque: i32,
    pub(super) oneway: bool,
    pub(super) codec: Codec,
    pub(super) verdict: Verdict,
    pub(super) flight: Flight,
}

impl ReplyPath {
    /// Sends the answer on.
    pub(super) async fn end(
        self,
        out: &mpsc::Sender<Outgoing>,
        silent: &AtomicBool,
        reply: Reply,
        release: Release,
    ) -> Result<(), Over> {
        let ReplyPath { opaque, oneway, codec, verdict, flight } = self;
        if verdict.disconnect_after {
            return Err(Over);
        }
        if oneway || verdict.drop_answer || silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        // An exception is answered in the broker's own codec, whatever the request's.
        let codec = if release.is_v5() || reply.thrown { Codec::Json } else { codec };
        let command = reply.into_command(opaque, release);
        let encoded =
            frame::encode(&command, codec).or_else(|_| frame::encode(&command, Codec::Json)).map_err(|_| Over)?;
        let (bytes, last) = match (verdict.garbage, verdict.cut_answer_at) {
            (Some(garbage), _) => (garbage, false),
            (None, Some(at)) => (encoded.slice(..at.min(encoded.len())), true),
            (None, None) => (encoded, false),
        };
        out.send(Outgoing { bytes, last, flight: Some(flight) }).await.map_err(|_| Over)
    }
}
