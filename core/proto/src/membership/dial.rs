//! Whom to dial, and when again: seeds and members without a link, for ever (protocol.md 1.2).
//!
//! Systems that stop dialling those they think dead never merge again after a long split. A seed may
//! be a name that leads to many addresses, and members may find each other in other ways: such
//! sources say again and again, as a whole, what they found, and that is dialled as seeds are.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::base::{Chance, Error, Instant, Millis, Ticket, limits};

/// How long an address that led to this member itself is left alone. Not for ever: addresses are
/// given to others. Guess.
const SELF_MS: Millis = 600_000;

/// How soon it is told again that this member is refused somewhere.
const REFUSED_MS: Millis = 10_000;

/// How soon others are dialled when one is back.
const HASTE_MS: Millis = 500;

/// Retired members that are still dialled. Guess: ephemeral members come and go by the thousand.
const FORMER_MAX: usize = 128;

/// One address to be linked to.
#[derive(Debug, Default)]
struct Target {
    is_seed: bool,
    /// A member of the set is to be dialled there.
    is_member: bool,
    /// Sources that found it.
    sources: BTreeSet<u32>,
    /// Who was found there left on purpose: its sources do not count until they have dropped it.
    is_struck: bool,
    /// Who was a member there was retired: it may be cut off, and come back.
    is_former: bool,
    /// Who answers there is this member.
    is_self: bool,
    is_dialling: bool,
    is_linked: bool,
    next: Instant,
    pause: Millis,
    /// The error by which this member was last refused there, and when that was told; 0 for none since a link.
    refusal: (u16, Instant),
    /// Callers of `join` that wait for it.
    joins: Vec<Ticket>,
}

impl Target {
    /// Somebody may be there who is not in the set yet.
    fn is_entrance(&self) -> bool {
        self.is_seed || (!self.sources.is_empty() && !self.is_struck)
    }

    /// There is a reason to dial it.
    fn is_wanted(&self) -> bool {
        self.is_entrance() || self.is_member || self.is_former || !self.joins.is_empty()
    }

    /// To be dialled when its time comes.
    fn is_open(&self) -> bool {
        let is_avoided = self.is_struck && !self.is_wanted();
        !self.is_dialling && !self.is_linked && !is_avoided
    }

    /// There is a reason to remember it.
    fn is_kept(&self) -> bool {
        self.is_wanted() || self.is_dialling || self.is_linked || !self.sources.is_empty()
    }
}

/// All addresses this member is to dial.
#[derive(Debug, Default)]
pub struct Dialler {
    targets: BTreeMap<String, Target>,
    /// Sources that have not said anything yet.
    awaited: BTreeSet<u32>,
    /// Addresses of retired members, the oldest first.
    former: VecDeque<String>,
    /// This member left: what sources find is its former cluster.
    is_parted: bool,
    /// It is leaving: nothing is dialled until that is over.
    is_resting: bool,
}

impl Dialler {
    /// Sources 0 to `count` - 1 will say what they find.
    pub fn expect(&mut self, count: u32) {
        self.awaited = (0..count).collect();
    }

    /// Sets what `source` found, replacing what it found before: dialled like seeds.
    pub fn found(&mut self, now: Instant, source: u32, found: &[String], chance: &mut Chance) {
        if self.is_parted {
            return;
        }
        let is_first = self.awaited.remove(&source);
        for (address, target) in &mut self.targets {
            if target.sources.contains(&source) && !found.contains(address) {
                target.sources.remove(&source);
                target.is_struck &= !target.sources.is_empty();
            }
        }
        for address in found.iter().take(limits::MEMBERS_MAX) {
            // Who is new there finds this member, too, and dials at once: one of the two waits.
            let pause = if is_first {
                0
            } else {
                limits::DIAL_MS_MIN + chance.below(2 * limits::DIAL_MS_MIN)
            };
            let target = self.target(now + pause, address);
            target.sources.insert(source);
        }
        self.targets.retain(|_, target| target.is_kept());
    }

    /// Goes on dialling a member that was retired. The oldest of too many is given up.
    pub fn remember(&mut self, now: Instant, address: &str) {
        if address.is_empty() {
            return;
        }
        self.target(now, address).is_former = true;
        self.former.retain(|known| known != address);
        self.former.push_back(address.into());
        if self.former.len() > FORMER_MAX
            && let Some(oldest) = self.former.pop_front()
        {
            self.forget_former(&oldest);
        }
    }

    /// Nobody is there any more: who was retired has ended.
    pub fn forget_former(&mut self, address: &str) {
        if let Some(target) = self.targets.get_mut(address) {
            target.is_former = false;
        }
    }

    /// True while seeds and sources may lead to others: not after a leave.
    #[must_use]
    pub fn is_seeking(&self) -> bool {
        !self.is_parted
    }

    /// Adds a seed, dialled until it is linked and again when it is not.
    pub fn seed(&mut self, now: Instant, address: &str) {
        self.target(now, address).is_seed = true;
    }

    /// Adds a join: dialled at once, given up when the first dial fails.
    pub fn join(&mut self, now: Instant, address: &str, ticket: Ticket) {
        let target = self.target(now, address);
        target.joins.push(ticket);
        if !target.is_dialling {
            target.next = now;
            // A link that exists does not answer a join: only a fresh handshake tells what is there.
            target.is_linked = false;
        }
    }

    /// Sets the members' addresses that this member should dial, replacing the last answer.
    pub fn members(&mut self, now: Instant, wanted: &[String]) {
        for address in wanted {
            self.target(now, address);
        }
        let wanted: BTreeSet<&String> = wanted.iter().collect();
        self.targets.retain(|address, target| {
            target.is_member = wanted.contains(address);
            target.is_kept()
        });
    }

    /// Dials nothing until [`Dialler::clear`].
    pub fn rest(&mut self) {
        self.is_resting = true;
    }

    /// Addresses that are due, now being dialled.
    pub fn due(&mut self, now: Instant) -> Vec<String> {
        if self.is_resting {
            return Vec::new();
        }
        let due = self
            .targets
            .iter_mut()
            .filter(|(_, target)| target.is_open() && target.next <= now);
        due.map(|(address, target)| {
            target.is_dialling = true;
            address.clone()
        })
        .collect()
    }

    /// When the next dial is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        if self.is_resting {
            return Instant::NEVER;
        }
        let open = self.targets.values().filter(|target| target.is_open());
        open.map(|target| target.next)
            .min()
            .unwrap_or(Instant::NEVER)
    }

    /// A dial failed: again after a pause that doubles. Answers the joins that end with it.
    pub fn failed(&mut self, now: Instant, address: &str, chance: &mut Chance) -> Vec<Ticket> {
        self.missed(now, address, limits::DIAL_MS_MAX, chance)
    }

    /// Nothing answered at all: it may be cut off, and back at any moment, so the pauses stay short.
    pub fn silent(&mut self, now: Instant, address: &str, chance: &mut Chance) -> Vec<Ticket> {
        self.missed(now, address, limits::DIAL_SILENT_MS_MAX, chance)
    }

    /// This member was refused at a place that it will dial again, with that error: true unless that was told
    /// a moment ago. Who asks for events later hears of it, too.
    pub fn is_news(&mut self, now: Instant, address: &str, error: u16) -> bool {
        let Some(target) = self.targets.get_mut(address) else {
            return false;
        };
        let (told, at) = target.refusal;
        let is_news = told != error || now >= at + REFUSED_MS;
        if is_news {
            target.refusal = (error, now);
        }
        is_news
    }

    /// A dial became a link that this member does not want: again after a pause that doubles.
    /// Answers the joins that end with it.
    pub fn refused(&mut self, now: Instant, address: &str, chance: &mut Chance) -> Vec<Ticket> {
        if let Some(target) = self.targets.get_mut(address) {
            target.is_linked = false;
        }
        self.missed(now, address, limits::DIAL_MS_MAX, chance)
    }

    /// Nobody wants the link that a dial became: not dialled again before somebody does.
    pub fn abandoned(&mut self, address: &str) {
        if let Some(target) = self.targets.get_mut(address) {
            (target.is_dialling, target.is_linked) = (false, false);
            self.targets.retain(|_, target| target.is_kept());
        }
    }

    fn missed(
        &mut self,
        now: Instant,
        address: &str,
        longest: Millis,
        chance: &mut Chance,
    ) -> Vec<Ticket> {
        let Some(target) = self.targets.get_mut(address) else {
            return Vec::new();
        };
        target.is_dialling = false;
        target.pause = (target.pause * 2).clamp(limits::DIAL_MS_MIN, longest);
        // Jitter of a quarter keeps members that lost one seed together from dialling together.
        let jitter = chance.below(target.pause / 4 + 1);
        target.next = now + target.pause - jitter;
        core::mem::take(&mut target.joins)
    }

    /// A dial led to this member itself, which is no failure: that address is left alone for long.
    /// Answers the joins that end with it.
    pub fn itself(&mut self, now: Instant, address: &str, chance: &mut Chance) -> Vec<Ticket> {
        let Some(target) = self.targets.get_mut(address) else {
            return Vec::new();
        };
        target.is_dialling = false;
        target.is_self = true;
        target.next = now + SELF_MS - chance.below(SELF_MS / 4);
        core::mem::take(&mut target.joins)
    }

    /// A dial became a link. Answers the joins that were waiting for it.
    pub fn linked(&mut self, address: &str) -> Vec<Ticket> {
        let Some(target) = self.targets.get_mut(address) else {
            return Vec::new();
        };
        target.is_dialling = false;
        target.is_linked = true;
        target.is_self = false;
        target.refusal.0 = 0;
        core::mem::take(&mut target.joins)
    }

    /// A seed is one no more, until a join or a restart; nor is what was found there, until it is
    /// lost and found again; nor is who was remembered there.
    pub fn unseed(&mut self, address: &str) {
        if let Some(target) = self.targets.get_mut(address) {
            (target.is_seed, target.is_former) = (false, false);
            target.is_struck = !target.sources.is_empty();
        }
    }

    /// True when somebody asked for this address: a seed, what was found, or a join that waits.
    #[must_use]
    pub fn is_asked_for(&self, address: &str) -> bool {
        let target = self.targets.get(address);
        target.is_some_and(|target| {
            target.is_entrance() || target.is_former || !target.joins.is_empty()
        })
    }

    /// The link that this address leads to is gone: dial again soon; after a pause that doubles when
    /// nothing came of it, because then the next one may end the same way.
    pub fn unlinked(&mut self, now: Instant, address: &str, was_good: bool, chance: &mut Chance) {
        let Some(target) = self.targets.get_mut(address) else {
            return;
        };
        target.is_linked = false;
        if was_good {
            target.pause = 0;
            target.next = now + limits::DIAL_MS_MIN / 2 + chance.below(limits::DIAL_MS_MIN);
        } else {
            target.pause = (target.pause * 2).clamp(limits::DIAL_MS_MIN, limits::DIAL_MS_MAX);
            target.next = now + target.pause - chance.below(target.pause / 4 + 1);
        }
    }

    /// Others are back, so this one may be: what waits for its time is dialled soon.
    pub fn hasten(&mut self, now: Instant, only: Option<&str>, chance: &mut Chance) {
        for (address, target) in &mut self.targets {
            let is_meant = only.is_none_or(|only| only == address);
            if is_meant && target.is_open() && !target.is_self && target.next > now + HASTE_MS {
                target.pause = limits::DIAL_MS_MIN;
                target.next = now + chance.below(HASTE_MS);
            }
        }
    }

    /// The member behind this address is linked, whoever dialled.
    pub fn covered(&mut self, address: &str) {
        if let Some(target) = self.targets.get_mut(address) {
            target.is_linked = true;
        }
    }

    /// True when some seed or found address is linked, or there is none.
    #[must_use]
    pub fn is_seeded(&self) -> bool {
        let mut entrances = self.entrances();
        self.is_alone() || entrances.any(|target| target.is_linked)
    }

    /// True when there is no way to others: no seed, and every source has spoken and found nobody.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.awaited.is_empty() && self.entrances().next().is_none()
    }

    /// Forgets everything, after a leave. Answers the joins that end with it.
    pub fn clear(&mut self) -> Vec<Ticket> {
        self.awaited.clear();
        self.is_parted = true;
        self.is_resting = false;
        self.former.clear();
        let targets = core::mem::take(&mut self.targets);
        targets
            .into_values()
            .flat_map(|target| target.joins)
            .collect()
    }

    /// True while a dial is under way.
    #[must_use]
    pub fn is_dialling(&self) -> bool {
        self.targets.values().any(|target| target.is_dialling)
    }

    /// What a join that timed out or failed says.
    #[must_use]
    pub fn failure(address: &str, error: &Error) -> Error {
        let told = Error::new(error.kind()).because(error.reason().to_string());
        told.with("address", address)
    }

    fn entrances(&self) -> impl Iterator<Item = &Target> {
        let targets = self.targets.values();
        targets.filter(|target| target.is_entrance() && !target.is_self)
    }

    /// The target at `address`, made to be dialled at `next` when it is new.
    fn target(&mut self, next: Instant, address: &str) -> &mut Target {
        let new = || Target {
            next,
            ..Target::default()
        };
        self.targets.entry(address.to_string()).or_insert_with(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_seed_is_dialled_for_ever_with_growing_pauses() {
        let mut dialler = Dialler::default();
        let mut chance = Chance::new(1);
        dialler.seed(Instant(0), "a:1");
        let mut now = Instant(0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert_eq!(dialler.due(now), ["a:1"]);
            assert!(dialler.due(now).is_empty(), "one dial at a time");
            dialler.failed(now, "a:1", &mut chance);
            pauses.push(dialler.next().since(now));
            now = dialler.next();
        }
        assert!(pauses[0] <= limits::DIAL_MS_MIN);
        assert!(*pauses.last().unwrap() >= limits::DIAL_MS_MAX * 3 / 4);
        assert!(pauses.iter().all(|pause| *pause <= limits::DIAL_MS_MAX));
    }

    #[test]
    fn a_link_ends_the_dialling_and_its_loss_begins_it_again() {
        let mut dialler = Dialler::default();
        dialler.join(Instant(0), "a:1", Ticket(7));
        assert_eq!(dialler.due(Instant(0)), ["a:1"]);
        assert_eq!(dialler.linked("a:1"), [Ticket(7)]);
        assert_eq!(dialler.next(), Instant::NEVER);
        dialler.unlinked(Instant(50), "a:1", true, &mut Chance::new(1));
        assert!(dialler.next() < Instant(250));
    }

    #[test]
    fn a_link_that_was_refused_is_dialled_again() {
        let mut dialler = Dialler::default();
        dialler.seed(Instant(0), "a:1");
        assert_eq!(dialler.due(Instant(0)), ["a:1"]);
        dialler.linked("a:1");
        dialler.refused(Instant(0), "a:1", &mut Chance::new(1));
        assert_eq!(dialler.due(Instant(limits::DIAL_MS_MIN)), ["a:1"]);
    }

    #[test]
    fn an_abandoned_address_is_dialled_at_once_when_a_member_has_it() {
        let (mut dialler, _) = found(&["a:1"]);
        assert_eq!(dialler.due(Instant(0)), ["a:1"]);
        dialler.unseed("a:1");
        dialler.abandoned("a:1");
        assert_eq!(dialler.next(), Instant::NEVER);
        dialler.members(Instant(50), &texts(&["a:1"]));
        assert_eq!(dialler.due(Instant(50)), ["a:1"]);
    }

    #[test]
    fn one_that_rests_dials_nothing_but_knows_what_is_under_way() {
        let mut dialler = Dialler::default();
        dialler.seed(Instant(0), "a:1");
        dialler.seed(Instant(5), "b:1");
        assert_eq!(dialler.due(Instant(0)), ["a:1"]);
        dialler.rest();
        assert!(dialler.due(Instant(9)).is_empty() && dialler.is_dialling());
        assert_eq!(dialler.next(), Instant::NEVER);
        dialler.abandoned("a:1");
        assert!(!dialler.is_dialling());
        dialler.clear();
        dialler.join(Instant(9), "b:1", Ticket(1));
        assert_eq!(dialler.due(Instant(9)), ["b:1"]);
    }

    fn texts(addresses: &[&str]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    /// A dialler that waited for one source, and what the source found.
    fn found(addresses: &[&str]) -> (Dialler, Chance) {
        let (mut dialler, mut chance) = (Dialler::default(), Chance::new(1));
        dialler.expect(1);
        dialler.found(Instant(0), 0, &texts(addresses), &mut chance);
        (dialler, chance)
    }

    #[test]
    fn what_is_found_is_dialled_at_once_and_what_is_found_later_a_little_later() {
        let (mut dialler, mut chance) = found(&["a:1", "b:1"]);
        assert_eq!(dialler.due(Instant(0)), ["a:1", "b:1"]);
        dialler.found(Instant(10), 0, &texts(&["a:1", "b:1", "c:1"]), &mut chance);
        assert!(dialler.due(Instant(10)).is_empty());
        assert_eq!(dialler.due(Instant(10 + 3 * limits::DIAL_MS_MIN)), ["c:1"]);
    }

    #[test]
    fn what_is_found_no_more_is_dialled_no_more() {
        let (mut dialler, mut chance) = found(&["a:1", "b:1", "c:1"]);
        dialler.found(Instant(0), 1, &texts(&["a:1"]), &mut chance);
        dialler.members(Instant(0), &texts(&["b:1"]));
        dialler.found(Instant(0), 0, &[], &mut chance);
        let due = dialler.due(Instant(0));
        assert_eq!(due, ["a:1", "b:1"], "another source, and a member");
        dialler.found(Instant(0), 1, &[], &mut chance);
        for address in due {
            dialler.failed(Instant(0), &address, &mut chance);
        }
        // As the engine does after every failure.
        dialler.members(Instant(0), &texts(&["b:1"]));
        assert_eq!(dialler.due(Instant(60_000)), ["b:1"]);
    }

    #[test]
    fn an_address_of_this_member_itself_is_left_alone_for_long() {
        let (mut dialler, mut chance) = found(&["a:1"]);
        assert!(!dialler.is_seeded());
        dialler.due(Instant(0));
        dialler.itself(Instant(0), "a:1", &mut chance);
        assert!(dialler.is_seeded(), "nobody else is there to wait for");
        assert!(dialler.next() >= Instant(SELF_MS / 4 * 3));
        dialler.found(Instant(5), 0, &texts(&["a:1"]), &mut chance);
        assert!(dialler.due(Instant(100_000)).is_empty());
        assert_eq!(
            dialler.due(Instant(SELF_MS)),
            ["a:1"],
            "it may be another's by now"
        );
        dialler.linked("a:1");
        assert!(dialler.is_seeded());
    }

    #[test]
    fn a_member_is_not_seeded_before_its_sources_have_spoken() {
        let mut dialler = Dialler::default();
        dialler.expect(2);
        assert!(!dialler.is_seeded() && !dialler.is_alone());
        dialler.found(Instant(0), 0, &[], &mut Chance::new(1));
        assert!(!dialler.is_seeded());
        dialler.found(Instant(0), 1, &texts(&["a:1"]), &mut Chance::new(1));
        assert!(!dialler.is_seeded() && !dialler.is_alone());
        dialler.due(Instant(0));
        dialler.linked("a:1");
        assert!(dialler.is_seeded());
        dialler.found(Instant(0), 1, &[], &mut Chance::new(1));
        assert!(dialler.is_seeded() && dialler.is_alone());
    }

    #[test]
    fn who_left_on_purpose_is_not_dialled_while_its_source_still_names_it() {
        let (mut dialler, mut chance) = found(&["a:1"]);
        dialler.due(Instant(0));
        dialler.linked("a:1");
        dialler.unseed("a:1");
        dialler.unlinked(Instant(0), "a:1", true, &mut chance);
        dialler.members(Instant(0), &[]);
        dialler.found(Instant(0), 0, &texts(&["a:1"]), &mut chance);
        assert!(!dialler.is_asked_for("a:1"));
        assert_eq!(dialler.next(), Instant::NEVER);
        dialler.found(Instant(0), 0, &[], &mut chance);
        dialler.found(Instant(0), 0, &texts(&["a:1"]), &mut chance);
        assert!(dialler.is_asked_for("a:1"), "it is back");
        assert_eq!(dialler.due(Instant(3 * limits::DIAL_MS_MIN)), ["a:1"]);
    }

    #[test]
    fn one_that_left_looks_for_nobody_until_it_joins() {
        let (mut dialler, mut chance) = found(&["a:1"]);
        dialler.clear();
        assert!(!dialler.is_seeking() && dialler.is_seeded());
        dialler.found(Instant(0), 0, &texts(&["a:1"]), &mut chance);
        assert!(dialler.due(Instant(1_000)).is_empty());
        dialler.join(Instant(0), "a:1", Ticket(1));
        assert_eq!(dialler.due(Instant(0)), ["a:1"]);
    }
}
