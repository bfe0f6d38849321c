//! A member's own offsets, and the one task that writes them: commits that come together go in one write, and are answered when the file
//! has them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use super::Positions;
use super::file::{self, Owner, Table};
use crate::consumer::brokers::Brokers;
use crate::consumer::shared::Shared;
use crate::env::{self, Instant, files};
use crate::error::{ClientError, Code};
use crate::protocol::MessageQueue;

/// The longest that a commit waits for others to be written with it.
const TOGETHER: Duration = Duration::from_millis(100);

/// How soon an offset is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// With those that come about now.
    Soon,
    /// Somebody waits for it.
    Now,
}

/// What there is to write: it grows with each commit.
#[derive(Debug, Default)]
struct State {
    table: Table,
    changes: u64,
    writer: Option<JoinHandle<()>>,
}

/// A file that is ours, for as long as anybody has this.
#[derive(Debug)]
struct OwnedFile {
    path: PathBuf,
    owner: Owner,
    _ownership: files::Ownership,
}

/// How far the writer has come.
#[derive(Clone, Debug, Default)]
struct Written {
    /// Changes that are in the file.
    changes: u64,
    /// Changes that the last attempt could not write, and why.
    failed: Option<(u64, ClientError)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OwnOffsets {
    path: Option<PathBuf>,
    state: Mutex<State>,
    changed: Notify,
    hurry: Notify,
    written: watch::Sender<Written>,
}

impl OwnOffsets {
    /// Nothing is read yet; without a file there is nothing to be read.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        let (changed, hurry, written) = (Notify::new(), Notify::new(), watch::Sender::default());
        Self { path, state: Mutex::default(), changed, hurry, written }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset of a queue.
    pub(super) fn get(&self, queue: &MessageQueue) -> Option<i64> {
        self.state().table.get(queue).copied()
    }

    /// Why the file does not have the last ones.
    pub(super) fn problem(&self) -> Option<ClientError> {
        self.written.borrow().failed.as_ref().map(|(_, error)| error.clone())
    }

    /// Resolves when the file has it; at once where there is none.
    pub(super) async fn commit(&self, queue: MessageQueue, offset: i64, haste: Haste) -> Result<(), ClientError> {
        let changes = {
            let mut state = self.state();
            state.table.insert(queue, offset);
            state.changes += 1;
            state.changes
        };
        if self.path.is_none() {
            return Ok(());
        }
        self.wake(haste);
        self.reach(changes).await
    }

    fn wake(&self, haste: Haste) {
        self.changed.notify_one();
        if haste == Haste::Now {
            self.hurry.notify_one();
        }
    }

    /// Whether there are changes that no attempt has tried to write.
    fn is_behind(&self) -> bool {
        let written = self.written.borrow();
        let tried = written.failed.as_ref().map_or(0, |(tried, _)| *tried);
        self.state().changes > tried.max(written.changes)
    }

    /// Waits for so many changes to be in the file, or for an attempt that has failed with them.
    async fn reach(&self, changes: u64) -> Result<(), ClientError> {
        let mut written = self.written.subscribe();
        let reached = |written: &Written| {
            let failed = written.failed.as_ref().is_some_and(|(tried, _)| *tried >= changes);
            failed || written.changes >= changes
        };
        // The sender is ours.
        let Ok(written) = written.wait_for(reached).await else { return Ok(()) };
        match &written.failed {
            Some((tried, error)) if written.changes < changes && *tried >= changes => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Becomes the file's owner, and reads it.
    pub(super) async fn open<B: Brokers>(&self, shared: &Arc<Shared<B>>) -> Result<(), ClientError> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let owner = Owner {
            group: shared.options.group.clone(),
            namespace: shared.brokers.namespace().filter(|namespace| !namespace.is_empty()).map(str::to_owned),
        };
        let words =
            format!("client {} of group {}, process {}\n", shared.brokers.id(), owner.group, std::process::id());
        let opening = {
            let owner = owner.clone();
            env::spawn_blocking(move || open(&path, &owner, &words))
        };
        let opened = opening
            .await
            .map_err(|panic| ClientError::panicked("reading offsetFile has failed", &panic.to_string()))?;
        let (path, ownership, table) = opened?;
        let file = Arc::new(OwnedFile { path, owner, _ownership: ownership });
        let mut state = self.state();
        state.table = table;
        let write = move |shared| write_on(shared, Arc::clone(&file));
        state.writer = Some(env::spawn(Arc::clone(shared).kept("the writing of offsetFile", write)));
        Ok(())
    }

    /// Writes what is left, and lets others have the file.
    pub(super) async fn close(&self, firm: Instant) -> Result<(), ClientError> {
        let changes = {
            let state = self.state();
            if state.writer.is_none() {
                return Ok(());
            }
            state.changes
        };
        let is_written = self.written.borrow().changes >= changes;
        let result = if is_written { Ok(()) } else { self.write_once_more(changes, firm).await };
        let writer = self.state().writer.take();
        if let Some(writer) = writer {
            writer.abort();
            // Ended for certain: the file is nobody's when we have closed.
            let _ = writer.await;
        }
        result.map_err(|error| {
            error.with_prefix(
                "close() could not keep the offsets: what was handled since they were written last comes again",
            )
        })
    }

    async fn write_once_more(&self, changes: u64, firm: Instant) -> Result<(), ClientError> {
        // What has failed before may be over: one more change is one more attempt.
        let changes = changes + 1;
        self.state().changes = changes;
        self.wake(Haste::Now);
        timeout_at(firm, self.reach(changes))
            .await
            .unwrap_or_else(|_| Err(ClientError::new(Code::Timeout, "the file of offsets was not written in time")))
    }
}

/// What is done on a thread of its own when a consumer starts.
fn open(path: &Path, owner: &Owner, words: &str) -> Result<(PathBuf, files::Ownership, Table), ClientError> {
    let refuse = |why: String, advice: &str| {
        let text = format!("offsetFile {}: {why}. {advice}", path.display());
        ClientError::new(Code::OffsetFile, text)
    };
    let unusable = |error: std::io::Error| {
        refuse(error.to_string(), "It has to be in a folder that exists, and that this process may read and write")
    };
    let real = files::real_path(path).map_err(unusable)?;
    let lock = files::beside(&real, ".lock");
    let Some(ownership) = files::own(&lock, words).map_err(unusable)? else {
        let holder = files::read(&lock).ok().flatten().map(|words| String::from_utf8_lossy(&words).trim().to_owned());
        let holder = holder.filter(|holder| !holder.is_empty()).unwrap_or_else(|| String::from("another client"));
        let advice =
            "Give every consumer a file of its own; it is free when that one has closed, or its process has ended";
        // As of one that is about to close.
        return Err(refuse(format!("it is in use by {holder}"), advice).with_retriable(true));
    };
    let Some(content) = files::read(&real).map_err(unusable)? else {
        return Ok((real, ownership, Table::new()));
    };
    let table = file::decode(owner, &content).map_err(|why| {
        let advice = "Nothing was changed. Put a whole one of this group there (a backup), or remove it: then initialPosition says where the \
                      consumer begins in each queue";
        refuse(why, advice)
    })?;
    Ok((real, ownership, table))
}

/// Writes whatever changes until it is aborted.
async fn write_on<B: Brokers>(shared: Arc<Shared<B>>, file: Arc<OwnedFile>) {
    let Positions::Own(own) = &shared.positions else { return };
    let together = TOGETHER.min(shared.options.commit_interval);
    loop {
        if !own.is_behind() {
            own.changed.notified().await;
            tokio::select! {
                () = own.hurry.notified() => {}
                () = tokio::time::sleep(together) => {}
            }
            if !own.is_behind() {
                continue;
            }
        }
        let (changes, bytes) = {
            let state = own.state();
            (state.changes, file::encode(&file.owner, &state.table, env::utc(shared.brokers.wall_ms())))
        };
        let to = Arc::clone(&file);
        // It keeps the file ours for as long as it takes, whoever waits for it.
        let writing = env::spawn_blocking(move || files::replace(&to.path, &bytes));
        match writing.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) {
            Ok(()) => _ = own.written.send_replace(Written { changes, failed: None }),
            Err(error) => {
                let error = not_written(&file.path, &error);
                if own.written.borrow().failed.is_none() {
                    shared.warn(error.clone());
                }
                own.written.send_modify(|written| written.failed = Some((changes, error)));
            }
        }
    }
}

fn not_written(path: &Path, error: &std::io::Error) -> ClientError {
    let text = format!(
        "offsetFile {} cannot be written: {error}. It is tried again. Queues that have begun go on, and what is handled meanwhile comes again if the \
         process ends before; queues of which the file knows nothing yet wait for it",
        path.display()
    );
    ClientError::new(Code::OffsetFile, text)
}
