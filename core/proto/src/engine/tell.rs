//! What the rooms want done becomes effects.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::command::{Event, EventKind, Reply};
use super::effect::Effect;
use super::frame::Message;
use super::links::Departure;
use super::{Engine, own_info};
use crate::base::{BootId, Error, ErrorKind, LinkId, MemberId, Now, StoreId, Ticket};
use crate::metadata::Stock;
use crate::queue::Out;

impl Engine {
    /// Turns everything the rooms said into effects.
    pub(super) fn tell(&mut self, now: Now) {
        while self.queues.has_out() {
            let mut wishes = core::mem::take(&mut self.wishes);
            self.queues.swap_out(&mut wishes);
            for wish in wishes.drain(..) {
                self.tell_one(now, wish);
            }
            self.wishes = wishes;
        }
    }

    /// Stock edges that are due, and dials.
    pub(super) fn tell_links(&mut self, now: Now) {
        if self.links.is_empty() {
            // Nobody to tell: a new link hears the whole row.
            self.board.flush(now.mono);
        } else if self.board.next() <= now.mono
            && let Some(stock) = self.board.flush(now.mono)
        {
            self.tell_stock(stock);
        }
        for address in self.dialler.due(now.mono) {
            self.out.push(Effect::Dial(address));
        }
    }

    fn tell_one(&mut self, now: Now, wish: Out) {
        match wish {
            Out::Reply(ticket, answer) => self.out.push(Effect::Reply(ticket, answer)),
            Out::Deliver(session, leased) => self.out.push(Effect::Deliver(session, leased)),
            Out::Send(to, message) => {
                if let Some(link) = self.by_member.get(&to) {
                    self.send(*link, Message::Queue(message));
                }
            }
            Out::Hint(to, queue) => {
                let hint = Stock {
                    is_hint: true,
                    stocked: Vec::from([String::from(queue.as_ref())]),
                    ..Stock::default()
                };
                if let Some(link) = self.by_member.get(&to) {
                    self.send(*link, Message::Stock(hint));
                }
            }
            Out::Stock(queue, is_stocked) => self.board.set(&queue, is_stocked),
            Out::TookOver(owner, count) => {
                let detail = format!("{count} messages");
                self.event(now, EventKind::Takeover, owner, detail);
            }
            Out::Left(ticket) => self.left(now, ticket),
        }
    }

    pub(super) fn tell_stock(&mut self, stock: Stock) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.send(link, Message::Stock(stock.clone()));
        }
    }

    /// Every copy is handed over: out of the set, off the links, and anew as a lone member.
    fn left(&mut self, now: Now, ticket: Ticket) {
        let former: BTreeSet<MemberId> = self.view.members().keys().copied().collect();
        let delta = self.view.depart();
        self.tell_meta(&delta, None);
        self.departure = Some(Departure {
            delta: delta.to_bytes(),
            store: self.config.store,
            former,
        });
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            // Before old gossip could bring this member back: close, then forget.
            let error = Error::new(ErrorKind::Closed).because("the member left");
            self.out.push(Effect::Hangup(link, error));
        }
        self.links.clear();
        self.held_links.clear();
        self.by_member.clear();
        self.silent.clear();
        self.unreachable.clear();
        for waiting in self.dialler.clear() {
            if self.joins.remove(&waiting).is_some() {
                let error =
                    Error::new(ErrorKind::Unreachable).because("this member left its cluster");
                self.out.push(Effect::Reply(waiting, Err(error)));
            }
        }
        self.config.seeds.clear();
        self.config.store = StoreId(self.chance.bits() | 1);
        self.config.incarnation += 1;
        self.queues.reset(now, self.config.store);
        let actor = BootId(self.chance.bits() | 1);
        self.view.reset(own_info(&self.config), actor);
        self.board = crate::metadata::Board::default();
        self.event(now, EventKind::Left, self.me, String::new());
        self.out.push(Effect::Reply(ticket, Ok(Reply::Done)));
    }

    pub(super) fn event(&mut self, now: Now, kind: EventKind, member: MemberId, detail: String) {
        let info = self.view.members().get(&member);
        let name = info.map(|info| info.name.clone()).unwrap_or_default();
        self.event_of(now, kind, member, name, detail);
    }

    /// An event about a member that is not in the set any more.
    pub(super) fn event_of(
        &mut self,
        now: Now,
        kind: EventKind,
        member: MemberId,
        name: String,
        detail: String,
    ) {
        self.out.push(Effect::Event(Event {
            at_ms: now.wall_ms,
            kind,
            member,
            name,
            detail,
        }));
    }
}
