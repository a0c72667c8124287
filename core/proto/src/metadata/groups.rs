//! The groups of queues in the cluster's map (protocol.md 3.2): one entry a group.
//!
//! An entry keeps its *births*, the dots of the writes that created it. What a message owes is a group
//! of one birth, so that a group which was removed and made again begins anew, and two sides of a split
//! that created one group have one group afterwards.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use prost::Message as _;

use super::table::Table;
use crate::base::{Birth, Error, ErrorKind, Now, Result, Stamp, id, limits};
use crate::crdt::{Delta, Dot};

const GROUP: &[u8] = b"g/";
/// Between a queue's name and its group's: in neither.
const BETWEEN: u8 = 0x1f;

/// What stands under a group's key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Record {
    /// When the group was created.
    #[prost(fixed64, tag = "1")]
    created: u64,
    /// It gets what waited in the queue, too.
    #[prost(bool, tag = "2")]
    takes_backlog: bool,
    /// Births of the entries that this one replaced; its own is the dot that wrote it where there is none.
    #[prost(message, repeated, tag = "3")]
    births: Vec<BirthRow>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct BirthRow {
    #[prost(fixed64, tag = "1")]
    boot: u64,
    #[prost(uint64, tag = "2")]
    number: u64,
}

/// A group as all its writers together say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// Its name.
    pub name: String,
    /// The writes that created it, ascending.
    pub births: Vec<Birth>,
    /// The earliest of them.
    pub created: Stamp,
    /// One of them asked for what waited.
    pub takes_backlog: bool,
}

/// The queue and the group that a key of the map is about; none for other kinds.
#[must_use]
pub fn group_key(raw: &[u8]) -> Option<(&str, &str)> {
    let names = core::str::from_utf8(raw.strip_prefix(GROUP)?).ok()?;
    let (queue, group) = names.split_once(char::from(BETWEEN))?;
    let is_name = |name: &str| id::check_name("name", name, limits::NAME_BYTES_MAX).is_ok();
    (is_name(queue) && is_name(group)).then_some((queue, group))
}

fn raw_prefix(queue: &str) -> Vec<u8> {
    [GROUP, queue.as_bytes(), &[BETWEEN]].concat()
}

fn raw_key(queue: &str, group: &str) -> Vec<u8> {
    [&raw_prefix(queue), group.as_bytes()].concat()
}

/// When the group under that key was created, by one value of it; for the clock.
pub(super) fn created(raw: &[u8], value: &[u8]) -> Option<Stamp> {
    let is_group = raw.starts_with(GROUP);
    let record = is_group.then(|| Record::decode(value).ok())??;
    Some(Stamp(record.created))
}

impl Table {
    /// Creates a group; none where it exists. The change is for everyone. It counts as created after the
    /// stamp `after`, that of the last message accepted here.
    ///
    /// Errors: 101 for a name, 201 for more than `limits::GROUPS_MAX` of one queue or a full table, 203.
    pub fn create_group(
        &mut self,
        now: Now,
        queue: &str,
        group: &str,
        (takes_backlog, after): (bool, Stamp),
    ) -> Result<Option<Delta>> {
        id::check_name("queue", queue, limits::NAME_BYTES_MAX)?;
        id::check_name("group", group, limits::NAME_BYTES_MAX)?;
        let raw = raw_key(queue, group);
        if self.map().contains(&raw) {
            return Ok(None);
        }
        if self.groups(queue).len() >= limits::GROUPS_MAX {
            return Err(Error::new(ErrorKind::Full)
                .because("the queue has as many groups as it may")
                .with("groups_max", limits::GROUPS_MAX));
        }
        self.check_room(&raw)?;
        self.spend(now.mono)?;
        let record = Record {
            created: self.next_stamp(now, Some(after)).0,
            takes_backlog,
            births: Vec::new(),
        };
        let actor = self.actor();
        let value = record.encode_to_vec();
        Ok(Some(self.map_mut().write(actor, &raw, value)))
    }

    /// Removes a group; none where there is no such. One that creates it at the same time elsewhere wins.
    ///
    /// Errors: 203.
    pub fn remove_group(&mut self, now: Now, queue: &str, group: &str) -> Result<Option<Delta>> {
        let raw = raw_key(queue, group);
        if !self.map().contains(&raw) {
            return Ok(None);
        }
        self.spend(now.mono)?;
        Ok(Some(self.map_mut().remove(&raw)))
    }

    /// The groups of a queue, by name.
    #[must_use]
    pub fn groups(&self, queue: &str) -> Vec<GroupEntry> {
        let prefix = raw_prefix(queue);
        let keys = self.map().prefixed(&prefix).map(|(key, _)| key.to_vec());
        let keys: Vec<Vec<u8>> = keys.collect();
        keys.iter()
            .filter_map(|raw| self.group_entry(raw))
            .collect()
    }

    /// Every queue that has groups, with them.
    #[must_use]
    pub fn grouped_queues(&self) -> BTreeMap<String, Vec<GroupEntry>> {
        let mut queues: BTreeMap<String, Vec<GroupEntry>> = BTreeMap::new();
        for (raw, _) in self.map().prefixed(GROUP) {
            if let (Some((queue, _)), Some(entry)) = (group_key(raw), self.group_entry(raw)) {
                queues.entry(queue.into()).or_default().push(entry);
            }
        }
        queues
    }

    /// True when the group of that birth was there and is not any more, as far as is known here.
    #[must_use]
    pub fn is_birth_over(&self, birth: Birth) -> bool {
        let dot = Dot {
            actor: crate::base::BootId(birth.boot),
            number: birth.number,
        };
        if !self.map().context().holds(dot) {
            return false;
        }
        let mut live = self.grouped_queues().into_values().flatten();
        !live.any(|entry| entry.births.contains(&birth))
    }

    fn group_entry(&self, raw: &[u8]) -> Option<GroupEntry> {
        let (_, name) = group_key(raw)?;
        let mut entry = GroupEntry {
            name: name.into(),
            births: Vec::new(),
            created: Stamp(u64::MAX),
            takes_backlog: false,
        };
        for (dot, value) in self.map().siblings(raw) {
            let Ok(record) = Record::decode(value.as_slice()) else {
                continue;
            };
            entry.created = entry.created.min(Stamp(record.created));
            entry.takes_backlog |= record.takes_backlog;
            let births = record.births.iter().map(|row| Birth {
                boot: row.boot,
                number: row.number,
            });
            entry.births.extend(births);
            if record.births.is_empty() {
                entry.births.push(Birth {
                    boot: dot.actor.0,
                    number: dot.number,
                });
            }
        }
        entry.births.sort_unstable();
        entry.births.dedup();
        (!entry.births.is_empty()).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{BootId, Instant, MemberId};

    fn at(ms: u64) -> Now {
        Now {
            mono: Instant(ms),
            wall_ms: 1_000_000 + ms,
        }
    }

    fn table(n: u64) -> Table {
        Table::new(MemberId(u128::from(n)), BootId(n))
    }

    #[test]
    fn a_group_has_a_birth_and_one_that_is_made_again_has_another() {
        let mut one = table(1);
        let created = one
            .create_group(at(0), "jobs", "mailer", (false, Stamp(0)))
            .unwrap();
        assert!(created.is_some());
        assert!(
            one.create_group(at(1), "jobs", "mailer", (true, Stamp(0)))
                .unwrap()
                .is_none()
        );
        let first = one.groups("jobs");
        assert_eq!((first.len(), first[0].births.len()), (1, 1));
        assert!(!first[0].takes_backlog && !one.is_birth_over(first[0].births[0]));
        one.remove_group(at(2), "jobs", "mailer").unwrap().unwrap();
        assert!(one.groups("jobs").is_empty() && one.is_birth_over(first[0].births[0]));
        one.create_group(at(3), "jobs", "mailer", (true, Stamp(0)))
            .unwrap();
        assert_ne!(one.groups("jobs")[0].births, first[0].births);
    }

    #[test]
    fn a_group_that_two_sides_created_is_one_with_both_births() {
        let (mut one, mut two) = (table(1), table(2));
        let mine = one
            .create_group(at(5), "jobs", "mailer", (false, Stamp(0)))
            .unwrap();
        let theirs = two
            .create_group(at(0), "jobs", "mailer", (true, Stamp(0)))
            .unwrap();
        one.hear(at(6), &theirs.unwrap());
        two.hear(at(6), &mine.unwrap());
        assert_eq!(one.groups("jobs"), two.groups("jobs"));
        let merged = &one.groups("jobs")[0];
        assert_eq!((merged.births.len(), merged.takes_backlog), (2, true));
        assert_eq!(merged.created.0 >> 16, 1_000_000);
    }

    #[test]
    fn a_birth_that_nobody_heard_of_is_not_over() {
        let birth = Birth { boot: 9, number: 1 };
        assert!(!table(1).is_birth_over(birth));
    }

    #[test]
    fn names_are_checked_and_groups_of_one_queue_bounded() {
        let mut one = table(1);
        for (queue, group) in [("", "g"), ("q", ""), ("q", "a\u{1f}b")] {
            let error = one
                .create_group(at(0), queue, group, (false, Stamp(0)))
                .unwrap_err();
            assert_eq!(error.number(), 101);
        }
        for n in 0..limits::GROUPS_MAX {
            one.create_group(at(0), "q", &alloc::format!("g{n}"), (false, Stamp(0)))
                .unwrap();
        }
        let error = one
            .create_group(at(0), "q", "more", (false, Stamp(0)))
            .unwrap_err();
        assert_eq!(error.number(), 201);
        one.create_group(at(0), "other", "more", (false, Stamp(0)))
            .unwrap();
        assert_eq!(one.grouped_queues().len(), 2);
        assert_eq!(group_key(b"g/q"), None);
        assert_eq!(group_key(b"g/q\x1fg"), Some(("q", "g")));
    }
}
