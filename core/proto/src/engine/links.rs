//! Links come and go: what membership, stock and queues hear of it, and in which order.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::{EventKind, Reply};
use super::effect::{Effect, Lane};
use super::frame::Message;
use crate::base::{
    BootId, Error, ErrorKind, Instant, LinkId, MemberId, Millis, Now, StoreId, Ticket, limits,
};
use crate::crdt::Delta;
use crate::membership::{Change, Dialler, Heartbeat, Hello, MemberInfo, Meta, Pulse};

/// An older process with this identity that was heard this lately is the one that stays.
const CONFLICT_MS: Millis = 2_000;

/// What is kept of a cluster that this member left.
#[derive(Debug)]
pub(super) struct Departure {
    /// The word of it, for members that have not heard.
    pub(super) delta: Vec<u8>,
    /// The life of copies that ended with it.
    pub(super) store: StoreId,
    /// Who was a member then and has not come since.
    pub(super) former: BTreeSet<MemberId>,
}

/// A link to a peer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) member: MemberId,
    boot: BootId,
    store: StoreId,
    pub(super) pulse: Pulse,
    /// True when this member dialled.
    is_mine: bool,
    /// Addresses that lead here: dialled ones and the peer's own.
    addresses: Vec<String>,
    /// Joins that are answered when the peer's metadata is in.
    joins: Vec<Ticket>,
    is_synced: bool,
    /// Heartbeats in a row whose digest differed.
    differs: u32,
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
        let member = hello.member();
        if self.is_stale_dial(member, dialled.as_deref()) {
            let error = Error::new(ErrorKind::Closed).because("that member left meanwhile");
            self.out.push(Effect::Hangup(link, error));
            return self.choose_dials(now);
        }
        let joins = match &dialled {
            Some(address) => self.dialler.linked(address),
            None => Vec::new(),
        };
        let checked = hello.check(&self.hello());
        let rival = self.by_member.get(&member).copied();
        let refused = checked.err().or_else(|| self.conflict(now, rival, hello));
        if let Some(error) = refused {
            self.refuse_link(now, link, member, dialled.as_deref(), error, &joins);
            return;
        }
        let mut fresh = Link {
            member,
            boot: hello.boot(),
            store: hello.store(),
            pulse: Pulse::new(now.mono),
            is_mine: dialled.is_some(),
            addresses: Vec::new(),
            joins,
            is_synced: false,
            differs: 0,
        };
        fresh.addresses.extend(dialled);
        if !hello.address.is_empty() && !fresh.addresses.contains(&hello.address) {
            fresh.addresses.push(hello.address.clone());
        }
        let departure = self.departure.as_ref();
        if !fresh.is_mine && departure.is_some_and(|left| left.former.contains(&member)) {
            self.held_links.insert(link, (fresh, hello.clone()));
            return;
        }
        self.welcome(now, link, fresh, hello);
    }

    /// A dial that was under way while its target (or this member) left the set: taken up, it would
    /// join two clusters again that just parted.
    fn is_stale_dial(&mut self, member: MemberId, dialled: Option<&str>) -> bool {
        let Some(address) = dialled else { return false };
        let is_stale =
            !self.dialler.is_asked_for(address) && !self.view.members().contains_key(&member);
        if is_stale {
            // Off the books: it is not dialled again unless somebody wants it.
            self.dialler.linked(address);
            self.dialler
                .unlinked(Instant::NEVER, address, &mut self.chance);
        }
        is_stale
    }

    fn welcome(&mut self, now: Now, link: LinkId, mut fresh: Link, hello: &Hello) {
        if let Some(rival) = self.by_member.get(&fresh.member).copied() {
            if self.rival_stays(rival, &fresh) {
                return self.fold_into(rival, link, fresh);
            }
            self.retire(now, rival, &mut fresh);
        }
        self.take_up(now, link, fresh, hello);
    }

    /// A member of the cluster that this one left dials it. One that has not heard of the leave is
    /// told, and no link comes of it: its state would bring this member back (partisan#191). One
    /// that has heard comes to join, like anyone.
    fn judge_former(&mut self, now: Now, id: LinkId, meta: &Meta) {
        let (Some((fresh, hello)), Some(left)) = (self.held_links.remove(&id), &mut self.departure)
        else {
            return;
        };
        let is_unaware = Delta::from_bytes(&meta.delta)
            .is_ok_and(|delta| self.view.is_unaware(&delta, left.store));
        if !is_unaware {
            left.former.remove(&fresh.member);
            return self.welcome(now, id, fresh, &hello);
        }
        let meta = Meta {
            is_whole: false,
            delta: left.delta.clone(),
            asks: false,
        };
        self.send(id, Message::Meta(meta));
        let error = Error::new(ErrorKind::Closed).because("the member left");
        self.out.push(Effect::Hangup(id, error));
    }

    /// Another process with this identity, while the one that is linked is alive.
    fn conflict(&self, now: Now, rival: Option<LinkId>, hello: &Hello) -> Option<Error> {
        let rival = self.links.get(&rival?)?;
        let was_heard = now.mono + limits::UNREACHABLE_MS < rival.pulse.silent_at() + CONFLICT_MS;
        (rival.boot != hello.boot() && was_heard).then(|| {
            Error::new(ErrorKind::IdentityConflict)
                .because("another live process has this member's identity")
                .with("member", hello.member())
        })
    }

    fn refuse_link(
        &mut self,
        now: Now,
        link: LinkId,
        member: MemberId,
        dialled: Option<&str>,
        error: Error,
        joins: &[Ticket],
    ) {
        self.counters.links_refused += 1;
        if error.kind() == ErrorKind::IdentityConflict {
            self.event(now, EventKind::Conflict, member, String::new());
        }
        for ticket in joins {
            if self.joins.remove(ticket).is_some() {
                self.out.push(Effect::Reply(*ticket, Err(error.clone())));
            }
        }
        if let Some(address) = dialled {
            self.dialler.failed(now.mono, address, &mut self.chance);
        }
        self.out.push(Effect::Hangup(link, error));
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
    fn retire(&mut self, now: Now, rival: LinkId, fresh: &mut Link) {
        let Some(mut old) = self.links.remove(&rival) else {
            return;
        };
        fresh.addresses.append(&mut old.addresses);
        fresh.joins.append(&mut old.joins);
        self.by_member.remove(&old.member);
        self.queues.peer_unlinked(now, old.member);
        self.forget_stock(now, old.member);
        self.out
            .push(Effect::Hangup(rival, ErrorKind::AlreadyExists.into()));
    }

    /// A link counts: the peer is admitted where it is new, and each side tells all it knows.
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
        self.silent.remove(&member);
        let known = self.view.members().get(&member).map(MemberInfo::store);
        // The one that was dialled admits the other; who is known by its store needs no admission.
        if !is_mine && known != Some(store) {
            let (name, address) = (hello.name.clone(), hello.address.clone());
            let info = MemberInfo::new(hello.incarnation, store, boot, name, address);
            if let Some(delta) = self.view.admit(member, &info) {
                self.tell_meta(&delta, Some(link));
                let change = match known {
                    None => Change::Joined(member),
                    Some(_) => Change::Renewed(member),
                };
                self.changed(now, &[change]);
            }
        }
        self.send_whole_meta(link, false);
        let stock = self.board.whole();
        self.send(link, Message::Stock(stock));
        self.beat(now, link, false);
        self.queues.peer_linked(now, member, boot, store);
        self.mark_reachable(now, member, true);
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
            self.dialler.unlinked(now.mono, address, &mut self.chance);
        }
        let lost = Error::new(ErrorKind::Interrupted).because("the link was lost while joining");
        for ticket in gone.joins {
            // One that ran out of time has its answer.
            if self.joins.remove(&ticket).is_some() {
                self.out.push(Effect::Reply(ticket, Err(lost.clone())));
            }
        }
        self.forget_stock(now, gone.member);
        self.queues.peer_unlinked(now, gone.member);
        if self.view.members().contains_key(&gone.member) {
            self.silent.insert(gone.member, (now.mono, true));
        }
        self.choose_dials(now);
    }

    pub(super) fn pressure(&mut self, now: Now, link: LinkId, is_full: bool) {
        if let Some(member) = self.links.get(&link).map(|link| link.member) {
            self.queues.peer_pressure(now, member, is_full);
        }
    }

    pub(super) fn dial_failed(&mut self, now: Now, address: &str, error: &Error) {
        let joins = self.dialler.failed(now.mono, address, &mut self.chance);
        for ticket in joins {
            if self.joins.remove(&ticket).is_some() {
                let error = Dialler::failure(address, error);
                self.out.push(Effect::Reply(ticket, Err(error)));
            }
        }
        self.choose_dials(now);
    }

    /// A peer's message goes to the room it concerns.
    pub(super) fn hear(&mut self, now: Now, link: LinkId, message: Message) {
        if let Message::Meta(meta) = &message
            && meta.is_whole
            && self.held_links.contains_key(&link)
        {
            self.judge_former(now, link, meta);
        }
        let Some(from) = self.links.get(&link).map(|link| link.member) else {
            return;
        };
        match message {
            Message::Queue(message) => self.queues.hear(now, from, *message),
            Message::Heartbeat(heartbeat) => self.heartbeat(now, link, &heartbeat),
            Message::Meta(meta) => self.meta(now, link, &meta),
            Message::Stock(stock) => {
                for (queue, is_stocked) in self.board.hear(from, stock) {
                    self.queues.peer_stocked(now, from, &queue, is_stocked);
                }
            }
            Message::StockAsk => {
                let stock = self.board.whole();
                self.send(link, Message::Stock(stock));
            }
        }
    }

    fn heartbeat(&mut self, now: Now, id: LinkId, heartbeat: &Heartbeat) {
        let digest = self.view.digest();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let member = link.member;
        link.pulse.hear(heartbeat);
        let is_alive = link.pulse.is_alive(now.mono);
        // A delta may be on its way; one that differs twice has missed something.
        link.differs = if heartbeat.digest == digest {
            0
        } else {
            link.differs + 1
        };
        let is_apart = link.differs >= 3;
        if is_apart {
            link.differs = 0;
        }
        if is_apart {
            self.counters.meta_syncs += 1;
            self.send_whole_meta(id, true);
        }
        if self.board.is_behind(member, heartbeat.stock) {
            self.counters.stock_asks += 1;
            self.send(id, Message::StockAsk);
        }
        if !heartbeat.is_answer {
            self.beat(now, id, true);
        }
        if is_alive {
            self.mark_reachable(now, member, true);
        }
    }

    fn meta(&mut self, now: Now, id: LinkId, meta: &Meta) {
        let Ok(delta) = Delta::from_bytes(&meta.delta) else {
            let error = Error::new(ErrorKind::Corrupt).because("malformed metadata");
            self.out.push(Effect::Hangup(id, error));
            return;
        };
        let changes = self.view.merge(&delta, meta.is_whole);
        self.changed(now, &changes);
        if !changes.is_empty() && !meta.is_whole {
            // Only news is passed on, so it ends; and a change reaches members that its writer
            // has no link to.
            self.tell_meta(&delta, Some(id));
        }
        if self.view.is_missing()
            && !self.queues.is_leaving()
            && let Some(delta) = self.view.admit_self()
        {
            self.tell_meta(&delta, None);
        }
        if meta.asks {
            self.send_whole_meta(id, false);
        }
        if meta.is_whole {
            let joins = match self.links.get_mut(&id) {
                Some(link) => {
                    link.is_synced = true;
                    core::mem::take(&mut link.joins)
                }
                None => Vec::new(),
            };
            self.answer_joins(joins);
            self.answer_joined(now);
        }
    }

    /// What a change of the set means for the queues, the dialler and the host.
    fn changed(&mut self, now: Now, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Joined(member) | Change::Renewed(member) => {
                    let member = *member;
                    let store = self.view.members().get(&member).map(MemberInfo::store);
                    self.queues
                        .peer_known(now, member, store.unwrap_or_default());
                    if !self.by_member.contains_key(&member) && member != self.me {
                        self.silent.entry(member).or_insert((now.mono, false));
                    }
                    if matches!(change, Change::Joined(_)) {
                        self.event(now, EventKind::Joined, member, String::new());
                    }
                }
                Change::Left(member, name) => {
                    let member = *member;
                    // A seed that left on purpose is no way in any more: dialled for ever, it
                    // would be brought back.
                    for address in self.led_to.remove(&member).unwrap_or_default() {
                        self.dialler.unseed(&address);
                    }
                    self.silent.remove(&member);
                    self.unreachable.remove(&member);
                    self.queues.peer_gone(now, member);
                    self.event_of(now, EventKind::Left, member, name.clone(), String::new());
                    if let Some(link) = self.by_member.get(&member) {
                        let error = Error::new(ErrorKind::Closed).because("the member left");
                        self.out.push(Effect::Hangup(*link, error));
                    }
                }
            }
        }
        if !changes.is_empty() {
            self.choose_dials(now);
        }
    }

    /// Of a pair the lower id dials; a member that does not listen always does, and whoever misses
    /// the other.
    pub(super) fn choose_dials(&mut self, now: Now) {
        let listens = self.config.address.is_some();
        let wanted = self.view.members().iter().filter(|(id, info)| {
            // A peer that came back with nothing remembered may not know whom to dial.
            let is_mine = self.me < **id || !listens || self.unreachable.contains(*id);
            let is_mine = is_mine && **id != self.me;
            is_mine && !info.address.is_empty() && !self.by_member.contains_key(*id)
        });
        let wanted: Vec<String> = wanted.map(|(_, info)| info.address.clone()).collect();
        self.dialler.members(now.mono, &wanted);
    }

    pub(super) fn join(&mut self, now: Now, ticket: Ticket, address: String) {
        self.joins
            .insert(ticket, (address.clone(), now.mono + limits::JOIN_MS));
        self.dialler.join(now.mono, &address, ticket);
    }

    pub(super) fn wait_for_seed(&mut self, now: Now, ticket: Ticket) {
        self.joined.push((ticket, now.mono + limits::SEED_WAIT_MS));
        self.answer_joined(now);
    }

    fn answer_joins(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets {
            if self.joins.remove(&ticket).is_some() {
                self.out.push(Effect::Reply(ticket, Ok(Reply::Done)));
            }
        }
    }

    pub(super) fn answer_joined(&mut self, now: Now) {
        let is_seeded = self.config.seeds.is_empty()
            || (self.dialler.is_seeded() && self.links.values().any(|link| link.is_synced));
        let out = &mut self.out;
        self.joined.retain(|(ticket, deadline)| {
            let is_over = is_seeded || now.mono >= *deadline;
            if is_over {
                out.push(Effect::Reply(*ticket, Ok(Reply::Done)));
            }
            !is_over
        });
    }

    fn forget_stock(&mut self, now: Now, member: MemberId) {
        for queue in self.board.forget(member) {
            self.queues.peer_stocked(now, member, &queue, false);
        }
    }

    fn send_whole_meta(&mut self, link: LinkId, asks: bool) {
        let meta = Meta {
            is_whole: true,
            delta: self.view.whole().to_bytes(),
            asks,
        };
        self.send(link, Message::Meta(meta));
    }

    /// Tells a change of the metadata to every link but `except`.
    pub(super) fn tell_meta(&mut self, delta: &Delta, except: Option<LinkId>) {
        let bytes = delta.to_bytes();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            if Some(link) != except {
                let meta = Meta {
                    is_whole: false,
                    delta: bytes.clone(),
                    asks: false,
                };
                self.send(link, Message::Meta(meta));
            }
        }
    }

    pub(super) fn send(&mut self, link: LinkId, message: Message) {
        let lane = match &message {
            Message::Queue(queue) if queue.is_bulk() => Lane::Bulk,
            _ => Lane::Control,
        };
        self.out.push(Effect::Send(link, lane, message));
    }
}
