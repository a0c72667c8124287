//! One queue at this member: what is ready, who waits for it, and who else has stock.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::groups::{Branch, GroupOf, split};
use super::length::Load;
use super::ready::Ready;
use super::rules::Rules;
use crate::base::{Instant, MemberId, MessageId, Millis, QueueKey, SessionId, Ticket};
use crate::copies::Own;

/// One queue.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) name: Arc<str>,
    /// How often hosts have it at hand.
    pub(super) hosts: u32,
    /// Messages that are here of it, whoever owns them.
    pub(super) held: u32,
    /// The queue that it is a group's shelf of; none for a queue's own.
    pub(super) of: Option<GroupOf>,
    /// The queue's groups: what is put into it goes to each of them.
    pub(super) branches: Vec<Branch>,
    /// What is settled for its queue; nothing for most.
    pub(super) rules: Option<Arc<Rules>>,
    /// What is owned here of it.
    pub(super) load: Load,
    /// What fails here for good has nowhere to go: it stays.
    pub(super) is_of_dead_letters: bool,
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
            hosts: 0,
            held: 0,
            of: None,
            branches: Vec::new(),
            rules: None,
            load: Load::default(),
            is_of_dead_letters: split(&name).0.ends_with(super::dead::SUFFIX),
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

    /// Does from now on what is settled for its queue. True when the lines of its keys have to hear of it.
    pub(super) fn set_rules(&mut self, rules: Option<Arc<Rules>>) -> bool {
        self.rules = rules;
        let most = self.rules.as_ref().and_then(|rules| rules.key_concurrency);
        self.ready.bound(most.unwrap_or(1) as usize)
    }

    /// True while nothing goes out of it.
    pub(super) fn is_paused_out(&self) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.is_paused_out)
    }

    /// True while there are messages, consumers or groups of it here, or others list it, or a host has it
    /// at hand.
    pub(super) fn is_used(&self) -> bool {
        let is_consumed = self.is_thirsty() || !self.asking.is_empty();
        let is_held = self.hosts > 0 || self.held > 0;
        let has_groups = self.of.is_some() || !self.branches.is_empty();
        is_held || is_consumed || has_groups || !self.listed.is_empty()
    }

    /// Gives back the room for what may come, where there is nothing.
    pub(super) fn spare(&mut self) {
        self.ready.spare();
        self.waiters.shrink_to_fit();
        self.sessions.shrink_to_fit();
        self.sources.shrink_to_fit();
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
    /// Nothing more while their bodies are so many bytes.
    pub(super) credit_bytes: Option<u64>,
    pub(super) lease: Millis,
    /// How long leases are extended; none leaves that to the consumer.
    pub(super) max_run: Option<Millis>,
    /// Unsettled deliveries.
    pub(super) held: BTreeMap<MessageId, Held>,
    /// Their bodies' bytes.
    pub(super) held_bytes: u64,
    /// Closed: nothing more is given, what is held is still kept.
    pub(super) is_ended: bool,
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
    /// Its body.
    pub(super) bytes: u64,
    /// Until then the lease is extended before it ends.
    pub(super) kept_until: Instant,
    /// When its owner was asked for more time, while that is not answered.
    pub(super) asked: Option<Instant>,
}

impl Session {
    /// How many more it may be given, with what is asked for already.
    pub(super) fn room(&self) -> u32 {
        if self.is_ended || self.room_bytes() == 0 {
            return 0;
        }
        let asked = self.demand.map_or(0, |(_, credit)| credit);
        self.credit
            .saturating_sub(self.held.len() as u32)
            .saturating_sub(asked)
    }

    /// How many bytes more it may be given; one message may be larger. A demand under way asks for all.
    pub(super) fn room_bytes(&self) -> u64 {
        match self.credit_bytes {
            None => u64::MAX,
            Some(_) if self.demand.is_some() => 0,
            Some(credit) => credit.saturating_sub(self.held_bytes),
        }
    }

    /// Notes a delivery as unsettled.
    pub(super) fn hold(&mut self, id: MessageId, held: Held) {
        self.held_bytes += held.bytes;
        if let Some(old) = self.held.insert(id, held) {
            self.held_bytes = self.held_bytes.saturating_sub(old.bytes);
        }
    }

    /// A delivery is settled, or its lease is over.
    pub(super) fn let_go(&mut self, id: MessageId) {
        if let Some(held) = self.held.remove(&id) {
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
        }
    }

    /// Lets go of every delivery whose lease is over by `now`; true when there was one.
    pub(super) fn let_go_of_late(&mut self, now: Instant) -> bool {
        let before = self.held.len();
        let mut bytes = 0;
        self.held.retain(|_, held| {
            // One that its owner is asked for just now is not known to be over.
            let is_asked = held.asked.is_some() && held.kept_until > now;
            let stays = held.until > now || is_asked;
            bytes += if stays { held.bytes } else { 0 };
            stays
        });
        self.held_bytes = bytes;
        self.held.len() < before
    }
}
