//! Handshakes that are held: not taken up, but not hung up either, before the peer has said what it
//! knows: of a member that left, of its own end, of this member's.
//!
//! A refusal that both sides pronounce at one time would tell neither why. So whoever refuses a
//! fenced member shows it the fence, and listens for the one that it may be shown itself.

use super::Engine;
use super::effect::Effect;
use super::frame::Message;
use super::links::Link;
use crate::base::{Error, ErrorKind, Instant, LinkId, MemberId, Millis, Now};
use crate::membership::{Hello, Meta};

/// A peer that says nothing is hung up after so long.
const HELD_MS: Millis = 2_000;

/// A handshake that waits, and until when.
#[derive(Debug)]
pub(super) struct Held {
    /// What is taken up if the peer knows enough; nothing for a fenced one.
    welcome: Option<(Link, Hello)>,
    deadline: Instant,
}

impl Engine {
    /// Shows a member that was evicted, or left, its fence. It may have evicted this one meanwhile.
    pub(super) fn tell_fenced(&mut self, now: Now, link: LinkId, member: MemberId) {
        self.counters.refused_evicted += 1;
        let delta = self.view.fence_delta(self.table.map(), member).to_bytes();
        self.send(link, Message::Meta(Meta { delta, asks: false }));
        self.hold(now, link, None);
    }

    /// True for a member of the cluster that this one left, which has not come since. While this one is
    /// alone whoever dials may be of it: it may have come there when this one had lost touch.
    pub(super) fn is_former(&self, member: &MemberId) -> bool {
        let departure = self.departure.as_ref();
        let is_alone = self.view.members().len() <= 1;
        departure.is_some_and(|left| is_alone || left.former.contains(member))
    }

    /// A member of the cluster that this one left dials it: has it heard? One that has not hangs up
    /// when it hears it now, and no link comes of it: its state would bring this member back
    /// (partisan#191). One that has comes to join, like anyone.
    pub(super) fn question_former(&mut self, now: Now, link: LinkId, fresh: Link, hello: &Hello) {
        if let Some(left) = &self.departure {
            let delta = left.delta.clone();
            self.send(link, Message::Meta(Meta { delta, asks: true }));
            self.hold(now, link, Some((fresh, hello.clone())));
        }
    }

    /// True when a member that was dialled left the cluster, and the word of it has not come yet: taken
    /// up, its new life would be brought into the set by the dial that was meant for the old one.
    pub(super) fn has_parted(&self, hello: &Hello) -> bool {
        let known = self.view.members().get(&hello.member());
        hello.is_apart && known.is_some_and(|known| known.store() != hello.store())
    }

    /// It says so itself now.
    pub(super) fn hear_of_parting(&mut self, now: Now, link: LinkId, address: &str) {
        let waiting = self.dialler.refused(now.mono, address, &mut self.chance);
        let error = Error::new(ErrorKind::Interrupted).because("that member left meanwhile");
        self.fail_joins(&waiting, &error);
        self.hold(now, link, None);
    }

    fn hold(&mut self, now: Now, link: LinkId, welcome: Option<(Link, Hello)>) {
        let deadline = now.mono + HELD_MS;
        self.held_links.insert(link, Held { welcome, deadline });
    }

    /// The other side of a held handshake says what it knows.
    pub(super) fn hear_held(&mut self, now: Now, link: LinkId, meta: &Meta) {
        let Some(held) = self.held_links.remove(&link) else {
            return;
        };
        if let Some((fresh, hello)) = held.welcome {
            // It had heard that this member left.
            if let Some(left) = &mut self.departure {
                left.former.remove(&fresh.member);
            }
            // It may have left itself, or been evicted, while it was questioned.
            if let Err(error) = self.judge(now, link, &hello) {
                return self.refuse_link(now, link, &hello, None, error, &fresh.joins);
            }
            return self.welcome(now, link, fresh, &hello);
        }
        let error = Error::new(ErrorKind::Closed).because("one of the two is out of the set");
        self.out.push(Effect::Hangup(link, error));
        self.meta(now, link, meta);
    }

    /// The one at the other end had held this link, and takes it up now: it has passed over what was said
    /// on it so far.
    pub(super) fn say_again(&mut self, now: Now, link: LinkId) {
        let Some(held) = self.links.get(&link) else {
            return;
        };
        let (member, boot, store) = (held.member, held.boot, held.store);
        self.exchanges.forget(member);
        self.exchanges.start(now.mono, member, &self.table);
        self.tell_exchanges();
        self.send_row(link);
        self.queues.peer_relinking(now, member);
        self.queues.peer_linked(now, member, boot, store, &[]);
    }

    /// Hangs up the held links whose time is up.
    pub(super) fn hang_up_held(&mut self, now: Instant, reason: &'static str) {
        let out = &mut self.out;
        self.held_links.retain(|link, held| {
            let is_over = held.deadline <= now;
            if is_over {
                let error = Error::new(ErrorKind::Closed).because(reason);
                out.push(Effect::Hangup(*link, error));
            }
            !is_over
        });
    }

    /// When [`Engine::hang_up_held`] is due.
    pub(super) fn next_held(&self) -> Instant {
        let deadlines = self.held_links.values().map(|held| held.deadline);
        deadlines.min().unwrap_or(Instant::NEVER)
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
