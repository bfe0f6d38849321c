//! The history that a user has asked for with an environment variable, which is read once.

use crate::client::{Event, Events};
use crate::error::ClientError;
use crate::record::{File, History};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

/// Names the file to which all clients of the process append what they do.
const VARIABLE: &str = "ROCKETMQ_ORDERLY_HISTORY";

static PATH: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from));

/// What was asked for, if anything was.
pub(super) struct Asked(Option<Arc<File>>);

impl Asked {
    /// Opens the file, and makes it where there is none.
    pub(super) fn open() -> Result<Self, ClientError> {
        Ok(Self(PATH.as_deref().map(|path| File::open(path, VARIABLE)).transpose()?))
    }

    /// One client's, whose user is warned if it cannot be kept.
    pub(super) fn history(&self, events: Arc<dyn Events>) -> History {
        let kept = self.0.as_ref().map(|file| file.history(move |error| events.emit(Event::Warning { error })));
        kept.unwrap_or_default()
    }
}
