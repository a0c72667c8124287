//! Redriving: dead letters go back to where they came from (protocol.md 4.4).
//!
//! The asking member asks every member that it is linked to, and itself, twice: first how many of what each
//! owns it means, then to move its share of what was asked for. So a maximum holds for the cluster, while each
//! works on its own. Counting changes nothing, and is all that a dry run does. A member that did not answer is
//! named: what it moved is not known. What each does stands in `letters`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::delivery::{Headers, Reply};
use super::letters::Letters;
use super::message::{Header, Message};
use super::{Alarm, Queues};
use crate::base::{
    BootId, Error, ErrorKind, Instant, MemberId, MessageId, Millis, Now, QueueKey, Result, Ticket,
    id, limits,
};

/// Letters that are to go back.
#[derive(Debug, Clone)]
pub struct NewRedrive {
    /// Whose.
    pub queue: QueueKey,
    /// Where they go; none for where each came from.
    pub to: Option<String>,
    /// At most this many, 1 to `limits::REDRIVE_MAX`.
    pub max: u64,
    /// Those with all of these headers.
    pub headers: Vec<(String, String)>,
    /// These alone; empty for all.
    pub ids: Vec<MessageId>,
    /// They are only counted.
    pub is_dry_run: bool,
    /// How long to wait for all members, 1 to `limits::REDRIVE_MS_MAX`.
    pub timeout: Millis,
}

/// "Move what you own of that queue." Answered by one [`Redriven`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Redrive {
    /// Names this at its sender.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The queue's name.
    #[prost(string, tag = "2")]
    pub queue: String,
    /// Where they go; "" for where each came from.
    #[prost(string, tag = "3")]
    pub to: String,
    /// Headers that they must have.
    #[prost(message, repeated, tag = "4")]
    pub headers: Vec<Header>,
    /// These alone; none for all.
    #[prost(message, repeated, tag = "5")]
    pub ids: Vec<Letter>,
    /// At most this many.
    #[prost(uint64, tag = "6")]
    pub max: u64,
    /// They are only counted.
    #[prost(bool, tag = "7")]
    pub is_dry_run: bool,
    /// After so long nobody waits for the answer, and no more are moved, in ms.
    #[prost(uint64, tag = "8")]
    pub wait_ms: u64,
}

/// An id in a [`Redrive`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Letter {
    /// The id's origin.
    #[prost(fixed64, tag = "1")]
    pub origin: u64,
    /// The id's sequence.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
}

/// What became of a [`Redrive`], at one member or at all that answered.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Redriven {
    /// The redrive.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// True for one that works for too many others already, or leaves; nothing was done.
    #[prost(bool, tag = "2")]
    pub is_busy: bool,
    /// Ready and delayed ones that were meant, whatever the maximum.
    #[prost(uint64, tag = "3")]
    pub matched: u64,
    /// Of these, what has gone back.
    #[prost(uint64, tag = "4")]
    pub moved: u64,
    /// What the place where it would go refused: it stays.
    #[prost(uint64, tag = "5")]
    pub refused: u64,
    /// What does not say where it came from, or may be in no two places: it stays.
    #[prost(uint64, tag = "6")]
    pub skipped: u64,
    /// Further ones that were meant, but a consumer has them: they stay.
    #[prost(uint64, tag = "7")]
    pub leased: u64,
}

impl Redrive {
    pub(super) fn weight(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|one| one.name.len() + one.value.len() + 6);
        80 + self.queue.len() + self.to.len() + headers.sum::<usize>() + self.ids.len() * 22
    }

    /// What was decoded, when it is within the limits; numbers are brought into their ranges.
    /// Errors: 503.
    pub fn checked(mut self) -> Result<Self> {
        let sizes = self.headers.iter();
        let bytes: usize = sizes.map(|one| one.name.len() + one.value.len()).sum();
        let is_within = self.headers.len() <= limits::HEADERS_MAX
            && bytes <= limits::HEADER_BYTES_MAX
            && self.ids.len() <= limits::REDRIVE_IDS_MAX;
        if !is_within {
            return Err(Error::new(ErrorKind::Corrupt).because("a redrive is over the limit"));
        }
        self.max = self.max.clamp(1, limits::REDRIVE_MAX);
        self.wait_ms = self.wait_ms.min(limits::REDRIVE_MS_MAX);
        Ok(self)
    }

    /// True for a letter that is meant, by its headers.
    pub(super) fn wants(&self, headers: Option<&Headers>) -> bool {
        self.headers.iter().all(|wanted| {
            let mut headers = headers.into_iter().flat_map(|headers| headers.iter());
            headers.any(|(name, value)| *name == wanted.name && *value == wanted.value)
        })
    }
}

/// A redrive of a host of this member.
#[derive(Debug)]
struct Gathering {
    asked: Redrive,
    ends: Instant,
    /// Nothing is moved yet.
    is_counting: bool,
    /// Members that have not answered, this one among them.
    unheard: BTreeSet<MemberId>,
    missing: BTreeSet<MemberId>,
    /// What each could move, then what it is to move at most.
    shares: BTreeMap<MemberId, u64>,
    total: Redriven,
}

impl Gathering {
    /// Takes one member's answer in; false for one that cannot be.
    fn add(&mut self, from: MemberId, redriven: &Redriven) -> bool {
        if self.is_counting {
            let movable = redriven.matched.saturating_sub(redriven.skipped);
            self.shares.insert(from, movable);
            let total = &mut self.total;
            total.matched = total.matched.saturating_add(redriven.matched);
            total.skipped = total.skipped.saturating_add(redriven.skipped);
            total.leased = total.leased.saturating_add(redriven.leased);
            return true;
        }
        let share = self.shares.get(&from).copied().unwrap_or_default();
        let is_within = redriven.moved.saturating_add(redriven.refused) <= share;
        if is_within {
            self.total.moved += redriven.moved;
            self.total.refused += redriven.refused;
        }
        is_within
    }

    /// Gives each member what it is to move of all that is wanted: all of its own, while there is enough.
    fn share_out(&mut self) {
        let mut left = self.asked.max;
        for share in self.shares.values_mut() {
            *share = left.min(*share);
            left -= *share;
        }
        self.shares.retain(|_, share| *share > 0);
        self.unheard = self.shares.keys().copied().collect();
        self.is_counting = false;
    }
}

/// Redrives under way.
#[derive(Debug, Default)]
pub(super) struct Redrives {
    gatherings: BTreeMap<Ticket, Gathering>,
    pub(super) letters: Letters,
}

impl Redrives {
    /// Redrives that are not complete, asked for here or worked on.
    pub(super) fn open(&self) -> usize {
        self.gatherings.len() + self.letters.works.len()
    }
}

impl Queues {
    /// Moves up to `max` letters of a queue to where they came from, at every member that answers in time.
    /// Answers [`Reply::Redriven`], 101, 203.
    pub fn redrive(&mut self, now: Now, ticket: Ticket, redrive: NewRedrive) {
        let timeout = redrive.timeout;
        let asked = match self.check_redrive(ticket, redrive) {
            Ok(asked) => asked,
            Err(error) => return self.reply(ticket, Err(error)),
        };
        self.counters.redrives += 1;
        let peers = self.peers.iter();
        let (linked, missing): (Vec<_>, Vec<_>) = peers.partition(|(_, peer)| peer.is_linked);
        let members = |peers: Vec<(&MemberId, _)>| peers.into_iter().map(|(id, _)| *id).collect();
        let mut unheard: BTreeSet<MemberId> = members(linked);
        unheard.insert(self.me.member);
        let ends = now.mono + timeout;
        // Who does not answer leaves the others as much time again to move theirs.
        let wait = if asked.is_dry_run {
            timeout
        } else {
            timeout.div_ceil(2)
        };
        let gathering = Gathering {
            asked,
            ends,
            is_counting: true,
            unheard,
            missing: members(missing),
            shares: BTreeMap::new(),
            total: Redriven::default(),
        };
        self.redrives.gatherings.insert(ticket, gathering);
        self.ask_letters(now, ticket, now.mono + wait);
    }

    /// What is asked of every member. Errors: 101, 203.
    fn check_redrive(&self, ticket: Ticket, redrive: NewRedrive) -> Result<Redrive> {
        let wrong = |why| Error::new(ErrorKind::InvalidArgument).because(why);
        if redrive.max == 0 || redrive.max > limits::REDRIVE_MAX {
            return Err(wrong("max is out of its range")
                .with("max", redrive.max)
                .with("max_max", limits::REDRIVE_MAX));
        }
        if redrive.timeout == 0 || redrive.timeout > limits::REDRIVE_MS_MAX {
            return Err(wrong("the time to wait for a redrive is out of its range")
                .with("timeout_ms", redrive.timeout)
                .with("timeout_ms_max", limits::REDRIVE_MS_MAX));
        }
        let queue = self.name(redrive.queue);
        if let Some(to) = &redrive.to {
            id::check_name("queue", to, limits::NAME_BYTES_MAX)?;
            if **to == *queue {
                return Err(wrong("the messages are in that queue already").with("to", to));
            }
        }
        let headers = redrive.headers.into_iter();
        let ids = redrive.ids.iter().map(|id| Letter {
            origin: id.origin.0,
            sequence: id.sequence,
        });
        let asked = Redrive {
            number: ticket.0,
            queue: queue.as_ref().into(),
            to: redrive.to.unwrap_or_default(),
            headers: headers
                .map(|(name, value)| Header { name, value })
                .collect(),
            ids: ids.collect(),
            max: redrive.max,
            is_dry_run: redrive.is_dry_run,
            wait_ms: redrive.timeout,
        };
        let asked = asked.checked();
        let asked = asked.map_err(|_| wrong("there are too many headers or ids to look for"))?;
        if self.redrives.gatherings.len() >= limits::BROWSES_MAX {
            return Err(Error::new(ErrorKind::Overloaded)
                .because("this member redrives for too many already")
                .with("redrives_max", limits::BROWSES_MAX));
        }
        Ok(asked)
    }

    /// Asks those that have not answered, this member last: it may answer at once.
    fn ask_letters(&mut self, now: Now, ticket: Ticket, until: Instant) {
        let me = self.me.member;
        let Some(gathering) = self.redrives.gatherings.get(&ticket) else {
            return;
        };
        let is_moving = !gathering.is_counting;
        let asked = Redrive {
            is_dry_run: !is_moving,
            wait_ms: until.since(now.mono),
            ..gathering.asked.clone()
        };
        let share = |member| match is_moving {
            true => gathering.shares.get(member).copied().unwrap_or_default(),
            false => asked.max,
        };
        let unheard = gathering.unheard.iter();
        let asks: Vec<(MemberId, u64)> = unheard.map(|member| (*member, share(member))).collect();
        self.alarms.set(Alarm::Redrive(ticket), until);
        for (member, max) in asks.iter().filter(|(member, _)| *member != me) {
            let asked = Redrive {
                max: *max,
                ..asked.clone()
            };
            self.send(*member, Message::Redrive(asked));
        }
        if let Some((_, max)) = asks.into_iter().find(|(member, _)| *member == me) {
            self.work(now, me, Redrive { max, ..asked });
        }
    }

    /// A member's answer, perhaps this one's.
    pub(super) fn on_redriven(&mut self, now: Now, from: MemberId, redriven: &Redriven) {
        let ticket = Ticket(redriven.number);
        let gathering = self.redrives.gatherings.get_mut(&ticket);
        let Some(gathering) = gathering.filter(|gathering| gathering.unheard.contains(&from))
        else {
            self.counters.browses_dropped += 1;
            return;
        };
        gathering.unheard.remove(&from);
        if redriven.is_busy {
            gathering.missing.insert(from);
        } else if !gathering.add(from, redriven) {
            gathering.missing.insert(from);
            self.counters.browses_dropped += 1;
        }
        self.go_on_if_all_answered(now, ticket);
    }

    fn go_on_if_all_answered(&mut self, now: Now, ticket: Ticket) {
        let gathering = self.redrives.gatherings.get_mut(&ticket);
        let Some(gathering) = gathering.filter(|gathering| gathering.unheard.is_empty()) else {
            return;
        };
        if gathering.is_counting && !gathering.asked.is_dry_run {
            gathering.share_out();
        }
        let (is_over, ends) = (gathering.unheard.is_empty(), gathering.ends);
        if is_over || ends <= now.mono {
            return self.end_gathering(ticket);
        }
        self.ask_letters(now, ticket, ends);
    }

    /// Answers with what there is.
    fn end_gathering(&mut self, ticket: Ticket) {
        self.alarms.clear(&Alarm::Redrive(ticket));
        let Some(mut gathering) = self.redrives.gatherings.remove(&ticket) else {
            return;
        };
        gathering.missing.append(&mut gathering.unheard);
        let missing = gathering.missing.into_iter().collect();
        self.reply(ticket, Ok(Reply::Redriven(gathering.total, missing)));
    }

    /// Those that have not answered are not waited for.
    pub(super) fn redrive_is_due(&mut self, now: Now, ticket: Ticket) {
        let Some(gathering) = self.redrives.gatherings.get_mut(&ticket) else {
            return;
        };
        self.counters.redrive_timeouts += 1;
        gathering.missing.append(&mut gathering.unheard);
        self.drop_own_work(ticket);
        self.go_on_if_all_answered(now, ticket);
    }

    /// Nobody waits for that redrive any more; false when nobody did. What other members were asked to move
    /// they move.
    pub(super) fn end_redrive(&mut self, ticket: Ticket) -> bool {
        self.alarms.clear(&Alarm::Redrive(ticket));
        self.drop_own_work(ticket);
        self.redrives.gatherings.remove(&ticket).is_some()
    }

    fn drop_own_work(&mut self, ticket: Ticket) {
        let me = self.me.member;
        self.redrives
            .letters
            .drop_works(|asker, number| asker == me && number == ticket.0);
    }

    /// A member's link went: it hears no answer, and gives none.
    pub(super) fn drop_redrives_with(&mut self, now: Now, member: MemberId) {
        self.redrives.letters.drop_works(|asker, _| asker == member);
        let mut silent = Vec::new();
        for (ticket, gathering) in &mut self.redrives.gatherings {
            if gathering.unheard.remove(&member) {
                gathering.missing.insert(member);
                silent.push(*ticket);
            }
            // It may have counted; it is not there to move any.
            gathering.shares.remove(&member);
        }
        for ticket in silent {
            self.go_on_if_all_answered(now, ticket);
        }
    }

    /// This member begins anew, and holds nothing.
    pub(super) fn drop_redrives(&mut self, now: Now) {
        let members: Vec<MemberId> = self.peers.keys().copied().collect();
        for member in members {
            self.drop_redrives_with(now, member);
        }
        self.redrives.letters = Letters::default();
        let me = self.me.member;
        self.drop_redrives_with(now, me);
    }
}

impl Letter {
    pub(super) fn id(self) -> MessageId {
        MessageId {
            origin: BootId(self.origin),
            sequence: self.sequence,
        }
    }
}
