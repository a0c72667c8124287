//! The member set: an ORSWOT, the first key space of the metadata map (protocol.md 1.2).
//!
//! One entry a member, written once a store by whoever admits it: a member that restarts often
//! makes no actors. Add wins; among siblings the highest incarnation is read.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use prost::Message as _;

use crate::base::{BootId, MemberId, StoreId, limits};
use crate::crdt::{Delta, DotMap};

/// What the set says of one member.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MemberInfo {
    /// Orders lives of this member.
    #[prost(uint64, tag = "1")]
    pub incarnation: u64,
    /// This life of its copies.
    #[prost(fixed64, tag = "2")]
    store: u64,
    /// This life of its process.
    #[prost(fixed64, tag = "3")]
    boot: u64,
    /// Its name; may be empty.
    #[prost(string, tag = "4")]
    pub name: String,
    /// Where it listens; empty when it does not.
    #[prost(string, tag = "5")]
    pub address: String,
}

impl MemberInfo {
    /// What a member says of itself.
    #[must_use]
    pub fn new(
        incarnation: u64,
        store: StoreId,
        boot: BootId,
        name: String,
        address: String,
    ) -> Self {
        Self {
            incarnation,
            store: store.0,
            boot: boot.0,
            name,
            address,
        }
    }

    /// This life of its copies.
    #[must_use]
    pub fn store(&self) -> StoreId {
        StoreId(self.store)
    }

    /// This life of its process.
    #[must_use]
    pub fn boot(&self) -> BootId {
        BootId(self.boot)
    }
}

/// What a merge changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New in the set.
    Joined(MemberId),
    /// Gone from the set, with the name it had.
    Left(MemberId, String),
    /// In the set with another life.
    Renewed(MemberId),
}

/// The member set as this member knows it. This member is always in it for itself.
#[derive(Debug)]
pub struct View {
    me: MemberId,
    actor: BootId,
    own: MemberInfo,
    map: DotMap,
    members: BTreeMap<MemberId, MemberInfo>,
    /// Lives of copies that ended by a leave: an entry that names one counts for nothing, whoever
    /// wrote it at the same time.
    fences: BTreeMap<MemberId, BTreeSet<StoreId>>,
    digest: u64,
}

impl View {
    /// A set of one.
    #[must_use]
    pub fn new(me: MemberId, own: MemberInfo) -> Self {
        let mut view = Self {
            me,
            actor: own.boot(),
            own,
            map: DotMap::default(),
            members: BTreeMap::new(),
            fences: BTreeMap::new(),
            digest: 0,
        };
        view.reread();
        view
    }

    /// The set, this member included, in the order of ids.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<MemberId, MemberInfo> {
        &self.members
    }

    /// Differs when the metadata differs.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Everything, for a peer.
    #[must_use]
    pub fn whole(&self) -> Delta {
        self.map.whole()
    }

    /// True when `store` is this member's current life of copies.
    #[must_use]
    pub fn is_current(&self, member: MemberId, store: StoreId) -> bool {
        self.members
            .get(&member)
            .is_some_and(|info| info.store() == store)
    }

    /// Writes a member in, and this one where it is missing; none when all of it is known or the
    /// set is full.
    pub fn admit(&mut self, member: MemberId, info: &MemberInfo) -> Option<Delta> {
        let mut delta = self.write(member, info);
        let own = self.own.clone();
        let me = self.me;
        if delta.is_some() || self.map.iter().next().is_some() {
            match (&mut delta, self.write(me, &own)) {
                (Some(delta), Some(more)) => delta.append(more),
                (None, more) => delta = more,
                (Some(_), None) => {}
            }
        }
        self.reread();
        delta
    }

    /// Takes a peer's delta or whole state in. When this member had been removed there (and does
    /// not leave), it must be admitted again: see [`View::is_missing`].
    pub fn merge(&mut self, delta: &Delta, is_whole: bool) -> Vec<Change> {
        let before = self.members.clone();
        if self.map.merge(delta, is_whole).is_empty() {
            // Contexts may have grown all the same.
            self.digest = self.map.digest();
            return Vec::new();
        }
        self.reread();
        let mut changes = Vec::new();
        for (id, info) in &self.members {
            match before.get(id) {
                None => changes.push(Change::Joined(*id)),
                Some(old) if old.store != info.store => changes.push(Change::Renewed(*id)),
                Some(_) => {}
            }
        }
        let gone = before
            .into_iter()
            .filter(|(id, _)| !self.members.contains_key(id));
        changes.extend(gone.map(|(id, info)| Change::Left(id, info.name)));
        changes
    }

    /// True when others are in the map but this member is not, or with another life.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.map.iter().next().is_some() && self.stored(self.me).as_ref() != Some(&self.own)
    }

    /// Writes this member in.
    pub fn admit_self(&mut self) -> Option<Delta> {
        let own = self.own.clone();
        let delta = self.write(self.me, &own);
        self.reread();
        delta
    }

    /// Takes this member out: its entry goes, and a fence keeps out what others wrote of this life
    /// meanwhile (add wins, but not over a fence).
    pub fn depart(&mut self) -> Delta {
        let mut stores = self.fences.get(&self.me).cloned().unwrap_or_default();
        stores.insert(self.own.store());
        let value = stores
            .iter()
            .flat_map(|store| store.0.to_le_bytes())
            .collect();
        let mut delta = self.map.write(self.actor, &fence_key(self.me), value);
        delta.append(self.map.remove(&key(self.me)));
        self.reread();
        delta
    }

    /// True when `delta` still has this member under `store`, and no fence for it.
    #[must_use]
    pub fn is_unaware(&self, delta: &Delta, store: StoreId) -> bool {
        let mut map = DotMap::default();
        map.merge(delta, true);
        let is_fenced = fences_of(&map)
            .get(&self.me)
            .is_some_and(|stores| stores.contains(&store));
        let own_key = key(self.me);
        let mut infos = map
            .read(&own_key)
            .filter_map(|value| MemberInfo::decode(value.as_slice()).ok());
        !is_fenced && infos.any(|info| info.store() == store)
    }

    /// Starts anew as a set of one with another life of copies, after a leave. The old context goes
    /// with the old entries (kept, it would remove them all at the next meeting), so the dots need
    /// a new actor.
    pub fn reset(&mut self, own: MemberInfo, actor: BootId) {
        self.map = DotMap::default();
        self.actor = actor;
        self.own = own;
        self.reread();
    }

    fn write(&mut self, member: MemberId, info: &MemberInfo) -> Option<Delta> {
        if self.is_fenced(member, info.store()) {
            return None;
        }
        let stored = self.stored(member);
        let is_known =
            stored.is_some_and(|known| known == *info || known.incarnation > info.incarnation);
        let is_full =
            self.members.len() >= limits::MEMBERS_MAX && !self.members.contains_key(&member);
        if is_known || is_full {
            return None;
        }
        Some(
            self.map
                .write(self.actor, &key(member), info.encode_to_vec()),
        )
    }

    /// The entry with the highest incarnation among the siblings.
    fn stored(&self, member: MemberId) -> Option<MemberInfo> {
        newest(self.map.read(&key(member)), self.fences.get(&member))
    }

    fn is_fenced(&self, member: MemberId, store: StoreId) -> bool {
        self.fences
            .get(&member)
            .is_some_and(|stores| stores.contains(&store))
    }

    fn reread(&mut self) {
        self.fences = fences_of(&self.map);
        let fences = &self.fences;
        let entries = self.map.iter().filter_map(|(key, values)| {
            let id = MemberId(u128::from_be_bytes(
                key.strip_prefix(b"m/")?.try_into().ok()?,
            ));
            Some((id, newest(values, fences.get(&id))?))
        });
        self.members = entries.collect();
        self.members.insert(self.me, self.own.clone());
        self.digest = self.map.digest();
    }
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

/// Every fence: the union of its siblings.
fn fences_of(map: &DotMap) -> BTreeMap<MemberId, BTreeSet<StoreId>> {
    let fences = map.iter().filter_map(|(key, values)| {
        let id = key.strip_prefix(b"f/")?.try_into().ok()?;
        let bytes = values.flat_map(|value| value.as_chunks::<8>().0);
        let stores = bytes.map(|bytes| StoreId(u64::from_le_bytes(*bytes)));
        Some((MemberId(u128::from_be_bytes(id)), stores.collect()))
    });
    fences.collect()
}

/// Siblings are read by the highest incarnation; the store settles a tie the same way everywhere.
fn newest<'a>(
    values: impl Iterator<Item = &'a Vec<u8>>,
    fence: Option<&BTreeSet<StoreId>>,
) -> Option<MemberInfo> {
    values
        .filter_map(|value| MemberInfo::decode(value.as_slice()).ok())
        .filter(|info| fence.is_none_or(|stores| !stores.contains(&info.store())))
        .max_by_key(|info| (info.incarnation, info.store))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(life: u64) -> MemberInfo {
        MemberInfo::new(
            life,
            StoreId(life),
            BootId(life),
            String::new(),
            String::new(),
        )
    }

    fn view(id: u128, life: u64) -> View {
        View::new(MemberId(id), info(life))
    }

    #[test]
    fn a_joiner_is_written_by_the_one_who_admits_it_and_learns_all_from_it() {
        let (mut a, mut b) = (view(1, 10), view(2, 20));
        let delta = a.admit(MemberId(2), &info(20)).unwrap();
        assert!(a.admit(MemberId(2), &info(20)).is_none());
        assert_eq!(b.merge(&delta, false), [Change::Joined(MemberId(1))]);
        assert_eq!(a.members(), b.members());
        assert_eq!(a.digest(), b.digest());
        assert!(!b.is_missing());
    }

    #[test]
    fn a_member_that_comes_back_with_another_life_is_renewed_everywhere() {
        let (mut a, mut b, mut c) = (view(1, 10), view(2, 20), view(3, 30));
        for (id, life) in [(2, 20), (3, 30)] {
            let delta = a.admit(MemberId(id), &info(life)).unwrap();
            b.merge(&delta, false);
            c.merge(&a.whole(), true);
        }
        let delta = a.admit(MemberId(2), &info(25)).unwrap();
        assert_eq!(c.merge(&delta, false), [Change::Renewed(MemberId(2))]);
        assert!(c.is_current(MemberId(2), StoreId(25)));
        assert!(
            a.admit(MemberId(2), &info(20)).is_none(),
            "an older life is not written"
        );
    }

    #[test]
    fn one_who_was_removed_by_mistake_knows_it() {
        let (mut a, mut b) = (view(1, 10), view(2, 20));
        let delta = a.admit(MemberId(2), &info(20)).unwrap();
        b.merge(&delta, false);
        let removed = a.map.remove(&key(MemberId(2)));
        a.reread();
        b.merge(&removed, false);
        assert!(b.is_missing());
        let again = b.admit_self().unwrap();
        a.merge(&again, false);
        assert_eq!(a.members().len(), 2);
    }

    #[test]
    fn one_who_left_is_not_brought_back_by_an_admission_at_the_same_time() {
        let (mut a, mut b, mut c) = (view(1, 10), view(2, 20), view(3, 30));
        let by_a = a.admit(MemberId(3), &info(30)).unwrap();
        let by_b = b.admit(MemberId(3), &info(30)).unwrap();
        c.merge(&by_a, false);
        let left = c.depart();
        assert!(!c.is_unaware(&left, StoreId(30)) && c.is_unaware(&by_b, StoreId(30)));
        for delta in [&by_a, &by_b, &left] {
            a.merge(delta, false);
            b.merge(delta, false);
        }
        assert!(!a.members().contains_key(&MemberId(3)));
        assert_eq!(a.digest(), b.digest());
        assert!(
            a.admit(MemberId(3), &info(30)).is_none(),
            "that life is over"
        );
        assert!(
            a.admit(MemberId(3), &info(31)).is_some(),
            "another may come"
        );
    }

    #[test]
    fn one_who_left_and_comes_again_removes_nobody() {
        let (mut a, mut b) = (view(1, 10), view(2, 20));
        b.merge(&a.admit(MemberId(2), &info(20)).unwrap(), false);
        a.merge(&b.whole(), true);
        b.merge(&a.depart(), false);
        a.reset(info(11), BootId(99));
        assert_eq!(a.members().len(), 1);
        assert_eq!(b.merge(&a.whole(), true), []);
        let delta = b.admit(MemberId(1), &info(11)).unwrap();
        a.merge(&b.whole(), true);
        a.merge(&delta, false);
        assert_eq!(a.members(), b.members());
        assert_eq!(a.digest(), b.digest());
    }
}
