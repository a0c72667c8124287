//! This member's own place: rivals for it, its loss, and its end by leaving (protocol.md 1.1, 1.2).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::{EventKind, Reply};
use super::effect::Effect;
use super::frame::Message;
use crate::base::{
    BootId, Error, ErrorKind, Instant, LinkId, MemberId, Millis, Now, Result, StoreId, Ticket,
};
use crate::copies::Holder;
use crate::membership::{Card, Hello, MemberInfo, Meta, Rival};

/// An older process with this identity that was heard this lately is the one that stays.
const CONFLICT_MS: Millis = 2_000;
/// Newcomers that are remembered while it is seen whether they have a living twin.
const NEWCOMERS_MAX: usize = 16;
/// A leaver waits this long for its peers to hang up: that is how they echo its removal.
const ECHO_MS: Millis = 5_000;

/// What is kept of a cluster that this member left.
#[derive(Debug)]
pub(super) struct Departure {
    /// The word of it, for members that have not heard.
    pub(super) delta: Vec<u8>,
    /// Who was a member then and has not come since.
    pub(super) former: BTreeSet<MemberId>,
}

/// A leave whose copies are handed over, waiting for the echo.
#[derive(Debug)]
pub(super) struct Parting {
    ticket: Ticket,
    pub(super) deadline: Instant,
}

/// So many times a member may have raised its incarnation in one life, at most, for its next life to take none of
/// its words for those of a process that lives. As a time: a second.
const OUTBID: u64 = 1_000;

impl Engine {
    /// Whether a peer may be linked.
    ///
    /// Errors: those of [`Hello::check`]; 108 for a rival of a live member, of this one, and for a
    /// life that was evicted.
    pub(super) fn judge(&mut self, now: Now, link: LinkId, hello: &Hello) -> Result<()> {
        hello.check(&self.hello())?;
        let member = hello.member();
        if self
            .view
            .is_fenced(member, hello.incarnation, hello.store())
        {
            self.tell_fenced(now, link, member);
            return Err(Error::new(ErrorKind::IdentityConflict)
                .because("this identity was evicted, or has left")
                .with("member", member));
        }
        let theirs = (hello.incarnation, hello.boot());
        if member == self.me {
            // Both say who they are, and the lower one goes.
            let own = Rival::of(member, self.config.incarnation, self.config.boot);
            self.send(link, Message::Rival(own));
            let rival = Rival::of(member, hello.incarnation, hello.boot());
            self.hear_of_rival(now, link, &rival);
            return Err(rivals(member));
        }
        let Some((older, incarnation, boot)) = self.older_life(now, hello) else {
            return Ok(());
        };
        if self.has_answered_since(now, older, hello) {
            // One that has other members beside it comes from across a split; then the lower goes,
            // else the newcomer.
            if hello.members > 1 && theirs > (incarnation, boot) {
                let newer = Rival::of(member, theirs.0, theirs.1);
                self.send(older, Message::Rival(newer));
            }
            self.send(link, Message::Rival(Rival::of(member, incarnation, boot)));
        }
        Err(rivals(member))
    }

    /// Another process with the peer's identity that was heard lately.
    fn older_life(&self, now: Now, hello: &Hello) -> Option<(LinkId, u64, BootId)> {
        let id = self.by_member.get(&hello.member())?;
        let older = self.links.get(id)?;
        let was_heard = now.mono.since(older.pulse.alive()) < CONFLICT_MS;
        // It may have raised its incarnation since its handshake. Judged by the old one, each of the
        // two would take itself for the higher, and neither would go.
        let row = self.cards.get(hello.member());
        let row = row.filter(|row| row.boot() == older.boot);
        let incarnation = row.map_or(0, |row| row.incarnation).max(older.incarnation);
        (older.boot != hello.boot() && was_heard).then_some((*id, incarnation, older.boot))
    }

    /// Whether the older process answered a ping that was sent after the newcomer had shown itself:
    /// a link outlives a process that was killed and came back at once. The first time, it is asked.
    fn has_answered_since(&mut self, now: Now, older: LinkId, hello: &Hello) -> bool {
        let who = (hello.member(), hello.boot());
        let seen = self.newcomers.iter().find(|(known, _)| *known == who);
        if let Some((_, since)) = seen {
            let link = self.links.get(&older);
            return link.is_some_and(|link| link.pulse.alive() >= *since);
        }
        if self.newcomers.len() >= NEWCOMERS_MAX {
            self.newcomers.pop_front();
        }
        self.newcomers.push_back((who, now.mono));
        self.beat(now, older, false);
        false
    }

    /// What is told of a peer that was refused.
    pub(super) fn note_refusal(&mut self, now: Now, hello: &Hello, error: &Error) {
        let is_fenced = self
            .view
            .is_fenced(hello.member(), hello.incarnation, hello.store());
        if error.kind() == ErrorKind::IdentityConflict && !is_fenced {
            self.event(now, EventKind::Conflict, hello.member(), String::new());
        }
    }

    /// Another live process has this identity. Of two that come from a split, the lower goes on
    /// under a fresh one; a newcomer stays out.
    pub(super) fn hear_of_rival(&mut self, now: Now, link: LinkId, rival: &Rival) {
        if rival.member() != self.me {
            // The handshake was under way when this member took another identity: over there the link
            // stands for the former one, and would for as long as it lives.
            let error = Error::new(ErrorKind::IdentityConflict)
                .because("this member has another identity now");
            return self.out.push(Effect::Hangup(link, error));
        }
        self.counters.rivals += 1;
        let is_lower =
            (self.config.incarnation, self.config.boot) < (rival.incarnation, rival.boot());
        let waiting: Vec<Ticket> = self.joins.keys().copied().collect();
        self.fail_joins(&waiting, &rivals(self.me));
        if is_lower && self.has_had_company {
            self.take_fresh_identity(now);
        }
    }

    /// Goes on under another identity with the same copies.
    fn take_fresh_identity(&mut self, now: Now) {
        let old = self.me;
        let wide = u128::from(self.chance.bits()) << 64 | u128::from(self.chance.bits() | 1);
        self.me = MemberId(wide);
        self.config.member = self.me;
        let own = MemberInfo::new(self.config.incarnation, self.config.store, true);
        self.view.renew(self.me, own);
        self.queues.rename(now, self.as_holder());
        self.cards.forget(old);
        self.own_entry_rival = None;
        self.own_card_rival = None;
        self.has_entry = false;
        self.event(
            now,
            EventKind::Conflict,
            old,
            format!("goes on as {}", self.me),
        );
        self.hang_up_all(now, "this member has another identity now");
        self.plumtree.rename(self.me, self.config.incarnation);
        self.write_card(now);
        // The old identity is the rival's, and a member like any other from now on.
        let keys = crate::membership::View::keys(self.table.map());
        self.keys_changed(now, &keys);
    }

    /// After a change of the metadata: this member's own entry may be gone, or another's.
    pub(super) fn mind_own_entry(&mut self, now: Now) {
        if self.parting.is_some() || self.queues.is_leaving() {
            return;
        }
        let own = self.view.own();
        if self.view.is_fenced(self.me, own.incarnation, own.store()) {
            return self.was_evicted(now);
        }
        if !self.view.is_missing(self.table.map()) {
            self.has_entry |= !self.view.is_absent(self.table.map());
            return;
        }
        if self.view.is_absent(self.table.map()) && self.has_entry {
            return self.was_retired(now);
        }
        if let Some(rival) = self.view.rival_entry(self.table.map()) {
            let is_alive = self
                .own_entry_rival
                .is_some_and(|(store, incarnation)| store == rival.0 && incarnation < rival.1);
            self.own_entry_rival = Some(rival);
            // A dead life does not write; one that raises its incarnation lives.
            if is_alive {
                self.counters.rivals += 1;
                if self.config.store < rival.0 {
                    return self.take_fresh_identity(now);
                }
            }
        }
        if let Some(incarnation) = self.view.incarnation_needed(self.table.map()) {
            self.outbid(now, incarnation);
        }
        let actor = self.table.actor();
        if let Some(delta) = self.view.admit_self(self.table.map_mut(), actor) {
            // Where this life of its copies was not in the set, it was taken for lost.
            self.queues.resync_all(now);
            self.has_entry = true;
            self.publish(now, delta);
        }
    }

    /// A row of this identity: one of another process with a higher incarnation outshines this
    /// member's own. A former process does not write any more; one that does is a rival.
    pub(super) fn hear_of_own_card(&mut self, now: Now, card: &Card) {
        if card.boot() == self.config.boot || card.incarnation < self.config.incarnation {
            return;
        }
        let seen = (card.boot(), card.incarnation);
        let is_alive = self
            .own_card_rival
            .is_some_and(|(boot, incarnation)| boot == seen.0 && incarnation < seen.1);
        self.own_card_rival = Some(seen);
        if is_alive {
            self.counters.rivals += 1;
            if self.config.boot < seen.0 {
                return self.take_fresh_identity(now);
            }
        }
        self.outbid(now, card.incarnation);
        self.mind_own_entry(now);
    }

    /// Others have seen a higher incarnation of this member: so far above that one that a former life, of which
    /// others may have seen still later words, never had it. Who goes beyond answers to it, and lives.
    fn outbid(&mut self, now: Now, seen: u64) {
        self.raise(now, seen.saturating_add(OUTBID));
    }

    /// A higher incarnation for the same life.
    fn raise(&mut self, now: Now, incarnation: u64) {
        self.config.incarnation = incarnation;
        let own = self.view.own().raised(incarnation);
        self.view.renew(self.me, own);
        self.plumtree.raise(incarnation);
        self.write_card(now);
    }

    /// Others took this member for gone. It comes back with its copies, as another life of them:
    /// what they owed the former one is forgotten (protocol.md 1.2).
    fn was_retired(&mut self, now: Now) {
        self.counters.returned += 1;
        self.has_entry = false;
        self.config.store = StoreId(self.chance.bits() | 1);
        let needed = self.view.incarnation_needed(self.table.map());
        let incarnation = needed.unwrap_or(self.config.incarnation + 1);
        self.config.incarnation = incarnation;
        let own = self.view.own().renewed(incarnation, self.config.store);
        self.view.renew(self.me, own);
        self.plumtree.raise(incarnation);
        self.queues.rename(now, self.as_holder());
        self.write_card(now);
        self.mind_own_entry(now);
    }

    /// An operator took this member out. Nothing is deleted: its copies are set aside, and it
    /// joins afresh with none.
    fn was_evicted(&mut self, now: Now) {
        self.has_entry = false;
        self.config.store = StoreId(self.chance.bits() | 1);
        let needed = self.view.incarnation_needed(self.table.map());
        self.config.incarnation = needed.unwrap_or(self.config.incarnation + 1);
        let count = self.queues.set_aside();
        self.queues.reset(now, self.config.store);
        self.reread_groups(now);
        self.reread_configs(now);
        let own = own_info(&self.config);
        self.view.renew(self.me, own);
        self.plumtree.raise(self.config.incarnation);
        let detail = format!("{count} messages set aside");
        self.event(now, EventKind::Evicted, self.me, detail);
        self.hang_up_all(now, "this member was evicted and joins afresh");
        self.write_card(now);
    }

    fn as_holder(&self) -> Holder {
        Holder {
            member: self.me,
            store: self.config.store,
        }
    }

    /// This member's row, after a change of it.
    pub(super) fn write_card(&mut self, now: Now) {
        self.card_version += 1;
        let card = self.own_card();
        self.take_card(now, &card);
        self.tell_card(now, card);
    }

    pub(super) fn own_card(&self) -> Card {
        let mut card = Card::new(self.me, self.config.incarnation, self.config.boot);
        card.version = self.card_version;
        card.name.clone_from(&self.config.name);
        card.zone.clone_from(&self.config.zone);
        card.address = self.config.address.clone().unwrap_or_default();
        card.minor = self.config.minor;
        card
    }

    fn hang_up_all(&mut self, now: Now, reason: &'static str) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            let error = Error::new(ErrorKind::Closed).because(reason);
            self.out.push(Effect::Hangup(link, error));
            self.unlinked(now, link);
        }
        self.hang_up_held(Instant::NEVER, reason);
    }

    /// Every copy is handed over: out of the set, then off the links when the others have echoed it.
    pub(super) fn part(&mut self, now: Now, ticket: Ticket) {
        let former: BTreeSet<MemberId> = self.view.members().keys().copied().collect();
        let actor = self.table.actor();
        let delta = self.view.depart(self.table.map_mut(), actor).to_bytes();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            let delta = delta.clone();
            self.send(link, Message::Meta(Meta { delta, asks: false }));
        }
        self.departure = Some(Departure { delta, former });
        let deadline = now.mono + ECHO_MS;
        self.parting = Some(Parting { ticket, deadline });
        // Whoever is dialled by one that leaves might bring it back.
        self.dialler.rest();
        self.finish_parting(now);
    }

    /// All peers hung up, which they do when they heard, and no dial is under way that would show them
    /// another life; or they had their time.
    pub(super) fn finish_parting(&mut self, now: Now) {
        let is_over = self.links.is_empty() && !self.dialler.is_dialling();
        let Some(parting) = self
            .parting
            .take_if(|one| is_over || one.deadline <= now.mono)
        else {
            return;
        };
        // Before old gossip could bring this member back: close, then forget.
        self.hang_up_all(now, "the member left");
        let waiting = self.dialler.clear();
        let error = Error::new(ErrorKind::Unreachable).because("this member left its cluster");
        self.fail_joins(&waiting, &error);
        self.start_anew(now);
        self.event(now, EventKind::Left, self.me, String::new());
        self.out
            .push(Effect::Reply(parting.ticket, Ok(Reply::Done)));
    }

    /// A lone member with nothing remembered.
    fn start_anew(&mut self, now: Now) {
        self.config.seeds.clear();
        self.config.store = StoreId(self.chance.bits() | 1);
        self.config.incarnation += 1;
        self.queues.reset(now, self.config.store);
        self.table.reset(BootId(self.chance.bits() | 1));
        self.news = Default::default();
        self.exchanges.clear();
        self.watch = Default::default();
        self.led_to.clear();
        self.has_entry = false;
        self.has_had_company = false;
        self.own_entry_rival = None;
        self.view.reset(own_info(&self.config));
        self.plumtree.raise(self.config.incarnation);
        self.plumtree.set_members(now.mono, &[self.me]);
        self.board = Default::default();
        self.cards = Default::default();
        self.write_card(now);
    }

    /// A dial that was under way while its target (or this member) left the set: taken up, it would
    /// join two clusters again that just parted.
    pub(super) fn is_stale_dial(&mut self, now: Now, hello: &Hello, dialled: Option<&str>) -> bool {
        let Some(address) = dialled else { return false };
        let member = hello.member();
        let is_stale = self.parting.is_some()
            || (!self.dialler.is_asked_for(address)
                && !self.view.members().contains_key(&member)
                && member != self.me);
        if is_stale && self.cards.at(address).next().is_some() {
            // Its row is there still: it would be dialled again at once, for as long as it is.
            let waiting = self.dialler.refused(now.mono, address, &mut self.chance);
            self.fail_joins(&waiting, &ErrorKind::Unreachable.into());
        } else if is_stale {
            self.dialler.abandoned(address);
        }
        is_stale
    }
}

/// What the set says of this member at first.
pub(super) fn own_info(config: &super::Config) -> MemberInfo {
    MemberInfo::new(config.incarnation, config.store, config.is_ephemeral)
}

fn rivals(member: MemberId) -> Error {
    Error::new(ErrorKind::IdentityConflict)
        .because("another live process has this member's identity")
        .with("member", member)
}
