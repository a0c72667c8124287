//! Time passes on the links: heartbeats, silence, and the deadlines of joins.

use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::EventKind;
use super::effect::Effect;
use super::frame::Message;
use crate::base::{Error, ErrorKind, Instant, LinkId, MemberId, Now, Ticket, limits};
use crate::membership::Pulse;

/// When a link that nothing came over is given up.
fn dead_at(pulse: &Pulse) -> Instant {
    pulse.silent_at() + (limits::LINK_DEAD_MS - limits::UNREACHABLE_MS)
}

impl Engine {
    /// Heartbeats, silence, dials and the deadlines of joins.
    pub(super) fn wake_links(&mut self, now: Now) {
        let due = self
            .links
            .iter()
            .filter(|(_, link)| link.pulse.next() <= now.mono);
        let due: Vec<LinkId> = due.map(|(id, _)| *id).collect();
        for link in due {
            self.beat(now, link, false);
        }
        let quiet = self
            .links
            .values()
            .filter(|link| !link.pulse.is_alive(now.mono));
        let mut quiet: Vec<MemberId> = quiet.map(|link| link.member).collect();
        let missing = self
            .silent
            .iter()
            .filter(|(_, (since, _))| now.mono.since(*since) >= limits::UNREACHABLE_MS);
        quiet.extend(missing.map(|(member, _)| *member));
        for member in quiet {
            self.mark_reachable(now, member, false);
        }
        self.hang_up_dead_links(now);
        let late = self
            .joins
            .iter()
            .filter(|(_, (_, deadline))| *deadline <= now.mono);
        let late: Vec<Ticket> = late.map(|(ticket, _)| *ticket).collect();
        for ticket in late {
            if let Some((address, _)) = self.joins.remove(&ticket) {
                let error = Error::new(ErrorKind::Interrupted).because("no answer in time");
                let error = error.with("address", address);
                self.out.push(Effect::Reply(ticket, Err(error)));
            }
        }
        self.answer_joined(now);
        if let Some(stock) = self.board.flush(now.mono) {
            self.tell_stock(stock);
        }
    }

    /// When [`Engine::wake_links`] is due.
    pub(super) fn next_link_wake(&self) -> Instant {
        let beats = self.links.values().map(|link| link.pulse.next());
        // A peer that the set does not hold (yet) is nobody's loss: silence of it is no news.
        let is_expected =
            |member| self.view.members().contains_key(member) && !self.unreachable.contains(member);
        let silences = self.links.values().filter(|link| is_expected(&link.member));
        let silences = silences.map(|link| link.pulse.silent_at());
        let deaths = self.links.values().map(|link| dead_at(&link.pulse));
        let missing = self
            .silent
            .iter()
            .filter(|(member, _)| !self.unreachable.contains(*member));
        let missing = missing.map(|(_, (since, _))| *since + limits::UNREACHABLE_MS);
        let joins = self.joins.values().map(|(_, deadline)| *deadline);
        let joined = self.joined.iter().map(|(_, deadline)| *deadline);
        let times = deaths
            .chain(beats)
            .chain(silences)
            .chain(missing)
            .chain(joins)
            .chain(joined);
        let others = self.dialler.next().min(self.board.next());
        times.min().unwrap_or(Instant::NEVER).min(others)
    }

    pub(super) fn beat(&mut self, now: Now, id: LinkId, is_answer: bool) {
        let (digest, stock) = (self.view.digest(), self.board.version());
        if let Some(link) = self.links.get_mut(&id) {
            let mut heartbeat = link.pulse.beat(now.mono, is_answer);
            heartbeat.digest = digest;
            heartbeat.stock = stock;
            self.send(id, Message::Heartbeat(heartbeat));
        }
    }

    pub(super) fn is_reachable(&self, member: MemberId) -> bool {
        // One that was never linked is not believed to be there; one whose link broke is, for a while.
        let was_linked = self
            .silent
            .get(&member)
            .is_some_and(|(_, was_linked)| *was_linked);
        !self.unreachable.contains(&member) && (self.by_member.contains_key(&member) || was_linked)
    }

    pub(super) fn mark_reachable(&mut self, now: Now, member: MemberId, is_reachable: bool) {
        let is_news = if is_reachable {
            self.unreachable.remove(&member)
        } else {
            self.view.members().contains_key(&member) && self.unreachable.insert(member)
        };
        if is_news {
            self.queues.peer_reachable(now, member, is_reachable);
            let kind = if is_reachable {
                EventKind::Reachable
            } else {
                EventKind::Unreachable
            };
            self.event(now, kind, member, String::new());
            self.choose_dials(now);
        }
    }

    /// A link can be silent for ever: its host went without a word. Dialling begins anew.
    fn hang_up_dead_links(&mut self, now: Now) {
        let dead = self
            .links
            .iter()
            .filter(|(_, link)| dead_at(&link.pulse) <= now.mono);
        let dead: Vec<LinkId> = dead.map(|(id, _)| *id).collect();
        for link in dead {
            let error = Error::new(ErrorKind::Unreachable).because("the link was silent");
            self.out.push(Effect::Hangup(link, error));
            self.unlinked(now, link);
        }
    }
}
