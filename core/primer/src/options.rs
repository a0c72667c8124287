//! Options as values; from pairs of strings for hosts.

mod memory;
mod pairs;
mod plan;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use primer_proto::base::{id, limits};

use crate::run::address;
use crate::run::clock::millis;
use crate::run::discovery::name::Name;
use crate::trust::{self, Pems, Secret};
use crate::{Error, ErrorKind, IfNoGroup, OnShort, Placing, Primer, Result};

pub(crate) use plan::Plan;

/// How a member is opened. Defaults: `tests/conformance/surface.toml`. The default value is one member in
/// memory without a socket.
#[derive(Clone, Debug, Default)]
pub struct Options {
    cluster: Option<String>,
    name: String,
    zone: String,
    listen: Listen,
    seeds: Vec<String>,
    advertise: Option<String>,
    discover: Option<Discover>,
    data_dir: Option<PathBuf>,
    copies: Option<u16>,
    placement: Placing,
    on_short: OnShort,
    enqueue_timeout: Option<Duration>,
    lease: Option<Duration>,
    max_attempts: Option<u32>,
    takeover_after: Option<Duration>,
    repair_after: Option<Duration>,
    retire_after: Option<Duration>,
    memory_bytes_max: Option<u64>,
    body_bytes_max: Option<usize>,
    secrets: Vec<Secret>,
    tls_ca: Option<String>,
    tls_cert: Option<String>,
    tls_key: Option<String>,
}

/// How members are looked for, beside seeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discover {
    /// Among the processes of this user on this machine, by the cluster's name alone.
    Local,
    /// Not at all.
    None,
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

const LISTEN_NONE: &str = "none";

impl Options {
    /// A member of `cluster`. Unless told otherwise it listens on 127.0.0.1:0, and with neither
    /// seeds nor a place to listen at it looks for the other members that this user runs here.
    pub fn new(cluster: impl Into<String>) -> Options {
        Options {
            cluster: Some(cluster.into()),
            ..Options::default()
        }
    }
    /// From pairs of strings, the one door of every binding. Keys (durations in ms, sizes in bytes):
    /// cluster, name, listen ("127.0.0.1:0", or "none"), seeds (comma separated, names too), advertise, zone,
    /// discover (local | none), data_dir, copies, placement (sticky | shuffle_each), on_short (degrade | fail | wait), enqueue_timeout_ms,
    /// lease_ms, max_attempts, takeover_after_ms, repair_after_ms, retire_after_ms, memory_bytes_max,
    /// body_bytes_max, secret (one to three, comma separated), tls_ca, tls_cert, tls_key (paths of PEM files). No pairs at all: one
    /// member in memory without a socket.
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
    /// This member's name: the same name takes the same place again after a restart, unless a data
    /// directory says which place that is.
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
    /// Adds an address that is dialled for ever: "host:port". A name is looked up for ever, and
    /// stands for every address it leads to.
    pub fn seed(mut self, address: impl Into<String>) -> Self {
        self.seeds.push(address.into());
        self
    }
    /// What fails together with this member: a host, a rack, a data centre, by any name that its neighbours
    /// there have, too. Copies go to other zones first. Default: none. At most 64 bytes.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }
    /// What others are told to dial, "host:port", where that is not the address it listens at:
    /// behind a port mapping, or where a name outlives an address.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }
    /// How members are looked for, beside seeds. Default: [`Discover::Local`] exactly when a cluster
    /// is named and neither seeds nor a place to listen at are given.
    pub fn discover(mut self, discover: Discover) -> Self {
        self.discover = Some(discover);
        self
    }
    /// A directory of this member's own, made when it is missing: it is the same member again after
    /// a restart. One process at a time; nobody else may be able to write there.
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(directory.into());
        self
    }
    /// Copies by default.
    pub fn copies(mut self, copies: u16) -> Self {
        self.copies = Some(copies);
        self
    }
    /// How the members that get copies are chosen. Default: [`Placing::Sticky`].
    pub fn placement(mut self, placement: Placing) -> Self {
        self.placement = placement;
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
    /// Given out this often, a message is a dead letter: it goes on in the queue named `<queue>.dead`.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }
    /// An owner unreachable for this long loses its messages to a holder.
    pub fn takeover_after(mut self, time: Duration) -> Self {
        self.takeover_after = Some(time);
        self
    }
    /// A member unreachable for this long is no holder any more: its copies are made elsewhere.
    pub fn repair_after(mut self, time: Duration) -> Self {
        self.repair_after = Some(time);
        self
    }
    /// A member without a name and a data directory that was unreachable for this long leaves the
    /// member set; it loses nothing and is in it again when it comes back.
    pub fn retire_after(mut self, time: Duration) -> Self {
        self.retire_after = Some(time);
        self
    }
    /// Budget for held messages. From 70 % of it on another member with room accepts what is new; an enqueue
    /// for which nobody has room answers 203.
    pub fn memory_bytes_max(mut self, bytes: u64) -> Self {
        self.memory_bytes_max = Some(bytes);
        self
    }
    /// Largest body.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }
    /// Adds a secret that all members of the cluster share; up to three while it is being changed
    /// ([`Primer::rotate`]). With one, members talk over TLS and may be on other machines. It must
    /// have 128 bits (`openssl rand -base64 32`).
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(Secret::from(secret.into()));
        self
    }
    /// Paths of PEM files: the authority that every member's certificate comes from, this member's
    /// certificate, and its key, which others must not be able to read (core/docs/security.md says
    /// what a certificate must name). With a secret as well, both must hold.
    pub fn tls(
        mut self,
        ca: impl Into<String>,
        cert: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        self.tls_ca = Some(ca.into());
        self.tls_cert = Some(cert.into());
        self.tls_key = Some(key.into());
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

    /// Errors: 101 for a value out of its range, 106 for an address that is not on this machine where
    /// there is neither a secret nor certificates.
    fn check(&self) -> Result<()> {
        if let Some(cluster) = &self.cluster {
            id::check_name("cluster", cluster, limits::NAME_BYTES_MAX)?;
        }
        if !self.name.is_empty() {
            id::check_name("name", &self.name, limits::NAME_BYTES_MAX)?;
        }
        trust::check(&self.secrets)?;
        self.pems()?;
        let is_trusted = self.is_trusted();
        if let Listen::At(listen) = &self.listen {
            address::parse("listen", listen, is_trusted)?;
        }
        for seed in &self.seeds {
            match Name::parse(seed) {
                Some(name) if name.leads_nowhere() => return Err(nowhere("seeds", seed)),
                Some(_) => {}
                None => {
                    address::parse_remote("seeds", seed, is_trusted)?;
                }
            }
        }
        self.check_advertise()?;
        self.check_zone()?;
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
        let attempts = self.max_attempts.map(u64::from);
        within_some("max_attempts", attempts, 1, u64::from(u32::MAX))?;
        within_some("takeover_after_ms", self.takeover_after.map(millis), 1, day)?;
        within_some("repair_after_ms", self.repair_after.map(millis), 1, day)?;
        let retire = self.retire_after.map(millis);
        within_some("retire_after_ms", retire, 1, limits::RETIRE_AFTER_MS_MAX)?;
        within_some("memory_bytes_max", self.memory_bytes_max, 1, u64::MAX)?;
        let body = self.body_bytes_max.map(|bytes| bytes as u64);
        within_some("body_bytes_max", body, 1, limits::BODY_BYTES_MAX as u64)
    }

    /// True when something was configured that lets members be on other machines.
    fn is_trusted(&self) -> bool {
        !self.secrets.is_empty() || self.tls_ca.is_some()
    }

    /// The PEM files. Errors: 101 when one is missing.
    fn pems(&self) -> Result<Option<Pems>> {
        match (&self.tls_ca, &self.tls_cert, &self.tls_key) {
            (None, None, None) => Ok(None),
            (Some(ca), Some(cert), Some(key)) => Ok(Some(Pems {
                ca: ca.clone(),
                cert: cert.clone(),
                key: key.clone(),
            })),
            _ => Err(Error::new(ErrorKind::InvalidArgument)
                .because("tls_ca, tls_cert and tls_key belong together")),
        }
    }

    fn check_zone(&self) -> Result<()> {
        if self.zone.len() <= limits::ZONE_BYTES_MAX && !self.zone.chars().any(char::is_control) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidArgument)
            .because("a zone is a short name of printable characters")
            .with("zone", shown(&self.zone))
            .with("bytes_max", limits::ZONE_BYTES_MAX))
    }

    fn check_advertise(&self) -> Result<()> {
        let Some(advertise) = &self.advertise else {
            return Ok(());
        };
        if matches!(self.listen, Listen::Nowhere) {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("a member that does not listen has nothing to advertise")
                .with("advertise", shown(advertise)));
        }
        let is_unspecified = advertise
            .parse::<std::net::SocketAddr>()
            .is_ok_and(|address| address.ip().is_unspecified());
        if !is_unspecified && advertise.len() <= limits::NAME_BYTES_MAX {
            // Its form first: what is no address is none with a secret, too.
            address::parse_remote("advertise", advertise, true)?;
            address::parse_remote("advertise", advertise, self.is_trusted())?;
            return Ok(());
        }
        Err(nowhere("advertise", advertise))
    }
}

fn nowhere(option: &'static str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because("what is to be dialled is host:port, and the port is not 0")
        .with(option, shown(text))
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
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
    /// 0 (last) to 9 (first); 4.
    pub priority: Option<u8>,
    /// Given out only after so long; at once.
    pub delay: Option<Duration>,
    /// Given out only from then on; instead of `delay`. A past time is now.
    pub at: Option<SystemTime>,
    /// Not given out after so long: it expires; never.
    pub ttl: Option<Duration>,
    /// Given out this often it is a dead letter; the owner's default.
    pub max_attempts: Option<u32>,
    /// Finished when it is given out: one copy, never repeated, lost with its member. For the
    /// opposite, which is usual, it is repeated until it is acked.
    pub at_most_once: bool,
    /// Messages of one key are given out in line, one at a time (`key_concurrency`): 1 to 255 bytes of
    /// UTF-8; none.
    pub key: Option<String>,
    /// Within `dedup_window` messages with the same key of this kind are one, whichever members they are put
    /// in at; the receipt says so. 1 to 255 bytes of UTF-8; none. 101 for more than one message, for `call`, and
    /// with `at_most_once`.
    pub dedup: Option<String>,
    /// How long that is, up to a week, from the first one on; five minutes. 101 without `dedup`. Another window
    /// is another key.
    pub dedup_window: Option<Duration>,
    /// What becomes of it where the queue has no group; it waits there.
    pub if_no_group: IfNoGroup,
}

/// Options of one receive.
#[derive(Clone, Debug)]
pub struct ReceiveOptions {
    /// At most this many; 1.
    pub max: usize,
    /// How long to wait for the first; not at all.
    pub wait: Duration,
    /// The lease; the queue's setting, else the member's default.
    pub lease: Option<Duration>,
    /// In which group; the queue itself. One that does not exist is created.
    pub group: Option<String>,
    /// A group that is created gets what waits in the queue, too; only what comes from then on.
    pub backlog: bool,
}

impl Default for ReceiveOptions {
    fn default() -> Self {
        Self {
            max: 1,
            wait: Duration::ZERO,
            lease: None,
            group: None,
            backlog: false,
        }
    }
}

/// Options of one subscription.
#[derive(Clone, Debug)]
pub struct SubscribeOptions {
    /// Unsettled deliveries at most; 64.
    pub credit: u32,
    /// No more while their bodies are this many bytes or more together; one message is always
    /// allowed, however large. No such bound.
    pub credit_bytes: Option<u64>,
    /// The lease; the queue's setting, else the member's default.
    pub lease: Option<Duration>,
    /// For so long from its delivery Primer extends the lease of an unsettled delivery by itself, on a
    /// thread of its own, also while the host's are blocked; then it runs out as usual. Not at all.
    pub max_run: Option<Duration>,
    /// In which group; the queue itself. One that does not exist is created.
    pub group: Option<String>,
    /// A group that is created gets what waits in the queue, too; only what comes from then on.
    pub backlog: bool,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            credit: 64,
            credit_bytes: None,
            lease: None,
            max_run: None,
            group: None,
            backlog: false,
        }
    }
}

#[cfg(test)]
mod tests;
