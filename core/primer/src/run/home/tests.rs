//! A home over restarts, and every way in which it can be spoiled.

use super::*;
use crate::run::private::Scratch;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const SHOP: ClusterId = ClusterId(5);
const FIRST: MemberId = MemberId(77);

fn open(directory: &Path, wall_ms: u64) -> Result<Home> {
    Home::open(directory, SHOP, wall_ms, || Ok(FIRST))
}

fn number(result: Result<Home>) -> u16 {
    result.err().map_or(0, |error| error.number())
}

#[test]
fn a_restart_is_the_same_member_in_a_later_life_whatever_the_clock_says() {
    let scratch = Scratch::new();
    let directory = scratch.path().join("deep/data");
    let lives: Vec<Identity> = [1_000, 2_000, 5, 2_001]
        .iter()
        .map(|wall_ms| open(&directory, *wall_ms).unwrap().identity())
        .collect();
    assert!(lives.iter().all(|life| life.member == FIRST));
    let incarnations: Vec<u64> = lives.iter().map(|life| life.incarnation).collect();
    assert_eq!(incarnations, [1_000, 2_000, 2_001, 2_002]);
}

#[test]
fn an_identity_that_was_kept_is_the_one_after_a_restart() {
    let scratch = Scratch::new();
    let home = open(scratch.path(), 1_000).unwrap();
    let raised = Identity {
        member: FIRST,
        incarnation: 9_000,
    };
    home.keep(raised).unwrap();
    let lower = Identity {
        incarnation: 8_000,
        ..raised
    };
    home.keep(lower).unwrap();
    assert_eq!(home.identity(), raised, "it never goes back");
    drop(home);
    let home = open(scratch.path(), 1_000).unwrap();
    assert_eq!(home.identity().incarnation, 9_001);
    let another = Identity {
        member: MemberId(78),
        incarnation: 4,
    };
    home.keep(another).unwrap();
    drop(home);
    assert_eq!(open(scratch.path(), 1).unwrap().identity().member.0, 78);
}

#[test]
fn a_directory_serves_one_at_a_time_and_names_who_has_it() {
    let scratch = Scratch::new();
    let first = open(scratch.path(), 1).unwrap();
    let error = open(scratch.path(), 1).err().unwrap();
    assert_eq!(error.number(), 108);
    let pid = std::process::id().to_string();
    assert!(error.context().contains(&("pid", pid)), "{error}");
    first.release();
    let second = open(scratch.path(), 1).unwrap();
    // What was released writes no more, and its drop does not open the other's lock.
    assert_eq!(first.save_metadata(b"late").unwrap_err().number(), 501);
    let late = Identity {
        member: FIRST,
        incarnation: u64::MAX,
    };
    assert_eq!(first.keep(late).unwrap_err().number(), 501);
    drop(first);
    assert_eq!(number(open(scratch.path(), 1)), 108);
    drop(second);
}

#[test]
fn a_damaged_identity_stops_the_start_and_stays_as_it_is() {
    let scratch = Scratch::new();
    drop(open(scratch.path(), 1_000).unwrap());
    let path = scratch.path().join(IDENTITY);
    let good = fs::read(&path).unwrap();
    let mut spoiled: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            spoiled.push(bytes);
        }
    }
    spoiled.push([good.as_slice(), b"\n"].concat());
    spoiled.push(vec![b'x'; 1 << 20]);
    for bytes in spoiled {
        fs::write(&path, &bytes).unwrap();
        assert_eq!(number(open(scratch.path(), 2_000)), 503, "{bytes:?}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "untouched");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(
        open(scratch.path(), 1).unwrap().identity().incarnation,
        1_001
    );
}

#[test]
fn another_version_and_another_cluster_are_refused() {
    let scratch = Scratch::new();
    drop(open(scratch.path(), 1_000).unwrap());
    let other = Home::open(scratch.path(), ClusterId(6), 1, || Ok(FIRST));
    assert_eq!(number(other), 107);
    fs::write(scratch.path().join(IDENTITY), "primer identity 2\nx\n").unwrap();
    let error = open(scratch.path(), 1).err().unwrap();
    assert_eq!(error.number(), 503);
    assert!(error.reason().contains("another version"), "{error}");
}

#[test]
fn a_used_directory_without_an_identity_is_not_a_new_one() {
    let scratch = Scratch::new();
    let home = open(scratch.path(), 1).unwrap();
    home.save_metadata(b"something").unwrap();
    drop(home);
    fs::remove_file(scratch.path().join(IDENTITY)).unwrap();
    assert_eq!(number(open(scratch.path(), 1)), 503);
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let scratch = Scratch::new();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o775)).unwrap();
    assert_eq!(number(open(scratch.path(), 1)), 101);
    assert!(fs::read_dir(scratch.path()).unwrap().next().is_none());
}

#[test]
fn metadata_survives_and_a_crash_while_it_is_written_leaves_the_old() {
    let scratch = Scratch::new();
    let home = open(scratch.path(), 1).unwrap();
    assert_eq!(home.load_metadata().unwrap(), None);
    for body in [&b""[..], b"one", &[9; 100_000]] {
        home.save_metadata(body).unwrap();
        assert_eq!(home.load_metadata().unwrap().as_deref(), Some(body));
    }
    fs::write(scratch.path().join("metadata.new"), b"half").unwrap();
    assert_eq!(home.load_metadata().unwrap().unwrap().len(), 100_000);
    home.save_metadata(b"two").unwrap();
    assert_eq!(home.load_metadata().unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(home.damaged(), 0);
}

#[test]
fn damaged_metadata_is_set_aside_counted_and_never_believed() {
    let scratch = Scratch::new();
    let home = open(scratch.path(), 1).unwrap();
    let path = scratch.path().join(METADATA);
    home.save_metadata(b"all that is known").unwrap();
    let good = fs::read(&path).unwrap();
    let mut spoiled: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        spoiled.push(bytes);
    }
    spoiled.push([good.as_slice(), b"x"].concat());
    for (count, bytes) in spoiled.iter().enumerate() {
        fs::write(&path, bytes).unwrap();
        assert_eq!(home.load_metadata().unwrap(), None);
        assert!(!path.exists());
        assert_eq!(home.damaged(), count as u64 + 1);
    }
    let first = fs::read(scratch.path().join("metadata.damaged-1")).unwrap();
    assert_eq!(first, spoiled[0]);
    let entries = fs::read_dir(scratch.path()).unwrap().count();
    assert!(entries <= 2 + 100, "the quarantine is bounded: {entries}");
    home.save_metadata(b"new").unwrap();
    assert_eq!(home.load_metadata().unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn what_remains_of_damaged_metadata_is_handed_out_once_as_such() {
    let scratch = Scratch::new();
    let home = open(scratch.path(), 1).unwrap();
    let path = scratch.path().join(METADATA);
    home.save_metadata(b"all that is known").unwrap();
    assert!(home.load_metadata().unwrap().is_some());
    assert_eq!(home.take_remains(), None, "nothing is wrong with it");
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 40);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(home.load_metadata().unwrap(), None);
    assert_eq!(home.take_remains().as_deref(), Some(&b"all that "[..]));
    assert_eq!(home.take_remains(), None);
    // Of which version or cluster it is cannot be told: then nothing of it is worth anything.
    bytes[9] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(home.load_metadata().unwrap(), None);
    assert_eq!(home.take_remains(), None);
    assert_eq!(home.damaged(), 2);
}

#[test]
fn forgotten_metadata_is_gone_also_after_a_restart() {
    let scratch = Scratch::new();
    let home = open(scratch.path(), 1).unwrap();
    home.forget_metadata().unwrap();
    home.save_metadata(b"of a cluster that was left").unwrap();
    home.forget_metadata().unwrap();
    assert_eq!(home.load_metadata().unwrap(), None);
    home.release();
    assert_eq!(home.forget_metadata().unwrap_err().number(), 501);
    let again = open(scratch.path(), 1).unwrap();
    assert_eq!(again.load_metadata().unwrap(), None);
    assert_eq!(again.damaged(), 0);
}

#[test]
fn another_clusters_metadata_is_not_believed() {
    let scratch = Scratch::new();
    snapshot::save(scratch.path(), METADATA, ClusterId(6), b"theirs").unwrap();
    let loaded = snapshot::load(scratch.path(), METADATA, SHOP).unwrap();
    assert!(loaded.is_damaged && loaded.body.is_none());
    assert!(loaded.remains.is_none());
}
