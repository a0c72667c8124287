//! The member set: an ORSWOT, a key space of the metadata map (protocol.md 1.2).
//!
//! One entry a member, written once a store by whoever admits it: a member that restarts often
//! makes no actors. Add wins; among siblings the highest incarnation is read. The map belongs to
//! the metadata room and is lent for each call; what is read from it is kept here.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use prost::Message as _;

use super::fence::Fence;
use crate::base::{BootId, MemberId, StoreId, limits};
use crate::crdt::{Delta, DotMap};

/// Former stores whose copies one member may still serve.
const KEPT_MAX: usize = 8;

/// What the set says of one member.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MemberInfo {
    /// Orders lives of this member.
    #[prost(uint64, tag = "1")]
    pub incarnation: u64,
    /// This life of its copies.
    #[prost(fixed64, tag = "2")]
    store: u64,
    /// Former lives whose surviving copies this store serves.
    #[prost(fixed64, repeated, tag = "3")]
    kept: Vec<u64>,
    /// It has neither a name nor a data directory: unreachable for long, it is retired.
    #[prost(bool, tag = "4")]
    pub is_ephemeral: bool,
}

impl MemberInfo {
    /// What a member says of itself.
    #[must_use]
    pub fn new(incarnation: u64, store: StoreId, is_ephemeral: bool) -> Self {
        Self {
            incarnation,
            store: store.0,
            kept: Vec::new(),
            is_ephemeral,
        }
    }

    /// This life of its copies.
    #[must_use]
    pub fn store(&self) -> StoreId {
        StoreId(self.store)
    }

    /// Former lives whose surviving copies this store serves.
    pub fn kept(&self) -> impl Iterator<Item = StoreId> + '_ {
        self.kept.iter().map(|store| StoreId(*store))
    }

    /// The same with former lives whose copies it serves; only the latest few count.
    #[must_use]
    pub fn keeping(mut self, kept: impl IntoIterator<Item = StoreId>) -> Self {
        self.kept = kept.into_iter().map(|store| store.0).collect();
        let excess = self.kept.len().saturating_sub(KEPT_MAX);
        self.kept.drain(..excess);
        self
    }

    /// The same life with a higher incarnation.
    #[must_use]
    pub fn raised(&self, incarnation: u64) -> Self {
        Self {
            incarnation,
            ..self.clone()
        }
    }

    /// The next life of the same copies.
    #[must_use]
    pub fn renewed(&self, incarnation: u64, store: StoreId) -> Self {
        let mut kept = self.kept.clone();
        kept.push(self.store);
        let excess = kept.len().saturating_sub(KEPT_MAX);
        kept.drain(..excess);
        Self {
            incarnation,
            store: store.0,
            kept,
            is_ephemeral: self.is_ephemeral,
        }
    }
}

/// What a change of the map meant for the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New in the set.
    Joined(MemberId),
    /// Gone from the set: for good, when that life of it is behind a fence (it left, or was
    /// evicted); else it was retired, and may come back.
    Left(MemberId, bool),
    /// In the set with another life.
    Renewed(MemberId),
    /// A life of it was fenced: evicted, or left.
    Fenced(MemberId),
}

/// The member set as this member knows it. This member is always in it for itself.
#[derive(Debug)]
pub struct View {
    me: MemberId,
    own: MemberInfo,
    members: BTreeMap<MemberId, MemberInfo>,
    fences: BTreeMap<MemberId, Fence>,
    /// Lives that were taken for gone. What was owed to them is forgotten, so they come back under
    /// another store or not at all.
    retired: BTreeMap<MemberId, u64>,
}

impl View {
    /// A set of one.
    #[must_use]
    pub fn new(me: MemberId, own: MemberInfo) -> Self {
        Self {
            me,
            members: BTreeMap::from([(me, own.clone())]),
            own,
            fences: BTreeMap::new(),
            retired: BTreeMap::new(),
        }
    }

    /// The set, this member included, in the order of ids.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<MemberId, MemberInfo> {
        &self.members
    }

    /// What the set says of this member, or would say.
    #[must_use]
    pub fn own(&self) -> &MemberInfo {
        &self.own
    }

    /// Lives that ended for good: of members that left, or were evicted.
    #[must_use]
    pub fn fence(&self, member: MemberId) -> Option<&Fence> {
        self.fences.get(&member)
    }

    /// True when that life of the member may not come back.
    #[must_use]
    pub fn is_fenced(&self, member: MemberId, incarnation: u64, store: StoreId) -> bool {
        self.fences
            .get(&member)
            .is_some_and(|fence| fence.stops(incarnation, store))
    }

    /// True for one that was a member and is none now, as far as was seen here.
    #[must_use]
    pub fn is_gone(&self, member: MemberId) -> bool {
        let was_member = self.retired.contains_key(&member) || self.fences.contains_key(&member);
        was_member && !self.members.contains_key(&member)
    }

    /// True for a life of that member that was taken for gone, as far as was seen here.
    #[must_use]
    pub fn is_retired(&self, member: MemberId, store: StoreId) -> bool {
        self.retired.get(&member) == Some(&store.0)
    }

    /// Writes a member in, and this one where it is missing; none when all of it is known, fenced,
    /// or the set is full.
    pub fn admit(
        &mut self,
        map: &mut DotMap,
        actor: BootId,
        member: MemberId,
        info: &MemberInfo,
    ) -> Option<Delta> {
        let mut delta = self.write(map, actor, member, info);
        if delta.is_some() || !map.is_empty() {
            let own = self.own.clone();
            match (&mut delta, self.write(map, actor, self.me, &own)) {
                (Some(delta), Some(more)) => delta.append(more),
                (None, more) => delta = more,
                (Some(_), None) => {}
            }
        }
        delta
    }

    /// Writes this member in.
    pub fn admit_self(&mut self, map: &mut DotMap, actor: BootId) -> Option<Delta> {
        let own = self.own.clone();
        self.write(map, actor, self.me, &own)
    }

    /// Reads keys of the map again that were changed; answers what that means, once each.
    pub fn reread(&mut self, map: &DotMap, keys: &[Vec<u8>]) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut touched = BTreeSet::new();
        for key in keys {
            if let Some(member) = member_of(key, b"f/") {
                let fence = fence_in(map, member);
                let known = self.fences.entry(member).or_default();
                if *known != fence {
                    *known = fence;
                    changes.push(Change::Fenced(member));
                    touched.insert(member);
                }
            } else if let Some(member) = member_of(key, b"m/") {
                touched.insert(member);
            }
        }
        for member in touched {
            if member == self.me {
                continue;
            }
            let info = self.stored(map, member);
            let old = match info.clone() {
                Some(info) => self.members.insert(member, info),
                None => self.members.remove(&member),
            };
            match (old, info) {
                (None, Some(_)) => changes.push(Change::Joined(member)),
                (Some(old), None) => {
                    let is_final = self.is_fenced(member, old.incarnation, old.store());
                    if !is_final {
                        self.retired.insert(member, old.store);
                    }
                    changes.push(Change::Left(member, is_final));
                }
                (Some(old), Some(new)) if old.store != new.store => {
                    changes.push(Change::Renewed(member));
                }
                _ => {}
            }
        }
        changes
    }

    /// True when others are in the map but this member is not, or with another life.
    #[must_use]
    pub fn is_missing(&self, map: &DotMap) -> bool {
        !map.is_empty() && self.stored(map, self.me).as_ref() != Some(&self.own)
    }

    /// True when the map holds no life of this member at all.
    #[must_use]
    pub fn is_absent(&self, map: &DotMap) -> bool {
        map.read(&key(self.me)).next().is_none()
    }

    /// The incarnation that this member needs to be the latest life of its identity: above what the
    /// map says of other stores and of fences. None when its own is enough.
    #[must_use]
    pub fn incarnation_needed(&self, map: &DotMap) -> Option<u64> {
        let others = infos(map, self.me).filter(|info| info.store != self.own.store);
        let seen = others.map(|info| info.incarnation).max();
        let fenced = self.fences.get(&self.me).map(|fence| fence.incarnation);
        let most = seen.max(fenced)?;
        (most >= self.own.incarnation && most > 0).then(|| most.saturating_add(1))
    }

    /// What the map says of this identity under another store, where that is the latest: the store
    /// and its incarnation.
    #[must_use]
    pub fn rival_entry(&self, map: &DotMap) -> Option<(StoreId, u64)> {
        let stored = self.stored(map, self.me)?;
        let is_own = stored.store == self.own.store || self.own.kept.contains(&stored.store);
        (!is_own).then_some((StoreId(stored.store), stored.incarnation))
    }

    /// What the map says of a member's fence, to be told to it.
    #[must_use]
    pub fn fence_delta(&self, map: &DotMap, member: MemberId) -> Delta {
        map.delta(&fence_key(member))
    }

    /// This member goes on as another life: of the same copies, or under another identity.
    pub fn renew(&mut self, me: MemberId, own: MemberInfo) {
        self.members.remove(&self.me);
        self.me = me;
        self.members.insert(me, own.clone());
        self.own = own;
    }

    /// Takes this member out: its entry goes, and a fence keeps out what others wrote of this life
    /// meanwhile (add wins, but not over a fence).
    pub fn depart(&mut self, map: &mut DotMap, actor: BootId) -> Delta {
        let fence = Fence::of(0, [self.own.store()]);
        self.remove(map, actor, self.me, &fence)
    }

    /// Takes another member out for good: this life of it, and every one before.
    pub fn evict(&mut self, map: &mut DotMap, actor: BootId, member: MemberId) -> Option<Delta> {
        let info = self.members.get(&member)?;
        let stores = info.kept().chain([info.store()]);
        let fence = Fence::of(info.incarnation, stores);
        Some(self.remove(map, actor, member, &fence))
    }

    /// Takes an ephemeral member out that has been away for long. No fence: it may come back.
    pub fn retire(&mut self, map: &mut DotMap, member: MemberId) -> Option<Delta> {
        let info = self.members.get(&member)?;
        info.is_ephemeral.then(|| map.remove(&key(member)))
    }

    /// Starts anew as a set of one after a leave; the caller starts a new map, too.
    pub fn reset(&mut self, own: MemberInfo) {
        *self = View::new(self.me, own);
    }

    /// Every key that concerns the set, to be read after a map was loaded.
    #[must_use]
    pub fn keys(map: &DotMap) -> Vec<Vec<u8>> {
        let keys = map.iter().map(|(key, _)| key);
        let keys = keys.filter(|key| key.starts_with(b"m/") || key.starts_with(b"f/"));
        keys.map(<[u8]>::to_vec).collect()
    }

    fn remove(&self, map: &mut DotMap, actor: BootId, member: MemberId, fence: &Fence) -> Delta {
        let mut joined = fence_in(map, member);
        joined.join(fence);
        let mut delta = map.write(actor, &fence_key(member), joined.to_bytes());
        delta.append(map.remove(&key(member)));
        delta
    }

    fn write(
        &self,
        map: &mut DotMap,
        actor: BootId,
        member: MemberId,
        info: &MemberInfo,
    ) -> Option<Delta> {
        if self.is_fenced(member, info.incarnation, info.store()) {
            return None;
        }
        let stored = self.stored(map, member);
        let is_known =
            stored.is_some_and(|known| known == *info || known.incarnation > info.incarnation);
        let is_full =
            self.members.len() >= limits::MEMBERS_MAX && !self.members.contains_key(&member);
        if is_known || is_full {
            return None;
        }
        Some(map.write(actor, &key(member), info.encode_to_vec()))
    }

    /// The entry with the highest incarnation among the siblings.
    fn stored(&self, map: &DotMap, member: MemberId) -> Option<MemberInfo> {
        let fence = self.fences.get(&member);
        infos(map, member)
            .filter(|info| {
                fence.is_none_or(|fence| !fence.stops(info.incarnation, StoreId(info.store)))
            })
            .max_by_key(|info| (info.incarnation, info.store))
    }
}

fn infos(map: &DotMap, member: MemberId) -> impl Iterator<Item = MemberInfo> {
    let values: Vec<MemberInfo> = map
        .read(&key(member))
        .filter_map(|value| MemberInfo::decode(value.as_slice()).ok())
        .collect();
    values.into_iter()
}

fn fence_in(map: &DotMap, member: MemberId) -> Fence {
    let mut fence = Fence::default();
    for value in map.read(&fence_key(member)) {
        fence.join(&Fence::from_bytes(value));
    }
    fence
}

/// Big-endian, so that keys sort as ids do.
fn key(member: MemberId) -> Vec<u8> {
    let mut key = b"m/".to_vec();
    key.extend_from_slice(&member.0.to_be_bytes());
    key
}

fn fence_key(member: MemberId) -> Vec<u8> {
    let mut key = b"f/".to_vec();
    key.extend_from_slice(&member.0.to_be_bytes());
    key
}

fn member_of(key: &[u8], prefix: &[u8]) -> Option<MemberId> {
    let id = key.strip_prefix(prefix)?.try_into().ok()?;
    Some(MemberId(u128::from_be_bytes(id)))
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
