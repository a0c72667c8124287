//! Live chaos: real processes in network namespaces of their own, with real partitions.
//!
//! The simulator finds what can go wrong between engines; this looks whether the same holds for
//! processes, sockets and TLS (design: Jepsen's nemesis). [`network`] makes and cuts the namespaces,
//! [`shape`] says who does not hear whom, [`schedule`] draws faults from a seed, [`crew`] holds the
//! members. The scenarios: [`split`], [`retire`], [`mixed`], and [`join`], which needs no root. Each waits
//! for what must come true with a generous limit, and tells how long it took.
#![forbid(unsafe_code)]

use std::time::Duration;

use primer_cluster::Outcome;

use crate::crew::Crew;

pub mod crew;
pub mod join;
pub mod machine;
pub mod mixed;
pub mod network;
pub mod retire;
pub mod schedule;
pub mod shape;
pub mod split;

/// How big a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Members that are cut into halves.
    pub split_members: u64,
    /// For how long.
    pub split: Duration,
    /// Of members without a name; they are cut off for twice that time.
    pub retire_after: Duration,
    /// Rounds of mixed faults.
    pub rounds: u64,
    /// Members killed in each of them. Messages have one copy more.
    pub kills: u64,
    /// What the faults are drawn from.
    pub seed: u64,
    /// Processes that join through one seed.
    pub join_members: u64,
    /// For how long they are watched doing nothing.
    pub idle: Duration,
    /// Whether speed is judged, or told only.
    pub is_timed: bool,
}

impl Size {
    /// The whole run, about a quarter of an hour.
    #[must_use]
    pub fn full(seed: u64) -> Self {
        Self {
            split_members: 32,
            split: Duration::from_secs(60),
            retire_after: Duration::from_secs(10),
            rounds: 40,
            kills: 2,
            seed,
            join_members: 32,
            idle: Duration::from_secs(20),
            is_timed: true,
        }
    }

    /// A short one, within a minute and a half.
    #[must_use]
    pub fn short(seed: u64) -> Self {
        Self {
            split_members: 6,
            split: Duration::from_secs(8),
            retire_after: Duration::from_secs(4),
            rounds: 1,
            kills: 1,
            seed,
            join_members: 12,
            idle: Duration::from_secs(5),
            is_timed: false,
        }
    }
}

/// What a scenario came to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Verdict {
    /// Its members.
    pub members: u64,
    /// Acknowledged messages that were never delivered.
    pub lost: u64,
    /// Members that know other things than the rest.
    pub disagreements: u64,
    /// Which promises were broken; none is good.
    pub broken: Vec<String>,
}

/// Ends a run under load, however its drain went, and judges it: what is held for ever may be a lost
/// message or a copy that was forgotten, and the history tells which.
pub fn judged(crew: Crew, disagreements: u64, drained: Outcome<()>) -> Outcome<Verdict> {
    let members = crew.members();
    let report = crew.end()?.judge();
    println!(
        "  acked={} delivered={} duplicates={} ({:.2} %) unknown_delivered={} lost={}",
        report.figure("acknowledged"),
        report.figure("delivered"),
        report.figure("duplicated"),
        100.0 * report.figure("duplicated") as f64 / report.figure("delivered").max(1) as f64,
        report.figure("recovered"),
        report.figure("lost"),
    );
    let findings = report.findings.iter().take(10);
    let mut broken: Vec<String> = findings.map(ToString::to_string).collect();
    broken.extend(drained.err());
    if disagreements > 0 {
        broken.push(format!("{disagreements} members know other things"));
    }
    Ok(Verdict {
        members,
        lost: report.figure("lost"),
        disagreements,
        broken,
    })
}
