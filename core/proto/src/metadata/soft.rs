//! Who has ready messages, and who is short of memory: one row a member, written by that member alone, told
//! to every link.
//!
//! Only edges travel (empty to stocked and back), and at most one an interval for each queue: a busy
//! queue costs nothing. A row carries a version; heartbeats repeat it, and who has another one asks
//! for the whole row. A row dies with its link.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::base::{Instant, MemberId, Millis};

/// Least time between two edges of one queue (protocol.md 3.2). A consumer that found the stock
/// gone is told of new stock at once all the same, by the owner it asked.
const EDGE_MS: Millis = 200;

/// A row of many queues goes in frames of about so many bytes.
const PART_BYTES: usize = 256 << 10;

/// A change of the sender's row, or all of it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Stock {
    /// Counts the changes of this row.
    #[prost(uint64, tag = "1")]
    pub version: u64,
    /// True when `stocked` is everything, or the first part of it.
    #[prost(bool, tag = "2")]
    pub is_whole: bool,
    /// Queues that have ready messages.
    #[prost(string, repeated, tag = "3")]
    pub stocked: Vec<String>,
    /// Queues that have none any more.
    #[prost(string, repeated, tag = "4")]
    pub empty: Vec<String>,
    /// True for a hint to one consumer only: it changes no version.
    #[prost(bool, tag = "5")]
    pub is_hint: bool,
    /// How much there is of queues that have a maximum; those of a whole row are all but the empty ones.
    #[prost(message, repeated, tag = "6")]
    pub lengths: Vec<Length>,
    /// How near its sender is to its memory budget, 0 to 4: said in every row and change, but in no hint.
    #[prost(uint32, tag = "7")]
    pub memory_level: u32,
}

impl Stock {
    /// About how many bytes it takes on the wire.
    #[must_use]
    pub fn weight(&self) -> usize {
        let names = self.stocked.iter().chain(&self.empty);
        let lengths = self.lengths.iter().map(Length::weight);
        16 + names.map(|name| name_weight(name)).sum::<usize>() + lengths.sum::<usize>()
    }

    /// The same in frames that are not too large, all of one version. The first says whether it is a whole row; what
    /// follows on it are edges, so that who knows of no parts understands them too.
    #[must_use]
    pub fn into_parts(mut self) -> Vec<Stock> {
        if self.weight() <= PART_BYTES {
            return Vec::from([self]);
        }
        let names = core::mem::take(&mut self.stocked);
        let empty = core::mem::take(&mut self.empty);
        let lengths = core::mem::take(&mut self.lengths);
        let next = Stock {
            is_whole: false,
            ..self.clone()
        };
        let mut parts = Parts {
            done: Vec::new(),
            part: self,
            bytes: 0,
            next,
        };
        for name in names {
            parts.room_for(name_weight(&name)).stocked.push(name);
        }
        for name in empty {
            parts.room_for(name_weight(&name)).empty.push(name);
        }
        for length in lengths {
            parts.room_for(length.weight()).lengths.push(length);
        }
        parts.done.push(parts.part);
        parts.done
    }
}

fn name_weight(name: &str) -> usize {
    name.len() + 3
}

/// A row that is being cut.
struct Parts {
    done: Vec<Stock>,
    part: Stock,
    /// Bytes of that one.
    bytes: usize,
    /// What a further one begins as.
    next: Stock,
}

impl Parts {
    /// The part that takes so many bytes more.
    fn room_for(&mut self, bytes: usize) -> &mut Stock {
        if self.bytes + bytes > PART_BYTES {
            let next = self.next.clone();
            self.done.push(core::mem::replace(&mut self.part, next));
            self.bytes = 0;
        }
        self.bytes += bytes;
        &mut self.part
    }
}

/// How much of a queue that has a maximum its sender has.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Length {
    /// The queue, or the shelf of its group.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// Messages that it owns.
    #[prost(uint64, tag = "2")]
    pub messages: u64,
    /// Bytes of their bodies.
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
}

impl Length {
    fn weight(&self) -> usize {
        self.queue.len() + 26
    }
}

#[derive(Debug, Default)]
struct Row {
    version: u64,
    queues: BTreeSet<Arc<str>>,
}

/// This member's row and its copies of the others'.
#[derive(Debug, Default)]
pub struct Board {
    version: u64,
    /// What was last told of each queue, and when.
    told: BTreeMap<Arc<str>, (bool, Instant)>,
    /// What is to be told.
    dirty: BTreeMap<Arc<str>, bool>,
    rows: BTreeMap<MemberId, Row>,
    /// The lengths last told, and when.
    lengths_told: BTreeMap<Arc<str>, ((u64, u64), Instant)>,
    /// Those that are to be told.
    lengths: BTreeMap<Arc<str>, (u64, u64)>,
    /// How near this member is to its memory budget; as last told, and when.
    level: u32,
    level_told: (u32, Instant),
}

impl Board {
    /// Notes that a queue of this member became stocked or empty.
    pub fn set(&mut self, queue: &Arc<str>, is_stocked: bool) {
        let told = self.told.get(queue).is_some_and(|(told, _)| *told);
        if told == is_stocked {
            self.dirty.remove(queue);
        } else {
            self.dirty.insert(queue.clone(), is_stocked);
        }
    }

    /// Notes how many messages and bytes this member has of a queue that has a maximum.
    pub fn set_length(&mut self, queue: &Arc<str>, length: (u64, u64)) {
        let told = self.lengths_told.get(queue).map_or((0, 0), |told| told.0);
        if told == length {
            self.lengths.remove(queue);
        } else {
            self.lengths.insert(queue.clone(), length);
        }
    }

    /// Notes how near this member is to its memory budget.
    pub fn set_level(&mut self, level: u8) {
        self.level = level.into();
    }

    /// True when some edge waits to be told.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.dirty.is_empty() || !self.lengths.is_empty() || self.level != self.level_told.0
    }

    /// The edges that may be told now.
    pub fn flush(&mut self, now: Instant) -> Option<Stock> {
        let mut stock = Stock::default();
        let told = &mut self.told;
        self.dirty.retain(|queue, is_stocked| {
            let is_early = told
                .get(queue)
                .is_some_and(|(_, at)| now.since(*at) < EDGE_MS);
            if is_early {
                return true;
            }
            told.insert(queue.clone(), (*is_stocked, now));
            let names = if *is_stocked {
                &mut stock.stocked
            } else {
                &mut stock.empty
            };
            names.push(queue.as_ref().into());
            false
        });
        self.flush_lengths(now, &mut stock);
        let is_level_due = self.level_due() <= now;
        if stock == Stock::default() && !is_level_due {
            return None;
        }
        if is_level_due {
            self.level_told = (self.level, now);
        }
        stock.memory_level = self.level_told.0;
        // Empty ones are only remembered while their interval lasts.
        self.told
            .retain(|_, (is_stocked, at)| *is_stocked || now.since(*at) < EDGE_MS);
        self.version += 1;
        stock.version = self.version;
        Some(stock)
    }

    fn flush_lengths(&mut self, now: Instant, stock: &mut Stock) {
        let told = &mut self.lengths_told;
        let is_early = |at: &Instant| now.since(*at) < EDGE_MS;
        self.lengths.retain(|queue, length| {
            if told.get(queue).is_some_and(|(_, at)| is_early(at)) {
                return true;
            }
            told.insert(queue.clone(), (*length, now));
            stock.lengths.push(length_of(queue, *length));
            false
        });
        told.retain(|_, (length, at)| *length != (0, 0) || is_early(at));
    }

    fn level_due(&self) -> Instant {
        match self.level_told {
            (told, _) if told == self.level => Instant::NEVER,
            (_, at) => at + EDGE_MS,
        }
    }

    /// When [`Board::flush`] will have something to tell.
    #[must_use]
    pub fn next(&self) -> Instant {
        let times = self.dirty.keys().map(|queue| match self.told.get(queue) {
            Some((_, at)) => *at + EDGE_MS,
            None => Instant(0),
        });
        let lengths = self.lengths.keys();
        let lengths = lengths.map(|queue| match self.lengths_told.get(queue) {
            Some((_, at)) => *at + EDGE_MS,
            None => Instant(0),
        });
        let edges = times.chain(lengths).min().unwrap_or(Instant::NEVER);
        edges.min(self.level_due())
    }

    /// This member's whole row, for a new link or one that missed something.
    #[must_use]
    pub fn whole(&self) -> Stock {
        let stocked = self.told.iter().filter(|(_, (is_stocked, _))| *is_stocked);
        let lengths = self.lengths_told.iter();
        let lengths = lengths.filter(|(_, (length, _))| *length != (0, 0));
        let lengths = lengths.map(|(queue, (length, _))| length_of(queue, *length));
        Stock {
            version: self.version,
            is_whole: true,
            stocked: stocked.map(|(queue, _)| queue.as_ref().into()).collect(),
            lengths: lengths.collect(),
            memory_level: self.level_told.0,
            ..Stock::default()
        }
    }

    /// The version of this member's row.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// True when `version` is not what this member has of that row.
    #[must_use]
    pub fn is_behind(&self, member: MemberId, version: u64) -> bool {
        self.rows.get(&member).map_or(0, |row| row.version) != version
    }

    /// Takes a peer's row or edges in; answers what changed: (queue, stocked).
    pub fn hear(&mut self, member: MemberId, stock: Stock) -> Vec<(Arc<str>, bool)> {
        let row = self.rows.entry(member).or_default();
        let mut changes = Vec::new();
        let stocked: Vec<Arc<str>> = stock.stocked.into_iter().map(Arc::from).collect();
        if stock.is_whole {
            let whole: BTreeSet<Arc<str>> = stocked.iter().cloned().collect();
            let gone = row.queues.difference(&whole);
            changes.extend(gone.map(|queue| (queue.clone(), false)));
            row.queues = whole;
        }
        for queue in stocked {
            // Told again although known: a consumer that found it empty has to look again.
            row.queues.insert(queue.clone());
            changes.push((queue, true));
        }
        for queue in stock.empty {
            if let Some(queue) = row.queues.take(queue.as_str()) {
                changes.push((queue, false));
            }
        }
        if !stock.is_hint {
            row.version = stock.version;
        }
        changes
    }

    /// Whose rows are here.
    pub fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.rows.keys().copied()
    }

    /// A link is gone, and the row with it; answers the queues it had.
    pub fn forget(&mut self, member: MemberId) -> Vec<Arc<str>> {
        let row = self.rows.remove(&member).unwrap_or_default();
        row.queues.into_iter().collect()
    }
}

fn length_of(queue: &Arc<str>, (messages, bytes): (u64, u64)) -> Length {
    Length {
        queue: queue.as_ref().into(),
        messages,
        bytes,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn the_first_edge_goes_at_once_and_a_flapping_queue_is_told_once_an_interval() {
        let mut board = Board::default();
        let jobs: Arc<str> = "jobs".into();
        board.set(&jobs, true);
        let first = board.flush(Instant(10)).unwrap();
        assert_eq!(first.stocked, ["jobs"]);
        for _ in 0..100 {
            board.set(&jobs, false);
            assert_eq!(board.flush(Instant(20)), None);
            board.set(&jobs, true);
        }
        assert_eq!(board.next(), Instant::NEVER);
        board.set(&jobs, false);
        assert_eq!(board.next(), Instant(10 + EDGE_MS));
        assert_eq!(board.flush(board.next()).unwrap().empty, ["jobs"]);
        assert_eq!(board.version(), 2);
    }

    #[test]
    fn lengths_are_told_once_an_interval_and_a_whole_row_has_all_but_empty_ones() {
        let mut board = Board::default();
        let jobs: Arc<str> = "jobs".into();
        board.set_length(&jobs, (3, 30));
        assert!(board.has_news());
        let first = board.flush(Instant(10)).unwrap();
        assert_eq!(first.lengths, [length_of(&jobs, (3, 30))]);
        board.set_length(&jobs, (4, 40));
        assert_eq!(board.flush(Instant(20)), None);
        assert_eq!(board.next(), Instant(10 + EDGE_MS));
        assert_eq!(board.whole().lengths, [length_of(&jobs, (3, 30))]);
        board.set_length(&jobs, (0, 0));
        let last = board.flush(board.next()).unwrap();
        assert_eq!(last.lengths, [length_of(&jobs, (0, 0))]);
        assert_eq!(board.whole().lengths, []);
        assert_eq!(board.next(), Instant::NEVER);
    }

    #[test]
    fn a_memory_level_is_told_once_an_interval_and_with_everything_else() {
        let mut board = Board::default();
        board.set_level(2);
        assert!(board.has_news());
        assert_eq!(board.next(), Instant(EDGE_MS));
        assert_eq!(board.flush(Instant(EDGE_MS - 1)), None);
        let first = board.flush(board.next()).unwrap();
        assert_eq!((first.memory_level, first.version), (2, 1));
        board.set_level(3);
        board.set(&"jobs".into(), true);
        let early = board.flush(Instant(EDGE_MS + 1)).unwrap();
        assert_eq!((early.memory_level, early.version), (2, 2));
        assert_eq!(board.whole().memory_level, 2);
        let second = board.flush(board.next()).unwrap();
        assert_eq!((second.memory_level, second.version), (3, 3));
        // Gone back before it was told: nothing to tell.
        board.set_level(0);
        board.set_level(3);
        assert!(!board.has_news());
        assert_eq!(board.next(), Instant::NEVER);
    }

    #[test]
    fn a_row_of_many_queues_goes_in_parts_that_make_the_same_row() {
        let (mut a, mut b) = (Board::default(), Board::default());
        let member = MemberId(1);
        b.hear(member, {
            let mut before = Board::default();
            before.set(&"gone".into(), true);
            before.flush(Instant(0)).unwrap()
        });
        for n in 0..50_000 {
            let queue: Arc<str> = alloc::format!("a queue that many have {n}").into();
            a.set(&queue, true);
            a.set_length(&queue, (n, n));
        }
        let edges = a.flush(Instant(0)).unwrap().into_parts();
        let whole = a.whole().into_parts();
        for parts in [&edges, &whole] {
            assert!(parts.len() > 5);
            assert!(parts.iter().all(|part| part.encoded_len() <= PART_BYTES));
            assert!(parts.iter().all(|part| part.version == a.version()));
            let lengths = parts.iter().map(|part| part.lengths.len());
            // All but the one that is empty.
            assert!(lengths.sum::<usize>() >= 49_999);
        }
        assert!(edges.iter().all(|part| !part.is_whole));
        let mut changes = Vec::new();
        for part in whole {
            changes.extend(b.hear(member, part));
        }
        assert!(changes.contains(&("gone".into(), false)));
        assert!(!b.is_behind(member, a.version()));
        assert_eq!(b.forget(member).len(), 50_000);
    }

    #[test]
    fn a_whole_row_replaces_what_was_missed() {
        let (mut a, mut b) = (Board::default(), Board::default());
        let member = MemberId(1);
        for name in ["x", "y"] {
            a.set(&name.into(), true);
        }
        b.hear(member, a.flush(Instant(0)).unwrap());
        a.set(&"x".into(), false);
        a.flush(Instant(1_000)).unwrap();
        assert!(b.is_behind(member, a.version()));
        let changes = b.hear(member, a.whole());
        assert!(changes.contains(&("x".into(), false)));
        assert!(!b.is_behind(member, a.version()));
        assert_eq!(b.forget(member), ["y".into()]);
    }
}
