//! Enqueues that come in parts, because they are too large for one frame: each is kept until all of its parts
//! are there, so that all of its messages are accepted or none, and none of another enqueue between them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::limits;
use super::stead::{EnqueueFor, EnqueuePart, corrupt};
use crate::base::{Error, ErrorKind, MemberId, Result};

/// Bytes of all parts that wait for the others of theirs: two members may send as much as each may have under
/// way, with a head beside each part.
const PARTS_BYTES_MAX: usize = 2 * limits::FORWARD_BYTES_MAX + limits::FRAME_BYTES_MAX;

/// One enqueue whose parts are not all here.
#[derive(Debug, Default)]
struct Partial {
    /// How many there are; 0 before the first came.
    parts: u32,
    here: BTreeMap<u32, EnqueueFor>,
}

/// What came of enqueues so far.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// By who asked, and its number there.
    open: BTreeMap<(MemberId, u64), Partial>,
    /// Of all that are here.
    bytes: usize,
}

impl Parts {
    /// Parts of one enqueue are taken from now on.
    pub(super) fn open(&mut self, from: MemberId, number: u64) {
        self.open.insert((from, number), Partial::default());
    }

    /// One part came. The whole enqueue, when that was the last one; what nobody opened is past. Errors, and
    /// then the others are dropped: 203, 503.
    pub(super) fn add(&mut self, from: MemberId, part: EnqueuePart) -> Result<Option<EnqueueFor>> {
        let name = (from, part.asked.number);
        let Some(partial) = self.open.get_mut(&name) else {
            return Ok(None);
        };
        if partial.here.contains_key(&part.part) {
            return Ok(None);
        }
        let is_like = partial.parts == 0 || partial.parts == part.parts;
        partial.parts = part.parts;
        self.bytes += part.asked.weight();
        partial.here.insert(part.part, part.asked);
        let messages = partial.here.values().map(|asked| asked.messages.len());
        let is_whole = partial.here.len() == partial.parts as usize;
        let error = if !is_like || messages.sum::<usize>() > limits::BATCH_MAX {
            corrupt("parts that are not of one enqueue")
        } else if self.bytes > PARTS_BYTES_MAX {
            Error::new(ErrorKind::Overloaded)
                .because("too many large enqueues are on their way here: try again")
                .with("bytes", self.bytes)
                .with("bytes_max", PARTS_BYTES_MAX)
        } else if is_whole {
            return Ok(self.close(name).map(join));
        } else {
            return Ok(None);
        };
        self.close(name);
        Err(error)
    }

    /// A member's link is gone: no more of its parts come.
    pub(super) fn drop_of(&mut self, member: MemberId) {
        let names = (member, 0)..=(member, u64::MAX);
        let names: Vec<(MemberId, u64)> = self.open.range(names).map(|(name, _)| *name).collect();
        for name in names {
            self.close(name);
        }
    }

    fn close(&mut self, name: (MemberId, u64)) -> Option<Partial> {
        let partial = self.open.remove(&name)?;
        let weights = partial.here.values().map(EnqueueFor::weight);
        self.bytes = self.bytes.saturating_sub(weights.sum());
        Some(partial)
    }
}

/// The whole of an enqueue whose parts are all here.
fn join(partial: Partial) -> EnqueueFor {
    let mut parts = partial.here.into_values();
    let mut whole = parts.next().unwrap_or_default();
    whole.messages.extend(parts.flat_map(|part| part.messages));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const ANN: MemberId = MemberId(1);

    fn parts(number: u64, messages: usize) -> Vec<EnqueuePart> {
        let asked = EnqueueFor {
            number,
            queue: "jobs".into(),
            messages: vec![(vec![number as u8; 500 << 10].into(), None); messages],
            ..EnqueueFor::default()
        };
        asked.in_parts()
    }

    #[test]
    fn the_whole_is_there_with_its_last_part_whichever_that_is_and_once() {
        let mut all = Parts::default();
        let mut some = parts(7, 5);
        assert_eq!(some.len(), 3);
        let whole: Vec<_> = some
            .iter()
            .flat_map(|part| part.asked.messages.clone())
            .collect();
        some.rotate_left(1);
        all.open(ANN, 7);
        for part in &some[..2] {
            assert_eq!(all.add(ANN, part.clone()).unwrap(), None);
            assert_eq!(all.add(ANN, part.clone()).unwrap(), None, "it came again");
        }
        // Another member's of that number is another enqueue, and nobody opened it.
        assert_eq!(all.add(MemberId(2), some[2].clone()).unwrap(), None);
        let asked = all.add(ANN, some[2].clone()).unwrap().unwrap();
        assert_eq!((asked.number, asked.messages), (7, whole));
        assert_eq!(all.add(ANN, some[2].clone()).unwrap(), None, "it is over");
        assert_eq!((all.bytes, all.open.len()), (0, 0));
    }

    #[test]
    fn what_waits_is_bounded_and_goes_with_its_member() {
        let mut all = Parts::default();
        let mut number = 0;
        let refused = loop {
            number += 1;
            all.open(ANN, number);
            if let Err(error) = all.add(ANN, parts(number, 3).remove(0)) {
                break error;
            }
        };
        assert_eq!(refused.number(), 203);
        assert!(number > 16 && all.bytes <= PARTS_BYTES_MAX);
        all.open(MemberId(2), 1);
        all.drop_of(ANN);
        assert_eq!((all.bytes, all.open.len()), (0, 1));
    }

    #[test]
    fn parts_of_two_counts_are_refused_and_what_came_is_dropped() {
        let mut all = Parts::default();
        let mut some = parts(7, 5);
        all.open(ANN, 7);
        some[1].parts = 2;
        assert!(all.add(ANN, some.remove(0)).unwrap().is_none());
        assert_eq!(all.add(ANN, some.remove(0)).unwrap_err().number(), 503);
        assert_eq!((all.bytes, all.open.len()), (0, 0));
    }
}
