//! Message ids of one origin as ranges: most acks and copies come in runs.

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

use super::{Put, Reader};
use crate::base::{BootId, Error, ErrorKind, MessageId, Result};

/// No boot gives out a higher sequence, so that the next one can always be counted.
pub const SEQUENCE_MAX: u64 = u64::MAX >> 1;

/// Ids of one origin: ascending or not, as they came; each range is (first, last).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ids {
    /// The boot that accepted the messages.
    pub origin: BootId,
    /// Ranges of sequences, both ends included.
    pub ranges: SmallVec<[(u64, u64); 1]>,
}

impl Ids {
    /// One id.
    #[must_use]
    pub fn one(id: MessageId) -> Self {
        Self::range(id.origin, id.sequence, id.sequence)
    }

    /// One range.
    #[must_use]
    pub fn range(origin: BootId, first: u64, last: u64) -> Self {
        let mut ranges = SmallVec::new();
        ranges.push((first, last));
        Self { origin, ranges }
    }

    /// No ids of that origin yet.
    #[must_use]
    pub fn none(origin: BootId) -> Self {
        Self {
            origin,
            ranges: SmallVec::new(),
        }
    }

    /// Adds a range, growing the last one where it touches.
    pub fn push(&mut self, first: u64, last: u64) {
        if let Some(end) = self.ranges.last_mut()
            && end.1.checked_add(1) == Some(first)
        {
            end.1 = last;
            return;
        }
        self.ranges.push((first, last));
    }

    /// Adds all of `other`, which must be of the same origin.
    pub fn append(&mut self, other: &Ids) {
        for (first, last) in &other.ranges {
            self.push(*first, *last);
        }
    }

    /// How many ids.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().fold(0_u64, |sum, (first, last)| {
            sum.saturating_add(last - first + 1)
        })
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Every id, range by range.
    pub fn iter(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.ranges.iter().flat_map(|(first, last)| {
            (*first..=*last).map(|sequence| MessageId {
                origin: self.origin,
                sequence,
            })
        })
    }

    /// Appends: origin, count of ranges, then per range the step from the last end (zigzag) and
    /// the length.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u64_le(self.origin.0);
        out.put_varint(self.ranges.len() as u64);
        let mut end = 0_u64;
        for (first, last) in &self.ranges {
            let step = first.wrapping_sub(end) as i64;
            out.put_varint(((step << 1) ^ (step >> 63)) as u64);
            out.put_varint(last - first);
            end = *last;
        }
    }

    /// Reads what [`Ids::write`] wrote. Errors: 503, also for more than `ids_max` ids in all: a
    /// few bytes must not ask for a day's work.
    pub fn read(reader: &mut Reader, ids_max: u64) -> Result<Self> {
        let mut ids = Ids::none(BootId(reader.u64()?));
        let mut end = 0_u64;
        let mut total = 0_u64;
        for _ in 0..reader.count(2)? {
            let zigzag = reader.varint()?;
            let step = ((zigzag >> 1) as i64) ^ -((zigzag & 1) as i64);
            let first = end.wrapping_add(step as u64);
            let span = reader.varint()?;
            total = total.saturating_add(span).saturating_add(1);
            let last = first.checked_add(span).filter(|last| *last <= SEQUENCE_MAX);
            let (Some(last), true) = (last, total <= ids_max) else {
                return Err(Error::new(ErrorKind::Corrupt).because("too many ids in a frame"));
            };
            ids.ranges.push((first, last));
            end = last;
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_range_and_ids_survive_the_wire() {
        let mut ids = Ids::none(BootId(9));
        for sequence in [1, 2, 3, 10, 11, 5] {
            ids.push(sequence, sequence);
        }
        assert_eq!(ids.ranges.as_slice(), [(1, 3), (10, 11), (5, 5)]);
        let mut out = BytesMut::new();
        ids.write(&mut out);
        let mut reader = Reader::new(out.freeze());
        assert_eq!(Ids::read(&mut reader, 100).unwrap(), ids);
        assert_eq!(ids.count(), 6);
    }

    #[test]
    fn a_range_of_a_day_in_ten_bytes_is_refused() {
        let mut out = BytesMut::new();
        Ids::range(BootId(1), 0, u64::MAX - 1).write(&mut out);
        let mut reader = Reader::new(out.freeze());
        assert_eq!(Ids::read(&mut reader, 1_000).unwrap_err().number(), 503);
    }
}
