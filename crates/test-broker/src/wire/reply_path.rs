//! The way of one answer to its client, and what faults do to it there.

use std::sync::atomic::{AtomicBool, Ordering};

use super::outbox::{Flight, Outbox, Outgoing};
use super::session::IDLE;
use crate::faults::rules::Verdict;
use crate::protocol::code::response;
use crate::protocol::{Codec, frame};
use crate::release::Release;
use crate::requests::reply::Reply;

/// The connection is over.
pub(crate) struct Over;

/// What an answer needs to find its way.
pub(crate) struct ReplyPath {
    pub(crate) opaque: i32,
    pub(crate) oneway: bool,
    pub(crate) codec: Codec,
    pub(crate) verdict: Verdict,
    pub(crate) flight: Flight,
}

impl ReplyPath {
    /// Sends the answer on.
    pub(crate) async fn end(
        self,
        out: &Outbox,
        silent: &AtomicBool,
        mut reply: Reply,
        release: Release,
    ) -> Result<(), Over> {
        let ReplyPath { opaque, oneway, codec, verdict, flight } = self;
        if verdict.disconnect_after {
            return Err(Over);
        }
        if oneway || verdict.drop_answer || silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(code) = verdict.status.filter(|_| reply.code == response::SUCCESS) {
            reply.code = code;
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
        let is_sent = out.send(Outgoing { bytes, last, flight: Some(flight) }, IDLE).await;
        if is_sent { Ok(()) } else { Err(Over) }
    }
}
