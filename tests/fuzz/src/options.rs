//! Options from pairs of strings: what hosts and people mistype.

use primer::Options;
use primer_proto::base::Chance;

const KEYS: [&str; 15] = [
    "cluster",
    "name",
    "listen",
    "seeds",
    "advertise",
    "discover",
    "data_dir",
    "copies",
    "on_short",
    "enqueue_timeout_ms",
    "lease_ms",
    "takeover_after_ms",
    "retire_after_ms",
    "memory_bytes_max",
    "body_bytes_max",
];

const VALUES: [&str; 23] = [
    "",
    "0",
    "1",
    "2",
    "-1",
    "5000",
    "65536",
    "18446744073709551615",
    "18446744073709551616",
    "1.5",
    "30s",
    "none",
    "degrade",
    "fail",
    "wait",
    "127.0.0.1:0",
    "127.0.0.1:0,127.0.0.1:1",
    ",,,",
    "[::1]:70000",
    "not an address",
    "db.internal:7000",
    "db.internal:0",
    "local",
];

fn damaged(text: &str, chance: &mut Chance) -> String {
    let mut bytes = text.as_bytes().to_vec();
    crate::make::damage(&mut bytes, chance);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn draw(from: &[&str], percent: u64, chance: &mut Chance) -> String {
    let text = from[chance.below(from.len() as u64) as usize];
    if chance.percent(percent) {
        damaged(text, chance)
    } else {
        text.to_owned()
    }
}

pub(crate) fn run(chance: &mut Chance) {
    let count = chance.below(5);
    let pairs: Vec<(String, String)> = (0..count)
        .map(|_| (draw(&KEYS, 20, chance), draw(&VALUES, 30, chance)))
        .collect();
    let is_known = pairs.iter().all(|(key, _)| KEYS.contains(&key.as_str()));
    match Options::from_pairs(pairs.iter().map(|(key, value)| (key, value))) {
        Ok(_) => assert!(is_known, "an unknown key was taken: {pairs:?}"),
        Err(error) => {
            assert!(matches!(error.number(), 101 | 106), "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
    assert!(Options::from_pairs([("", ""); 0]).is_ok());
}
