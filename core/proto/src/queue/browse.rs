//! Browsing: a look at a queue's messages without taking them (protocol.md 4.4).
//!
//! The asking member asks every member that it is linked to, and itself; each shows the first of what it
//! owns, and the answers are merged. Only owners show a message, so none is listed twice while ownership
//! rests, and where it moves the higher one counts. Nothing is kept between two pages: a cursor is a
//! place in the order of stamps. An answer that was cut ends the page where it ends, so nothing is passed
//! over; a member that did not answer is named.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;

use super::delivery::Reply;
use super::message::{Header, Message};
use super::page::{Browse, Browsed, NewBrowse, Page, Shown, Spot, State};
use super::slot::{Lessee, Place, Slot};
use super::{Alarm, Queues};
use crate::base::{
    Error, ErrorKind, Instant, MemberId, Millis, Now, QueueKey, Result, Ticket, id, limits,
};

/// Pause between two steps of looking through what is held here, so that others get their turn.
const STEP_MS: Millis = 1;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// A host of this member.
    Here(Ticket),
    /// Another member, under that number of its own.
    There(MemberId, u64),
}

/// A page that is put together for a host of this member.
#[derive(Debug)]
struct Gathering {
    asked: Browse,
    /// This member has not answered itself.
    is_scanning: bool,
    /// Members that have not answered.
    unheard: BTreeSet<MemberId>,
    missing: BTreeSet<MemberId>,
    found: BTreeMap<Spot, Shown>,
    bytes: usize,
    /// Beyond this place something was left out.
    through: Option<Spot>,
}

/// What is held here is looked through for somebody.
#[derive(Debug)]
struct Scan {
    asker: Asker,
    asked: Browse,
    queue: QueueKey,
    /// Where the next step begins.
    next: u32,
    /// The first of those that are wanted, and where they lie.
    best: BTreeMap<Spot, u32>,
    /// There were more than are wanted.
    is_cut: bool,
    /// Nobody waits for it any more.
    until: Instant,
}

/// Browses under way.
#[derive(Debug, Default)]
pub(super) struct Browses {
    gatherings: BTreeMap<Ticket, Gathering>,
    scans: VecDeque<Scan>,
}

impl Browses {
    /// Pages and answers that are not complete.
    pub(super) fn open(&self) -> usize {
        self.gatherings.len() + self.scans.len()
    }
}

impl Gathering {
    fn is_complete(&self) -> bool {
        !self.is_scanning && self.unheard.is_empty()
    }

    /// Takes one member's messages in; keeps the first of all, as many as are wanted and fit.
    fn merge(&mut self, owner: MemberId, browsed: Browsed) {
        for mut shown in browsed.messages {
            shown.owner = owner;
            let known = self.found.get(&shown.spot);
            if known.is_some_and(|known| known.own >= shown.own) {
                continue;
            }
            self.bytes += shown.weight();
            if let Some(old) = self.found.insert(shown.spot, shown) {
                self.bytes -= old.weight();
            }
        }
        // Also where this one has shown all of its own: what is beyond the page's end is another page's.
        if let Some(through) = browsed.through.or(self.through) {
            self.end_at(through);
        }
        while self.found.len() > self.asked.max as usize
            || (self.bytes > limits::BROWSE_BYTES_MAX && self.found.len() > 1)
        {
            self.drop_last();
            if let Some(last) = self.found.last_key_value().map(|(spot, _)| *spot) {
                self.end_at(last);
            }
        }
    }

    fn end_at(&mut self, through: Spot) {
        let through = self.through.map_or(through, |known| known.min(through));
        self.through = Some(through);
        while self
            .found
            .last_key_value()
            .is_some_and(|(spot, _)| *spot > through)
        {
            self.drop_last();
        }
    }

    fn drop_last(&mut self) {
        if let Some((_, dropped)) = self.found.pop_last() {
            self.bytes -= dropped.weight();
        }
    }
}

impl Queues {
    /// Shows up to `max` messages of a queue, of every member that answers in time. Answers
    /// [`Reply::Page`], 101, 203.
    pub fn browse(&mut self, now: Now, ticket: Ticket, browse: NewBrowse) {
        let timeout = browse.timeout;
        let asked = match self.check_browse(ticket, browse) {
            Ok(asked) => asked,
            Err(error) => return self.reply(ticket, Err(error)),
        };
        self.counters.browses += 1;
        let peers = self.peers.iter();
        let (unheard, missing): (Vec<_>, Vec<_>) = peers.partition(|(_, peer)| peer.is_linked);
        let members = |peers: Vec<(&MemberId, _)>| peers.into_iter().map(|(id, _)| *id).collect();
        let gathering = Gathering {
            asked: asked.clone(),
            is_scanning: true,
            unheard: members(unheard),
            missing: members(missing),
            found: BTreeMap::new(),
            bytes: 0,
            through: None,
        };
        for member in gathering.unheard.clone() {
            self.send(member, Message::Browse(asked.clone()));
        }
        self.browses.gatherings.insert(ticket, gathering);
        self.alarms.set(Alarm::Browse(ticket), now.mono + timeout);
        self.scan(now, Asker::Here(ticket), asked);
    }

    /// What is asked of every member. Errors: 101, 203.
    fn check_browse(&self, ticket: Ticket, browse: NewBrowse) -> Result<Browse> {
        let wrong = |why| Error::new(ErrorKind::InvalidArgument).because(why);
        if browse.max == 0 || browse.max > limits::BROWSE_MAX {
            return Err(wrong("max is out of its range")
                .with("max", browse.max)
                .with("max_max", limits::BROWSE_MAX));
        }
        if browse.timeout == 0 || browse.timeout > limits::BROWSE_MS_MAX {
            return Err(wrong("the time to wait for a page is out of its range")
                .with("timeout_ms", browse.timeout)
                .with("timeout_ms_max", limits::BROWSE_MS_MAX));
        }
        if browse.body_bytes_max as usize > limits::BODY_BYTES_MAX {
            return Err(wrong("body_bytes_max is out of its range")
                .with("body_bytes_max", browse.body_bytes_max)
                .with("body_bytes_max_max", limits::BODY_BYTES_MAX));
        }
        if let Some(group) = &browse.group {
            id::check_name("group", group, limits::NAME_BYTES_MAX)?;
        }
        let headers = browse.headers.into_iter();
        let asked = Browse {
            number: ticket.0,
            queue: String::from(self.name(browse.queue).as_ref()),
            group: browse
                .group
                .map(|group| group.to_string())
                .unwrap_or_default(),
            max: browse.max,
            after: browse.after.map(Into::into),
            states: browse
                .states
                .iter()
                .fold(0, |sum, state| sum | *state as u32),
            headers: headers
                .map(|(name, value)| Header { name, value })
                .collect(),
            body_bytes_max: browse.body_bytes_max,
            wait_ms: browse.timeout,
            shows_keys: true,
        };
        let asked = asked.checked();
        let asked = asked.map_err(|_| wrong("there are too many headers to look for"))?;
        if self.browses.gatherings.len() >= limits::BROWSES_MAX {
            return Err(Error::new(ErrorKind::Overloaded)
                .because("this member browses for too many already")
                .with("browses_max", limits::BROWSES_MAX));
        }
        Ok(asked)
    }

    /// Another member wants to see what is owned here.
    pub(super) fn on_browse(&mut self, now: Now, from: MemberId, browse: Browse) {
        let scans = self.browses.scans.iter();
        let its =
            scans.filter(|scan| matches!(scan.asker, Asker::There(member, _) if member == from));
        let is_full = self.peers.get(&from).is_none_or(|peer| peer.is_full);
        let is_busy = is_full
            || its.count() >= limits::BROWSES_MAX
            || self.browses.scans.len() >= limits::SCANS_MAX;
        if !is_busy {
            return self.scan(now, Asker::There(from, browse.number), browse);
        }
        self.counters.browses_refused += 1;
        let browsed = Browsed {
            number: browse.number,
            is_busy,
            ..Browsed::default()
        };
        self.send(from, Message::Browsed(browsed));
    }

    /// Begins to look through what is held here.
    fn scan(&mut self, now: Now, asker: Asker, asked: Browse) {
        let Some(queue) = self.shelf_known(&asked.queue, &asked.group) else {
            return self.show(asker, Browsed::default());
        };
        let is_first = self.browses.scans.is_empty();
        self.browses.scans.push_back(Scan {
            asker,
            queue,
            next: 0,
            best: BTreeMap::new(),
            is_cut: false,
            until: now.mono + asked.wait_ms,
            asked,
        });
        if is_first {
            self.scan_step(now);
        }
    }

    /// One bounded step through the messages held here, for those who asked first.
    pub(super) fn scan_step(&mut self, now: Now) {
        let mut budget = limits::STEP_MESSAGES_MAX as u32;
        while let Some(mut scan) = self.browses.scans.pop_front() {
            if scan.until <= now.mono {
                continue;
            }
            let end = self.slab.end().min(scan.next.saturating_add(budget));
            for index in scan.next..end {
                self.look_at(now, index, &mut scan);
            }
            budget -= end.saturating_sub(scan.next);
            scan.next = end.max(scan.next);
            if scan.next < self.slab.end() {
                self.browses.scans.push_front(scan);
                return self.alarms.set_earlier(Alarm::Scan, now.mono + STEP_MS);
            }
            let browsed = self.what_is_shown(now, &scan);
            self.show(scan.asker, browsed);
        }
    }

    fn look_at(&self, now: Now, index: u32, scan: &mut Scan) {
        let Some(slot) = self.slab.get(index) else {
            return;
        };
        // First what is cheap and true of few.
        if slot.queue != scan.queue || self.shows(now, slot, scan).is_none() {
            return;
        }
        let spot = self.spot_of(slot);
        if spot <= scan.asked.after() {
            return;
        }
        scan.best.insert(spot, index);
        if scan.best.len() > scan.asked.max as usize {
            scan.best.pop_last();
            scan.is_cut = true;
        }
    }

    fn spot_of(&self, slot: &Slot) -> Spot {
        Spot {
            stamp: slot.stamp,
            id: self.source_of(slot.id),
        }
    }

    /// What a message is doing, where this member is the one to show it and it is asked for.
    fn shows(&self, now: Now, slot: &Slot, scan: &Scan) -> Option<State> {
        let state = match slot.place {
            Place::Ready => State::Ready,
            Place::Delayed => State::Delayed,
            Place::Leased => State::Leased,
            // Until the other one has said that it has it, nobody else may show it.
            Place::Moving if self.is_given_away(slot) => state_on_its_way(now, slot),
            _ => return None,
        };
        let wants = scan.asked.wants(state, slot.headers.as_ref());
        wants.then_some(state)
    }

    /// It is on its way together with its ownership, and not only a copy of it.
    fn is_given_away(&self, slot: &Slot) -> bool {
        // A copy that its owner is asked about has no lease number.
        slot.lease != 0
            && matches!(slot.lessee, Lessee::There(target) if self.store_of(target) == slot.own.store)
    }

    /// The answer of a scan that is through: messages that are still there, as many as fit.
    fn what_is_shown(&self, now: Now, scan: &Scan) -> Browsed {
        let mut browsed = Browsed::default();
        let mut bytes = 0;
        for (spot, index) in &scan.best {
            // Since it was looked at it may have ended, and another have its place.
            let slot = self
                .slab
                .get(*index)
                .filter(|slot| slot.queue == scan.queue && self.spot_of(slot) == *spot);
            let state = slot.and_then(|slot| self.shows(now, slot, scan));
            if let (Some(slot), Some(state)) = (slot, state) {
                let shown = self.shown(now, (*spot, *index), (slot, state), &scan.asked);
                bytes += shown.weight();
                if bytes > limits::BROWSE_BYTES_MAX && !browsed.messages.is_empty() {
                    break;
                }
                browsed.messages.push(shown);
            }
            browsed.through = Some(*spot);
        }
        let last = scan.best.last_key_value().map(|(spot, _)| *spot);
        if browsed.through == last && !scan.is_cut {
            browsed.through = None;
        }
        browsed
    }

    fn shown(
        &self,
        now: Now,
        (spot, index): (Spot, u32),
        (slot, state): (&Slot, State),
        asked: &Browse,
    ) -> Shown {
        let terms = slot.terms.as_ref();
        let priority = terms.and_then(|terms| terms.priority);
        let key = terms.map(|terms| &terms.key).filter(|_| asked.shows_keys);
        let left = match self.wheel.at(index) {
            Some(due) => due.since(now.mono),
            None => terms.map_or(0, |terms| terms.not_before.saturating_sub(now.wall_ms)),
        };
        let is = |wanted, value| if state == wanted { value } else { 0 };
        Shown {
            spot,
            owner: self.me.member,
            own: slot.own,
            state,
            body: beginning(&slot.body, asked.body_bytes_max as usize),
            body_bytes: slot.body.len() as u64,
            headers: slot.headers.clone(),
            attempts: slot.attempts,
            priority: priority.unwrap_or(limits::PRIORITY) as u8,
            key: key.cloned().unwrap_or_default(),
            copies: self.living_copies(slot),
            ready_at_ms: is(State::Delayed, now.wall_ms.saturating_add(left)),
            expires_ms: terms.map_or(0, |terms| terms.expires),
            lease_ms: is(State::Leased, left),
        }
    }

    fn show(&mut self, asker: Asker, mut browsed: Browsed) {
        match asker {
            Asker::There(member, number) => {
                browsed.number = number;
                self.send(member, Message::Browsed(browsed));
            }
            Asker::Here(ticket) => {
                let me = self.me.member;
                if let Some(gathering) = self.browses.gatherings.get_mut(&ticket) {
                    gathering.is_scanning = false;
                    gathering.merge(me, browsed);
                }
                self.end_if_complete(ticket);
            }
        }
    }

    /// Another member's answer.
    pub(super) fn on_browsed(&mut self, from: MemberId, browsed: Browsed) {
        let ticket = Ticket(browsed.number);
        let gathering = self.browses.gatherings.get_mut(&ticket);
        let Some(gathering) = gathering.filter(|gathering| gathering.unheard.contains(&from))
        else {
            self.counters.browses_dropped += 1;
            return;
        };
        gathering.unheard.remove(&from);
        let keeps_to = browsed.keeps_to(&gathering.asked);
        if keeps_to && !browsed.is_busy {
            gathering.merge(from, browsed);
        } else {
            gathering.missing.insert(from);
            self.counters.browses_dropped += u64::from(!keeps_to);
        }
        self.end_if_complete(ticket);
    }

    fn end_if_complete(&mut self, ticket: Ticket) {
        let gathering = self.browses.gatherings.get(&ticket);
        if gathering.is_some_and(Gathering::is_complete) {
            self.end_page(ticket);
        }
    }

    /// Answers with what there is.
    fn end_page(&mut self, ticket: Ticket) {
        self.alarms.clear(&Alarm::Browse(ticket));
        let Some(gathering) = self.browses.gatherings.remove(&ticket) else {
            return;
        };
        let page = Page {
            group: gathering.asked.group,
            messages: gathering.found.into_values().collect(),
            cursor: gathering.through,
            missing: gathering.missing.into_iter().collect(),
        };
        self.reply(ticket, Ok(Reply::Page(page)));
    }

    pub(super) fn browse_is_due(&mut self, ticket: Ticket) {
        let me = self.me.member;
        let Some(gathering) = self.browses.gatherings.get_mut(&ticket) else {
            return;
        };
        self.counters.browse_timeouts += 1;
        gathering.missing.append(&mut gathering.unheard);
        if core::mem::take(&mut gathering.is_scanning) {
            gathering.missing.insert(me);
        }
        self.browses
            .scans
            .retain(|scan| scan.asker != Asker::Here(ticket));
        self.end_page(ticket);
    }

    /// Nobody waits for that page any more; false when nobody did.
    pub(super) fn end_browse(&mut self, ticket: Ticket) -> bool {
        self.alarms.clear(&Alarm::Browse(ticket));
        self.browses
            .scans
            .retain(|scan| scan.asker != Asker::Here(ticket));
        self.browses.gatherings.remove(&ticket).is_some()
    }

    /// A member's link went: it hears no answer, and gives none.
    pub(super) fn drop_browses_with(&mut self, member: MemberId) {
        let is_its = |scan: &Scan| matches!(scan.asker, Asker::There(asker, _) if asker == member);
        self.browses.scans.retain(|scan| !is_its(scan));
        let mut complete = Vec::new();
        for (ticket, gathering) in &mut self.browses.gatherings {
            if gathering.unheard.remove(&member) {
                gathering.missing.insert(member);
                complete.extend(gathering.is_complete().then_some(*ticket));
            }
        }
        complete
            .into_iter()
            .for_each(|ticket| self.end_page(ticket));
    }

    /// This member begins anew and has no links.
    pub(super) fn drop_looks(&mut self) {
        let members: Vec<MemberId> = self.peers.keys().copied().collect();
        for member in members {
            self.drop_browses_with(member);
            self.drop_explains_with(member);
            self.drop_doctors_with(member);
        }
    }
}

/// What a message is that has no owner's place any more.
fn state_on_its_way(now: Now, slot: &Slot) -> State {
    let terms = slot.terms.as_ref();
    match terms.is_some_and(|terms| terms.not_before > now.wall_ms) {
        true => State::Delayed,
        false => State::Ready,
    }
}

/// A body's first bytes. What is cut is copied, so that a glance does not keep a large body alive.
fn beginning(body: &Bytes, bytes_max: usize) -> Bytes {
    match body.get(..bytes_max) {
        Some(beginning) => Bytes::copy_from_slice(beginning),
        None => body.clone(),
    }
}
