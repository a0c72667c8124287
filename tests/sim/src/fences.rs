//! Who may be in the set: nothing that ended for good comes back (M5), nobody who left comes back
//! unasked, and what was said of former processes is gone in the end (M9).

use std::collections::{BTreeMap, BTreeSet};

use primer_proto::base::{LinkId, MemberId, StoreId};
use primer_proto::engine::{Event, EventKind};
use primer_proto::membership::Hello;

use crate::plan::Class;
use crate::users::What;
use crate::world::{Life, World};

/// A life of a member's copies.
type Living = (MemberId, StoreId);

/// What went out of the set, and may not come back into it.
#[derive(Default)]
pub(crate) struct Fences {
    /// Lives that ended for good, as their members left, or were evicted and know it: by the memories
    /// that know of it, their own among them.
    ended: BTreeMap<Living, BTreeSet<Memory>>,
    /// Members that left, and that nobody has asked back since: their seats, and the life they have.
    apart: BTreeMap<usize, Apart>,
    /// What each member's memory has seen in the set, and what it saw go without a fence.
    seen: BTreeMap<Memory, Seen>,
}

/// A seat, its life, and how often that began anew.
type Memory = (usize, u32, u32);

fn memory_of(seat: usize, life: &Life) -> Memory {
    (seat, life.number, life.wipes)
}

#[derive(Default)]
struct Seen {
    there: BTreeMap<MemberId, StoreId>,
    retired: BTreeSet<Living>,
}

struct Apart {
    living: Living,
    /// The members beside it when it left, with the lives that their processes had.
    former: Vec<(usize, u32)>,
}

impl World {
    /// These stores of a member ended for good.
    pub fn ended_for_good(&mut self, seat: usize, stores: &[StoreId]) {
        let member = self.seats[seat].member;
        let own = self.life(seat).map(|life| memory_of(seat, life));
        for store in stores {
            let knowing = self.fences.ended.entry((member, *store)).or_default();
            knowing.extend(own);
        }
        self.asked_back();
    }

    /// Who knows of a life's end by now.
    fn note_knowing(&mut self) {
        let mut ended = std::mem::take(&mut self.fences.ended);
        for ((member, store), knowing) in &mut ended {
            let told = self
                .living()
                .filter(|(_, life)| life.engine.is_fenced(*member, u64::MAX, *store));
            knowing.extend(told.map(|(seat, life)| memory_of(seat, life)));
        }
        self.fences.ended = ended;
    }

    /// Whether a life ended, and somebody is there still who knows of it. Of one that left out of
    /// everybody's reach, and then crashed for good, nobody does: to the others it is away.
    fn is_known_to_have_ended(&self, living: Living) -> bool {
        let knowing = self.fences.ended.get(&living);
        let mut there = self.living().map(|(seat, life)| memory_of(seat, life));
        knowing.is_some_and(|knowing| there.any(|memory| knowing.contains(&memory)))
    }

    /// A member has left: nobody may have it in the set before somebody joins.
    pub fn stands_apart(&mut self, seat: usize) {
        let Some(life) = self.life(seat) else { return };
        // Who is in only one of two sets comes as anybody with a seed does.
        if self.plan.has(Class::Evict) || self.plan.has(Class::Retire) {
            return;
        }
        // Those that were in each other's sets have heard of it, or are told when they dial.
        let has = |seat: usize, memory: Memory| {
            let member = self.seats[seat].member;
            let seen = self.fences.seen.get(&memory);
            seen.is_some_and(|seen| seen.there.contains_key(&member))
        };
        let before = (seat, life.number, life.wipes.saturating_sub(1));
        let others = self.living().filter(|(other, life)| {
            let theirs = memory_of(*other, life);
            *other != seat && has(*other, before) && has(seat, theirs)
        });
        let former = others.map(|(other, life)| (other, life.number)).collect();
        let living = (self.seats[seat].member, life.store);
        self.fences.apart.insert(seat, Apart { living, former });
    }

    /// Somebody joins somebody, or starts with seeds, or begins afresh: whoever left may be met.
    pub fn asked_back(&mut self) {
        self.fences.apart.clear();
    }

    /// A handshake is done: who is fenced where it comes to is not taken up there (M5).
    pub fn watch_handshake(&mut self, seat: usize, link: LinkId, hello: &Hello, was_fenced: bool) {
        let is_up = self
            .life(seat)
            .is_some_and(|life| life.engine.has_link(link));
        if was_fenced && is_up {
            let detail = format!("m{seat} took up a link to fenced {}", hello.member());
            self.violation("fences", detail);
        }
    }

    /// A member saw another one go.
    pub fn saw_leave(&mut self, seat: usize, event: &Event) {
        let Some(life) = self.life(seat) else { return };
        let memory = memory_of(seat, life);
        let seen = self.fences.seen.get(&memory);
        let Some(store) = seen.and_then(|seen| seen.there.get(&event.member).copied()) else {
            return;
        };
        // What is behind a fence is judged by that.
        let is_fenced = life.engine.is_fenced(event.member, u64::MAX, store);
        if let Some(seen) = self.fences.seen.get_mut(&memory)
            && event.kind == EventKind::Left
            && !is_fenced
        {
            seen.retired.insert((event.member, store));
        }
    }

    /// Now and then: nothing fenced is in a set or linked, and who left is alone.
    pub fn watch_fences(&mut self) {
        let is_join = |what: &What| matches!(what, What::Join | What::Bridge);
        let is_joining = self
            .users
            .unanswered()
            .any(|(_, pending)| is_join(&pending.what));
        if is_joining {
            self.asked_back();
        }
        self.note_knowing();
        let mut broken = Vec::new();
        for (seat, life) in self.living() {
            // What a member that stands still wants hung up is not hung up yet.
            if self.seats[seat].is_paused {
                continue;
            }
            if let Err(why) = life.engine.audit_fences() {
                broken.push(format!("m{seat}: {why}"));
            }
            for (member, _, store) in life.engine.lives() {
                let apart = self.fences.apart.values();
                let came = apart.filter(|apart| {
                    apart.living == (member, store) && apart.former.contains(&(seat, life.number))
                });
                broken.extend(came.map(|_| format!("m{seat} has {member} back, which left")));
            }
        }
        for why in broken {
            self.violation("fences", why);
        }
        let noted: Vec<(Memory, BTreeMap<MemberId, StoreId>)> = self
            .living()
            .map(|(seat, life)| {
                let lives = life
                    .engine
                    .lives()
                    .map(|(member, _, store)| (member, store));
                (memory_of(seat, life), lives.collect())
            })
            .collect();
        for (memory, there) in noted {
            self.fences.seen.entry(memory).or_default().there = there;
        }
    }

    /// At the end: no life that ended is in a set, and every row is of a process that there is.
    pub fn judge_set(&mut self) {
        let mut broken = Vec::new();
        let mut has_returned = false;
        for (seat, life) in self.living() {
            let seen = self.fences.seen.get(&memory_of(seat, life));
            for (member, _, store) in life.engine.lives() {
                if self.is_known_to_have_ended((member, store)) {
                    broken.push(format!("m{seat} has an ended life of {member}"));
                }
                // An add that a retirement did not see wins over it. What was forgotten about that
                // store meanwhile must show nowhere: "drain" and "rest" see to it.
                has_returned |= seen.is_some_and(|seen| seen.retired.contains(&(member, store)));
            }
            if let Err(why) = life.engine.audit_rows() {
                broken.push(format!("m{seat} keeps {why}"));
            }
            for (member, incarnation, boot) in life.engine.rows() {
                let now = self.living().find_map(|(_, other)| {
                    let (id, incarnation) = other.engine.identity();
                    (id == member).then_some((incarnation, other.boot))
                });
                if now.is_some_and(|now| now != (incarnation, boot)) {
                    broken.push(format!("m{seat} keeps a row of a former life of {member}"));
                }
            }
        }
        if has_returned {
            self.sometimes.hit("retired and back as it was");
        }
        for why in broken {
            self.violation("fences", why);
        }
    }
}
