//! Two processes with one identity: a name that was used twice, or a copied directory.
//!
//! The second one starts on the other side of a split, where nobody hears the first, so that it is taken
//! up there (protocol.md 1.1). When they meet, one of them goes on under a fresh identity with its copies.

use primer_check::Verb;
use primer_proto::engine::{Effect, EventKind};

use crate::agenda::{MS, SECOND};
use crate::net::Partition;
use crate::plan::Class;
use crate::world::{Event, World};

/// What became of them.
#[derive(Default)]
pub(crate) struct Twins {
    /// The seats of the two, from the moment on that the second one is to start.
    pair: Option<[usize; 2]>,
    /// Seats whose processes went on under a fresh identity.
    renamed: Vec<usize>,
}

impl World {
    /// The seat that is empty until its process starts with the identity of another.
    pub fn is_spare(&self, seat: usize) -> bool {
        seat >= self.plan.members && self.twins.pair.is_none()
    }

    /// Parts the members and has a twin of one of them start among those that do not hear it.
    pub fn strike_twins(&mut self) {
        let twin = self.plan.members;
        // One that never had others beside it is a newcomer, and stays out.
        let up = self
            .living()
            .filter(|(seat, life)| !self.seats[*seat].is_paused && life.engine.members().len() > 1);
        let up: Vec<usize> = up.map(|(seat, _)| seat).collect();
        let Some(first) = self.fault_dice.pick(&up) else {
            return;
        };
        let mut others: Vec<usize> = (0..twin).filter(|seat| *seat != first).collect();
        self.fault_dice.shuffle(&mut others);
        // Whoever it joins has to listen.
        others.sort_by_key(|seat| !up.contains(seat) || self.seats[*seat].address.is_none());
        let near = 1 + self.fault_dice.index(others.len());
        let far: Vec<usize> = others.split_off(near.min(others.len()));
        let Some(door) = others.first().copied() else {
            return;
        };
        let (mut ways, there) = (Vec::new(), [first].into_iter().chain(far));
        for far in there {
            for near in others.iter().copied().chain([twin]) {
                ways.extend([(near, far), (far, near)]);
            }
        }
        self.part(&Partition(ways.clone()));
        self.sometimes.hit("twin started");
        self.twins.pair = Some([first, twin]);
        let place = &mut self.seats[first];
        let member = place.member;
        let address = self.seats[door].address.clone();
        self.trace
            .line(self.now, twin, "twin", [first as u64, 0], String::new);
        let place = &mut self.seats[twin];
        place.member = member;
        place.seeds = address.into_iter().collect();
        let starts = self.now + self.fault_dice.range(4_000, 8_000) * MS;
        let ends = starts + self.fault_dice.range(6_000, 20_000) * MS;
        self.agenda.add(starts, Event::Boot(twin));
        self.agenda.add(ends, Event::Meet(Partition(ways)));
    }

    /// The split ends; a second one that nobody took up is none, and ends with it.
    pub fn meet(&mut self, partition: &Partition) {
        self.end_lone_twin();
        self.mend(partition);
    }

    /// A newcomer stays out where its twin is heard: one that is no member by now will not be.
    pub fn end_lone_twin(&mut self) {
        let Some([_, twin]) = self.twins.pair else {
            return;
        };
        let life = self.life(twin);
        if life.is_none_or(|life| life.engine.members().len() < 2) {
            self.crash(twin);
            self.twins.pair = None;
            self.seats[twin].member = self.spare_member;
        }
    }

    /// After a call of an engine, before its effects: it may have another identity now.
    pub fn track_identity(&mut self, seat: usize, effects: &[Effect]) {
        let Some(life) = self.life(seat) else { return };
        let (member, old) = (life.engine.identity().0, self.seats[seat].member);
        if member == old {
            return;
        }
        self.seats[seat].member = member;
        self.twins.renamed.push(seat);
        let is_told = effects.iter().any(|effect| {
            matches!(effect, Effect::Event(event)
                if event.kind == EventKind::Conflict && event.member == old)
        });
        if !is_told {
            self.violation(
                "twins",
                format!("m{seat} does not say that it is {member} now"),
            );
        }
        if !self.plan.has(Class::Twins) {
            self.violation(
                "twins",
                format!("m{seat} made room for a twin that there is not"),
            );
        }
        self.sometimes.hit("twin went on under a fresh identity");
    }

    /// Whether owners may take what consumers of that seat have for free at any moment: they do when
    /// the other process shows itself under the same identity (protocol.md 4.4).
    pub fn is_doubled(&self, seat: usize) -> bool {
        let pair = self.twins.pair.filter(|pair| self.life(pair[1]).is_some());
        pair.is_some_and(|pair| pair.contains(&seat))
    }

    fn leases_end(&mut self, seat: usize) {
        let held = self.users.held.values().filter(|held| held.seat == seat);
        let held: Vec<_> = held.cloned().collect();
        for held in held {
            self.settle_asked(&held, Verb::Release);
        }
    }

    /// A process starts: where it is a twin, owners that knew the first one see another.
    pub fn twin_boots(&mut self, seat: usize) {
        if let Some([first, twin]) = self.twins.pair
            && twin == seat
        {
            self.leases_end(first);
        }
    }

    /// At the end: of two with one identity exactly one has another one now.
    pub fn judge_twins(&mut self) {
        let Some(pair) = self.twins.pair else {
            return;
        };
        let renamed = &self.twins.renamed;
        let is_settled = renamed.len() == 1 && pair.contains(&renamed[0]);
        if !is_settled {
            let detail = format!("of m{} and m{}, {renamed:?} made room", pair[0], pair[1]);
            self.violation("twins", detail);
        }
    }

    /// Sets the strike, early enough for both to live side by side.
    pub fn brew_twins(&mut self) {
        if self.plan.has(Class::Twins) {
            let at = 5 * SECOND + self.fault_dice.below(self.plan.load / 3);
            self.agenda.add(at, Event::Trouble(Class::Twins));
        }
    }
}
