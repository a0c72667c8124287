//! What members know of a queue when it is asked why nothing is delivered, how that travels, and what
//! follows from it: the findings are a pure function of the facts, the same in every face.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::memory::REFUSING;
use crate::base::{Error, ErrorKind, MemberId, Result, limits};

/// "Tell what you know of that queue." Answered by one [`Examined`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Examine {
    /// Names this at its sender.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The queue's name.
    #[prost(string, tag = "2")]
    pub queue: String,
}

/// One member's answer to an [`Examine`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Examined {
    /// The question.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// True for one that looks through its messages for too many others already; nothing follows.
    #[prost(bool, tag = "2")]
    pub is_busy: bool,
    /// Of the queue itself, then of each group that is known there.
    #[prost(message, repeated, tag = "3")]
    pub facts: Vec<Facts>,
}

/// What one member knows of a queue itself, or of one group of it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Facts {
    /// The group; "" for the queue itself.
    #[prost(string, tag = "1")]
    pub group: String,
    /// Messages that it owns, and anyone may have.
    #[prost(uint64, tag = "2")]
    pub ready: u64,
    /// Those that it owns, and somebody has.
    #[prost(uint64, tag = "3")]
    pub leased: u64,
    /// Those that it owns, and that wait for their time.
    #[prost(uint64, tag = "4")]
    pub delayed: u64,
    /// Copies that it holds of other owners' messages.
    #[prost(uint64, tag = "5")]
    pub standby: u64,
    /// Those of these whose owner it cannot reach.
    #[prost(uint64, tag = "6")]
    pub stranded: u64,
    /// How long ago the oldest ready one was accepted, in ms.
    #[prost(uint64, tag = "7")]
    pub oldest_ms: u64,
    /// In how long the first delayed one is ready, in ms.
    #[prost(uint64, tag = "8")]
    pub next_ready_ms: u64,
    /// In how long the first lease ends, in ms.
    #[prost(uint64, tag = "9")]
    pub next_lease_ms: u64,
    /// Receives that wait at it.
    #[prost(uint64, tag = "10")]
    pub receives: u64,
    /// Subscriptions that are open at it.
    #[prost(uint64, tag = "11")]
    pub subscriptions: u64,
    /// How many more messages these may be given.
    #[prost(uint64, tag = "12")]
    pub credit: u64,
    /// The sum of 1 (in) and 2 (out), as it is told there.
    #[prost(uint32, tag = "13")]
    pub paused: u32,
    /// The beginning of names whose policy says so; "" where the queue's own setting does.
    #[prost(string, tag = "14")]
    pub paused_by: String,
    /// How many messages the queue may have, and bytes of bodies; 0 for no maximum.
    #[prost(uint64, tag = "15")]
    pub messages_max: u64,
    /// Bytes.
    #[prost(uint64, tag = "16")]
    pub bytes_max: u64,
    /// One more would be refused.
    #[prost(bool, tag = "17")]
    pub is_full: bool,
    /// How much of its memory budget is used, in percent.
    #[prost(uint32, tag = "18")]
    pub memory_percent: u32,
    /// Members whose consumers have leased ones, 16 bytes each; some of them.
    #[prost(bytes = "vec", repeated, tag = "19")]
    pub lessees: Vec<Vec<u8>>,
    /// Members that own what is stranded, 16 bytes each; some of them.
    #[prost(bytes = "vec", repeated, tag = "20")]
    pub owners: Vec<Vec<u8>>,
    /// Whose facts these are; filled in by who is told.
    #[prost(bytes = "vec", tag = "21")]
    pub member: Vec<u8>,
    /// How near it is to its memory budget: 0 to 4.
    #[prost(uint32, tag = "22")]
    pub memory_level: u32,
    /// Of the ready ones, those that wait for others of their keys.
    #[prost(uint64, tag = "23")]
    pub behind: u64,
}

fn to_bytes(member: MemberId) -> Vec<u8> {
    member.0.to_le_bytes().to_vec()
}

fn from_bytes(bytes: &[u8]) -> MemberId {
    let wide: Option<[u8; 16]> = bytes.try_into().ok();
    MemberId(wide.map_or(0, u128::from_le_bytes))
}

impl Facts {
    /// Whose facts these are.
    #[must_use]
    pub fn member(&self) -> MemberId {
        from_bytes(&self.member)
    }

    pub(super) fn set_member(&mut self, member: MemberId) {
        self.member = to_bytes(member);
    }

    /// Members whose consumers have leased ones; some of them.
    #[must_use]
    pub fn lessees(&self) -> Vec<MemberId> {
        self.lessees.iter().map(|one| from_bytes(one)).collect()
    }

    /// Members that own what is stranded; some of them.
    #[must_use]
    pub fn owners(&self) -> Vec<MemberId> {
        self.owners.iter().map(|one| from_bytes(one)).collect()
    }

    /// Notes a member once, while there is room.
    pub(super) fn note_lessee(&mut self, member: MemberId) {
        note(&mut self.lessees, member);
    }

    /// The same of an owner that cannot be reached.
    pub(super) fn note_owner(&mut self, member: MemberId) {
        note(&mut self.owners, member);
    }

    fn is_paused(&self, way: u32) -> bool {
        self.paused & way != 0
    }

    fn weight(&self) -> usize {
        200 + self.group.len()
            + self.paused_by.len()
            + (self.lessees.len() + self.owners.len()) * 18
    }
}

fn note(members: &mut Vec<Vec<u8>>, member: MemberId) {
    let bytes = to_bytes(member);
    if members.len() < limits::FACT_MEMBERS_MAX && !members.contains(&bytes) {
        members.push(bytes);
    }
}

impl Examined {
    pub(super) fn weight(&self) -> usize {
        32 + self.facts.iter().map(Facts::weight).sum::<usize>()
    }

    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        let is_good = |facts: &Facts| {
            let members = facts.lessees.len().max(facts.owners.len());
            members <= limits::FACT_MEMBERS_MAX && facts.group.len() <= limits::NAME_BYTES_MAX
        };
        if self.facts.len() <= limits::GROUPS_MAX + 1 && self.facts.iter().all(is_good) {
            return Ok(self);
        }
        Err(Error::new(ErrorKind::Corrupt).because("an examination is over the limit"))
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What may be the matter with a queue, the most important first.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Its name, the same in every face.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// The queue is paused for consumers.
    PausedOut = "paused_out";
    /// Messages wait for an owner that those who hold copies cannot reach.
    OwnerUnreachable = "owner_unreachable";
    /// Members did not answer: what they own is not in this.
    MemberMissing = "member_missing";
    /// Messages wait in the queue itself, which has groups, and nobody consumes without one.
    NoGroup = "no_group";
    /// Messages are ready, and nobody receives or subscribes.
    NoConsumer = "no_consumer";
    /// Messages are ready, and no subscription may be given more.
    NoCredit = "no_credit";
    /// All that are ready wait for others of their keys.
    KeyBusy = "key_busy";
    /// None is ready: consumers have them.
    AllLeased = "all_leased";
    /// None is ready: they wait for their time.
    Delayed = "delayed";
    /// The queue is paused for producers.
    PausedIn = "paused_in";
    /// The queue is at its maximum length.
    Full = "full";
    /// A member's memory budget is used up: it accepts nothing.
    Memory = "memory";
    /// There is no message.
    Empty = "empty";
    /// Nothing is the matter.
    Healthy = "healthy";
}

/// One thing that is the matter with a queue, or a group of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// In which group; "" for the queue itself.
    pub group: String,
    /// How many messages it is about; 0 where it is about none in particular.
    pub messages: u64,
    /// Which members it is about: who says so, whose consumers have them, or who is not reached.
    pub members: Vec<MemberId>,
}

/// What all members together say of one group.
#[derive(Default)]
struct Sum {
    ready: u64,
    behind: u64,
    leased: u64,
    delayed: u64,
    stranded: u64,
    receives: u64,
    subscriptions: u64,
    credit: u64,
    lessees: BTreeSet<MemberId>,
    owners: BTreeSet<MemberId>,
    owning: BTreeSet<MemberId>,
}

impl Sum {
    fn add(&mut self, facts: &Facts) {
        self.ready = self.ready.saturating_add(facts.ready);
        self.behind = self.behind.saturating_add(facts.behind);
        self.leased = self.leased.saturating_add(facts.leased);
        self.delayed = self.delayed.saturating_add(facts.delayed);
        // Several hold copies of one message: no more than the most of one are sure.
        self.stranded = self.stranded.max(facts.stranded);
        self.receives = self.receives.saturating_add(facts.receives);
        self.subscriptions = self.subscriptions.saturating_add(facts.subscriptions);
        self.credit = self.credit.saturating_add(facts.credit);
        self.lessees.extend(facts.lessees());
        self.owners.extend(facts.owners());
        if facts.ready > 0 {
            self.owning.insert(facts.member());
        }
    }

    fn has_consumers(&self) -> bool {
        self.receives > 0 || self.subscriptions > 0
    }
}

/// What follows from the facts, the most important first; never nothing.
#[must_use]
pub fn findings(facts: &[Facts], missing: &[MemberId]) -> Vec<Finding> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for one in facts {
        sums.entry(&one.group).or_default().add(one);
    }
    let has_groups = sums.keys().any(|group| !group.is_empty());
    let mut found = of_members(facts, missing);
    let is_paused = found.iter().any(|one| one.code == Code::PausedOut);
    for (group, sum) in &sums {
        of_group(group, sum, (has_groups, is_paused), &mut found);
    }
    let has = |sum: &Sum| sum.ready.max(sum.leased).max(sum.delayed).max(sum.stranded) > 0;
    let is_empty = !sums.values().any(has);
    let is_fine = found.is_empty();
    let all = |code| Finding {
        code,
        group: String::new(),
        messages: 0,
        members: Vec::new(),
    };
    found.extend(is_empty.then(|| all(Code::Empty)));
    found.extend((is_fine && !is_empty).then(|| all(Code::Healthy)));
    found.sort_by(|one, next| (one.code, &one.group).cmp(&(next.code, &next.group)));
    found
}

/// What members say of themselves, and of what the whole queue is told.
fn of_members(facts: &[Facts], missing: &[MemberId]) -> Vec<Finding> {
    let who = |says: &dyn Fn(&Facts) -> bool| {
        let those = facts.iter().filter(|facts| says(facts));
        those.map(Facts::member).collect::<BTreeSet<MemberId>>()
    };
    let refuses = |facts: &Facts| facts.memory_level >= REFUSING.into();
    let said = [
        (Code::PausedOut, who(&|facts| facts.is_paused(2))),
        (Code::PausedIn, who(&|facts| facts.is_paused(1))),
        (Code::Full, who(&|facts| facts.is_full)),
        (Code::Memory, who(&refuses)),
        (Code::MemberMissing, missing.iter().copied().collect()),
    ];
    let said = said.into_iter().filter(|(_, members)| !members.is_empty());
    said.map(|(code, members)| Finding {
        code,
        group: String::new(),
        messages: 0,
        members: members.into_iter().collect(),
    })
    .collect()
}

/// What is the matter with one group, or with the queue itself.
fn of_group(
    group: &str,
    sum: &Sum,
    (has_groups, is_paused): (bool, bool),
    found: &mut Vec<Finding>,
) {
    let mut find = |code, messages, members: &BTreeSet<MemberId>| {
        found.push(Finding {
            code,
            group: group.into(),
            messages,
            members: members.iter().copied().collect(),
        });
    };
    if sum.stranded > 0 {
        find(Code::OwnerUnreachable, sum.stranded, &sum.owners);
    }
    if is_paused {
        return;
    }
    if sum.ready > 0 && !sum.has_consumers() {
        let code = match has_groups && group.is_empty() {
            true => Code::NoGroup,
            false => Code::NoConsumer,
        };
        find(code, sum.ready, &sum.owning);
    } else if sum.ready > 0 && sum.behind >= sum.ready {
        find(Code::KeyBusy, sum.behind, &sum.owning);
    } else if sum.ready > 0 && sum.receives == 0 && sum.credit == 0 {
        find(Code::NoCredit, sum.ready, &sum.owning);
    }
    if sum.ready == 0 && sum.leased > 0 {
        find(Code::AllLeased, sum.leased, &sum.lessees);
    }
    if sum.ready == 0 && sum.delayed > 0 {
        find(Code::Delayed, sum.delayed, &BTreeSet::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in facts of one member.
    fn codes(alter: impl FnOnce(&mut Facts)) -> Vec<(&'static str, u64)> {
        let mut facts = Facts::default();
        alter(&mut facts);
        let found = findings(&[facts], &[]);
        let each = found.iter();
        each.map(|one| (one.code.name(), one.messages)).collect()
    }

    #[test]
    fn each_thing_that_keeps_messages_back_is_found_by_its_name() {
        assert_eq!(codes(|_| {}), [("empty", 0)]);
        assert_eq!(codes(|all| all.ready = 3), [("no_consumer", 3)]);
        let fed = |all: &mut Facts| {
            all.ready = 3;
            (all.subscriptions, all.credit) = (1, 5);
        };
        assert_eq!(codes(fed), [("healthy", 0)]);
        let full = |all: &mut Facts| {
            all.ready = 3;
            all.subscriptions = 1;
        };
        assert_eq!(codes(full), [("no_credit", 3)]);
        let behind = |all: &mut Facts| {
            full(all);
            all.behind = 3;
        };
        assert_eq!(codes(behind), [("key_busy", 3)]);
        let waiting = |all: &mut Facts| {
            full(all);
            all.receives = 1;
        };
        assert_eq!(codes(waiting), [("healthy", 0)]);
        let busy = |all: &mut Facts| (all.leased, all.delayed) = (2, 1);
        assert_eq!(codes(busy), [("all_leased", 2), ("delayed", 1)]);
        let paused = |all: &mut Facts| (all.ready, all.paused) = (4, 3);
        assert_eq!(codes(paused), [("paused_out", 0), ("paused_in", 0)]);
        let stranded = |all: &mut Facts| (all.standby, all.stranded) = (9, 2);
        assert_eq!(codes(stranded), [("owner_unreachable", 2)]);
        let brim = |all: &mut Facts| (all.is_full, all.memory_level) = (true, 3);
        assert_eq!(codes(brim), [("full", 0), ("memory", 0), ("empty", 0)]);
    }

    #[test]
    fn groups_are_looked_at_each_for_itself_and_members_all_together() {
        let of = |member: u128, group: &str, ready, credit| {
            let mut facts = Facts {
                group: group.into(),
                ready,
                credit,
                subscriptions: u64::from(credit > 0),
                ..Facts::default()
            };
            facts.set_member(MemberId(member));
            facts
        };
        let all = [
            of(1, "", 1, 0),
            of(1, "audit", 0, 0),
            of(1, "mailer", 2, 0),
            of(2, "", 0, 0),
            of(2, "audit", 5, 0),
            of(2, "mailer", 0, 7),
        ];
        let found = findings(&all, &[MemberId(3)]);
        let told: Vec<(&str, &str, u64)> = found
            .iter()
            .map(|one| (one.code.name(), one.group.as_str(), one.messages))
            .collect();
        let wanted = [
            ("member_missing", "", 0),
            ("no_group", "", 1),
            ("no_consumer", "audit", 5),
        ];
        assert_eq!(told, wanted);
        assert_eq!(found[0].members, [MemberId(3)]);
        assert_eq!(found[2].members, [MemberId(2)]);
    }

    #[test]
    fn counts_that_no_member_can_have_are_a_finding_and_no_overflow() {
        let facts = Facts {
            ready: u64::MAX,
            leased: u64::MAX,
            delayed: u64::MAX,
            stranded: u64::MAX,
            ..Facts::default()
        };
        let found = findings(&[facts.clone(), facts], &[]);
        assert!(found.iter().all(|one| one.code != Code::Empty));
    }
}
