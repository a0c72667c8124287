//! One queue at this member: what is ready, who waits for it, and who else has stock.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;

use super::slot::Ready;
use crate::base::{Instant, MemberId, MessageId, Millis, QueueKey, SessionId, Ticket};
use crate::copies::Own;

/// One queue.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) name: Arc<str>,
    pub(super) ready: Ready,
    /// Receives that wait, first come first served.
    pub(super) waiters: VecDeque<Ticket>,
    /// Subscriptions, served in turn.
    pub(super) sessions: VecDeque<SessionId>,
    /// Members whose row lists this queue.
    pub(super) listed: BTreeSet<MemberId>,
    /// Those of them that are worth asking now, in the order to ask.
    pub(super) sources: VecDeque<MemberId>,
    /// Demands under way, by whom they went to.
    pub(super) asking: BTreeMap<MemberId, u32>,
    /// Members that asked and found nothing: told first when there is something.
    pub(super) wanted: BTreeSet<MemberId>,
    /// What the cluster was last told.
    pub(super) was_stocked: bool,
}

impl Shelf {
    pub(super) fn new(name: Arc<str>, key: QueueKey) -> Self {
        Self {
            name,
            ready: Ready::new(key),
            waiters: VecDeque::new(),
            sessions: VecDeque::new(),
            listed: BTreeSet::new(),
            sources: VecDeque::new(),
            asking: BTreeMap::new(),
            wanted: BTreeSet::new(),
            was_stocked: false,
        }
    }

    /// True when somebody here wants messages.
    pub(super) fn is_thirsty(&self) -> bool {
        !self.waiters.is_empty() || !self.sessions.is_empty()
    }
}

/// A receive that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) queue: QueueKey,
    pub(super) max: u32,
    pub(super) lease: Millis,
    /// False: ends empty as soon as nobody is left to ask.
    pub(super) is_patient: bool,
    /// The demand that was sent for it.
    pub(super) demand: Option<u64>,
}

/// For whom a demand was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consumer {
    Waiter(Ticket),
    Session(SessionId),
}

/// A demand under way.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) queue: QueueKey,
    pub(super) to: MemberId,
    pub(super) consumer: Consumer,
    pub(super) lease: Millis,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) queue: QueueKey,
    /// Unsettled deliveries at most.
    pub(super) credit: u32,
    pub(super) lease: Millis,
    /// Unsettled deliveries.
    pub(super) held: BTreeMap<MessageId, Held>,
    /// The demand that was sent for it, and how much it asked for.
    pub(super) demand: Option<(u64, u32)>,
}

/// An unsettled delivery of a subscription.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) until: Instant,
    pub(super) own: Own,
    pub(super) owner: MemberId,
    pub(super) lease: u32,
}

impl Session {
    /// How many more it may be given, with what is asked for already.
    pub(super) fn room(&self) -> u32 {
        let asked = self.demand.map_or(0, |(_, credit)| credit);
        self.credit
            .saturating_sub(self.held.len() as u32)
            .saturating_sub(asked)
    }
}
