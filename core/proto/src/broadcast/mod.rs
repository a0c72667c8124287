//! Plumtree: a broadcast reaches every member once, along a tree that mends itself (protocol.md 2).
//!
//! Payloads are pushed along the eager edges of the origin's tree; ids are announced along lazy ones
//! (IHAVE). A duplicate prunes its edge; an announced id that does not come in time is asked for, and
//! its edge grafted; a much shorter lazy path replaces a long eager one. Source: Leitao, Pereira,
//! Rodrigues, "Epidemic Broadcast Trees", SRDS 2007. Up to eight members there is no tree: the origin
//! pushes to all its links and receivers only announce.
//!
//! The promise: best effort at once, never twice for one (origin, incarnation, sequence). What must
//! arrive in the end has an exchange beside it. The room does not know what it carries: a handler's
//! number travels with the body, and one that nobody here knows is passed on all the same.
//!
//! Nothing grows without a bound: windows and caches an origin, origins, announcements a peer, ids
//! waited for, and what this member may broadcast in a while ([`limit`]).
//!
//! The room's methods stand in one file a concern: `ring` (members and links come and go), `hear`
//! (messages), `lazy` (announcements, grafts, ageing).

mod hear;
mod lazy;
mod message;
mod origin;
mod ring;
mod tree;
mod window;

#[cfg(test)]
mod net_tests;
#[cfg(test)]
mod tests;

pub use message::{Gone, Graft, Group, IHave, Message, Prune, Push};

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

use crate::base::{Alarms, Error, ErrorKind, Instant, MemberId, Millis, Result};
use lazy::News;
use origin::{Origin, Payload};
use window::Window;

/// What a broadcast is for. Rooms have their own; a host's begin at [`handler::HOST_MIN`].
pub mod handler {
    /// Deltas of the metadata.
    pub const METADATA: u16 = 0;
    /// Membership's soft rows: addresses and abilities.
    pub const CARDS: u16 = 1;
    /// Acks and takeovers for members that some other member cannot reach.
    pub const ACK_RELAY: u16 = 2;
    /// Ephemeral publish and subscribe.
    pub const TOPIC: u16 = 3;
    /// The first number that a host may take.
    pub const HOST_MIN: u16 = 64;
}

/// How much one member may broadcast: more is refused with 203 and `retry_after_ms`.
///
/// An announced payload is asked for 20 ms (the batch) and at least 80 ms (the graft timer) after it
/// was sent, and every member keeps the last 1,024 payloads and 1 MiB of an origin. At half of that
/// in 100 ms a payload stays for at least 100 ms and mostly 200 ms, so a graft finds it; a faster
/// origin would only be answered GONE, and fill its links.
pub mod limit {
    use crate::base::Millis;

    /// The span that is counted.
    pub const SPAN_MS: Millis = 100;
    /// Broadcasts in a span.
    pub const COUNT_MAX: u32 = 512;
    /// Bytes of bodies in a span.
    pub const BYTES_MAX: usize = 512 << 10;
}

/// Largest payload that a host gives (protocol.md 2).
pub const HOST_BYTES_MAX: usize = 64 << 10;
/// Largest body: a host's payload and what a room puts around it (a key or topic, dots, contexts).
pub const BODY_BYTES_MAX: usize = HOST_BYTES_MAX + (4 << 10);
/// Ids in one frame, and announcements that wait for one peer (protocol.md 2).
pub const IDS_MAX: usize = 4_096;
/// Announcements are gathered for so long (protocol.md 2).
pub const IHAVE_MS: Millis = 20;
/// An announced payload is waited for at least so long before it is asked for (protocol.md 2).
pub const GRAFT_MS_MIN: Millis = 80;

/// What the room wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Out {
    /// Send to a member, if it is linked.
    Send(MemberId, Message),
    /// Hand to its handler here. Never this member's own broadcasts.
    Deliver(Delivery),
}

/// A broadcast that arrived: once for each (origin, incarnation, sequence).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who broadcast it.
    pub origin: MemberId,
    /// In which incarnation.
    pub incarnation: u64,
    /// Its place in that incarnation, from 1.
    pub sequence: u64,
    /// Hops it took, 1 straight from its origin.
    pub hops: u16,
    /// What it is for.
    pub handler: u16,
    /// The payload.
    pub body: Bytes,
}

/// A linked member.
#[derive(Debug, Default)]
struct Peer {
    rtt_ms: Millis,
    /// Its lane is full: it is only told, and asks when it has room.
    is_full: bool,
    /// True until the ring was looked at since it was linked.
    is_fresh: bool,
    /// True when it counts this member among its neighbours.
    picks_me: bool,
    /// What it was last told of being among ours.
    is_told: bool,
    /// Ids to announce to it.
    news: Vec<News>,
}

/// What this member broadcast in the present span.
#[derive(Debug, Default)]
struct Rate {
    since: Instant,
    count: u32,
    bytes: usize,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What happened so far at this member.
        #[derive(Debug, Default, Clone)]
        struct Counters { $($(#[$doc])* $name: u64,)* }
        impl Counters {
            fn write(&self, stats: &mut BTreeMap<&'static str, u64>) {
                $(stats.insert(stringify!($name), self.$name);)*
            }
        }
    };
}

counters! {
    /// Broadcasts of this member.
    broadcasts_sent,
    /// Broadcasts of others that arrived here, each once.
    broadcasts_delivered,
    /// Broadcasts of this member that were over its limit.
    broadcasts_refused,
    /// Payloads sent to peers: this member's own, passed on, or asked for.
    broadcast_pushes,
    /// Bytes of those payloads.
    broadcast_payload_bytes,
    /// Payloads that had been seen.
    broadcast_duplicates,
    /// Ids announced to peers.
    broadcast_ihaves,
    /// Announcements dropped because a peer's queue, or what is waited for, was full.
    broadcast_ihave_dropped,
    /// Payloads asked for because they did not come in time.
    broadcast_grafts,
    /// Edges this member pruned because of a duplicate.
    broadcast_prunes,
    /// Long paths replaced by shorter ones.
    broadcast_shortcuts,
    /// Payloads asked for in vain.
    broadcast_gone,
    /// Messages that claim what cannot be: an oversized body, or this member's own future.
    broadcast_forged,
}

/// The room.
#[derive(Debug)]
pub struct Plumtree {
    me: MemberId,
    incarnation: u64,
    sequence: u64,
    rate: Rate,
    /// The member set as last told, and this member; ascending.
    members: Vec<MemberId>,
    peers: BTreeMap<MemberId, Peer>,
    /// Linked neighbours, in the order in which they are taken: the first `eager` begin as eager.
    neighbours: Vec<MemberId>,
    /// How many of `neighbours` are eager in a new tree.
    eager: usize,
    /// No tree: the origin pushes to all.
    is_small: bool,
    /// When `neighbours` must be chosen again; [`Instant::NEVER`] while they are right.
    ring_at: Instant,
    origins: BTreeMap<MemberId, Origin>,
    /// Where windows that were dropped had come to, the latest last.
    floors: VecDeque<(MemberId, u64, u64)>,
    /// When an announced id that has not come is asked for.
    grafts: Alarms<(MemberId, u64)>,
    /// When announcements go out.
    news_at: Instant,
    /// When old payloads are dropped.
    sweep_at: Instant,
    out: Vec<Out>,
    counters: Counters,
}

impl Plumtree {
    /// A member that knows nobody yet.
    #[must_use]
    pub fn new(me: MemberId, incarnation: u64) -> Self {
        Self {
            me,
            incarnation,
            sequence: 0,
            rate: Rate::default(),
            members: Vec::from([me]),
            peers: BTreeMap::new(),
            neighbours: Vec::new(),
            eager: 0,
            is_small: true,
            ring_at: Instant::NEVER,
            origins: BTreeMap::new(),
            floors: VecDeque::new(),
            grafts: Alarms::default(),
            news_at: Instant::NEVER,
            sweep_at: Instant::NEVER,
            out: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Takes a higher incarnation for this member's next broadcasts; a lower one changes nothing.
    /// Those under way under the old one may be lost.
    pub fn raise(&mut self, incarnation: u64) {
        if incarnation <= self.incarnation {
            return;
        }
        self.incarnation = incarnation;
        self.sequence = 0;
        if let Some(origin) = self.origins.get_mut(&self.me) {
            origin.restart(incarnation);
        }
    }

    /// Goes on as `me`, once every link is gone. What was heard so far is not taken again, nor is what
    /// this member has said under its former name.
    pub fn rename(&mut self, me: MemberId, incarnation: u64) {
        let former = core::mem::replace(&mut self.me, me);
        self.origins.remove(&former);
        self.note_floor((former, self.incarnation, self.sequence));
        (self.incarnation, self.sequence) = (incarnation, 0);
        if let Err(place) = self.members.binary_search(&me) {
            self.members.insert(place, me);
        }
    }

    /// Spreads `body` to every other member. It is not delivered here.
    ///
    /// Errors: 104 over [`BODY_BYTES_MAX`]; 203 with `retry_after_ms` over the [`limit`].
    pub fn broadcast(&mut self, now: Instant, handler: u16, body: Bytes) -> Result<()> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge)
                .because("a broadcast over the limit")
                .with("bytes", body.len())
                .with("bytes_max", BODY_BYTES_MAX));
        }
        self.admit(now, body.len())?;
        self.settle(now);
        self.sequence += 1;
        let (me, sequence) = (self.me, self.sequence);
        self.counters.broadcasts_sent += 1;
        if !self.origins.contains_key(&me) {
            self.plant(now, me, self.incarnation, Window::new());
        }
        let payload = Payload {
            hops: 0,
            parent: None,
            handler,
            body,
            at: now,
        };
        if let Some(origin) = self.origins.get_mut(&me) {
            origin.heard = now;
            origin.window.mark(sequence);
        }
        self.keep(now, me, sequence, payload);
        self.spread(now, me, sequence, &[]);
        Ok(())
    }

    fn admit(&mut self, now: Instant, bytes: usize) -> Result<()> {
        if now.since(self.rate.since) >= limit::SPAN_MS {
            self.rate = Rate {
                since: now,
                ..Rate::default()
            };
        }
        let total = self.rate.bytes + bytes;
        if self.rate.count >= limit::COUNT_MAX || total > limit::BYTES_MAX {
            self.counters.broadcasts_refused += 1;
            let open = self.rate.since + limit::SPAN_MS;
            return Err(Error::new(ErrorKind::Overloaded)
                .because("this member broadcasts too much")
                .with("retry_after_ms", open.since(now)));
        }
        self.rate.count += 1;
        self.rate.bytes = total;
        Ok(())
    }

    /// Pushes a kept payload along the eager edges and announces it along the others, but for those
    /// that have it: its origin, and `except`.
    fn spread(&mut self, now: Instant, id: MemberId, sequence: u64, except: &[MemberId]) {
        let Some(origin) = self.origins.get(&id) else {
            return;
        };
        let Some(payload) = origin.cache.get(sequence) else {
            return;
        };
        let push = Push {
            origin: id,
            incarnation: origin.incarnation,
            sequence,
            hops: payload.hops,
            handler: payload.handler,
            body: payload.body.clone(),
        };
        let news = News {
            origin: id,
            incarnation: origin.incarnation,
            sequence,
            hops: payload.hops,
        };
        for (member, is_eager) in origin.sides.iter() {
            if member == id || except.contains(&member) {
                continue;
            }
            let Some(peer) = self.peers.get_mut(&member) else {
                continue;
            };
            if is_eager && !peer.is_full {
                self.counters.broadcast_pushes += 1;
                self.counters.broadcast_payload_bytes += push.body.len() as u64;
                let message = Message::Push(push.clone());
                self.out.push(Out::Send(member, message));
            } else if peer.news.len() < IDS_MAX {
                peer.news.push(news);
                self.news_at = self.news_at.min(now + IHAVE_MS);
            } else {
                self.counters.broadcast_ihave_dropped += 1;
            }
        }
    }

    /// When [`Plumtree::wake`] will have something to do.
    #[must_use]
    pub fn next_wake(&self) -> Instant {
        let lazy = self.news_at.min(self.grafts.next());
        lazy.min(self.ring_at).min(self.sweep_at)
    }

    /// Does what is due, a bounded part of it: the rest is due at once.
    pub fn wake(&mut self, now: Instant) {
        if self.ring_at <= now {
            self.settle(now);
        }
        self.graft_due(now);
        if self.news_at <= now {
            self.announce();
        }
        if self.sweep_at <= now {
            self.sweep(now);
        }
    }

    /// Swaps what the room wants done since the last call for `empty`, so that two buffers serve
    /// for ever.
    pub fn swap_out(&mut self, empty: &mut Vec<Out>) {
        core::mem::swap(&mut self.out, empty);
    }

    /// True when [`Plumtree::swap_out`] has something.
    #[must_use]
    pub fn has_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// Adds the room's counters and gauges.
    pub fn stats(&self, stats: &mut BTreeMap<&'static str, u64>) {
        self.counters.write(stats);
        let bytes = self.origins.values().map(|origin| origin.cache.bytes());
        let missing = self.origins.values().map(|origin| origin.missing.len());
        stats.insert("broadcast_origins", self.origins.len() as u64);
        stats.insert("broadcast_cached_bytes", bytes.sum::<usize>() as u64);
        stats.insert("broadcast_missing", missing.sum::<usize>() as u64);
    }
}
