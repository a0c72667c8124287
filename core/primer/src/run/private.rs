//! Directories and files that are this user's own.
//!
//! What is trusted because of where it lies (a member's identity, a generated secret) must lie where
//! nobody else can put it. So a directory is looked at before it is used: who owns it, who may
//! write or look into it, and that it is no link to somewhere else. New ones are made for the owner
//! alone. A file is replaced whole, or not at all, also when the power fails.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use primer_proto::{Error, ErrorKind, Result};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Group and others may write.
const WRITABLE: u32 = 0o022;
/// Group and others may do anything.
const ANY: u32 = 0o077;

/// What others must not be able to do to a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Closed {
    /// To write into it. Group members count as others, as for a database's directory.
    ToWriters,
    /// To look into it, either; and it must be a directory itself, not a link to one.
    ToAll,
}

/// Whom this process acts as.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes the directory and those above it where they are missing, for this user alone, and checks
/// it. Errors: 101 when it is another's or open to others, 502.
pub(crate) fn directory(path: &Path, closed: Closed) -> Result<()> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path);
    made.map_err(|error| failed("cannot make the directory", path, &error))?;
    check(path, closed)
}

/// Errors: 101 when the directory is another's or open to others, 502.
fn check(path: &Path, closed: Closed) -> Result<()> {
    let found = match closed {
        Closed::ToWriters => fs::metadata(path),
        Closed::ToAll => fs::symlink_metadata(path),
    };
    let found = found.map_err(|error| failed("cannot look at the directory", path, &error))?;
    let (reason, forbidden) = match closed {
        Closed::ToWriters => ("others can write into the directory", WRITABLE),
        Closed::ToAll => ("others can look into the directory", ANY),
    };
    let refused = if found.file_type().is_symlink() {
        "the directory is a link to another place"
    } else if !found.is_dir() {
        "that is no directory"
    } else if found.uid() != user() {
        "the directory belongs to another user"
    } else if found.mode() & forbidden != 0 {
        reason
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidArgument)
        .because(refused)
        .with("directory", path.display())
        .with("owner", found.uid())
        .with("user", user())
        .with("mode", format!("{:o}", found.mode() & 0o7777)))
}

/// Makes a new file that only this user can open. Errors: the operating system's, also when the
/// file exists.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Opens a file that only this user can open, made if it is not there.
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
}

/// Writes `parts` as the file `name`, in place of the one that was there: whole, and on the disk when
/// this returns. One writer at a time. Errors: 502; the old file is there then.
pub(crate) fn replace(directory: &Path, name: &str, parts: &[&[u8]]) -> Result<()> {
    let (path, fresh) = (directory.join(name), directory.join(format!("{name}.new")));
    let write = || -> io::Result<()> {
        // What a crash left of an earlier attempt.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = create_new(&fresh)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        sync(directory)
    };
    write().map_err(|error| failed("cannot write", &path, &error))
}

/// Removes the file `name` if it is there; it is gone from the disk when this returns. Errors: 502.
pub(crate) fn remove(directory: &Path, name: &str) -> Result<()> {
    let path = directory.join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed.and_then(|()| sync(directory)),
    }
    .map_err(|error| failed("cannot remove", &path, &error))
}

/// Makes the directory's entries last.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The file's bytes if it is there, and one more than `most` at most. Errors: 502.
pub(crate) fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("cannot read", path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| failed("cannot read", path, &error))?;
    Ok(Some(bytes))
}

/// The path without `..`, links and the working directory, which a host may change later.
/// Errors: 502.
pub(crate) fn whole(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|error| failed("cannot find", path, &error))
}

/// 502 with the path and what the operating system said.
pub(crate) fn failed(what: &str, path: &Path, cause: &io::Error) -> Error {
    Error::new(ErrorKind::Io)
        .because(what)
        .with("path", path.display())
        .with("cause", cause)
}

/// A directory for one test, removed with it.
#[cfg(test)]
pub(crate) struct Scratch(PathBuf);

#[cfg(test)]
impl Scratch {
    pub(crate) fn new() -> Self {
        let name = format!("primer-test-{:016x}", getrandom::u64().unwrap());
        let path = std::env::temp_dir().join(name);
        directory(&path, Closed::ToAll).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_is_for_this_user_alone() {
        let scratch = Scratch::new();
        let inner = scratch.path().join("a/b");
        directory(&inner, Closed::ToAll).unwrap();
        for path in [scratch.path().join("a"), inner.clone()] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o700);
        }
        replace(&inner, "file", &[b"12", b"3"]).unwrap();
        replace(&inner, "file", &[b"4"]).unwrap();
        assert_eq!(fs::read(inner.join("file")).unwrap(), b"4");
        let file = fs::metadata(inner.join("file")).unwrap();
        assert_eq!(file.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1, "nothing else");
    }

    #[test]
    fn a_directory_that_others_can_write_or_see_into_is_refused() {
        let scratch = Scratch::new();
        let number = |closed| directory(scratch.path(), closed).err().map(|e| e.number());
        for (mode, to_writers, to_all) in [
            (0o700, None, None),
            (0o750, None, Some(101)),
            (0o755, None, Some(101)),
            (0o701, None, Some(101)),
            (0o770, Some(101), Some(101)),
            (0o702, Some(101), Some(101)),
            (0o1777, Some(101), Some(101)),
        ] {
            allow(scratch.path(), mode);
            assert_eq!(number(Closed::ToWriters), to_writers, "{mode:o}");
            assert_eq!(number(Closed::ToAll), to_all, "{mode:o}");
        }
        allow(scratch.path(), 0o700);
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let scratch = Scratch::new();
        // Only root can give a directory away; anyone else meets one of root's.
        let path = if user() == 0 {
            chown(scratch.path(), Some(12_345), None).unwrap();
            scratch.path().to_path_buf()
        } else {
            PathBuf::from("/usr")
        };
        for closed in [Closed::ToWriters, Closed::ToAll] {
            let error = directory(&path, closed).unwrap_err();
            assert_eq!(error.number(), 101);
            assert_eq!(error.reason(), "the directory belongs to another user");
        }
    }

    #[test]
    fn a_link_is_refused_where_nobody_may_look_in() {
        let scratch = Scratch::new();
        let (real, link) = (scratch.path().join("real"), scratch.path().join("link"));
        directory(&real, Closed::ToAll).unwrap();
        symlink(&real, &link).unwrap();
        assert_eq!(directory(&link, Closed::ToAll).unwrap_err().number(), 101);
        directory(&link, Closed::ToWriters).unwrap();
        fs::write(scratch.path().join("file"), b"").unwrap();
        let error = directory(&scratch.path().join("file"), Closed::ToAll).unwrap_err();
        assert_eq!(error.number(), 502);
    }

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let scratch = Scratch::new();
        let path = scratch.path().join("file");
        assert_eq!(read(&path, 10).unwrap(), None);
        fs::write(&path, [7; 100]).unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().len(), 11);
        assert_eq!(read(&path, 100).unwrap().unwrap().len(), 100);
    }
}
