//! The learning side of one exchange (protocol.md 3.1, "exchange"; the rule that must not be got
//! wrong).
//!
//! The peer answers its sums and its context, taken in one step. The context judges what it says
//! later of the keys in the groups that differ; their own dots count as seen at once, but the
//! context itself is joined only when all of those groups are done. Then every dot that was live at
//! the peer when its context was taken has been seen here, or is known to have been removed since.
//! An exchange that ends early joins nothing.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_64;

use super::answer::Bounds;
use super::canary::{MetaCanary, Planted};
use super::message::{ASK, Ask, COMPARE, Compare, ENTRIES, Entries, Exchange, Head, OVER, SAME};
use super::message::{SUMS, Seen, corrupt};
use super::table::Table;
use crate::base::{BootId, Now, Result};
use crate::crdt::{Context, Dot, GROUPS, group_of};
use crate::wire::Reader;

/// Dots of one peer's context: a million boots are the design's limit (protocol.md 3.1).
const CONTEXT_DOTS_MAX: usize = 1 << 20;

/// What a message led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: it was late or doubled.
    Nothing,
    /// It is a part of what is awaited.
    Wait,
    /// This question is next.
    Ask(Exchange),
    /// Everything is learned.
    Done,
    /// It cannot go on.
    Over,
}

/// One exchange, as the learner sees it.
#[derive(Debug)]
pub(super) struct Lesson {
    number: u64,
    /// The actor of our own table: another one means that we began anew meanwhile.
    own_life: BootId,
    /// Our context when its hashes were sent: what the peer has of the groups it does not tell.
    base: Option<Context>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Gathering(Gathering),
    Comparing(Comparing),
}

/// Which table sums are of, and of when: (its actor, its digest then).
type Origin = (u64, u64);

/// The sums and the context come in.
#[derive(Debug, Default)]
struct Gathering {
    head: Option<(Origin, Head)>,
    parts: u64,
    dots: usize,
    context: Context,
}

/// The peer's context as of its sums.
#[derive(Debug)]
struct Judge {
    /// What it told of its groups of actors, and which those are.
    told: Context,
    groups: [u8; GROUPS / 8],
    /// Of the others it had the same as we had when we asked. Not more: what we have seen since, it
    /// may lack.
    base: Context,
}

impl Judge {
    fn holds(&self, dot: Dot) -> bool {
        let group = group_of(dot.actor);
        let byte = self.groups.get(usize::from(group / 8));
        let is_told = byte.is_some_and(|byte| byte & (1 << (group % 8)) != 0);
        let context = if is_told { &self.told } else { &self.base };
        context.holds(dot)
    }

    /// Notes everything that it has seen; the base has been seen here already.
    fn join(&self, table: &mut Table) {
        table.map_mut().join_context(&self.told);
    }
}

/// The groups that differ are repaired, range by range.
#[derive(Debug)]
struct Comparing {
    /// The actor of the peer's table; the entries must be of the same.
    life: u64,
    judge: Judge,
    round: u64,
    /// What is left to compare.
    ranges: Vec<(u64, u64)>,
    /// Of the first hash there, values up to this dot are here.
    after: Option<Dot>,
    /// What the last question asked for.
    asked: Compare,
    lines_max: usize,
}

impl Lesson {
    /// An exchange that begins, and its first question.
    pub(super) fn begin(number: u64, table: &Table, bounds: Bounds) -> (Self, Exchange) {
        let map = table.map();
        let has_many = map.context().actors() >= bounds.contexts_from;
        let base = has_many.then(|| map.context().clone());
        let ask = Ask {
            root: map.root(),
            digest: map.digest(),
            contexts: base.as_ref().map_or_else(Vec::new, Context::group_hashes),
        };
        let lesson = Self {
            number,
            own_life: table.actor(),
            base,
            stage: Stage::Gathering(Gathering::default()),
        };
        let question = Exchange {
            body: ask.write(),
            ..Exchange::new(ASK, number)
        };
        (lesson, question)
    }

    /// Takes an answer in; the keys that it changed are added to `changed`. Errors: 503.
    pub(super) fn hear(
        &mut self,
        now: Now,
        message: &Exchange,
        table: &mut Table,
        changed: &mut Vec<Vec<u8>>,
        (bounds, planted): (Bounds, Planted),
    ) -> Result<Step> {
        if message.number != self.number {
            return Ok(Step::Nothing);
        }
        if self.own_life != table.actor() {
            return Ok(Step::Over);
        }
        match (message.kind, &mut self.stage) {
            (SAME, Stage::Gathering(gathering)) if gathering.parts == 0 => Ok(Step::Done),
            (SUMS, Stage::Gathering(gathering)) => {
                let step = gathering.hear(message)?;
                if step != Step::Done {
                    return Ok(step);
                }
                let gathered = core::mem::take(gathering);
                Ok(self.gathered(gathered, table, bounds, planted))
            }
            (ENTRIES, Stage::Comparing(comparing)) => {
                if message.round != comparing.round || message.life != comparing.life {
                    return Ok(Step::Nothing);
                }
                let mut reader = Reader::new(message.body.clone());
                let entries = Entries::read(&mut reader)?;
                if planted.is(MetaCanary::YoungContext) {
                    comparing.renew(&Seen::read(&mut reader)?);
                }
                comparing.check(&entries)?;
                changed.append(&mut comparing.repair(now, &entries, table));
                comparing.advance(&entries, bounds);
                if !comparing.ranges.is_empty() {
                    return Ok(Step::Ask(comparing.ask(self.number, table)));
                }
                if !planted.is(MetaCanary::JoinOnlyOnEqualRoots) {
                    comparing.judge.join(table);
                }
                Ok(Step::Done)
            }
            (OVER, _) => Ok(Step::Over),
            _ => Ok(Step::Nothing),
        }
    }

    /// Sums and context are here: what differs?
    fn gathered(
        &mut self,
        gathered: Gathering,
        table: &mut Table,
        bounds: Bounds,
        planted: Planted,
    ) -> Step {
        let Some(((life, _), head)) = gathered.head else {
            return Step::Over;
        };
        let judge = Judge {
            told: gathered.context,
            groups: head.told,
            base: self.base.take().unwrap_or_default(),
        };
        if planted.is(MetaCanary::JoinContextEarly) {
            judge.join(table);
        }
        // No sums: our entries at the time of asking were the peer's at the time of its context.
        let ranges = ranges_of(&head.sums, table.map().sums());
        if ranges.is_empty() {
            if !planted.is(MetaCanary::JoinOnlyOnEqualRoots) || head.sums.is_empty() {
                judge.join(table);
            }
            return Step::Done;
        }
        let mut comparing = Comparing {
            life,
            judge,
            round: 0,
            ranges,
            after: None,
            asked: Compare::default(),
            lines_max: bounds.lines_first,
        };
        let question = comparing.ask(self.number, table);
        self.stage = Stage::Comparing(comparing);
        Step::Ask(question)
    }
}

impl Gathering {
    fn hear(&mut self, message: &Exchange) -> Result<Step> {
        let origin = (message.life, message.taken);
        let is_other = self
            .head
            .as_ref()
            .is_some_and(|(known, _)| *known != origin);
        if is_other || message.round < self.parts {
            return Ok(Step::Nothing);
        }
        if message.round > self.parts {
            return Ok(Step::Over);
        }
        let mut reader = Reader::new(message.body.clone());
        if self.head.is_none() {
            self.head = Some((origin, Head::read(&mut reader)?));
        }
        let seen = Seen::read(&mut reader)?;
        self.parts += 1;
        self.dots += seen.vector.len() + seen.cloud.len();
        if self.dots > CONTEXT_DOTS_MAX {
            return Err(corrupt("a context of too many dots"));
        }
        seen.vector
            .iter()
            .for_each(|dot| self.context.add_all(*dot));
        seen.cloud.iter().for_each(|dot| self.context.add(*dot));
        Ok(if seen.is_last { Step::Done } else { Step::Wait })
    }
}

impl Comparing {
    /// The next question: what we have in the first of the ranges that are left.
    fn ask(&mut self, number: u64, table: &Table) -> Exchange {
        let mut asked = Compare {
            after: self.after,
            ..Compare::default()
        };
        'ranges: for (from, until) in &self.ranges {
            let mut last = None;
            for line in table.map().lines(*from, *until) {
                // Keys of one hash are compared together, so a list never ends between them.
                if asked.lines.len() >= self.lines_max && last != Some(line.hash) {
                    asked.ranges.extend(last.map(|last| (*from, last)));
                    break 'ranges;
                }
                asked.lines.push((line.hash, line.version));
                last = Some(line.hash);
            }
            asked.ranges.push((*from, *until));
        }
        asked.lines.sort_unstable();
        self.round += 1;
        let question = Exchange {
            round: self.round,
            life: self.life,
            body: asked.write(),
            ..Exchange::new(COMPARE, number)
        };
        self.asked = asked;
        question
    }

    /// Refuses an answer that speaks of what was not asked, or that leads nowhere.
    fn check(&self, entries: &Entries) -> Result<()> {
        let first = self.asked.ranges.first().map_or(0, |(from, _)| *from);
        let is_forward = match (entries.next, entries.after) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(next), after) if next == first => after > self.after,
            (Some(next), _) => self.is_asked(next),
        };
        if !is_forward {
            return Err(corrupt("an exchange that does not go on"));
        }
        let is_reached = |hash: u64| {
            let is_before = entries.next.is_none_or(|next| hash < next);
            let is_begun = entries.after.is_some() && entries.next == Some(hash);
            self.is_asked(hash) && (is_before || is_begun)
        };
        let named = entries.keys.iter().map(|named| xxh3_64(&named.key));
        if named.chain(entries.gone.iter().copied()).all(is_reached) {
            return Ok(());
        }
        Err(corrupt("an exchange of keys that were not asked for"))
    }

    fn is_asked(&self, hash: u64) -> bool {
        let at = self
            .asked
            .ranges
            .partition_point(|(_, until)| *until < hash);
        let range = self.asked.ranges.get(at);
        range.is_some_and(|(from, _)| *from <= hash)
    }

    /// Repairs what the answer names, judged by the context of the sums: its keys, and ours that it
    /// lacks. Answers the keys that changed.
    fn repair(&self, now: Now, entries: &Entries, table: &mut Table) -> Vec<Vec<u8>> {
        let mut changed = Vec::new();
        let told: BTreeSet<&[u8]> = entries
            .keys
            .iter()
            .map(|named| named.key.as_ref())
            .collect();
        let mut hashes: BTreeSet<u64> = entries.gone.iter().copied().collect();
        hashes.extend(told.iter().map(|key| xxh3_64(key)));
        for hash in hashes {
            let lines = table.map().lines(hash, hash);
            let lacked = lines.filter(|line| !told.contains(line.key));
            let lacked: Vec<Vec<u8>> = lacked.map(|line| line.key.to_vec()).collect();
            for key in lacked {
                if table.repair(now, &key, &[], Vec::new(), |dot| self.judge.holds(dot)) {
                    changed.push(key);
                }
            }
        }
        for named in &entries.keys {
            let live: Vec<Dot> = named.dots.iter().map(|(dot, _)| *dot).collect();
            let values = named.dots.iter();
            let values = values.filter_map(|(dot, value)| Some((*dot, value.as_ref()?.to_vec())));
            if table.repair(now, &named.key, &live, values.collect(), |dot| {
                self.judge.holds(dot)
            }) {
                changed.push(named.key.to_vec());
            }
        }
        changed
    }

    /// Strikes out what was answered.
    fn advance(&mut self, entries: &Entries, bounds: Bounds) {
        let end = self
            .asked
            .ranges
            .last()
            .map_or(u64::MAX, |(_, until)| *until);
        let next = match entries.next {
            Some(next) => Some(next),
            None => end.checked_add(1),
        };
        let ranges = core::mem::take(&mut self.ranges).into_iter();
        let left = ranges.filter_map(|(from, until)| {
            let next = next?;
            (until >= next).then(|| (from.max(next), until))
        });
        self.ranges = left.collect();
        self.after = entries.after;
        // A list that was answered whole may be longer next time; the rest of one that was not was
        // sent in vain.
        let lines = &self.asked.lines;
        let answered = match entries.next {
            Some(next) => lines.partition_point(|(hash, _)| *hash < next),
            None => self.lines_max,
        };
        let floor = bounds.lines_first.div_ceil(16);
        self.lines_max = (answered * 2).max(floor).min(bounds.lines_max);
    }

    /// The planted bug: the newest context that was heard of judges and is joined.
    fn renew(&mut self, seen: &Seen) {
        let mut younger = Context::default();
        seen.vector.iter().for_each(|dot| younger.add_all(*dot));
        seen.cloud.iter().for_each(|dot| younger.add(*dot));
        self.judge.told = younger;
        self.judge.groups = [u8::MAX; GROUPS / 8];
    }
}

/// The hashes of the groups whose sums differ, neighbours joined.
fn ranges_of(theirs: &[u128], ours: &[u128]) -> Vec<(u64, u64)> {
    debug_assert!(theirs.is_empty() || theirs.len() == GROUPS);
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (group, (their, our)) in (0_u64..).zip(theirs.iter().zip(ours)) {
        if their == our {
            continue;
        }
        let (from, until) = (group << 56, (group << 56) | (u64::MAX >> 8));
        match ranges.last_mut() {
            Some(last) if last.1.checked_add(1) == Some(from) => last.1 = until,
            _ => ranges.push((from, until)),
        }
    }
    ranges
}
