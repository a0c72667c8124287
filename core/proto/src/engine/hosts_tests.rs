//! When hosts are asked, what travels for them, and what is refused.

use super::super::command::Command;
use super::super::effect::Lane;
use super::super::{Config, Input, LinkId};
use super::*;
use crate::base::{BootId, ClusterId, Instant, StoreId};
use crate::broadcast::{Message as Broadcast, Push};
use crate::metadata::EXCHANGE_EVERY_MS;

const LINK: LinkId = LinkId(7);
const PEER: MemberId = MemberId(2);

fn at(ms: u64) -> Now {
    Now {
        mono: Instant(ms),
        wall_ms: 1_700_000_000_000 + ms,
    }
}

fn engine(member: u64) -> Engine {
    let (id, boot) = (MemberId(u128::from(member)), BootId(member));
    Engine::new(Config::new(ClusterId(1), id, boot, StoreId(member)), at(0))
}

fn give(engine: &mut Engine, ms: u64, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    engine.handle(at(ms), input, &mut out);
    out
}

/// A member that is linked to [`PEER`], and what came of that.
fn linked() -> (Engine, Vec<Effect>) {
    let mut engine = engine(1);
    let hello = self::engine(2).hello();
    let input = Input::Linked {
        link: LINK,
        hello: Box::new(hello),
        dialled: None,
    };
    let out = give(&mut engine, 0, input);
    (engine, out)
}

fn calls(effects: Vec<Effect>) -> Vec<HostCall> {
    let calls = effects.into_iter().filter_map(|effect| match effect {
        Effect::Host(call) => Some(call),
        _ => None,
    });
    calls.collect()
}

/// What was sent for hosts, and the answer's number: 0 is well.
fn command(engine: &mut Engine, command: Command) -> (Vec<HostExchange>, u16) {
    let ticket = Ticket(1);
    let (mut parts, mut number) = (Vec::new(), None);
    for effect in give(engine, 1, Input::Command { ticket, command }) {
        match effect {
            Effect::Send(LINK, lane, Message::Host(part)) => {
                assert_eq!(lane, Lane::Bulk);
                parts.push(*part);
            }
            Effect::Reply(_, answer) => {
                number = Some(answer.map_or_else(|error| error.number(), |_| 0));
            }
            _ => {}
        }
    }
    (parts, number.unwrap())
}

fn answer(bodies: Vec<Bytes>) -> Command {
    Command::HostExchange {
        to: PEER,
        handler: 64,
        is_answer: true,
        bodies,
    }
}

fn part(handler: u32, is_answer: bool, bodies: Vec<Bytes>) -> HostExchange {
    HostExchange {
        handler,
        is_answer,
        bodies,
        has_more: false,
    }
}

fn hear(engine: &mut Engine, message: Message) -> Vec<Effect> {
    give(
        engine,
        1,
        Input::Message {
            link: LINK,
            message,
        },
    )
}

#[test]
fn a_linked_member_is_asked_at_once_and_again_and_again() {
    let (mut engine, out) = linked();
    assert_eq!(calls(out), [HostCall::Ask(PEER)]);
    let mut asked = Vec::new();
    for ms in (0..60_000).step_by(500) {
        let out = give(&mut engine, ms, Input::Wake);
        // The other one is there: it answers heartbeats.
        for effect in &out {
            if let Effect::Send(link, _, Message::Heartbeat(beat)) = effect {
                let beat = crate::membership::Heartbeat {
                    number: beat.number,
                    heard: beat.number,
                    is_answer: true,
                    ..*beat
                };
                let (link, message) = (*link, Message::Heartbeat(beat));
                give(&mut engine, ms, Input::Message { link, message });
            }
        }
        let called = calls(out);
        assert!(called.iter().all(|call| *call == HostCall::Ask(PEER)));
        asked.extend(called.iter().map(|_| ms));
    }
    assert!((4..=7).contains(&asked.len()), "{asked:?}");
    let pauses = asked.windows(2).map(|two| two[1] - two[0]);
    let most = EXCHANGE_EVERY_MS * 6 / 5 + 1_000;
    assert!(pauses.max().unwrap() <= most, "{asked:?}");
}

#[test]
fn a_new_handler_asks_some_members_and_alone_nobody() {
    let ticket = Ticket(1);
    let ready = || Input::Command {
        ticket,
        command: Command::HostReady,
    };
    assert_eq!(calls(give(&mut engine(1), 0, ready())), []);
    let (mut engine, _) = linked();
    assert_eq!(calls(give(&mut engine, 0, ready())), [HostCall::Ask(PEER)]);
}

#[test]
fn an_answer_is_cut_into_frames_and_its_last_part_says_whether_there_is_more() {
    let (mut engine, _) = linked();
    let large = Bytes::from(alloc::vec![1; HOST_BYTES_MAX]);
    for (count, frames, has_more) in [(1, 1, false), (HOST_BODIES_MAX, 16, false), (100, 16, true)]
    {
        let (parts, number) = command(&mut engine, answer(alloc::vec![large.clone(); count]));
        assert_eq!((parts.len(), number), (frames, 0));
        let bodies: usize = parts.iter().map(|part| part.bodies.len()).sum();
        assert_eq!(bodies, count.min(HOST_BODIES_MAX));
        let (last, others) = parts.split_last().unwrap();
        assert_eq!(last.has_more, has_more);
        assert!(others.iter().all(|part| !part.has_more));
    }
    assert_eq!(command(&mut engine, answer(Vec::new())), (Vec::new(), 0));
}

#[test]
fn what_cannot_be_sent_says_why() {
    let (mut engine, _) = linked();
    let small = || alloc::vec![Bytes::from_static(b"x")];
    let large = Bytes::from(alloc::vec![1; HOST_BYTES_MAX + 1]);
    assert_eq!(
        command(&mut engine, answer(alloc::vec![large.clone()])).1,
        104
    );
    let other = |to, handler| Command::HostExchange {
        to,
        handler,
        is_answer: true,
        bodies: small(),
    };
    assert_eq!(command(&mut engine, other(MemberId(9), 64)).1, 202);
    assert_eq!(command(&mut engine, other(PEER, 63)).1, 101);
    let spread = |handler, body| Command::Spread { handler, body };
    assert_eq!(command(&mut engine, spread(3, Bytes::new())).1, 101);
    assert_eq!(command(&mut engine, spread(64, large)).1, 104);

    // A peer that does not read what it asked for is answered no more.
    for (is_full, number) in [(true, 203), (false, 0)] {
        let link = LINK;
        give(&mut engine, 1, Input::Pressure { link, is_full });
        assert_eq!(command(&mut engine, answer(small())).1, number);
    }
    assert_eq!(engine.stats()["handler_unsent"], 1);
}

#[test]
fn what_comes_is_handed_to_the_host() {
    let (mut engine, _) = linked();
    let one = Bytes::from_static(b"one");
    let question = part(64, false, alloc::vec![one.clone()]);
    let told = hear(&mut engine, Message::Host(Box::new(question)));
    let call = HostCall::Answer {
        handler: 64,
        to: PEER,
        digest: one.clone(),
    };
    assert_eq!(calls(told), [call]);
    let mut answered = part(65_535, true, alloc::vec![one.clone(), one.clone()]);
    answered.has_more = true;
    let told = hear(&mut engine, Message::Host(Box::new(answered)));
    let call = HostCall::Merge {
        handler: 65_535,
        from: PEER,
        bodies: alloc::vec![one.clone(), one.clone()],
        has_more: true,
    };
    assert_eq!(calls(told), [call]);
    // Broadcasts for numbers that are not a host's are of later versions.
    for (sequence, handler, count) in [(1, 64, 1), (2, 63, 0)] {
        let push = Broadcast::Push(Push {
            origin: PEER,
            incarnation: 1,
            sequence,
            hops: 1,
            handler,
            body: one.clone(),
        });
        let told = hear(&mut engine, Message::Broadcast(Box::new(push)));
        assert_eq!(calls(told).len(), count);
    }
}

#[test]
fn what_no_member_says_closes_the_link() {
    let one = Bytes::from_static(b"one");
    let large = Bytes::from(alloc::vec![1; HOST_BYTES_MAX + 1]);
    for bad in [
        part(63, true, Vec::new()),
        part(65_536, true, Vec::new()),
        part(64, false, Vec::new()),
        part(64, false, alloc::vec![one.clone(), one.clone()]),
        part(64, true, alloc::vec![one.clone(); HOST_BODIES_MAX + 1]),
        part(64, true, alloc::vec![large]),
    ] {
        let (mut engine, _) = linked();
        let told = hear(&mut engine, Message::Host(Box::new(bad)));
        let closes = |effect: &Effect| match effect {
            Effect::Hangup(LINK, error) => error.number() == 503,
            _ => false,
        };
        assert!(told.iter().any(closes), "{told:?}");
        assert_eq!(calls(told), []);
    }
}
