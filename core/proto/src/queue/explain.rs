//! Explaining: what every member knows of one message, wherever it is and whatever became of it.
//!
//! The asking member asks every member that it is linked to, and itself. A message in a group is a message
//! of its own, and so is its dead letter: their ids follow from the message's, so each member looks for all
//! of them among what it holds and what it remembers. Looking changes nothing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::account::{Account, Explain, Explained, Known};
use super::delivery::Reply;
use super::groups::split;
use super::message::Message;
use super::slot::{Lessee, Place, Slot};
use super::{Alarm, Queues};
use crate::base::{
    BootId, Error, ErrorKind, MemberId, MessageId, Millis, Now, QueueKey, Result, Ticket, limits,
};
use crate::copies::{Fan, dead_letter_of};

/// How long the other members have.
const EXPLAIN_MS: Millis = 2_000;
/// Groups whose ids are looked for: those of a queue, and of many queues beside it.
const BIRTHS_MAX: usize = 4_096;

/// Accounts that are gathered for a host of this member.
#[derive(Debug)]
pub(super) struct Inquiry {
    id: MessageId,
    unheard: BTreeSet<MemberId>,
    accounts: Vec<Account>,
}

/// Explanations under way.
pub(super) type Inquiries = BTreeMap<Ticket, Inquiry>;

impl Queues {
    /// What every member knows of a message. Answers [`Reply::Accounts`], one or more a member, and 203.
    pub fn explain(&mut self, now: Now, ticket: Ticket, id: MessageId) {
        if let Err(error) = self.check_explain() {
            return self.reply(ticket, Err(error));
        }
        self.counters.explains += 1;
        let mut inquiry = Inquiry {
            id,
            unheard: BTreeSet::new(),
            accounts: self.known_of(now, id),
        };
        inquiry.name_the_silent(self.me.member);
        let mut asked = Vec::new();
        for (member, peer) in &self.peers {
            if peer.is_linked {
                inquiry.unheard.insert(*member);
                asked.push(*member);
            } else {
                inquiry.accounts.push(missing(*member, id));
            }
        }
        for member in asked {
            let explain = Explain {
                number: ticket.0,
                origin: id.origin.0,
                sequence: id.sequence,
            };
            self.send(member, Message::Explain(explain));
        }
        let at = now.mono + EXPLAIN_MS;
        self.alarms.set(Alarm::Explain(ticket), at);
        self.inquiries.insert(ticket, inquiry);
        self.end_inquiry_if_complete(ticket);
    }

    fn check_explain(&self) -> Result<()> {
        if self.inquiries.len() < limits::BROWSES_MAX {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Overloaded)
            .because("this member explains too many already")
            .with("explains_max", limits::BROWSES_MAX))
    }

    /// Another member asks what is known here.
    pub(super) fn on_explain(&mut self, now: Now, from: MemberId, explain: Explain) {
        let id = MessageId {
            origin: BootId(explain.origin),
            sequence: explain.sequence,
        };
        let explained = Explained {
            number: explain.number,
            accounts: self.known_of(now, id),
        };
        self.send(from, Message::Explained(explained));
    }

    /// Another member's answer.
    pub(super) fn on_explained(&mut self, from: MemberId, explained: Explained) {
        let ticket = Ticket(explained.number);
        let inquiry = self.inquiries.get_mut(&ticket);
        let Some(inquiry) = inquiry.filter(|inquiry| inquiry.unheard.contains(&from)) else {
            self.counters.browses_dropped += 1;
            return;
        };
        inquiry.unheard.remove(&from);
        for mut account in explained.accounts {
            account.member = from;
            inquiry.accounts.push(account);
        }
        inquiry.name_the_silent(from);
        self.end_inquiry_if_complete(ticket);
    }

    fn end_inquiry_if_complete(&mut self, ticket: Ticket) {
        let inquiry = self.inquiries.get(&ticket);
        if inquiry.is_some_and(|inquiry| inquiry.unheard.is_empty()) {
            self.explain_is_due(ticket);
        }
    }

    /// Answers with what there is.
    pub(super) fn explain_is_due(&mut self, ticket: Ticket) {
        self.alarms.clear(&Alarm::Explain(ticket));
        let Some(mut inquiry) = self.inquiries.remove(&ticket) else {
            return;
        };
        for member in core::mem::take(&mut inquiry.unheard) {
            inquiry.accounts.push(missing(member, inquiry.id));
        }
        let mut accounts = inquiry.accounts;
        accounts.sort_by_key(|account| (account.member, account.id));
        self.reply(ticket, Ok(Reply::Accounts(accounts)));
    }

    /// Nobody waits for that any more; false when nobody did.
    pub(super) fn end_explain(&mut self, ticket: Ticket) -> bool {
        self.alarms.clear(&Alarm::Explain(ticket));
        self.inquiries.remove(&ticket).is_some()
    }

    /// A member's link went: it gives no answer.
    pub(super) fn drop_explains_with(&mut self, member: MemberId) {
        let mut complete = Vec::new();
        for (ticket, inquiry) in &mut self.inquiries {
            if inquiry.unheard.remove(&member) {
                inquiry.accounts.push(missing(member, inquiry.id));
                complete.push(*ticket);
            }
        }
        for ticket in complete {
            self.end_inquiry_if_complete(ticket);
        }
    }

    /// What is known here of a message, of it in each group, and of their dead letters.
    fn known_of(&self, now: Now, id: MessageId) -> Vec<Account> {
        let mut ids: BTreeMap<MessageId, Option<QueueKey>> = BTreeMap::new();
        let mut add = |id: MessageId, queue| {
            ids.entry(id).or_insert(queue);
            ids.entry(dead_letter_of(id)).or_insert(None);
        };
        add(id, None);
        for fan in self.index.fans_of(id.origin) {
            let origin = fan.origin();
            add(MessageId { origin, ..id }, None);
        }
        for (queue, fan) in self.fans_known(id) {
            let origin = fan.origin();
            add(MessageId { origin, ..id }, Some(queue));
        }
        let accounts = ids
            .into_iter()
            .filter_map(|(id, queue)| self.account(now, id, queue));
        accounts.take(limits::ACCOUNTS_MAX).collect()
    }

    /// The groups that are known here, as a message of that origin would be in them.
    fn fans_known(&self, id: MessageId) -> impl Iterator<Item = (QueueKey, Fan)> {
        let shelves = self.shelves.iter().enumerate();
        let groups = shelves.filter_map(|(queue, shelf)| Some((queue, shelf.of.as_ref()?)));
        let fans = groups.flat_map(move |(queue, of)| {
            let births = of.births.iter().map(move |birth| Fan {
                source: id.origin,
                birth: *birth,
            });
            births.map(move |fan| (QueueKey(queue as u32), fan))
        });
        fans.take(BIRTHS_MAX)
    }

    /// What is known here under one id; none when nothing is.
    fn account(&self, now: Now, id: MessageId, queue: Option<QueueKey>) -> Option<Account> {
        if let Some(index) = self.index.get(id) {
            return Some(self.account_of(now, index, self.slab.get(index)?));
        }
        let name = queue.map(|queue| self.name(queue));
        let (queue, group) = split(name.as_deref().unwrap_or_default());
        let mut account = Account {
            member: self.me.member,
            id,
            queue: String::from(queue),
            group: String::from(group),
            ..Account::default()
        };
        if let Some(tomb) = self.tombs.get(id) {
            account.known = tomb.ending.into();
            account.holders = tomb.holders.clone();
            account.confirmed = tomb.confirmed.count_ones();
        } else if self.prints.holds(id) {
            account.known = Known::Forgotten;
        } else {
            return None;
        }
        Some(account)
    }

    fn account_of(&self, now: Now, index: u32, slot: &Slot) -> Account {
        let known = match slot.place {
            Place::Free => Known::Unknown,
            Place::Replicating => Known::Replicating,
            Place::Ready => Known::Ready,
            Place::Delayed => Known::Delayed,
            Place::Leased => Known::Leased,
            Place::Standby => Known::Standby,
            Place::Moving => Known::Moving,
            Place::Dying => Known::Dying,
        };
        let lessee = match slot.lessee {
            Lessee::Nobody => None,
            Lessee::Here(_) => Some(self.me.member),
            Lessee::There(member) => Some(member),
        };
        let name = self.name(slot.queue);
        let (queue, group) = split(&name);
        let left = self.wheel.at(index).map_or(0, |due| due.since(now.mono));
        let is = |wanted, value| if known == wanted { value } else { 0 };
        let terms = slot.terms.as_ref();
        Account {
            member: self.me.member,
            known,
            id: slot.id,
            queue: String::from(queue),
            group: String::from(group),
            attempts: slot.attempts,
            own: slot.own,
            holders: slot.holders.clone(),
            confirmed: slot.confirmed.count_ones(),
            lessee: lessee.filter(|_| known == Known::Leased),
            lease_ms: is(Known::Leased, left),
            stamp: slot.stamp,
            ready_at_ms: is(Known::Delayed, now.wall_ms.saturating_add(left)),
            expires_ms: terms.map_or(0, |terms| terms.expires),
        }
    }
}

impl Inquiry {
    /// A member that knows nothing says that, too.
    fn name_the_silent(&mut self, member: MemberId) {
        if !self.accounts.iter().any(|account| account.member == member) {
            self.accounts.push(Account {
                member,
                id: self.id,
                ..Account::default()
            });
        }
    }
}

fn missing(member: MemberId, id: MessageId) -> Account {
    Account {
        member,
        id,
        known: Known::Missing,
        ..Account::default()
    }
}
