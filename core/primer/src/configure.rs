//! [`QueueOptions`]: what a queue is told to do, for the whole cluster and at run time; the verbs of
//! [`Queue`] and [`Primer`] that tell it.

use std::collections::BTreeMap;
use std::time::Duration;

use primer_proto::engine::{Command, Configure};

use crate::run::clock::millis;
use crate::{Error, ErrorKind, OnShort, Primer, Queue, Result};

/// Settings of a queue, or of every queue whose name begins alike: what holds where a message or a call
/// does not say. They are the cluster's, and every member's at run time.
///
/// Keys, as text for hosts (durations in ms, sizes in bytes): copies, on_short (degrade | fail | wait),
/// enqueue_timeout_ms, lease_ms, max_attempts, ttl_ms, backoff_ms and backoff_ms_max (of a nack without a
/// delay), dead_letters (a queue), messages_max and bytes_max (of the queue, or of each of its groups),
/// overflow (refuse | drop_oldest), takeover_after_ms, key_concurrency, paused (none | in | out | both).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueOptions {
    settings: BTreeMap<String, String>,
}

impl QueueOptions {
    /// No settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// One setting by its key; an empty value unsets it. What is unknown or out of its range is refused
    /// where it is given to a queue.
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// Unsets one setting of a queue: its policy's holds again, or the member's default.
    pub fn unset(self, key: impl Into<String>) -> Self {
        self.set(key, "")
    }

    /// The value of a setting.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// All settings, by their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let settings = self.settings.iter();
        settings.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Copies of a message.
    pub fn copies(self, copies: u16) -> Self {
        self.set("copies", copies.to_string())
    }

    /// What to do with fewer copies.
    pub fn on_short(self, on_short: OnShort) -> Self {
        let word = match on_short {
            OnShort::Degrade => "degrade",
            OnShort::Fail => "fail",
            OnShort::Wait => "wait",
        };
        self.set("on_short", word)
    }

    /// When "fewer" is decided.
    pub fn enqueue_timeout(self, timeout: Duration) -> Self {
        self.span("enqueue_timeout_ms", timeout)
    }

    /// How long a delivered message is its consumer's.
    pub fn lease(self, lease: Duration) -> Self {
        self.span("lease_ms", lease)
    }

    /// Given out this often, a message is a dead letter.
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.set("max_attempts", attempts.to_string())
    }

    /// How long a message may wait: then it expires.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.span("ttl_ms", ttl)
    }

    /// The pause after a nack without a delay, doubling from the first to the longest.
    pub fn backoff(self, first: Duration, longest: Duration) -> Self {
        self.span("backoff_ms", first)
            .span("backoff_ms_max", longest)
    }

    /// The queue of its dead letters, in place of `<queue>.dead`.
    pub fn dead_letters(self, queue: impl Into<String>) -> Self {
        self.set("dead_letters", queue)
    }

    /// How many messages it may have in the cluster, or each of its groups.
    pub fn messages_max(self, messages: u64) -> Self {
        self.set("messages_max", messages.to_string())
    }

    /// How many bytes their bodies may have together.
    pub fn bytes_max(self, bytes: u64) -> Self {
        self.set("bytes_max", bytes.to_string())
    }

    /// How long the owner of its messages may be out of reach before a holder of a copy takes over. Longer:
    /// fewer duplicates in a split, and a longer wait for what a lost member owned.
    pub fn takeover_after(self, time: Duration) -> Self {
        self.span("takeover_after_ms", time)
    }

    /// How many messages of one key, in one group, one owner gives out at a time, up to 1,000: with 1, which is
    /// what holds without, in order.
    pub fn key_concurrency(self, messages: u32) -> Self {
        self.set("key_concurrency", messages.to_string())
    }

    /// Beyond that the oldest go, as dead letters, and what comes is taken; else what comes is refused.
    pub fn drops_oldest(self, drops: bool) -> Self {
        self.set("overflow", if drops { "drop_oldest" } else { "refuse" })
    }

    fn span(self, key: &str, span: Duration) -> Self {
        self.set(key, millis(span).to_string())
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let settings = self.settings.iter();
        settings
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for QueueOptions {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        Self {
            settings: pairs
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        }
    }
}

impl Queue {
    /// Changes the queue's settings, for the whole cluster: here at once, elsewhere soon. Those that are
    /// not named stay; an empty value unsets one. Errors: 101, 104, 201, 203, 501.
    pub fn configure(&self, options: &QueueOptions) -> Result<()> {
        self.tell(Configure::Queue(self.key(), options.pairs()))
    }

    /// The settings that hold for the queue, as this member knows them: its own, and for what it does not
    /// set those of the longest policy that its name begins with. Errors: 501.
    pub fn configuration(&self) -> Result<QueueOptions> {
        let settings = self
            .driver()
            .ask(|engine| engine.configuration(self.name()))?;
        Ok(QueueOptions { settings })
    }

    /// Stops the queue for the whole cluster: `"in"` for producers, who get 204; `"out"` for consumers,
    /// who get nothing more but keep what they have; or `"both"`. Errors: 101, 201, 203, 501.
    pub fn pause(&self, direction: &str) -> Result<()> {
        if !matches!(direction, "in" | "out" | "both") {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("a queue is paused in, out or both")
                .with("direction", direction));
        }
        self.configure(&QueueOptions::new().set("paused", direction))
    }

    /// The queue goes on, in both directions, also where a policy pauses it. Errors: 201, 203, 501.
    pub fn resume(&self) -> Result<()> {
        self.configure(&QueueOptions::new().unset("paused"))?;
        let left = self.configuration()?;
        match left.get("paused") {
            None | Some("none") => Ok(()),
            Some(_) => self.configure(&QueueOptions::new().set("paused", "none")),
        }
    }

    /// Ends everything that is in the queue and its groups by now, on every member, also what consumers
    /// have: their acks get 402. A member that is cut off ends its messages when it hears of it.
    /// Errors: 201, 203, 501.
    pub fn purge(&self) -> Result<()> {
        self.tell(Configure::Purge(self.key()))
    }

    fn tell(&self, what: Configure) -> Result<()> {
        self.driver().call_now(Command::Configure(what)).map(drop)
    }
}

impl Primer {
    /// Settings for every queue whose name begins with `prefix`, "" for all, in place of those that the
    /// policy had. The longest prefix counts, whole. Errors: 101, 104, 201, 203, 501.
    pub fn set_policy(&self, prefix: &str, options: &QueueOptions) -> Result<()> {
        let what = Configure::Policy(prefix.into(), options.pairs());
        self.driver().call_now(Command::Configure(what)).map(drop)
    }

    /// Removes a policy; one that is not there is no error. Errors: 203, 501.
    pub fn remove_policy(&self, prefix: &str) -> Result<()> {
        self.set_policy(prefix, &QueueOptions::new())
    }

    /// The policies as this member knows them, by their prefixes. Errors: 501.
    pub fn policies(&self) -> Result<BTreeMap<String, QueueOptions>> {
        let policies = self.driver().ask(|engine| engine.policies())?;
        let policies = policies.into_iter();
        Ok(policies
            .map(|(prefix, settings)| (prefix, QueueOptions { settings }))
            .collect())
    }
}
