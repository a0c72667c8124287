//! What is done later: announcements are gathered, ids that did not come are asked for, old payloads
//! are dropped.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::window::Sight;
use super::{GRAFT_MS_MIN, Graft, Group, IDS_MAX, IHave, Message, Out, Plumtree};
use crate::base::{Instant, MemberId, Millis};

/// A payload is kept for so long: whoever misses it asks within a second. So an idle member's memory
/// falls back to nothing. Same as iroh-gossip's.
const PAYLOAD_MS: Millis = 30_000;
/// Old payloads are looked for this often, while there are any.
const SWEEP_MS: Millis = 10_000;

/// An id to be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct News {
    pub(super) origin: MemberId,
    pub(super) incarnation: u64,
    pub(super) sequence: u64,
    pub(super) hops: u16,
}

/// One origin's share of a bound that all have together.
pub(super) fn share(each: usize, all: usize, origins: usize) -> usize {
    each.min(all / origins.max(1))
}

impl Plumtree {
    /// Sends every peer what is to be announced to it, and whether it is a neighbour if that changed.
    pub(super) fn announce(&mut self) {
        self.news_at = Instant::NEVER;
        for (member, peer) in &mut self.peers {
            let is_neighbour = self.neighbours.contains(member);
            let is_changed = !self.is_small && peer.is_told != is_neighbour;
            if peer.news.is_empty() && !is_changed {
                continue;
            }
            peer.is_told = is_neighbour;
            let mut news = core::mem::take(&mut peer.news);
            news.sort_unstable();
            self.counters.broadcast_ihaves += news.len() as u64;
            let alike = |a: &News, b: &News| (a.origin, a.incarnation) == (b.origin, b.incarnation);
            let groups = news.chunk_by(alike).filter_map(|chunk| {
                let first = chunk.first()?;
                Some(Group {
                    origin: first.origin,
                    incarnation: first.incarnation,
                    ids: chunk
                        .iter()
                        .map(|news| (news.sequence, news.hops))
                        .collect(),
                })
            });
            let ihave = IHave {
                is_neighbour,
                groups: groups.collect(),
            };
            self.out.push(Out::Send(*member, Message::IHave(ihave)));
        }
    }

    /// How long an announcement of `member` waits for its payload.
    pub(super) fn patience(&self, member: MemberId) -> Millis {
        let rtt_ms = self.peers.get(&member).map_or(0, |peer| peer.rtt_ms);
        GRAFT_MS_MIN.max(rtt_ms.saturating_mul(2))
    }

    /// Asks for ids that did not come: each of the next one that announced it.
    pub(super) fn graft_due(&mut self, now: Instant) {
        let mut asks: BTreeMap<(MemberId, MemberId), Vec<u64>> = BTreeMap::new();
        for _ in 0..IDS_MAX {
            let Some((id, sequence)) = self.grafts.due(now) else {
                break;
            };
            if let Some(announcer) = self.next_announcer(id, sequence) {
                let at = now + self.patience(announcer);
                self.grafts.set((id, sequence), at);
                asks.entry((announcer, id)).or_default().push(sequence);
            }
        }
        for ((announcer, id), sequences) in asks {
            let Some(origin) = self.origins.get_mut(&id) else {
                continue;
            };
            if !self.is_small {
                origin.sides.make_eager(announcer);
            }
            self.counters.broadcast_grafts += sequences.len() as u64;
            let graft = Graft {
                origin: id,
                incarnation: origin.incarnation,
                sequences,
            };
            self.out.push(Out::Send(announcer, Message::Graft(graft)));
        }
    }

    /// Who is asked next for an id; none when all were, and then it is waited for no more.
    fn next_announcer(&mut self, id: MemberId, sequence: u64) -> Option<MemberId> {
        let origin = self.origins.get_mut(&id)?;
        let is_open = origin.window.sight(sequence) == Sight::New;
        let missing = origin.missing.get_mut(&sequence)?;
        while is_open && let Some((member, _)) = missing.announcers.get(missing.asked) {
            missing.asked += 1;
            if self.peers.contains_key(member) {
                return Some(*member);
            }
        }
        origin.missing.remove(&sequence);
        None
    }

    pub(super) fn sweep_soon(&mut self, now: Instant) {
        self.sweep_at = self.sweep_at.min(now + SWEEP_MS);
    }

    /// Drops old payloads, and origins that are no members and have been silent.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.sweep_at = Instant::NEVER;
        let mut silent = Vec::new();
        let mut is_more = false;
        for (id, origin) in &mut self.origins {
            origin.cache.age(now - PAYLOAD_MS);
            let is_stranger = self.members.binary_search(id).is_err();
            if is_stranger && now.since(origin.heard) >= PAYLOAD_MS {
                silent.push(*id);
            } else {
                is_more |= is_stranger || !origin.cache.is_empty();
            }
        }
        for id in silent {
            self.uproot(id);
        }
        if is_more {
            self.sweep_soon(now);
        }
    }
}
