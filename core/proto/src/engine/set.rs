//! The member set changes: who is admitted, who goes, and what the rooms hear of it.

use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::{Change as Written, EventKind, Reply};
use super::effect::Effect;
use super::frame::Message;
use crate::base::{Error, ErrorKind, Instant, MemberId, Now, Ticket};
use crate::crdt::Delta;
use crate::membership::{Change, MemberInfo, Meta};
use crate::metadata::user_key;

impl Engine {
    /// Writes a member into the set.
    pub(super) fn admit(&mut self, now: Now, member: MemberId, info: &MemberInfo) {
        let actor = self.table.actor();
        let delta = self.view.admit(self.table.map_mut(), actor, member, info);
        if let Some(delta) = delta {
            self.publish(now, delta);
        }
    }

    /// A change of the metadata made here: acted on, and told to everyone.
    pub(super) fn publish(&mut self, now: Now, delta: Delta) {
        let keys: Vec<Vec<u8>> = delta.keys().map(<[u8]>::to_vec).collect();
        self.news.add(now.mono, delta);
        self.tell_news(now);
        self.keys_changed(now, &keys);
    }

    /// Keys of the metadata have other values now.
    pub(super) fn keys_changed(&mut self, now: Now, keys: &[Vec<u8>]) {
        let changes = self.view.reread(self.table.map(), keys);
        self.changed(now, &changes);
        if keys.iter().any(|key| user_key(key).is_none()) {
            self.look_again(now);
        }
        self.groups_changed(now, keys);
        self.configs_changed(now, keys);
        for key in keys.iter().filter_map(|key| user_key(key)) {
            let entry = self.table.get(key);
            self.out.push(Effect::Change(Written {
                key: String::from(key),
                value: entry.map(|entry| entry.value),
            }));
        }
        self.mind_own_entry(now);
    }

    /// What a change of the set means for the queues, the dialler and the host.
    pub(super) fn changed(&mut self, now: Now, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Joined(member) | Change::Renewed(member) => {
                    let member = *member;
                    self.cards.joined(member);
                    self.hang_up_fenced(now, member);
                    self.hang_up_other_life(now, member);
                    if let Some(info) = self.view.members().get(&member) {
                        let kept: Vec<_> = info.kept().collect();
                        self.queues.peer_known(now, member, info.store(), &kept);
                    }
                    self.watch.know(now.mono, member);
                    self.has_had_company = true;
                    if matches!(change, Change::Joined(_)) {
                        self.event(now, EventKind::Joined, member, String::new());
                    }
                    if self.by_member.contains_key(&member) {
                        let verdict = self.watch.linked(now.mono, member);
                        self.carry_out(now, verdict);
                    }
                }
                Change::Left(member, is_final) => self.gone(now, *member, *is_final),
                Change::Fenced(member) => self.hang_up_fenced(now, *member),
            }
        }
        if !changes.is_empty() {
            let members: Vec<MemberId> = self.view.members().keys().copied().collect();
            self.plumtree.set_members(now.mono, &members);
            self.tell_broadcasts(now);
            self.choose_dials(now);
        }
    }

    /// A member is out of the set, whatever the reason.
    fn gone(&mut self, now: Now, member: MemberId, is_final: bool) {
        if is_final {
            self.unseed(member);
        } else {
            self.led_to.remove(&member);
            // Both sides of a split may have retired each other: somebody has to dial.
            self.dialler.remember(now.mono, self.cards.address(member));
        }
        self.watch.forget(now.mono, member);
        self.queues.peer_gone(now, member);
        let name = self.cards.name(member);
        self.cards.forget(member);
        self.plumtree.forget(now.mono, member);
        self.event_of(now, EventKind::Left, member, name, String::new());
        if let Some(link) = self.by_member.get(&member) {
            let error = Error::new(ErrorKind::Closed).because("the member left");
            self.out.push(Effect::Hangup(*link, error));
        }
    }

    /// A seed that left on purpose is no way in any more: dialled for ever, it would be brought back.
    /// That goes for where it said that it listens, too: it may have been the one that dialled.
    fn unseed(&mut self, member: MemberId) {
        for address in self.led_to.remove(&member).unwrap_or_default() {
            self.dialler.unseed(&address);
        }
        let address = self.cards.address(member);
        if self.cards.at(address).all(|other| other == member) {
            self.dialler.unseed(address);
        }
    }

    /// An operator takes a member out for good.
    pub(super) fn evict(&mut self, now: Now, ticket: Ticket, member: MemberId) {
        let answer = self.evict_one(now, member).map(|()| Reply::Done);
        self.out.push(Effect::Reply(ticket, answer));
    }

    fn evict_one(&mut self, now: Now, member: MemberId) -> crate::base::Result<()> {
        if member == self.me {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("a member does not evict itself; it leaves"));
        }
        let actor = self.table.actor();
        let Some(delta) = self.view.evict(self.table.map_mut(), actor, member) else {
            return Err(Error::new(ErrorKind::NotFound)
                .because("no such member in the set")
                .with("member", member));
        };
        self.counters.evicted += 1;
        let name = self.cards.name(member);
        self.event_of(now, EventKind::Evicted, member, name, String::new());
        // It is told itself, before its link ends with its place.
        let meta = Meta {
            delta: delta.to_bytes(),
            asks: false,
        };
        self.send_to(member, Message::Meta(meta));
        self.publish(now, delta);
        Ok(())
    }

    /// Ephemeral members that have been away for so long are taken out of the set. They may come
    /// back with all they hold: nothing fences them (protocol.md 1.2).
    pub(super) fn retire_members(&mut self, now: Now) {
        let after = self.config.retire_after;
        let due: Vec<MemberId> = self
            .ephemeral_gone()
            .filter(|(_, since)| now.mono.since(*since) >= after)
            .map(|(member, _)| member)
            .collect();
        for member in due {
            #[cfg(feature = "canary")]
            if self.config.canary == super::Canary::FenceOnRetire {
                let actor = self.table.actor();
                if let Some(delta) = self.view.evict(self.table.map_mut(), actor, member) {
                    self.publish(now, delta);
                }
                continue;
            }
            if let Some(delta) = self.view.retire(self.table.map_mut(), member) {
                self.counters.retired += 1;
                self.publish(now, delta);
            }
        }
    }

    /// The word of a member's end may come together with that of its next life, or before any of it: a
    /// link to the life that ended says nothing for the next one.
    fn hang_up_fenced(&mut self, now: Now, member: MemberId) {
        let Some(id) = self.by_member.get(&member).copied() else {
            return;
        };
        let is_fenced = self.links.get(&id).is_some_and(|link| {
            let fence = self.view.fence(member);
            fence.is_some_and(|fence| fence.stores.contains(&link.store))
        });
        if is_fenced {
            if !self.view.members().contains_key(&member) {
                self.unseed(member);
            }
            let error = Error::new(ErrorKind::Closed).because("that life of the member ended");
            self.out.push(Effect::Hangup(id, error));
            self.unlinked(now, id);
        }
    }

    /// The set has another life of a linked member's copies: what comes over the link is not from
    /// that one, and may not be taken for its word. Of twins the set has one at a time.
    fn hang_up_other_life(&mut self, now: Now, member: MemberId) {
        let Some(id) = self.by_member.get(&member).copied() else {
            return;
        };
        let info = self.view.members().get(&member);
        let is_other = self.links.get(&id).zip(info).is_some_and(|(link, info)| {
            info.store() != link.store && info.kept().all(|kept| kept != link.store)
        });
        if is_other {
            let error = Error::new(ErrorKind::Closed).because("another life of it is in the set");
            self.out.push(Effect::Hangup(id, error));
            self.unlinked(now, id);
        }
    }

    /// When the next one is to be retired.
    pub(super) fn next_retire(&self) -> Instant {
        let first = self.ephemeral_gone().map(|(_, since)| since).min();
        first.map_or(Instant::NEVER, |since| since + self.config.retire_after)
    }

    fn ephemeral_gone(&self) -> impl Iterator<Item = (MemberId, Instant)> + '_ {
        self.watch.gone().filter(|(member, _)| {
            let info = self.view.members().get(member);
            info.is_some_and(|info| info.is_ephemeral)
        })
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
