//! What the queue room knows of the other members, as the engine tells it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::hedge::Pace;
use super::memory::REFUSING;
use super::remembered::Telling;
use super::repair::SETTLE_DOWN_MS;
use super::{Alarm, Queues};
use crate::base::{BootId, Instant, MemberId, MessageId, Millis, Now, QueueKey, StoreId, limits};
use crate::copies::{Candidate, Holder, Zone};

/// Another member.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Its current life of copies, by the member set or a handshake.
    pub(super) store: StoreId,
    pub(super) boot: BootId,
    pub(super) is_linked: bool,
    /// It is in the member set, as this member has that; else it is linked only, or was.
    pub(super) is_in_set: bool,
    /// Its bulk lane is full: others are chosen.
    pub(super) is_full: bool,
    /// It is silent: others are chosen.
    pub(super) is_suspect: bool,
    /// Former lives of copies whose rest its store serves.
    pub(super) kept: Vec<StoreId>,
    /// How near it is to its memory budget, as it told.
    pub(super) level: u8,
    /// Where it is, as it told.
    pub(super) zone: Zone,
    /// How long its copies take, as they did so far.
    pub(super) pace: Pace,
    /// It was late with copies: until then others are chosen, where they are as good otherwise.
    pub(super) late_until: Option<Instant>,
    /// It said that it leaves: no new copies for it.
    pub(super) is_leaving: bool,
    /// Its version takes enqueues for others.
    pub(super) takes_enqueues: bool,
    /// Its version, when it was last linked, knew nothing of dedup keys.
    pub(super) lacks_dedup: bool,
    /// How far it is told what it is the home of.
    pub(super) home: Telling,
    /// It has another life since it was last told of that.
    pub(super) is_other: bool,
    /// Since when it cannot be reached; none while it can.
    pub(super) unreachable_since: Option<Instant>,
    /// It has been away for so long that its copies do not count.
    pub(super) is_missed: bool,
    /// When unfinished acks are sent again, and after which pause.
    pub(super) retry_pause: Millis,
    /// Where sending them again goes on, and whether anything was open so far.
    pub(super) retry_from: MessageId,
    pub(super) retry_open: bool,
    /// When the youngest of what others ask for first is old enough.
    pub(super) retry_adopt: Option<Instant>,
    /// Where a resync goes on.
    pub(super) resync_from: u32,
    /// What a consumer of its last boot held is given to others.
    pub(super) lost_boot: bool,
    /// One of the two was taken for lost and is back: what it confirmed may be over there.
    pub(super) was_gone: bool,
}

impl Peer {
    /// It has that store now, or serves what is left of it.
    pub(super) fn answers_for(&self, store: StoreId) -> bool {
        self.store == store || self.kept.contains(&store)
    }

    pub(super) fn takes_copies(&self) -> bool {
        self.is_open() && !self.is_full && self.level < REFUSING
    }

    /// It can be reached, and stays.
    pub(super) fn is_open(&self) -> bool {
        let is_here = self.is_linked && !self.is_leaving && !self.is_suspect;
        is_here && self.unreachable_since.is_none()
    }
}

impl Queues {
    /// A member is in the set with this life of copies.
    ///
    /// `kept` are former lives whose surviving copies it serves: what it owned under those needs no
    /// other owner, while acks ask everyone about them.
    pub fn peer_known(&mut self, now: Now, member: MemberId, store: StoreId, kept: &[StoreId]) {
        self.know_peer(now, member, store, kept);
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.is_in_set = true;
        }
    }

    fn know_peer(&mut self, now: Now, member: MemberId, store: StoreId, kept: &[StoreId]) {
        if member == self.me.member {
            return;
        }
        let was_gone = self.gone.remove(&member);
        let peer = self.peers.entry(member).or_insert_with(|| Peer {
            unreachable_since: Some(now.mono),
            ..Peer::default()
        });
        peer.was_gone |= was_gone;
        let old = core::mem::replace(&mut peer.store, store);
        let is_back = !kept.is_empty() && peer.kept != kept;
        let mut dropped = Vec::new();
        if old != store || !kept.is_empty() {
            dropped = core::mem::replace(&mut peer.kept, kept.to_vec());
        }
        if (is_back || old != store) && peer.is_linked {
            peer.was_gone |= old != store;
            peer.resync_from = 0;
            self.alarms.set(Alarm::Resync(member), now.mono);
        }
        if old == StoreId::default() {
            // Acks may wait for former stores of it, of which nobody here had heard.
            self.alarms.set_earlier(Alarm::Recheck, now.mono);
        } else if old != store {
            self.store_is_lost(now, Holder { member, store: old });
        }
        // What it had owned under a name that it answers for no longer.
        for store in dropped {
            self.watch(now, store);
        }
        self.choose_candidates(now);
    }

    /// A member left the set.
    pub fn peer_gone(&mut self, now: Now, member: MemberId) {
        self.gone.insert(member);
        if let Some(peer) = self.peers.remove(&member) {
            let store = peer.store;
            self.drop_browses_with(member);
            self.drop_explains_with(member);
            self.free_hinted(now, member);
            self.drop_doctors_with(member);
            self.drop_redrives_with(now, member);
            self.drop_forwards_with(member);
            self.recall_without(now, member);
            self.store_is_lost(now, Holder { member, store });
            for store in peer.kept {
                self.watch(now, store);
            }
            self.tell_all_homes(now);
        }
        self.choose_candidates(now);
    }

    /// A member's link is up; `kept` as for [`Queues::peer_known`].
    pub fn peer_linked(
        &mut self,
        now: Now,
        member: MemberId,
        boot: BootId,
        store: StoreId,
        kept: &[StoreId],
    ) {
        let known = self.peers.get(&member);
        let is_same = known.is_some_and(|peer| peer.boot == boot && peer.store == store);
        self.know_peer(now, member, store, kept);
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.is_other |= !is_same;
            peer.lost_boot |= peer.boot != boot && peer.boot != BootId::default();
            peer.boot = boot;
            peer.is_linked = true;
            peer.is_full = false;
            peer.is_leaving = false;
            peer.is_suspect = false;
            peer.unreachable_since = None;
            peer.is_missed = false;
            peer.retry_pause = 0;
            peer.resync_from = 0;
        }
        self.spare(member);
        self.free_hinted(now, member);
        self.plan_partings(now);
        if !self.is_announcing {
            self.is_announcing = true;
            for queue in 0..self.shelves.len() {
                self.note_stock(QueueKey(queue as u32));
                self.note_length(QueueKey(queue as u32));
            }
        }
        self.choose_candidates(now);
        self.resend_copies(now, Holder { member, store });
        self.alarms.set(Alarm::Retry(member), now.mono);
        self.alarms.set(Alarm::Resync(member), now.mono);
        self.plan_repair(now.mono + SETTLE_DOWN_MS);
    }

    /// Whether a linked member's version takes enqueues for others.
    pub fn peer_takes(&mut self, member: MemberId, takes_enqueues: bool) {
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.takes_enqueues = takes_enqueues;
        }
    }

    /// Whether the version of a member whose link is new knows dedup keys.
    pub fn peer_dedups(&mut self, now: Now, member: MemberId, knows_dedup: bool) {
        let Some(peer) = self.peers.get_mut(&member) else {
            return;
        };
        peer.lacks_dedup = !knows_dedup;
        if knows_dedup {
            self.recall_again(member);
            self.tell_home_missed(now, member);
        } else {
            self.recall_without(now, member);
        }
    }

    /// A linked member says where it is.
    pub fn peer_zone(&mut self, now: Now, member: MemberId, zone: Zone) {
        if let Some(peer) = self.peers.get_mut(&member)
            && peer.zone != zone
        {
            peer.zone = zone;
            self.choose_candidates(now);
        }
    }

    /// Others took this store for lost, perhaps: every linked member hears what is held here of its
    /// messages, and where its copies of this store's are.
    pub fn resync_all(&mut self, now: Now) {
        for (member, peer) in &mut self.peers {
            if peer.is_linked {
                peer.was_gone = true;
                peer.resync_from = 0;
                self.alarms.set(Alarm::Resync(*member), now.mono);
            }
        }
    }

    /// A member's link is gone; whether it is unreachable is told apart.
    pub fn peer_unlinked(&mut self, now: Now, member: MemberId) {
        let Some(peer) = self.peers.get_mut(&member) else {
            return;
        };
        peer.is_linked = false;
        let holder = Holder {
            member,
            store: peer.store,
        };
        self.choose_candidates(now);
        self.peer_relinking(now, member);
        self.recall_without(now, member);
        self.replace_target(now, holder, None);
    }

    /// A member's link is gone and another takes its place at once: what was under way on it has to
    /// be said again, and no other member is asked instead.
    pub fn peer_relinking(&mut self, now: Now, member: MemberId) {
        self.doubt_home(now, member);
        self.alarms.clear(&Alarm::Resync(member));
        self.drop_demands_to(now, member);
        self.drop_settles_to(member);
        self.drop_browses_with(member);
        self.drop_explains_with(member);
        self.drop_doctors_with(member);
        self.drop_redrives_with(now, member);
        self.drop_forwards_with(member);
        self.drop_inventories_with(member);
        self.keep_again(now, member);
        for shelf in &mut self.shelves {
            shelf.wanted.remove(&member);
        }
    }

    /// This member's opinion of another changed.
    pub fn peer_reachable(&mut self, now: Now, member: MemberId, is_reachable: bool) {
        let Some(peer) = self.peers.get_mut(&member) else {
            return;
        };
        if is_reachable {
            peer.unreachable_since = None;
            peer.is_missed = false;
            self.spare(member);
            self.tell_home_missed(now, member);
        } else if peer.unreachable_since.is_none() {
            peer.home.doubt(now.mono);
            peer.unreachable_since = Some(now.mono);
            for store in self.stores_answered_for(member) {
                self.watch(now, store);
            }
            self.free_hinted(now, member);
            self.recall_without(now, member);
            self.plan_repair(now.mono + self.settings.repair_after);
        }
        self.choose_candidates(now);
    }

    /// A member answers for what it owns: nobody need take that over.
    fn spare(&mut self, member: MemberId) {
        for store in self.stores_answered_for(member) {
            self.sweeps.remove(&store);
            self.alarms.clear(&Alarm::Sweep(store));
        }
    }

    /// A member's life of copies, and the former ones whose rest it serves.
    fn stores_answered_for(&self, member: MemberId) -> Vec<StoreId> {
        let peer = self.peers.get(&member).into_iter();
        peer.flat_map(|peer| core::iter::once(&peer.store).chain(&peer.kept))
            .copied()
            .collect()
    }

    /// A link's bulk lane is full, or has room again.
    pub fn peer_pressure(&mut self, now: Now, member: MemberId, is_full: bool) {
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.is_full = is_full;
        }
        self.choose_candidates(now);
        if !is_full {
            (0..self.shelves.len()).for_each(|queue| self.tell_wanted(QueueKey(queue as u32)));
        }
    }

    /// A member's row lists a queue, or does not any more.
    pub fn peer_stocked(&mut self, now: Now, member: MemberId, name: &Arc<str>, is_stocked: bool) {
        let known = if is_stocked {
            self.shelf_named(name).ok()
        } else {
            self.names.get(name).copied()
        };
        let Some(queue) = known else { return };
        let Some(shelf) = self.shelf(queue) else {
            return;
        };
        if is_stocked {
            shelf.listed.insert(member);
            if !shelf.sources.contains(&member) {
                shelf.sources.push_back(member);
            }
            self.fetch(now, queue);
        } else {
            shelf.listed.remove(&member);
            shelf.sources.retain(|source| *source != member);
        }
    }

    /// The set's size, this member included.
    pub(super) fn member_count(&self) -> usize {
        self.peers.len() + 1
    }

    /// True when `holder` is a store that its member has given up for good: the member has another
    /// one, or left.
    pub(super) fn is_lost(&self, holder: Holder) -> bool {
        if holder.member == self.me.member {
            return holder.store != self.me.store;
        }
        match self.peers.get(&holder.member) {
            Some(peer) => peer.store != holder.store,
            None => self.gone.contains(&holder.member),
        }
    }

    /// True when this member can send to `holder`'s current life.
    pub(super) fn is_linked(&self, holder: Holder) -> bool {
        self.peers
            .get(&holder.member)
            .is_some_and(|peer| peer.is_linked && peer.store == holder.store)
    }

    /// The store a linked member has now.
    pub(super) fn store_of(&self, member: MemberId) -> StoreId {
        self.peers
            .get(&member)
            .map(|peer| peer.store)
            .unwrap_or_default()
    }

    /// Every member's current store, this one's included.
    pub(super) fn current_holders(&self) -> Vec<Holder> {
        let others = self.peers.iter().map(|(member, peer)| Holder {
            member: *member,
            store: peer.store,
        });
        core::iter::once(self.me).chain(others).collect()
    }

    /// True when copies may be sent to `holder`.
    pub(super) fn takes_copies(&self, holder: Holder) -> bool {
        self.peers
            .get(&holder.member)
            .is_some_and(|peer| peer.takes_copies() && peer.store == holder.store)
    }

    pub(super) fn choose_candidates(&mut self, now: Now) {
        let takers = self.peers.iter().filter(|(_, peer)| peer.takes_copies());
        let candidates = takers.map(|(member, peer)| {
            let store = peer.store;
            let holder = Holder {
                member: *member,
                store,
            };
            Candidate {
                holder,
                level: peer.level,
                zone: peer.zone,
                is_late: peer.late_until.is_some(),
            }
        });
        let candidates: Vec<Candidate> = candidates.collect();
        if self.has_short && !candidates.is_empty() {
            self.plan_repair(now.mono + SETTLE_DOWN_MS);
        }
        self.placement.set_candidates(now.mono, candidates);
        self.fill_short_batches(now);
    }

    /// A store will never come back: its messages are taken over, and what it had to confirm is
    /// asked of every member instead.
    fn store_is_lost(&mut self, now: Now, lost: Holder) {
        self.unconfirm(now, lost);
        self.watch(now, lost.store);
        self.alarms.set_earlier(Alarm::Recheck, now.mono);
        self.plan_repair(now.mono);
    }

    /// Sees to it that unfinished acks are sent to `member` again by `at`.
    pub(super) fn arm_retry(&mut self, member: MemberId, at: Instant) {
        if self.peers.contains_key(&member) {
            self.alarms.set_earlier(Alarm::Retry(member), at);
        }
    }

    /// The pause after which unfinished acks are sent to `member` again; it doubles.
    pub(super) fn next_retry(&mut self, member: MemberId) -> Millis {
        let Some(peer) = self.peers.get_mut(&member) else {
            return limits::ACK_RETRY_MS_MAX;
        };
        let pause =
            (peer.retry_pause * 2).clamp(limits::ACK_RETRY_MS_MIN, limits::ACK_RETRY_MS_MAX);
        peer.retry_pause = pause;
        pause - self.chance.below(pause / 8 + 1)
    }
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
