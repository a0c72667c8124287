//! What options accept, what they refuse and how, and what a member is made from.

use std::net::TcpListener;

use super::pairs::KEYS;
use super::plan::{cluster_id, member_id};
use super::*;
use crate::run::private::Scratch;

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
    let scratch = Scratch::new();
    let pairs = [
        ("cluster", "shop"),
        ("name", "till"),
        ("listen", "localhost:0"),
        ("seeds", "127.0.0.1:1, localhost:2, db.internal:3,"),
        ("advertise", "till.internal:4"),
        ("zone", "attic"),
        ("discover", "none"),
        ("data_dir", scratch.path().to_str().unwrap()),
        ("copies", "3"),
        ("placement", "shuffle_each"),
        ("on_short", "fail"),
        ("enqueue_timeout_ms", "11"),
        ("lease_ms", "12"),
        ("max_attempts", "17"),
        ("takeover_after_ms", "13"),
        ("repair_after_ms", "18"),
        ("retire_after_ms", "16"),
        ("memory_bytes_max", "14"),
        ("body_bytes_max", "15"),
        ("secret", "8f14e45fceea167a5a36dedd4bea2543"),
    ];
    // The paths need files; tests/trust.rs has them.
    let keys = pairs.map(|(key, _)| key);
    assert_eq!(
        [&keys[..], &["tls_ca", "tls_cert", "tls_key"]].concat(),
        KEYS
    );
    let plan = Options::from_pairs(pairs).unwrap().plan().unwrap();
    assert!(plan.listener.is_some() && plan.home.is_some());
    assert!(plan.trust.is_some_and(|trust| trust.is_encrypting()));
    assert_eq!(plan.discovery.names[0].to_string(), "db.internal:3");
    assert!(plan.discovery.local.is_none());
    let config = plan.config;
    assert_eq!(config.cluster, cluster_id("shop"));
    assert_eq!(config.member, member_id(config.cluster, "till"));
    assert_eq!((&*config.name, &*config.zone), ("till", "attic"));
    assert_eq!(config.placing, Placing::ShuffleEach);
    assert!(!config.is_ephemeral);
    assert_eq!(config.address.as_deref(), Some("till.internal:4"));
    assert_eq!(config.seeds, ["127.0.0.1:1", "localhost:2"]);
    assert_eq!(config.sources, 1);
    assert_eq!((config.copies, config.on_short), (Some(3), OnShort::Fail));
    assert_eq!(
        (config.enqueue_timeout, config.lease, config.takeover_after),
        (11, 12, 13)
    );
    assert_eq!((config.retire_after, config.max_attempts), (16, 17));
    assert_eq!(config.repair_after, 18);
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
        ("seeds", "db.internal:0"),
        ("seeds", "db.internal"),
        ("zone", "a\tb"),
        ("advertise", "here"),
        ("advertise", "10.0.0.1:0"),
        ("advertise", "0.0.0.0:7000"),
        ("advertise", "till.internal:0"),
        ("discover", "everyone"),
        ("data_dir", ""),
        ("retire_after_ms", "0"),
        ("retire_after_ms", "31536000001"),
        ("copies", "0"),
        ("placement", "anywhere"),
        ("copies", "17"),
        ("copies", "99999"),
        ("copies", "two"),
        ("on_short", "panic"),
        ("enqueue_timeout_ms", "0"),
        ("lease_ms", "-1"),
        ("max_attempts", "0"),
        ("repair_after_ms", "0"),
        ("max_attempts", "often"),
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
        let secret = ("secret", "8f14e45fceea167a5a36dedd4bea2543");
        assert!(Options::from_pairs([(key, value), secret]).is_ok());
    }
}

#[test]
fn a_weak_or_empty_secret_is_refused_and_not_shown() {
    for weak in ["hunter2", "", " ,"] {
        let error = Options::from_pairs([("secret", weak)]).unwrap_err();
        assert_eq!(error.number(), 101, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let four = ["8f14e45fceea167a5a36dedd4bea2543"; 4].join(",");
    let error = Options::from_pairs([("secret", &four)]).unwrap_err();
    assert_eq!(error.number(), 101, "{error}");
    let shown = format!("{:?}", Options::default().secret("hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn certificates_come_as_three_files_or_not_at_all() {
    for keys in [&["tls_ca"][..], &["tls_cert", "tls_key"]] {
        let error = Options::from_pairs(keys.iter().map(|key| (key, "x"))).unwrap_err();
        assert_eq!(error.number(), 101, "{error}");
    }
    let missing = Options::new("shop").tls("no/ca", "no/cert", "no/key");
    let error = missing.discover(Discover::None).plan().err().unwrap();
    assert_eq!(error.number(), 502, "{error}");
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    for (typed, meant) in [
        ("lease", "lease_ms"),
        ("seed", "seeds"),
        ("on-short", "on_short"),
        ("memory_max", "memory_bytes_max"),
        ("Cluster", "cluster"),
        ("datadir", "data_dir"),
        ("advertised", "advertise"),
        ("discovery", "discover"),
        ("retire_after", "retire_after_ms"),
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
    let listens = |options: Options| {
        let options = options.discover(Discover::None);
        options.plan().unwrap().listener.is_some()
    };
    assert!(listens(Options::new("shop")));
    assert!(listens(Options::default().advertise("127.0.0.1:4")));
    assert!(listens(Options::default().seed("127.0.0.1:1")));
    assert!(listens(Options::default().listen("127.0.0.1:0")));
    assert!(!listens(Options::default().name("till")));
    assert!(!listens(Options::new("shop").listen("none")));
}

#[test]
fn a_port_that_is_taken_is_an_io_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let options = Options::new("shop").discover(Discover::None);
    let error = options.listen(address).plan().err().unwrap();
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

#[test]
fn who_has_neither_a_name_nor_a_directory_is_ephemeral() {
    let scratch = Scratch::new();
    let is_ephemeral = |options: Options| options.plan().unwrap().config.is_ephemeral;
    assert!(is_ephemeral(Options::default()));
    assert!(!is_ephemeral(Options::default().name("till")));
    assert!(!is_ephemeral(Options::default().data_dir(scratch.path())));
}

#[test]
fn a_directory_gives_the_place_it_was_first_given() {
    let scratch = Scratch::new();
    let open = |name: &str| {
        let options = Options::default().data_dir(scratch.path()).name(name);
        options.plan().unwrap().config
    };
    let (first, second) = (open("till"), open("bank"));
    assert_eq!(first.member, member_id(cluster_id("default"), "till"));
    assert_eq!(second.member, first.member);
    assert!(second.incarnation > first.incarnation);
    assert_ne!(second.boot, first.boot);
    assert_ne!(second.store, first.store, "copies are in memory only");
}

#[test]
fn a_member_that_does_not_listen_advertises_nothing() {
    let pairs = [("listen", "none"), ("advertise", "127.0.0.1:5")];
    assert_eq!(Options::from_pairs(pairs).unwrap_err().number(), 101);
    let plan = Options::default().advertise("127.0.0.1:5").plan().unwrap();
    assert_eq!(plan.config.address.as_deref(), Some("127.0.0.1:5"));
}

#[test]
fn a_cluster_without_seeds_and_a_place_is_looked_for_here() {
    let is_local = |options: Options| options.is_local();
    assert!(is_local(Options::new("shop")));
    assert!(!is_local(Options::new("shop").seed("127.0.0.1:1")));
    assert!(!is_local(Options::new("shop").seed("db.internal:1")));
    assert!(!is_local(Options::new("shop").listen("127.0.0.1:0")));
    assert!(!is_local(Options::new("shop").listen("none")));
    assert!(!is_local(Options::new("shop").discover(Discover::None)));
    assert!(!is_local(Options::default()));
    let asked = Options::default().seed("127.0.0.1:1");
    assert!(is_local(asked.discover(Discover::Local)));
}
