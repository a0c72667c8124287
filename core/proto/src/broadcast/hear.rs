//! What comes from other members. Nothing in it is believed beyond its sender being a member: a lie
//! costs its teller's own broadcasts, never a panic and never memory without a bound.

use alloc::vec::Vec;
use bytes::Bytes;
use smallvec::SmallVec;

use super::lazy::share;
use super::origin::{
    ANNOUNCERS_MAX, MISSING_ALL, MISSING_MAX, PAYLOAD_BYTES_ALL, PAYLOAD_BYTES_MAX, Payload,
};
use super::window::Sight;
use super::{
    BODY_BYTES_MAX, Delivery, Gone, Graft, Group, IDS_MAX, IHave, Message, Out, Plumtree, Prune,
    Push,
};
use crate::base::{Instant, MemberId};

/// A lazy path shorter by so many hops replaces the eager one (the paper's setting).
const SHORTCUT_HOPS: u16 = 7;

impl Plumtree {
    /// Takes a message of a linked member in.
    pub fn hear(&mut self, now: Instant, from: MemberId, message: Message) {
        self.settle(now);
        match message {
            Message::Push(push) => self.hear_push(now, from, push),
            Message::IHave(ihave) => self.hear_ihave(now, from, ihave),
            Message::Graft(graft) => self.hear_graft(from, graft),
            Message::Prune(prune) => self.hear_prune(from, prune),
            Message::Gone(gone) => self.hear_gone(now, from, gone),
        }
    }

    fn hear_push(&mut self, now: Instant, from: MemberId, push: Push) {
        let id = push.origin;
        if push.body.len() > BODY_BYTES_MAX || self.is_own_future(&push) {
            self.counters.broadcast_forged += 1;
            return;
        }
        let sight = if id == self.me {
            // Of this life all are known; those of an earlier one ended with it.
            let is_now = push.incarnation == self.incarnation;
            if is_now { Sight::Seen } else { Sight::Old }
        } else {
            let origin = self.open(now, id, push.incarnation);
            origin.map_or(Sight::Old, |origin| origin.window.mark(push.sequence))
        };
        if sight != Sight::New {
            self.counters.broadcast_duplicates += 1;
            // What is merely too old says nothing of the edge.
            if sight == Sight::Seen {
                self.prune(now, from, id);
            }
            return;
        }
        let announcers = self.take_missing(id, push.sequence);
        let hops = push.hops.saturating_add(1);
        self.counters.broadcasts_delivered += 1;
        // A copy of its own: a few cached bytes must not keep a whole read buffer alive.
        let payload = Payload {
            hops,
            parent: Some(from),
            handler: push.handler,
            body: Bytes::copy_from_slice(&push.body),
            at: now,
        };
        self.keep(now, id, push.sequence, payload);
        self.out.push(Out::Deliver(Delivery {
            origin: id,
            incarnation: push.incarnation,
            sequence: push.sequence,
            hops,
            handler: push.handler,
            body: push.body,
        }));
        if !self.is_small
            && self.peers.contains_key(&from)
            && let Some(origin) = self.origins.get_mut(&id)
        {
            origin.sides.make_eager(from);
        }
        let mut except: SmallVec<[MemberId; 8]> = SmallVec::new();
        except.push(from);
        except.extend(announcers.iter().map(|(member, _)| *member));
        self.spread(now, id, push.sequence, &except);
        let nearest = announcers.iter().min_by_key(|(_, hops)| *hops);
        if let Some((member, hops)) = nearest.copied() {
            self.shorten(id, push.sequence, member, hops);
        }
    }

    /// True for a broadcast in this member's name that it has not made.
    fn is_own_future(&self, push: &Push) -> bool {
        let made = (self.incarnation, self.sequence);
        push.origin == self.me && (push.incarnation, push.sequence) > made
    }

    /// Keeps a payload for those who ask.
    pub(super) fn keep(&mut self, now: Instant, id: MemberId, sequence: u64, payload: Payload) {
        let bytes_max = share(PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_ALL, self.origins.len());
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.cache.put(sequence, payload, bytes_max);
        }
        self.sweep_soon(now);
    }

    /// The id has come: answers who had announced it.
    fn take_missing(&mut self, id: MemberId, sequence: u64) -> SmallVec<[(MemberId, u16); 2]> {
        let origin = self.origins.get_mut(&id);
        let missing = origin.and_then(|origin| origin.missing.remove(&sequence));
        if missing.is_some() {
            self.grafts.clear(&(id, sequence));
        }
        missing.unwrap_or_default().announcers
    }

    /// A duplicate from `from`: that edge is not needed.
    fn prune(&mut self, now: Instant, from: MemberId, id: MemberId) {
        // In a small cluster the origin's own links stay: what came before them is the odd one.
        let is_kept = self.is_small && (from == id || self.me == id);
        let Some(origin) = self.origins.get_mut(&id) else {
            return;
        };
        if is_kept || !self.peers.contains_key(&from) {
            return;
        }
        if origin.sides.prune(now, from) {
            self.counters.broadcast_prunes += 1;
            let prune = Message::Prune(Prune { origin: id });
            self.out.push(Out::Send(from, prune));
        }
    }

    fn hear_ihave(&mut self, now: Instant, from: MemberId, ihave: IHave) {
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        if peer.picks_me != ihave.is_neighbour {
            peer.picks_me = ihave.is_neighbour;
            self.ring_at = now;
            self.settle(now);
        }
        for group in ihave.groups.into_iter().take(IDS_MAX) {
            if group.origin != self.me {
                self.hear_group(now, from, &group);
            }
        }
    }

    fn hear_group(&mut self, now: Instant, from: MemberId, group: &Group) {
        let missing_max = share(MISSING_MAX, MISSING_ALL, self.origins.len());
        let patience = self.patience(from);
        if self.open(now, group.origin, group.incarnation).is_none() {
            return;
        }
        for (sequence, hops) in group.ids.iter().copied().take(IDS_MAX) {
            let Some(origin) = self.origins.get_mut(&group.origin) else {
                return;
            };
            match origin.window.sight(sequence) {
                Sight::Old => continue,
                Sight::Seen => {
                    self.shorten(group.origin, sequence, from, hops);
                    continue;
                }
                Sight::New => {}
            }
            if origin.missing.len() >= missing_max && !origin.missing.contains_key(&sequence) {
                self.counters.broadcast_ihave_dropped += 1;
                continue;
            }
            let missing = origin.missing.entry(sequence).or_default();
            let announcers = &mut missing.announcers;
            if announcers.is_empty() {
                self.grafts.set((group.origin, sequence), now + patience);
            }
            let is_known = announcers.iter().any(|(member, _)| *member == from);
            if !is_known && announcers.len() < ANNOUNCERS_MAX {
                announcers.push((from, hops));
            }
        }
    }

    /// Takes `from`, which announced a payload that is here, for the eager edge if its path is much
    /// shorter. Hops only fall from child to parent, so no circle comes of it.
    fn shorten(&mut self, id: MemberId, sequence: u64, from: MemberId, hops: u16) {
        if self.is_small || !self.peers.contains_key(&from) {
            return;
        }
        let Some(origin) = self.origins.get_mut(&id) else {
            return;
        };
        let Some(payload) = origin.cache.get_mut(sequence) else {
            return;
        };
        let Some(parent) = payload.parent else { return };
        let hops = hops.saturating_add(1);
        let is_shorter = payload.hops >= hops.saturating_add(SHORTCUT_HOPS);
        if !is_shorter || parent == from || !origin.sides.is_eager(parent) {
            return;
        }
        payload.hops = hops;
        payload.parent = Some(from);
        origin.sides.make_lazy(parent);
        origin.sides.make_eager(from);
        self.counters.broadcast_shortcuts += 1;
        let graft = Graft {
            origin: id,
            incarnation: origin.incarnation,
            sequences: Vec::new(),
        };
        self.out.push(Out::Send(from, Message::Graft(graft)));
        let prune = Message::Prune(Prune { origin: id });
        self.out.push(Out::Send(parent, prune));
    }

    fn hear_graft(&mut self, from: MemberId, graft: Graft) {
        if !self.peers.contains_key(&from) {
            return;
        }
        let mut gone = Gone {
            origin: graft.origin,
            incarnation: graft.incarnation,
            sequences: Vec::new(),
        };
        let mut origin = self.origins.get_mut(&graft.origin);
        // In a small cluster receivers answer, and go on announcing.
        if let Some(origin) = &mut origin
            && (!self.is_small || graft.origin == self.me)
        {
            origin.sides.make_eager(from);
        }
        let origin = origin.filter(|origin| origin.incarnation == graft.incarnation);
        for sequence in graft.sequences.into_iter().take(IDS_MAX) {
            let payload = origin
                .as_ref()
                .and_then(|origin| origin.cache.get(sequence));
            let Some(payload) = payload else {
                gone.sequences.push(sequence);
                continue;
            };
            self.counters.broadcast_pushes += 1;
            self.counters.broadcast_payload_bytes += payload.body.len() as u64;
            let push = Push {
                origin: graft.origin,
                incarnation: graft.incarnation,
                sequence,
                hops: payload.hops,
                handler: payload.handler,
                body: payload.body.clone(),
            };
            self.out.push(Out::Send(from, Message::Push(push)));
        }
        if !gone.sequences.is_empty() {
            self.out.push(Out::Send(from, Message::Gone(gone)));
        }
    }

    fn hear_prune(&mut self, from: MemberId, prune: Prune) {
        if let Some(origin) = self.origins.get_mut(&prune.origin)
            && origin.sides.is_eager(from)
        {
            origin.sides.make_lazy(from);
        }
    }

    /// The next announcer is asked at once.
    fn hear_gone(&mut self, now: Instant, from: MemberId, gone: Gone) {
        let Some(origin) = self.origins.get_mut(&gone.origin) else {
            return;
        };
        if origin.incarnation != gone.incarnation {
            return;
        }
        for sequence in gone.sequences.into_iter().take(IDS_MAX) {
            let Some(missing) = origin.missing.get(&sequence) else {
                continue;
            };
            let last = missing.asked.checked_sub(1);
            let last = last.and_then(|place| missing.announcers.get(place));
            // An answer that comes after the next one was asked changes nothing.
            if last.is_some_and(|(member, _)| *member == from) {
                self.counters.broadcast_gone += 1;
                self.grafts.set((gone.origin, sequence), now);
            }
        }
    }
}
