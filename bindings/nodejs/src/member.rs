//! Verbs of a member: start, join, leave, close, looking around, and who may be one.

use std::collections::BTreeMap;

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use primer::{MemberId, Options, Primer};

use crate::room::{Owned, Room, guarded, number_of, span, verb};

/// A member as another one sees it.
#[napi(object)]
pub struct MemberView {
    /// Its identity.
    pub id: String,
    /// Its name; empty when it has none.
    pub name: String,
    /// Where it listens; empty when it does not.
    pub address: String,
    /// True for the member that was asked.
    pub is_self: bool,
    /// The asked member's own opinion.
    pub is_reachable: bool,
    /// How near it is to its memory budget, as it told the asked member.
    pub memory_level: u8,
    /// What fails together with it; empty when it was told none.
    pub zone: String,
}

/// Starts a member from names and values in turn, and answers its handle.
#[napi(catch_unwind)]
pub fn start(host: u32, pairs: Vec<String>) -> f64 {
    verb(|room| {
        room.completions(host)?;
        let pairs = pairs.chunks_exact(2).filter_map(|pair| match pair {
            [name, value] => Some((name, value)),
            _ => None,
        });
        let value = Primer::start(Options::from_pairs(pairs)?)?;
        Ok(f64::from(room.members.put(Owned { host, value })))
    })
}

/// Waits for a first seed. 0 or a ticket.
#[napi(catch_unwind)]
pub fn joined(member: u32) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        room.answer(*host, value.joined())
    })
}

/// Joins the cluster of the member at `address`. 0 or a ticket.
#[napi(catch_unwind)]
pub fn join(member: u32, address: String) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        room.answer(*host, value.join(&address))
    })
}

/// Leaves the cluster; `drain` in ms, negative for the default. 0 or a ticket.
#[napi(catch_unwind)]
pub fn leave(member: u32, drain: f64, force: bool) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        room.answer(*host, value.leave(span(drain), force))
    })
}

/// Closes the member; its handle stays and answers 501. 0 or a ticket.
#[napi(catch_unwind)]
pub fn close(member: u32) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        room.answer(*host, value.close())
    })
}

/// Lets go of a closed member's handle.
#[napi(catch_unwind)]
pub fn drop_member(member: u32) -> f64 {
    verb(|room| {
        drop(room.members.take(member));
        Ok(0.0)
    })
}

/// True when the member is closed, or there is none.
#[napi(catch_unwind)]
pub fn is_closed(member: u32) -> bool {
    guarded(|room| Ok(room.member(member)?.value.is_closed())).unwrap_or(true)
}

/// Where the member listens.
#[napi(catch_unwind)]
pub fn address(member: u32) -> Option<String> {
    guarded(|room| Ok(room.member(member)?.value.address()))
        .ok()
        .flatten()
}

/// The member set, or minus the place of a failure.
#[napi(catch_unwind)]
pub fn members(member: u32) -> Either<f64, Vec<MemberView>> {
    either(|room| {
        let seen = room.member(member)?.value.members()?;
        Ok(seen.into_iter().map(view).collect())
    })
}

fn view(member: primer::Member) -> MemberView {
    MemberView {
        id: member.id.to_string(),
        name: member.name,
        address: member.address,
        is_self: member.is_self,
        is_reachable: member.is_reachable,
        memory_level: member.memory_level,
        zone: member.zone,
    }
}

/// The counters, or minus the place of a failure.
#[napi(catch_unwind)]
pub fn stats(member: u32) -> Either<f64, BTreeMap<String, f64>> {
    either(|room| {
        let stats = room.member(member)?.value.stats()?;
        Ok(stats
            .iter()
            .map(|(name, value)| (name.to_owned(), number_of(value)))
            .collect())
    })
}

/// A handle of the queue of that name.
#[napi(catch_unwind)]
pub fn queue(member: u32, name: String) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        let queue = Owned {
            host: *host,
            value: value.queue(&name)?,
        };
        Ok(f64::from(room.queues.put(queue)))
    })
}

/// Lets go of a queue's handle.
#[napi(catch_unwind)]
pub fn drop_queue(queue: u32) -> f64 {
    verb(|room| {
        drop(room.queues.take(queue));
        Ok(0.0)
    })
}

/// Takes the member of that id out of the set for good. 0.
#[napi(catch_unwind)]
pub fn evict(member: u32, id: String) -> f64 {
    verb(|room| {
        let primer = &room.member(member)?.value;
        primer.evict(id.parse::<MemberId>()?).map(|()| 0.0)
    })
}

/// Gives the messages that an evicted member set aside out again, or drops them. How many.
#[napi(catch_unwind)]
pub fn reclaim(member: u32, keep: bool) -> f64 {
    verb(|room| room.member(member)?.value.reclaim(keep).map(number_of))
}

/// Takes these secrets of the cluster from now on. 0.
#[napi(catch_unwind)]
pub fn rotate(member: u32, secrets: Vec<String>) -> f64 {
    verb(|room| room.member(member)?.value.rotate(secrets).map(|()| 0.0))
}

/// Runs a verb whose answer is more than a number.
pub(crate) fn either<T>(body: impl FnOnce(&mut Room) -> primer::Result<T>) -> Either<f64, T> {
    match guarded(body) {
        Ok(answer) => Either::B(answer),
        Err(error) => Either::A(verb(|_| Err(error))),
    }
}

/// Panics. Only for the proof that this does not end the process.
#[cfg(feature = "canary")]
#[napi(catch_unwind)]
// Not `expect`: the macro copies it to a function that does not panic.
#[allow(clippy::panic, reason = "this is what the canary is for")]
pub fn canary(is_inside: bool) -> f64 {
    if is_inside {
        return verb(|_| panic!("the canary sang inside"));
    }
    panic!("the canary sang outside")
}
