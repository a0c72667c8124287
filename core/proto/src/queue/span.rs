//! The ids of an enqueue: neighbours of one origin, once for each group.

use smallvec::SmallVec;

use crate::base::{BootId, MessageId};

/// Neighbours of one origin, or the same messages in several groups.
#[derive(Debug, Clone)]
pub(super) struct Span {
    /// The messages' own origin.
    pub(super) source: BootId,
    /// That of their ids: the same one, or one for each group.
    pub(super) origins: SmallVec<[BootId; 1]>,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Span {
    /// Messages of a queue without groups.
    pub(super) fn plain(origin: BootId, first: u64, last: u64) -> Self {
        Self {
            source: origin,
            origins: SmallVec::from_buf([origin]),
            first,
            last,
        }
    }

    /// The ids, each message's in all its groups together.
    pub(super) fn ids(&self) -> impl Iterator<Item = MessageId> + '_ {
        (self.first..=self.last).flat_map(|sequence| self.of(sequence))
    }

    /// The messages' own ids.
    pub(super) fn sources(&self) -> impl Iterator<Item = MessageId> + use<> {
        let origin = self.source;
        (self.first..=self.last).map(move |sequence| MessageId { origin, sequence })
    }

    /// One message's ids.
    pub(super) fn of(&self, sequence: u64) -> impl Iterator<Item = MessageId> + '_ {
        let origins = self.origins.iter();
        origins.map(move |origin| MessageId {
            origin: *origin,
            sequence,
        })
    }

    pub(super) fn count(&self) -> usize {
        (self.last - self.first + 1) as usize * self.origins.len()
    }

    pub(super) fn holds(&self, id: MessageId) -> bool {
        self.origins.contains(&id.origin) && (self.first..=self.last).contains(&id.sequence)
    }
}
