//! A few honest members and a net that doubles, delays, loses and damages what they say, with a liar
//! among them: nothing panics, nobody hears a broadcast twice, and nothing grows.
//!
//! Where nothing was damaged and nobody lied, the next broadcast after the trouble reaches everyone.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use primer_proto::base::{Chance, Instant, MemberId};
use primer_proto::broadcast::{Gone, Graft, IDS_MAX, Message, Out, Plumtree, handler};
use primer_proto::engine::{self, HEADER_BYTES, Writer, decode};

use crate::make::{self, damage, number};
use crate::tell;

const LIAR: MemberId = MemberId(7);

struct Frame {
    from: MemberId,
    to: MemberId,
    message: Message,
}

struct Net {
    now: u64,
    members: BTreeMap<MemberId, Plumtree>,
    frames: Vec<Frame>,
    heard: BTreeSet<(MemberId, MemberId, u64, u64)>,
    sent: u64,
}

pub(crate) fn run(chance: &mut Chance) {
    let count = 2 + chance.below(12);
    let mut net = Net::new(count);
    let is_honest = chance.percent(40);
    let ids: Vec<MemberId> = net.members.keys().copied().collect();
    for _ in 0..chance.below(300) {
        let who = ids[chance.below(count) as usize];
        match chance.below(20) {
            0 => net.broadcast(who),
            1 => net.wait(chance.below(300), chance),
            2 if !is_honest => net.lie(who, chance),
            3 if chance.percent(20) => net.flap(who, ids[chance.below(count) as usize]),
            _ => net.land(is_honest, chance),
        }
    }
    for member in net.members.values() {
        bounded(member);
    }
    if is_honest {
        net.calm(&ids, chance);
    }
}

impl Net {
    fn new(count: u64) -> Self {
        let ids: Vec<MemberId> = (0..count)
            .map(|n| MemberId(u128::from(n) * 5 + 11))
            .collect();
        let members = ids.iter().map(|me| (*me, Plumtree::new(*me, 3)));
        let mut net = Self {
            now: 1_000,
            members: members.collect(),
            frames: Vec::new(),
            heard: BTreeSet::new(),
            sent: 0,
        };
        for (me, member) in &mut net.members {
            member.set_members(Instant(1_000), &ids);
            member.link_up(Instant(1_000), LIAR);
            for other in ids.iter().filter(|other| *other != me) {
                member.link_up(Instant(1_000), *other);
            }
        }
        net
    }

    fn each(&mut self, who: MemberId, act: impl FnOnce(&mut Plumtree, Instant)) {
        let now = Instant(self.now);
        let Some(member) = self.members.get_mut(&who) else {
            return;
        };
        act(member, now);
        let mut out = Vec::new();
        member.swap_out(&mut out);
        for out in out {
            match out {
                Out::Send(to, message) => self.frames.push(Frame {
                    from: who,
                    to,
                    message: travelled(&message),
                }),
                Out::Deliver(delivery) => {
                    assert_ne!(delivery.origin, who, "its own broadcast came back");
                    let id = (delivery.origin, delivery.incarnation, delivery.sequence);
                    assert!(self.heard.insert((who, id.0, id.1, id.2)), "twice: {id:?}");
                }
            }
        }
    }

    fn broadcast(&mut self, who: MemberId) {
        tell(|| format!("{who} broadcasts"));
        self.sent += 1;
        let body = Bytes::from(vec![9; (self.sent % 50) as usize]);
        self.each(who, |member, now| {
            member.broadcast(now, handler::TOPIC, body).unwrap();
        });
    }

    /// Time passes, and everyone's alarms ring.
    fn wait(&mut self, span: u64, chance: &mut Chance) {
        self.now += span;
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for who in ids {
            if chance.percent(90) {
                self.wake(who);
            }
        }
    }

    fn wake(&mut self, who: MemberId) {
        self.each(who, |member, now| {
            for _ in 0..8 {
                if member.next_wake() > now {
                    return;
                }
                member.wake(now);
            }
            // What is due is bounded a wake, but far above what one case can make.
            assert!(member.next_wake() > now, "an alarm that does not end");
        });
    }

    /// Some frame arrives, or twice, or never, or damaged.
    fn land(&mut self, is_honest: bool, chance: &mut Chance) {
        if self.frames.is_empty() {
            return;
        }
        let place = chance.below(self.frames.len() as u64) as usize;
        let frame = self.frames.swap_remove(place);
        let (from, to) = (frame.from, frame.to);
        let mut message = frame.message;
        match chance.below(12) {
            0 => return,
            1 => self.frames.push(Frame {
                from,
                to,
                message: message.clone(),
            }),
            2 if !is_honest => match damaged(&message, chance) {
                Some(other) => message = other,
                None => return,
            },
            _ => {}
        }
        self.each(to, |member, now| member.hear(now, from, message));
    }

    fn lie(&mut self, who: MemberId, chance: &mut Chance) {
        let lie = lie(chance);
        // What no decoder lets through reaches no member.
        let Some(message) = read(written(&lie).freeze()) else {
            return;
        };
        tell(|| format!("{who} is told {message:?}"));
        self.each(who, |member, now| member.hear(now, LIAR, message));
    }

    fn flap(&mut self, a: MemberId, b: MemberId) {
        for (one, other) in [(a, b), (b, a)] {
            self.each(one, |member, now| {
                member.link_down(now, other);
                member.link_up(now, other);
            });
        }
    }

    /// The trouble is over: every link is made anew, and what is said then arrives everywhere.
    fn calm(&mut self, ids: &[MemberId], chance: &mut Chance) {
        self.frames.clear();
        for a in ids {
            for b in ids.iter().filter(|b| a < *b) {
                self.flap(*a, *b);
            }
            self.each(*a, |member, now| member.link_down(now, LIAR));
        }
        let who = ids[chance.below(ids.len() as u64) as usize];
        self.heard.clear();
        self.broadcast(who);
        for _ in 0..200 {
            while !self.frames.is_empty() {
                let frame = self.frames.remove(0);
                let Frame { from, to, message } = frame;
                self.each(to, |member, now| member.hear(now, from, message));
            }
            self.now += 20;
            for id in ids {
                self.wake(*id);
            }
        }
        let reached = self.heard.iter().filter(|heard| heard.1 == who);
        let reached: BTreeSet<MemberId> = reached.map(|heard| heard.0).collect();
        assert_eq!(reached.len(), ids.len() - 1, "somebody is deaf to {who}");
    }
}

fn bounded(member: &Plumtree) {
    let mut stats = BTreeMap::new();
    member.stats(&mut stats);
    assert!(stats["broadcast_origins"] <= 14 + 64);
    assert!(stats["broadcast_missing"] <= 16 << 10);
    assert!(stats["broadcast_cached_bytes"] <= 64 << 20);
}

/// The message in a frame without its header; none for what is refused, and for a frame of another
/// kind.
fn read(frame: Bytes) -> Option<Message> {
    match decode(frame) {
        Ok(Some(engine::Message::Broadcast(message))) => Some(*message),
        _ => None,
    }
}

/// Its frame, without the header.
fn written(message: &Message) -> BytesMut {
    let (mut frame, mut writer) = (BytesMut::new(), Writer::default());
    writer.push(
        &engine::Message::Broadcast(Box::new(message.clone())),
        &mut frame,
    );
    writer.finish(&mut frame);
    frame.split_off(HEADER_BYTES)
}

/// The message after a trip as bytes, which changes nothing.
fn travelled(message: &Message) -> Message {
    let frame = written(message);
    let weight = message.weight();
    assert!(
        frame.len() <= 512 + weight * 2,
        "{} bytes weigh {weight}",
        frame.len()
    );
    let read = read(frame.freeze()).unwrap();
    assert_eq!(read, *message);
    read
}

/// What damaged bytes of it mean, if anything; and then it can be written again.
fn damaged(message: &Message, chance: &mut Chance) -> Option<Message> {
    let mut frame = written(message).to_vec();
    damage(&mut frame, chance);
    let message = read(Bytes::from(frame))?;
    Some(travelled(&message))
}

/// Anything, also more than a frame may hold.
fn lie(chance: &mut Chance) -> Message {
    let origin = MemberId(u128::from(match chance.below(3) {
        0 => number(chance),
        _ => chance.below(14) * 5 + 11,
    }));
    let mut lie = make::broadcast(origin, chance);
    if chance.percent(5) {
        let many = IDS_MAX as u64 + 9;
        match &mut lie {
            Message::Push(push) => push.body = Bytes::from(vec![0; 70_000]),
            Message::IHave(ihave) => ihave.groups[0].ids = (1..many).map(|n| (n, 1)).collect(),
            Message::Graft(Graft { sequences, .. }) | Message::Gone(Gone { sequences, .. }) => {
                *sequences = (1..many).collect();
            }
            Message::Prune(_) => {}
        }
    }
    lie
}
