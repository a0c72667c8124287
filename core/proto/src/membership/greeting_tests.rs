//! Two sides greet each other, in every way that must work and in those that must not.

use super::*;
use crate::base::{BootId, StoreId};

/// Proves by saying the claim and a word; the real one hashes them.
#[derive(Clone)]
struct Word(&'static str);

impl Prover for Word {
    fn prove(&self, claim: &Claim) -> Vec<u8> {
        alloc::format!("{claim:?} {}", self.0).into_bytes()
    }

    fn judge(&self, claim: &Claim, proof: &[u8]) -> Result<(), Refused> {
        if proof == self.prove(claim) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::ClusterMismatch).because("wrong word");
        Err(Refused::new(Why::Secret, error))
    }
}

fn hello(member: u128) -> Hello {
    let (boot, store) = (BootId(member as u64 + 100), StoreId(1));
    Hello::new(ClusterId(7), MemberId(member), boot, store)
}

type Side = Greeting<Word>;

fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        assert!(is_length(frame.len()));
        frames.push((frame[0], frame[1..].to_vec()));
        bytes = rest;
    }
    frames
}

/// What each side ended with, and every frame that was sent, `true` for the dialler's.
struct Met {
    dialler: Option<Result<Turn, Refused>>,
    listener: Option<Result<Turn, Refused>>,
    sent: Vec<(bool, u8, Vec<u8>)>,
}

/// Lets two sides talk until nobody has anything to say; `verdict` is what the listener decides.
fn meet(dialler: Hello, words: [Option<&'static str>; 2], verdict: Option<&Error>) -> Met {
    let mut out = Vec::new();
    let mut near = Side::dial(dialler, words[0].map(Word), &mut out);
    let mut far = Side::listen(hello(2), words[1].map(Word));
    let mut met = Met {
        dialler: None,
        listener: None,
        sent: Vec::new(),
    };
    let mut is_near = true;
    while !out.is_empty() {
        let said = core::mem::take(&mut out);
        for (kind, body) in frames(&said) {
            met.sent.push((is_near, kind, body.clone()));
            let side = if is_near { &mut far } else { &mut near };
            let turn = side.hear(kind, &body, &mut out);
            if matches!(turn, Ok(Turn::Decide)) {
                match verdict {
                    None => side.admit(&mut out),
                    Some(error) => refuse(error, &mut out),
                }
            }
            let end = if is_near {
                &mut met.listener
            } else {
                &mut met.dialler
            };
            // The first error stays: what is sent to a side that is over means nothing.
            if !matches!(end, Some(Err(_))) {
                *end = Some(turn);
            }
        }
        is_near = !is_near;
    }
    met
}

fn order(met: &Met) -> Vec<(bool, u8)> {
    met.sent
        .iter()
        .map(|(near, kind, _)| (*near, *kind))
        .collect()
}

#[test]
fn without_a_prover_two_hellos_are_a_handshake() {
    let met = meet(hello(1), [None, None], None);
    assert_eq!(order(&met), [(true, KIND_HELLO), (false, KIND_HELLO)]);
    assert!(matches!(met.dialler, Some(Ok(Turn::Done))));
    assert!(matches!(met.listener, Some(Ok(Turn::Decide))));
}

#[test]
fn with_a_prover_the_listener_proves_first_and_decides_last() {
    let met = meet(hello(1), [Some("open"), Some("open")], None);
    assert_eq!(
        order(&met),
        [
            (true, KIND_HELLO),
            (false, KIND_HELLO),
            (false, KIND_PROOF),
            (true, KIND_PROOF),
            (false, KIND_WELCOME)
        ]
    );
    assert!(matches!(met.dialler, Some(Ok(Turn::Done))));
    let proofs: Vec<&Vec<u8>> = met
        .sent
        .iter()
        .filter(|sent| sent.1 == KIND_PROOF)
        .map(|sent| &sent.2)
        .collect();
    assert_ne!(proofs[0], proofs[1], "a proof cannot be sent back");
}

#[test]
fn a_wrong_word_is_noticed_by_the_dialler_and_told_to_the_listener() {
    let met = meet(hello(1), [Some("open"), Some("shut")], None);
    for end in [met.dialler, met.listener] {
        let refused = end.unwrap().unwrap_err();
        assert_eq!((refused.why, refused.error.number()), (Why::Secret, 107));
    }
}

#[test]
fn a_dialler_that_proves_nothing_is_refused_by_the_listener() {
    let mut out = Vec::new();
    let mut far = Side::listen(hello(2), Some(Word("open")));
    let body = hello(1).to_bytes();
    assert!(matches!(
        far.hear(KIND_HELLO, &body, &mut out),
        Ok(Turn::Listen)
    ));
    // The listener's own proof, sent back, proves nothing.
    let own = frames(&out).pop().unwrap();
    assert_eq!(own.0, KIND_PROOF);
    out.clear();
    let refused = far.hear(KIND_PROOF, &own.1, &mut out).unwrap_err();
    assert_eq!(refused.why, Why::Secret);
    assert_eq!(frames(&out)[0].0, KIND_REFUSAL);
    // And it is over: the right proof comes too late.
    let refused = far.hear(KIND_PROOF, &own.1, &mut out).unwrap_err();
    assert_eq!(refused.why, Why::Malformed);
}

#[test]
fn a_verdict_is_believed_after_the_proof() {
    let evicted = Error::new(ErrorKind::IdentityConflict).because("evicted");
    let met = meet(hello(1), [Some("open"), Some("open")], Some(&evicted));
    let refused = met.dialler.unwrap().unwrap_err();
    assert_eq!((refused.why, refused.error.number()), (Why::Told, 108));
    assert_eq!(refused.error.reason(), "evicted");
}

#[test]
fn a_stranger_cannot_make_a_member_give_up_its_place() {
    for (number, seen) in [(108, 202), (101, 202), (501, 202), (106, 106), (107, 107)] {
        let mut out = Vec::new();
        let mut near = Side::dial(hello(1), Some(Word("open")), &mut out);
        let kind = ErrorKind::from_number(number).unwrap();
        let body = Refusal::of(&Error::new(kind).because("go away")).to_bytes();
        out.clear();
        let refused = near.hear(KIND_REFUSAL, &body, &mut out).unwrap_err();
        assert_eq!(refused.error.number(), seen);
        assert!(out.is_empty());
    }
}

#[test]
fn another_cluster_and_another_version_are_told_before_anything_is_proven() {
    let mut stranger = hello(1);
    stranger.major = 9;
    let met = meet(stranger, [Some("open"), Some("open")], None);
    assert_eq!(order(&met), [(true, KIND_HELLO), (false, KIND_REFUSAL)]);
    assert_eq!(met.listener.unwrap().unwrap_err().why, Why::Version);
    assert_eq!(met.dialler.unwrap().unwrap_err().error.number(), 106);

    let foreign = Hello::new(ClusterId(8), MemberId(1), BootId(1), StoreId(1));
    let met = meet(foreign, [Some("open"), Some("open")], None);
    assert_eq!(order(&met), [(true, KIND_HELLO), (false, KIND_REFUSAL)]);
    assert_eq!(met.listener.unwrap().unwrap_err().why, Why::Cluster);
    assert_eq!(met.dialler.unwrap().unwrap_err().error.number(), 107);
}

#[test]
fn both_ends_draw_a_nonce_or_none_does() {
    let mut drawn = hello(1);
    drawn.nonce = alloc::vec![7; crate::membership::NONCE_BYTES];
    // The other end drew none.
    let met = meet(drawn.clone(), [Some("open"), Some("open")], None);
    let refused = met.listener.unwrap().unwrap_err();
    assert_eq!((refused.why, refused.error.number()), (Why::Transport, 107));
    assert_eq!(met.dialler.unwrap().unwrap_err().error.number(), 107);
    // Both did: they are in the claim, each in its place.
    let mut far = hello(2);
    far.nonce = alloc::vec![9; crate::membership::NONCE_BYTES];
    let mut out = Vec::new();
    let mut side = Side::listen(far, Some(Word("open")));
    assert!(side.hear(KIND_HELLO, &drawn.to_bytes(), &mut out).is_ok());
    let claim = side.claim(Role::Listener);
    assert_eq!((claim.dialler_nonce[0], claim.listener_nonce[0]), (7, 9));
    // Of another length it is no nonce.
    drawn.nonce.pop();
    let mut side = Side::listen(hello(2), Some(Word("open")));
    let refused = side
        .hear(KIND_HELLO, &drawn.to_bytes(), &mut out)
        .unwrap_err();
    assert_eq!(refused.why, Why::Malformed);
}

#[test]
fn a_member_that_dials_itself_notices_once_it_is_proven() {
    for words in [[None, None], [Some("open"), Some("open")]] {
        let met = meet(hello(2), words, None);
        let refused = met.dialler.unwrap().unwrap_err();
        assert_eq!((refused.why, refused.error.number()), (Why::Identity, 101));
    }
}

#[test]
fn each_message_is_legal_once_and_in_its_place() {
    let body = hello(1).to_bytes();
    for first in [KIND_REFUSAL, KIND_PROOF, KIND_WELCOME, 2, 255] {
        let mut far = Side::listen(hello(2), Some(Word("open")));
        let mut out = Vec::new();
        assert_eq!(
            far.hear(first, &body, &mut out).unwrap_err().why,
            Why::Malformed
        );
        assert!(out.is_empty());
    }
    for second in [KIND_HELLO, KIND_WELCOME, 2, 255] {
        let mut far = Side::listen(hello(2), Some(Word("open")));
        let mut out = Vec::new();
        assert!(far.hear(KIND_HELLO, &body, &mut out).is_ok());
        assert_eq!(
            far.hear(second, &body, &mut out).unwrap_err().why,
            Why::Malformed
        );
    }
    // Nobody is admitted who was not to be decided about.
    let mut far = Side::listen(hello(2), Some(Word("open")));
    let mut out = Vec::new();
    far.admit(&mut out);
    assert!(out.is_empty());
}
