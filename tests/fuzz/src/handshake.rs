//! A handshake among liars: frames in any order, damaged, sent back, or of another connection.
//!
//! The machine is the real one; the prover is a toy that hashes a word, so that a case costs
//! microseconds. What must hold: nobody is let in without a proof of the word for exactly this
//! connection, a handshake that failed stays failed, and nothing is sent twice.

use primer_proto::base::{BootId, Chance, ClusterId, Error, ErrorKind, MemberId, StoreId};
use primer_proto::membership::greeting::{
    Claim, Greeting, KIND_HELLO, KIND_PROOF, KIND_REFUSAL, KIND_WELCOME, Prover, Refused, Role,
    Turn, Why, is_length, refuse,
};
use primer_proto::membership::{Hello, NONCE_BYTES};

use crate::make::{damage, number};

/// Proves by writing the claim and a word down.
#[derive(Clone)]
struct Word(u64);

impl Prover for Word {
    fn prove(&self, claim: &Claim) -> Vec<u8> {
        format!("{} {claim:?}", self.0).into_bytes()
    }

    fn judge(&self, claim: &Claim, proof: &[u8]) -> Result<(), Refused> {
        let error = || Error::new(ErrorKind::ClusterMismatch);
        let is_right = self.prove(claim) == proof;
        is_right
            .then_some(())
            .ok_or_else(|| Refused::new(Why::Secret, error()))
    }
}

type Frame = (u8, Vec<u8>);

pub(crate) fn run(chance: &mut Chance) {
    let word = chance.percent(80).then(|| Word(chance.below(2)));
    let own = hello(2, chance);
    if chance.percent(50) {
        listen(chance, own, word);
    } else {
        dial(chance, own, word);
    }
}

fn hello(member: u128, chance: &mut Chance) -> Hello {
    let cluster = ClusterId(1 + u128::from(chance.percent(10)));
    let mut hello = Hello::new(
        cluster,
        MemberId(member),
        BootId(chance.below(2)),
        StoreId(1),
    );
    hello.lane = chance.below(2) as u32;
    hello.pair = chance.below(3);
    if chance.percent(20) {
        hello.nonce = vec![chance.below(3) as u8; NONCE_BYTES];
    }
    hello
}

/// What whoever is at the other end sends, honest or not.
fn draw(chance: &mut Chance, mine: &Hello, sent: &[Frame], words: [&Word; 2]) -> Frame {
    let mut frame = match chance.below(7) {
        0 | 1 => {
            let member = 1 + u128::from(chance.below(3));
            let mut theirs = hello(member, chance);
            // Mostly an answer to what was said.
            if chance.percent(70) {
                (theirs.lane, theirs.pair) = (mine.lane, mine.pair);
                theirs.nonce.clone_from(&mine.nonce);
            }
            (KIND_HELLO, theirs.to_bytes())
        }
        2 | 3 => {
            let word = words[chance.below(2) as usize];
            (KIND_PROOF, word.prove(&claim(chance, mine)))
        }
        4 => (KIND_WELCOME, Vec::new()),
        5 => {
            let kind = ErrorKind::ALL[chance.below(ErrorKind::ALL.len() as u64) as usize];
            let mut out = Vec::new();
            refuse(&Error::new(kind), &mut out);
            (KIND_REFUSAL, out.split_off(5))
        }
        // Our own words, sent back.
        _ => match sent.len() {
            0 => (number(chance) as u8, Vec::new()),
            count => sent[chance.below(count as u64) as usize].clone(),
        },
    };
    if chance.percent(10) {
        damage(&mut frame.1, chance);
    }
    if chance.percent(3) {
        frame.0 = number(chance) as u8;
    }
    frame
}

/// Claims that are often about this connection, and often not.
fn claim(chance: &mut Chance, mine: &Hello) -> Claim {
    let other = MemberId(1 + u128::from(chance.below(3)));
    let is_dialler = chance.percent(50);
    Claim {
        prover: if chance.percent(50) {
            Role::Dialler
        } else {
            Role::Listener
        },
        dialler: if is_dialler { other } else { mine.member() },
        listener: if is_dialler { mine.member() } else { other },
        cluster: mine.cluster(),
        lane: mine.lane,
        pair: mine.pair,
        dialler_nonce: mine.nonce.clone(),
        listener_nonce: mine.nonce.clone(),
    }
}

fn listen(chance: &mut Chance, own: Hello, word: Option<Word>) {
    let mut greeting = Greeting::listen(own.clone(), word.clone());
    let mut mine = own.clone();
    let mut talk = Talk::default();
    for _ in 0..chance.below(8) {
        let words = [&Word(0), &Word(1)];
        let (kind, body) = draw(chance, &mine, &talk.sent, words);
        let heard = talk.hear(&mut greeting, kind, &body);
        if let Some(theirs) = greeting.theirs() {
            // A listener answers with the dialler's lane and pair.
            (mine.lane, mine.pair) = (theirs.lane, theirs.pair);
        }
        match heard {
            Ok(Turn::Decide) => {
                let theirs = greeting.theirs().expect("somebody to decide about");
                assert_eq!(theirs.cluster(), own.cluster());
                if let Some(word) = &word {
                    let said = about(Role::Dialler, theirs, &mine);
                    assert_eq!((kind, &body), (KIND_PROOF, &word.prove(&said)));
                }
                let mut out = Vec::new();
                greeting.admit(&mut out);
                talk.keep(&out);
                greeting.admit(&mut out);
                assert_eq!(talk.sent.last(), frames(&out).last(), "admitted once");
                assert_eq!(frames(&out).len(), 1);
                talk.is_over = true;
            }
            Ok(Turn::Done) => panic!("a listener decides"),
            Ok(Turn::Listen) | Err(_) => {}
        }
    }
}

fn dial(chance: &mut Chance, own: Hello, word: Option<Word>) {
    let mut out = Vec::new();
    let mut greeting = Greeting::dial(own.clone(), word.clone(), &mut out);
    let mut talk = Talk::default();
    talk.keep(&out);
    let mut is_proven = false;
    for _ in 0..chance.below(8) {
        let words = [&Word(0), &Word(1)];
        let (kind, body) = draw(chance, &own, &talk.sent, words);
        let heard = talk.hear(&mut greeting, kind, &body);
        if let (Some(word), Some(theirs)) = (&word, greeting.theirs()) {
            let said = about(Role::Listener, &own, theirs);
            is_proven |= kind == KIND_PROOF && body == word.prove(&said);
        }
        match heard {
            Ok(Turn::Done) => {
                let theirs = greeting.theirs().expect("somebody to talk to");
                assert!(theirs.check(&own).is_ok());
                assert!(is_proven || word.is_none());
                talk.is_over = true;
            }
            Ok(Turn::Decide) => panic!("a dialler does not decide"),
            Ok(Turn::Listen) => {}
            Err(refused) => {
                // From one that has proven nothing no member learns that it must go.
                let is_mild = [106, 107, 202, 503, 104].contains(&refused.error.number());
                assert!(
                    is_mild || is_proven || word.is_none(),
                    "{:?}",
                    refused.error
                );
            }
        }
    }
}

fn about(prover: Role, dialler: &Hello, listener: &Hello) -> Claim {
    Claim {
        prover,
        dialler: dialler.member(),
        listener: listener.member(),
        cluster: dialler.cluster(),
        lane: dialler.lane,
        pair: dialler.pair,
        dialler_nonce: dialler.nonce.clone(),
        listener_nonce: listener.nonce.clone(),
    }
}

/// What one side said, and whether it is over.
#[derive(Default)]
struct Talk {
    sent: Vec<Frame>,
    is_over: bool,
}

impl Talk {
    fn hear(
        &mut self,
        greeting: &mut Greeting<Word>,
        kind: u8,
        body: &[u8],
    ) -> Result<Turn, Refused> {
        let mut out = Vec::new();
        let heard = greeting.hear(kind, body, &mut out);
        if self.is_over {
            let refused = heard.as_ref().expect_err("it was over");
            assert_eq!(refused.why, Why::Malformed);
            assert!(out.is_empty());
        }
        self.is_over |= heard.is_err();
        self.keep(&out);
        heard
    }

    /// Keeps what was sent; nothing but a refusal is ever said twice.
    fn keep(&mut self, out: &[u8]) {
        for frame in frames(out) {
            let is_new = self.sent.iter().all(|(kind, _)| *kind != frame.0);
            assert!(is_new, "said twice: {}", frame.0);
            self.sent.push(frame);
        }
    }
}

fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        assert!(is_length(length));
        frames.push((rest[0], rest[1..length].to_vec()));
        bytes = &rest[length..];
    }
    frames
}
