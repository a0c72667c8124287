//! The ack round: every store that may hold a finished message confirms its end, by set inclusion
//! and never by counting; then it is forgotten (protocol.md 4.5, modelled).

use alloc::vec::Vec;

use super::done::Tomb;
use super::message::{Done, Ending, Forget, Message};
use super::{Alarm, Queues, limits};
use crate::base::{BootId, Instant, MemberId, MessageId, Now};
use crate::copies::{Holder, Holders};
use crate::wire::Ids;

/// Ids in one message of a retry: below what a receiver accepts in one frame.
const CHUNK: u64 = 16_384;

impl Queues {
    /// These are finished, says a member: end them here and say so.
    pub(super) fn on_set_done(&mut self, now: Now, from: MemberId, done: &Done) {
        let mut group: Option<(Holders, Ids)> = None;
        for id in done.ids.iter() {
            let holders = self.end_here(now, id, done);
            let joins = group.as_ref().is_some_and(|(open, _)| *open == holders);
            if !joins {
                self.send_done_ok(from, group.take(), done);
                group = Some((holders, Ids::none(id.origin)));
            }
            if let Some((_, ids)) = &mut group {
                ids.push(id.sequence, id.sequence);
            }
        }
        self.send_done_ok(from, group, done);
    }

    fn send_done_ok(&mut self, to: MemberId, group: Option<(Holders, Ids)>, done: &Done) {
        if let Some((holders, ids)) = group {
            let ending = done.ending;
            let done = Done {
                ids,
                holders,
                ending,
            };
            self.send(to, Message::DoneOk(done));
        }
    }

    /// Ends one message here; answers every store that may hold it, as far as is known together.
    fn end_here(&mut self, now: Now, id: MessageId, done: &Done) -> Holders {
        if self.prints.holds(id) || self.is_unborn(id) {
            return done.holders.clone();
        }
        if let Some(tomb) = self.tombs.get(id) {
            let grown = crate::copies::with(&tomb.holders, &done.holders);
            if grown != tomb.holders {
                let tomb = Tomb {
                    confirmed: tomb.confirmed | Self::bit(&grown, self.me),
                    holders: grown.clone(),
                    ..tomb.clone()
                };
                self.tombs.insert(id.origin, id.sequence, id.sequence, tomb);
            }
            return grown;
        }
        let taken = match done.ending {
            Ending::Aborted => self.take_out(now, id),
            _ => self.end_out(now, id),
        };
        let holders = match taken {
            Some(slot) => crate::copies::with(&slot.holders, &done.holders),
            // Never seen: the copy may still be on its way, and must not live when it comes.
            None => done.holders.clone(),
        };
        self.bury(
            now,
            (id.origin, id.sequence, id.sequence),
            &holders,
            done.ending,
            false,
        );
        holders
    }

    /// A holder confirms.
    pub(super) fn on_done_ok(&mut self, now: Now, from: MemberId, done: &Done) {
        let holder = Holder {
            member: from,
            store: self.store_of(from),
        };
        if let Some(peer) = self.peers.get_mut(&from) {
            // It answers: what it may have missed is asked again soon.
            peer.retry_pause = 0;
        }
        let origin = done.ids.origin;
        let mut forgotten = Ids::none(origin);
        for (first, last) in &done.ids.ranges {
            for (first, last, tomb) in self.tombs.pieces(origin, *first, *last) {
                let Some(mut tomb) = tomb else {
                    self.forgotten_among(origin, first, last, &mut forgotten);
                    continue;
                };
                tomb.holders = crate::copies::with(&tomb.holders, &done.holders);
                // This store may have come into the set by another's word: it has confirmed itself.
                tomb.confirmed |= Self::bit(&tomb.holders, holder);
                tomb.confirmed |= Self::bit(&tomb.holders, self.me);
                self.judge(now, origin, first, last, tomb);
            }
        }
        if !forgotten.is_empty() {
            let (ids, holders) = (forgotten, Holders::default());
            self.send(from, Message::Forget(Forget { ids, holders }));
        }
    }

    /// Adds those of `first..=last` that only a fingerprint is left of: the other may forget them.
    fn forgotten_among(&self, origin: BootId, first: u64, last: u64, forgotten: &mut Ids) {
        for sequence in first..=last {
            if self.prints.holds(MessageId { origin, sequence }) {
                forgotten.push(sequence, sequence);
            }
        }
    }

    /// Forgets ended messages when every store that may hold them has confirmed; a store that is
    /// lost for good stands for every member of today.
    fn judge(&mut self, now: Now, origin: BootId, first: u64, last: u64, mut tomb: Tomb) {
        let before = self.tombs.get(MessageId {
            origin,
            sequence: first,
        });
        let known = before.map_or(0, |tomb| tomb.holders.len());
        if self.unconfirmed(&tomb).any(|holder| self.is_lost(*holder)) {
            tomb.holders = crate::copies::with(&tomb.holders, &self.current_holders());
            tomb.confirmed |= Self::bit(&tomb.holders, self.me);
        }
        let is_over = self.unconfirmed(&tomb).all(|holder| self.is_lost(*holder));
        if is_over {
            let places = tomb.holders.iter().enumerate();
            let confirmed = places.filter(|(place, _)| tomb.confirmed & (1 << place) != 0);
            // Who is lost to this store need not be lost to another.
            let confirmed: Holders = confirmed.map(|(_, holder)| *holder).collect();
            for holder in tomb.holders.iter() {
                if *holder != self.me && self.is_linked(*holder) {
                    let ids = Ids::range(origin, first, last);
                    let holders = confirmed.clone();
                    self.send(holder.member, Message::Forget(Forget { ids, holders }));
                }
            }
            self.tombs.remove(origin, first, last);
            return self.prints.insert(origin, first, last);
        }
        let fresh: Vec<Holder> = tomb.holders.iter().skip(known).copied().collect();
        for holder in fresh {
            if holder == self.me || self.is_lost(holder) {
                continue;
            }
            if self.is_linked(holder) {
                let ids = Ids::range(origin, first, last);
                self.send_done(holder.member, ids, &tomb.holders, tomb.ending);
            }
            self.arm_retry(holder.member, now.mono + limits::ACK_RETRY_MS_MIN);
        }
        self.tombs.insert(origin, first, last, tomb);
    }

    fn unconfirmed<'a>(&self, tomb: &'a Tomb) -> impl Iterator<Item = &'a Holder> + use<'a> {
        let confirmed = tomb.confirmed;
        let places = tomb.holders.iter().enumerate();
        places
            .filter(move |(place, _)| confirmed & (1 << place) == 0)
            .map(|(_, holder)| holder)
    }

    /// Everybody knows: forget these, whatever is left of them. Unless more stores are known here to
    /// have a copy than the sender knew of: then this store has to ask those.
    pub(super) fn on_forget(&mut self, now: Now, from: MemberId, forget: &Forget) {
        let sender = Holder {
            member: from,
            store: self.store_of(from),
        };
        let confirmed = crate::copies::with(&forget.holders, &[sender]);
        let origin = forget.ids.origin;
        for id in forget.ids.iter() {
            if self.is_unborn(id) {
                continue;
            }
            if let Some(slot) = self.end_out(now, id) {
                let span = (origin, id.sequence, id.sequence);
                self.bury(now, span, &slot.holders, Ending::Acked, false);
            }
        }
        let born = if self.is_own_origin(origin) {
            self.next_sequence.saturating_sub(1)
        } else {
            u64::MAX
        };
        let ranges = forget.ids.ranges.iter();
        for (first, last) in ranges.filter(|(first, _)| *first <= born) {
            for (first, last, tomb) in self.tombs.pieces(origin, *first, (*last).min(born)) {
                let Some(mut tomb) = tomb else {
                    self.prints.insert(origin, first, last);
                    continue;
                };
                for known in confirmed.iter().chain([&self.me]) {
                    tomb.confirmed |= Self::bit(&tomb.holders, *known);
                }
                // For those that are lost every member was asked.
                let is_open = self.unconfirmed(&tomb).any(|holder| !self.is_lost(*holder));
                if is_open {
                    self.ask_the_rest(now, (origin, first, last), tomb);
                } else {
                    self.tombs.remove(origin, first, last);
                    self.prints.insert(origin, first, last);
                }
            }
        }
    }

    /// Asks those that have not confirmed, as the one who sees to it from now on.
    fn ask_the_rest(
        &mut self,
        now: Now,
        (origin, first, last): (BootId, u64, u64),
        mut tomb: Tomb,
    ) {
        tomb.is_mine = true;
        let rest: Vec<Holder> = self.unconfirmed(&tomb).copied().collect();
        for holder in rest {
            if self.is_lost(holder) {
                continue;
            }
            if self.is_linked(holder) {
                let ids = Ids::range(origin, first, last);
                self.send_done(holder.member, ids, &tomb.holders, tomb.ending);
            }
            self.arm_retry(holder.member, now.mono + limits::ACK_RETRY_MS_MIN);
        }
        self.judge(now, origin, first, last, tomb);
    }

    /// Asks a member again for what it has not confirmed, as long as there is something.
    pub(super) fn retry_acks(&mut self, now: Now, member: MemberId) {
        let holder = Holder {
            member,
            store: self.store_of(member),
        };
        if !self.is_linked(holder) {
            return;
        }
        let from = self.peers.get(&member).map(|peer| peer.retry_from);
        let (runs, next) = self
            .tombs
            .step(from.unwrap_or_default(), limits::STEP_MESSAGES_MAX);
        let (mut is_asked, mut adopt) = (false, None::<Instant>);
        for (origin, first, last, tomb) in runs {
            let bit = Self::bit(&tomb.holders, holder);
            if bit == 0 || tomb.confirmed & bit != 0 {
                continue;
            }
            // Others than the one who acked ask only when that one seems not to.
            if !tomb.is_mine && now.mono.since(tomb.since) < limits::TOMBSTONE_ADOPT_MS {
                let at = tomb.since + limits::TOMBSTONE_ADOPT_MS;
                adopt = Some(adopt.map_or(at, |known| known.min(at)));
                continue;
            }
            is_asked = true;
            let mut start = first;
            while start <= last {
                let end = last.min(start + CHUNK - 1);
                let ids = Ids::range(origin, start, end);
                self.send_done(member, ids, &tomb.holders, tomb.ending);
                start = end + 1;
            }
        }
        let Some(peer) = self.peers.get_mut(&member) else {
            return;
        };
        peer.retry_from = next.unwrap_or_default();
        peer.retry_open |= is_asked;
        peer.retry_adopt = peer.retry_adopt.into_iter().chain(adopt).min();
        if next.is_some() {
            return self.alarms.set(Alarm::Retry(member), now.mono);
        }
        // Only what was asked and not answered makes the pause longer, not what is still young.
        let adopt = peer.retry_adopt.take();
        let is_asked = core::mem::take(&mut peer.retry_open);
        if !is_asked {
            peer.retry_pause = 0;
        }
        let again = is_asked.then(|| now.mono + self.next_retry(member));
        if let Some(next) = again.into_iter().chain(adopt).min() {
            self.alarms.set_earlier(Alarm::Retry(member), next);
        }
    }

    /// Stores were lost: what they had to confirm is judged again.
    pub(super) fn recheck_tombs(&mut self, now: Now) {
        let (runs, next) = self
            .tombs
            .step(self.recheck_from, limits::STEP_MESSAGES_MAX);
        for (origin, first, last, tomb) in runs {
            if self.unconfirmed(&tomb).any(|holder| self.is_lost(*holder)) {
                self.judge(now, origin, first, last, tomb);
            }
        }
        self.recheck_from = next.unwrap_or_default();
        if next.is_some() {
            self.alarms.set(Alarm::Recheck, now.mono);
        }
    }
}
