//! A fence: lives of a member that ended for good (protocol.md 1.2). It only grows.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use prost::Message as _;

use crate::base::StoreId;

/// What may not come back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fence {
    /// Incarnations up to this one were evicted.
    pub incarnation: u64,
    /// Lives of copies that ended by a leave or an evict.
    pub stores: BTreeSet<StoreId>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Packed {
    #[prost(uint64, tag = "1")]
    incarnation: u64,
    #[prost(fixed64, repeated, tag = "2")]
    stores: Vec<u64>,
}

impl Fence {
    /// A fence for these.
    pub fn of(incarnation: u64, stores: impl IntoIterator<Item = StoreId>) -> Self {
        let stores = stores.into_iter().collect();
        Self {
            incarnation,
            stores,
        }
    }

    /// True when that life is behind the fence. A new store under a higher incarnation is not.
    #[must_use]
    pub fn stops(&self, incarnation: u64, store: StoreId) -> bool {
        incarnation <= self.incarnation || self.stores.contains(&store)
    }

    /// Grows by another one.
    pub fn join(&mut self, other: &Fence) {
        self.incarnation = self.incarnation.max(other.incarnation);
        self.stores.extend(&other.stores);
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let packed = Packed {
            incarnation: self.incarnation,
            stores: self.stores.iter().map(|store| store.0).collect(),
        };
        packed.encode_to_vec()
    }

    /// From bytes; those that are no fence stop nothing.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let packed = Packed::decode(bytes).unwrap_or_default();
        Self::of(packed.incarnation, packed.stores.into_iter().map(StoreId))
    }
}
