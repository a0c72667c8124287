//! The side of an exchange that is learned from. It keeps nothing between messages: an answer is a
//! function of the table and the question, so lost, doubled and late questions cost only their work.
//!
//! Each answer is one bounded step: a frame's bytes, and a bounded walk over keys.

use alloc::vec;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::message::{Ask, Compare, DOT_BYTES_MAX, Entries, Exchange, Head, Named, Seen};
use super::message::{BODY_BYTES, SAME, SUMS};
use crate::crdt::{Context, Dot, DotMap, GROUPS, Line};

/// What one message may hold and cost. Only tests have others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of one body, but that it carries at least one value.
    pub body_bytes: usize,
    /// Keys the learner lists in one comparison: it begins with `lines_first`.
    pub lines_first: usize,
    pub lines_max: usize,
    /// Keys looked at for one answer; then the rest must be asked for.
    pub walk_max: usize,
    /// From so many actors on, the learner sends hashes of its context, so that only what it may
    /// lack of it is told: 2 KiB of hashes against 11 bytes an actor.
    pub contexts_from: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body_bytes: BODY_BYTES,
            lines_first: 4_096,
            lines_max: 12_288,
            walk_max: 16_384,
            contexts_from: 256,
        }
    }
}

/// Answers what the learner lacks: nothing, or the sums of the groups and the context, taken in this
/// one step however many messages they take.
pub(super) fn sums(
    map: &DotMap,
    life: u64,
    question: &Exchange,
    ask: &Ask,
    bounds: Bounds,
) -> Vec<Exchange> {
    if ask.root == map.root() && ask.digest == map.digest() {
        return vec![Exchange::new(SAME, question.number)];
    }
    let context = map.context();
    let groups: Vec<u8> = (0..=u8::MAX)
        .zip(context.group_hashes())
        .enumerate()
        .filter(|(at, (_, hash))| ask.contexts.get(*at) != Some(hash))
        .map(|(_, (group, _))| group)
        .collect();
    let head = Head {
        sums: if ask.root == map.root() {
            Vec::new()
        } else {
            map.sums().to_vec()
        },
        told: bits(&groups),
    };
    let mut first = BytesMut::new();
    head.write(&mut first);
    let mut parts = cut(context, &groups, first.len(), bounds);
    if let Some(last) = parts.last_mut() {
        last.is_last = true;
    }
    let messages = parts.into_iter().enumerate().map(|(round, seen)| {
        let mut body = core::mem::take(&mut first);
        seen.write(&mut body);
        Exchange {
            round: round as u64,
            life,
            taken: map.digest(),
            body: body.freeze(),
            ..Exchange::new(SUMS, question.number)
        }
    });
    messages.collect()
}

/// The context of some groups, cut into parts; at least one part.
fn cut(context: &Context, groups: &[u8], head_bytes: usize, bounds: Bounds) -> Vec<Seen> {
    let room = |bytes: usize| (bounds.body_bytes.saturating_sub(bytes) / DOT_BYTES_MAX).max(1);
    let (mut parts, mut left) = (vec![Seen::default()], room(head_bytes));
    let dots = groups.iter().flat_map(|group| {
        let vector = context.group_vector(*group).map(|dot| (dot, true));
        vector.chain(context.group_cloud(*group).map(|dot| (dot, false)))
    });
    for (dot, is_vector) in dots {
        if left == 0 {
            parts.push(Seen::default());
            left = room(0);
        }
        left -= 1;
        if let Some(part) = parts.last_mut() {
            let list = if is_vector {
                &mut part.vector
            } else {
                &mut part.cloud
            };
            list.push(dot);
        }
    }
    parts
}

fn bits(groups: &[u8]) -> [u8; GROUPS / 8] {
    let mut bits = [0; GROUPS / 8];
    for group in groups {
        if let Some(byte) = bits.get_mut(usize::from(group / 8)) {
            *byte |= 1 << (group % 8);
        }
    }
    bits
}

/// Answers what differs in the ranges that the learner lists, as far as one message reaches.
pub(super) fn entries(map: &DotMap, compare: &Compare, bounds: Bounds) -> Entries {
    let mut page = Page::default();
    let mut listed = compare.lines.as_slice();
    for (at, (from, until)) in compare.ranges.iter().enumerate() {
        let mut own = map.lines(*from, *until).peekable();
        loop {
            let theirs = listed.first().map(|(hash, _)| *hash);
            let theirs = theirs.filter(|hash| hash <= until);
            let Some(hash) = own
                .peek()
                .map(|line| line.hash)
                .into_iter()
                .chain(theirs)
                .min()
            else {
                break;
            };
            let mut mine: SmallVec<[Line<'_>; 1]> = SmallVec::new();
            while let Some(line) = own.next_if(|line| line.hash == hash) {
                mine.push(line);
            }
            let same = listed.partition_point(|(other, _)| *other <= hash);
            let (versions, rest) = listed.split_at(same);
            listed = rest;
            let after = compare.after.filter(|_| at == 0 && hash == *from);
            if !page.add(map, hash, &mine, versions, after, bounds) {
                return page.entries;
            }
        }
    }
    page.entries
}

/// An answer that is being written.
#[derive(Default)]
struct Page {
    entries: Entries,
    bytes: usize,
    walked: usize,
}

impl Page {
    /// Adds what differs under one hash; false when the page is full, and says from where to go on.
    fn add(
        &mut self,
        map: &DotMap,
        hash: u64,
        mine: &[Line<'_>],
        theirs: &[(u64, u64)],
        after: Option<Dot>,
        bounds: Bounds,
    ) -> bool {
        if self.walked >= bounds.walk_max {
            return self.end(hash, None);
        }
        self.walked += mine.len().max(1);
        // Several keys of one hash are compared as a set; the learner's list is ascending.
        let mut versions: SmallVec<[u64; 1]> = mine.iter().map(|line| line.version).collect();
        versions.sort_unstable();
        if versions
            .iter()
            .eq(theirs.iter().map(|(_, version)| version))
        {
            return true;
        }
        let mut named: Vec<Named> = mine.iter().map(|line| name(map, line, after)).collect();
        let size = 8 + named.iter().map(Named::size).sum::<usize>();
        if self.bytes + size > bounds.body_bytes {
            if self.bytes > 0 {
                return self.end(hash, None);
            }
            let last = shorten(&mut named, bounds.body_bytes);
            if last.is_some() {
                self.entries.keys = named;
                return self.end(hash, last);
            }
        }
        self.bytes += size;
        if named.is_empty() {
            self.entries.gone.push(hash);
        }
        self.entries.keys.append(&mut named);
        true
    }

    fn end(&mut self, next: u64, after: Option<Dot>) -> bool {
        self.entries.next = Some(next);
        self.entries.after = after;
        false
    }
}

/// A key with all its dots, and the values of those above `after`.
fn name(map: &DotMap, line: &Line<'_>, after: Option<Dot>) -> Named {
    let dots = map.siblings(line.key).map(|(dot, value)| {
        let is_new = after.is_none_or(|after| dot > after);
        (dot, is_new.then(|| Bytes::copy_from_slice(value)))
    });
    Named {
        key: Bytes::copy_from_slice(line.key),
        dots: dots.collect(),
    }
}

/// Keeps as many values, in the order of dots, as one message holds, and one at least; answers the
/// last one that is kept when some are not. All dots stay: what is live must be known to judge.
fn shorten(named: &mut [Named], body_bytes: usize) -> Option<Dot> {
    let mut values: Vec<(Dot, usize)> = Vec::new();
    let mut names = 0;
    for key in named.iter() {
        names += key.size();
        for (dot, value) in &key.dots {
            if let Some(value) = value {
                names -= value.len();
                values.push((*dot, value.len()));
            }
        }
    }
    values.sort_unstable();
    let mut room = body_bytes.saturating_sub(names);
    let fitting = values.iter().take_while(|(_, bytes)| {
        let is_fitting = *bytes <= room;
        room = room.saturating_sub(*bytes);
        is_fitting
    });
    let kept = fitting.count().max(1);
    if kept >= values.len() {
        return None;
    }
    let (last, _) = *values.get(kept - 1)?;
    for (dot, value) in named.iter_mut().flat_map(|key| &mut key.dots) {
        if *dot > last {
            *value = None;
        }
    }
    Some(last)
}
