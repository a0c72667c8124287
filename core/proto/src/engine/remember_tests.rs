//! Engines that restart with what they remembered, linked by hand.

use super::*;
use crate::base::{ClusterId, Instant, LinkId, StoreId, Ticket};
use crate::engine::{Answer, Command, Config, Effect, EventKind, Input};
use crate::metadata::MetaCanary;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use bytes::Bytes;

/// Members 1 and up, each listening at "m<n>:1"; a restart is another boot and another store.
struct Town {
    engines: Vec<Engine>,
    lives: Vec<u64>,
    /// Link, its two ends.
    links: Vec<(LinkId, usize, usize)>,
    flight: VecDeque<(usize, Input)>,
    dials: Vec<(usize, String)>,
    /// Those that a restart began with.
    first_dials: Vec<(usize, String)>,
    events: Vec<(usize, EventKind)>,
    answers: Vec<Answer>,
    now: u64,
    last: u64,
}

impl Town {
    fn new(count: usize) -> Self {
        let mut town = Self {
            engines: Vec::new(),
            lives: alloc::vec![0; count],
            links: Vec::new(),
            flight: VecDeque::new(),
            dials: Vec::new(),
            first_dials: Vec::new(),
            events: Vec::new(),
            answers: Vec::new(),
            now: 0,
            last: 0,
        };
        for seat in 0..count {
            let config = town.config(seat);
            town.engines.push(Engine::new(config, town.at()));
        }
        town
    }

    fn at(&self) -> Now {
        Now {
            mono: Instant(self.now),
            wall_ms: 1_700_000_000_000 + self.now,
        }
    }

    fn config(&mut self, seat: usize) -> Config {
        self.lives[seat] += 1;
        let (n, life) = (seat as u64 + 1, self.lives[seat]);
        let boot = BootId(n << 32 | life);
        let member = MemberId(n.into());
        let mut config = Config::new(ClusterId(1), member, boot, StoreId(n << 32 | life));
        config.incarnation = 1_000 + life;
        config.is_ephemeral = false;
        config.address = Some(alloc::format!("m{n}:1"));
        config
    }

    /// Stops a member and starts it with these bytes.
    fn restart(&mut self, seat: usize, metadata: Option<Vec<u8>>) {
        self.restart_with(seat, |config| config.metadata = metadata);
    }

    fn restart_with(&mut self, seat: usize, alter: impl FnOnce(&mut Config)) {
        let cut = self.links.clone();
        for (link, a, b) in cut.into_iter().filter(|(_, a, b)| seat == *a || seat == *b) {
            self.links.retain(|(known, ..)| *known != link);
            let other = if a == seat { b } else { a };
            self.flight.push_back((other, Input::Unlinked(link)));
        }
        self.flight.retain(|(to, _)| *to != seat);
        let mut config = self.config(seat);
        alter(&mut config);
        self.engines[seat] = Engine::new(config, self.at());
        self.dials.clear();
        self.give(seat, Input::Wake);
        self.first_dials.append(&mut self.dials);
        self.settle();
    }

    /// The first link: somebody asked for it.
    fn join(&mut self, from: usize, to: usize) {
        self.call(from, Command::Join(alloc::format!("m{}:1", to + 1)));
        self.link(from, to);
    }

    fn link(&mut self, from: usize, to: usize) {
        self.last += 1;
        let link = LinkId(self.last);
        self.links.push((link, from, to));
        for (me, other, is_dialler) in [(from, to, true), (to, from, false)] {
            let hello = alloc::boxed::Box::new(self.engines[other].hello());
            let dialled = is_dialler.then(|| alloc::format!("m{}:1", other + 1));
            let input = Input::Linked {
                link,
                hello,
                dialled,
            };
            self.flight.push_back((me, input));
        }
        self.settle();
    }

    fn give(&mut self, seat: usize, input: Input) {
        let mut out = Vec::new();
        let now = self.at();
        self.engines[seat].handle(now, input, &mut out);
        self.engines[seat].audit().unwrap();
        for effect in out {
            match effect {
                Effect::Send(link, _, message) => {
                    let ends = self.links.iter().find(|(known, ..)| *known == link);
                    if let Some((_, a, b)) = ends {
                        let to = if seat == *a { *b } else { *a };
                        self.flight
                            .push_back((to, Input::Message { link, message }));
                    }
                }
                Effect::Hangup(link, _) => {
                    let ends = self.links.iter().find(|(known, ..)| *known == link);
                    if let Some((_, a, b)) = ends.copied() {
                        self.links.retain(|(known, ..)| *known != link);
                        for end in [a, b] {
                            self.flight.push_back((end, Input::Unlinked(link)));
                        }
                    }
                }
                Effect::Dial(address) => self.dials.push((seat, address)),
                Effect::Event(event) => self.events.push((seat, event.kind)),
                Effect::Reply(_, answer) => self.answers.push(answer),
                _ => {}
            }
        }
    }

    /// Delivers everything, and lets three seconds pass.
    fn settle(&mut self) {
        for _ in 0..30 {
            while let Some((to, input)) = self.flight.pop_front() {
                self.give(to, input);
            }
            self.now += 100;
            (0..self.engines.len()).for_each(|seat| self.give(seat, Input::Wake));
        }
    }

    fn call(&mut self, seat: usize, command: Command) {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.give(seat, Input::Command { ticket, command });
    }

    fn put(&mut self, seat: usize, key: &str, value: &str) {
        let (key, value) = (key.to_string(), Bytes::from(value.to_string()));
        self.call(seat, Command::Put { key, value });
    }

    fn get(&self, seat: usize, key: &str) -> Option<Bytes> {
        self.engines[seat].get(key).map(|entry| entry.value)
    }

    fn members(&self, seat: usize) -> usize {
        self.engines[seat].members().len()
    }

    fn agree(&self) -> bool {
        let digests = self.engines.iter().map(Engine::meta_digest);
        let digests: Vec<u64> = digests.collect();
        digests.windows(2).all(|two| two[0] == two[1])
    }
}

#[test]
fn all_restart_at_once_without_seeds_and_are_the_same_cluster() {
    let mut town = Town::new(3);
    town.join(0, 1);
    town.join(1, 2);
    town.join(2, 0);
    town.put(0, "kept", "yes");
    town.put(1, "removed", "soon");
    town.settle();
    town.call(2, Command::Delete("removed".to_string()));
    town.settle();
    assert!(town.agree() && town.members(0) == 3);
    let kept: Vec<_> = town.engines.iter().map(Engine::metadata).collect();
    town.events.clear();
    for (seat, metadata) in kept.into_iter().enumerate() {
        town.restart(seat, Some(metadata));
        assert_eq!(town.members(seat), 3, "it remembers the others");
        assert_eq!(town.get(seat, "kept").as_deref(), Some(&b"yes"[..]));
    }
    let joined = town.events.iter().any(|(_, k)| *k == EventKind::Joined);
    assert!(!joined, "no news");
    // Each dials both others at once, wherever its id stands.
    for seat in 0..3 {
        for other in (0..3).filter(|other| *other != seat) {
            let dial = (seat, alloc::format!("m{}:1", other + 1));
            assert!(town.first_dials.contains(&dial), "{dial:?}");
        }
    }
    let actors = |town: &Town| town.engines[0].stats()["meta_actors"];
    let before = actors(&town);
    for (from, to) in [(0, 1), (1, 2), (0, 2)] {
        town.link(from, to);
    }
    assert!(town.agree());
    for seat in 0..3 {
        assert_eq!((town.members(seat), town.get(seat, "removed")), (3, None));
        // The set names the stores of these lives, or the others would wait for copies of former ones.
        for other in 0..3 {
            let member = MemberId(other as u128 + 1);
            let known = town.engines[seat].view.members()[&member].store();
            assert_eq!(known, town.engines[other].store());
        }
    }
    let conflicts = |engine: &Engine| engine.stats()["identity_conflicts"];
    assert!(town.engines.iter().all(|engine| conflicts(engine) == 0));
    assert!(actors(&town) <= before + 3, "one actor a boot at most");
}

#[test]
fn a_member_that_others_dial_becomes_known_by_its_new_store() {
    // Both know the same, so that no exchange tells either anything.
    for dialler in [0, 1] {
        let mut town = Town::new(2);
        town.join(0, 1);
        let metadata = town.engines[0].metadata();
        town.restart(0, Some(metadata));
        town.link(dialler, 1 - dialler);
        let known = town.engines[1].view.members()[&MemberId(1)].store();
        assert_eq!(known, town.engines[0].store());
        assert!(town.agree());
    }
}

#[test]
fn what_is_removed_while_a_member_is_away_stays_removed() {
    let mut town = Town::new(2);
    town.join(0, 1);
    town.put(0, "k", "v");
    town.settle();
    let metadata = town.engines[1].metadata();
    town.call(0, Command::Delete("k".to_string()));
    town.restart(1, Some(metadata));
    assert!(town.get(1, "k").is_some(), "it has not heard");
    town.link(1, 0);
    assert_eq!((town.get(0, "k"), town.get(1, "k")), (None, None));
    assert!(town.agree());
}

#[test]
fn a_fence_outlives_the_restart_of_who_knows_it() {
    let mut town = Town::new(2);
    town.join(0, 1);
    // Cut off, so that the evicted one does not hear of it.
    let (link, ..) = town.links[0];
    town.links.clear();
    town.give(0, Input::Unlinked(link));
    town.give(1, Input::Unlinked(link));
    town.call(0, Command::Evict(MemberId(2)));
    assert_eq!(town.members(0), 1);
    let metadata = town.engines[0].metadata();
    town.restart(0, Some(metadata));
    let old = town.engines[1].store();
    town.link(1, 0);
    assert_eq!(town.engines[0].stats()["links_refused_evicted"], 1);
    assert!(town.events.contains(&(1, EventKind::Evicted)), "it is told");
    assert_ne!(town.engines[1].store(), old, "and joins afresh");
    // An old directory put back brings the old life: refused again.
    town.link(1, 0);
    assert_eq!((town.members(0), town.members(1)), (2, 2));
    let fence = town.engines[0].view.fence(MemberId(2)).cloned();
    assert!(fence.is_some_and(|fence| fence.stores.contains(&old)));
}

#[test]
fn two_that_evicted_each_other_both_hear_of_it_and_join_afresh() {
    let mut town = Town::new(2);
    town.join(0, 1);
    let (link, ..) = town.links[0];
    town.links.clear();
    town.give(0, Input::Unlinked(link));
    town.give(1, Input::Unlinked(link));
    town.call(0, Command::Evict(MemberId(2)));
    town.call(1, Command::Evict(MemberId(1)));
    let old = [town.engines[0].store(), town.engines[1].store()];
    town.join(0, 1);
    // Both were refused, and both were told why before the link ended.
    let own = |(seat, kind): &(usize, EventKind)| (*kind == EventKind::Evicted).then_some(*seat);
    let told: Vec<usize> = town.events.iter().filter_map(own).collect();
    assert!(
        told.iter().filter(|seat| **seat == 0).count() >= 2,
        "its own after the other's"
    );
    assert!(told.iter().filter(|seat| **seat == 1).count() >= 2);
    assert_ne!([town.engines[0].store(), town.engines[1].store()], old);
    assert!(town.links.is_empty());
    town.join(0, 1);
    assert_eq!((town.members(0), town.members(1)), (2, 2));
    assert!(town.agree());
}

#[test]
fn a_refused_handshake_whose_other_side_says_nothing_is_hung_up() {
    let mut town = Town::new(2);
    town.join(0, 1);
    let (link, ..) = town.links[0];
    town.links.clear();
    town.give(0, Input::Unlinked(link));
    town.call(0, Command::Evict(MemberId(2)));
    let hello = alloc::boxed::Box::new(town.engines[1].hello());
    let (link, dialled) = (LinkId(77), None);
    town.links.push((link, 0, 1));
    town.give(
        0,
        Input::Linked {
            link,
            hello,
            dialled,
        },
    );
    town.flight.clear();
    assert_eq!(town.links.len(), 1, "held: it may have something to say");
    town.settle();
    assert!(town.links.is_empty());
}

#[test]
fn who_left_remembers_nothing_and_that_is_told() {
    let mut town = Town::new(2);
    town.join(0, 1);
    town.put(0, "k", "v");
    town.settle();
    let (era, version) = (town.engines[1].era(), town.engines[1].metadata_version());
    let begun = town.engines[1].memo();
    let force = true;
    town.call(1, Command::Leave { drain: None, force });
    town.settle();
    assert_ne!(town.engines[1].era(), era);
    assert_ne!(town.engines[1].metadata_version(), version);
    // A copy that was begun before is begun anew: nothing of the former cluster is in it.
    let late = town.engines[1].go_on(begun).unwrap();
    for bytes in [late, town.engines[1].metadata()] {
        let saved = Saved::read(&bytes);
        assert!(saved.is_whole && saved.keys == 0 && saved.rows.is_empty());
    }
    let metadata = town.engines[1].metadata();
    town.restart(1, Some(metadata));
    assert_eq!((town.members(1), town.get(1, "k")), (1, None));
    assert!(town.dials.is_empty() && town.first_dials.is_empty());
}

#[test]
fn a_copy_made_in_parts_among_writes_loses_nothing_and_brings_nothing_back() {
    let mut town = Town::new(2);
    town.join(0, 1);
    for n in 0..900 {
        town.put(0, &alloc::format!("k{n:03}"), "v");
        town.now += 5;
    }
    town.settle();
    let mut memo = Some(town.engines[0].memo());
    let mut parts = 0;
    let bytes = loop {
        match town.engines[0].go_on(memo.take().unwrap()) {
            Ok(bytes) => break bytes,
            Err(more) => memo = Some(more),
        }
        parts += 1;
        // Before and behind the place where the copy is.
        for key in ["k000", "k899"] {
            town.put(0, key, &alloc::format!("after part {parts}"));
        }
        for key in ["k001", "k898", "k500"] {
            town.call(0, Command::Delete(key.to_string()));
        }
        town.put(0, "a new one", "here");
    };
    assert!(parts >= 3, "{parts}");
    town.settle();
    assert!(town.agree());
    town.restart(0, Some(bytes));
    assert_eq!(town.engines[0].stats()["metadata_damaged"], 0);
    assert_eq!(town.get(0, "k500"), None);
    town.link(0, 1);
    assert!(town.agree());
    assert_eq!(town.get(1, "k000"), town.get(0, "k000"));
    assert_eq!(town.engines[1].list("k", usize::MAX, None).len(), 897);
    assert_eq!(town.get(1, "a new one").as_deref(), Some(&b"here"[..]));
}

/// Restarts a member with its metadata spoiled by `spoil`; how many of the other's 20 keys are left,
/// and of its own.
fn spoilt(canary: MetaCanary, spoil: impl Fn(&mut Vec<u8>)) -> (usize, usize) {
    let mut town = Town::new(2);
    town.join(0, 1);
    for n in 0..20 {
        town.put(0, &alloc::format!("k{n:02}"), "the value that stands there");
    }
    town.settle();
    let mut metadata = town.engines[0].metadata();
    spoil(&mut metadata);
    town.restart_with(0, |config| {
        config.metadata = Some(metadata);
        config.meta_canary = canary;
    });
    assert_eq!(town.engines[0].stats()["metadata_damaged"], 1);
    town.link(1, 0);
    let count = |seat: usize| town.engines[seat].list("k", usize::MAX, None).len();
    (count(1), count(0))
}

#[allow(clippy::ptr_arg, reason = "one of several, and others cut")]
fn flip_one_value(bytes: &mut Vec<u8>) {
    let place = bytes.windows(5).rposition(|five| five == b"value");
    bytes[place.unwrap()] ^= 1;
}

fn lose_the_end(bytes: &mut Vec<u8>) {
    let place = bytes.windows(5).position(|five| five == b"value");
    bytes.truncate(place.unwrap() + 200);
}

#[test]
fn a_damaged_snapshot_deletes_nothing_elsewhere_and_is_made_good_from_there() {
    for spoil in [flip_one_value, lose_the_end, Vec::clear] {
        assert_eq!(spoilt(MetaCanary::None, spoil), (20, 20));
    }
}

#[test]
fn with_the_canary_a_damaged_snapshot_deletes_keys_elsewhere() {
    let canary = MetaCanary::KeepContextOfDamaged;
    assert_eq!(spoilt(canary, flip_one_value), (19, 19));
    let (theirs, own) = spoilt(canary, lose_the_end);
    assert!(theirs < 10 && own == theirs, "{theirs} {own}");
}

#[test]
fn what_its_keeper_doubts_is_not_believed_however_right_it_looks() {
    let mut town = Town::new(1);
    town.put(0, "k", "v");
    town.put(0, "gone", "v");
    town.call(0, Command::Delete("gone".to_string()));
    let metadata = town.engines[0].metadata();
    town.restart_with(0, |config| {
        config.metadata = Some(metadata);
        config.is_metadata_doubtful = true;
    });
    let stats = town.engines[0].stats();
    assert_eq!(stats["metadata_damaged"], 1);
    assert!(stats["metadata_salvaged"] >= 1);
    assert_eq!(town.get(0, "k").as_deref(), Some(&b"v"[..]));
}
