//! Which message a dedup key stands for, and where it is remembered (protocol.md 4.6, "Dedup key").
//!
//! Time is cut into windows by the wall clock, and the id follows from the queue, the key, the length of the
//! window and its number: whoever accepts it makes the same id, so that two sides of a split make one message.

use super::fan::DERIVED;
use crate::base::{BootId, MemberId, MessageId, Millis};
use crate::wire::SEQUENCE_MAX;

/// A dedup key of a queue, with its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dedup {
    /// What stands for the queue, the key and the length of the window.
    hash: [u8; 32],
    /// The length, in ms; at least 1.
    window: Millis,
}

/// The purposes of the hashes, so that each serves its own alone.
const KEY_PURPOSE: &str = "primer 2026 dedup key";
const ID_PURPOSE: &str = "primer 2026 dedup id";
/// The word "home".
const HOME_SEED: u64 = 0x686f_6d65;

impl Dedup {
    /// The one of those terms; a window of nothing is one of 1 ms.
    #[must_use]
    pub fn new(queue: &str, key: &str, window: Millis) -> Self {
        let window = window.max(1);
        // A user's words decide over an id that must meet no other: so no fast hash (decision 0005).
        let mut hash = blake3::Hasher::new_derive_key(KEY_PURPOSE);
        hash.update(&window.to_le_bytes());
        hash.update(&(queue.len() as u64).to_le_bytes());
        hash.update(queue.as_bytes());
        hash.update(key.as_bytes());
        Self {
            hash: *hash.finalize().as_bytes(),
            window,
        }
    }

    /// The number of the window in which that moment of the wall clock is.
    #[must_use]
    pub fn number(&self, wall_ms: u64) -> u64 {
        wall_ms / self.window
    }

    /// The message of the window with that number.
    #[must_use]
    pub fn id(&self, number: u64) -> MessageId {
        let mut hash = blake3::Hasher::new_derive_key(ID_PURPOSE);
        hash.update(&self.hash);
        hash.update(&number.to_le_bytes());
        let mut words = hash.finalize().as_bytes().map(u64::from).into_iter();
        let mut word = || {
            let bytes = words.by_ref().take(8);
            bytes.fold(0, |word, byte| word << 8 | byte)
        };
        MessageId {
            origin: BootId(word() | DERIVED),
            sequence: (word() & SEQUENCE_MAX).max(1),
        }
    }

    /// The messages that are looked for before one is accepted at that moment: of the window before, of its
    /// own, and of the next one, which a member whose clock is a little ahead may have begun.
    #[must_use]
    pub fn around(&self, wall_ms: u64) -> [MessageId; 3] {
        let number = self.number(wall_ms);
        let numbers = [number.wrapping_sub(1), number, number.wrapping_add(1)];
        numbers.map(|number| self.id(number))
    }

    /// What stands for it where its home is looked for.
    #[must_use]
    pub fn home(&self) -> u64 {
        let bytes = self.hash.iter().take(8);
        bytes.fold(0, |home, byte| home << 8 | u64::from(*byte))
    }
}

/// The rendezvous value of a member for what [`Dedup::home`] gave: the highest are its home.
#[must_use]
pub fn home_rank(home: u64, member: MemberId) -> u64 {
    let mut key = [0_u8; 24];
    let (first, rest) = key.split_at_mut(8);
    first.copy_from_slice(&home.to_le_bytes());
    rest.copy_from_slice(&member.0.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64_with_seed(&key, HOME_SEED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copies::is_derived;
    use alloc::collections::BTreeSet;

    #[test]
    fn a_key_has_one_message_a_window_and_shares_it_with_no_other() {
        let key = Dedup::new("jobs", "order-42", 1_000);
        assert_eq!(key.id(key.number(5_000)), key.id(key.number(5_999)));
        let others = [
            Dedup::new("jobs", "order-43", 1_000),
            Dedup::new("job", "sorder-42", 1_000),
            Dedup::new("jobs", "order-42", 1_001),
        ];
        let mut ids = BTreeSet::from(key.around(5_000));
        assert_eq!(ids.len(), 3);
        for other in others {
            assert!(other.around(5_000).into_iter().all(|id| ids.insert(id)));
        }
        assert!(ids.iter().all(|id| is_derived(*id)));
        assert!(
            ids.iter()
                .all(|id| (1..=SEQUENCE_MAX).contains(&id.sequence))
        );
    }

    #[test]
    fn the_windows_before_and_after_are_neighbours() {
        let key = Dedup::new("jobs", "k", 1_000);
        let [before, own, next] = key.around(5_000);
        assert_eq!([before, own], [key.around(4_000)[1], key.around(4_999)[2]]);
        assert_eq!(next, key.around(6_000)[1]);
        // At the beginning of time there is none before, and none is looked for that is another's.
        assert_eq!(key.around(0)[0], key.id(u64::MAX));
    }

    #[test]
    fn every_member_is_at_home_for_its_share_of_keys() {
        let mut homes = [0; 4];
        for key in 0..400 {
            let home = Dedup::new("jobs", &alloc::format!("k{key}"), 1_000).home();
            let best = (1..=4).max_by_key(|member| home_rank(home, MemberId(*member)));
            homes[best.unwrap() as usize - 1] += 1;
        }
        assert!(
            homes.iter().all(|count| (70..130).contains(count)),
            "{homes:?}"
        );
    }
}
