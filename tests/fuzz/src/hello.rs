//! Handshakes from strangers.

use primer_proto::base::{BootId, Chance, ClusterId, Error, ErrorKind, MemberId, StoreId, limits};
use primer_proto::membership::{Hello, Refusal};

use crate::make::{damage, number};

/// What a check may answer.
const ANSWERS: [u16; 5] = [101, 106, 107, 108, 503];

fn draw(chance: &mut Chance) -> Hello {
    let cluster = ClusterId(u128::from(chance.below(2)) + 1);
    let member = MemberId(u128::from(chance.below(3)));
    let (boot, store) = (BootId(chance.below(2)), StoreId(number(chance)));
    let mut hello = Hello::new(cluster, member, boot, store);
    hello.incarnation = number(chance);
    hello.name = "n".repeat(chance.below(300) as usize);
    hello.address = "a".repeat(chance.below(300) as usize);
    hello.lane = chance.below(4) as u32;
    hello.pair = number(chance);
    if chance.percent(10) {
        hello.major = chance.below(4) as u32;
    }
    hello
}

pub(crate) fn run(chance: &mut Chance) {
    let own = draw(chance);
    let theirs = draw(chance);
    let mut bytes = theirs.to_bytes();
    assert_eq!(Hello::from_bytes(&bytes).as_ref(), Ok(&theirs));
    judge(&theirs, &own);
    damage(&mut bytes, chance);
    if chance.percent(5) {
        bytes.resize(limits::HELLO_BYTES_MAX + 1, 0);
        assert_eq!(Hello::from_bytes(&bytes).unwrap_err().number(), 104);
    }
    if let Ok(read) = Hello::from_bytes(&bytes) {
        assert_eq!(Hello::from_bytes(&read.to_bytes()).as_ref(), Ok(&read));
        judge(&read, &own);
    }
    refuse(chance);
}

/// Whoever passes the check is one of us, somebody else, and within bounds.
fn judge(theirs: &Hello, own: &Hello) {
    match theirs.check(own) {
        Ok(()) => {
            assert_eq!(theirs.cluster(), own.cluster());
            assert_ne!(theirs.member(), own.member());
            assert_ne!(theirs.member(), MemberId(0));
            assert_eq!(theirs.major, own.major);
            assert!(theirs.name.len() <= limits::NAME_BYTES_MAX && theirs.lane <= 1);
        }
        Err(error) => assert!(ANSWERS.contains(&error.number()), "{error}"),
    }
}

/// A refusal tells its number, and an unknown one is read as unreachable.
fn refuse(chance: &mut Chance) {
    let kind = ErrorKind::ALL[chance.below(ErrorKind::ALL.len() as u64) as usize];
    let told = Refusal::of(&Error::new(kind).because("why").with("secret", 1));
    assert_eq!(told.to_error().kind(), kind);
    assert!(told.to_error().context().is_empty());
    let strange = Refusal {
        number: number(chance) as u32,
        reason: "r".repeat(chance.below(1_000) as usize),
    };
    assert!(strange.to_error().reason().len() <= 200);
}
