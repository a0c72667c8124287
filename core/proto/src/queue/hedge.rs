//! A member that is slow holds up no receipt for long: copies that are late go to one more member, within a
//! budget (protocol.md 4.3, point 5).
//!
//! Late is what takes twice as long as copies usually take at members like this one, those of its zone, and
//! no less than a floor. Usual is a member's own mean and four times its deviation, as TCP's patience is (RFC
//! 6298), and of the members of a zone the middle one: a member that has always been slow is so all the same,
//! and a zone that is far away is not. Whoever was late is chosen last for a while, so that the next enqueues need
//! no further copy. All further copies together are one frame of twenty: where everybody is slow, more copies would
//! make everybody slower.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::batch::Batch;
use super::canary::QueueCanary;
use super::slot::Place;
use super::span::Span;
use super::{Alarm, Queues};
use crate::base::{Instant, MemberId, Millis, Now};
use crate::copies::{Holder, Zone};

/// No copy is late before (protocol.md 4.3).
pub(super) const FLOOR_MS: Millis = 50;
/// Late is what takes so many times as long as usual.
const LATE_FACTOR: Millis = 2;
/// What is usual where nobody knows.
const UNKNOWN_MS: Millis = 50;
/// For so long whoever was late is chosen last; one copyset is drawn anew in that time.
const SHUN_MS: Millis = 10_000;
/// One frame more for so many frames of copies (protocol.md 4.3: 5 %).
const FRAMES_FOR_ONE: u64 = 20;
/// Frames more that may go out before any was earned.
const ADVANCE: u64 = 8;
/// Frames that are earned at most before they are used: what is under way to one member, of four, when it stops, at
/// 5,000 enqueues a second.
const SAVED_MAX: u64 = 64;
/// A mean moves by one part of so many to each new time, and a deviation of half as many.
const SMOOTH: u64 = 8;

/// How long copies take at one member.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// [`SMOOTH`] times the mean, in ms; 0 before the first.
    mean: u64,
    /// Half as many times the mean deviation from it.
    deviation: u64,
}

impl Pace {
    /// Copies took that long.
    pub(super) fn note(&mut self, took: Millis) {
        // What takes longer is told from death by others.
        let took = took.clamp(1, 60_000);
        if self.mean == 0 {
            (self.mean, self.deviation) = (took * SMOOTH, took * SMOOTH / 4);
            return;
        }
        let apart = took.abs_diff(self.mean / SMOOTH);
        self.deviation = self.deviation - self.deviation / (SMOOTH / 2) + apart;
        self.mean = self.mean - self.mean / SMOOTH + took;
    }

    /// What nearly all of them take at most; none before the first.
    fn usual(self) -> Option<Millis> {
        (self.mean > 0).then_some(self.mean / SMOOTH + 4 * (self.deviation / (SMOOTH / 2)))
    }
}

/// What may be sent beside what was asked for.
#[derive(Debug)]
pub(super) struct Budget {
    /// Parts of frames: each frame of copies earns one.
    saved: u64,
    earned: u64,
    spent: u64,
}

impl Default for Budget {
    fn default() -> Self {
        let saved = ADVANCE * FRAMES_FOR_ONE;
        Self {
            saved,
            earned: saved,
            spent: 0,
        }
    }
}

impl Budget {
    fn earn(&mut self, frames: u64) {
        self.earned = self.earned.saturating_add(frames);
        self.saved = (self.saved + frames).min(SAVED_MAX * FRAMES_FOR_ONE);
    }

    /// True where there is enough for so many frames.
    fn may_spend(&self, frames: u64) -> bool {
        self.saved >= frames.saturating_mul(FRAMES_FOR_ONE)
    }

    fn spend(&mut self, frames: u64) {
        let parts = frames.saturating_mul(FRAMES_FOR_ONE);
        self.spent = self.spent.saturating_add(parts);
        self.saved = self.saved.saturating_sub(parts);
    }

    /// That no more was spent than earned; the text says how much it was.
    pub(super) fn audit(&self) -> Result<(), String> {
        let [spent, earned] = [self.spent, self.earned].map(|parts| parts / FRAMES_FOR_ONE);
        if spent <= earned {
            return Ok(());
        }
        Err(format!("{spent} further frames of copies, {earned} may be"))
    }
}

/// What is watched of an enqueue's copies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    /// When they were sent.
    pub(super) sent: Instant,
    /// How many stores were chosen then, this one included: the first ones in the list of holders.
    pub(super) chosen: u32,
    /// Frames that went to one of them, at most.
    pub(super) frames: u64,
    /// When they are looked at next; none once that is over.
    pub(super) look: Option<Instant>,
    /// When too few of them are decided upon.
    pub(super) deadline: Instant,
}

impl Watch {
    /// When there is something to do.
    pub(super) fn due(&self) -> Instant {
        self.look
            .map_or(self.deadline, |look| look.min(self.deadline))
    }
}

impl Queues {
    /// Copies went out to one member in so many frames.
    pub(super) fn earn_hedges(&mut self, frames: u64) {
        self.counters.copy_frames += frames;
        self.hedges.earn(frames);
    }

    /// A store confirmed copies of that batch: its member's pace is known better.
    pub(super) fn note_pace(&mut self, now: Now, batch: u32, place: u32, member: MemberId) {
        if let Some(Some(open)) = self.batches.get(batch as usize)
            && place < open.watch.chosen
            && let Some(peer) = self.peers.get_mut(&member)
        {
            peer.pace.note(now.mono.since(open.watch.sent));
        }
    }

    /// A batch is not finished after a while: true where its deadline is not reached, and it goes on.
    pub(super) fn look_at_copies(&mut self, now: Now, batch: u32) -> bool {
        let Some(Some(open)) = self.batches.get(batch as usize) else {
            return false;
        };
        let watch = open.watch;
        if now.mono >= watch.deadline {
            return false;
        }
        if let Some(look) = watch.look {
            let next = self.next_look(now, open, look);
            if next.is_none() {
                let span = open.span.clone();
                self.hedge(now, batch, &span);
            }
            if let Some(Some(open)) = self.batches.get_mut(batch as usize) {
                open.watch.look = next;
                self.batch_wheel.set(batch, open.watch.due());
            }
        }
        true
    }

    /// When a batch is to be looked at again; none where something of it is late now.
    fn next_look(&self, now: Now, open: &Batch, look: Instant) -> Option<Instant> {
        if now.mono.since(look) >= FLOOR_MS {
            // Nothing ran here meanwhile: the answers may be here, and are heard first.
            return Some(now.mono + FLOOR_MS);
        }
        let late = self.missing(&open.span).into_iter();
        let patience = late.map(|target| self.copy_patience(target.member)).max();
        let at = open.watch.sent + patience.unwrap_or(FLOOR_MS);
        (at > now.mono).then_some(at)
    }

    /// Linked stores that have not confirmed messages of a batch.
    fn missing(&self, span: &Span) -> Vec<Holder> {
        let mut missing: Vec<Holder> = Vec::new();
        for slot in span.ids().filter_map(|id| self.slot(id)) {
            if slot.place != Place::Replicating {
                continue;
            }
            for (place, holder) in slot.holders.iter().enumerate() {
                let is_open = slot.confirmed & (1 << place) == 0 && *holder != self.me;
                if is_open && self.is_linked(*holder) && !missing.contains(holder) {
                    missing.push(*holder);
                }
            }
        }
        missing
    }

    /// How long copies may take at a member before they are late.
    fn copy_patience(&self, member: MemberId) -> Millis {
        let zone = self
            .peers
            .get(&member)
            .map_or(Zone::default(), |it| it.zone);
        let alike = self.peers.values().filter(|peer| peer.zone == zone);
        let mut usual: Vec<Millis> = alike.filter_map(|peer| peer.pace.usual()).collect();
        usual.sort_unstable();
        // Of two the quicker one.
        let middle = usual.get(usual.len().saturating_sub(1) / 2);
        let usual = middle.copied().unwrap_or(UNKNOWN_MS);
        (LATE_FACTOR * usual).max(FLOOR_MS)
    }

    /// Copies of a batch are late: it goes to one more member, and who is late is chosen last for a while. What is
    /// given out at most once has no copies, so it never comes here.
    fn hedge(&mut self, now: Now, batch: u32, span: &Span) {
        let late = self.missing(span);
        if late.is_empty() {
            // Whoever is not there any more has been replaced, or there was nobody to replace it.
            return;
        }
        let mut is_news = false;
        for target in late {
            is_news |= self.shun(now, target.member);
        }
        if is_news {
            self.choose_candidates(now);
        }
        let Some(Some(open)) = self.batches.get(batch as usize) else {
            return;
        };
        let frames = open.watch.frames;
        let has_another = self
            .span_holders(span)
            .is_some_and(|holders| self.placement.has_another(&holders));
        if !has_another {
            return;
        }
        let is_free = self.planted.is(QueueCanary::HedgesUnbounded);
        if !self.hedges.may_spend(frames) && !is_free {
            self.counters.hedges_skipped += 1;
            return;
        }
        self.hedges.spend(frames);
        self.counters.hedges += 1;
        self.send_to_another(span);
    }

    /// Chooses a member last for a while; true when that is news.
    fn shun(&mut self, now: Now, member: MemberId) -> bool {
        let Some(peer) = self.peers.get_mut(&member) else {
            return false;
        };
        let until = now.mono + SHUN_MS;
        self.alarms.set(Alarm::Shunned(member), until);
        peer.late_until.replace(until).is_none()
    }

    /// A member was late a while ago: it is as good as others again.
    pub(super) fn spare_late(&mut self, now: Now, member: MemberId) {
        if let Some(peer) = self.peers.get_mut(&member) {
            peer.late_until = None;
            self.choose_candidates(now);
        }
    }

    /// Members that were late with copies, not long ago.
    pub(super) fn late_count(&self) -> usize {
        let peers = self.peers.values();
        peers.filter(|peer| peer.late_until.is_some()).count()
    }
}

#[cfg(test)]
#[path = "hedge_tests.rs"]
mod tests;
