//! Dead letters that go back.

use std::time::Duration;

use crate::error::PrimerError;
use crate::queue::Queue;
use crate::values::Header;

/// Which messages go back, and where they go.
#[derive(Clone, Debug, uniffi::Record)]
pub struct RedriveOptions {
    /// The queue that they go to; absent: the one that each came from.
    #[uniffi(default = None)]
    pub to: Option<String>,
    /// At most this many of all members together, 1 to 1,000,000.
    #[uniffi(default = 10000)]
    pub max: u64,
    /// Those that have all of these headers, such as "primer-cause" or "primer-group".
    #[uniffi(default = [])]
    pub headers: Vec<Header>,
    /// These alone, 1,000 at most, by the ids that a browse shows; none: all.
    #[uniffi(default = [])]
    pub ids: Vec<String>,
    /// They are counted and stay where they are.
    #[uniffi(default = false)]
    pub dry_run: bool,
    /// How long to wait for all members, in milliseconds, 10 minutes at most.
    #[uniffi(default = 30000)]
    pub timeout_ms: u64,
}

impl TryFrom<RedriveOptions> for primer::RedriveOptions {
    type Error = primer::Error;

    fn try_from(options: RedriveOptions) -> Result<Self, primer::Error> {
        let headers = options.headers.into_iter();
        let ids = options.ids.iter().map(|id| id.parse());
        Ok(Self {
            to: options.to,
            max: options.max,
            headers: headers.map(|header| (header.key, header.value)).collect(),
            ids: ids.collect::<Result<_, _>>()?,
            dry_run: options.dry_run,
            timeout: Duration::from_millis(options.timeout_ms),
        })
    }
}

/// What became of a redrive, at the members that answered.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Redriven {
    /// Ready and delayed messages that were meant, whatever the maximum.
    pub matched: u64,
    /// Those of them that are back, each as a message of its own with a new id.
    pub moved: u64,
    /// Those that stay because where they would go they were refused: paused, full, or their group is gone.
    pub refused: u64,
    /// Those that stay because they do not say where they came from, or may be in no two places.
    pub skipped: u64,
    /// Further messages that were meant, but a consumer has them.
    pub leased: u64,
    /// The ids of members that did not answer: unreachable, too busy, or too slow. What they moved is not known.
    pub missing: Vec<String>,
}

impl From<primer::Redriven> for Redriven {
    fn from(redriven: primer::Redriven) -> Self {
        let missing = redriven.missing.iter();
        Self {
            matched: redriven.matched,
            moved: redriven.moved,
            refused: redriven.refused,
            skipped: redriven.skipped,
            leased: redriven.leased,
            missing: missing.map(ToString::to_string).collect(),
        }
    }
}

#[uniffi::export]
impl Queue {
    /// Moves dead letters back to where they came from, at every member that answers in time: each to the group that
    /// it was in, with its own headers, its attempts beginning anew. With `to`, messages of any queue go to that one.
    /// Errors: 101, 203, 501.
    #[uniffi::method(default(options = None))]
    pub async fn redrive(&self, options: Option<RedriveOptions>) -> Result<Redriven, PrimerError> {
        let (queue, courier) = self.0.get()?;
        let options =
            options.map_or_else(|| Ok(primer::RedriveOptions::default()), TryInto::try_into)?;
        Ok(courier.carry(queue.redrive(&options)).await?.into())
    }
}
