//! One opaque piece of bytes under a name, whole or not at all.
//!
//! Layout: 8 bytes `PRMRSNAP`, version (u32), the cluster (16 bytes), the body's length (u64), the body,
//! and the BLAKE3 hash of all before it (32 bytes). Integers are little-endian.

use std::fs;
use std::path::{Path, PathBuf};

use primer_proto::base::ClusterId;
use primer_proto::{Error, ErrorKind, Result};

use crate::run::private;

const MAGIC: &[u8; 8] = b"PRMRSNAP";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 8 + 4 + 16 + 8;
const SUM_BYTES: usize = 32;
/// Guess: far above what 100,000 keys need in practice, and it can be read at once.
const BODY_BYTES_MAX: usize = 1 << 30;
/// Damaged ones that are kept; the last is overwritten beyond that.
const DAMAGED_MAX: u32 = 100;

/// What was found.
pub(super) struct Loaded {
    pub(super) body: Option<Vec<u8>>,
    /// There was one that cannot be believed; it has another name now.
    pub(super) is_damaged: bool,
    /// What lies behind the head of a damaged one, if its head says that it is of this version and cluster.
    pub(super) remains: Option<Vec<u8>>,
}

/// Errors: 502.
pub(super) fn load(directory: &Path, name: &str, cluster: ClusterId) -> Result<Loaded> {
    let path = directory.join(name);
    let most = (HEAD_BYTES + BODY_BYTES_MAX + SUM_BYTES) as u64;
    let Some(mut bytes) = private::read(&path, most)? else {
        return Ok(Loaded {
            body: None,
            is_damaged: false,
            remains: None,
        });
    };
    if let Some(length) = body_of(&bytes, cluster) {
        bytes.truncate(HEAD_BYTES + length);
        bytes.drain(..HEAD_BYTES);
        return Ok(Loaded {
            body: Some(bytes),
            is_damaged: false,
            remains: None,
        });
    }
    let is_ours = bytes.starts_with(&named(cluster));
    let remains = is_ours.then(|| bytes.split_off(HEAD_BYTES.min(bytes.len())));
    let aside = set_aside(directory, name)?;
    tracing::warn!(file = %path.display(), aside = %aside.display(), "damaged snapshot set aside");
    Ok(Loaded {
        body: None,
        is_damaged: true,
        remains,
    })
}

/// Errors: 104, 502.
pub(super) fn save(directory: &Path, name: &str, cluster: ClusterId, body: &[u8]) -> Result<()> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Error::new(ErrorKind::TooLarge)
            .because("the metadata is too large to be saved")
            .with("bytes", body.len())
            .with("bytes_max", BODY_BYTES_MAX));
    }
    let head = head(cluster, body.len());
    let sum = blake3::Hasher::new().update(&head).update(body).finalize();
    private::replace(directory, name, &[&head, body, sum.as_bytes()])
}

/// The head without the length.
fn named(cluster: ClusterId) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&cluster.0.to_le_bytes());
    head
}

fn head(cluster: ClusterId, length: usize) -> Vec<u8> {
    let mut head = named(cluster);
    head.extend_from_slice(&(length as u64).to_le_bytes());
    head
}

/// The body's length when every byte is as it was written, for this cluster.
fn body_of(bytes: &[u8], cluster: ClusterId) -> Option<usize> {
    let length = bytes.len().checked_sub(HEAD_BYTES + SUM_BYTES)?;
    let (summed, sum) = bytes.split_at_checked(HEAD_BYTES + length)?;
    let is_whole = summed.starts_with(&head(cluster, length))
        && blake3::hash(summed).as_bytes().as_slice() == sum;
    is_whole.then_some(length)
}

/// Renames the file; its new name.
fn set_aside(directory: &Path, name: &str) -> Result<PathBuf> {
    let aside = (1..DAMAGED_MAX)
        .map(|number| directory.join(format!("{name}.damaged-{number}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| directory.join(format!("{name}.damaged-{DAMAGED_MAX}")));
    let path = directory.join(name);
    fs::rename(&path, &aside)
        .and_then(|()| private::sync(directory))
        .map_err(|error| private::failed("cannot set aside", &path, &error))?;
    Ok(aside)
}
