//! Options as values; from pairs of strings for hosts.

mod memory;
mod pairs;

use std::net::TcpListener;
use std::time::Duration;

use primer_proto::base::{BootId, ClusterId, MemberId, StoreId, id, limits};
use primer_proto::engine::Config;

use crate::run::address;
use crate::run::clock::{millis, wall_ms};
use crate::run::runtime::refused;
use crate::{Error, ErrorKind, OnShort, Primer, Result};

/// How a member is opened. Defaults: surface.md. The default value is one member in memory without
/// a socket.
#[derive(Clone, Debug, Default)]
pub struct Options {
    cluster: Option<String>,
    name: String,
    listen: Listen,
    seeds: Vec<String>,
    copies: Option<u16>,
    on_short: OnShort,
    enqueue_timeout: Option<Duration>,
    lease: Option<Duration>,
    takeover_after: Option<Duration>,
    memory_bytes_max: Option<u64>,
    body_bytes_max: Option<usize>,
}

/// Where a member listens.
#[derive(Clone, Debug, Default)]
enum Listen {
    /// On a free port once it belongs to a cluster, else nowhere.
    #[default]
    Default,
    Nowhere,
    At(String),
}

const LISTEN_DEFAULT: &str = "127.0.0.1:0";
const LISTEN_NONE: &str = "none";

/// What a member is started from: options that were checked, and the port that it has.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) listener: Option<TcpListener>,
}

impl Options {
    /// A member of `cluster`. It listens on 127.0.0.1:0 unless told otherwise.
    pub fn new(cluster: impl Into<String>) -> Options {
        Options {
            cluster: Some(cluster.into()),
            ..Options::default()
        }
    }
    /// From pairs of strings, the one door of every binding. Keys (durations in ms, sizes in bytes):
    /// cluster, name, listen ("127.0.0.1:0", or "none"), seeds (comma separated), copies, on_short
    /// (degrade | fail | wait), enqueue_timeout_ms, lease_ms, takeover_after_ms, memory_bytes_max,
    /// body_bytes_max. No pairs at all: one member in memory without a socket.
    /// Errors: 101 names the option, and the nearest known one when it is unknown.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Options> {
        let mut options = Options::default();
        for (key, value) in pairs {
            options.set(key.as_ref(), value.as_ref())?;
        }
        options.check()?;
        Ok(options)
    }
    /// This member's name: the same name takes the same place again after a restart.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
    /// Where to listen: "host:port", or "none".
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        let address = address.into();
        self.listen = if address == LISTEN_NONE {
            Listen::Nowhere
        } else {
            Listen::At(address)
        };
        self
    }
    /// Adds an address that is dialled for ever.
    pub fn seed(mut self, address: impl Into<String>) -> Self {
        self.seeds.push(address.into());
        self
    }
    /// Copies by default.
    pub fn copies(mut self, copies: u16) -> Self {
        self.copies = Some(copies);
        self
    }
    /// What to do with fewer copies.
    pub fn on_short(mut self, on_short: OnShort) -> Self {
        self.on_short = on_short;
        self
    }
    /// When "fewer" is decided.
    pub fn enqueue_timeout(mut self, timeout: Duration) -> Self {
        self.enqueue_timeout = Some(timeout);
        self
    }
    /// Default lease.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }
    /// An owner unreachable for this long loses its messages to a holder.
    pub fn takeover_after(mut self, time: Duration) -> Self {
        self.takeover_after = Some(time);
        self
    }
    /// Budget for held messages.
    pub fn memory_bytes_max(mut self, bytes: u64) -> Self {
        self.memory_bytes_max = Some(bytes);
        self
    }
    /// Largest body.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }
    /// [`Primer::start`], then [`Primer::joined`].
    pub async fn open(self) -> Result<Primer> {
        let primer = Primer::start(self)?;
        primer.joined().await?;
        Ok(primer)
    }
    /// The same on a plain thread.
    pub fn open_blocking(self) -> Result<Primer> {
        let primer = Primer::start(self)?;
        primer.joined().wait()?;
        Ok(primer)
    }

    /// Errors: 101 for a value out of its range, 106 for an address that is not on this machine.
    fn check(&self) -> Result<()> {
        if let Some(cluster) = &self.cluster {
            id::check_name("cluster", cluster, limits::NAME_BYTES_MAX)?;
        }
        if !self.name.is_empty() {
            id::check_name("name", &self.name, limits::NAME_BYTES_MAX)?;
        }
        if let Listen::At(listen) = &self.listen {
            address::parse("listen", listen)?;
        }
        for seed in &self.seeds {
            address::parse_remote("seeds", seed)?;
        }
        within(
            "seeds",
            self.seeds.len() as u64,
            0,
            limits::SEEDS_MAX as u64,
        )?;
        let copies = self.copies.map(u64::from);
        within_some("copies", copies, 1, u64::from(limits::COPIES_MAX))?;
        let day = limits::LEASE_MS_MAX;
        within_some(
            "enqueue_timeout_ms",
            self.enqueue_timeout.map(millis),
            1,
            day,
        )?;
        within_some("lease_ms", self.lease.map(millis), 1, day)?;
        within_some("takeover_after_ms", self.takeover_after.map(millis), 1, day)?;
        within_some("memory_bytes_max", self.memory_bytes_max, 1, u64::MAX)?;
        let body = self.body_bytes_max.map(|bytes| bytes as u64);
        within_some("body_bytes_max", body, 1, limits::BODY_BYTES_MAX as u64)
    }

    /// Checks everything, binds, and makes up what only a running process has.
    /// Errors: 101, 106, 502.
    pub(crate) fn plan(self) -> Result<Plan> {
        self.check()?;
        let listener = self.bind()?;
        let address = match &listener {
            None => None,
            Some(listener) => Some(
                listener
                    .local_addr()
                    .map_err(|error| refused("cannot listen", &error))?
                    .to_string(),
            ),
        };
        let cluster = cluster_id(self.cluster.as_deref().unwrap_or("default"));
        let member = match self.name.as_str() {
            "" => MemberId(random_wide()?),
            name => member_id(cluster, name),
        };
        // The top bit marks derived message ids; zero is no boot.
        let boot = BootId((random()? >> 1).max(1));
        let mut config = Config::new(cluster, member, boot, StoreId(random()?));
        config.incarnation = wall_ms();
        config.seed = random()?;
        config.address = address;
        config.name = self.name;
        config.seeds = self.seeds;
        config.copies = self.copies;
        config.on_short = self.on_short;
        config.memory_bytes_max = self.memory_bytes_max.unwrap_or_else(memory::budget);
        if let Some(timeout) = self.enqueue_timeout {
            config.enqueue_timeout = millis(timeout);
        }
        if let Some(lease) = self.lease {
            config.lease = millis(lease);
        }
        if let Some(time) = self.takeover_after {
            config.takeover_after = millis(time);
        }
        if let Some(bytes) = self.body_bytes_max {
            config.body_bytes_max = bytes;
        }
        Ok(Plan { config, listener })
    }

    fn bind(&self) -> Result<Option<TcpListener>> {
        let is_in_cluster = self.cluster.is_some() || !self.seeds.is_empty();
        let listen = match &self.listen {
            Listen::At(listen) => listen.as_str(),
            Listen::Default if is_in_cluster => LISTEN_DEFAULT,
            Listen::Default | Listen::Nowhere => return Ok(None),
        };
        let address = address::parse("listen", listen)?;
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => Err(refused("cannot listen", &error).with("listen", listen)),
        }
    }
}

/// The cluster of that name (protocol.md 1.1).
fn cluster_id(name: &str) -> ClusterId {
    ClusterId(first_wide(blake3::hash(name.as_bytes())))
}

/// The place that `name` has in `cluster` (protocol.md 1.1).
fn member_id(cluster: ClusterId, name: &str) -> MemberId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&cluster.0.to_le_bytes());
    hasher.update(name.as_bytes());
    MemberId(first_wide(hasher.finalize()))
}

fn first_wide(hash: blake3::Hash) -> u128 {
    hash.as_bytes()
        .first_chunk()
        .map_or(0, |first| u128::from_le_bytes(*first))
}

fn random() -> Result<u64> {
    getrandom::u64().map_err(no_chance)
}

fn random_wide() -> Result<u128> {
    Ok((u128::from(random()?) << 64) | u128::from(random()?.max(1)))
}

fn no_chance(cause: getrandom::Error) -> Error {
    Error::new(ErrorKind::Io)
        .because("no random numbers")
        .with("cause", cause)
}

fn within_some(key: &'static str, value: Option<u64>, low: u64, high: u64) -> Result<()> {
    value.map_or(Ok(()), |value| within(key, value, low, high))
}

fn within(key: &'static str, value: u64, low: u64, high: u64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument)
        .because("an option is out of its range")
        .with(key, value)
        .with("least", low)
        .with("most", high))
}

/// Options of one enqueue; the default takes everything from the member.
#[derive(Clone, Debug, Default)]
pub struct EnqueueOptions {
    /// Copies wanted, this member's included.
    pub copies: Option<u16>,
    /// What to do with fewer.
    pub on_short: Option<OnShort>,
    /// When "fewer" is decided.
    pub timeout: Option<Duration>,
    /// Names and values.
    pub headers: Vec<(String, String)>,
}

/// Options of one receive.
#[derive(Clone, Debug)]
pub struct ReceiveOptions {
    /// At most this many; 1.
    pub max: usize,
    /// How long to wait for the first; not at all.
    pub wait: Duration,
    /// The lease; the member's default.
    pub lease: Option<Duration>,
}

impl Default for ReceiveOptions {
    fn default() -> Self {
        Self {
            max: 1,
            wait: Duration::ZERO,
            lease: None,
        }
    }
}

/// Options of one subscription.
#[derive(Clone, Debug)]
pub struct SubscribeOptions {
    /// Unsettled deliveries at most; 64.
    pub credit: u32,
    /// The lease; the member's default.
    pub lease: Option<Duration>,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            credit: 64,
            lease: None,
        }
    }
}

#[cfg(test)]
mod tests;
