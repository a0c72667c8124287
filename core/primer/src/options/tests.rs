//! What options accept, what they refuse and how, and what a member is made from.

use super::pairs::KEYS;
use super::*;

fn none() -> [(&'static str, &'static str); 0] {
    []
}

#[test]
fn no_pairs_are_one_member_in_memory_without_a_socket() {
    let plan = Options::from_pairs(none()).unwrap().plan().unwrap();
    assert!(plan.listener.is_none());
    assert_eq!(plan.config.address, None);
    assert_eq!(plan.config.copies, None);
    assert_eq!(plan.config.lease, limits::LEASE_MS);
    assert!(plan.config.memory_bytes_max > 0);
    assert!(plan.config.memory_bytes_max <= limits::MEMORY_BYTES_MAX);
    assert_ne!(plan.config.boot.0, 0);
    assert_eq!(plan.config.boot.0 >> 63, 0);
}

#[test]
fn every_key_reaches_the_engine() {
    let pairs = [
        ("cluster", "shop"),
        ("name", "till"),
        ("listen", "localhost:0"),
        ("seeds", "127.0.0.1:1, localhost:2,"),
        ("copies", "3"),
        ("on_short", "fail"),
        ("enqueue_timeout_ms", "11"),
        ("lease_ms", "12"),
        ("takeover_after_ms", "13"),
        ("memory_bytes_max", "14"),
        ("body_bytes_max", "15"),
    ];
    assert_eq!(pairs.map(|(key, _)| key), KEYS);
    let plan = Options::from_pairs(pairs).unwrap().plan().unwrap();
    let (config, port) = (plan.config, plan.listener.unwrap().local_addr().unwrap());
    assert_eq!(config.cluster, cluster_id("shop"));
    assert_eq!(config.member, member_id(config.cluster, "till"));
    assert_eq!(config.name, "till");
    assert_eq!(config.address, Some(port.to_string()));
    assert_eq!(config.seeds, ["127.0.0.1:1", "localhost:2"]);
    assert_eq!((config.copies, config.on_short), (Some(3), OnShort::Fail));
    assert_eq!(
        (config.enqueue_timeout, config.lease, config.takeover_after),
        (11, 12, 13)
    );
    assert_eq!((config.memory_bytes_max, config.body_bytes_max), (14, 15));
}

#[test]
fn a_bad_value_names_its_key_and_itself() {
    for (key, value) in [
        ("cluster", ""),
        ("name", "a\nb"),
        ("listen", "here"),
        ("seeds", "127.0.0.1"),
        ("seeds", "127.0.0.1:0"),
        ("copies", "0"),
        ("copies", "17"),
        ("copies", "99999"),
        ("copies", "two"),
        ("on_short", "panic"),
        ("enqueue_timeout_ms", "0"),
        ("lease_ms", "-1"),
        ("lease_ms", "86400001"),
        ("takeover_after_ms", "1s"),
        ("memory_bytes_max", "0"),
        ("body_bytes_max", "524289"),
    ] {
        let error = Options::from_pairs([(key, value)]).unwrap_err();
        assert_eq!(error.number(), 101, "{key}={value}");
        let (named, shown) = error.context().first().unwrap();
        assert_eq!((*named, shown.as_str()), (key, value), "{error}");
    }
    for (key, value) in [("listen", "0.0.0.0:0"), ("seeds", "10.1.2.3:4")] {
        let error = Options::from_pairs([(key, value)]).unwrap_err();
        assert_eq!(error.number(), 106, "{error}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    for (typed, meant) in [
        ("lease", "lease_ms"),
        ("seed", "seeds"),
        ("on-short", "on_short"),
        ("memory_max", "memory_bytes_max"),
        ("Cluster", "cluster"),
    ] {
        let error = Options::from_pairs([(typed, "1")]).unwrap_err();
        assert_eq!(error.number(), 101);
        let context = error.context();
        assert_eq!(context[0], ("option", typed.to_string()));
        assert_eq!(context[1], ("nearest", meant.to_string()));
    }
}

#[test]
fn who_belongs_to_a_cluster_listens_unless_told_not_to() {
    let listens = |options: Options| options.plan().unwrap().listener.is_some();
    assert!(listens(Options::new("shop")));
    assert!(listens(Options::default().seed("127.0.0.1:1")));
    assert!(listens(Options::default().listen("127.0.0.1:0")));
    assert!(!listens(Options::default().name("till")));
    assert!(!listens(Options::new("shop").listen("none")));
}

#[test]
fn a_port_that_is_taken_is_an_io_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = Options::new("shop").listen(address).plan().err().unwrap();
    assert_eq!(error.number(), 502);
}

#[test]
fn identities_follow_from_names_and_are_random_without() {
    let shop = cluster_id("shop");
    assert_eq!(shop, cluster_id("shop"));
    assert_ne!(shop, cluster_id("shop2"));
    assert_eq!(member_id(shop, "a"), member_id(shop, "a"));
    assert_ne!(member_id(shop, "a"), member_id(shop, "b"));
    assert_ne!(member_id(shop, "a"), member_id(cluster_id("bank"), "a"));

    let plan = || Options::default().plan().unwrap().config;
    let (one, other) = (plan(), plan());
    assert_ne!(one.member, other.member);
    assert_ne!(one.boot, other.boot);
    assert_ne!(one.store, other.store);
    assert_ne!(one.seed, other.seed);
}
