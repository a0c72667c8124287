//! Links come and go: what membership, stock and queues hear of it, and in which order.

use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::EventKind;
use super::effect::{Effect, Lane};
use super::frame::Message;
use crate::base::{BootId, Error, ErrorKind, LinkId, MemberId, Now, StoreId, Ticket};
use crate::copies::Zone;
use crate::membership::{
    Card, CardList, Dialler, Heartbeat, Hello, MINOR_DEDUP, MINOR_TAKES, MemberInfo, Pulse,
};

/// A link to a peer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) member: MemberId,
    pub(super) boot: BootId,
    pub(super) incarnation: u64,
    pub(super) store: StoreId,
    pub(super) pulse: Pulse,
    /// True when this member dialled.
    is_mine: bool,
    /// Addresses that lead here: dialled ones and the peer's own.
    addresses: Vec<String>,
    /// Joins that are answered when the peer's metadata is in.
    pub(super) joins: Vec<Ticket>,
    pub(super) is_synced: bool,
    /// Its bulk lane takes nothing at present.
    pub(super) is_full: bool,
    /// Heartbeats in a row whose digest differed, of the metadata and of the rows.
    differs: u32,
    other_cards: u32,
}

impl Link {
    fn new(now: Now, hello: &Hello, dialled: Option<String>, joins: Vec<Ticket>) -> Self {
        let mut addresses = Vec::new();
        let is_mine = dialled.is_some();
        addresses.extend(dialled);
        if !hello.address.is_empty() && !addresses.contains(&hello.address) {
            addresses.push(hello.address.clone());
        }
        Self {
            member: hello.member(),
            boot: hello.boot(),
            incarnation: hello.incarnation,
            store: hello.store(),
            pulse: Pulse::new(now.mono),
            is_mine,
            addresses,
            joins,
            is_synced: false,
            is_full: false,
            differs: 0,
            other_cards: 0,
        }
    }
}

impl Engine {
    /// A handshake finished. Of two links to one member, the one that the lower id dialled stays.
    pub(super) fn linked(
        &mut self,
        now: Now,
        link: LinkId,
        hello: &Hello,
        dialled: Option<String>,
    ) {
        if self.is_stale_dial(now, hello, dialled.as_deref()) {
            let error = Error::new(ErrorKind::Closed).because("that member left meanwhile");
            self.out.push(Effect::Hangup(link, error));
            self.choose_dials(now);
            return self.finish_parting(now);
        }
        if let Some(address) = &dialled
            && self.has_parted(hello)
        {
            return self.hear_of_parting(now, link, address);
        }
        let joins = match &dialled {
            Some(address) => self.dialler.linked(address),
            None => Vec::new(),
        };
        if let Err(error) = self.judge(now, link, hello) {
            return self.refuse_link(now, link, hello, dialled.as_deref(), error, &joins);
        }
        let fresh = Link::new(now, hello, dialled, joins);
        if self.is_former(&fresh.member) && !fresh.is_mine {
            return self.question_former(now, link, fresh, hello);
        }
        self.welcome(now, link, fresh, hello);
    }

    pub(super) fn welcome(&mut self, now: Now, link: LinkId, mut fresh: Link, hello: &Hello) {
        if let Some(rival) = self.by_member.get(&fresh.member).copied() {
            if self.rival_stays(rival, &fresh) {
                return self.fold_into(rival, link, fresh);
            }
            self.retire_link(now, rival, &mut fresh);
        }
        self.take_up(now, link, fresh, hello);
    }

    pub(super) fn refuse_link(
        &mut self,
        now: Now,
        link: LinkId,
        hello: &Hello,
        dialled: Option<&str>,
        error: Error,
        joins: &[Ticket],
    ) {
        self.counters.links_refused += 1;
        self.fail_joins(joins, &error);
        if let Some(address) = dialled {
            self.dialler.refused(now.mono, address, &mut self.chance);
        }
        self.note_refusal(now, hello, &error);
        if !self.held_links.contains_key(&link) {
            self.out.push(Effect::Hangup(link, error));
        }
    }

    /// True when the link that exists is the better one: it was dialled by the lower id, and the
    /// new one was not. Both ends decide alike.
    fn rival_stays(&self, rival: LinkId, fresh: &Link) -> bool {
        let dialler = |is_mine: bool| if is_mine { self.me } else { fresh.member };
        let lower = self.me.min(fresh.member);
        self.links.get(&rival).is_some_and(|rival| {
            // A new store means that the peer left and came back: the old link is dying.
            rival.boot == fresh.boot
                && rival.store == fresh.store
                && dialler(rival.is_mine) == lower
                && dialler(fresh.is_mine) != lower
        })
    }

    /// The new link goes; what led to it now leads to the one that stays.
    fn fold_into(&mut self, stays: LinkId, goes: LinkId, fresh: Link) {
        self.out
            .push(Effect::Hangup(goes, ErrorKind::AlreadyExists.into()));
        let mut answered = Vec::new();
        if let Some(link) = self.links.get_mut(&stays) {
            link.addresses.extend(fresh.addresses);
            self.led_to.insert(link.member, link.addresses.clone());
            if link.is_synced {
                answered = fresh.joins;
            } else {
                link.joins.extend(fresh.joins);
            }
        }
        self.answer_joins(answered);
    }

    /// An older link goes; the new one takes over what led to it.
    fn retire_link(&mut self, now: Now, rival: LinkId, fresh: &mut Link) {
        let Some(mut old) = self.links.remove(&rival) else {
            return;
        };
        if old.boot == fresh.boot {
            fresh.addresses.append(&mut old.addresses);
        }
        // Another process of that identity may be elsewhere, and this one lives where it did.
        for address in &old.addresses {
            self.dialler
                .unlinked(now.mono, address, old.is_synced, &mut self.chance);
        }
        fresh.joins.append(&mut old.joins);
        self.by_member.remove(&old.member);
        if (old.boot, old.store) == (fresh.boot, fresh.store) {
            self.queues.peer_relinking(now, old.member);
        } else {
            self.queues.peer_unlinked(now, old.member);
        }
        self.forget_link(now, old.member);
        self.out
            .push(Effect::Hangup(rival, ErrorKind::AlreadyExists.into()));
    }

    /// A link counts: the peer is admitted where it is new, and each side asks what the other knows.
    fn take_up(&mut self, now: Now, link: LinkId, fresh: Link, hello: &Hello) {
        let (member, boot, store) = (fresh.member, fresh.boot, fresh.store);
        let is_mine = fresh.is_mine;
        for address in &fresh.addresses {
            self.dialler.covered(address);
        }
        self.led_to.insert(member, fresh.addresses.clone());
        self.counters.links_up += 1;
        self.links.insert(link, fresh);
        self.by_member.insert(member, link);
        self.plumtree.link_up(now.mono, member);
        self.hear_card(now, &card_of(hello));
        let known = self.view.members().get(&member).map(MemberInfo::store);
        // The one that was dialled admits the other; who is known by its store needs no admission.
        // Who is known by another store may remember the same as this member, and so write nothing.
        if known != Some(store) && (!is_mine || known.is_some()) {
            self.admit(now, member, &hello.info());
        }
        if hello.cards != self.cards.digest() {
            let cards = self.cards.whole();
            self.send(link, Message::Cards(cards));
        }
        self.exchanges.start(now.mono, member, &self.table);
        self.tell_exchanges();
        self.ask_host(member);
        self.send_row(link);
        self.beat(now, link, false);
        let kept: Vec<StoreId> = hello.info().kept().collect();
        self.queues.peer_linked(now, member, boot, store, &kept);
        self.queues.peer_zone(now, member, Zone::of(&hello.zone));
        self.queues.peer_takes(member, hello.minor >= MINOR_TAKES);
        self.queues
            .peer_dedups(now, member, hello.minor >= MINOR_DEDUP);
        let verdict = self.watch.linked(now.mono, member);
        self.carry_out(now, verdict);
    }

    /// A link is gone.
    pub(super) fn unlinked(&mut self, now: Now, link: LinkId) {
        self.held_links.remove(&link);
        let Some(gone) = self.links.remove(&link) else {
            return;
        };
        self.counters.links_down += 1;
        self.by_member.remove(&gone.member);
        for address in &gone.addresses {
            self.dialler
                .unlinked(now.mono, address, gone.is_synced, &mut self.chance);
        }
        let lost = Error::new(ErrorKind::Interrupted).because("the link was lost while joining");
        self.fail_joins(&gone.joins, &lost);
        self.forget_link(now, gone.member);
        if !self.view.members().contains_key(&gone.member) {
            // Its row came with the handshake, and no word of its end will come: it is no member here.
            self.cards.forget(gone.member);
            self.led_to.remove(&gone.member);
        }
        self.queues.peer_unlinked(now, gone.member);
        self.watch.unlinked(now.mono, gone.member);
        self.choose_dials(now);
        self.finish_parting(now);
    }

    /// What a link's end means for the rooms that speak over it.
    fn forget_link(&mut self, now: Now, member: MemberId) {
        for queue in self.board.forget(member) {
            self.queues.peer_stocked(now, member, &queue, false);
        }
        self.queues.forget_lengths(member);
        self.queues.peer_level(now, member, 0);
        self.exchanges.forget(member);
        self.plumtree.link_down(now.mono, member);
        self.tell_broadcasts(now);
    }

    pub(super) fn pressure(&mut self, now: Now, link: LinkId, is_full: bool) {
        if let Some(link) = self.links.get_mut(&link) {
            link.is_full = is_full;
            let member = link.member;
            self.queues.peer_pressure(now, member, is_full);
        }
    }

    pub(super) fn dial_failed(&mut self, now: Now, address: &str, error: &Error) {
        let is_refused = error.context().iter().any(|(key, _)| *key == "refused");
        let joins = if error.kind() == ErrorKind::InvalidArgument {
            // This member itself answers there, as where one name stands for all members.
            self.dialler.itself(now.mono, address, &mut self.chance)
        } else if error.kind() == ErrorKind::Unreachable && !is_refused {
            self.dialler.silent(now.mono, address, &mut self.chance)
        } else {
            self.dialler.failed(now.mono, address, &mut self.chance)
        };
        let error = &Dialler::failure(address, error);
        self.fail_joins(&joins, error);
        self.tell_refusal(now, address, error);
        // Its host answered, and nobody listens there: it ended.
        if is_refused {
            self.dialler.forget_former(address);
            let there: Vec<MemberId> = self.cards.at(address).collect();
            for member in there {
                let verdict = self.watch.refused(now.mono, member);
                self.carry_out(now, verdict);
            }
        }
        self.choose_dials(now);
        self.finish_parting(now);
    }

    /// Who is refused will be again until somebody changes an option, and nothing else shows it.
    fn tell_refusal(&mut self, now: Now, address: &str, error: &Error) {
        let is_refusal = matches!(
            error.kind(),
            ErrorKind::Unsupported | ErrorKind::ClusterMismatch | ErrorKind::IdentityConflict
        );
        if is_refusal && self.dialler.is_news(now.mono, address, error.number()) {
            self.event(now, EventKind::Refused, self.me, alloc::format!("{error}"));
        }
    }

    /// A way of looking for members says what it found.
    pub(super) fn found(&mut self, now: Now, source: u32, addresses: &[String]) {
        self.dialler
            .found(now.mono, source, addresses, &mut self.chance);
        for address in self.links.values().flat_map(|link| &link.addresses) {
            self.dialler.covered(address);
        }
        self.answer_joined(now);
    }

    /// A peer's message goes to the room it concerns.
    pub(super) fn hear(&mut self, now: Now, link: LinkId, message: Message) {
        if let Message::Meta(meta) = &message
            && self.held_links.contains_key(&link)
        {
            return self.hear_held(now, link, meta);
        }
        let Some(from) = self.links.get(&link).map(|link| link.member) else {
            return;
        };
        match message {
            Message::Queue(message) => return self.queues.hear(now, from, *message),
            Message::Heartbeat(heartbeat) => self.heartbeat(now, link, &heartbeat),
            Message::Meta(meta) => self.meta(now, link, &meta),
            Message::Exchange(exchange) => self.exchange(now, link, from, *exchange),
            Message::Broadcast(message) => {
                self.plumtree.hear(now.mono, from, *message);
                self.tell_broadcasts(now);
            }
            Message::Cards(list) => self.hear_cards(now, &list),
            Message::Probe(probe) => self.probe(now, link, &probe),
            Message::Host(part) => self.hear_host(link, from, *part),
            Message::Rival(rival) => self.hear_of_rival(now, link, &rival),
            Message::Stock(mut stock) => {
                let lengths = core::mem::take(&mut stock.lengths);
                self.hear_lengths(now, from, stock.is_whole, lengths);
                if !stock.is_hint {
                    self.queues.peer_level(now, from, stock.memory_level);
                }
                for (queue, is_stocked) in self.board.hear(from, stock) {
                    self.queues.peer_stocked(now, from, &queue, is_stocked);
                }
            }
            Message::StockAsk => self.send_row(link),
        }
        self.link_wake = self.link_wake.min(self.next_gossip());
    }

    fn heartbeat(&mut self, now: Now, id: LinkId, heartbeat: &Heartbeat) {
        let digest = self.table.digest();
        let cards = self.cards.digest();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let member = link.member;
        link.pulse.hear(now.mono, heartbeat);
        let (alive, round_trip) = (link.pulse.alive(), link.pulse.round_trip());
        // A delta may be on its way; one that differs for long has missed something.
        link.differs = if heartbeat.digest == digest {
            0
        } else {
            link.differs + 1
        };
        link.other_cards = if heartbeat.cards == cards {
            0
        } else {
            link.other_cards + 1
        };
        let cards_differ = link.other_cards >= 3;
        if cards_differ {
            link.other_cards = 0;
        }
        if link.differs >= 3 {
            link.differs = 0;
            self.counters.meta_syncs += 1;
            self.exchanges.start(now.mono, member, &self.table);
            self.tell_exchanges();
        }
        if cards_differ {
            let whole = self.cards.whole();
            self.send(id, Message::Cards(whole));
        }
        if self.board.is_behind(member, heartbeat.stock) {
            self.counters.stock_asks += 1;
            self.send(id, Message::StockAsk);
        }
        if !heartbeat.is_answer {
            self.beat(now, id, true);
        }
        self.plumtree.rtt(member, round_trip);
        let verdict = self.watch.sign(now.mono, member, alive);
        // A sign puts off what is due, but it also teaches how long to wait for the next one.
        let due = self.watch.due(member).max(now.mono);
        self.link_wake = self.link_wake.min(due);
        if verdict.is_some() {
            self.look_again(now);
            self.carry_out(now, verdict);
        }
    }

    /// Of a pair the lower id dials; a member that does not listen always does, and whoever misses
    /// the other.
    pub(super) fn choose_dials(&mut self, now: Now) {
        let listens = self.config.address.is_some();
        let mut wanted = Vec::new();
        for id in self.view.members().keys() {
            // A peer that came back with nothing remembered may not know whom to dial.
            let is_missed = self.watch.standing(*id) == crate::membership::Standing::Unreachable;
            let is_mine = self.me < *id || !listens || is_missed;
            let address = self.cards.address(*id);
            if is_mine && *id != self.me && !address.is_empty() && !self.by_member.contains_key(id)
            {
                wanted.push(String::from(address));
            }
        }
        self.dialler.members(now.mono, &wanted);
    }

    pub(super) fn hear_cards(&mut self, now: Now, list: &CardList) {
        self.look_again(now);
        if self.cards.is_full() {
            let view = &self.view;
            self.cards
                .keep(|member| view.members().contains_key(&member));
        }
        let mut is_news = false;
        for card in &list.cards {
            if card.member() == self.me {
                self.hear_of_own_card(now, card);
            } else if self.by_member.contains_key(&card.member())
                || !self.view.is_gone(card.member())
            {
                // A row may come before its member, but not after it.
                is_news |= self.take_card(now, card);
            }
        }
        if is_news {
            self.choose_dials(now);
        }
    }

    /// A row that came with a handshake; who is not linked to its member hears of it from here.
    fn hear_card(&mut self, now: Now, card: &Card) {
        if self.take_card(now, card) {
            self.tell_card(now, card.clone());
        }
    }

    pub(super) fn take_card(&mut self, now: Now, card: &Card) -> bool {
        let member = card.member();
        let is_member = member == self.me || self.view.members().contains_key(&member);
        self.cards.hear(now.mono, card, is_member)
    }

    pub(super) fn send(&mut self, link: LinkId, message: Message) {
        let lane = match &message {
            Message::Queue(queue) if queue.is_bulk() => Lane::Bulk,
            Message::Exchange(_) | Message::Host(_) => Lane::Bulk,
            _ => Lane::Control,
        };
        self.out.push(Effect::Send(link, lane, message));
    }

    pub(super) fn send_to(&mut self, member: MemberId, message: Message) {
        if let Some(link) = self.by_member.get(&member) {
            self.send(*link, message);
        }
    }
}

fn card_of(hello: &Hello) -> Card {
    let mut card = Card::new(hello.member(), hello.incarnation, hello.boot());
    card.version = hello.version;
    card.name.clone_from(&hello.name);
    card.zone.clone_from(&hello.zone);
    card.address.clone_from(&hello.address);
    card.minor = hello.minor;
    card
}
