//! What a queue does where a message or a call does not say: its own settings, those of the longest
//! policy that its name begins with, then the member's defaults (protocol.md 4.1, features.md "policies").
//!
//! The metadata hold settings as text, the same on every member; here they are read once and shared by
//! all shelves that they are for. A setting changes what is decided from then on, also about messages
//! that are held already.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use super::delivery::OnShort;
use super::groups::{SEPARATOR, split};
use super::{Alarm, Queues, limits};
use crate::base::{Error, ErrorKind, Millis, Now, QueueKey, Result, Stamp, id, nearest};

/// Every setting of a queue, by the names that users give them.
pub const SETTINGS: &[&str] = &[
    "copies",
    "on_short",
    "enqueue_timeout_ms",
    "lease_ms",
    "max_attempts",
    "ttl_ms",
    "backoff_ms",
    "backoff_ms_max",
    "dead_letters",
    "messages_max",
    "bytes_max",
    "overflow",
    "takeover_after_ms",
    "key_concurrency",
    "paused",
];

type Settings = BTreeMap<String, String>;

/// A queue's settings, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rules {
    pub(super) copies: Option<u16>,
    pub(super) on_short: Option<OnShort>,
    pub(super) enqueue_timeout: Option<Millis>,
    pub(super) lease: Option<Millis>,
    pub(super) max_attempts: Option<u32>,
    pub(super) ttl: Option<Millis>,
    /// The first pause of a nack without a delay, and the longest.
    pub(super) backoff: Option<Millis>,
    pub(super) backoff_max: Option<Millis>,
    /// Where its dead letters go.
    pub(super) dead_letters: Option<Arc<str>>,
    /// How many messages its shelf and each of its groups' may have in the cluster, and of how many bytes.
    pub(super) messages_max: Option<u64>,
    pub(super) bytes_max: Option<u64>,
    /// Beyond that the oldest go; else what comes is refused.
    pub(super) drops_oldest: bool,
    /// How long an owner may be out of reach before another member takes over.
    pub(super) takeover_after: Option<Millis>,
    /// So many messages of one key may be out at a time.
    pub(super) key_concurrency: Option<u32>,
    pub(super) is_paused_in: bool,
    pub(super) is_paused_out: bool,
    /// What is stamped so or earlier is over.
    pub(super) purged_before: Stamp,
}

impl Rules {
    pub(super) fn is_limited(&self) -> bool {
        self.messages_max.is_some() || self.bytes_max.is_some()
    }

    /// How long a message waits that failed for the `attempts`th time: doubling with each.
    pub(super) fn back_off(&self, attempts: u32) -> Millis {
        let first = self.backoff.unwrap_or(limits::NACK_MS_MIN);
        let most = self.backoff_max.unwrap_or(limits::NACK_MS_MAX.max(first));
        let doublings = attempts.saturating_sub(1).min(20);
        first.saturating_mul(1 << doublings).min(most)
    }

    /// Takes one setting in. Errors: 101 for an unknown one, or a value that is out of its range.
    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let (day, year) = (limits::LEASE_MS_MAX, limits::DELAY_MS_MAX);
        match key {
            "copies" => self.copies = Some(whole(key, value, 1, limits::COPIES_MAX.into())? as u16),
            "on_short" => self.on_short = Some(on_short(value)?),
            "enqueue_timeout_ms" => self.enqueue_timeout = Some(whole(key, value, 1, day)?),
            "lease_ms" => self.lease = Some(whole(key, value, 1, day)?),
            "max_attempts" => {
                self.max_attempts = Some(whole(key, value, 1, u32::MAX.into())? as u32);
            }
            "ttl_ms" => self.ttl = Some(whole(key, value, 1, year)?),
            "backoff_ms" => self.backoff = Some(whole(key, value, 0, year)?),
            "backoff_ms_max" => self.backoff_max = Some(whole(key, value, 0, year)?),
            "dead_letters" => {
                id::check_name("dead_letters", value, limits::NAME_BYTES_MAX)?;
                self.dead_letters = Some(value.into());
            }
            "messages_max" => self.messages_max = Some(whole(key, value, 1, u64::MAX)?),
            "bytes_max" => self.bytes_max = Some(whole(key, value, 1, u64::MAX)?),
            "overflow" => self.drops_oldest = one_of(key, value, ["refuse", "drop_oldest"])? == 1,
            "takeover_after_ms" => self.takeover_after = Some(whole(key, value, 0, day)?),
            "key_concurrency" => {
                let most = limits::KEY_CONCURRENCY_MAX.into();
                self.key_concurrency = Some(whole(key, value, 1, most)? as u32);
            }
            "paused" => {
                let which = one_of(key, value, ["none", "in", "out", "both"])?;
                (self.is_paused_in, self.is_paused_out) = (which & 1 == 1, which & 2 == 2);
            }
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    /// Takes settings in; those of a later version, which it cannot read, change nothing here.
    fn read(&mut self, settings: &Settings) {
        for (key, value) in settings {
            let _ = self.set(key, value);
        }
    }
}

/// Checks a setting that somebody gives a queue. Errors: 101, with the nearest known one.
pub fn check_setting(key: &str, value: &str) -> Result<()> {
    Rules::default().set(key, value)
}

/// A whole number within its range; 101.
fn whole(key: &str, value: &str, least: u64, most: u64) -> Result<u64> {
    let number: Option<u64> = value.trim().parse().ok();
    let number = number.filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        wrong("a setting needs a whole number in its range", key, value)
            .with("least", least)
            .with("most", most)
    })
}

/// Which of the words it is; 101.
fn one_of<const N: usize>(key: &str, value: &str, words: [&str; N]) -> Result<usize> {
    let place = words.iter().position(|word| *word == value);
    place.ok_or_else(|| {
        wrong("a setting is none of its words", key, value).with("words", words.join(", "))
    })
}

fn on_short(value: &str) -> Result<OnShort> {
    let which = one_of("on_short", value, ["degrade", "fail", "wait"])?;
    Ok(match which {
        0 => OnShort::Degrade,
        1 => OnShort::Fail,
        _ => OnShort::Wait,
    })
}

fn wrong(reason: &str, key: &str, value: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because(reason)
        .with("setting", key)
        .with("value", shown(value))
}

fn unknown(key: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because("an unknown setting")
        .with("setting", shown(key))
        .with("nearest", nearest(key, SETTINGS))
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The settings of all queues, as the cluster's metadata have them.
#[derive(Debug, Default)]
pub(super) struct Book {
    queues: BTreeMap<String, (Settings, Stamp)>,
    policies: BTreeMap<String, (Settings, Arc<Rules>)>,
    /// The next shelf that is to hear of changed policies.
    cursor: usize,
}

impl Book {
    fn policy(&self, queue: &str) -> Option<&(Settings, Arc<Rules>)> {
        if self.policies.is_empty() {
            return None;
        }
        let ends = (0..=queue.len()).rev();
        let mut beginnings = ends.filter_map(|end| queue.get(..end));
        beginnings.find_map(|prefix| self.policies.get(prefix))
    }

    /// The beginning of names whose policy pauses a queue; "" where its own setting does.
    pub(super) fn paused_by(&self, queue: &str) -> String {
        let own = self.queues.get(queue);
        if own.is_some_and(|(settings, _)| settings.contains_key("paused")) {
            return String::new();
        }
        let ends = (0..=queue.len()).rev();
        let mut beginnings = ends.filter_map(|end| queue.get(..end));
        let policy = beginnings.find(|prefix| self.policies.contains_key(*prefix));
        policy.unwrap_or_default().into()
    }

    /// Up to which stamp a queue was purged, or the queue of a group.
    pub(super) fn purged_before(&self, shelf: &str) -> Stamp {
        let told = self.queues.get(split(shelf).0);
        told.map_or(Stamp(0), |(_, purged_before)| *purged_before)
    }

    /// True for a queue that was told something itself.
    pub(super) fn has_own(&self, queue: &str) -> bool {
        self.queues.contains_key(queue)
    }

    /// What is settled for a queue; nothing for most.
    pub(super) fn rules(&self, queue: &str) -> Option<Arc<Rules>> {
        let policy = self.policy(queue).map(|(_, rules)| rules);
        let Some((own, purged_before)) = self.queues.get(queue) else {
            return policy.cloned();
        };
        let mut rules = policy.map_or_else(Rules::default, |rules| (**rules).clone());
        rules.read(own);
        rules.purged_before = *purged_before;
        Some(Arc::new(rules))
    }
}

impl Queues {
    /// What a queue is told to do itself, from now on, and the mark of its last purge.
    pub fn set_config(
        &mut self,
        now: Now,
        queue: &str,
        (settings, purged_before): (Settings, Stamp),
    ) {
        if settings.is_empty() && purged_before == Stamp(0) {
            self.book.queues.remove(queue);
        } else {
            self.book
                .queues
                .insert(queue.into(), (settings, purged_before));
        }
        // What is accepted from now on is younger than the purge.
        let _ = self.clock.hear(now, purged_before);
        self.shelves_of(queue).for_each(|key| self.obey(now, key));
    }

    /// What all queues whose names begin with `prefix` are told; nothing when that policy is gone.
    pub fn set_policy(&mut self, now: Now, prefix: &str, settings: Settings) {
        if settings.is_empty() {
            self.book.policies.remove(prefix);
        } else {
            let mut rules = Rules::default();
            rules.read(&settings);
            self.book
                .policies
                .insert(prefix.into(), (settings, Arc::new(rules)));
        }
        self.book.cursor = 0;
        self.alarms.set_earlier(Alarm::Rules, now.mono);
    }

    /// The settings that hold for a queue: its own, and those of its policy.
    #[must_use]
    pub fn configuration(&self, queue: &str) -> Settings {
        let policy = self.book.policy(queue);
        let mut settings = policy.map_or_else(Settings::new, |(settings, _)| settings.clone());
        if let Some((own, _)) = self.book.queues.get(queue) {
            let own = own.iter().map(|(key, value)| (key.clone(), value.clone()));
            settings.extend(own);
        }
        settings
    }

    /// The shelves of a queue and of its groups.
    fn shelves_of(&self, queue: &str) -> impl Iterator<Item = QueueKey> + use<> {
        let own = self.names.get(queue).copied();
        let first = [queue, &SEPARATOR.to_string()].concat();
        let from = (Bound::Included(first.as_str()), Bound::Unbounded);
        let groups = self.names.range::<str, _>(from);
        let groups = groups.take_while(|(name, _)| name.starts_with(first.as_str()));
        let keys: Vec<QueueKey> = own.into_iter().chain(groups.map(|(_, key)| *key)).collect();
        keys.into_iter()
    }

    /// One bounded step through the shelves, after a policy changed.
    pub(super) fn rules_step(&mut self, now: Now) {
        let from = self.book.cursor;
        let end = self.shelves.len().min(from + limits::STEP_MESSAGES_MAX);
        (from..end).for_each(|key| self.obey(now, QueueKey(key as u32)));
        self.book.cursor = end;
        if end < self.shelves.len() {
            self.alarms.set_earlier(Alarm::Rules, now.mono);
        }
    }

    /// A shelf does from now on what is settled for its queue.
    fn obey(&mut self, now: Now, key: QueueKey) {
        let Some(shelf) = self.shelves.get_mut(key.0 as usize) else {
            return;
        };
        let rules = self.book.rules(split(&shelf.name).0);
        let old = shelf.rules.clone();
        if shelf.set_rules(rules) {
            self.alarms.set_earlier(Alarm::Lines(key), now.mono);
        }
        let Some(shelf) = self
            .shelves
            .get(key.0 as usize)
            .filter(|shelf| shelf.rules != old)
        else {
            return;
        };
        let purged = |rules: &Option<Arc<Rules>>| {
            let rules = rules.as_ref();
            rules.map_or(Stamp(0), |rules| rules.purged_before)
        };
        if purged(&shelf.rules) > purged(&old) {
            self.begin_purge(now);
        }
        self.sweep_again(now);
        self.note_length(key);
        self.serve(now, key);
    }

    /// A shelf's rules, where anything is settled for its queue.
    pub(super) fn rules(&self, queue: QueueKey) -> Option<&Rules> {
        self.shelves.get(queue.0 as usize)?.rules.as_deref()
    }

    /// How long a consumer of a queue has a message, where it does not say itself.
    pub(super) fn usual_lease(&self, queue: QueueKey) -> Millis {
        let lease = self.rules(queue).and_then(|rules| rules.lease);
        lease.unwrap_or(self.settings.lease)
    }

    /// How long a message of a queue waits that failed for the `attempts`th time.
    pub(super) fn back_off(&self, queue: QueueKey, attempts: u32) -> Millis {
        match self.rules(queue) {
            Some(rules) => rules.back_off(attempts),
            None => Rules::default().back_off(attempts),
        }
    }

    /// Nothing goes out of this queue.
    pub(super) fn is_paused_out(&self, queue: QueueKey) -> bool {
        self.rules(queue).is_some_and(|rules| rules.is_paused_out)
    }

    /// Errors: 204.
    pub(super) fn check_paused(&self, queue: QueueKey) -> Result<()> {
        if !self.rules(queue).is_some_and(|rules| rules.is_paused_in) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Paused)
            .because("the queue takes nothing until it is resumed")
            .with("queue", self.base_name(queue)))
    }

    /// Nothing is settled any more: the room begins anew.
    pub(super) fn forget_rules(&mut self) {
        self.book = Book::default();
        for shelf in &mut self.shelves {
            shelf.set_rules(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_its_most() {
        let usual = Rules::default();
        let pauses = [1, 2, 3, 10, 11, 999].map(|attempts| usual.back_off(attempts));
        assert_eq!(pauses, [1_000, 2_000, 4_000, 512_000, 600_000, 600_000]);
        let mut own = Rules::default();
        own.set("backoff_ms", "10").unwrap();
        own.set("backoff_ms_max", "25").unwrap();
        assert_eq!(
            [1, 2, 3].map(|attempts| own.back_off(attempts)),
            [10, 20, 25]
        );
        own.backoff = Some(limits::DELAY_MS_MAX);
        own.backoff_max = None;
        assert_eq!(own.back_off(999), limits::DELAY_MS_MAX);
    }

    #[test]
    fn every_setting_is_read_and_what_is_none_is_named() {
        let good = [
            ("copies", "3"),
            ("on_short", "fail"),
            ("enqueue_timeout_ms", "10"),
            ("lease_ms", "10"),
            ("max_attempts", "10"),
            ("ttl_ms", "10"),
            ("backoff_ms", "0"),
            ("backoff_ms_max", "0"),
            ("dead_letters", "morgue"),
            ("messages_max", "1"),
            ("bytes_max", "1"),
            ("overflow", "drop_oldest"),
            ("takeover_after_ms", "60000"),
            ("key_concurrency", "1000"),
            ("paused", "both"),
        ];
        assert_eq!(good.map(|(key, _)| key).as_slice(), SETTINGS);
        for (key, value) in good {
            let mut rules = Rules::default();
            rules.set(key, value).unwrap();
            assert_ne!(rules, Rules::default(), "{key}");
            let error = rules.set(key, "\u{1f}").unwrap_err();
            assert_eq!(error.number(), 101, "{key}");
        }
        let error = check_setting("messages", "1").unwrap_err().to_string();
        assert!(error.contains("messages_max"), "{error}");
        assert!(check_setting("copies", "17").is_err());
    }

    #[test]
    fn the_longest_policy_counts_and_a_queue_is_above_it() {
        let mut book = Book::default();
        let pairs = |pairs: &[(&str, &str)]| -> Settings {
            let pairs = pairs.iter();
            pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect()
        };
        for (prefix, settings) in [
            ("", pairs(&[("copies", "1"), ("lease_ms", "9")])),
            ("mail", pairs(&[("copies", "2")])),
            ("mail.é", pairs(&[("copies", "3")])),
        ] {
            let mut rules = Rules::default();
            rules.read(&settings);
            book.policies
                .insert(prefix.into(), (settings, Arc::new(rules)));
        }
        let copies = |book: &Book, name| book.rules(name).unwrap().copies;
        assert_eq!(copies(&book, "jobs"), Some(1));
        assert_eq!(copies(&book, "mailer"), Some(2));
        assert_eq!(copies(&book, "mail.è"), Some(2));
        assert_eq!(copies(&book, "mail.é.x"), Some(3));
        assert_eq!(book.rules("mailer").unwrap().lease, None);
        let own = pairs(&[("copies", "5"), ("of a later version", "x")]);
        book.queues.insert("mailer".into(), (own, Stamp(7)));
        let rules = book.rules("mailer").unwrap();
        assert_eq!((rules.copies, rules.purged_before), (Some(5), Stamp(7)));
    }
}
