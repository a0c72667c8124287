//! Five members under load, one killed with SIGKILL; afterwards every acknowledged message must
//! have been delivered.

use std::process::Command;

use primer_check::Report;

use crate::cluster::Cluster;
use crate::load::COPIES;
use crate::member::Setup;
use crate::{Outcome, text};

const MEMBERS: u64 = 5;
/// The victim dies after so many of its own messages were acknowledged, and the others stop after
/// so many more.
const ACKED_BEFORE: u64 = 300;
const ACKED_AFTER: u64 = 2_000;
/// Short, so that a run takes seconds: what the dead consumer held comes back after this.
const LEASE_MS: u64 = 2_000;
const TAKEOVER_MS: u64 = 500;

/// Repeats the run and closes with one line. Errors: something was lost, or odd.
pub fn runs(count: u64) -> Outcome<()> {
    let (mut acked, mut duplicates, mut lost, mut odd) = (0, 0, 0, 0);
    for run in 1..=count {
        let report = one(run)?;
        acked += report.figure("acknowledged");
        duplicates += report.figure("duplicated");
        lost += report.figure("lost");
        odd += report.findings.len();
        for finding in report.findings.iter().take(10) {
            println!("  {finding}");
        }
        println!(
            "run {run}: acked={} delivered={} duplicates={} unknown_delivered={} lost={}",
            report.figure("acknowledged"),
            report.figure("delivered"),
            report.figure("duplicated"),
            report.figure("recovered"),
            report.figure("lost"),
        );
    }
    println!("kill: runs={count} acked={acked} duplicates={duplicates} lost={lost}");
    if odd > 0 {
        return Err(format!("{odd} findings"));
    }
    Ok(())
}

/// One run: start, load, kill, load, stop, drain, judge.
pub fn one(run: u64) -> Outcome<Report> {
    let mut cluster = start()?;
    let victim = run % MEMBERS;
    cluster.tell_all("go")?;
    cluster.until_acked(Some(victim), ACKED_BEFORE)?;
    cluster.kill(victim)?;
    let acked = cluster.acked_by(None);
    cluster.until_acked(None, acked + ACKED_AFTER)?;
    cluster.drain()?;
    cluster.end()?;
    Ok(cluster.judge())
}

fn start() -> Outcome<Cluster> {
    let mut cluster = Cluster::default();
    let mut seed = String::new();
    for index in 0..MEMBERS {
        let setup = Setup {
            index,
            members: MEMBERS as usize,
            ..Setup::default()
        }
        .with("cluster", "kill")
        .with("discover", "none")
        .with("name", format!("member-{index}"))
        .with("seeds", &seed)
        .with("copies", COPIES)
        .with("lease_ms", LEASE_MS)
        .with("takeover_after_ms", TAKEOVER_MS)
        .with("on_short", "fail");
        cluster.start(Command::new(std::env::current_exe().map_err(text)?), &setup)?;
        let address = cluster.until_listening(index)?;
        if index == 0 {
            seed = address;
        }
    }
    cluster.until_ready()?;
    Ok(cluster)
}
