//! What a member with a data directory still knows after a restart: others, keys, what is gone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{options, sees, until};
use primer::{EventKind, Options, Primer};

/// Directories of one test's members, gone with it.
struct Scratch {
    path: PathBuf,
    cluster: String,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let cluster = format!("primer-data-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(&cluster);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self { path, cluster }
    }

    fn of(&self, member: &str) -> PathBuf {
        self.path.join(member)
    }

    fn options(&self, member: &str) -> Options {
        options(&self.cluster).data_dir(self.of(member))
    }

    fn open(&self, member: &str) -> Primer {
        self.options(member).open_blocking().unwrap()
    }

    fn open_at(&self, member: &str, address: &str) -> Primer {
        let options = self.options(member).listen(address);
        options.open_blocking().unwrap()
    }

    /// A member that joins by this one, and both see `count`.
    fn join(&self, member: &str, seed: &Primer, count: usize) -> Primer {
        let options = self.options(member).seed(seed.address().unwrap());
        let joined = options.listen(host()).open_blocking().unwrap();
        sees(&joined, count);
        sees(seed, count);
        joined
    }

    fn metadata(&self, member: &str) -> PathBuf {
        self.of(member).join("metadata")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Where members listen that are to have the same address again: away from the ports that the system gives
/// to whoever connects from 127.0.0.1.
fn host() -> &'static str {
    if cfg!(target_os = "linux") {
        "127.0.0.5:0"
    } else {
        "127.0.0.1:0"
    }
}

fn close(member: Primer) {
    member.close().wait().unwrap();
}

fn has(member: &Primer, key: &str, value: &str) -> bool {
    member.get(key).unwrap().as_deref() == Some(value.as_bytes())
}

fn lacks(member: &Primer, key: &str) -> bool {
    member.get(key).unwrap().is_none()
}

fn id(member: &Primer) -> primer::MemberId {
    let members = member.members().unwrap();
    members.iter().find(|member| member.is_self).unwrap().id
}

fn stat(member: &Primer, name: &str) -> u64 {
    member.stats().unwrap().get(name)
}

#[test]
fn a_member_finds_its_cluster_again_without_a_seed_and_from_another_address() {
    let scratch = Scratch::new("one");
    let first = scratch.open_at("first", host());
    let second = scratch.join("second", &first, 2);
    let (own, other) = (id(&second), id(&first));
    first.put("kept", "1").unwrap();
    first.put("removed", "1").unwrap();
    until("both keys are there", || has(&second, "removed", "1"));
    close(second);
    first.delete("removed").unwrap();
    first.put("kept", "2").unwrap();
    // Its own address is another one now, and nobody tells it where to go.
    let second = scratch.open("second");
    assert_eq!(id(&second), own);
    let members = second.members().unwrap();
    assert!(members.iter().any(|member| member.id == other), "at once");
    sees(&second, 2);
    sees(&first, 2);
    until("it has learned", || {
        has(&second, "kept", "2") && lacks(&second, "removed")
    });
    assert!(lacks(&first, "removed"), "it brought nothing back");
    close(first);
    close(second);
}

#[test]
fn all_restart_at_once_without_seeds_and_are_one_cluster_with_its_keys() {
    let scratch = Scratch::new("all");
    let first = scratch.open_at("a", host());
    let second = scratch.join("b", &first, 2);
    let third = scratch.join("c", &first, 3);
    sees(&second, 3);
    let members = [first, second, third];
    members[0].put("kept", "yes").unwrap();
    members[1].put("removed", "soon").unwrap();
    until("all know", || {
        members
            .iter()
            .all(|m| has(m, "removed", "soon") && has(m, "kept", "yes"))
    });
    members[2].delete("removed").unwrap();
    until("all know", || members.iter().all(|m| lacks(m, "removed")));
    let ids = members.each_ref().map(id);
    let addresses = members.each_ref().map(|member| member.address().unwrap());
    members.into_iter().for_each(close);
    // The first is not where it was: it finds the others, and they cannot find it.
    let addresses = [host(), &addresses[1], &addresses[2]];
    let again = [0, 1, 2].map(|place| {
        let (name, address) = (["a", "b", "c"][place], addresses[place]);
        let member = scratch.open_at(name, address);
        assert!(has(&member, "kept", "yes"), "before it meets anyone");
        assert!(lacks(&member, "removed"));
        member
    });
    again.iter().for_each(|member| sees(member, 3));
    assert_eq!(again.each_ref().map(id), ids);
    again[2].put("kept", "still").unwrap();
    until("they are one cluster", || {
        again.iter().all(|member| has(member, "kept", "still"))
    });
    assert!(again.iter().all(|member| lacks(member, "removed")));
    for name in [
        "identity_conflicts",
        "links_refused_evicted",
        "metadata_damaged",
    ] {
        assert!(again.iter().all(|member| stat(member, name) == 0), "{name}");
    }
    again.into_iter().for_each(close);
}

#[test]
fn a_crash_costs_what_was_written_in_its_last_moment_and_no_more() {
    let scratch = Scratch::new("crash");
    let member = scratch.open("a");
    member.put("k", "v").unwrap();
    until("it is saved", || {
        let file = fs::read(scratch.metadata("a")).unwrap_or_default();
        file.windows(3).any(|three| three == b"u/k")
    });
    // What a crash would leave.
    fs::create_dir(scratch.of("b")).unwrap();
    for file in ["identity", "metadata"] {
        fs::copy(scratch.of("a").join(file), scratch.of("b").join(file)).unwrap();
    }
    close(member);
    let again = scratch.open("b");
    assert!(has(&again, "k", "v"));
    assert_eq!(stat(&again, "metadata_damaged"), 0);
    close(again);
}

/// One bit of a key's value, or everything from the middle of the keys on.
const SPOIL: [fn(&mut Vec<u8>); 2] = [
    |bytes| {
        let place = bytes.windows(7).rposition(|seven| seven == b"value-7");
        bytes[place.unwrap()] ^= 1;
    },
    |bytes| {
        let place = bytes.windows(7).position(|seven| seven == b"value-5");
        bytes.truncate(place.unwrap());
    },
];

fn fill(member: &Primer) {
    for n in 0..10 {
        member.put(&format!("k{n}"), format!("value-{n}")).unwrap();
    }
}

fn spoil(scratch: &Scratch, member: &str, spoil: fn(&mut Vec<u8>)) {
    let path = scratch.metadata(member);
    let mut bytes = fs::read(&path).unwrap();
    spoil(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_damaged_snapshot_costs_nobody_a_key() {
    for (round, how) in SPOIL.into_iter().enumerate() {
        let scratch = Scratch::new(&format!("damaged-{round}"));
        let first = scratch.open_at("a", host());
        let second = scratch.join("b", &first, 2);
        fill(&first);
        until("they are there", || second.list("k").unwrap().len() == 10);
        close(second);
        spoil(&scratch, "b", how);
        let second = scratch.open("b");
        assert_eq!(stat(&second, "metadata_damaged"), 1);
        assert!(stat(&second, "metadata_salvaged") > 0);
        sees(&second, 2);
        until("they are there again", || {
            second.list("k").unwrap().len() == 10
        });
        second.put("told", "").unwrap();
        until("they have talked", || has(&first, "told", ""));
        assert_eq!(first.list("k").unwrap().len(), 10);
        assert!(scratch.of("b").join("metadata.damaged-1").exists());
        close(first);
        close(second);
    }
}

#[test]
fn alone_a_member_keeps_of_a_damaged_snapshot_what_is_right() {
    let scratch = Scratch::new("salvage");
    let member = scratch.open("a");
    fill(&member);
    close(member);
    spoil(&scratch, "a", SPOIL[0]);
    let member = scratch.open("a");
    let keys = member.list("k").unwrap();
    assert_eq!(keys.len(), 9);
    assert!(keys.iter().all(|entry| entry.key != "k7"));
    // What is saved now is whole again.
    close(member);
    let member = scratch.open("a");
    assert_eq!(stat(&member, "metadata_damaged"), 0);
    assert_eq!(member.list("k").unwrap().len(), 9);
    close(member);
}

/// The one in the file.
fn incarnation(scratch: &Scratch, member: &str) -> u64 {
    let identity = fs::read_to_string(scratch.of(member).join("identity")).unwrap();
    let mut lines = identity.lines();
    let number = lines.find_map(|line| line.strip_prefix("incarnation "));
    number.unwrap().parse().unwrap()
}

#[test]
fn who_left_has_forgotten_its_cluster_when_the_call_returns() {
    let scratch = Scratch::new("left");
    let first = scratch.open_at("a", host());
    let second = scratch.join("b", &first, 2);
    first.put("secret of that cluster", "v").unwrap();
    until("it is saved there", || {
        let file = fs::read(scratch.metadata("b")).unwrap_or_default();
        file.windows(6).any(|six| six == b"secret")
    });
    let before = incarnation(&scratch, "b");
    second.leave(None, false).wait().unwrap();
    assert!(incarnation(&scratch, "b") > before, "a later life, kept");
    let file = fs::read(scratch.metadata("b")).unwrap_or_default();
    assert!(!file.windows(6).any(|six| six == b"secret"));
    sees(&first, 1);
    second.put("own", "v").unwrap();
    close(second);
    let second = scratch.open("b");
    assert_eq!(second.members().unwrap().len(), 1);
    assert!(lacks(&second, "secret of that cluster") && has(&second, "own", "v"));
    assert_eq!(stat(&second, "dials"), 0, "it looks for nobody");
    assert_eq!(first.members().unwrap().len(), 1);
    close(first);
    close(second);
}

#[test]
fn a_fence_outlives_the_restart_of_the_member_that_set_it() {
    let scratch = Scratch::new("fence");
    let first = scratch.open_at("a", host());
    let address = first.address().unwrap();
    let options = scratch.options("b").listen("none").seed(&address);
    let second = options.open_blocking().unwrap();
    let events = second.events();
    sees(&second, 2);
    sees(&first, 2);
    let evicted = id(&second);
    close(first);
    // Where the other one does not look for it, so that it does not hear of it.
    let first = scratch.open_at("a", host());
    assert_eq!(first.members().unwrap().len(), 2, "it remembers the other");
    first.evict(evicted).unwrap();
    close(first);
    let first = scratch.open_at("a", &address);
    until("the life that was evicted is refused", || {
        stat(&first, "links_refused_evicted") > 0
    });
    until("it is told", || {
        let evicted = |kind: &EventKind| *kind == EventKind::Evicted;
        events.take(100).iter().any(|event| evicted(&event.kind))
    });
    // It comes as another life, with nothing, also after a restart with its directory.
    sees(&first, 2);
    close(second);
    let options = scratch.options("b").listen("none");
    let second = options.open_blocking().unwrap();
    assert_eq!(id(&second), evicted);
    sees(&second, 2);
    sees(&first, 2);
    close(first);
    close(second);
}

#[test]
fn a_disk_that_cannot_be_written_is_counted_and_tried_again() {
    let scratch = Scratch::new("full");
    let member = scratch.open("a");
    until("it is saved", || stat(&member, "metadata_saves") > 0);
    // In the way of every new file: no owner's right overcomes this.
    let obstacle = scratch.of("a").join("metadata.new");
    fs::create_dir(&obstacle).unwrap();
    member.put("k", "v").unwrap();
    until("it is counted", || stat(&member, "metadata_unsaved") > 0);
    assert!(has(&member, "k", "v"), "it works on");
    fs::remove_dir(&obstacle).unwrap();
    let saves = stat(&member, "metadata_saves");
    until("it is tried again", || {
        stat(&member, "metadata_saves") > saves
    });
    close(member);
    let member = scratch.open("a");
    assert!(has(&member, "k", "v"));
    close(member);
}

#[test]
fn what_was_written_last_is_saved_at_the_end_also_when_nobody_waits_for_it() {
    let scratch = Scratch::new("last");
    let member = scratch.open("a");
    until("it is saved", || stat(&member, "metadata_saves") > 0);
    member.put("k", "v").unwrap();
    // The last handle goes; nobody calls close.
    drop(member);
    let mut again = None;
    until("the directory is free", || {
        again = scratch.options("a").open_blocking().ok();
        again.is_some()
    });
    let again = again.unwrap();
    assert!(has(&again, "k", "v"));
    close(again);
}
