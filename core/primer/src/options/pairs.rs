//! Options by their keys, for hosts that have only strings.

use std::path::PathBuf;
use std::time::Duration;

use primer_proto::base::nearest;

use super::{Discover, Options};
use crate::trust::Secret;
use crate::{Error, ErrorKind, OnShort, Placing, Result};

/// Every key, in the order of `tests/conformance/surface.toml`.
pub(super) const KEYS: &[&str] = &[
    "cluster",
    "name",
    "listen",
    "seeds",
    "advertise",
    "zone",
    "discover",
    "data_dir",
    "copies",
    "placement",
    "on_short",
    "enqueue_timeout_ms",
    "lease_ms",
    "max_attempts",
    "takeover_after_ms",
    "repair_after_ms",
    "retire_after_ms",
    "memory_bytes_max",
    "body_bytes_max",
    "secret",
    "tls_ca",
    "tls_cert",
    "tls_key",
];

impl Options {
    /// Sets one option. Errors: 101 for an unknown key or a value that cannot be read.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "cluster" => self.cluster = Some(value.into()),
            "name" => self.name = value.into(),
            "listen" => *self = std::mem::take(self).listen(value),
            "seeds" => {
                self.seeds.extend(
                    value
                        .split(',')
                        .map(str::trim)
                        .filter(|seed| !seed.is_empty())
                        .map(String::from),
                );
            }
            "advertise" => self.advertise = Some(value.into()),
            "zone" => self.zone = value.into(),
            "discover" => self.discover = Some(discover(value)?),
            "data_dir" => self.data_dir = Some(directory(value)?),
            "copies" => self.copies = Some(number("copies", value)?),
            "placement" => self.placement = placement(value)?,
            "on_short" => self.on_short = on_short(value)?,
            "enqueue_timeout_ms" => {
                self.enqueue_timeout = Some(span("enqueue_timeout_ms", value)?);
            }
            "lease_ms" => self.lease = Some(span("lease_ms", value)?),
            "max_attempts" => self.max_attempts = Some(number("max_attempts", value)?),
            "takeover_after_ms" => self.takeover_after = Some(span("takeover_after_ms", value)?),
            "repair_after_ms" => self.repair_after = Some(span("repair_after_ms", value)?),
            "retire_after_ms" => self.retire_after = Some(span("retire_after_ms", value)?),
            "memory_bytes_max" => {
                self.memory_bytes_max = Some(number("memory_bytes_max", value)?);
            }
            "body_bytes_max" => self.body_bytes_max = Some(number("body_bytes_max", value)?),
            "secret" => self.secrets.extend(secrets(value)?),
            "tls_ca" => self.tls_ca = Some(value.into()),
            "tls_cert" => self.tls_cert = Some(value.into()),
            "tls_key" => self.tls_key = Some(value.into()),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(key: &'static str, value: &str) -> Result<T> {
    value
        .trim()
        .parse()
        .map_err(|_| wrong("an option needs a whole number in its range", key, value))
}

fn span(key: &'static str, value: &str) -> Result<Duration> {
    number(key, value).map(Duration::from_millis)
}

fn on_short(value: &str) -> Result<OnShort> {
    match value {
        "degrade" => Ok(OnShort::Degrade),
        "fail" => Ok(OnShort::Fail),
        "wait" => Ok(OnShort::Wait),
        _ => Err(wrong(
            "on_short is degrade, fail or wait",
            "on_short",
            value,
        )),
    }
}

fn placement(value: &str) -> Result<Placing> {
    match value {
        "sticky" => Ok(Placing::Sticky),
        "shuffle_each" => Ok(Placing::ShuffleEach),
        _ => Err(wrong(
            "placement is sticky or shuffle_each",
            "placement",
            value,
        )),
    }
}

fn discover(value: &str) -> Result<Discover> {
    match value {
        "local" => Ok(Discover::Local),
        "none" => Ok(Discover::None),
        _ => Err(wrong("discover is local or none", "discover", value)),
    }
}

fn directory(value: &str) -> Result<PathBuf> {
    if value.is_empty() || value.contains('\0') {
        return Err(wrong("a data directory needs a path", "data_dir", value));
    }
    Ok(value.into())
}

/// An empty text is an error: a variable that nobody set must not open a member without a secret.
fn secrets(value: &str) -> Result<Vec<Secret>> {
    let secrets = Secret::list(value);
    if secrets.is_empty() {
        return Err(wrong("a secret is empty", "secret", ""));
    }
    Ok(secrets)
}

fn wrong(reason: &str, key: &'static str, value: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because(reason)
        .with(key, shorten(value))
}

fn unknown(key: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because("an unknown option")
        .with("option", shorten(key))
        .with("nearest", nearest(key, KEYS))
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}
