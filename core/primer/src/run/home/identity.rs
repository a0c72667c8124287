//! Who a member is, as five lines of text that a person can read and a sum that tells damage.

use std::path::Path;

use primer_proto::base::{ClusterId, MemberId};
use primer_proto::{Error, ErrorKind, Result};

use super::IDENTITY;
use crate::run::private;

/// The form of the file; another one is another number.
const FIRST_LINE: &str = "primer identity 1";
/// Far more than the file ever is.
const BYTES_MAX: u64 = 4_096;

/// What a restart must not forget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) member: MemberId,
    /// Orders the lives of this member.
    pub(crate) incarnation: u64,
}

impl Identity {
    /// The same member's next life. Errors: 503 when there is no later one.
    pub(super) fn next(self, wall_ms: u64) -> Result<Self> {
        let after = self.incarnation.checked_add(1).ok_or_else(damaged)?;
        Ok(Self {
            incarnation: after.max(wall_ms),
            ..self
        })
    }
}

/// The identity in the file; none when it is not there.
/// Errors: 107 of another cluster, 502, 503 when it is damaged or of another version.
pub(super) fn load(path: &Path, cluster: ClusterId) -> Result<Option<Identity>> {
    let Some(bytes) = private::read(path, BYTES_MAX)? else {
        return Ok(None);
    };
    let place = |error: Error| error.with("file", path.display());
    let (found, identity) = parse(&bytes).map_err(place)?;
    if found != cluster {
        return Err(place(
            Error::new(ErrorKind::ClusterMismatch)
                .because("the directory belongs to a member of another cluster")
                .with("theirs", found)
                .with("ours", cluster),
        ));
    }
    Ok(Some(identity))
}

/// Errors: 502.
pub(super) fn save(directory: &Path, cluster: ClusterId, identity: &Identity) -> Result<()> {
    let text = write(cluster, identity);
    private::replace(directory, IDENTITY, &[text.as_bytes()])
}

fn write(cluster: ClusterId, identity: &Identity) -> String {
    let body = format!(
        "{FIRST_LINE}\ncluster {cluster}\nmember {}\nincarnation {}\n",
        identity.member, identity.incarnation
    );
    let sum = sum(&body);
    format!("{body}check {sum}\n")
}

fn parse(bytes: &[u8]) -> Result<(ClusterId, Identity)> {
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let first = text.lines().next().unwrap_or_default();
    if first != FIRST_LINE && first.starts_with("primer identity ") {
        return Err(Error::new(ErrorKind::Corrupt)
            .because("the identity was written by another version of Primer")
            .with("version", first.trim_start_matches("primer identity ")));
    }
    let (body, check) = text
        .rsplit_once("check ")
        .filter(|(body, check)| check.strip_suffix('\n') == Some(sum(body).as_str()))
        .ok_or_else(damaged)?;
    debug_assert!(!check.is_empty());
    let mut lines = body.lines().skip(1);
    let mut value = |key: &str| {
        let line = lines.next().ok_or_else(damaged)?;
        let value = line
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(' '));
        value.ok_or_else(damaged)
    };
    let cluster = value("cluster")?.parse().map_err(|_| damaged())?;
    let member: MemberId = value("member")?.parse().map_err(|_| damaged())?;
    let incarnation = value("incarnation")?.parse().map_err(|_| damaged())?;
    if member.0 == 0 || lines.next().is_some() {
        return Err(damaged());
    }
    Ok((
        cluster,
        Identity {
            member,
            incarnation,
        },
    ))
}

fn sum(body: &str) -> String {
    blake3::hash(body.as_bytes())
        .to_hex()
        .chars()
        .take(16)
        .collect()
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt).because("the identity is damaged")
}
