//! The user's keys: values, limits, siblings.

use super::*;

const ANN: MemberId = MemberId(1);
const BOB: MemberId = MemberId(2);

fn at(ms: u64) -> Now {
    Now {
        mono: Instant(ms),
        wall_ms: 1_000_000 + ms,
    }
}

fn table(member: MemberId) -> Table {
    Table::new(member, BootId(member.0 as u64 * 1_000))
}

fn value(table: &Table, key: &str) -> Option<String> {
    let entry = table.get(key)?;
    Some(String::from_utf8(entry.value.to_vec()).unwrap())
}

fn put(table: &mut Table, ms: u64, key: &str, value: &'static str) -> Delta {
    table
        .put(at(ms), key, Bytes::from_static(value.as_bytes()))
        .unwrap()
}

#[test]
fn what_is_put_is_read_everywhere_and_what_is_deleted_nowhere() {
    let (mut ann, mut bob) = (table(ANN), table(BOB));
    let delta = put(&mut ann, 5, "color", "red");
    assert_eq!(bob.hear(at(5), &delta), [raw_key("color")]);
    assert_eq!(bob.hear(at(5), &delta), Vec::<Vec<u8>>::new(), "known");
    assert_eq!(value(&bob, "color").unwrap(), "red");
    assert_eq!(bob.get("color").unwrap().at_ms, 1_000_005);
    let delta = bob.delete(at(6), "color").unwrap().unwrap();
    assert_eq!(bob.delete(at(6), "color").unwrap(), None);
    assert_eq!(ann.hear(at(6), &delta), [raw_key("color")]);
    assert_eq!((ann.get("color"), bob.get("color")), (None, None));
    assert_eq!(ann.digest(), bob.digest());
}

#[test]
fn of_values_written_at_one_time_all_read_the_same_and_see_the_others() {
    let (mut ann, mut bob) = (table(ANN), table(BOB));
    let by_ann = put(&mut ann, 7, "k", "ann");
    let by_bob = put(&mut bob, 7, "k", "bob");
    ann.hear(at(8), &by_bob);
    bob.hear(at(8), &by_ann);
    assert_eq!(ann.get("k"), bob.get("k"));
    let entry = ann.get("k").unwrap();
    assert_eq!(
        (entry.value.as_ref(), entry.others.len()),
        (b"bob".as_slice(), 1),
        "the higher member"
    );
    let later = put(&mut ann, 8, "k", "both seen");
    bob.hear(at(9), &later);
    assert!(bob.get("k").unwrap().others.is_empty());
    assert_eq!(value(&bob, "k").unwrap(), "both seen");
}

#[test]
fn a_write_replaces_a_value_from_a_clock_of_next_year_and_leaves_its_stamp_alone() {
    let (mut ann, mut bob) = (table(ANN), table(BOB));
    let year = 31_536_000_000;
    let far = put(&mut ann, year, "k", "future");
    bob.hear(at(1), &far);
    assert_eq!(bob.stats().drifted, 1);
    assert_eq!(bob.get("k"), ann.get("k"), "the stamp is not altered");
    let delta = put(&mut bob, 2, "k", "now");
    ann.hear(at(year + 1), &delta);
    assert_eq!(value(&ann, "k").unwrap(), "now");
    assert!(bob.get("k").unwrap().at_ms >= 1_000_000 + year);
    put(&mut bob, 3, "other", "now");
    assert!(
        bob.get("other").unwrap().at_ms < 1_010_000,
        "bob's clock stayed"
    );
}

#[test]
fn keys_are_listed_by_prefix_in_pages() {
    let mut ann = table(ANN);
    for key in ["a/1", "a/2", "a/3", "b/1", "a"] {
        put(&mut ann, 1, key, "x");
    }
    ann.map_mut().write(BootId(9), b"m/no user key", vec![1]);
    let keys = |prefix: &str, max, after: Option<&str>| -> Vec<String> {
        let entries = ann.list(prefix, max, after);
        entries.into_iter().map(|entry| entry.key).collect()
    };
    assert_eq!(keys("", 100, None), ["a", "a/1", "a/2", "a/3", "b/1"]);
    assert_eq!(keys("a/", 2, None), ["a/1", "a/2"]);
    assert_eq!(keys("a/", 2, Some("a/2")), ["a/3"]);
    assert_eq!(
        keys("b/", 2, Some("a/2")),
        ["b/1"],
        "after may lie before the prefix"
    );
    assert_eq!(keys("a/", 2, Some("a/25")), ["a/3"], "or be nobody");
    assert!(keys("c", 9, None).is_empty() && keys("a", 9, Some("b")).is_empty());
}

#[test]
fn user_keys_are_told_from_others() {
    assert_eq!(user_key(&raw_key("presence/ann")), Some("presence/ann"));
    assert_eq!(user_key(b"m/0123"), None);
    assert_eq!(user_key(b"u/\xff"), None);
}

#[test]
fn keys_and_values_have_limits() {
    let mut ann = table(ANN);
    let put = |ann: &mut Table, key: &str, bytes: usize| {
        let value = Bytes::from(vec![0; bytes]);
        ann.put(at(0), key, value).map_err(|error| error.number())
    };
    assert_eq!(put(&mut ann, "", 1), Err(101));
    assert_eq!(put(&mut ann, &"k".repeat(256), 1), Err(101));
    assert_eq!(put(&mut ann, "k", USER_VALUE_BYTES_MAX + 1), Err(104));
    assert_eq!(ann.delete(at(0), "").unwrap_err().number(), 101);
    let largest = put(&mut ann, &"k".repeat(255), USER_VALUE_BYTES_MAX).unwrap();
    let bytes = largest.to_bytes();
    assert!(bytes.len() <= DELTA_BYTES_MAX, "{}", bytes.len());
    assert_eq!(Delta::from_bytes(&bytes).unwrap(), largest);
}

#[test]
fn two_hundred_writes_a_second_after_a_burst_of_four_hundred() {
    let mut ann = table(ANN);
    let write = |ann: &mut Table, ms: u64| ann.put(at(ms), "k", Bytes::new());
    assert!((0..400).all(|_| write(&mut ann, 10).is_ok()));
    let refused = write(&mut ann, 10).unwrap_err();
    assert_eq!(refused.number(), 203);
    assert_eq!(refused.context(), [("retry_after_ms", "5".into())]);
    assert_eq!(ann.delete(at(10), "k").unwrap_err().number(), 203);
    assert!(write(&mut ann, 14).is_err());
    assert!(write(&mut ann, 15).is_ok() && write(&mut ann, 15).is_err());
    let second = (1_015..=2_015)
        .filter(|ms| write(&mut ann, *ms).is_ok())
        .count();
    assert_eq!(
        second, 400,
        "a second's rest and a second's rate, one try each millisecond"
    );
    assert_eq!(
        ann.delete(at(2_015), "nobody").unwrap(),
        None,
        "what is not there costs nothing"
    );
}

#[test]
fn a_full_table_takes_new_values_of_old_keys_and_what_others_wrote() {
    let mut ann = table(ANN);
    for n in 0..KEYS_MAX as u64 {
        ann.map_mut().write(BootId(1), &n.to_le_bytes(), Vec::new());
    }
    let full = ann.put(at(0), "new", Bytes::new()).unwrap_err();
    assert_eq!(full.number(), 201);
    let mut bob = table(BOB);
    ann.hear(at(0), &put(&mut bob, 0, "new", "x"));
    assert!(ann.put(at(0), "new", Bytes::new()).is_ok());
}

#[test]
fn one_who_left_writes_as_another_actor_and_removes_nothing_of_others() {
    let (mut ann, mut bob) = (table(ANN), table(BOB));
    bob.hear(at(0), &put(&mut ann, 0, "k", "old"));
    ann.reset(BootId(77));
    assert!(ann.get("k").is_none() && ann.map().context().actors() == 0);
    bob.hear(at(1), &put(&mut ann, 1, "new", "x"));
    assert_eq!(value(&bob, "k").unwrap(), "old");
    assert_eq!(bob.stats().actors, 2);
}

#[test]
fn a_value_of_another_make_is_not_read_but_kept() {
    let (mut ann, mut bob) = (table(ANN), table(BOB));
    let odd = ann
        .map_mut()
        .write(BootId(5), &raw_key("k"), vec![0xff, 0xff]);
    bob.hear(at(0), &odd);
    assert_eq!(bob.get("k"), None);
    assert!(bob.list("", 10, None).is_empty());
    assert_eq!(ann.digest(), bob.digest());
    put(&mut bob, 1, "k", "mine");
    assert_eq!(value(&bob, "k").unwrap(), "mine");
}

#[test]
fn actors_are_counted() {
    let mut ann = table(ANN);
    for boot in 1..=ACTORS_ALARM as u64 {
        assert!(!ann.is_crowded());
        ann.map_mut().write(BootId(boot), b"k", Vec::new());
    }
    assert!(ann.is_crowded());
    assert_eq!((ann.stats().actors, ann.stats().keys), (ACTORS_ALARM, 1));
}
