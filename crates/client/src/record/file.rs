//! Histories in a file: each line is there as soon as it has happened, however the process ends.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::event::{Event, Line};
use super::{History, Record};
use crate::env::{self, Instant, files};
use crate::error::{ClientError, Code};

/// A file to which clients append, of this process and of others.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    file: files::Appended,
}

impl File {
    /// Made where there is none; what is in it stays. `named_by` is for whoever is told that it cannot be opened.
    pub fn open(path: &Path, named_by: &str) -> Result<Arc<Self>, ClientError> {
        match files::append(path) {
            Ok(file) => Ok(Arc::new(Self { path: path.to_owned(), file })),
            Err(error) => {
                let text = format!("{named_by}: {} cannot be opened for writing: {error}", path.display());
                Err(ClientError::new(Code::InvalidArgument, text))
            }
        }
    }

    /// What one client does goes here; `warn` is told once, if it cannot.
    pub fn history(self: &Arc<Self>, warn: impl Fn(ClientError) + Send + Sync + 'static) -> History {
        History::kept_by(Arc::new(FileRecord {
            file: Arc::clone(self),
            by: format!("{:08x}", env::random_u32()),
            warn: Box::new(warn),
            state: Mutex::default(),
        }))
    }
}

/// How the last write has ended.
#[derive(Debug, Default)]
struct State {
    /// Half a line is there.
    is_torn: bool,
    is_told: bool,
}

/// One client's part of a file.
pub struct FileRecord {
    file: Arc<File>,
    by: String,
    warn: Box<dyn Fn(ClientError) + Send + Sync>,
    state: Mutex<State>,
}

impl fmt::Debug for FileRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRecord").field("file", &self.file).field("by", &self.by).finish_non_exhaustive()
    }
}

impl FileRecord {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first failure, for people.
    fn write(&self, state: &mut State, line: &Line) -> Option<ClientError> {
        let mut bytes = Vec::with_capacity(256);
        if state.is_torn {
            bytes.push(b'\n');
        }
        // Nothing in it can fail.
        let _ = serde_json::to_writer(&mut bytes, line);
        bytes.push(b'\n');
        let problem = match self.file.file.write(&bytes) {
            Ok(written) if written == bytes.len() => {
                state.is_torn = false;
                return None;
            }
            Ok(written) => {
                state.is_torn = written > 0 || state.is_torn;
                String::from("only a part of a line was written")
            }
            Err(error) => error.to_string(),
        };
        if std::mem::replace(&mut state.is_told, true) {
            return None;
        }
        let text = format!(
            "the history in {} cannot be written, and misses lines from here on: {problem}",
            self.file.path.display()
        );
        Some(ClientError::new(Code::Internal, text))
    }
}

impl Record for FileRecord {
    fn record(&self, event: Event) {
        // The clock is looked at under the lock: lines of one client come in the order of their times.
        let problem = {
            let mut state = self.state();
            let line = Line { t: env::monotonic_us(), by: self.by.clone(), event };
            self.write(&mut state, &line)
        };
        if let Some(problem) = problem {
            (self.warn)(problem);
        }
    }

    fn time(&self, at: Instant) -> u64 {
        // Looked at first, so that a moment never seems to be later than it was.
        let now = env::monotonic_us();
        let since = env::now().saturating_duration_since(at).as_micros();
        now.saturating_sub(u64::try_from(since).unwrap_or(u64::MAX))
    }

    fn boot(&self) -> String {
        env::boot_id()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::record::event::Role;

    fn ignored(_: ClientError) {}

    fn lines(path: &Path) -> Vec<Line> {
        let content = String::from_utf8(files::read(path).unwrap().unwrap()).unwrap();
        content.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn clients_append_to_one_file_each_under_its_own_name() {
        let folder = files::Folder::new();
        let path = folder.0.join("history");
        let file = File::open(&path, "X").unwrap();
        let (one, other) = (file.history(ignored), File::open(&path, "X").unwrap().history(ignored));
        one.begin(Role::Producer, "id", "group", |hello| hello.mixes_keys = true);
        other.end();
        one.end();
        let lines = lines(&path);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].by.len() == 8 && lines[0].by == lines[2].by && lines[0].by != lines[1].by);
        assert!(lines.windows(2).all(|two| two[0].t <= two[1].t));
        let Event::Hello(hello) = &lines[0].event else { panic!("{lines:?}") };
        assert_eq!(hello.boot.len(), 36);
        assert_eq!((hello.mixes_keys, hello.by_key), (true, false));
    }

    #[test]
    fn moments_before_are_on_the_clock_of_the_lines() {
        let file = File::open(&files::Folder::new().0.join("history"), "X").unwrap();
        let record = FileRecord { file, by: String::new(), warn: Box::new(ignored), state: Mutex::default() };
        let (before, at, after) = (env::monotonic_us(), env::now(), env::monotonic_us());
        std::thread::sleep(std::time::Duration::from_millis(5));
        let time = record.time(at);
        assert!((before.saturating_sub(1_000)..=after).contains(&time), "{before} {time} {after}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = File::open(Path::new("/no/such/folder/history"), "THE_VARIABLE").unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().starts_with("THE_VARIABLE: /no/such/folder/history cannot be opened"), "{error:?}");
    }

    #[test]
    fn a_file_that_is_full_is_one_warning() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let warnings = Arc::clone(&told);
        let full = File::open(Path::new("/dev/full"), "X").unwrap();
        let history = full.history(move |error| warnings.lock().unwrap().push(error));
        history.end();
        history.end();
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 1);
        assert!(told[0].message().starts_with("the history in /dev/full cannot be written"), "{told:?}");
    }
}
