//! What everyone is to hear: metadata, rows of members, topics; and the exchange that repairs.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::{BufMut, Bytes, BytesMut};

use super::Engine;
use super::command::{Broadcast, Entry, Reply};
use super::effect::Effect;
use super::frame::Message;
use crate::base::{
    Error, ErrorKind, Instant, LinkId, MemberId, Millis, Now, Result, Ticket, id, limits,
};
use crate::broadcast::{Delivery, Out, handler};
use crate::crdt::Delta;
use crate::membership::{Card, CardList, Meta, Standing};
use crate::metadata::{EXCHANGE_EVERY_MS, Exchange};

impl Engine {
    /// Changes of the metadata that are due go to everyone.
    pub(super) fn tell_news(&mut self, now: Now) {
        for delta in self.news.flush(now.mono) {
            let body = Bytes::from(delta.to_bytes());
            if self
                .plumtree
                .broadcast(now.mono, handler::METADATA, body)
                .is_err()
            {
                // The exchange brings it.
                self.counters.meta_unsent += 1;
            }
        }
        self.tell_broadcasts(now);
    }

    /// This member's row goes to everyone.
    pub(super) fn tell_card(&mut self, now: Now, card: Card) {
        let list = CardList {
            cards: Vec::from([card]),
        };
        let body = Bytes::from(list.to_bytes());
        // Else it is told at the next link-up.
        let _ = self.plumtree.broadcast(now.mono, handler::CARDS, body);
        self.tell_broadcasts(now);
    }

    /// What the broadcast room wants done.
    pub(super) fn tell_broadcasts(&mut self, now: Now) {
        if !self.plumtree.has_out() {
            return;
        }
        let mut wishes = core::mem::take(&mut self.news_out);
        self.plumtree.swap_out(&mut wishes);
        for wish in wishes.drain(..) {
            match wish {
                Out::Send(to, message) => {
                    self.send_to(to, Message::Broadcast(alloc::boxed::Box::new(message)));
                }
                Out::Deliver(delivery) => {
                    self.hear_of(now, delivery.origin);
                    self.hear_broadcast(now, delivery);
                }
            }
        }
        self.news_out = wishes;
        // What was heard may have made more to tell.
        self.tell_broadcasts(now);
    }

    /// Somebody's broadcast came, whichever way: it is there.
    fn hear_of(&mut self, now: Now, origin: MemberId) {
        if self.watch.standing(origin) == Standing::Unreachable {
            let address = self.cards.address(origin);
            self.dialler
                .hasten(now.mono, Some(address), &mut self.chance);
            self.look_again(now);
        }
    }

    fn hear_broadcast(&mut self, now: Now, delivery: Delivery) {
        match delivery.handler {
            handler::METADATA => self.hear_news(now, &delivery.body),
            handler::CARDS => {
                if let Ok(list) = CardList::from_bytes(&delivery.body) {
                    self.hear_cards(now, &list);
                }
            }
            handler::TOPIC => self.hear_topic(delivery.origin, delivery.body),
            _ => self.hear_spread(delivery),
        }
    }

    fn hear_news(&mut self, now: Now, body: &[u8]) {
        let Ok(delta) = Delta::from_bytes(body) else {
            self.counters.meta_malformed += 1;
            return;
        };
        let keys = self.table.hear(now, &delta);
        self.keys_changed(now, &keys);
    }

    /// A change that one member tells directly.
    pub(super) fn meta(&mut self, now: Now, link: LinkId, meta: &Meta) {
        let Ok(delta) = Delta::from_bytes(&meta.delta) else {
            let error = Error::new(ErrorKind::Corrupt).because("malformed metadata");
            self.out.push(Effect::Hangup(link, error));
            return;
        };
        let keys = self.table.hear(now, &delta);
        if keys.is_empty() {
            if meta.asks {
                let known = Meta::default();
                self.send(link, Message::Meta(known));
                self.say_again(now, link);
            }
            return;
        }
        // Its writer may have no link to others any more.
        self.news.add(now.mono, delta);
        self.keys_changed(now, &keys);
        self.tell_news(now);
    }

    /// A step of the exchange.
    pub(super) fn exchange(&mut self, now: Now, link: LinkId, from: MemberId, message: Exchange) {
        match self.exchanges.hear(now, from, message, &mut self.table) {
            Ok(keys) => {
                self.tell_exchanges();
                if !keys.is_empty() {
                    self.keys_changed(now, &keys);
                }
                self.finish_exchanges(now);
            }
            Err(error) => self.out.push(Effect::Hangup(link, error)),
        }
    }

    pub(super) fn tell_exchanges(&mut self) {
        for (to, message) in self.exchanges.out() {
            self.send_to(to, Message::Exchange(alloc::boxed::Box::new(message)));
        }
    }

    /// What another member knew is known here: those who waited to have joined it, have.
    fn finish_exchanges(&mut self, now: Now) {
        for member in self.exchanges.finished() {
            let link = self.by_member.get(&member).copied();
            let joins = match link.and_then(|link| self.links.get_mut(&link)) {
                Some(link) => {
                    link.is_synced = true;
                    core::mem::take(&mut link.joins)
                }
                None => Vec::new(),
            };
            self.answer_joins(joins);
            self.answer_joined(now);
            // Both may have known the same, and neither this life of this member.
            self.mind_own_entry(now);
        }
    }

    pub(super) fn wake_gossip(&mut self, now: Now) {
        self.finish_parting(now);
        self.tell_news(now);
        self.plumtree.wake(now.mono);
        self.tell_broadcasts(now);
        self.exchanges.wake(now.mono, &self.table);
        if self.exchange_at <= now.mono {
            self.exchange_at = now.mono + self.exchange_pause();
            let members: Vec<MemberId> = self.by_member.keys().copied().collect();
            let chosen = self.chance.below(members.len().max(1) as u64) as usize;
            if let Some(member) = members.get(chosen) {
                self.exchanges.start(now.mono, *member, &self.table);
                self.ask_host(*member);
            }
        }
        self.tell_exchanges();
    }

    /// Ten seconds, a fifth more or less, so that members do not move in step.
    fn exchange_pause(&mut self) -> Millis {
        let fifth = EXCHANGE_EVERY_MS / 5;
        EXCHANGE_EVERY_MS - fifth + self.chance.below(2 * fifth + 1)
    }

    pub(super) fn next_gossip(&self) -> Instant {
        let parting = self.parting.as_ref();
        let parting = parting.map_or(Instant::NEVER, |parting| parting.deadline);
        let exchange = if self.links.is_empty() {
            Instant::NEVER
        } else {
            self.exchange_at
        };
        self.plumtree
            .next_wake()
            .min(self.news.next_wake())
            .min(self.exchanges.next_wake())
            .min(exchange)
            .min(parting)
    }

    /// Tells everyone who listens to `topic`, here and elsewhere.
    pub(super) fn broadcast(&mut self, now: Now, ticket: Ticket, topic: &str, body: Bytes) {
        let answer = self.broadcast_one(now, topic, body);
        let answer = answer.map(|()| Reply::Done);
        self.out.push(Effect::Reply(ticket, answer));
    }

    fn broadcast_one(&mut self, now: Now, topic: &str, body: Bytes) -> Result<()> {
        id::check_name("topic", topic, limits::NAME_BYTES_MAX)?;
        if body.len() > limits::BROADCAST_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge)
                .because("a broadcast is for small news")
                .with("bytes", body.len())
                .with("bytes_max", limits::BROADCAST_BYTES_MAX));
        }
        let mut packed = BytesMut::with_capacity(1 + topic.len() + body.len());
        packed.put_u8(topic.len() as u8);
        packed.put_slice(topic.as_bytes());
        packed.put_slice(&body);
        self.plumtree
            .broadcast(now.mono, handler::TOPIC, packed.freeze())?;
        self.tell_broadcasts(now);
        self.out.push(Effect::Topic(Broadcast {
            topic: topic.into(),
            from: self.me,
            body,
        }));
        Ok(())
    }

    fn hear_topic(&mut self, from: MemberId, mut body: Bytes) {
        let length = body.first().map_or(0, |length| usize::from(*length));
        if length == 0 || body.len() < 1 + length {
            self.counters.meta_malformed += 1;
            return;
        }
        let rest = body.split_off(1 + length);
        let Ok(topic) = core::str::from_utf8(body.get(1..).unwrap_or_default()) else {
            self.counters.meta_malformed += 1;
            return;
        };
        self.out.push(Effect::Topic(Broadcast {
            topic: String::from(topic),
            from,
            body: rest,
        }));
    }

    /// Writes a key for the whole cluster.
    pub(super) fn put(&mut self, now: Now, ticket: Ticket, key: &str, value: Bytes) {
        let written = self.table.put(now, key, value);
        let answer = written.map(|delta| {
            self.publish(now, delta);
            Reply::Done
        });
        self.out.push(Effect::Reply(ticket, answer));
    }

    /// Removes a key for the whole cluster.
    pub(super) fn delete(&mut self, now: Now, ticket: Ticket, key: &str) {
        let removed = self.table.delete(now, key);
        let answer = removed.map(|delta| {
            if let Some(delta) = delta {
                self.publish(now, delta);
            }
            Reply::Done
        });
        self.out.push(Effect::Reply(ticket, answer));
    }

    /// What is under `key` as this member knows it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.table.get(key)
    }

    /// What is under keys that begin with `prefix`, ascending: at most `max`, from behind `after`.
    #[must_use]
    pub fn list(&self, prefix: &str, max: usize, after: Option<&str>) -> Vec<Entry> {
        self.table.list(prefix, max, after)
    }
}
