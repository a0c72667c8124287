//! One member at a time, given time and messages by hand.

use bytes::BytesMut;

use super::tree::eager_count;
use super::*;
use crate::wire::Reader;

const ME: MemberId = MemberId(500);

fn at(ms: u64) -> Instant {
    Instant(ms)
}

/// A member among `count` others, all linked: ids 10, 20, 30, ...
fn member(count: u128) -> Plumtree {
    let mut member = Plumtree::new(ME, 1);
    let others: Vec<MemberId> = (1..=count).map(|n| MemberId(n * 10)).collect();
    member.set_members(at(0), &others);
    for other in others {
        member.link_up(at(0), other);
    }
    member.wake(at(100));
    member.wake(at(200));
    sent(&mut member);
    member
}

fn out(member: &mut Plumtree) -> Vec<Out> {
    let mut out = Vec::new();
    member.swap_out(&mut out);
    out
}

fn sent(member: &mut Plumtree) -> Vec<(MemberId, Message)> {
    let sends = out(member).into_iter().filter_map(|out| match out {
        Out::Send(to, message) => Some((to, message)),
        Out::Deliver(_) => None,
    });
    sends.collect()
}

fn delivered(member: &mut Plumtree) -> Vec<u64> {
    let deliveries = out(member).into_iter().filter_map(|out| match out {
        Out::Deliver(delivery) => Some(delivery.sequence),
        Out::Send(..) => None,
    });
    deliveries.collect()
}

fn push(origin: u128, incarnation: u64, sequence: u64, hops: u16) -> Message {
    Message::Push(Push {
        origin: MemberId(origin),
        incarnation,
        sequence,
        hops,
        handler: handler::TOPIC,
        body: Bytes::from_static(b"body"),
    })
}

fn ihave(origin: u128, incarnation: u64, ids: &[(u64, u16)]) -> Message {
    Message::IHave(IHave {
        is_neighbour: true,
        groups: Vec::from([Group {
            origin: MemberId(origin),
            incarnation,
            ids: ids.to_vec(),
        }]),
    })
}

fn stat(member: &Plumtree, name: &str) -> u64 {
    let mut stats = BTreeMap::new();
    member.stats(&mut stats);
    stats[name]
}

/// Who is asked for what, as (announcer, sequences).
fn grafts(member: &mut Plumtree) -> Vec<(u128, Vec<u64>)> {
    let grafts = sent(member)
        .into_iter()
        .filter_map(|(to, message)| match message {
            Message::Graft(graft) => Some((to.0, graft.sequences)),
            _ => None,
        });
    grafts.collect()
}

fn pushes(member: &mut Plumtree) -> Vec<u128> {
    let pushes = sent(member).into_iter();
    let pushes = pushes.filter(|(_, message)| matches!(message, Message::Push(_)));
    pushes.map(|(to, _)| to.0).collect()
}

#[test]
fn the_origin_of_a_small_cluster_pushes_to_all_and_receivers_only_announce() {
    let mut member = member(7);
    member
        .broadcast(at(300), handler::TOPIC, Bytes::new())
        .unwrap();
    assert_eq!(pushes(&mut member), [10, 20, 30, 40, 50, 60, 70]);
    member.hear(at(300), MemberId(10), push(10, 1, 1, 0));
    assert_eq!(pushes(&mut member), []);
    member.wake(at(320));
    let told: Vec<u128> = sent(&mut member).iter().map(|(to, _)| to.0).collect();
    assert_eq!(told, [20, 30, 40, 50, 60, 70]);
    // What came before the origin's own push is the odd edge, not the origin's.
    member.hear(at(330), MemberId(20), push(30, 1, 1, 1));
    member.hear(at(331), MemberId(30), push(30, 1, 1, 0));
    assert_eq!(stat(&member, "broadcast_prunes"), 0);
    member.hear(at(332), MemberId(20), push(30, 1, 1, 1));
    assert_eq!(stat(&member, "broadcast_prunes"), 1);
}

#[test]
fn in_a_tree_eager_edges_get_payloads_and_lazy_ones_ids_20_ms_later() {
    let mut member = member(24);
    member
        .broadcast(at(300), 9_999, Bytes::from_static(b"x"))
        .unwrap();
    assert_eq!(pushes(&mut member).len(), eager_count(25));
    assert_eq!(member.next_wake(), at(320));
    member
        .broadcast(at(310), 9_999, Bytes::from_static(b"y"))
        .unwrap();
    sent(&mut member);
    member.wake(at(320));
    let told = sent(&mut member);
    assert_eq!(told.len(), 4);
    for (_, message) in told {
        let Message::IHave(ihave) = message else {
            panic!("an announcement")
        };
        assert!(ihave.is_neighbour);
        assert_eq!(ihave.groups[0].ids, [(1, 0), (2, 0)]);
    }
    assert_eq!(
        stat(&member, "broadcast_payload_bytes"),
        2 * eager_count(25) as u64
    );
}

#[test]
fn a_handler_that_nobody_knows_is_delivered_and_passed_on() {
    let mut member = member(24);
    let Message::Push(mut message) = push(10, 1, 1, 3) else {
        panic!("a push")
    };
    message.handler = 60_000;
    member.hear(at(300), MemberId(10), Message::Push(message));
    let out = out(&mut member);
    let Some(Out::Deliver(delivery)) = out.first() else {
        panic!("a delivery")
    };
    assert_eq!((delivery.handler, delivery.hops), (60_000, 4));
    let passed = out.iter().skip(1).all(|out| {
        matches!(out, Out::Send(to, Message::Push(push))
            if push.handler == 60_000 && push.hops == 4 && *to != MemberId(10))
    });
    assert!(passed && out.len() >= eager_count(25));
}

#[test]
fn a_body_over_the_limit_is_104_and_too_many_are_203_until_the_span_is_over() {
    let mut member = member(3);
    let large = Bytes::from(alloc::vec![0; BODY_BYTES_MAX + 1]);
    let error = member.broadcast(at(300), 3, large).unwrap_err();
    assert_eq!(error.number(), 104);
    let body = Bytes::from(alloc::vec![0; HOST_BYTES_MAX]);
    for _ in 0..limit::BYTES_MAX / HOST_BYTES_MAX {
        member.broadcast(at(300), 3, body.clone()).unwrap();
    }
    let error = member.broadcast(at(330), 3, body.clone()).unwrap_err();
    assert_eq!(error.number(), 203);
    assert_eq!(error.context(), [("retry_after_ms", "70".into())]);
    member.broadcast(at(400), 3, body).unwrap();
    for _ in 1..limit::COUNT_MAX {
        member.broadcast(at(400), 3, Bytes::new()).unwrap();
    }
    assert!(member.broadcast(at(499), 3, Bytes::new()).is_err());
    assert_eq!(stat(&member, "broadcasts_refused"), 2);
    assert_eq!(
        stat(&member, "broadcasts_sent"),
        8 + u64::from(limit::COUNT_MAX)
    );
}

#[test]
fn an_older_incarnation_counts_as_seen_and_a_later_one_starts_anew() {
    let mut member = member(24);
    for (incarnation, sequence) in [(5, 1), (5, 2), (4, 9), (6, 1), (5, 3), (6, 1), (6, 2)] {
        member.hear(at(300), MemberId(10), push(10, incarnation, sequence, 0));
    }
    assert_eq!(delivered(&mut member), [1, 2, 1, 2]);
    assert_eq!(stat(&member, "broadcast_duplicates"), 3);
}

#[test]
fn what_was_seen_of_a_forgotten_member_is_not_taken_again() {
    let mut member = member(24);
    for sequence in [1, 2, 4] {
        member.hear(at(300), MemberId(10), push(10, 5, sequence, 0));
    }
    member.forget(at(300), MemberId(10));
    assert_eq!(stat(&member, "broadcast_origins"), 0);
    out(&mut member);
    for (incarnation, sequence) in [(4, 8), (5, 1), (5, 4), (5, 5), (6, 1)] {
        member.hear(at(400), MemberId(20), push(10, incarnation, sequence, 1));
    }
    assert_eq!(delivered(&mut member), [5, 1]);
    // And again after it was silent for so long that it was dropped.
    member.wake(member.next_wake());
    member.wake(at(100_000));
    assert_eq!(stat(&member, "broadcast_origins"), 0);
    member.hear(at(100_001), MemberId(20), push(10, 6, 1, 1));
    assert_eq!(delivered(&mut member), []);
}

#[test]
fn an_announced_id_is_asked_for_after_80_ms_and_then_of_the_next() {
    let mut member = member(24);
    member.hear(at(1_000), MemberId(10), ihave(90, 1, &[(1, 2), (2, 2)]));
    member.hear(at(1_010), MemberId(20), ihave(90, 1, &[(1, 3), (2, 3)]));
    member.hear(at(1_020), MemberId(30), push(90, 1, 2, 3));
    out(&mut member);
    member.wake(at(1_079));
    assert_eq!(grafts(&mut member), []);
    assert_eq!(member.next_wake(), at(1_080));
    member.wake(at(1_080));
    assert_eq!(grafts(&mut member), [(10, [1].into())]);
    member.rtt(MemberId(20), 70);
    member.wake(at(1_160));
    assert_eq!(grafts(&mut member), [(20, [1].into())]);
    // Twice the time of a trip there and back; nobody else has it, so that is the end.
    assert_eq!(stat(&member, "broadcast_missing"), 1);
    member.wake(at(1_299));
    assert_eq!(stat(&member, "broadcast_missing"), 1);
    member.wake(at(1_300));
    assert_eq!(grafts(&mut member), []);
    assert_eq!(stat(&member, "broadcast_missing"), 0);
    assert_eq!(stat(&member, "broadcast_grafts"), 2);
}

#[test]
fn a_link_that_broke_is_not_asked_and_gone_moves_on_at_once() {
    let mut member = member(24);
    for from in [10, 20, 30] {
        member.hear(at(1_000), MemberId(from), ihave(90, 1, &[(1, 2)]));
    }
    member.link_down(at(1_010), MemberId(10));
    member.wake(at(1_080));
    assert_eq!(grafts(&mut member), [(20, [1].into())]);
    let gone = Message::Gone(Gone {
        origin: MemberId(90),
        incarnation: 1,
        sequences: [1].into(),
    });
    // Only of the one that was asked.
    member.hear(at(1_085), MemberId(30), gone.clone());
    member.wake(at(1_085));
    assert_eq!(grafts(&mut member), []);
    member.hear(at(1_090), MemberId(20), gone);
    assert_eq!(member.next_wake(), at(1_090));
    member.wake(at(1_090));
    assert_eq!(grafts(&mut member), [(30, [1].into())]);
    assert_eq!(stat(&member, "broadcast_gone"), 1);
}

#[test]
fn a_graft_is_answered_with_what_is_kept_and_gone_for_the_rest() {
    let mut member = member(24);
    member.hear(at(300), MemberId(10), push(90, 1, 7, 0));
    out(&mut member);
    let graft = Message::Graft(Graft {
        origin: MemberId(90),
        incarnation: 1,
        sequences: [6, 7, 8].into(),
    });
    member.hear(at(301), MemberId(240), graft);
    let out = sent(&mut member);
    assert!(
        matches!(&out[0], (to, Message::Push(push)) if *to == MemberId(240) && push.sequence == 7 && push.hops == 1)
    );
    assert!(matches!(&out[1], (_, Message::Gone(gone)) if gone.sequences == [6, 8]));
    // The edge is eager from now on.
    member.hear(at(302), MemberId(10), push(90, 1, 9, 0));
    assert!(pushes(&mut member).contains(&240));
}

#[test]
fn a_duplicate_prunes_its_edge_once_in_a_while_and_the_pruned_one_only_announces() {
    let mut member = member(24);
    member.hear(at(300), MemberId(10), push(90, 1, 1, 0));
    let eager = pushes(&mut member)[0];
    for sequence in 1..=3 {
        member.hear(at(301), MemberId(10), push(90, 1, sequence, 0));
        member.hear(at(301), MemberId(eager), push(90, 1, sequence, 5));
    }
    let prunes = sent(&mut member)
        .into_iter()
        .filter_map(|(to, message)| matches!(message, Message::Prune(_)).then_some(to.0));
    assert_eq!(prunes.collect::<Vec<_>>(), [10, eager]);
    let prune = Message::Prune(Prune {
        origin: MemberId(90),
    });
    let mut other = self::member(24);
    other.hear(at(300), MemberId(10), push(90, 1, 1, 0));
    out(&mut other);
    other.hear(at(301), MemberId(eager), prune);
    other.hear(at(302), MemberId(10), push(90, 1, 2, 0));
    assert!(!pushes(&mut other).contains(&eager));
    other.wake(at(322));
    assert!(sent(&mut other).iter().any(|(to, _)| to.0 == eager));
}

#[test]
fn a_path_shorter_by_seven_hops_replaces_the_eager_one_whichever_comes_first() {
    for (hops, is_shortcut) in [(8, true), (7, false)] {
        for is_announced_first in [true, false] {
            let mut member = member(24);
            let announced = ihave(90, 1, &[(1, 1)]);
            if is_announced_first {
                member.hear(at(300), MemberId(20), announced.clone());
            }
            // One hop more to here: nine or eight against two.
            member.hear(at(301), MemberId(10), push(90, 1, 1, hops));
            if !is_announced_first {
                member.hear(at(302), MemberId(20), announced);
            }
            let sent = sent(&mut member);
            let is_pruned = sent
                .iter()
                .any(|(to, message)| to.0 == 10 && matches!(message, Message::Prune(_)));
            let is_grafted = sent.iter().any(|(to, message)| {
                to.0 == 20 && matches!(message, Message::Graft(graft) if graft.sequences.is_empty())
            });
            assert_eq!(
                (is_pruned, is_grafted),
                (is_shortcut, is_shortcut),
                "{hops}"
            );
            assert_eq!(stat(&member, "broadcast_shortcuts"), u64::from(is_shortcut));
        }
    }
}

#[test]
fn a_broken_eager_link_gives_its_place_to_the_next_neighbour() {
    let mut member = member(24);
    member.broadcast(at(300), 3, Bytes::new()).unwrap();
    let before = pushes(&mut member);
    member.link_down(at(301), MemberId(before[0]));
    member.broadcast(at(302), 3, Bytes::new()).unwrap();
    let after = pushes(&mut member);
    assert_eq!(after.len(), before.len());
    assert!(!after.contains(&before[0]));
}

#[test]
fn a_new_link_is_eager_by_its_rank_in_a_tree_that_works() {
    let mut member = member(24);
    member.broadcast(at(300), 3, Bytes::new()).unwrap();
    let eager = pushes(&mut member)[0];
    member.link_down(at(301), MemberId(eager));
    member.link_up(at(302), MemberId(eager));
    member.broadcast(at(303), 3, Bytes::new()).unwrap();
    assert!(pushes(&mut member).contains(&eager));
}

#[test]
fn a_cluster_that_outgrows_eight_gets_a_tree_and_one_that_shrinks_loses_it() {
    let mut member = member(7);
    member.broadcast(at(300), 3, Bytes::new()).unwrap();
    assert_eq!(pushes(&mut member).len(), 7);
    let all: Vec<MemberId> = (1..=24).map(|n| MemberId(n * 10)).collect();
    member.set_members(at(301), &all);
    for other in &all[7..] {
        member.link_up(at(301), *other);
    }
    member.broadcast(at(302), 3, Bytes::new()).unwrap();
    assert_eq!(pushes(&mut member).len(), eager_count(25));
    member.set_members(at(303), &all[..7]);
    for other in &all[7..] {
        member.link_down(at(303), *other);
    }
    member.broadcast(at(304), 3, Bytes::new()).unwrap();
    assert_eq!(pushes(&mut member).len(), 7);
}

#[test]
fn a_full_lane_is_told_instead_of_pushed_to() {
    let mut member = member(3);
    member.peer_pressure(MemberId(10), true);
    member.broadcast(at(300), 3, Bytes::new()).unwrap();
    assert_eq!(pushes(&mut member), [20, 30]);
    member.wake(at(320));
    assert_eq!(sent(&mut member)[0].0, MemberId(10));
    member.peer_pressure(MemberId(10), false);
    member.broadcast(at(330), 3, Bytes::new()).unwrap();
    assert_eq!(pushes(&mut member), [10, 20, 30]);
}

#[test]
fn one_who_counts_us_among_its_neighbours_is_told_though_it_is_none_of_ours() {
    let mut member = member(99);
    member.broadcast(at(300), 3, Bytes::new()).unwrap();
    member.wake(at(320));
    let edges: Vec<MemberId> = sent(&mut member).into_iter().map(|(to, _)| to).collect();
    let guest = (1..=99)
        .map(|n| MemberId(n * 10))
        .find(|member| !edges.contains(member));
    let guest = guest.unwrap();
    let hello = |is_neighbour| {
        Message::IHave(IHave {
            is_neighbour,
            groups: Vec::new(),
        })
    };
    for is_neighbour in [true, false] {
        member.hear(at(330), guest, hello(is_neighbour));
        member.broadcast(at(331), 3, Bytes::new()).unwrap();
        member.wake(at(351));
        let is_told = sent(&mut member).iter().any(|(to, _)| *to == guest);
        assert_eq!(is_told, is_neighbour);
    }
}

#[test]
fn a_raised_incarnation_counts_from_one() {
    let mut member = member(3);
    member.broadcast(at(300), 3, Bytes::new()).unwrap();
    member.raise(1);
    member.raise(9);
    member.raise(4);
    out(&mut member);
    member.broadcast(at(301), 3, Bytes::new()).unwrap();
    let sent = sent(&mut member);
    assert!(
        matches!(&sent[0].1, Message::Push(push) if (push.incarnation, push.sequence) == (9, 1))
    );
}

#[test]
fn a_broadcast_in_our_name_is_a_duplicate_or_a_lie() {
    let mut member = member(3);
    // Of an earlier life, before this one spoke.
    member.hear(at(300), MemberId(10), push(ME.0, 0, 5, 1));
    member.broadcast(at(300), 3, Bytes::new()).unwrap();
    for (incarnation, sequence) in [(1, 1), (1, 2), (7, 1), (0, 6)] {
        member.hear(at(300), MemberId(10), push(ME.0, incarnation, sequence, 1));
    }
    assert_eq!(delivered(&mut member), []);
    assert_eq!(stat(&member, "broadcast_duplicates"), 3);
    assert_eq!(stat(&member, "broadcast_forged"), 2);
    member.broadcast(at(301), 3, Bytes::new()).unwrap();
    assert_eq!(pushes(&mut member), [10, 20, 30]);
}

#[test]
fn strangers_announcements_and_waits_are_bounded() {
    let mut member = member(24);
    for stranger in 0..500_u64 {
        member.hear(
            at(300 + stranger),
            MemberId(10),
            push(u128::from(stranger) + 10_000, 1, 1, 0),
        );
    }
    assert!(stat(&member, "broadcast_origins") <= 64);
    assert_eq!(delivered(&mut member).len(), 500);
    for stranger in 0..500_u64 {
        member.hear(
            at(900),
            MemberId(20),
            push(u128::from(stranger) + 10_000, 1, 1, 0),
        );
    }
    assert_eq!(delivered(&mut member), []);
    let many: Vec<(u64, u16)> = (1..=3_000).map(|sequence| (sequence, 0)).collect();
    for origin in 1..=24 {
        member.hear(at(1_000), MemberId(10), ihave(origin * 10, 1, &many));
    }
    assert!(stat(&member, "broadcast_missing") <= 16 << 10);
    assert!(stat(&member, "broadcast_ihave_dropped") > 0);
    let before = stat(&member, "broadcast_ihave_dropped");
    for sequence in 0..2 * IDS_MAX as u64 {
        member.hear(at(1_000), MemberId(20), push(240, 2, sequence + 1, 0));
    }
    // One of the four may be who pushes.
    let lazy = 3;
    assert!(stat(&member, "broadcast_ihave_dropped") >= before + lazy * IDS_MAX as u64);
}

/// Any message, of few origins so that they meet.
fn any(chance: &mut crate::base::Chance) -> Message {
    let origin = match chance.below(5) {
        0 => ME,
        1 => MemberId(u128::from(chance.bits()) << chance.below(64)),
        _ => MemberId(u128::from(chance.below(12) * 10)),
    };
    let edge = |chance: &mut crate::base::Chance| match chance.below(6) {
        0 => crate::wire::SEQUENCE_MAX - chance.below(3),
        1 => 1 + (chance.bits() >> 2),
        _ => 1 + chance.below(40),
    };
    let incarnation = match chance.below(8) {
        0 => u64::MAX - chance.below(2),
        1 => 0,
        _ => 1 + chance.below(2),
    };
    let sequences = |chance: &mut crate::base::Chance| -> Vec<u64> {
        (0..chance.below(9)).map(|_| edge(chance)).collect()
    };
    match chance.below(6) {
        0 | 1 => Message::Push(Push {
            origin,
            incarnation,
            sequence: edge(chance),
            hops: chance.bits() as u16,
            handler: chance.bits() as u16,
            body: Bytes::from(alloc::vec![1; chance.below(90) as usize]),
        }),
        2 => Message::IHave(IHave {
            is_neighbour: chance.percent(50),
            groups: (0..chance.below(4))
                .map(|n| Group {
                    origin: MemberId(origin.0 ^ u128::from(n)),
                    incarnation,
                    ids: sequences(chance)
                        .into_iter()
                        .map(|s| (s, s as u16))
                        .collect(),
                })
                .collect(),
        }),
        3 => Message::Graft(Graft {
            origin,
            incarnation,
            sequences: sequences(chance),
        }),
        4 => Message::Gone(Gone {
            origin,
            incarnation,
            sequences: sequences(chance),
        }),
        _ => Message::Prune(Prune { origin }),
    }
}

/// Bytes as a message of the kind of `like`: the frame around them would say which.
pub(super) fn read(like: &Message, bytes: Bytes) -> Result<Message> {
    let mut reader = Reader::new(bytes);
    let message = match like {
        Message::Push(_) => Message::Push(Push::read(&mut reader)?),
        Message::IHave(_) => Message::IHave(IHave::read(&mut reader)?),
        Message::Graft(_) => Message::Graft(Graft::read(&mut reader)?),
        Message::Prune(_) => Message::Prune(Prune::read(&mut reader)?),
        Message::Gone(_) => Message::Gone(Gone::read(&mut reader)?),
    };
    reader.finish()?;
    Ok(message)
}

#[test]
fn what_is_written_is_read_and_damaged_bytes_are_refused_or_mean_something() {
    let mut chance = crate::base::Chance::new(5);
    let mut refused = 0;
    for _ in 0..8_000 {
        let message = any(&mut chance);
        let mut bytes = BytesMut::new();
        message.write(&mut bytes);
        assert_eq!(read(&message, bytes.clone().freeze()).unwrap(), message);
        for _ in 0..=chance.below(3) {
            let place = chance.below(bytes.len() as u64) as usize;
            match chance.below(3) {
                0 => bytes[place] ^= 1 << chance.below(8),
                1 => bytes[place] = 0xff,
                _ => bytes.truncate(place.max(1)),
            }
        }
        match read(&message, bytes.freeze()) {
            Ok(message) => {
                let mut again = BytesMut::new();
                message.write(&mut again);
                assert_eq!(read(&message, again.freeze()).unwrap(), message);
            }
            Err(error) => {
                assert_eq!(error.number(), 503);
                refused += 1;
            }
        }
    }
    assert!(refused > 1_000);
}

#[test]
fn more_ids_than_a_frame_may_hold_are_refused() {
    let graft = Graft {
        origin: ME,
        incarnation: 1,
        sequences: (1..=IDS_MAX as u64 + 1).collect(),
    };
    let groups = |count: u64| {
        let groups = (0..count).map(|n| Group {
            origin: MemberId(u128::from(n)),
            incarnation: 1,
            ids: [(1, 1)].into(),
        });
        Message::IHave(IHave {
            is_neighbour: false,
            groups: groups.collect(),
        })
    };
    for (message, is_fine) in [
        (Message::Graft(graft), false),
        (groups(IDS_MAX as u64), true),
        (groups(IDS_MAX as u64 + 1), false),
    ] {
        let mut bytes = BytesMut::new();
        message.write(&mut bytes);
        assert_eq!(read(&message, bytes.freeze()).is_ok(), is_fine);
    }
}

#[test]
fn nobody_can_make_a_member_panic_deliver_twice_or_grow() {
    for seed in 0..24 {
        let mut chance = crate::base::Chance::new(seed);
        let mut member = member(if seed % 2 == 0 { 5 } else { 12 });
        let mut seen = alloc::collections::BTreeSet::new();
        let mut now = 1_000;
        for _ in 0..2_000 {
            now += chance.below(12);
            let peer = MemberId(u128::from(chance.below(14) * 10));
            match chance.below(40) {
                0 => member.link_down(at(now), peer),
                1 => member.link_up(at(now), peer),
                2 => member.forget(at(now), peer),
                3 => member.set_members(at(now), &[peer, MemberId(70), MemberId(20)]),
                4 => member.rtt(peer, chance.bits()),
                5 => member.peer_pressure(peer, chance.percent(50)),
                6 => drop(member.broadcast(at(now), 3, Bytes::from_static(b"x"))),
                7 => now += chance.below(40_000),
                8 => member.raise(chance.below(3)),
                _ => {
                    let message = any(&mut chance);
                    member.hear(at(now), peer, message);
                }
            }
            if member.next_wake() <= at(now) {
                member.wake(at(now));
            }
            for out in out(&mut member) {
                match out {
                    Out::Send(to, _) => assert!(to != ME),
                    Out::Deliver(delivery) => {
                        let Delivery {
                            origin,
                            incarnation,
                            sequence,
                            ..
                        } = delivery;
                        assert!(seen.insert((origin, incarnation, sequence)), "seed {seed}");
                    }
                }
            }
            assert!(stat(&member, "broadcast_origins") <= 64 + 16);
        }
    }
}
