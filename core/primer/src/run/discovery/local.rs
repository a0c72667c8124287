//! [`Local`]: how the members of one user on one machine find and trust each other.
//!
//! A cluster has a directory there, named by its id. In it lies a `secret`, made by whoever comes first
//! and agreed on by all, and one small file for each member that is to be found. Who is alive is told by
//! a lock on that file, which the kernel opens when its process ends however it ends; a process
//! number could be another's by now. What lost its writer is removed by whoever looks.
//!
//! A member writes itself in before it looks, so of two that start at once one finds the other.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use primer_proto::base::{BootId, ClusterId, MemberId, limits};
use primer_proto::{Error, ErrorKind, Result};

use crate::run::private::{self, Closed};

const SECRET: &str = "secret";
const SECRET_BYTES: usize = 32;
/// Far more than any file there is long.
const FILE_BYTES_MAX: u64 = 4_096;
/// An unfinished file is one that a crash left when it is this old.
const UNFINISHED_MAX: Duration = Duration::from_secs(60);
/// Each attempt fails only because another made the secret, or took it away, at that moment.
const ATTEMPTS: usize = 16;

/// One member's view of its cluster's directory.
pub(crate) struct Local {
    /// Where the directories of all clusters are.
    place: PathBuf,
    /// This cluster's.
    directory: PathBuf,
    secret: String,
    own: Option<Own>,
    /// Files that were looked at, and the address in each; none when it tells none.
    known: BTreeMap<String, Option<String>>,
}

/// This member's file.
struct Own {
    name: String,
    text: String,
    /// Locked; none once it was withdrawn.
    file: Option<File>,
    /// A forked child has this value, too.
    process: u32,
}

impl Local {
    /// Enters the directory of `cluster` in `place` (`place::find`) and agrees on the secret.
    /// Errors: 101 when others could look in, 502, 503 for a damaged secret.
    pub(crate) fn enter(place: &Path, cluster: ClusterId) -> Result<Self> {
        let directory = place.join(cluster.to_string());
        private::directory(&directory, Closed::ToAll)?;
        let secret = agree(&directory, &make_secret()?)?;
        Ok(Self {
            place: place.into(),
            directory,
            secret,
            own: None,
            known: BTreeMap::new(),
        })
    }

    /// The secret of this user's members on this machine: 64 hexadecimal digits.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Writes this member in, to be found at `address` until it withdraws or ends. Errors: 502.
    pub(crate) fn publish(&mut self, member: MemberId, boot: BootId, address: &str) -> Result<()> {
        let process = std::process::id();
        self.withdraw();
        self.own = Some(Own {
            name: format!("{member}-{boot}"),
            text: format!("primer member 1\naddress {address}\npid {process}\n"),
            file: None,
            process,
        });
        self.write_in()
    }

    /// The addresses of the other members there, sorted. Writes this member in again where a tidy
    /// system has removed it. Files that are known are taken as they were unless `is_thorough`.
    /// Errors: 502, and 101 when the place is not safe any more.
    pub(crate) fn look(&mut self, is_thorough: bool) -> Result<Vec<String>> {
        let names = match self.names() {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.come_back()?;
                self.names().map_err(|e| self.failed(&e))?
            }
            Err(error) => return Err(self.failed(&error)),
        };
        let own = self.own.as_ref().map(|own| own.name.clone());
        let mut known = BTreeMap::new();
        let mut is_seen = false;
        for name in names {
            if Some(&name) == own.as_ref() {
                is_seen = true;
            } else if name.starts_with('.') {
                self.clear_unfinished(&name, is_thorough);
            } else if name != SECRET && known.len() < limits::MEMBERS_MAX {
                let was = self.known.remove(&name).filter(|_| !is_thorough);
                if let Some(address) = was.map_or_else(|| self.ask(&name), Some) {
                    known.insert(name, address);
                }
            }
        }
        self.known = known;
        if own.is_some() && !is_seen {
            self.come_back()?;
        }
        let mut addresses: Vec<String> = self.known.values().flatten().cloned().collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// Takes this member's file away: it is not to be found any more. Idempotent.
    pub(crate) fn withdraw(&mut self) {
        let Some(own) = self.own.take() else { return };
        // In a forked child: the file is its parent's.
        if own.process != std::process::id() {
            return;
        }
        if let Some(file) = own.file {
            let _ = fs::remove_file(self.directory.join(own.name));
            // A forked child may hold the lock without knowing of it.
            let _ = file.unlock();
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.directory)?;
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        Ok(names
            .collect::<io::Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// The address in another member's file, if it tells one; none at all when its writer is gone.
    fn ask(&self, name: &str) -> Option<Option<String>> {
        let path = self.directory.join(name);
        let file = File::open(&path).ok()?;
        match file.try_lock_shared() {
            Ok(()) => {
                let _ = fs::remove_file(&path);
                None
            }
            Err(TryLockError::WouldBlock) => {
                let bytes = private::read(&path, FILE_BYTES_MAX).ok()??;
                Some(address_in(&bytes))
            }
            Err(TryLockError::Error(_)) => None,
        }
    }

    fn clear_unfinished(&self, name: &str, is_thorough: bool) {
        if is_thorough && is_left_over(&self.directory.join(name)) {
            let _ = fs::remove_file(self.directory.join(name));
        }
    }

    /// The directory or this member's file went away under it: sessions that end and tidy systems
    /// remove what lies there. The others still have the secret that was agreed on.
    fn come_back(&mut self) -> Result<()> {
        private::directory(&self.place, Closed::ToAll)?;
        private::directory(&self.directory, Closed::ToAll)?;
        if agree(&self.directory, &self.secret)? != self.secret {
            tracing::warn!(
                directory = %self.directory.display(),
                "the local secret was made anew: members started before and after do not meet"
            );
        }
        self.write_in()
    }

    /// Puts this member's file there: complete, and locked before anyone can see it.
    fn write_in(&mut self) -> Result<()> {
        let Some(own) = &mut self.own else {
            return Ok(());
        };
        let path = self.directory.join(&own.name);
        let write = || -> io::Result<File> {
            let unfinished = self.directory.join(unfinished_name()?);
            let mut file = private::create_new(&unfinished)?;
            let written = file
                .try_lock()
                .map_err(io::Error::from)
                .and_then(|()| file.write_all(own.text.as_bytes()))
                .and_then(|()| fs::rename(&unfinished, &path));
            if written.is_err() {
                let _ = fs::remove_file(&unfinished);
            }
            written.map(|()| file)
        };
        let file = write().map_err(|error| private::failed("cannot write", &path, &error))?;
        own.file = Some(file);
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Error {
        private::failed("cannot look at the directory", &self.directory, error)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// The secret in the directory; `secret` where there was none, put there whole and never over
/// another's.
fn agree(directory: &Path, secret: &str) -> Result<String> {
    let path = directory.join(SECRET);
    for _ in 0..ATTEMPTS {
        if let Some(found) = read_secret(&path)? {
            return Ok(found);
        }
        offer(directory, &path, secret)
            .map_err(|error| private::failed("cannot write", &path, &error))?;
    }
    Err(Error::new(ErrorKind::Io)
        .because("the local secret comes and goes")
        .with("path", path.display()))
}

/// Puts a secret there unless there is one.
fn offer(directory: &Path, path: &Path, secret: &str) -> io::Result<()> {
    let unfinished = directory.join(unfinished_name()?);
    let mut file = private::create_new(&unfinished)?;
    // On the disk before it has its name, so that no crash leaves half a secret under it.
    let linked = file
        .try_lock()
        .map_err(io::Error::from)
        .and_then(|()| writeln!(file, "{secret}"))
        .and_then(|()| file.sync_all())
        // Unlike a rename, a link does not take the place of one that another put there meanwhile.
        .and_then(|()| fs::hard_link(&unfinished, path));
    let _ = fs::remove_file(&unfinished);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => private::sync(directory),
    }
}

/// Errors: 101 when others could read it, 502, 503 when it is none.
fn read_secret(path: &Path) -> Result<Option<String>> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(private::failed("cannot look at", path, &error)),
    };
    if !found.is_file() || found.uid() != private::user() || found.mode() & 0o077 != 0 {
        return Err(Error::new(ErrorKind::InvalidArgument)
            .because("others can have read or written the local secret")
            .with("path", path.display()));
    }
    let Some(bytes) = private::read(path, FILE_BYTES_MAX)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).unwrap_or_default();
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    if secret.len() != 2 * SECRET_BYTES || !secret.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Error::new(ErrorKind::Corrupt)
            .because("the local secret is damaged; remove it when no member runs")
            .with("path", path.display()));
    }
    Ok(Some(secret.into()))
}

fn make_secret() -> Result<String> {
    let mut bytes = [0_u8; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io)
            .because("no random numbers")
            .with("cause", error)
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn unfinished_name() -> io::Result<String> {
    let number = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(format!(".{number:016x}"))
}

/// True when nobody writes the file any more.
fn is_left_over(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let age = file
        .metadata()
        .and_then(|found| found.modified())
        .map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age > UNFINISHED_MAX) && file.try_lock_shared().is_ok()
}

fn address_in(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let address = text
        .lines()
        .find_map(|line| line.strip_prefix("address "))?;
    let is_fit = address.len() <= limits::NAME_BYTES_MAX && address.contains(':');
    is_fit.then(|| address.into())
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
