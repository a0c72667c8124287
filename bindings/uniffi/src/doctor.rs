//! Why nothing is delivered.

use crate::error::PrimerError;
use crate::queue::Queue;

/// What is the matter with a queue, and what that follows from.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Diagnosis {
    /// What is the matter, the most important first; never nothing.
    pub findings: Vec<Finding>,
    /// What each member knows, of the queue itself and of each of its groups, in the order of the members' ids.
    pub facts: Vec<Facts>,
    /// The ids of members that did not answer: unreachable, too busy, or too slow.
    pub missing: Vec<String>,
}

/// One thing that is the matter with a queue, or with a group of it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Finding {
    /// What: "paused_out", "owner_unreachable", "member_missing", "no_group", "no_consumer", "no_credit",
    /// "key_busy", "all_leased", "delayed", "paused_in", "full", "memory", "empty" or "healthy".
    pub code: String,
    /// In which group; absent: the queue itself.
    pub group: Option<String>,
    /// How many messages it is about; 0 where it is about none in particular.
    pub messages: u64,
    /// The ids of members that it is about: who says so, whose consumers have them, or who is not reached.
    pub members: Vec<String>,
}

/// What one member knows of a queue, or of one group of it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Facts {
    /// Whose facts they are, by its id.
    pub member: String,
    /// The group; absent: the queue itself.
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
    /// The ids of members whose consumers have leased ones; some of them.
    pub lessees: Vec<String>,
    /// The ids of members that own what is stranded; some of them.
    pub owners: Vec<String>,
    /// Receives that wait at it.
    pub receives: u64,
    /// Subscriptions that are open at it.
    pub subscriptions: u64,
    /// How many more messages these may be given.
    pub credit: u64,
    /// "in", "out" or "both"; absent where it is not paused.
    pub paused: Option<String>,
    /// The beginning of names whose policy pauses it; absent where its own setting does, or nothing.
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

fn texts(members: &[primer::MemberId]) -> Vec<String> {
    members.iter().map(ToString::to_string).collect()
}

impl From<primer::Diagnosis> for Diagnosis {
    fn from(diagnosis: primer::Diagnosis) -> Self {
        Self {
            findings: diagnosis.findings.into_iter().map(Into::into).collect(),
            facts: diagnosis.facts.into_iter().map(Into::into).collect(),
            missing: texts(&diagnosis.missing),
        }
    }
}

impl From<primer::Finding> for Finding {
    fn from(finding: primer::Finding) -> Self {
        Self {
            code: finding.code.to_owned(),
            group: finding.group,
            messages: finding.messages,
            members: texts(&finding.members),
        }
    }
}

impl From<primer::Facts> for Facts {
    fn from(facts: primer::Facts) -> Self {
        Self {
            member: facts.member.to_string(),
            group: facts.group,
            ready: facts.ready,
            leased: facts.leased,
            delayed: facts.delayed,
            standby: facts.standby,
            stranded: facts.stranded,
            oldest_ms: facts.oldest_ms,
            next_ready_ms: facts.next_ready_ms,
            next_lease_ms: facts.next_lease_ms,
            lessees: texts(&facts.lessees),
            owners: texts(&facts.owners),
            receives: facts.receives,
            subscriptions: facts.subscriptions,
            credit: facts.credit,
            paused: facts.paused.map(str::to_owned),
            paused_by: facts.paused_by,
            messages_max: facts.messages_max,
            bytes_max: facts.bytes_max,
            is_full: facts.is_full,
            memory_percent: facts.memory_percent,
        }
    }
}

#[uniffi::export]
impl Queue {
    /// Why nothing is delivered: what every member that answers within two seconds knows of the queue and its groups, and
    /// what follows from that. Changes nothing. Errors: 203 with too many at a time, 501.
    pub async fn doctor(&self) -> Result<Diagnosis, PrimerError> {
        let (queue, courier) = self.0.get()?;
        Ok(courier.carry(queue.doctor()).await?.into())
    }
}
