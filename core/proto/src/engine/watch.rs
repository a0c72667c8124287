//! Time passes on the links: heartbeats, silence, and what is made of it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::EventKind;
use super::effect::Effect;
use super::frame::Message;
use crate::base::{Error, ErrorKind, Instant, LinkId, MemberId, Millis, Now, limits};
use crate::membership::{Ask, Probe, Pulse, Standing, Verdict};

/// A heartbeat may go out so much before its time, beside another one.
const BEATS_TOGETHER_MS: Millis = 50;

/// When a link that nothing came over is given up.
fn dead_at(pulse: &Pulse) -> Instant {
    pulse.alive() + limits::LINK_DEAD_MS
}

impl Engine {
    /// Heartbeats, silence, dials and the deadlines of joins.
    pub(super) fn wake_links(&mut self, now: Now) {
        self.note_lateness(now);
        self.beat_due(now);
        for verdict in self.watch.wake(now.mono) {
            self.carry_out(now, Some(verdict));
        }
        self.hang_up_dead_links(now);
        self.hang_up_held(now.mono, "the other side said nothing");
        self.retire_members(now);
        let linked = &self.by_member;
        self.cards
            .tidy(now.mono, |member| linked.contains_key(&member));
        self.expire_joins(now);
        self.wake_gossip(now);
        if let Some(stock) = self.board.flush(now.mono) {
            self.tell_stock(stock);
        }
    }

    /// When [`Engine::wake_links`] is due.
    pub(super) fn next_link_wake(&self) -> Instant {
        let beats = self.links.values().map(|link| link.pulse.next());
        let deaths = self.links.values().map(|link| dead_at(&link.pulse));
        let joins = self.joins.values().map(|(_, deadline)| *deadline);
        let joined = self.joined.iter().map(|(_, deadline)| *deadline);
        let times = deaths.chain(beats).chain(joins).chain(joined);
        let others = [
            self.dialler.next(),
            self.next_held(),
            self.board.next(),
            self.watch.next(),
            self.next_retire(),
            self.cards.next(),
            self.next_gossip(),
        ];
        times.chain(others).min().unwrap_or(Instant::NEVER)
    }

    /// Something changed on a path that does not look at all links: [`Engine::wake_links`] is to.
    pub(super) fn look_again(&mut self, now: Now) {
        self.link_wake = self.link_wake.min(now.mono);
    }

    /// A wake-up that comes late means that this process stood still, or its host kept it waiting.
    fn note_lateness(&mut self, now: Now) {
        // What was due before it was asked for could not come earlier.
        let late = now.mono.since(self.link_wake.max(self.wake_asked));
        if !self.links.is_empty() && self.watch.late(now.mono, late) {
            self.counters.stalls += 1;
            for link in self.links.values_mut() {
                link.pulse.forgive(late);
            }
        }
    }

    /// Heartbeats that are due, and with them those that soon will be: from then on they are due
    /// together, so that a member of many links wakes up a few times a second.
    fn beat_due(&mut self, now: Now) {
        let times = self.links.values().map(|link| link.pulse.next());
        if times.min().is_none_or(|first| first > now.mono) {
            return;
        }
        let soon = now.mono + BEATS_TOGETHER_MS;
        let due = self.links.iter();
        let due = due.filter(|(_, link)| link.pulse.next() <= soon);
        let due: Vec<LinkId> = due.map(|(id, _)| *id).collect();
        for link in due {
            self.beat(now, link, false);
        }
    }

    pub(super) fn beat(&mut self, now: Now, id: LinkId, is_answer: bool) {
        let (digest, stock) = (self.table.digest(), self.board.version());
        let cards = self.cards.digest();
        if let Some(link) = self.links.get_mut(&id) {
            let mut heartbeat = link.pulse.beat(now.mono, is_answer);
            heartbeat.digest = digest;
            heartbeat.stock = stock;
            heartbeat.cards = cards;
            self.send(id, Message::Heartbeat(heartbeat));
        }
    }

    /// What an opinion means for the queues, the dialler and the host.
    pub(super) fn carry_out(&mut self, now: Now, verdict: Option<Verdict>) {
        match verdict {
            None => {}
            Some(Verdict::Suspect(member)) => {
                self.queues.peer_suspect(now, member, true);
                self.event(now, EventKind::Suspect, member, String::new());
            }
            Some(Verdict::Unreachable(member)) => {
                self.queues.peer_reachable(now, member, false);
                self.event(now, EventKind::Unreachable, member, String::new());
                self.choose_dials(now);
            }
            Some(Verdict::Reachable(member, from)) => {
                self.queues.peer_suspect(now, member, false);
                if from == Standing::Unreachable {
                    self.queues.peer_reachable(now, member, true);
                    self.spread_heal(now);
                }
                self.event(now, EventKind::Reachable, member, String::new());
            }
            Some(Verdict::Probe(member)) => self.ask_others(member),
            Some(Verdict::Split(island)) => {
                let mut names: Vec<String> = Vec::new();
                for member in core::iter::once(self.me).chain(island) {
                    let name = self.cards.name(member);
                    names.push(if name.is_empty() {
                        format!("{member}")
                    } else {
                        name
                    });
                }
                self.counters.splits += 1;
                self.event(now, EventKind::Split, self.me, names.join(", "));
            }
            Some(Verdict::Healed) => {
                self.event(now, EventKind::Healed, self.me, String::new());
            }
        }
    }

    /// One that was unreachable is back: a split may be over. Whoever hears of this member again
    /// dials it, and so on: nobody waits for the end of a long pause between dials.
    fn spread_heal(&mut self, now: Now) {
        self.dialler.hasten(now.mono, None, &mut self.chance);
        if now.mono >= self.heal_told + limits::HEARTBEAT_MS {
            self.heal_told = now.mono;
            let card = self.own_card();
            self.tell_card(now, card);
        }
    }

    /// Asks some of those that are heard whether they hear `member`.
    fn ask_others(&mut self, member: MemberId) {
        let heard = self.links.iter().filter(|(_, link)| {
            link.member != member && self.watch.standing(link.member) == Standing::Heard
        });
        let mut heard: Vec<(LinkId, MemberId)> =
            heard.map(|(id, link)| (*id, link.member)).collect();
        self.chance.shuffle(&mut heard);
        let count = match self.watch.ask(member) {
            Ask::Any(count) => count,
            Ask::Voucher(by) => {
                // In front, where it is heard itself; else somebody else in its place.
                if let Some(place) = heard.iter().position(|(_, peer)| *peer == by) {
                    heard.swap(0, place);
                }
                1
            }
        };
        for (link, _) in heard.into_iter().take(count) {
            self.counters.probes += 1;
            self.send(link, Message::Probe(Probe::of(member)));
        }
    }

    pub(super) fn probe(&mut self, now: Now, link: LinkId, probe: &Probe) {
        let member = probe.member();
        if !probe.is_answer {
            let age = self.watch.age(now.mono, member);
            return self.send(link, Message::Probe(probe.answer(age)));
        }
        if let Some(age) = probe.age_ms {
            let by = self.links.get(&link).map(|link| link.member);
            self.watch
                .vouched(now.mono, by.unwrap_or_default(), member, age);
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
