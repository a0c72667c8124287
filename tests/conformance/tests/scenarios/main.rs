//! The Rust runner: every scenario on real members of the public surface.
//!
//! One test a file, so that they run side by side and a failing one has a name; `every_file_has_its_test`
//! keeps the list whole.

mod browse;
mod calls;
mod doctor;
mod expect;
mod explain;
mod gossip;
mod groups;
mod redrive;
mod settings;
mod world;

use primer_conformance::{files, folder, scenario};

/// Runs one file. Errors: the first step that differs, as `file:line: what`.
fn run(name: &str) -> Result<(), String> {
    let file = format!("{name}.scn");
    let path = folder().join("scenarios").join(&file);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
    let mut world = world::World::default();
    for step in &scenario::parse(&file, &text)? {
        world
            .step(step)
            .map_err(|told| format!("{file}:{}: {told}", step.line))?;
    }
    Ok(())
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() -> Result<(), String> {
            run(stringify!($name))
        })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    ack_many
    address
    basics
    bodies
    browse
    browse_remote
    call
    call_groups
    call_remote
    closed
    configure
    configure_length
    configure_remote
    copies
    credit_bytes
    dead
    dead_remote
    dedup
    dedup_remote
    doctor
    doctor_remote
    drop_remote
    enqueue_many
    events
    evict
    explain
    five
    groups
    groups_backlog
    groups_remote
    groups_removed
    headers
    join
    join_refused
    kept
    keys
    keys_watch
    late_ack
    lease_expiry
    lease_holds
    lease_lost
    leave
    leave_alone
    leave_close
    leave_seed
    lines
    lines_fair
    lines_large
    lines_lost
    lines_push
    lines_remote
    memory
    memory_full
    memory_levels
    memory_remote
    nack
    once
    options
    order
    placement
    receive_max
    redrive
    redrive_remote
    refused
    release
    remote
    repair
    secret
    seeds
    short_alone
    stats
    subscribe
    subscribe_remote
    takeover_after
    terms
    topics
    unreachable
    unsubscribe
    wrong_calls
    zones
}

#[test]
fn every_file_has_its_test() {
    let found: Vec<String> = files(&folder().join("scenarios"))
        .unwrap()
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, NAMES);
}
