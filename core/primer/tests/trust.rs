//! Who is let in: members with the secret or a certificate, in TLS; and every way in which others are
//! not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "common/authority.rs"]
mod authority;
mod common;
#[path = "common/relay.rs"]
mod relay;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;

use authority::{Authority, Files, cluster_id, member_id};
use common::{LIMIT, options, receive, until};
use primer::{EnqueueOptions, Error, Options, Primer};
use primer_proto::base::limits;
use relay::Relay;

const ONE: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
const OTHER: &str = "45c48cce2e2d7fbdea1afc51c7c6ad26";
const THIRD: &str = "c9f0f895fb98ab9159f51fd0297e236d";

/// A member alone that holds `secrets`.
fn holder(cluster: &str, secrets: &[&str]) -> Primer {
    let with = |options: Options, secret: &&str| options.secret(*secret);
    secrets
        .iter()
        .fold(options(cluster), with)
        .open_blocking()
        .unwrap()
}

fn certified(cluster: &str, name: &str, files: &Files) -> Options {
    options(cluster)
        .name(name)
        .tls(&files.ca, &files.cert, &files.key)
}

fn join(near: &Primer, far: &Primer) -> Result<(), Error> {
    near.join(&far.address().unwrap()).wait()
}

fn stat(primer: &Primer, name: &str) -> u64 {
    primer.stats().unwrap().get(name)
}

/// A message that both hold a copy of goes from one to the other, both ways.
fn exchange(near: &Primer, far: &Primer) {
    for (from, to) in [(near, far), (far, near)] {
        let wanted = EnqueueOptions {
            copies: Some(2),
            ..EnqueueOptions::default()
        };
        let queue = from.queue("letters").unwrap();
        let receipt = queue
            .enqueue_with("attack at dawn".into(), &wanted)
            .wait()
            .unwrap();
        assert_eq!(receipt.copies, 2);
        let delivery = receive(&to.queue("letters").unwrap());
        assert_eq!(&delivery.body()[..], b"attack at dawn");
        delivery.ack().unwrap();
    }
}

/// `near` cannot join `far`, for that reason, and nothing came of it.
fn is_refused(near: &Primer, far: &Primer, number: u16, reason: &str) {
    let error = join(near, far).unwrap_err();
    assert_eq!(error.number(), number, "{error}");
    assert!(error.to_string().contains(reason), "{error}");
    for member in [near, far] {
        assert_eq!(member.members().unwrap().len(), 1);
        assert_eq!(stat(member, "links_up"), 0);
    }
}

fn close(members: &[&Primer]) {
    for member in members {
        member.close().wait().unwrap();
    }
}

fn connect(primer: &Primer) -> TcpStream {
    let stream = TcpStream::connect(primer.address().unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Reads to the end; a reset is an end, too.
fn ended(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    rest
}

/// Two members that met through a relay, and all that the dialler sent on its control connection
/// before it was taken in.
fn recorded(cluster: &str) -> (Primer, Primer, Relay, Vec<u8>) {
    let far = holder(cluster, &[ONE]);
    let relay = Relay::to(far.address().unwrap());
    let near = holder(cluster, &[ONE]);
    near.join(relay.address()).wait().unwrap();
    let handshake = relay.seen()[0].there.lock().unwrap().clone();
    assert!(handshake.len() > 400);
    (far, near, relay, handshake)
}

#[test]
fn members_with_one_secret_talk_and_nobody_between_them_reads_it() {
    let far = holder("secret", &[ONE]);
    let relay = Relay::to(far.address().unwrap());
    // Only through the relay: it does not listen, so nobody can dial it.
    let near = options("secret")
        .listen("none")
        .secret(ONE)
        .open_blocking()
        .unwrap();
    near.join(relay.address()).wait().unwrap();
    exchange(&near, &far);
    close(&[&near, &far]);
    let seen = relay.seen();
    assert_eq!(seen.len(), 2);
    for one in seen {
        for bytes in [&one.there, &one.back] {
            let bytes = bytes.lock().unwrap();
            // Records of TLS, one after the other, and nothing else.
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                assert!(
                    (20..=23).contains(&rest[0]) && rest[1] == 3,
                    "{:?}",
                    &rest[..5]
                );
                rest = &rest[5 + usize::from(u16::from_be_bytes([rest[3], rest[4]]))..];
            }
            for word in ["attack", "letters", ONE] {
                let is_seen = bytes
                    .windows(word.len())
                    .any(|some| some == word.as_bytes());
                assert!(!is_seen, "{word}");
            }
        }
    }
}

#[test]
fn another_secret_is_refused_and_said_and_counted() {
    let (far, near) = (holder("wrong", &[ONE]), holder("wrong", &[OTHER]));
    is_refused(&near, &far, 107, "the secret is not this cluster's");
    until("both counted it", || {
        stat(&far, "refused_secret") == 1 && stat(&near, "refused_secret") == 1
    });
    assert_eq!(stat(&far, "strangers_refused"), 1);
    // And one that holds it is let in as ever.
    let third = holder("wrong", &[ONE]);
    join(&third, &far).unwrap();
    exchange(&third, &far);
    close(&[&near, &far, &third]);
}

#[test]
fn another_cluster_is_refused_whatever_it_proves() {
    let (far, near) = (holder("here", &[ONE]), holder("there", &[ONE]));
    is_refused(&near, &far, 107, "another cluster");
    until("it is counted", || stat(&far, "refused_cluster") == 1);
    close(&[&near, &far]);
}

#[test]
fn with_and_without_a_secret_are_told_which_lacks_it() {
    let (with, without) = (holder("half", &[ONE]), holder("half", &[]));
    is_refused(&without, &with, 107, "this cluster has a secret");
    until("it is counted", || stat(&with, "refused_transport") == 1);
    is_refused(&with, &without, 107, "the member there has no secret");
    until("it is counted", || stat(&without, "refused_transport") == 1);
    close(&[&with, &without]);
}

#[test]
fn a_secret_is_changed_without_losing_the_link() {
    let (one, two) = (holder("rotate", &[ONE]), holder("rotate", &[ONE]));
    join(&two, &one).unwrap();
    exchange(&one, &two);
    // In any order: the second one knows both while the first one knows the old one only.
    two.rotate([OTHER, ONE]).unwrap();
    let old = holder("rotate", &[ONE]);
    join(&old, &two).unwrap();
    one.rotate([ONE, OTHER]).unwrap();
    let new = holder("rotate", &[OTHER]);
    join(&new, &one).unwrap();
    // The one that knows the old secret only cannot be reached from there.
    until("all are seen", || new.members().unwrap().len() == 4);
    one.rotate([OTHER]).unwrap();
    two.rotate([OTHER]).unwrap();
    exchange(&one, &two);
    // Neither of the two ever lost a link: those that are up stay.
    assert_eq!((stat(&one, "links_down"), stat(&two, "links_down")), (0, 0));
    let late = holder("rotate", &[ONE]);
    assert_eq!(join(&late, &one).unwrap_err().number(), 107);
    close(&[&one, &two, &old, &new, &late]);
}

#[test]
fn a_rotation_that_cannot_be_changes_nothing() {
    let member = holder("refusals", &[ONE]);
    assert_eq!(member.rotate(["short"]).unwrap_err().number(), 101);
    assert_eq!(member.rotate([] as [&str; 0]).unwrap_err().number(), 101);
    assert_eq!(
        member
            .rotate([ONE, ONE, OTHER, THIRD])
            .unwrap_err()
            .number(),
        101
    );
    let other = holder("refusals", &[ONE]);
    join(&other, &member).unwrap();
    let without = holder("refusals", &[]);
    assert_eq!(without.rotate([ONE]).unwrap_err().number(), 106);
    close(&[&member, &other, &without]);
    assert_eq!(member.rotate([ONE]).unwrap_err().number(), 501);
}

#[test]
fn a_handshake_that_is_replayed_leads_nowhere() {
    let (far, near, relay, handshake) = recorded("replay");
    let links = stat(&far, "links_up");
    for round in 1..=3 {
        let mut stream = connect(&far);
        stream.write_all(&handshake).unwrap();
        ended(stream);
        until("it is counted", || stat(&far, "refused_malformed") == round);
    }
    // The second connection's bytes are worth no more.
    let bulk = relay.seen()[1].there.lock().unwrap().clone();
    let mut stream = connect(&far);
    stream.write_all(&bulk).unwrap();
    ended(stream);
    until("it is counted", || stat(&far, "refused_malformed") == 4);
    assert_eq!(stat(&far, "links_up"), links);
    assert_eq!(far.members().unwrap().len(), 2);
    exchange(&far, &near);
    close(&[&far, &near]);
}

#[test]
fn a_handshake_that_is_cut_anywhere_leads_nowhere() {
    let (far, near, _relay, handshake) = recorded("cut");
    let links = stat(&far, "links_up");
    let lengths = 0..handshake.len();
    for length in lengths.clone() {
        let mut stream = connect(&far);
        stream.write_all(&handshake[..length]).unwrap();
        // The member may have hung up already: what it has is enough to know better.
        let _ = stream.shutdown(Shutdown::Write);
        ended(stream);
    }
    let count = lengths.len() as u64;
    until("all are counted", || {
        stat(&far, "refused_malformed") == count
    });
    assert_eq!(stat(&far, "strangers_refused"), count);
    assert_eq!(stat(&far, "links_up"), links);
    exchange(&far, &near);
    close(&[&far, &near]);
}

#[test]
fn a_byte_that_is_changed_anywhere_leads_nowhere() {
    let (far, near, _relay, handshake) = recorded("changed");
    let links = stat(&far, "links_up");
    let mut count = 0;
    for at in (0..handshake.len()).step_by(7) {
        let mut changed = handshake.clone();
        changed[at] ^= 0x41;
        let mut stream = connect(&far);
        // It may have been hung up on before all was written.
        let _ = stream.write_all(&changed);
        let _ = stream.shutdown(Shutdown::Write);
        ended(stream);
        count += 1;
    }
    until("all are counted", || {
        stat(&far, "strangers_refused") == count
    });
    assert_eq!(stat(&far, "links_up"), links);
    exchange(&far, &near);
    close(&[&far, &near]);
}

#[test]
fn one_that_never_speaks_is_hung_up_on_in_time() {
    let far = holder("mute", &[ONE]);
    let silent = connect(&far);
    // One that began a record, and one that began a handshake.
    let mut slow = connect(&far);
    slow.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let began = std::time::Instant::now();
    ended(silent);
    ended(slow);
    assert!(began.elapsed() < LIMIT);
    until("it is counted", || stat(&far, "refused_timeout") == 2);
    close(&[&far]);
}

#[test]
fn a_crowd_from_one_address_keeps_no_member_out() {
    let far = holder("crowd", &[ONE]);
    let crowd: Vec<TcpStream> = (0..200).map(|_| connect(&far)).collect();
    // From the same address as the crowd, while all of it is there.
    let near = holder("crowd", &[ONE]);
    join(&near, &far).unwrap();
    exchange(&near, &far);
    let evicted = 200 - limits::STRANGERS_PER_ADDRESS_MAX as u64;
    until("the oldest made room", || {
        stat(&far, "refused_crowd") >= evicted
    });
    for silent in crowd {
        ended(silent);
    }
    exchange(&near, &far);
    close(&[&near, &far]);
}

#[test]
fn what_is_neither_tls_nor_a_member_is_hung_up_on() {
    let far = holder("noise", &[ONE]);
    let noises: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[0; 64],
        // A record of TLS that is longer than a stranger may send.
        &[[22, 3, 1, 0x40, 0].as_slice(), &[7; 8192]].concat(),
    ];
    for (round, noise) in noises.iter().enumerate() {
        let mut stream = connect(&far);
        let _ = stream.write_all(noise);
        ended(stream);
        until("it is counted", || {
            stat(&far, "refused_malformed") == round as u64 + 1
        });
    }
    close(&[&far]);
}

#[test]
fn members_with_certificates_of_one_authority_talk() {
    let authority = Authority::new();
    let cluster = cluster_id("certified");
    let ann = member_id(cluster, "ann");
    let names = [
        format!("primer://{cluster}"),
        format!("primer://{cluster}/{ann}"),
        format!("{cluster}.primer.internal"),
        format!("{ann}.{cluster}.primer.internal"),
    ];
    let fleet = authority.issue("fleet", &names[0]);
    for (round, name) in names.iter().enumerate() {
        let files = authority.issue(&format!("ann{round}"), name);
        let ann = certified("certified", "ann", &files)
            .open_blocking()
            .unwrap();
        let bob = certified("certified", "bob", &fleet)
            .open_blocking()
            .unwrap();
        // Each shows its own to the other, whoever dials.
        let (near, far) = if round % 2 == 0 {
            (&ann, &bob)
        } else {
            (&bob, &ann)
        };
        join(near, far).unwrap();
        exchange(near, far);
        close(&[&ann, &bob]);
    }
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let name = format!("primer://{}", cluster_id("authority"));
    let far = certified("authority", "far", &ours.issue("far", &name))
        .open_blocking()
        .unwrap();
    let stranger = certified("authority", "near", &theirs.issue("near", &name));
    let stranger = stranger.open_blocking().unwrap();
    is_refused(&stranger, &far, 107, "certificate");
    is_refused(&far, &stranger, 107, "certificate");
    // One that believes us and shows what we do not believe.
    let mut files = theirs.issue("two", &name);
    files.ca = ours.issue("any", &name).ca;
    let believer = certified("authority", "two", &files)
        .open_blocking()
        .unwrap();
    is_refused(&believer, &far, 107, "certificate");
    until("all are counted", || stat(&far, "refused_secret") >= 3);
    close(&[&far, &stranger, &believer]);
}

#[test]
fn a_certificate_with_another_name_is_refused_at_both_ends() {
    let authority = Authority::new();
    let (here, there) = (cluster_id("name"), cluster_id("elsewhere"));
    let fleet = authority.issue("fleet", &format!("primer://{here}"));
    let far = certified("name", "far", &fleet).open_blocking().unwrap();
    // Its own member will not start with it, and says what it should be.
    for (file, wrong) in [
        ("a", format!("primer://{there}")),
        ("b", format!("primer://{here}/{}", member_id(here, "else"))),
        ("c", "example.org".to_string()),
    ] {
        let files = authority.issue(file, &wrong);
        let error = certified("name", "near", &files)
            .open_blocking()
            .unwrap_err();
        assert_eq!(error.number(), 101, "{error}");
        assert!(
            error.to_string().contains(&format!("primer://{here}")),
            "{error}"
        );
    }
    // A certificate of the same authority for another cluster does not let anyone in here.
    let files = authority.issue("d", &format!("primer://{there}"));
    let foreign = certified("elsewhere", "near", &files)
        .open_blocking()
        .unwrap();
    is_refused(&foreign, &far, 107, "cluster");
    until("it is counted", || stat(&far, "refused_cluster") == 1);
    close(&[&far, &foreign]);
}

#[test]
fn with_a_secret_and_certificates_both_must_hold() {
    let authority = Authority::new();
    let files = authority.issue("fleet", &format!("primer://{}", cluster_id("both")));
    let open = |name: &str, secret: Option<&str>| {
        let options = certified("both", name, &files);
        match secret {
            Some(secret) => options.secret(secret),
            None => options,
        }
        .open_blocking()
        .unwrap()
    };
    let far = open("far", Some(ONE));
    let good = open("good", Some(ONE));
    join(&good, &far).unwrap();
    exchange(&good, &far);
    close(&[&good]);
    for (near, reason) in [
        (open("bare", None), "the secret"),
        (open("other", Some(OTHER)), "the secret"),
        (holder("both", &[ONE]), "certificates"),
    ] {
        let error = join(&near, &far).unwrap_err();
        assert_eq!(error.number(), 107, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        close(&[&near]);
    }
    close(&[&far]);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let authority = Authority::new();
    let files = authority.issue("open", &format!("primer://{}", cluster_id("keys")));
    let opened = |mode: u32| {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
        certified("keys", "one", &files).open_blocking()
    };
    for mode in [0o644, 0o604, 0o620, 0o666] {
        let error = opened(mode).unwrap_err();
        assert_eq!(error.number(), 101, "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    for mode in [0o600, 0o400, 0o640] {
        close(&[&opened(mode).unwrap()]);
    }
    // A key that is not the certificate's, a certificate that is none.
    let other = authority.issue("other", &format!("primer://{}", cluster_id("keys")));
    for (cert, key) in [(&files.cert, &other.key), (&files.key, &files.key)] {
        let error = options("keys")
            .tls(&files.ca, cert, key)
            .open_blocking()
            .unwrap_err();
        assert_eq!(error.number(), 101, "{error}");
    }
}
