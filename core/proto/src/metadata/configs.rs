//! What queues are told to do, in the cluster's map (protocol.md 3.2): one object a queue (`q/`) and
//! one a prefix of names, a policy (`p/`).
//!
//! An object is a set of named settings as text, so that a member keeps those that it does not know. It
//! is written whole: of concurrent writes the one with the highest (stamp, member) is read. Only the mark
//! that what came before it was purged is joined by max, whichever of the writes is read.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use prost::Message as _;

use super::table::Table;
use crate::base::{Error, ErrorKind, Now, Result, Stamp, id, limits};
use crate::crdt::{Delta, Dot};

const QUEUE: &[u8] = b"q/";
const POLICY: &[u8] = b"p/";

/// Settings by their names; what they mean is the queue room's.
pub type Settings = BTreeMap<String, String>;

/// What an object is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope<'a> {
    /// One queue.
    Queue(&'a str),
    /// Every queue whose name begins like that.
    Policy(&'a str),
}

impl Scope<'_> {
    fn raw_key(self) -> Vec<u8> {
        match self {
            Scope::Queue(name) => [QUEUE, name.as_bytes()].concat(),
            Scope::Policy(prefix) => [POLICY, prefix.as_bytes()].concat(),
        }
    }

    /// Errors: 101.
    fn check(self) -> Result<()> {
        match self {
            Scope::Queue(name) => id::check_name("queue", name, limits::NAME_BYTES_MAX),
            // Nothing is how every name begins.
            Scope::Policy("") => Ok(()),
            Scope::Policy(prefix) => id::check_name("prefix", prefix, limits::NAME_BYTES_MAX),
        }
    }
}

/// What a key of the map is about; none for other kinds.
#[must_use]
pub fn config_scope(raw: &[u8]) -> Option<Scope<'_>> {
    let (name, is_queue) = match (raw.strip_prefix(QUEUE), raw.strip_prefix(POLICY)) {
        (Some(name), _) => (name, true),
        (_, Some(prefix)) => (prefix, false),
        _ => return None,
    };
    let name = core::str::from_utf8(name).ok()?;
    let scope = if is_queue {
        Scope::Queue(name)
    } else {
        Scope::Policy(name)
    };
    scope.check().is_ok().then_some(scope)
}

/// An object as all its writers together say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Its settings.
    pub settings: Settings,
    /// Messages stamped so or earlier are over; zero for none.
    pub purged_before: Stamp,
}

/// What stands under an object's key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Record {
    #[prost(fixed64, tag = "1")]
    stamp: u64,
    #[prost(fixed64, tag = "2")]
    member_high: u64,
    #[prost(fixed64, tag = "3")]
    member_low: u64,
    #[prost(message, repeated, tag = "4")]
    settings: Vec<Setting>,
    #[prost(fixed64, tag = "5")]
    purged_before: u64,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Setting {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// The stamps in one value of an object; for the clock.
pub(super) fn stamps(raw: &[u8], value: &[u8]) -> Option<Stamp> {
    let is_config = raw.starts_with(QUEUE) || raw.starts_with(POLICY);
    let record = is_config.then(|| Record::decode(value).ok())??;
    Some(Stamp(record.stamp.max(record.purged_before)))
}

impl Table {
    /// What is written of that object; nothing where there is none.
    #[must_use]
    pub fn config(&self, scope: Scope<'_>) -> Config {
        self.read_config(&scope.raw_key())
    }

    /// Every object of queues and policies there is.
    pub fn configs(&self) -> impl Iterator<Item = (Scope<'_>, Config)> + '_ {
        let keys = self
            .map()
            .prefixed(POLICY)
            .chain(self.map().prefixed(QUEUE));
        keys.filter_map(|(raw, _)| Some((config_scope(raw)?, self.read_config(raw))))
    }

    /// Gives an object other settings. The change is for everyone; none where nothing changes.
    ///
    /// Errors: 101 for a name, 104 for settings that are too many or too long, 201, 203.
    pub fn configure(
        &mut self,
        now: Now,
        scope: Scope<'_>,
        settings: Settings,
    ) -> Result<Option<Delta>> {
        let old = self.config(scope);
        if old.settings == settings {
            return Ok(None);
        }
        let purged_before = old.purged_before;
        self.write_config(
            now,
            scope,
            Config {
                settings,
                purged_before,
            },
        )
    }

    /// Everything in a queue that was stamped by now is over. It counts as done after the stamp `after`,
    /// that of the last message accepted here. The change is for everyone.
    ///
    /// Errors: 101, 201, 203.
    pub fn purge(&mut self, now: Now, queue: &str, after: Stamp) -> Result<Option<Delta>> {
        let scope = Scope::Queue(queue);
        let mut config = self.config(scope);
        let replaced = after.max(config.purged_before);
        config.purged_before = self.next_stamp(now, Some(replaced));
        self.write_config(now, scope, config)
    }

    fn write_config(
        &mut self,
        now: Now,
        scope: Scope<'_>,
        config: Config,
    ) -> Result<Option<Delta>> {
        scope.check()?;
        check_size(&config.settings)?;
        let raw = scope.raw_key();
        if config == Config::default() {
            self.spend(now.mono)?;
            let is_there = self.map().contains(&raw);
            return Ok(is_there.then(|| self.map_mut().remove(&raw)));
        }
        self.check_room(&raw)?;
        self.spend(now.mono)?;
        let replaced = self.config_records(&raw).map(|(_, record)| record.stamp);
        let replaced = replaced.max().map(Stamp);
        let settings = config.settings.into_iter();
        let (member_high, member_low) = self.me_halves();
        let record = Record {
            stamp: self.next_stamp(now, replaced).0,
            member_high,
            member_low,
            settings: settings
                .map(|(key, value)| Setting { key, value })
                .collect(),
            purged_before: config.purged_before.0,
        };
        let actor = self.actor();
        let value = record.encode_to_vec();
        Ok(Some(self.map_mut().write(actor, &raw, value)))
    }

    fn read_config(&self, raw: &[u8]) -> Config {
        let records = self.config_records(raw);
        // The dot settles what one member wrote twice under one stamp: all must choose alike.
        let mut records: Vec<(Dot, Record)> = records.collect();
        records.sort_by_key(|(dot, record)| {
            (record.stamp, record.member_high, record.member_low, *dot)
        });
        let purged = records.iter().map(|(_, record)| record.purged_before).max();
        let chosen = records.pop().map(|(_, record)| record).unwrap_or_default();
        let settings = chosen.settings.into_iter().map(|one| (one.key, one.value));
        Config {
            settings: settings.collect(),
            purged_before: Stamp(purged.unwrap_or(0)),
        }
    }

    fn config_records(&self, raw: &[u8]) -> impl Iterator<Item = (Dot, Record)> {
        let siblings = self.map().siblings(raw);
        siblings.filter_map(|(dot, value)| Some((dot, Record::decode(value.as_slice()).ok()?)))
    }
}

/// Errors: 104.
fn check_size(settings: &Settings) -> Result<()> {
    let bytes: usize = settings
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if settings.len() <= limits::SETTINGS_MAX && bytes <= limits::SETTINGS_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge)
        .because("more settings than one queue may have")
        .with("settings", settings.len())
        .with("settings_max", limits::SETTINGS_MAX)
        .with("bytes", bytes)
        .with("bytes_max", limits::SETTINGS_BYTES_MAX))
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

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        pairs.collect()
    }

    const JOBS: Scope<'_> = Scope::Queue("jobs");

    #[test]
    fn of_two_writes_at_one_time_the_later_is_read_whole_and_the_later_purge_stays() {
        let (mut one, mut two) = (table(1), table(2));
        let mine = one.configure(at(5), JOBS, settings(&[("copies", "3")]));
        let purged = two.purge(at(9), "jobs", Stamp(0)).unwrap().unwrap();
        let mark = two.config(JOBS).purged_before;
        let theirs = two.configure(at(1), JOBS, settings(&[("ttl_ms", "7")]));
        one.hear(at(10), &purged);
        one.hear(at(10), &theirs.unwrap().unwrap());
        two.hear(at(10), &mine.unwrap().unwrap());
        assert_eq!(one.config(JOBS), two.config(JOBS));
        let merged = one.config(JOBS);
        assert_eq!(merged.settings, settings(&[("ttl_ms", "7")]));
        assert_eq!((merged.purged_before, mark.0 > 0), (mark, true));
        // And stays when other settings are written over it.
        one.configure(at(11), JOBS, Settings::new()).unwrap();
        assert_eq!(one.config(JOBS).purged_before, mark);
    }

    #[test]
    fn what_says_nothing_is_no_entry() {
        let mut one = table(1);
        assert!(
            one.configure(at(0), JOBS, Settings::new())
                .unwrap()
                .is_none()
        );
        one.configure(at(0), JOBS, settings(&[("copies", "3")]))
            .unwrap();
        assert_eq!(one.configs().count(), 1);
        let same = one.configure(at(1), JOBS, settings(&[("copies", "3")]));
        assert!(same.unwrap().is_none());
        assert!(
            one.configure(at(1), JOBS, Settings::new())
                .unwrap()
                .is_some()
        );
        assert_eq!(one.configs().count(), 0);
    }

    #[test]
    fn a_purge_is_later_than_what_was_accepted_and_than_the_purge_before() {
        let mut one = table(1);
        one.purge(at(0), "jobs", Stamp(u64::MAX / 2)).unwrap();
        let first = one.config(JOBS).purged_before;
        assert!(first.0 > u64::MAX / 2);
        one.purge(at(1), "jobs", Stamp(0)).unwrap();
        assert!(one.config(JOBS).purged_before > first);
    }

    #[test]
    fn scopes_and_sizes_are_checked() {
        let mut one = table(1);
        let few = settings(&[("a", "b")]);
        for scope in [
            Scope::Queue(""),
            Scope::Queue("a\u{1f}b"),
            Scope::Policy("\n"),
        ] {
            let error = one.configure(at(0), scope, few.clone()).unwrap_err();
            assert_eq!(error.number(), 101);
        }
        one.configure(at(0), Scope::Policy(""), few).unwrap();
        assert_eq!(config_scope(b"p/"), Some(Scope::Policy("")));
        assert_eq!(config_scope(b"q/"), None);
        assert_eq!(config_scope(b"u/x"), None);
        let long = "x".repeat(limits::SETTINGS_BYTES_MAX);
        let error = one.configure(at(0), JOBS, settings(&[("a", &long)]));
        assert_eq!(error.unwrap_err().number(), 104);
    }
}
