//! A few thousand cases of every target, by count: the same every time.

use primer_fuzz::{TARGETS, Until, replay, run};

fn cases(target: &str, count: u64) {
    let report = run(target, Until::Count(count), 1).expect("a known target");
    assert_eq!(report.runs, count, "{:?}", report.crashes);
    assert!(report.crashes.is_empty(), "{:?}", report.crashes);
}

#[test]
fn frames_from_strangers() {
    cases("frame", 5_000);
}

#[test]
fn handshakes_from_strangers() {
    cases("hello", 5_000);
}

#[test]
fn a_handshake_among_liars() {
    cases("handshake", 20_000);
}

#[test]
fn an_engine_among_hostile_peers() {
    cases("engine", 2_000);
}

#[test]
fn a_map_that_merges() {
    cases("crdt", 3_000);
}

#[test]
fn a_tree_among_damage_and_lies() {
    cases("broadcast", 2_000);
}

#[test]
fn an_exchange_with_a_liar() {
    cases("exchange", 1_000);
}

#[test]
fn a_disk_that_lies() {
    cases("saved", 3_000);
}

#[test]
fn options_as_people_type_them() {
    cases("options", 5_000);
}

#[test]
fn every_target_is_tried_here() {
    let tried = [
        "frame",
        "hello",
        "handshake",
        "engine",
        "crdt",
        "broadcast",
        "exchange",
        "saved",
        "options",
    ];
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, tried);
    assert!(run("no such target", Until::Count(1), 1).is_none());
    assert_eq!(replay("hello", 7), Some(Ok(())));
}
