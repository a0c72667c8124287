//! [`Home`]: the directory that makes a process the same member again after a restart.
//!
//! It holds who this member is ([`identity`]), what it last knew of the cluster ([`snapshot`]) and a lock, so
//! that two processes never are one member. A file that is damaged, of another version or of
//! another cluster stops the start: an identity that was made up anew in its place would be a
//! stranger with a member's copies. Only the snapshot is set aside, because the others know it too.
//!
//! Sources: protocol.md 1.1 (what is persisted), reliability.md 7.2 (who may write there).

mod identity;
mod snapshot;

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::run::sync::Mutex;
use primer_proto::base::{ClusterId, MemberId};
use primer_proto::{Error, ErrorKind, Result};

use super::private::{self, Closed};
pub(crate) use identity::Identity;

const IDENTITY: &str = "identity";
const LOCK: &str = "lock";
const METADATA: &str = "metadata";

/// A member's directory, locked while this value lives.
pub(crate) struct Home {
    directory: PathBuf,
    cluster: ClusterId,
    /// None once it was released.
    lock: Mutex<Option<File>>,
    /// A forked child has this value, too, and must not open its parent's lock.
    process: u32,
    identity: Mutex<Identity>,
    damaged: AtomicU64,
    /// What there was of a snapshot that was set aside.
    remains: Mutex<Option<Vec<u8>>>,
}

impl Home {
    /// Opens `directory`, made if it is missing, and begins a new life of its member: the incarnation
    /// is raised to at least `wall_ms` and on the disk when this returns. `make` makes the member's id
    /// at the first start.
    ///
    /// Errors: 101 for a directory that others can write, 107 of another cluster, 108 while another
    /// process has it, 502, 503 for a damaged one.
    pub(crate) fn open(
        directory: &Path,
        cluster: ClusterId,
        wall_ms: u64,
        make: impl FnOnce() -> Result<MemberId>,
    ) -> Result<Self> {
        private::directory(directory, Closed::ToWriters)?;
        let directory = private::whole(directory)?;
        let lock = lock(&directory)?;
        let kept = identity::load(&directory.join(IDENTITY), cluster)?;
        let identity = match kept {
            Some(kept) => kept.next(wall_ms)?,
            None if directory.join(METADATA).exists() => {
                return Err(Error::new(ErrorKind::Corrupt)
                    .because("the directory was used, but its identity is gone")
                    .with("data_dir", directory.display()));
            }
            None => Identity {
                member: make()?,
                incarnation: wall_ms.max(1),
            },
        };
        identity::save(&directory, cluster, &identity)?;
        Ok(Self {
            directory,
            cluster,
            lock: Mutex::new(Some(lock)),
            process: std::process::id(),
            identity: Mutex::new(identity),
            damaged: AtomicU64::new(0),
            remains: Mutex::default(),
        })
    }

    /// Who this member is, as last kept.
    pub(crate) fn identity(&self) -> Identity {
        *self.identity.lock()
    }

    /// Keeps another identity: call it before that is shown to anyone. An incarnation never goes back
    /// under one id. Blocks for a disk's sync. Errors: 501 once it was released, 502.
    pub(crate) fn keep(&self, identity: Identity) -> Result<()> {
        let mut kept = self.identity.lock();
        if kept.member == identity.member && kept.incarnation >= identity.incarnation {
            return Ok(());
        }
        self.check()?;
        identity::save(&self.directory, self.cluster, &identity)?;
        *kept = identity;
        Ok(())
    }

    /// What was last saved. A damaged snapshot is renamed (`metadata.damaged-1`, -2, ...), counted and none:
    /// it is never half believed. Errors: 502.
    pub(crate) fn load_metadata(&self) -> Result<Option<Vec<u8>>> {
        let loaded = snapshot::load(&self.directory, METADATA, self.cluster)?;
        if loaded.is_damaged {
            self.damaged.fetch_add(1, Ordering::Relaxed);
        }
        *self.remains.lock() = loaded.remains;
        Ok(loaded.body)
    }

    /// After [`Home::load_metadata`] found a damaged snapshot of this cluster: its bytes, some of which are wrong
    /// or lack. For whoever can tell which; once.
    pub(crate) fn take_remains(&self) -> Option<Vec<u8>> {
        self.remains.lock().take()
    }

    /// Saves `metadata` in place of what was saved before, whole or not at all, and on the disk when
    /// this returns. Blocks for that; one caller at a time gets on. Errors: 104, 501 once it was
    /// released, 502.
    pub(crate) fn save_metadata(&self, metadata: &[u8]) -> Result<()> {
        let held = self.lock.lock();
        if held.is_none() {
            return Err(released());
        }
        snapshot::save(&self.directory, METADATA, self.cluster, metadata)
    }

    /// Removes what was saved, and that is on the disk when this returns. Errors: 501 once it was
    /// released, 502.
    pub(crate) fn forget_metadata(&self) -> Result<()> {
        let held = self.lock.lock();
        if held.is_none() {
            return Err(released());
        }
        private::remove(&self.directory, METADATA)
    }

    /// Snapshots found damaged and set aside since the start.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Lets another process have the directory. Nothing is written from now on. Idempotent.
    pub(crate) fn release(&self) {
        if std::process::id() != self.process {
            return;
        }
        if let Some(lock) = self.lock.lock().take() {
            // Not by closing alone: a forked child may hold the same lock without knowing of it.
            let _ = lock.unlock();
        }
    }

    fn check(&self) -> Result<()> {
        if self.lock.lock().is_none() {
            return Err(released());
        }
        Ok(())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.release();
    }
}

/// Errors: 108 while another process holds it, 502.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK);
    let mut file =
        private::open_or_create(&path).map_err(|e| private::failed("cannot open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only told; the lock is what counts.
            let _ = file.take(32).read_to_string(&mut holder);
            return Err(Error::new(ErrorKind::IdentityConflict)
                .because("another live process has this directory's identity")
                .with("data_dir", directory.display())
                .with("pid", holder.trim()));
        }
        Err(TryLockError::Error(error)) => {
            return Err(private::failed("cannot lock", &path, &error));
        }
    }
    let pid = format!("{}\n", std::process::id());
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(pid.as_bytes()));
    written.map_err(|error| private::failed("cannot write", &path, &error))?;
    Ok(file)
}

fn released() -> Error {
    Error::new(ErrorKind::Closed).because("this member gave its directory up")
}

#[cfg(test)]
mod tests;
