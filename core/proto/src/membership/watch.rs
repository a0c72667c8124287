//! This member's opinion of the others: heard, suspect, unreachable (protocol.md 1.3).
//!
//! A local opinion: it never edits the set and is never merged as truth. Silence makes a member
//! suspect; others are asked whether they hear it (SWIM, Das et al. 2002), and what they say counts
//! as a sign of life as old as theirs. A process that was late itself gives everyone more time
//! (Lifeguard, arXiv 1707.00788): an embedded member stalls with its host.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::base::{Instant, MemberId, Millis, limits};

/// A wake-up this late means that this process stood still.
const LATE_MS: Millis = 500;
/// Most that own lateness stretches the limits (memberlist: awareness max 8).
const STRETCH_MAX: u64 = 8;
/// So long without lateness, and the stretch falls by one.
const CALM_MS: Millis = 5_000;
/// A split is told once the opinions have stood this long, so that it is told whole.
const SETTLE_MS: Millis = 1_000;
/// However unsteady a link is, silence of this long makes suspect.
const SUSPECT_MS_MAX: Millis = 10_000;

/// How far the doubt has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Standing {
    /// Heard lately.
    #[default]
    Heard,
    /// Silent for a while: others are asked.
    Suspect,
    /// Silent for too long, or its host says that it is not there.
    Unreachable,
}

/// Something that changed, or is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Silent: it gets no new copies.
    Suspect(MemberId),
    /// Gone, for all that this member knows.
    Unreachable(MemberId),
    /// Heard (again). From which standing.
    Reachable(MemberId, Standing),
    /// Ask others whether they hear it.
    Probe(MemberId),
    /// Some are silent though nothing says that they ended: those that form this member's island
    /// (others than itself).
    Split(Vec<MemberId>),
    /// All of those are heard again.
    Healed,
}

/// Whom to ask about a member in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The one that heard it when it was last asked.
    Voucher(MemberId),
    /// So many of those that are heard.
    Any(usize),
}

/// Others that are asked about a member in doubt (protocol.md 1.3).
const ASKED: usize = 3;
/// Questions to strangers a second at most, while fewer than this are in doubt. Guess: a tenth of the
/// frames of a quiet cluster of 1,000.
const QUESTIONS_MAX: usize = 192;

/// What is known of one member.
#[derive(Debug)]
struct Case {
    /// The last sign of life: an echo, or what another says.
    heard: Instant,
    standing: Standing,
    is_linked: bool,
    was_linked: bool,
    /// Its host answered that nobody listens there: it ended, it is not cut off.
    is_refused: bool,
    probe_at: Instant,
    /// Who said that it hears it, since it was last asked.
    voucher: Option<MemberId>,
    since: Instant,
    /// The last sign that counted for the steadiness of the link.
    counted: Instant,
    /// Smoothed time between signs, and how far they stray from it, in ms.
    gap: Millis,
    stray: Millis,
}

impl Case {
    fn new(now: Instant) -> Self {
        Self {
            heard: now,
            standing: Standing::Heard,
            is_linked: false,
            was_linked: false,
            is_refused: false,
            probe_at: Instant::NEVER,
            voucher: None,
            since: now,
            counted: now,
            gap: limits::HEARTBEAT_MS,
            stray: 0,
        }
    }

    /// Silence that makes suspect: the floor, or more on a link whose signs come unsteadily.
    fn patience(&self) -> Millis {
        (self.gap + 4 * self.stray).clamp(limits::SUSPECT_MS, SUSPECT_MS_MAX)
    }

    fn suspect_at(&self, stretch: u64) -> Instant {
        self.heard + self.patience() * stretch
    }

    fn unreachable_at(&self, stretch: u64) -> Instant {
        let probing = limits::UNREACHABLE_MS - limits::SUSPECT_MS;
        self.suspect_at(stretch) + probing * stretch
    }

    /// When the opinion changes, or others are to be asked.
    fn due(&self, stretch: u64) -> Instant {
        match self.standing {
            Standing::Heard => self.suspect_at(stretch),
            Standing::Suspect => self.unreachable_at(stretch).min(self.probe_at),
            Standing::Unreachable => Instant::NEVER,
        }
    }
}

/// The opinions about all other members.
#[derive(Debug)]
pub struct Watch {
    cases: BTreeMap<MemberId, Case>,
    stretch: u64,
    calm_at: Instant,
    /// When the island is to be looked at.
    island_at: Instant,
    /// Who was told to be beyond a split.
    beyond: BTreeSet<MemberId>,
    /// How many were in doubt at the last look.
    doubts: usize,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            cases: BTreeMap::new(),
            stretch: 1,
            calm_at: Instant::NEVER,
            island_at: Instant::NEVER,
            beyond: BTreeSet::new(),
            doubts: 0,
        }
    }
}

impl Watch {
    /// A member is in the set.
    pub fn know(&mut self, now: Instant, member: MemberId) {
        self.cases.entry(member).or_insert_with(|| Case::new(now));
    }

    /// A member left the set.
    pub fn forget(&mut self, now: Instant, member: MemberId) {
        if self.cases.remove(&member).is_some() {
            self.look_later(now);
        }
    }

    /// Its link is up: a sign of life.
    pub fn linked(&mut self, now: Instant, member: MemberId) -> Option<Verdict> {
        let case = self.cases.get_mut(&member)?;
        case.is_linked = true;
        let is_first = !core::mem::replace(&mut case.was_linked, true);
        // What stood between two links says nothing about the steadiness of this one.
        (case.heard, case.counted) = (now, now);
        let verdict = self.sign(now, member, now);
        // One that was only heard of until now is reachable from here on.
        let first = is_first.then_some(Verdict::Reachable(member, Standing::Heard));
        verdict.or(first)
    }

    /// Its link is gone; so it is silent from now on.
    pub fn unlinked(&mut self, now: Instant, member: MemberId) {
        if let Some(case) = self.cases.get_mut(&member) {
            case.is_linked = false;
            case.heard = case.heard.max(now);
        }
    }

    /// Its address answered that nobody is there, while no link to it exists.
    pub fn refused(&mut self, now: Instant, member: MemberId) -> Option<Verdict> {
        let case = self.cases.get_mut(&member)?;
        if case.is_linked {
            return None;
        }
        case.is_refused = true;
        let is_news = case.standing != Standing::Unreachable;
        self.look_later(now);
        if !is_news {
            return None;
        }
        let case = self.cases.get_mut(&member)?;
        case.standing = Standing::Unreachable;
        case.since = now;
        Some(Verdict::Unreachable(member))
    }

    /// It was alive `at` that time: an echo on its link, or another member's word.
    pub fn sign(&mut self, now: Instant, member: MemberId, at: Instant) -> Option<Verdict> {
        let stretch = self.stretch;
        let case = self.cases.get_mut(&member)?;
        // An answer and a heartbeat that cross echo two of ours at once: one sign.
        let gap = at.since(case.counted);
        if case.is_linked && gap >= limits::HEARTBEAT_MS / 2 {
            case.counted = at;
            let stray = gap.abs_diff(case.gap);
            case.stray = (case.stray * 7 + stray) / 8;
            case.gap = (case.gap * 7 + gap) / 8;
        }
        case.heard = case.heard.max(at);
        // Only a link of our own makes a member reachable again.
        if case.standing == Standing::Heard || !case.is_linked || now >= case.suspect_at(stretch) {
            return None;
        }
        let from = core::mem::take(&mut case.standing);
        case.is_refused = false;
        case.probe_at = Instant::NEVER;
        self.look_later(now);
        Some(Verdict::Reachable(member, from))
    }

    /// Whom to ask about a member in doubt: one that hears it is enough for as long as it does. Where
    /// many are in doubt at one time, one each is asked instead of three.
    pub fn ask(&mut self, member: MemberId) -> Ask {
        let case = self.cases.get_mut(&member);
        if let Some(voucher) = case.and_then(|case| case.voucher.take()) {
            return Ask::Voucher(voucher);
        }
        let share = QUESTIONS_MAX / self.doubts.max(1);
        Ask::Any(share.clamp(1, ASKED))
    }

    /// Another member says that it heard `member` that long ago. Only of those in doubt.
    pub fn vouched(&mut self, now: Instant, by: MemberId, member: MemberId, age: Millis) {
        if let Some(case) = self.cases.get_mut(&member)
            && case.standing == Standing::Suspect
        {
            case.heard = case.heard.max(Instant(now.0.saturating_sub(age)));
            case.voucher = Some(by);
        }
    }

    /// How long ago `member` was heard over a link of ours; none when it is not linked.
    #[must_use]
    pub fn age(&self, now: Instant, member: MemberId) -> Option<Millis> {
        let case = self.cases.get(&member)?;
        (case.is_linked && case.standing == Standing::Heard).then(|| now.since(case.heard))
    }

    /// What is due.
    pub fn wake(&mut self, now: Instant) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if self.calm_at <= now {
            self.stretch = (self.stretch - 1).max(1);
            self.calm_at = if self.stretch > 1 {
                now + CALM_MS
            } else {
                Instant::NEVER
            };
        }
        let stretch = self.stretch;
        let mut has_news = false;
        self.doubts = 0;
        for (member, case) in &mut self.cases {
            if case.standing == Standing::Heard && case.suspect_at(stretch) <= now {
                case.standing = Standing::Suspect;
                case.probe_at = now;
                verdicts.push(Verdict::Suspect(*member));
            }
            if case.standing == Standing::Suspect && case.unreachable_at(stretch) <= now {
                case.standing = Standing::Unreachable;
                case.since = now;
                case.probe_at = Instant::NEVER;
                has_news = true;
                verdicts.push(Verdict::Unreachable(*member));
            }
            self.doubts += usize::from(case.standing == Standing::Suspect);
            if case.probe_at <= now {
                case.probe_at = now + limits::HEARTBEAT_MS;
                verdicts.push(Verdict::Probe(*member));
            }
        }
        if has_news {
            self.look_later(now);
        }
        if self.island_at <= now {
            self.island_at = Instant::NEVER;
            verdicts.extend(self.look());
        }
        verdicts
    }

    /// When [`Watch::wake`] is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        let times = self.cases.values().map(|case| case.due(self.stretch));
        let first = times.min().unwrap_or(Instant::NEVER);
        first.min(self.calm_at).min(self.island_at)
    }

    /// When [`Watch::wake`] is due because of this one member.
    #[must_use]
    pub fn due(&self, member: MemberId) -> Instant {
        let case = self.cases.get(&member);
        case.map_or(Instant::NEVER, |case| case.due(self.stretch))
    }

    /// A wake-up came that much too late. True when this process stood still: then the time does
    /// not count as anyone's silence, and everyone gets more of it for a while.
    pub fn late(&mut self, now: Instant, by: Millis) -> bool {
        if by < LATE_MS {
            return false;
        }
        self.stretch = (self.stretch + 1).min(STRETCH_MAX);
        self.calm_at = now + CALM_MS;
        for case in self.cases.values_mut() {
            case.heard = case.heard + by;
            case.counted = case.counted + by;
        }
        true
    }

    /// How much the limits are stretched by own lateness, 1 to 8.
    #[must_use]
    pub fn stretch(&self) -> u64 {
        self.stretch
    }

    /// The opinion about one member; one that is not in the set is heard as long as it is linked.
    #[must_use]
    pub fn standing(&self, member: MemberId) -> Standing {
        self.cases
            .get(&member)
            .map_or(Standing::Heard, |case| case.standing)
    }

    /// True when messages can be expected to reach it: one that was never linked is not believed to
    /// be there; one whose link broke is, for a while.
    #[must_use]
    pub fn is_reachable(&self, member: MemberId) -> bool {
        self.cases.get(&member).is_some_and(|case| {
            case.standing != Standing::Unreachable && (case.is_linked || case.was_linked)
        })
    }

    /// How many are unreachable.
    #[must_use]
    pub fn unreachable(&self) -> usize {
        let cases = self.cases.values();
        cases
            .filter(|case| case.standing == Standing::Unreachable)
            .count()
    }

    /// Those that are unreachable, and since when.
    pub fn gone(&self) -> impl Iterator<Item = (MemberId, Instant)> + '_ {
        let gone = self
            .cases
            .iter()
            .filter(|(_, case)| case.standing == Standing::Unreachable);
        gone.map(|(member, case)| (*member, case.since))
    }

    fn look_later(&mut self, now: Instant) {
        self.island_at = now + SETTLE_MS;
    }

    /// Whether this member is cut off from some.
    fn look(&mut self) -> Option<Verdict> {
        let silent = self.cases.iter().filter(|(_, case)| {
            case.standing == Standing::Unreachable && case.was_linked && !case.is_refused
        });
        let silent: BTreeSet<MemberId> = silent.map(|(member, _)| *member).collect();
        let had = core::mem::replace(&mut self.beyond, silent);
        if had == self.beyond {
            return None;
        }
        if self.beyond.is_empty() {
            return Some(Verdict::Healed);
        }
        // One that was told before and is back, or ended, does not make another split.
        if self.beyond.is_subset(&had) {
            return None;
        }
        let island = self
            .cases
            .iter()
            .filter(|(_, case)| case.standing != Standing::Unreachable);
        Some(Verdict::Split(island.map(|(member, _)| *member).collect()))
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
