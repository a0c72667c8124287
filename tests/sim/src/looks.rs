//! Judges what a member makes of a dedup key, at the moment in which it makes it: whom it could ask, and what they
//! knew (protocol.md 4.6).

use std::collections::BTreeMap;

use primer_proto::base::{Instant, LinkId, MemberId, MessageId, StoreId};
use primer_proto::copies::home_rank;
use primer_proto::engine::{Effect, Event, EventKind, Input};
use primer_proto::queue::{Recall, Recalled};

use crate::agenda::Micros;
use crate::once::{FOUNDED, One};
use crate::plan::Class;
use crate::world::World;

/// How many members are to remember a key.
const HOMES: usize = 3;

/// Who was to be asked for a message, and over which link.
type Homes = BTreeMap<usize, LinkId>;

/// A member looks for a message.
pub(crate) struct Look {
    since: Micros,
    /// The same, as its own clock shows it.
    wall_ms: u64,
    /// When the enqueue gives up, by the clock of its process.
    ends: Instant,
    /// Its name at that member: another one is another look, also where it begins as the former ends.
    recall: u64,
    key: usize,
    /// Of the window in which it began to look.
    number: u64,
    homes: Homes,
    /// Which messages of that window and of those around each of those has known all the while since then.
    known: BTreeMap<(usize, MessageId), Known>,
}

/// What is known as a call of an engine begins.
#[derive(Default)]
pub(crate) struct Before {
    ids: Vec<MessageId>,
    store: Option<StoreId>,
}

/// What a member has known of a message all the while.
struct Known {
    /// Its life, and how often that has begun anew.
    life: (u32, u32),
    /// When the message's window ends: the earliest that it has had. Where two sides made the message it may hear
    /// of the other's, which is longer, after it was asked.
    until: u64,
}

impl World {
    /// Before a call of an engine: which messages might be made in it that it does not hold, and what its store is
    /// called.
    pub fn before_once(&mut self, seat: usize, input: &Input) -> Before {
        if !self.plan.has_dedup() {
            return Before::default();
        }
        if matches!(input, Input::Wake) {
            self.end_late_looks(seat);
        }
        let wall_ms = self.seats[seat].wall_ms(self.now);
        let mut ids = self.once.candidates(seat, wall_ms);
        match self.life(seat) {
            Some(life) => ids.retain(|id| !life.engine.holds(*id)),
            None => ids.clear(),
        }
        let store = self.life(seat).map(|life| life.engine.store());
        Before { ids, store }
    }

    /// As a member wakes, enqueues whose time is over end before those that waited for them have their turn: what is
    /// made then is another enqueue's, which looked anew, and perhaps at another home.
    fn end_late_looks(&mut self, seat: usize) {
        let Some(life) = &self.seats[seat].life else {
            return;
        };
        let mono = life.mono(self.now);
        let looks = &mut self.once.looks;
        looks.retain(|(at, _), look| *at != seat || look.ends > mono);
    }

    /// After it: what was made, and what is not known any more.
    pub fn after_once(&mut self, seat: usize, before: &Before, effects: &[Effect]) {
        if !self.plan.has_dedup() {
            return;
        }
        let is_move = |event: &Event| matches!(event.kind, EventKind::Joined | EventKind::Left);
        let mut effects = effects.iter();
        if effects.any(|effect| matches!(effect, Effect::Event(event) if is_move(event))) {
            self.once.moved.insert(seat, self.now);
        }
        let Some(life) = self.life(seat) else {
            return;
        };
        // It may have heard in the same call that its store was taken for gone: what it had made by then is taken over
        // by the store's new name.
        let is_renamed = before.store != Some(life.store);
        let is_made = |id: &MessageId| {
            let seen = life.engine.glimpse(*id);
            seen.is_some_and(|seen| seen.is_owned && (seen.own.epoch == 0 || is_renamed))
        };
        let made: Vec<MessageId> = before.ids.iter().copied().filter(is_made).collect();
        for id in made {
            self.judge_made(seat, id);
        }
        self.forget_once(seat);
    }

    /// What a member looks for no more, and what it knew when others began to look for it, and does not know any more.
    fn forget_once(&mut self, seat: usize) {
        let Some(life) = &self.seats[seat].life else {
            return;
        };
        // Its look has ended: the next one is another, and asks whom it can ask then.
        self.once
            .looks
            .retain(|(at, id), _| *at != seat || life.engine.putting_in(*id).is_some());
        for look in self.once.looks.values_mut() {
            look.known.retain(|(at, id), known| {
                if *at != seat {
                    return true;
                }
                let now = life.engine.recollects(*id);
                known.until = now.map_or(0, |(until, _)| until.min(known.until));
                now.is_some() && known.life == (life.number, life.wipes)
            });
        }
    }

    /// A member asks others whether they know one of three messages.
    pub fn note_recall(&mut self, seat: usize, recall: &Recall) {
        let (Some(origin), Some(sequence)) = (recall.origins.get(1), recall.sequences.get(1))
        else {
            return;
        };
        let id = MessageId {
            origin: primer_proto::base::BootId(*origin),
            sequence: *sequence,
        };
        let known = self.once.looks.get(&(seat, id));
        if known.is_none_or(|known| known.recall != recall.number)
            && let Some(look) = self.look(seat, id, recall.number)
        {
            self.once.looks.insert((seat, id), look);
        }
    }

    /// A member says what it knows of them.
    pub fn note_recalled(&mut self, recalled: &Recalled) {
        if !recalled.known.is_empty() {
            self.sometimes.hit("known at home");
        }
    }

    /// A member doubts another.
    pub fn note_doubt(&mut self, seat: usize, member: MemberId) {
        self.once.doubts.insert((seat, member), self.now);
    }

    /// A look for a message that begins now.
    fn look(&self, seat: usize, id: MessageId, recall: u64) -> Option<Look> {
        let wall_ms = self.seats[seat].wall_ms(self.now);
        let mut keys = self.once.keys.iter().enumerate();
        let (key, dedup) = keys.find(|(_, dedup)| dedup.id(dedup.number(wall_ms)) == id)?;
        let number = dedup.number(wall_ms);
        // In one call it may have looked before its set changed (a member that was paused retires others as it
        // wakes): whom it could ask then is not known here any more.
        let homes = match self.once.moved.get(&seat) {
            Some(moved) if *moved == self.now => Homes::new(),
            _ => self.homes_heard(seat, dedup.home()),
        };
        let mut known = BTreeMap::new();
        for at in homes.keys().copied() {
            let Some(life) = self.life(at) else {
                continue;
            };
            let ids = [number - 1, number, number + 1].map(|number| dedup.id(number));
            known.extend(ids.into_iter().filter_map(|id| {
                let (until, _) = life.engine.recollects(id)?;
                let life = (life.number, life.wipes);
                Some(((at, id), Known { life, until }))
            }));
        }
        let putting_in = self.life(seat).and_then(|life| life.engine.putting_in(id));
        Some(Look {
            since: self.now,
            wall_ms,
            ends: putting_in.unwrap_or_default(),
            recall,
            key,
            number,
            homes,
            known,
        })
    }

    /// The home of a key as the set of that member has it, but itself, where it can be asked.
    fn homes_heard(&self, seat: usize, home: u64) -> Homes {
        let Some(life) = self.life(seat) else {
            return Homes::new();
        };
        let members = life.engine.lives().map(|(member, ..)| member);
        let mut ranked: Vec<(u64, MemberId)> = members
            .map(|member| (home_rank(home, member), member))
            .collect();
        ranked.sort_unstable();
        let homes = ranked.iter().rev().take(HOMES);
        let heard = homes.filter_map(|(_, member)| {
            let at = self.seats.iter().position(|seat| seat.member == *member)?;
            Some((at, life.engine.hears(*member)?))
        });
        heard.filter(|(at, _)| *at != seat).collect()
    }

    /// A member makes a message: nobody who knew better could be asked.
    fn judge_made(&mut self, seat: usize, id: MessageId) {
        let look = self.once.looks.remove(&(seat, id));
        let Some(look) = look.or_else(|| self.look(seat, id, 0)) else {
            return;
        };
        // Which of two with one identity is meant, and what a member of an earlier version is the home of, is
        // not known here.
        let is_plain = !self.plan.has(Class::Twins) && !self.plan.has_older;
        let key = look.key;
        for at in look.homes.keys().copied().filter(|_| is_plain) {
            if self.could_be_asked(seat, at, &look)
                && let Some(known) = self.knew(at, &look)
            {
                let detail =
                    format!("m{seat} makes {id} of {key}, and m{at} at its home knew {known}");
                self.violation("dedup", detail);
            }
        }
        self.judge_calm(seat, key, id);
        let life = self.life(seat);
        let known = life.and_then(|life| life.engine.recollects(id));
        let one = self.once.all.entry(id).or_default();
        one.until = known.map_or(0, |(until, _)| until);
        if one.made > 0 {
            self.sometimes.hit("made on both sides");
        }
        one.key = key;
        one.made += 1;
        one.made_at = self.now;
    }

    /// Whether `seat` could ask `at` all the while since then.
    fn could_be_asked(&self, seat: usize, at: usize, look: &Look) -> bool {
        let member = self.seats[at].member;
        let heard = self.life(seat).and_then(|life| life.engine.hears(member));
        let doubted = self.once.doubts.get(&(seat, member));
        heard.is_some()
            && heard == look.homes.get(&at).copied()
            && doubted.is_none_or(|doubted| *doubted < look.since)
    }

    /// What `at` has known since then and before of that window, or of those around.
    fn knew(&self, at: usize, look: &Look) -> Option<MessageId> {
        let dedup = &self.once.keys[look.key];
        let life = self.life(at)?;
        let number = look.number;
        let mut numbers = [number, number + 1, number - 1].into_iter();
        numbers.find_map(|one| {
            let id = dedup.id(one);
            life.engine.recollects(id)?;
            let known = look.known.get(&(at, id))?;
            let is_it = known.life == (life.number, life.wipes);
            // Of the window before only where that one's own lasted as the look began, however long the answers took;
            // a clock that jumps may have shown otherwise.
            let lasts = one >= number || known.until > look.wall_ms && !self.plan.has(Class::Skew);
            (is_it && lasts).then_some(id)
        })
    }

    /// Where nothing fails, a key is new once a window.
    fn judge_calm(&mut self, seat: usize, key: usize, id: MessageId) {
        // Whoever wanted copies that nobody had room for has taken it back, and nobody heard of it.
        let is_known = |last: MessageId, one: &One| {
            let mut others = self.living();
            let is_there = others.any(|(at, life)| {
                (last != id || at != seat) && life.engine.recollects(last).is_some()
            });
            one.is_accepted || one.arrivals > 0 || is_there
        };
        let of_key = self.once.all.iter().filter(|(_, one)| one.key == key);
        let of_key = of_key.filter(|(last, one)| is_known(**last, one));
        let latest = of_key.max_by_key(|(_, one)| one.made_at);
        let Some((last, at, until)) = latest.map(|(last, one)| (*last, one.made_at, one.until))
        else {
            return;
        };
        self.sometimes.hit("key used anew");
        let is_founded = self.plan.is_calm && !self.plan.is_deadly() && at > FOUNDED;
        let wall_ms = self.seats[seat].wall_ms(self.now);
        if is_founded && !self.plan.has_older && wall_ms < until {
            let early = until - wall_ms;
            let detail = format!("{id} of {key} is made {early} ms before {last} may be forgotten");
            self.violation("dedup", detail);
        }
    }
}
