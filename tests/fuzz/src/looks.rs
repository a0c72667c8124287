//! Looks at queues and messages, redrives, and what members say to them: well formed, and meaning anything.

use std::sync::Arc;

use primer_proto::base::{Chance, MemberId, MessageId, Stamp, limits};
use primer_proto::copies::Terms;
use primer_proto::queue::Message as Queue;
use primer_proto::queue::{
    Account, After, Browse, Browsed, EnqueueFor, EnqueuePart, Examine, Examined, Explain,
    Explained, Facts, Header, IfNoGroup, Known, Letter, OnShort, Redrive, Redriven, Shown, Spot,
    State, Taken,
};
use primer_proto::wire::SEQUENCE_MAX;

use crate::make::{Pool, boot, bytes, holders, number, number32, own, pick, queue_name};

fn spot(pool: &Pool, chance: &mut Chance) -> Spot {
    Spot {
        stamp: Stamp(number(chance)),
        id: MessageId {
            origin: boot(pool, chance),
            sequence: number(chance),
        },
    }
}

/// A browse as it may be read: its numbers are in their ranges.
fn browse(pool: &Pool, chance: &mut Chance) -> Browse {
    let after = spot(pool, chance);
    Browse {
        number: number(chance),
        queue: queue_name(pool, chance),
        group: (*pick(&["", "", "g"], chance)).into(),
        max: 1 + chance.below(u64::from(limits::BROWSE_MAX)) as u32,
        after: chance.percent(50).then(|| After::from(after)),
        states: number32(chance),
        headers: vec![Header::default(); chance.below(2) as usize],
        body_bytes_max: number32(chance).min(limits::BODY_BYTES_MAX as u32),
        wait_ms: number(chance).min(limits::BROWSE_MS_MAX),
        shows_keys: chance.percent(50),
    }
}

/// What a member shows, often to a browse that there is; mostly in no order.
fn browsed(pool: &Pool, chance: &mut Chance) -> Browsed {
    let mut messages: Vec<Shown> = (0..chance.below(4)).map(|_| shown(pool, chance)).collect();
    if chance.percent(50) {
        messages.sort_by_key(|shown| shown.spot);
    }
    Browsed {
        number: if chance.percent(80) {
            chance.below(40)
        } else {
            number(chance)
        },
        is_busy: chance.percent(10),
        through: chance.percent(30).then(|| spot(pool, chance)),
        messages,
    }
}

fn shown(pool: &Pool, chance: &mut Chance) -> Shown {
    let body = bytes(40, chance);
    let header = (String::from("n"), String::from("v"));
    Shown {
        spot: spot(pool, chance),
        owner: MemberId::default(),
        own: own(pool, chance),
        state: *pick(&State::ALL, chance),
        body_bytes: (body.len() as u64).max(number(chance)),
        body,
        headers: chance.percent(30).then(|| Arc::new(vec![header])),
        attempts: number32(chance),
        priority: chance.below(10) as u8,
        key: (*pick(&["", "", "k"], chance)).into(),
        copies: number32(chance),
        ready_at_ms: number(chance),
        expires_ms: number(chance),
        lease_ms: number(chance),
    }
}

fn account(pool: &Pool, chance: &mut Chance) -> Account {
    let known = [
        Known::Unknown,
        Known::Ready,
        Known::Leased,
        Known::Forgotten,
    ];
    let member = pick(&pool.holders, chance).member;
    Account {
        known: *pick(&known, chance),
        id: spot(pool, chance).id,
        queue: queue_name(pool, chance),
        group: (*pick(&["", "g"], chance)).into(),
        attempts: number32(chance),
        own: own(pool, chance),
        holders: holders(pool, chance),
        confirmed: number32(chance),
        lessee: chance.percent(50).then_some(member),
        lease_ms: number(chance),
        stamp: Stamp(number(chance)),
        ready_at_ms: number(chance),
        expires_ms: number(chance),
        ..Account::default()
    }
}

/// A redrive as it may be read: its numbers are in their ranges.
fn redrive(pool: &Pool, chance: &mut Chance) -> Redrive {
    let mut ids = Vec::new();
    for _ in 0..chance.below(3) {
        ids.push(Letter {
            origin: boot(pool, chance).0,
            sequence: number(chance),
        });
    }
    Redrive {
        number: number(chance),
        queue: queue_name(pool, chance),
        ids,
        to: (*pick(&["", "", "jobs", "no\nqueue"], chance)).into(),
        headers: vec![Header::default(); chance.below(2) as usize],
        max: 1 + number(chance) % limits::REDRIVE_MAX,
        is_dry_run: chance.percent(30),
        wait_ms: number(chance).min(limits::REDRIVE_MS_MAX),
    }
}

/// What a member says of a redrive, often of one that there is.
fn redriven(chance: &mut Chance) -> Redriven {
    Redriven {
        number: chance.below(60),
        is_busy: chance.percent(10),
        matched: number(chance),
        moved: number(chance),
        refused: number(chance),
        skipped: number(chance),
        leased: number(chance),
    }
}

/// What a member knows of a queue, often of one that was asked for.
fn examined(pool: &Pool, chance: &mut Chance) -> Examined {
    let mut facts = Vec::new();
    for _ in 0..chance.below(4) {
        let mut one = Facts {
            group: (*pick(&["", "g"], chance)).into(),
            ready: number(chance),
            leased: number(chance),
            stranded: number(chance),
            credit: number(chance),
            oldest_ms: number(chance),
            paused: number32(chance),
            ..Facts::default()
        };
        for _ in 0..chance.below(3) {
            let member = pick(&pool.holders, chance).member;
            one.lessees.push(member.0.to_le_bytes().to_vec());
            one.owners.push(bytes(20, chance).to_vec());
        }
        facts.push(one);
    }
    Examined {
        number: chance.below(60),
        is_busy: chance.percent(10),
        facts,
    }
}

/// What another member is to accept.
fn enqueue_for(pool: &Pool, chance: &mut Chance) -> EnqueueFor {
    let terms = Terms {
        priority: chance.percent(50).then(|| chance.below(10) as u32),
        not_before: number(chance),
        expires: number(chance),
        is_at_most_once: chance.percent(20),
        ..crate::make::dedup(chance)
    };
    let header = (String::from("n"), String::from("v"));
    let mut messages = Vec::new();
    for _ in 0..1 + chance.below(3) {
        let headers = chance.percent(20).then(|| Arc::new(vec![header.clone()]));
        messages.push((bytes(30, chance), headers));
    }
    EnqueueFor {
        number: chance.below(200),
        queue: queue_name(pool, chance),
        wait_ms: number(chance).min(limits::WAIT_MS_MAX),
        copies: chance.percent(50).then(|| 1 + chance.below(20) as u16),
        on_short: *pick(&[None, Some(OnShort::Fail), Some(OnShort::Wait)], chance),
        if_no_group: *pick(
            &[IfNoGroup::Hold, IfNoGroup::Drop, IfNoGroup::Refuse],
            chance,
        ),
        // Terms that say nothing are none.
        terms: (chance.percent(40) && terms != Terms::default()).then(|| Arc::new(terms)),
        messages,
    }
}

/// What became of one, often of one that there is.
fn taken(pool: &Pool, chance: &mut Chance) -> Taken {
    Taken {
        number: chance.below(40),
        code: *pick(&[0, 0, 0, 201, 302, 7], chance),
        reason: (*pick(&["", "no"], chance)).into(),
        context: vec![Header::default(); chance.below(2) as usize],
        is_leaving: chance.percent(20),
        origin: boot(pool, chance).0,
        first: number(chance).min(SEQUENCE_MAX),
        wanted: number32(chance),
        copies: (0..chance.below(3)).map(|_| number32(chance)).collect(),
        is_duplicate: chance.percent(20),
    }
}

/// A look at a queue or a message, or what a member says to one; or letters that go back.
pub(crate) fn look(pool: &Pool, chance: &mut Chance) -> Queue {
    match chance.below(11) {
        10 => {
            let parts = 1 + chance.below(3) as u32;
            Queue::EnqueuePart(EnqueuePart {
                part: chance.below(parts.into()) as u32,
                parts,
                asked: enqueue_for(pool, chance),
            })
        }
        8 => Queue::EnqueueFor(enqueue_for(pool, chance)),
        9 => Queue::Taken(taken(pool, chance)),
        6 => Queue::Examine(Examine {
            number: number(chance),
            queue: queue_name(pool, chance),
        }),
        7 => Queue::Examined(examined(pool, chance)),
        4 => Queue::Redrive(redrive(pool, chance)),
        5 => Queue::Redriven(redriven(chance)),
        0 => Queue::Browse(browse(pool, chance)),
        1 => Queue::Browsed(browsed(pool, chance)),
        2 => Queue::Explain(Explain {
            number: number(chance),
            origin: boot(pool, chance).0,
            sequence: number(chance),
        }),
        _ => Queue::Explained(Explained {
            number: chance.below(60),
            accounts: (0..chance.below(4))
                .map(|_| account(pool, chance))
                .collect(),
        }),
    }
}
