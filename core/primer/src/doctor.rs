//! [`Diagnosis`]: why a queue delivers nothing, as far as all members know.

use primer_proto::engine::{Command, Facts as Told, Finding as Found, Reply};

use crate::queue::Queue;
use crate::run::driver::Manner;
use crate::run::waiter::unexpected;
use crate::{MemberId, Pending};

/// What is the matter with a queue, and what that follows from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// What is the matter, the most important first; never nothing: `healthy` where nothing is.
    pub findings: Vec<Finding>,
    /// What each member knows, of the queue itself and of each of its groups, in the order of the members' ids.
    pub facts: Vec<Facts>,
    /// Members of the set that did not answer: unreachable, too busy, or too slow.
    pub missing: Vec<MemberId>,
}

/// One thing that is the matter with a queue, or with a group of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `paused_out`, `owner_unreachable`, `member_missing`, `no_group`, `no_consumer`, `no_credit`,
    /// `key_busy`, `all_leased`, `delayed`, `paused_in`, `full`, `memory`, `empty` or `healthy`.
    pub code: &'static str,
    /// In which group; none for the queue itself.
    pub group: Option<String>,
    /// How many messages it is about; 0 where it is about none in particular.
    pub messages: u64,
    /// Which members it is about: who says so, whose consumers have them, or who is not reached.
    pub members: Vec<MemberId>,
}

/// What one member knows of a queue, or of one group of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whose facts they are.
    pub member: MemberId,
    /// The group; none for the queue itself.
    pub group: Option<String>,
    /// Messages that it owns, and anyone may have.
    pub ready: u64,
    /// Those that it owns, and somebody has.
    pub leased: u64,
    /// Those that it owns, and that wait for their time.
    pub delayed: u64,
    /// Copies that it holds of other owners' messages.
    pub standby: u64,
    /// Those of these whose owner it cannot reach.
    pub stranded: u64,
    /// How long ago the oldest ready one was accepted, in milliseconds.
    pub oldest_ms: Option<u64>,
    /// In how long the first delayed one is ready, in milliseconds.
    pub next_ready_ms: Option<u64>,
    /// In how long the first lease ends, in milliseconds.
    pub next_lease_ms: Option<u64>,
    /// Members whose consumers have leased ones; some of them.
    pub lessees: Vec<MemberId>,
    /// Members that own what is stranded; some of them.
    pub owners: Vec<MemberId>,
    /// Receives that wait at it.
    pub receives: u64,
    /// Subscriptions that are open at it.
    pub subscriptions: u64,
    /// How many more messages these may be given.
    pub credit: u64,
    /// `in`, `out` or `both`; none where it is not paused.
    pub paused: Option<&'static str>,
    /// The beginning of names whose policy pauses it; none where its own setting does, or nothing.
    pub paused_by: Option<String>,
    /// How many messages it may have.
    pub messages_max: Option<u64>,
    /// How many bytes of bodies.
    pub bytes_max: Option<u64>,
    /// One more would be refused.
    pub is_full: bool,
    /// How much of the member's memory budget is used, in percent.
    pub memory_percent: u32,
}

fn named(name: String) -> Option<String> {
    Some(name).filter(|name| !name.is_empty())
}

impl Finding {
    fn of(found: Found) -> Self {
        Self {
            code: found.code.name(),
            group: named(found.group),
            messages: found.messages,
            members: found.members,
        }
    }
}

impl Facts {
    fn of(told: Told) -> Self {
        let of = |count: u64, value: u64| (count > 0).then_some(value);
        let some = |value: u64| of(value, value);
        Self {
            member: told.member(),
            ready: told.ready,
            leased: told.leased,
            delayed: told.delayed,
            standby: told.standby,
            stranded: told.stranded,
            oldest_ms: of(told.ready, told.oldest_ms),
            next_ready_ms: of(told.delayed, told.next_ready_ms),
            next_lease_ms: of(told.leased, told.next_lease_ms),
            lessees: told.lessees(),
            owners: told.owners(),
            receives: told.receives,
            subscriptions: told.subscriptions,
            credit: told.credit,
            paused: match told.paused {
                1 => Some("in"),
                2 => Some("out"),
                3 => Some("both"),
                _ => None,
            },
            messages_max: some(told.messages_max),
            bytes_max: some(told.bytes_max),
            is_full: told.is_full,
            memory_percent: told.memory_percent,
            paused_by: named(told.paused_by),
            group: named(told.group),
        }
    }
}

impl Queue {
    /// Why nothing is delivered: what every member of the cluster that answers in time (2 s) knows of the queue and its
    /// groups, and what follows from that. Changes nothing. Errors: 203 with too many at a time, 501.
    pub fn doctor(&self) -> Pending<Diagnosis> {
        let command = Command::Doctor(self.key());
        self.driver()
            .call(command, Manner::Patient, None, |_, reply| match reply {
                Reply::Diagnosis(facts, found, missing) => Ok(Diagnosis {
                    findings: found.into_iter().map(Finding::of).collect(),
                    facts: facts.into_iter().map(Facts::of).collect(),
                    missing,
                }),
                _ => Err(unexpected()),
            })
    }
}
