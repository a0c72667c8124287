//! What the sockets count, under names that stay.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters of one member, from its start.
        #[derive(Default)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: Counter,)*
        }

        impl Counters {
            /// Adds all of them to `stats`.
            pub(crate) fn tell(&self, stats: &mut BTreeMap<&'static str, u64>) {
                $(stats.insert(stringify!($name), self.$name.value());)*
            }
        }
    };
}

counters! {
    /// Frames read.
    frames_in,
    /// Frames written.
    frames_out,
    /// Bytes read from links.
    bytes_in,
    /// Bytes written to links.
    bytes_out,
    /// Frames of a kind that this version does not know.
    frames_skipped,
    /// Frames that could not be read; each closed its link.
    frames_malformed,
    /// Reads from sockets that brought something.
    socket_reads,
    /// Writes to sockets.
    socket_writes,
    /// Connections that came in.
    strangers,
    /// Connections that were closed before they became a link: silent, malformed, unwelcome, or
    /// too many at a time.
    strangers_refused,
    /// Of these and of our own dials: bytes that no member sends, or that ended too early.
    refused_malformed,
    /// Another wire version.
    refused_version,
    /// Another cluster.
    refused_cluster,
    /// A secret or certificate that is not this cluster's.
    refused_secret,
    /// This member itself, or another process with its identity.
    refused_identity,
    /// One end encrypts and the other does not.
    refused_transport,
    /// Of our own dials: the other end refused, for a reason that it counts.
    refused_told,
    /// No handshake in time.
    refused_timeout,
    /// Too many strangers at a time.
    refused_crowd,
    /// Attempts to connect.
    dials,
    /// Attempts that did not become a link.
    dials_failed,
    /// Links that were cut because the peer did not read.
    links_cut,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub(crate) fn one(&self) {
        self.add(1);
    }

    /// Counts `many`.
    pub(crate) fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    /// How many were counted.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
