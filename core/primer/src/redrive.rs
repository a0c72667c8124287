//! [`Redriven`]: dead letters that went back to where they came from.

use std::time::Duration;

use primer_proto::base::limits;
use primer_proto::engine::{Command, NewRedrive, Reply};

use crate::queue::Queue;
use crate::run::clock::millis;
use crate::run::driver::Manner;
use crate::run::waiter::unexpected;
use crate::{MemberId, MessageId, Pending};

/// Options of one redrive.
#[derive(Clone, Debug)]
pub struct RedriveOptions {
    /// The queue that they go to; the one that each came from.
    pub to: Option<String>,
    /// At most this many of all members together, up to 1,000,000; 10,000.
    pub max: u64,
    /// Those that have all of these headers, such as `primer-cause` or `primer-group`; all.
    pub headers: Vec<(String, String)>,
    /// These alone, up to 1,000, by the ids that a browse shows; all.
    pub ids: Vec<MessageId>,
    /// They are counted and stay where they are; false.
    pub dry_run: bool,
    /// How long to wait for all members, up to 10 minutes; 30 s.
    pub timeout: Duration,
}

impl Default for RedriveOptions {
    fn default() -> Self {
        Self {
            to: None,
            max: limits::REDRIVE_DEFAULT,
            headers: Vec::new(),
            ids: Vec::new(),
            dry_run: false,
            timeout: Duration::from_millis(limits::REDRIVE_TIMEOUT_MS),
        }
    }
}

/// What became of a redrive, at the members that answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Members of the set that did not answer: unreachable, too busy, or too slow. What they moved is not known.
    pub missing: Vec<MemberId>,
}

impl Queue {
    /// Moves dead letters back to where they came from, at every member of the cluster that answers in time:
    /// those that do not are named. Each goes back to the group that it was in, with its own headers, and its
    /// attempts begin anew; it is gone here only when it is safe there. With `options.to` messages of any queue
    /// go to that one. Errors: 101, 203 with too many redrives at a time, 501.
    pub fn redrive(&self, options: &RedriveOptions) -> Pending<Redriven> {
        let command = Command::Redrive(NewRedrive {
            queue: self.key(),
            to: options.to.clone(),
            max: options.max,
            headers: options.headers.clone(),
            ids: options.ids.clone(),
            is_dry_run: options.dry_run,
            timeout: millis(options.timeout),
        });
        self.driver()
            .call(command, Manner::Patient, None, |_, reply| match reply {
                Reply::Redriven(told, missing) => Ok(Redriven {
                    matched: told.matched,
                    moved: told.moved,
                    refused: told.refused,
                    skipped: told.skipped,
                    leased: told.leased,
                    missing,
                }),
                _ => Err(unexpected()),
            })
    }
}
