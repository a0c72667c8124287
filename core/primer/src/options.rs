//! Options as values; from pairs of strings for hosts.

use std::time::Duration;

use crate::{OnShort, Pending, Primer, Result};

/// How a member is opened. Defaults: surface.md.
#[derive(Clone, Debug)]
pub struct Options {}

impl Options {
    /// A member of `cluster`. It listens on 127.0.0.1:0 unless told otherwise.
    pub fn new(cluster: impl Into<String>) -> Options {
        unimplemented!()
    }
    /// From pairs of strings, the one door of every binding. Keys (durations in ms, sizes in bytes):
    /// cluster, name, listen ("127.0.0.1:0", or "none"), seeds (comma separated), copies, on_short
    /// (degrade | fail | wait), enqueue_timeout_ms, lease_ms, takeover_after_ms, memory_bytes_max,
    /// body_bytes_max. No pairs at all: one member in memory without a socket.
    /// Errors: 101 names the option, and the nearest known one when it is unknown.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Options> {
        unimplemented!()
    }
    /// This member's name: the same name takes the same place again after a restart.
    pub fn name(self, name: impl Into<String>) -> Self {
        unimplemented!()
    }
    /// Where to listen.
    pub fn listen(self, address: impl Into<String>) -> Self {
        unimplemented!()
    }
    /// Adds an address that is dialled for ever.
    pub fn seed(self, address: impl Into<String>) -> Self {
        unimplemented!()
    }
    /// Copies by default.
    pub fn copies(self, copies: u16) -> Self {
        unimplemented!()
    }
    /// What to do with fewer copies.
    pub fn on_short(self, on_short: OnShort) -> Self {
        unimplemented!()
    }
    /// When "fewer" is decided.
    pub fn enqueue_timeout(self, timeout: Duration) -> Self {
        unimplemented!()
    }
    /// Default lease.
    pub fn lease(self, lease: Duration) -> Self {
        unimplemented!()
    }
    /// An owner unreachable for this long loses its messages to a holder.
    pub fn takeover_after(self, time: Duration) -> Self {
        unimplemented!()
    }
    /// Budget for held messages.
    pub fn memory_bytes_max(self, bytes: u64) -> Self {
        unimplemented!()
    }
    /// Largest body.
    pub fn body_bytes_max(self, bytes: usize) -> Self {
        unimplemented!()
    }
    /// [`Primer::start`], then [`Primer::joined`].
    pub async fn open(self) -> Result<Primer> {
        unimplemented!()
    }
    /// The same on a plain thread.
    pub fn open_blocking(self) -> Result<Primer> {
        unimplemented!()
    }
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
        Self { max: 1, wait: Duration::ZERO, lease: None }
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
        Self { credit: 64, lease: None }
    }
}
