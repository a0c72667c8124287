//! The directory of one cluster: who is found there, who is not, and what all agree on.

use super::*;
use crate::run::private::Scratch;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;

const SHOP: ClusterId = ClusterId(5);

fn enter(scratch: &Scratch) -> Local {
    Local::enter(scratch.path(), SHOP).unwrap()
}

/// A member that is to be found at 127.0.0.1:`number`.
fn member(scratch: &Scratch, number: u64) -> Local {
    let mut local = enter(scratch);
    local
        .publish(MemberId(number.into()), BootId(number), &address(number))
        .unwrap();
    local
}

fn address(number: u64) -> String {
    format!("127.0.0.1:{number}")
}

fn entries(local: &Local) -> usize {
    fs::read_dir(&local.directory).unwrap().count()
}

#[test]
fn members_find_each_other_and_not_themselves() {
    let scratch = Scratch::new();
    let mut first = member(&scratch, 1);
    assert!(first.look(true).unwrap().is_empty());
    let mut second = member(&scratch, 2);
    assert_eq!(second.look(true).unwrap(), [address(1)]);
    assert_eq!(first.look(false).unwrap(), [address(2)]);
    let mut silent = enter(&scratch);
    assert_eq!(silent.look(false).unwrap(), [address(1), address(2)]);
    second.withdraw();
    assert!(first.look(false).unwrap().is_empty());
    assert!(
        second.look(false).unwrap() == [address(1)],
        "it still looks"
    );
    let other = Local::enter(scratch.path(), ClusterId(6)).unwrap();
    assert_ne!(other.secret(), first.secret());
    drop(first);
    assert_eq!(entries(&silent), 1, "the secret stays");
}

#[test]
fn a_file_whose_writer_is_gone_is_removed_by_who_looks() {
    let scratch = Scratch::new();
    let mut looker = enter(&scratch);
    let dead = looker.directory.join("dead");
    fs::write(&dead, "primer member 1\naddress 127.0.0.1:9\n").unwrap();
    let mut alive = member(&scratch, 1);
    assert_eq!(looker.look(false).unwrap(), [address(1)]);
    assert!(!dead.exists());
    // As a kill does: the lock goes, the file stays.
    let own = alive.own.take().unwrap();
    own.file.unwrap().unlock().unwrap();
    assert_eq!(
        looker.look(false).unwrap(),
        [address(1)],
        "not asked again yet"
    );
    assert!(looker.look(true).unwrap().is_empty());
    assert_eq!(entries(&looker), 1);
}

#[test]
fn all_who_start_at_once_agree_on_one_secret_and_find_each_other() {
    const COUNT: u64 = 16;
    for _ in 0..20 {
        let scratch = Scratch::new();
        let barrier = Barrier::new(COUNT as usize);
        let members: Vec<(Local, usize)> = std::thread::scope(|scope| {
            let start = |number| {
                let (scratch, barrier) = (&scratch, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let mut local = member(scratch, number);
                    let found = local.look(true).unwrap().len();
                    (local, found)
                })
            };
            let threads: Vec<_> = (0..COUNT).map(start).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let secret = members[0].0.secret();
        assert_eq!(secret.len(), 64);
        assert!(members.iter().all(|(local, _)| local.secret() == secret));
        // Of every two, at least the later one found the other.
        let found: usize = members.iter().map(|(_, found)| found).sum();
        assert!(found as u64 >= COUNT * (COUNT - 1) / 2, "{found}");
        assert_eq!(entries(&members[0].0), COUNT as usize + 1);
    }
}

#[test]
fn a_secret_that_others_could_know_or_that_is_none_is_refused() {
    let scratch = Scratch::new();
    let path = enter(&scratch).directory.join(SECRET);
    let number = || Local::enter(scratch.path(), SHOP).err().map(|e| e.number());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(number(), Some(101));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let good = fs::read(&path).unwrap();
    for bad in [&b""[..], b"\n", &good[1..], &[b'g'; 64], &[0xff; 64]] {
        fs::write(&path, bad).unwrap();
        assert_eq!(number(), Some(503), "{bad:?}");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(number(), None);
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(number(), Some(101));
}

#[test]
fn a_member_whose_directory_was_tidied_away_comes_back_with_its_secret() {
    let scratch = Scratch::new();
    let mut first = member(&scratch, 1);
    fs::remove_file(first.directory.join(&first.own.as_ref().unwrap().name)).unwrap();
    first.look(false).unwrap();
    let mut second = enter(&scratch);
    assert_eq!(second.look(true).unwrap(), [address(1)]);
    fs::remove_dir_all(&first.directory).unwrap();
    first.look(false).unwrap();
    let mut third = member(&scratch, 3);
    assert_eq!(third.secret(), first.secret());
    assert_eq!(third.look(true).unwrap(), [address(1)]);
    assert_eq!(first.look(false).unwrap(), [address(3)]);
}

#[test]
fn what_a_crash_left_unfinished_is_cleared_when_it_is_old() {
    let scratch = Scratch::new();
    let mut local = enter(&scratch);
    let (fresh, old) = (local.directory.join(".1"), local.directory.join(".2"));
    fs::write(&fresh, b"").unwrap();
    let file = File::create(&old).unwrap();
    let long_ago = std::time::SystemTime::now() - 2 * UNFINISHED_MAX;
    file.set_modified(long_ago).unwrap();
    file.lock().unwrap();
    local.look(true).unwrap();
    assert!(old.exists(), "somebody still writes it");
    file.unlock().unwrap();
    local.look(true).unwrap();
    assert!(!old.exists() && fresh.exists());
}

#[test]
fn files_that_tell_no_address_are_nobodys() {
    for (bytes, address) in [
        (
            &b"primer member 1\naddress 127.0.0.1:5\npid 7\n"[..],
            Some("127.0.0.1:5"),
        ),
        (
            b"primer member 2\nnew thing\naddress db.internal:5\n",
            Some("db.internal:5"),
        ),
        (b"address nowhere\n", None),
        (b"", None),
        (b"\xff\xff", None),
    ] {
        assert_eq!(address_in(bytes).as_deref(), address);
    }
    let long = format!("address {}:1\n", "a".repeat(300));
    assert_eq!(address_in(long.as_bytes()), None);
}
