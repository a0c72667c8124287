//! Many processes join through one seed, then have nothing to do. On loopback, so this needs no root.

use std::process::Command;
use std::time::Instant;

use primer_cluster::cluster::Cluster;
use primer_cluster::member::Setup;
use primer_cluster::{Outcome, text};

use crate::{Size, Verdict, machine};

/// What a long run on a quiet machine must reach: this many seconds to join, this share of a core for each
/// idle member.
const JOIN_S: f64 = 10.0;
const IDLE_SHARE: f64 = 0.01;
/// With more than this share of a core used by others, speed is told and not held against it.
const OTHERS_SHARE: f64 = 0.1;

/// Runs it. Errors: the harness's, and members that never see each other.
pub fn run(size: &Size) -> Outcome<Verdict> {
    let members = size.join_members;
    let mut cluster = Cluster::default();
    let before = others_share(&mut cluster, 1.0)?;
    let begun = Instant::now();
    let mut seed = String::new();
    for index in 0..members {
        let setup = Setup {
            index,
            members: members as usize,
            ..Setup::default()
        }
        .with("cluster", "chaos")
        .with("discover", "none")
        .with("seeds", &seed);
        cluster.start(Command::new(std::env::current_exe().map_err(text)?), &setup)?;
        if index == 0 {
            seed = cluster.until_listening(0)?;
        }
    }
    cluster.until_ready()?;
    let joined = begun.elapsed().as_secs_f64();
    println!(
        "  {members} processes see each other after {joined:.1} s ({:.0} % of a core used by others before, load {})",
        before * 100.0,
        machine::load(),
    );

    // The joining itself goes on for a moment: exchanges, the tree.
    cluster.pass(size.idle / 4)?;
    let (shares, others) = idle(&mut cluster, size)?;
    let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    let most = shares.iter().copied().fold(0.0, f64::max);
    println!(
        "  idle for {} s: {:.2} % of a core each, {:.2} % at most ({:.0} % of a core used by others)",
        size.idle.as_secs(),
        mean * 100.0,
        most * 100.0,
        others * 100.0,
    );
    let figures = [
        within("seconds to join", joined, JOIN_S, before, size),
        within(
            "of a core for an idle member",
            most,
            IDLE_SHARE,
            others,
            size,
        ),
    ];
    cluster.end()?;
    Ok(Verdict {
        members,
        broken: figures.into_iter().flatten().collect(),
        ..Verdict::default()
    })
}

/// The shares of a core that each member uses while nothing happens, and what all others use.
fn idle(cluster: &mut Cluster, size: &Size) -> Outcome<(Vec<f64>, f64)> {
    let pids: Vec<u32> = cluster.pids().into_values().collect();
    let used = |pids: &[u32]| -> Outcome<Vec<f64>> {
        let used = pids.iter().map(|pid| machine::used_by(*pid));
        used.map(|time| Ok(time?.as_secs_f64())).collect()
    };
    let (begun, before, all) = (Instant::now(), used(&pids)?, machine::used_by_all()?);
    cluster.pass(size.idle)?;
    let (after, all_after) = (used(&pids)?, machine::used_by_all()?);
    let seconds = begun.elapsed().as_secs_f64();
    let shares: Vec<f64> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| (after - before) / seconds)
        .collect();
    let machine = all_after.saturating_sub(all).as_secs_f64() / seconds;
    Ok((
        shares.clone(),
        (machine - shares.iter().sum::<f64>()).max(0.0),
    ))
}

fn others_share(cluster: &mut Cluster, seconds: f64) -> Outcome<f64> {
    let before = machine::used_by_all()?;
    cluster.pass(std::time::Duration::from_secs_f64(seconds))?;
    Ok(machine::used_by_all()?.saturating_sub(before).as_secs_f64() / seconds)
}

/// What is wrong with a figure. A short run tells it and does not judge, as one on a busy machine.
fn within(what: &str, value: f64, limit: f64, others: f64, size: &Size) -> Option<String> {
    if value <= limit {
        return None;
    }
    let broken = format!("{value:.3} {what}, {limit} at most");
    if size.is_timed && others <= OTHERS_SHARE {
        return Some(broken);
    }
    println!("  not judged here: {broken}");
    None
}
