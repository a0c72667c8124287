//! Anti-entropy with a peer that lies: real conversations whose messages are damaged, doubled, held
//! back or made up.
//!
//! Whatever comes, it is taken or refused with 503; the answers to one message stay within a frame;
//! an exchange ends or is abandoned; and afterwards two honest members still come to agree.

use bytes::Bytes;
use primer_proto::base::{BootId, Chance, ErrorKind, Instant, MemberId, Now};
use primer_proto::metadata::{Exchange, Exchanges, Table};
use prost::Message as _;

use crate::make::{damage, number};
use crate::tell;

/// One answer: a frame's bytes, or a few sums of a context.
const ANSWER_BYTES_MAX: usize = 600 << 10;
const ABANDONED_MS: u64 = 60_000;

struct Seat {
    id: MemberId,
    table: Table,
    exchanges: Exchanges,
    now_ms: u64,
}

impl Seat {
    fn new(id: u64, chance: &mut Chance) -> Self {
        let id = MemberId(u128::from(id));
        Self {
            id,
            table: Table::new(id, BootId(chance.bits() >> 1)),
            exchanges: Exchanges::default(),
            now_ms: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            mono: Instant(self.now_ms),
            wall_ms: 1_000_000 + self.now_ms,
        }
    }

    fn scribble(&mut self, chance: &mut Chance) {
        for _ in 0..chance.below(12) {
            self.now_ms += 10;
            let key = format!("k{}", chance.below(8));
            if chance.percent(30) {
                self.table.delete(self.now(), &key).unwrap();
            } else {
                let bytes = match chance.below(20) {
                    0 => 64 << 10,
                    _ => chance.below(30) as usize,
                };
                let value = Bytes::from(vec![b'v'; bytes]);
                self.table.put(self.now(), &key, value).unwrap();
            }
        }
    }

    fn start(&mut self, member: MemberId) {
        let now = Instant(self.now_ms);
        self.exchanges.start(now, member, &self.table);
    }

    /// Takes a message in as a member would; true when it was refused.
    fn hear(&mut self, from: MemberId, bytes: &[u8]) -> bool {
        let Ok(message) = Exchange::decode(Bytes::copy_from_slice(bytes)) else {
            return true;
        };
        let now = self.now();
        let heard = self.exchanges.hear(now, from, message, &mut self.table);
        if let Err(error) = &heard {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            self.exchanges.forget(from);
        }
        heard.is_err()
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        let out = self.exchanges.out().into_iter();
        let sent: Vec<Vec<u8>> = out.map(|(_, message)| message.encode_to_vec()).collect();
        let bytes: usize = sent.iter().map(Vec::len).sum();
        assert!(bytes <= ANSWER_BYTES_MAX, "an answer of {bytes} bytes");
        sent
    }
}

pub(crate) fn run(chance: &mut Chance) {
    let (mut ann, mut bob) = (Seat::new(1, chance), Seat::new(2, chance));
    ann.scribble(chance);
    bob.scribble(chance);
    if chance.percent(50) {
        agree(&mut ann, &mut bob);
        ann.scribble(chance);
        bob.scribble(chance);
    }
    let life = bob.table.actor();
    converse(&mut ann, &mut bob, life, chance);
    for seat in [&mut ann, &mut bob] {
        seat.now_ms += ABANDONED_MS;
        let now = Instant(seat.now_ms);
        seat.exchanges.wake(now, &seat.table);
        seat.exchanges.clear();
        seat.exchanges.out();
        seat.exchanges.finished();
        assert_eq!(seat.exchanges.next_wake(), Instant::NEVER);
    }
    agree(&mut ann, &mut bob);
}

/// Ann learns from Bob over a line that lies.
fn converse(ann: &mut Seat, bob: &mut Seat, life: BootId, chance: &mut Chance) {
    ann.start(bob.id);
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for _ in 0..chance.below(12) {
        let mut questions = ann.sent();
        let mut answers = Vec::new();
        if chance.percent(20) {
            questions.push(made_up(life, chance));
        }
        for mut question in questions {
            spoil(&mut question, &mut kept, chance);
            bob.hear(ann.id, &question);
            answers.append(&mut bob.sent());
        }
        if chance.percent(20) {
            answers.push(made_up(life, chance));
        }
        for mut answer in answers {
            spoil(&mut answer, &mut kept, chance);
            if ann.hear(bob.id, &answer) {
                tell(|| "refused".to_owned());
                ann.start(bob.id);
            }
        }
        if chance.percent(20) {
            bob.scribble(chance);
        }
    }
}

/// Leaves a message, damages it, or puts an older one in its place.
fn spoil(message: &mut Vec<u8>, kept: &mut Vec<Vec<u8>>, chance: &mut Chance) {
    kept.push(message.clone());
    match chance.below(10) {
        0..3 => damage(message, chance),
        3 => *message = kept[chance.below(kept.len() as u64) as usize].clone(),
        _ => {}
    }
    tell(|| {
        format!(
            "a message of {} bytes, kind {:?}",
            message.len(),
            message.get(1)
        )
    });
}

/// A message of any kind whose head may well fit: (kind, number, round, life, body) as prost has it.
fn made_up(life: BootId, chance: &mut Chance) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..chance.below(40) {
        match chance.below(4) {
            0 => body.extend_from_slice(&number(chance).to_le_bytes()),
            1 => body.extend_from_slice(&[0; 16]),
            2 => body.push(chance.below(4) as u8),
            _ => body.push(chance.bits() as u8),
        }
    }
    let kind = chance.below(8) as u8;
    let life = if chance.percent(70) {
        life.0
    } else {
        number(chance)
    };
    let mut bytes = vec![0x08, kind, 0x10, 1 + chance.below(3) as u8];
    bytes.extend_from_slice(&[0x18, chance.below(3) as u8, 0x21]);
    bytes.extend_from_slice(&life.to_le_bytes());
    bytes.push(0x2a);
    prost::encoding::encode_varint(body.len() as u64, &mut bytes);
    bytes.append(&mut body);
    bytes
}

/// Over an honest line both learn until they are equal, whatever they were told before.
fn agree(ann: &mut Seat, bob: &mut Seat) {
    for _ in 0..3 {
        learn(ann, bob);
        learn(bob, ann);
    }
    assert_eq!(ann.table.map().root(), bob.table.map().root(), "roots");
    assert_eq!(
        ann.table.map().context(),
        bob.table.map().context(),
        "contexts"
    );
}

fn learn(learner: &mut Seat, teacher: &mut Seat) {
    learner.start(teacher.id);
    loop {
        let questions = learner.sent();
        if questions.is_empty() {
            break;
        }
        for question in questions {
            assert!(!teacher.hear(learner.id, &question), "an honest question");
            for answer in teacher.sent() {
                assert!(!learner.hear(teacher.id, &answer), "an honest answer");
            }
        }
    }
    assert_eq!(learner.exchanges.finished(), [teacher.id]);
    assert!(learner.exchanges.is_idle());
}
