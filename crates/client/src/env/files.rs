//! Files: read whole, replaced whole, and owned by one client at a time; or appended to by many. All of it blocks.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What keeps everybody else away, until it is dropped, or its process has ended.
#[derive(Debug)]
pub(crate) struct Ownership(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

/// Where links lead; of a file that is not there yet, where it will be.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(fs::canonicalize(folder)?.join(name))
}

/// The path with something behind its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The content; nothing, where there is no such file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the content: whoever reads, now or after a crash, sees all of the old or all of the new. For owners: two writers would use the
/// same file beside it.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = beside(path, ".new");
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let mut file = File::create(&new)?;
    if let Ok(known) = fs::metadata(path) {
        file.set_permissions(known.permissions())?;
    }
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    sync_folder(path);
    Ok(())
}

/// A name that is lost with the machine leaves the old content, which is whole; some file systems know no better.
#[cfg(unix)]
fn sync_folder(path: &Path) {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    if let Some(Ok(folder)) = path.parent().map(File::open) {
        let _ = folder.sync_all();
    }
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) {}

/// A file that others append to as well.
#[derive(Debug)]
pub(crate) struct Appended(File);

impl Appended {
    /// Puts this behind all that is there, in one piece; how much of it.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }
}

/// Opens a file to be appended to; it is made where there is none.
pub(crate) fn append(path: &Path) -> io::Result<Appended> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    OpenOptions::new().append(true).create(true).open(path).map(Appended)
}

/// Makes this the owner of what the file at `path` stands for; nothing, where somebody else is, in this process or another. `words` are
/// for whoever is refused.
pub(crate) fn own(path: &Path, words: &str) -> io::Result<Option<Ownership>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let Some(mut file) = open_alone(&options, path)? else { return Ok(None) };
    file.set_len(0)?;
    file.write_all(words.as_bytes())?;
    Ok(Some(Ownership(file)))
}

/// The file is not locked itself where it is replaced: a lock is of what lies behind a name, not of the name.
#[cfg(unix)]
fn open_alone(options: &OpenOptions, path: &Path) -> io::Result<Option<File>> {
    use std::os::fd::AsRawFd;
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let file = options.open(path)?;
    #[expect(
        unsafe_code,
        reason = "flock; File::lock of the standard library is younger than the oldest Rust we build with"
    )]
    // SAFETY: the descriptor is open while `file` is.
    let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if result == 0 {
        return Ok(Some(file));
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
}

#[cfg(not(unix))]
fn open_alone(options: &OpenOptions, path: &Path) -> io::Result<Option<File>> {
    /// Somebody has it open, and shares it with nobody.
    const SHARING_VIOLATION: i32 = 32;
    let mut options = options.clone();
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A folder of its own for one test, gone with it.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

#[cfg(test)]
impl Folder {
    pub(crate) fn new() -> Self {
        let name =
            format!("rocketmq-orderly-{}-{:08x}{:08x}", std::process::id(), super::random_u32(), super::random_u32());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

#[cfg(test)]
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_is_whole_and_keeps_its_permissions() {
        let folder = Folder::new();
        let path = folder.0.join("offsets.json");
        assert_eq!(read(&path).unwrap(), None);
        replace(&path, b"old").unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        #[cfg(unix)]
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
        fs::set_permissions(&path, permissions).unwrap();
        // Of a crash before.
        replace(&beside(&path, ".new"), b"half").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"new");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn one_owner_at_a_time() {
        let folder = Folder::new();
        let path = folder.0.join("lock");
        let owner = own(&path, "the first, with many words").unwrap().unwrap();
        assert!(own(&path, "the second").unwrap().is_none());
        #[cfg(unix)]
        assert_eq!(read(&path).unwrap().unwrap(), b"the first, with many words");
        drop(owner);
        assert!(own(&path, "the third").unwrap().is_some());
        #[cfg(unix)]
        assert_eq!(read(&path).unwrap().unwrap(), b"the third");
    }

    #[test]
    #[cfg(unix)]
    fn two_names_of_one_file_are_one() {
        let folder = Folder::new();
        let path = folder.0.join("offsets.json");
        let link = folder.0.join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(real_path(&path).unwrap(), fs::canonicalize(&folder.0).unwrap().join("offsets.json"));
        replace(&path, b"").unwrap();
        assert_eq!(real_path(&link).unwrap(), real_path(&path).unwrap());
        assert!(real_path(&folder.0.join("nowhere/offsets.json")).is_err());
        assert!(real_path(Path::new("/")).is_ok_and(|root| root.parent().is_none()));
    }
}
