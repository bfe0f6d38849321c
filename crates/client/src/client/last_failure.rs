//! What keeps a start from its end.

use crate::error::ClientError;
use std::sync::{Mutex, PoisonError};

/// The last failure of a step that is tried again: what a start that runs out of time reports.
#[derive(Debug, Default)]
pub struct LastFailure(Mutex<Option<ClientError>>);

impl LastFailure {
    /// Of the attempt that has just failed.
    pub fn set(&self, error: ClientError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The failure, if there was one.
    pub fn get(&self) -> Option<ClientError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
