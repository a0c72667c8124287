//! Refusals, of strangers and by those who were dialled: counted by their reason, and told to the log
//! without letting anybody fill it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use primer_proto::membership::greeting::{Refused, Why};
use primer_proto::{Error, ErrorKind};

use super::counters::Counters;
use crate::run::sync::Mutex;

/// An address is told about once in this time.
const INTERVAL: Duration = Duration::from_secs(60);
/// Addresses remembered; while all are taken, further ones are counted and not told.
const ADDRESSES_MAX: usize = 256;

/// Which addresses were told about, and when.
pub(crate) struct Refusals<K>(Mutex<HashMap<K, Instant>>);

/// Of those who come.
impl Refusals<IpAddr> {
    /// Counts a stranger that was refused, and tells of it.
    pub(crate) fn note(&self, counters: &Counters, from: IpAddr, refused: &Refused) {
        counters.strangers_refused.one();
        count(counters, refused.why);
        if self.is_news(from, Instant::now()) {
            let error = &refused.error;
            tracing::warn!(%from, why = ?refused.why, %error, "stranger refused");
        } else {
            tracing::debug!(%from, why = ?refused.why, error = %refused.error, "stranger refused");
        }
    }
}

/// Of those who were dialled.
impl Refusals<String> {
    /// Tells of a dial that failed. One that was refused will be, until somebody changes an option:
    /// that is said louder than that nobody answers.
    pub(crate) fn note(&self, address: &str, error: &Error) {
        let is_refused = matches!(
            error.kind(),
            ErrorKind::Unsupported | ErrorKind::ClusterMismatch | ErrorKind::IdentityConflict
        );
        if is_refused && self.is_news(address.into(), Instant::now()) {
            tracing::warn!(%error, "refused by the member that was dialled");
        } else {
            tracing::debug!(%error, "dial failed");
        }
    }
}

impl<K: Eq + Hash> Refusals<K> {
    fn is_news(&self, address: K, now: Instant) -> bool {
        let mut told = self.0.lock();
        if told.len() >= ADDRESSES_MAX && !told.contains_key(&address) {
            told.retain(|_, at| now.duration_since(*at) < INTERVAL);
            if told.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let is_news = told
            .get(&address)
            .is_none_or(|at| now.duration_since(*at) >= INTERVAL);
        if is_news {
            told.insert(address, now);
        }
        is_news
    }
}

impl<K> Default for Refusals<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Counts a reason.
pub(crate) fn count(counters: &Counters, why: Why) {
    match why {
        Why::Malformed => &counters.refused_malformed,
        Why::Version => &counters.refused_version,
        Why::Cluster => &counters.refused_cluster,
        Why::Secret => &counters.refused_secret,
        Why::Identity => &counters.refused_identity,
        Why::Transport => &counters.refused_transport,
        Why::Timeout => &counters.refused_timeout,
        Why::Crowd => &counters.refused_crowd,
        Why::Told => &counters.refused_told,
    }
    .one();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tracing::span::{Attributes, Id, Record};
    use tracing::subscriber::with_default;
    use tracing::{Event, Level, Metadata, Subscriber};

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn an_address_is_told_about_once_in_an_interval() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        assert!(refusals.is_news(address(1), start));
        assert!(!refusals.is_news(address(1), start));
        assert!(!refusals.is_news(address(1), start + INTERVAL - Duration::from_millis(1)));
        assert!(refusals.is_news(address(2), start));
        assert!(refusals.is_news(address(1), start + INTERVAL));
    }

    /// Counts what is said at the level of a warning, by this thread.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_dial_that_was_refused_is_warned_of_and_one_that_nobody_answered_is_not() {
        let (warnings, refusals) = (Warnings::default(), Refusals::<String>::default());
        let said = |kind: ErrorKind| {
            let before = warnings.0.load(Ordering::Relaxed);
            with_default(warnings.clone(), || {
                refusals.note(&kind.number().to_string(), &kind.into());
            });
            warnings.0.load(Ordering::Relaxed) - before
        };
        assert_eq!(said(ErrorKind::Unreachable), 0);
        // Its own address, where that is one of a name's.
        assert_eq!(said(ErrorKind::InvalidArgument), 0);
        for kind in [
            ErrorKind::Unsupported,
            ErrorKind::ClusterMismatch,
            ErrorKind::IdentityConflict,
        ] {
            assert_eq!(said(kind), 1, "{kind:?}");
            assert_eq!(said(kind), 0, "{kind:?}, again and again");
        }
    }

    #[test]
    fn many_addresses_fill_neither_the_log_nor_memory() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let told = (0..10_000).filter(|number| refusals.is_news(address(*number), start));
        assert_eq!(told.count(), ADDRESSES_MAX);
        assert_eq!(refusals.0.lock().len(), ADDRESSES_MAX);
        assert!(refusals.is_news(address(20_000), start + INTERVAL));
        assert_eq!(refusals.0.lock().len(), 1);
    }
}
