//! Bodies that are compressed on their way out: while their lane waits, so that its order stays, and elsewhere when that takes long.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::flight::Flight;
use super::model::{Form, Payload};
use crate::env;
use crate::protocol::Compression;

/// Bodies that are compressed where the requests are made: less than a millisecond of work, on a slow machine.
const QUICK: usize = 16 * 1024;
/// Larger ones that are compressed at the same time, in threads of their own; others wait for them.
pub(super) const AT_ONCE: usize = 2;

impl Form {
    /// Of a message whose body is that.
    pub(super) fn sys_flag(self) -> i32 {
        match self {
            Self::Compressed(compression) => compression.sys_flag(),
            Self::Plain | Self::Compressible(_) => 0,
        }
    }
}

impl Flight {
    /// What is to be compressed before it leaves.
    pub(super) fn compressible(&self) -> Option<(Compression, Bytes)> {
        match self.payloads.as_slice() {
            [Payload::One(entry)] => match entry.form {
                Form::Compressible(compression) => Some((compression, entry.body.clone())),
                Form::Plain | Form::Compressed(_) => None,
            },
            _ => None,
        }
    }

    /// It was compressed; none where it does not get smaller, and goes as it is.
    pub(super) fn take_compressed(&mut self, body: Option<Bytes>) {
        let [Payload::One(entry)] = self.payloads.as_mut_slice() else { return };
        entry.form = match (entry.form, body) {
            (Form::Compressible(compression), Some(body)) => {
                entry.body = body;
                Form::Compressed(compression)
            }
            _ => Form::Plain,
        };
    }
}

/// A smaller body than this one, if there is one.
pub(super) async fn compress(slots: &Arc<Semaphore>, compression: Compression, body: Bytes) -> Option<Bytes> {
    if body.len() <= QUICK {
        return compression.compress(&body);
    }
    // Never closed.
    let slot = Arc::clone(slots).acquire_owned().await;
    let packing = env::spawn_blocking(move || {
        let _slot = slot;
        compression.compress(&body)
    });
    // It goes as it is where compressing it has panicked.
    packing.await.ok().flatten()
}
