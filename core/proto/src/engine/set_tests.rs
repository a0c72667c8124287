//! Who is in the set, and what is remembered of those who are not.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::super::command::{Command, EventKind};
use super::super::test_ring::Ring;
use super::super::{Config, Input};
use super::*;
use crate::base::{BootId, ClusterId, ErrorKind, LinkId, StoreId, limits};
use crate::membership::{Card, CardList, Rival};
use crate::queue::{EnqueueOptions, NewMessage};

const LINK: LinkId = LinkId(7);

fn at(ms: u64) -> Now {
    Now {
        mono: Instant(ms),
        wall_ms: 1_700_000_000_000 + ms,
    }
}

fn engine(member: u64) -> Engine {
    process(member, member, 1)
}

/// A process of a member's; of two with one identity each has its own boot.
fn process(member: u64, boot: u64, incarnation: u64) -> Engine {
    let (id, boot) = (MemberId(u128::from(member)), BootId(boot));
    let mut config = Config::new(ClusterId(1), id, boot, StoreId(boot.0));
    config.incarnation = incarnation;
    config.address = Some(alloc::format!("10.0.0.{member}:7000"));
    Engine::new(config, at(0))
}

fn give(engine: &mut Engine, ms: u64, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    engine.handle(at(ms), input, &mut out);
    engine.audit().unwrap();
    out
}

fn call(engine: &mut Engine, ms: u64, ticket: u64, command: Command) -> Vec<Effect> {
    let ticket = Ticket(ticket);
    give(engine, ms, Input::Command { ticket, command })
}

/// `engine` has a link to `other`, which it dialled or not.
fn link(engine: &mut Engine, other: &Engine, is_dialled: bool) -> Vec<Effect> {
    link_by(engine, LINK, other, is_dialled)
}

fn link_by(engine: &mut Engine, link: LinkId, other: &Engine, is_dialled: bool) -> Vec<Effect> {
    let hello = Box::new(other.hello());
    let linked = Input::Linked {
        link,
        dialled: is_dialled.then(|| hello.address.clone()),
        hello,
    };
    give(engine, 0, linked)
}

#[test]
fn a_peer_that_was_met_but_never_came_into_the_set_is_forgotten_with_its_link() {
    let mut one = engine(1);
    let two = engine(2);
    call(&mut one, 0, 1, Command::Join("10.0.0.2:7000".into()));
    // The one that was dialled says who is in the set; it dies before it does.
    link(&mut one, &two, true);
    assert_eq!(one.rows().count(), 2);
    give(&mut one, 0, Input::Unlinked(LINK));
    assert_eq!(one.rows().count(), 1);
    one.audit_rows().unwrap();
}

#[test]
fn a_row_of_who_never_came_into_the_set_does_not_go_round() {
    let (mut one, mut two) = (engine(1), engine(2));
    link(&mut one, &two, false);
    link(&mut two, &one, false);
    let row = Card::new(MemberId(3), 1, BootId(3));
    let cards = CardList {
        cards: Vec::from([row]),
    };
    let heard = Input::Message {
        link: LINK,
        message: Message::Cards(cards),
    };
    give(&mut one, 0, heard);
    // It may become a member, so it is kept; who comes later hears nothing of it.
    assert!(one.rows().any(|(member, ..)| member == MemberId(3)));
    let out = link_by(&mut one, LinkId(8), &engine(4), false);
    let told = out.iter().find_map(|effect| match effect {
        Effect::Send(LinkId(8), _, Message::Cards(list)) => Some(list),
        _ => None,
    });
    let told: Vec<MemberId> = told.unwrap().cards.iter().map(Card::member).collect();
    assert!(told.contains(&MemberId(1)) && !told.contains(&MemberId(3)));
    give(&mut one, limits::EARLY_ROW_MS, Input::Wake);
    assert!(one.rows().all(|(member, ..)| member != MemberId(3)));
    one.audit_rows().unwrap();
}

#[test]
fn a_twin_hears_the_incarnation_that_the_other_one_has_by_now() {
    let (mut one, older) = (engine(1), process(2, 2, 10));
    link(&mut one, &older, false);
    // It comes from across a split, where it was among others.
    let mut newer = process(2, 22, 50);
    link(&mut newer, &engine(4), false);
    let mut row = Card::new(MemberId(2), 60, BootId(2));
    row.version = 2;
    let cards = CardList {
        cards: Vec::from([row]),
    };
    let raised = Input::Message {
        link: LINK,
        message: Message::Cards(cards),
    };
    give(&mut one, 0, raised);
    // The first time, the older one is asked whether it lives.
    link_by(&mut one, LinkId(8), &newer, false);
    let out = link_by(&mut one, LinkId(9), &newer, false);
    let told: Vec<(LinkId, u64)> = out
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Send(link, _, Message::Rival(rival)) => Some((link, rival.incarnation)),
            _ => None,
        })
        .collect();
    // The newer one is the lower by now, and goes; told 10, it would have stayed, as the other does.
    assert_eq!(told, [(LinkId(9), 60)]);
}

#[test]
fn what_a_former_life_said_last_is_not_taken_for_a_twin() {
    let (mut one, two) = (process(1, 5, 50), engine(2));
    link(&mut one, &two, false);
    let hear = |one: &mut Engine, incarnation| {
        let row = Card::new(MemberId(1), incarnation, BootId(9));
        let cards = CardList {
            cards: Vec::from([row]),
        };
        let message = Message::Cards(cards);
        give(
            one,
            0,
            Input::Message {
                link: LINK,
                message,
            },
        );
        one.identity()
    };
    let first = hear(&mut one, 60);
    assert!(first.0 == MemberId(1) && first.1 > 60);
    // Another member had heard later ones.
    assert_eq!(hear(&mut one, 62), first);
    // What goes beyond that was said by somebody who had heard of it.
    assert_ne!(hear(&mut one, first.1 + 1).0, MemberId(1));
}

#[test]
fn a_link_that_stands_for_a_former_identity_is_hung_up_and_the_present_one_kept() {
    let (mut one, two) = (engine(1), engine(2));
    link(&mut one, &two, false);
    // Its handshake went out before this member took another identity, of which the peer knows nothing.
    let rival = |member| Input::Message {
        link: LINK,
        message: Message::Rival(Rival::of(MemberId(member), u64::MAX, BootId(9))),
    };
    let out = give(&mut one, 0, rival(77));
    assert!(matches!(&out[..], [Effect::Hangup(LINK, _)]), "{out:?}");
    assert_eq!(one.identity().0, MemberId(1));
    // What is said of the present one is heard.
    let mut one = engine(1);
    link(&mut one, &two, false);
    give(&mut one, 0, rival(1));
    assert_ne!(one.identity().0, MemberId(1));
}

#[test]
fn who_is_evicted_while_it_leaves_in_vain_hears_of_it_when_it_stays() {
    let (mut one, mut two) = (engine(1), engine(2));
    link(&mut one, &two, false);
    link(&mut two, &one, false);
    // Two holds one message that it cannot hand over.
    let queue = two.queue("jobs").unwrap();
    let enqueue = Command::Enqueue {
        queue,
        message: NewMessage::default(),
        options: EnqueueOptions::default(),
    };
    call(&mut two, 0, 1, enqueue);
    let leave = Command::Leave {
        drain: Some(1_000),
        force: false,
    };
    call(&mut two, 0, 2, leave);
    let out = call(&mut one, 0, 1, Command::Evict(MemberId(2)));
    let said = out.into_iter().find_map(|effect| match effect {
        Effect::Send(_, _, message @ Message::Meta(_)) => Some(message),
        _ => None,
    });
    let message = said.expect("the evicted one is told");
    let store = two.store();
    give(
        &mut two,
        10,
        Input::Message {
            link: LINK,
            message,
        },
    );
    assert_eq!(two.store(), store, "it may still get away by itself");
    let out = give(&mut two, 1_000, Input::Wake);
    let answers = out.iter().filter_map(|effect| match effect {
        Effect::Reply(Ticket(2), Err(error)) => Some(error.kind()),
        _ => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), [ErrorKind::LeftBehind]);
    let is_evicted = |effect: &Effect| matches!(effect, Effect::Event(event) if event.kind == EventKind::Evicted);
    assert!(out.iter().any(is_evicted));
    assert_ne!(two.store(), store, "it goes on afresh");
}

#[test]
fn a_seed_whose_end_is_heard_of_before_it_came_into_the_set_is_dialled_no_more() {
    let (two, mut three) = (engine(2), engine(3));
    let mut config = Config::new(ClusterId(1), MemberId(1), BootId(1), StoreId(1));
    config.seeds = alloc::vec!["10.0.0.3:7000".into()];
    let mut one = Engine::new(config, at(0));
    // Three left, or was evicted, where two is; one has dialled it as its seed at that moment.
    link(&mut three, &two, false);
    link(&mut one, &three, true);
    assert!(one.dialler.is_asked_for("10.0.0.3:7000"));
    let mut other = engine(2);
    link(&mut other, &three, false);
    let out = call(&mut other, 0, 1, Command::Evict(MemberId(3)));
    let said = out.into_iter().find_map(|effect| match effect {
        Effect::Send(_, _, message @ Message::Meta(_)) => Some(message),
        _ => None,
    });
    let message = said.expect("the evicted one is told");
    let hello = Box::new(two.hello());
    let linked = Input::Linked {
        link: LinkId(8),
        hello,
        dialled: None,
    };
    give(&mut one, 0, linked);
    let link = LinkId(8);
    give(&mut one, 0, Input::Message { link, message });
    assert!(!one.dialler.is_asked_for("10.0.0.3:7000"));
}

#[test]
fn who_is_refused_where_it_dials_is_told_so_and_again_while_it_lasts() {
    const SEED: &str = "10.0.0.2:7000";
    let mut config = Config::new(ClusterId(1), MemberId(1), BootId(1), StoreId(1));
    config.seeds = Vec::from([SEED.into()]);
    let (mut one, two) = (Engine::new(config, at(0)), engine(2));
    let fails = |one: &mut Engine, ms, kind: ErrorKind| {
        let error = crate::base::Error::new(kind).because("no");
        let address = SEED.into();
        let effects = give(one, ms, Input::DialFailed { address, error });
        let told = effects.into_iter().filter_map(|effect| match effect {
            Effect::Event(event) if event.kind == EventKind::Refused => Some(event),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    // Nobody there is no refusal.
    assert!(fails(&mut one, 1, ErrorKind::Unreachable).is_empty());
    let told = fails(&mut one, 2, ErrorKind::ClusterMismatch);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].member, MemberId(1));
    let detail = &told[0].detail;
    assert!(detail.contains(SEED) && detail.contains("no"), "{detail}");
    assert!(fails(&mut one, 3, ErrorKind::ClusterMismatch).is_empty());
    assert!(fails(&mut one, 4, ErrorKind::Unreachable).is_empty());
    assert!(fails(&mut one, 5, ErrorKind::ClusterMismatch).is_empty());
    assert_eq!(fails(&mut one, 6, ErrorKind::IdentityConflict).len(), 1);
    link(&mut one, &two, true);
    give(&mut one, 7, Input::Unlinked(LINK));
    assert_eq!(fails(&mut one, 8, ErrorKind::IdentityConflict).len(), 1);
    assert!(fails(&mut one, 10_007, ErrorKind::IdentityConflict).is_empty());
    assert_eq!(
        fails(&mut one, 10_008, ErrorKind::IdentityConflict).len(),
        1
    );
}

#[test]
fn a_seed_that_is_out_for_good_is_dialled_no_more_also_by_one_that_never_had_a_link_to_it() {
    const SEED: &str = "10.0.0.2:7000";
    for is_linked in [true, false] {
        let mut ring = Ring::apart(3);
        let mut config = ring.engines[0].config.clone();
        config.seeds = Vec::from([SEED.into()]);
        ring.engines[0] = Engine::new(config, at(0));
        let mut config = ring.engines[1].config.clone();
        config.address = Some(SEED.into());
        ring.engines[1] = Engine::new(config, at(0));
        if is_linked {
            ring.link(0, 1);
        }
        ring.link(1, 2);
        ring.link(0, 2);
        let one = &ring.engines[0];
        assert_eq!(one.lives().count(), 3);
        assert!(one.dialler.is_asked_for(SEED));
        assert!(ring.ask(0, Command::Evict(MemberId(2))).is_ok());
        let one = &ring.engines[0];
        assert_eq!(one.lives().count(), 2);
        assert!(!one.dialler.is_asked_for(SEED), "linked: {is_linked}");
    }
}
