//! A message in a group is a message of its own, with an id that follows from the message's and the
//! group's (protocol.md 4.1, "owed").
//!
//! So each rule of the queue room, which is about one id, holds for one message in one group without
//! a word about groups. The sequence stays and only the origin is another: what is a run of ids in
//! the queue is a run in each group, and any two stores that fan a message out make the same ids.

use crate::base::{Birth, BootId, MessageId};

/// Where the ids of one group's messages of one origin come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fan {
    /// The boot that accepted them.
    pub source: BootId,
    /// The group.
    pub birth: Birth,
}

/// The word "group": this hash serves that purpose alone.
const FAN_SEED: u64 = 0x0067_726f_7570;
/// Set in the origin of an id that was derived from another, never in a boot's.
pub(super) const DERIVED: u64 = 1 << 63;

impl Fan {
    /// The origin of those messages in that group.
    #[must_use]
    pub fn origin(&self) -> BootId {
        let mut key = [0_u8; 24];
        let (source, birth) = key.split_at_mut(8);
        let (boot, number) = birth.split_at_mut(8);
        source.copy_from_slice(&self.source.0.to_le_bytes());
        boot.copy_from_slice(&self.birth.boot.to_le_bytes());
        number.copy_from_slice(&self.birth.number.to_le_bytes());
        BootId(xxhash_rust::xxh3::xxh3_64_with_seed(&key, FAN_SEED) | DERIVED)
    }
}

/// True for an id that was made from another one: in a group, or of a dead letter.
#[must_use]
pub fn is_derived(id: MessageId) -> bool {
    id.origin.0 & DERIVED != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_and_each_life_of_a_group_has_ids_of_its_own() {
        let fan = |source, boot, number| Fan {
            source: BootId(source),
            birth: Birth { boot, number },
        };
        let origin = fan(1, 2, 3).origin();
        assert_eq!(fan(1, 2, 3).origin(), origin);
        for other in [fan(9, 2, 3), fan(1, 9, 3), fan(1, 2, 9)] {
            assert_ne!(other.origin(), origin);
        }
        let id = |origin| MessageId {
            origin,
            sequence: 1,
        };
        assert!(is_derived(id(origin)) && !is_derived(id(BootId(7))));
    }
}
