//! Who holds a message, and who owns it (protocol.md 4.1).

use alloc::sync::Arc;

use crate::base::{MemberId, MessageId, StoreId, limits};

/// One store of one member. A copy is counted against the store, not the member: a member that
/// came back empty is another holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Holder {
    /// Whose.
    pub member: MemberId,
    /// Which life of its copies.
    pub store: StoreId,
}

/// The stores that may hold a message, in the order they were chosen; it only grows at the end, so
/// that a position in it stays a name. Shared by all messages of a copyset.
pub type Holders = Arc<[Holder]>;

/// Who arbitrates a message's leases: a lattice value, joined by max wherever it is carried.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Own {
    /// Grows by one with every takeover.
    pub epoch: u32,
    /// The store's rendezvous value for the message's block: settles two takeovers of one epoch.
    pub rank: u64,
    /// The owner.
    pub store: StoreId,
}

/// Messages of one origin are ranked in blocks of this many, so that a block stays together.
pub const BLOCK_BITS: u32 = 12;

/// The word "owner": this hash serves that purpose alone.
const RANK_SEED: u64 = 0x006f_776e_6572;

/// The rendezvous value of `store` for the block that `id` is in (protocol.md 0, 4.6).
#[must_use]
pub fn rank(id: MessageId, store: StoreId) -> u64 {
    let mut key = [0_u8; 24];
    let (origin, rest) = key.split_at_mut(8);
    let (block, target) = rest.split_at_mut(8);
    origin.copy_from_slice(&id.origin.0.to_le_bytes());
    block.copy_from_slice(&(id.sequence >> BLOCK_BITS).to_le_bytes());
    target.copy_from_slice(&store.0.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64_with_seed(&key, RANK_SEED)
}

/// What stands for a message and its owner in a digest: as likely as not another number for every other
/// pair of the two.
#[must_use]
pub fn signature(id: MessageId, own: Own) -> u64 {
    let mut bytes = [0_u8; 28];
    let (origin, rest) = bytes.split_at_mut(8);
    let (sequence, rest) = rest.split_at_mut(8);
    let (epoch, store) = rest.split_at_mut(4);
    origin.copy_from_slice(&id.origin.0.to_le_bytes());
    sequence.copy_from_slice(&id.sequence.to_le_bytes());
    epoch.copy_from_slice(&own.epoch.to_le_bytes());
    store.copy_from_slice(&own.store.0.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

/// Where `holder` stands in the set: the number of its bit in a confirmation set.
#[must_use]
pub fn position(holders: &Holders, holder: Holder) -> Option<u32> {
    let index = holders.iter().position(|known| *known == holder)?;
    u32::try_from(index).ok()
}

/// The set with `more` appended where they are missing, up to `limits::HOLDERS_MAX`; the same
/// allocation when nothing is new.
#[must_use]
pub fn with(holders: &Holders, more: &[Holder]) -> Holders {
    if more.iter().all(|holder| holders.contains(holder)) {
        return holders.clone();
    }
    let mut all = holders.to_vec();
    for holder in more {
        if !all.contains(holder) && all.len() < limits::HOLDERS_MAX {
            all.push(*holder);
        }
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(n: u64) -> Holder {
        Holder {
            member: MemberId(u128::from(n)),
            store: StoreId(n),
        }
    }

    #[test]
    fn a_set_only_grows_at_its_end() {
        let set: Holders = [holder(3), holder(1)].into();
        let grown = with(&set, &[holder(1), holder(2)]);
        assert_eq!(grown.as_ref(), [holder(3), holder(1), holder(2)]);
        assert_eq!(position(&grown, holder(1)), position(&set, holder(1)));
        assert!(Arc::ptr_eq(&with(&set, &[holder(1)]), &set));
    }

    #[test]
    fn a_block_of_messages_has_one_rank() {
        let id = |sequence| MessageId {
            origin: crate::base::BootId(5),
            sequence,
        };
        assert_eq!(rank(id(1), StoreId(9)), rank(id(4_095), StoreId(9)));
        assert_ne!(rank(id(1), StoreId(9)), rank(id(4_096), StoreId(9)));
    }
}
