//! Members and links come and go: neighbours are chosen again, trees keep what still works.

use alloc::vec::Vec;

use super::origin::Origin;
use super::tree::{self, SMALL};
use super::window::Window;
use super::{IHAVE_MS, Peer, Plumtree};
use crate::base::{Instant, MemberId, Millis};

/// Origins outside the member set whose windows are kept: members that left, or that others heard
/// of first. Guess: a burst of joins.
const STRANGERS_MAX: usize = 64;
/// Dropped windows whose end is remembered, so that nothing of them comes twice. Guess: four times
/// the largest cluster, at 32 bytes each.
const FLOORS_MAX: usize = 4_096;

impl Plumtree {
    /// Tells the member set, in any order, with or without this member.
    pub fn set_members(&mut self, now: Instant, members: &[MemberId]) {
        let mut members = Vec::from(members);
        members.push(self.me);
        members.sort_unstable();
        members.dedup();
        if self.members != members {
            self.members = members;
            self.ring_at = self.ring_at.min(now + IHAVE_MS);
        }
    }

    /// A link to `peer` is up, perhaps in place of an older one.
    pub fn link_up(&mut self, now: Instant, peer: MemberId) {
        if peer == self.me {
            return;
        }
        let fresh = Peer {
            is_fresh: true,
            ..Peer::default()
        };
        self.peers.insert(peer, fresh);
        self.ring_at = self.ring_at.min(now + IHAVE_MS);
    }

    /// The link to `peer` is gone; where it was eager, the next neighbour takes its place.
    pub fn link_down(&mut self, now: Instant, peer: MemberId) {
        if self.peers.remove(&peer).is_none() {
            return;
        }
        self.neighbours.retain(|member| *member != peer);
        for origin in self.origins.values_mut() {
            if origin.sides.remove(peer) && !self.is_small {
                origin.sides.promote(&self.neighbours);
            }
        }
        self.ring_at = self.ring_at.min(now + IHAVE_MS);
    }

    /// Whose word counts no more: its payloads are dropped at once, and nothing of it that was seen
    /// is taken again. (Who merely left the set is dropped in its time.)
    pub fn forget(&mut self, now: Instant, member: MemberId) {
        if let Ok(place) = self.members.binary_search(&member)
            && member != self.me
        {
            self.members.remove(place);
            self.ring_at = self.ring_at.min(now + IHAVE_MS);
        }
        self.uproot(member);
    }

    /// A hint of how long an answer of `peer` takes, for the patience before a graft.
    pub fn rtt(&mut self, peer: MemberId, rtt_ms: Millis) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.rtt_ms = rtt_ms;
        }
    }

    /// The lane to `peer` is full, or again has room: while it is full, payloads are announced to it
    /// instead of pushed.
    pub fn peer_pressure(&mut self, peer: MemberId, is_full: bool) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.is_full = is_full;
        }
    }

    /// Chooses neighbours again if members or links changed since.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.ring_at == Instant::NEVER {
            return;
        }
        self.ring_at = Instant::NEVER;
        let ring = self.on_ring();
        let was_small = core::mem::replace(&mut self.is_small, ring.len() <= SMALL);
        self.eager = tree::eager_count(ring.len());
        self.neighbours = if self.is_small {
            self.peers.keys().copied().collect()
        } else {
            let peers = &self.peers;
            tree::neighbours(&ring, self.me, |member| peers.contains_key(&member))
        };
        let ids: Vec<MemberId> = self.origins.keys().copied().collect();
        for id in ids {
            let Some(mut origin) = self.origins.remove(&id) else {
                continue;
            };
            if was_small != self.is_small {
                origin.sides.clear();
            }
            self.join_edges(id, &mut origin, was_small != self.is_small);
            self.origins.insert(id, origin);
        }
        for (member, peer) in &mut self.peers {
            peer.is_fresh = false;
            let is_neighbour = self.neighbours.contains(member);
            if !self.is_small && peer.is_told != is_neighbour {
                // Said with the next announcements, be there any or not.
                self.news_at = self.news_at.min(now + IHAVE_MS);
            }
        }
    }

    /// The member set, and whoever is linked without being in it yet.
    fn on_ring(&self) -> Vec<MemberId> {
        let mut ring = self.members.clone();
        ring.extend(self.peers.keys());
        ring.sort_unstable();
        ring.dedup();
        ring
    }

    /// Gives a tree the edges that it lacks and takes those that it should not have. A new link is
    /// eager by its rank; a neighbour that only moved up the ring is lazy in a tree that works.
    fn join_edges(&self, id: MemberId, origin: &mut Origin, is_new: bool) {
        let sides = &mut origin.sides;
        if self.is_small {
            for member in &self.neighbours {
                sides.add(*member, id == self.me);
            }
            return;
        }
        let guests = self.peers.iter().filter(|(_, peer)| peer.picks_me);
        let guests: Vec<MemberId> = guests.map(|(member, _)| *member).collect();
        sides.trim(|member| self.neighbours.contains(&member) || guests.contains(&member));
        for (rank, member) in self.neighbours.iter().enumerate() {
            let is_fresh = self.peers.get(member).is_some_and(|peer| peer.is_fresh);
            sides.add(*member, rank < self.eager && (is_new || is_fresh));
        }
        for member in guests {
            sides.add(member, false);
        }
    }

    /// The origin of a message, made when it first speaks; none when the message is of an older
    /// incarnation, or of one stranger too many.
    pub(super) fn open(
        &mut self,
        now: Instant,
        id: MemberId,
        incarnation: u64,
    ) -> Option<&mut Origin> {
        if !self.origins.contains_key(&id) {
            let floor = self.floors.iter().rposition(|floor| floor.0 == id);
            let floor = floor.and_then(|place| self.floors.remove(place));
            let window = match floor {
                Some(floor) if incarnation < floor.1 => {
                    self.floors.push_back(floor);
                    return None;
                }
                Some(floor) if incarnation == floor.1 => Window::after(floor.2),
                _ => Window::new(),
            };
            if self.members.binary_search(&id).is_err() {
                self.bound_strangers();
            }
            self.plant(now, id, incarnation, window);
        }
        let origin = self.origins.get_mut(&id)?;
        if incarnation < origin.incarnation {
            return None;
        }
        if incarnation > origin.incarnation {
            for sequence in origin.missing.keys() {
                self.grafts.clear(&(id, *sequence));
            }
            origin.restart(incarnation);
        }
        origin.heard = now;
        Some(origin)
    }

    /// Makes an origin and its edges.
    pub(super) fn plant(&mut self, now: Instant, id: MemberId, incarnation: u64, window: Window) {
        let mut origin = Origin::new(now, incarnation);
        origin.window = window;
        self.join_edges(id, &mut origin, true);
        self.origins.insert(id, origin);
    }

    /// Makes room for one more stranger: who was silent the longest goes.
    fn bound_strangers(&mut self) {
        let strangers = self.origins.iter().filter(|(id, _)| self.is_stranger(**id));
        let count = strangers.clone().count();
        let idle = strangers.min_by_key(|(_, origin)| origin.heard);
        if let Some(id) = idle.map(|(id, _)| *id)
            && count >= STRANGERS_MAX
        {
            self.uproot(id);
        }
    }

    pub(super) fn is_stranger(&self, id: MemberId) -> bool {
        self.members.binary_search(&id).is_err()
    }

    /// Drops an origin, all but how far its window had come.
    pub(super) fn uproot(&mut self, id: MemberId) {
        if id == self.me {
            return;
        }
        let Some(origin) = self.origins.remove(&id) else {
            return;
        };
        for sequence in origin.missing.keys() {
            self.grafts.clear(&(id, *sequence));
        }
        self.note_floor((id, origin.incarnation, origin.window.highest()));
    }

    /// Remembers up to where an origin was heard, in which incarnation of it.
    pub(super) fn note_floor(&mut self, floor: (MemberId, u64, u64)) {
        if self.floors.len() >= FLOORS_MAX {
            self.floors.pop_front();
        }
        self.floors.push_back(floor);
    }
}
