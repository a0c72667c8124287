//! What the rooms want done becomes effects.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::{Event, EventKind};
use super::effect::Effect;
use super::frame::Message;
use crate::base::{LinkId, MemberId, Now};
use crate::metadata::Stock;
use crate::queue::Out;

impl Engine {
    /// Turns everything the rooms said into effects.
    pub(super) fn tell(&mut self, now: Now) {
        self.queues.serve_freed(now);
        while self.queues.has_out() {
            let mut wishes = core::mem::take(&mut self.wishes);
            self.queues.swap_out(&mut wishes);
            for wish in wishes.drain(..) {
                self.tell_one(now, wish);
            }
            self.wishes = wishes;
        }
        self.board.set_level(self.queues.memory_level());
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
            Out::Length(queue, messages, bytes) => {
                self.board.set_length(&queue, (messages, bytes));
            }
            Out::TookOver(owner, count) => {
                let detail = format!("{count} messages");
                self.event(now, EventKind::Takeover, owner, detail);
            }
            Out::Birth(birth) => self.judge_birth(now, birth),
            Out::Left(ticket) => self.part(now, ticket),
            // What it heard of itself meanwhile counts from here on: it may have been evicted, and
            // what it holds is set aside before any of it is given out.
            Out::Stayed => {
                self.mind_own_entry(now);
                self.queues.resume(now);
            }
        }
    }

    pub(super) fn tell_stock(&mut self, stock: Stock) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for part in stock.into_parts() {
            for link in &links {
                self.send(*link, Message::Stock(part.clone()));
            }
        }
    }

    /// All that this member has ready, to a link that is new or missed something.
    pub(super) fn send_row(&mut self, link: LinkId) {
        for part in self.board.whole().into_parts() {
            self.send(link, Message::Stock(part));
        }
    }

    pub(super) fn event(&mut self, now: Now, kind: EventKind, member: MemberId, detail: String) {
        let name = self.cards.name(member);
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
