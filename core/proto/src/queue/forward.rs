//! Enqueues that another member takes (protocol.md 4.3, point 2): a member that leaves takes nothing, but who
//! stays does, as if it had been called there.
//!
//! The taker accepts: it mints the ids, owns the messages, makes their copies, and judges pause, length and
//! memory. One hop: it never asks a third. What it answers is the caller's answer as it is. As long as
//! nothing was sent, or the taker says that it leaves itself, another is asked; once it was sent and no answer
//! comes it may have happened, and is never tried again here (302).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{BufMut, BytesMut};
use prost::Message as _;

use super::batch::Caller;
use super::delivery::{EnqueueOptions, Headers, IfNoGroup, NewMessage, OnShort, Receipt};
use super::enqueue::check_count;
use super::message::{Header, Message};
use super::{Alarm, Queues, limits};
use crate::base::{
    BootId, Error, ErrorKind, Instant, MemberId, MessageId, Millis, Now, QueueKey, Result, id,
};
use crate::copies::{Asked, Terms, own_body, read_headers, read_terms, weigh, write_headers};
use crate::wire::{Put, Reader, SEQUENCE_MAX};

/// Of the time that a caller waits the taker has all but this part: its answer has a way to go.
const WAY_PART: Millis = 8;
/// A frame's head: all but its messages, at most.
const HEAD_BYTES: usize = 1 << 10;

const HAS_HEADERS: u8 = 1;
/// The names of values that an enqueue's error may carry.
const NAMES: &[&str] = &[
    "bytes",
    "bytes_max",
    "bytes_used",
    "copies",
    "copies_max",
    "got",
    "group",
    "headers",
    "headers_max",
    "least",
    "memory_bytes_max",
    "messages",
    "messages_max",
    "most",
    "queue",
    "queues_max",
    "reachable",
    "wanted",
];

/// "Accept these as if you were called." Answered by one [`Taken`].
#[derive(Debug, Clone, PartialEq)]
pub struct EnqueueFor {
    /// Names this at its sender, ever higher in one life of it.
    pub number: u64,
    /// The queue's name.
    pub queue: String,
    /// How long the caller waits for its copies, in ms.
    pub wait_ms: Millis,
    /// Copies wanted; none for what the taker would make.
    pub copies: Option<u16>,
    /// What to do with fewer; none for what the taker would do.
    pub on_short: Option<OnShort>,
    /// What becomes of them where the taker knows of no group.
    pub if_no_group: IfNoGroup,
    /// Their terms, with the dates that they had when they were asked for.
    pub terms: Option<Arc<Terms>>,
    /// All are accepted, or none.
    pub messages: Vec<(bytes::Bytes, Option<Headers>)>,
}

/// What became of an [`EnqueueFor`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Taken {
    /// Which.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// 0, or an error's number.
    #[prost(uint32, tag = "2")]
    pub code: u32,
    /// What happened, as a phrase.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// The values that matter.
    #[prost(message, repeated, tag = "4")]
    pub context: Vec<Header>,
    /// The receiver leaves: nothing was done, another may do it.
    #[prost(bool, tag = "5")]
    pub is_leaving: bool,
    /// The origin of the messages.
    #[prost(fixed64, tag = "6")]
    pub origin: u64,
    /// The first one's sequence; the others follow.
    #[prost(uint64, tag = "7")]
    pub first: u64,
    /// Copies that were asked for.
    #[prost(uint32, tag = "8")]
    pub wanted: u32,
    /// Copies of each.
    #[prost(uint32, repeated, tag = "9")]
    pub copies: Vec<u32>,
}

impl EnqueueFor {
    pub(super) fn weight(&self) -> usize {
        let messages = self.messages.iter();
        let messages = messages.map(|(body, headers)| {
            // A length beside each part.
            let headers = headers
                .as_ref()
                .map_or(0, |headers| weigh(headers) + 4 * headers.len() + 4);
            body.len() + headers + 5
        });
        HEAD_BYTES + messages.sum::<usize>()
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_varint(self.number);
        out.put_slice_with_length(self.queue.as_bytes());
        out.put_varint(self.wait_ms);
        out.put_varint(u64::from(self.copies.unwrap_or(0)));
        out.put_u8(self.on_short.map_or(0, |on_short| on_short as u8 + 1));
        out.put_u8(self.if_no_group as u8);
        let terms = self
            .terms
            .as_ref()
            .map_or_else(Vec::new, |terms| terms.encode_to_vec());
        out.put_slice_with_length(&terms);
        out.put_varint(self.messages.len() as u64);
        for (body, headers) in &self.messages {
            out.put_u8(if headers.is_some() { HAS_HEADERS } else { 0 });
            if let Some(headers) = headers {
                write_headers(headers, out);
            }
            out.put_slice_with_length(body);
        }
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let number = reader.varint()?;
        let queue = reader.string()?;
        let wait_ms = reader.varint()?.min(limits::WAIT_MS_MAX);
        let copies = reader.varint32()?;
        let on_short = match reader.u8()? {
            0 => None,
            1 => Some(OnShort::Degrade),
            2 => Some(OnShort::Fail),
            3 => Some(OnShort::Wait),
            _ => return Err(corrupt("an unknown way to deal with too few copies")),
        };
        let if_no_group = match reader.u8()? {
            0 => IfNoGroup::Hold,
            1 => IfNoGroup::Drop,
            2 => IfNoGroup::Refuse,
            _ => return Err(corrupt("an unknown way to deal with no group")),
        };
        let terms = read_terms(reader)?;
        let count = reader.count(2)?;
        if count > limits::BATCH_MAX {
            return Err(corrupt("too many messages in one enqueue"));
        }
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            let has_headers = reader.u8()? & HAS_HEADERS != 0;
            let headers = has_headers.then(|| read_headers(reader)).transpose()?;
            messages.push((own_body(reader)?, headers));
        }
        Ok(Self {
            number,
            queue,
            wait_ms,
            copies: (copies > 0).then(|| copies.min(u32::from(u16::MAX)) as u16),
            on_short,
            if_no_group,
            terms: (*terms != Terms::default()).then_some(terms),
            messages,
        })
    }
}

fn corrupt(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt).because(why)
}

impl Taken {
    pub(super) fn weight(&self) -> usize {
        let context = self.context.iter();
        let context = context.map(|one| one.name.len() + one.value.len() + 6);
        48 + self.reason.len() + context.sum::<usize>() + self.copies.len() * 2
    }

    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        let is_within = self.copies.len() <= limits::BATCH_MAX
            && self.first <= SEQUENCE_MAX
            && self.context.len() <= limits::HEADERS_MAX
            && self.weight() <= limits::HEADER_BYTES_MAX;
        if is_within {
            return Ok(self);
        }
        Err(corrupt("the answer to an enqueue is over the limit"))
    }

    /// The error in it.
    fn to_error(&self) -> Error {
        let kind = u16::try_from(self.code).ok();
        let kind = kind.and_then(ErrorKind::from_number);
        let error = Error::new(kind.unwrap_or(ErrorKind::Internal));
        let mut reason = self.reason.clone();
        let mut context = Vec::new();
        for one in &self.context {
            match NAMES.iter().find(|name| **name == one.name) {
                Some(name) => context.push((*name, &one.value)),
                // A later version's: hosts make atoms of names, so they are none but those known here.
                None => reason += &format!(" ({} = {})", one.name, one.value),
            }
        }
        let error = error.because(reason);
        let context = context.into_iter();
        context.fold(error, |error, (name, value)| error.with(name, value))
    }

    /// The receipts in it.
    fn receipts(&self) -> Vec<Receipt> {
        let receipts = (self.first..).zip(&self.copies);
        let receipts = receipts.map(|(sequence, copies)| Receipt {
            id: MessageId {
                origin: BootId(self.origin),
                sequence,
            },
            copies: *copies as u16,
            durable_copies: 0,
            wanted: self.wanted as u16,
        });
        receipts.collect()
    }
}

/// An enqueue that another member was asked to take.
#[derive(Debug)]
struct Forward {
    caller: Caller,
    to: MemberId,
    /// Those that were asked before, and leave.
    tried: BTreeSet<MemberId>,
    ends: Instant,
    /// Kept for the next one that is asked.
    asked: EnqueueFor,
    queue: QueueKey,
}

/// Which enqueues were taken for one member, in this life of the link to it.
#[derive(Debug, Default)]
struct Heard {
    numbers: BTreeSet<u64>,
    /// All up to this one may have been.
    floor: u64,
}

impl Heard {
    /// Notes a number; false for one that was noted, or is too old to tell: a frame may come twice.
    fn is_first(&mut self, number: u64) -> bool {
        if number <= self.floor || !self.numbers.insert(number) {
            return false;
        }
        if self.numbers.len() > limits::TAKEN_MAX
            && let Some(lowest) = self.numbers.pop_first()
        {
            self.floor = lowest;
        }
        true
    }
}

/// What other members take for this one, and this one for others.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    open: BTreeMap<u64, Forward>,
    /// Of these.
    bytes: usize,
    last_number: u64,
    heard: BTreeMap<MemberId, Heard>,
}

impl Forwards {
    /// Enqueues without an answer yet.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn close(&mut self, number: u64) -> Option<Forward> {
        let forward = self.open.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(forward.asked.weight());
        Some(forward)
    }
}

impl Queues {
    /// Puts messages in where they belong: here, or at another member.
    pub(super) fn enqueue_somewhere(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) {
        if !self.is_leaving() {
            return self.enqueue_fanned(now, caller, queue, messages, options);
        }
        if let Err(error) = self.forward(now, caller, queue, messages, options) {
            self.fail(caller, error);
        }
    }

    /// Asks another member to accept these. Errors, with nothing sent: 101, 102, 104, 202, 203, 204.
    fn forward(
        &mut self,
        now: Now,
        caller: Caller,
        queue: QueueKey,
        messages: Vec<NewMessage>,
        options: EnqueueOptions,
    ) -> Result<()> {
        self.check_all(&messages)?;
        check_count(messages.len())?;
        self.wanted_copies(&options)?;
        if self.shelves.get(queue.0 as usize).is_none() {
            return Err(ErrorKind::NotFound.into());
        }
        // Who does not know of the pause yet would accept it.
        self.check_paused(queue)?;
        let rules = self.rules(queue).and_then(|rules| rules.enqueue_timeout);
        let timeout = options.timeout.or(rules);
        let timeout = timeout.unwrap_or(self.settings.enqueue_timeout);
        let messages = messages.into_iter();
        let asked = EnqueueFor {
            number: 0,
            queue: self.name(queue).as_ref().into(),
            wait_ms: 0,
            copies: options.copies,
            on_short: options.on_short,
            if_no_group: options.if_no_group,
            terms: options.terms.terms(now)?,
            messages: messages.map(|one| (one.body, one.headers)).collect(),
        };
        self.check_forward(&asked)?;
        let to = self.taker(&BTreeSet::new()).ok_or_else(nobody_takes)?;
        self.counters.enqueues_forwarded += asked.messages.len() as u64;
        self.forwards.last_number += 1;
        let number = self.forwards.last_number;
        let ends = now.mono + timeout;
        self.alarms.set(Alarm::Forward(number), ends);
        let forward = Forward {
            caller,
            to,
            tried: BTreeSet::new(),
            ends,
            asked: EnqueueFor { number, ..asked },
            queue,
        };
        self.ask_taker(now, forward);
        Ok(())
    }

    /// Errors: 104, 202, 203.
    fn check_forward(&self, asked: &EnqueueFor) -> Result<()> {
        let bytes = asked.weight();
        if bytes > limits::FRAME_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge)
                .because("another member has to take the batch, and it is too large for one frame")
                .with("bytes", bytes)
                .with("bytes_max", limits::FRAME_BYTES_MAX));
        }
        if self.is_closing() {
            return Err(nobody_takes());
        }
        let all = self.forwards.bytes.saturating_add(bytes);
        if self.forwards.len() >= limits::FORWARDS_MAX || all > limits::FORWARD_BYTES_MAX {
            return Err(Error::new(ErrorKind::Overloaded)
                .because("too many enqueues wait for the members that take them: try again")
                .with("enqueues", self.forwards.len())
                .with("enqueues_max", limits::FORWARDS_MAX)
                .with("bytes", all)
                .with("bytes_max", limits::FORWARD_BYTES_MAX));
        }
        Ok(())
    }

    /// Who takes an enqueue in this member's stead: each in turn of those that can.
    fn taker(&self, tried: &BTreeSet<MemberId>) -> Option<MemberId> {
        let peers = self.peers.iter();
        let able = peers.filter(|(member, peer)| {
            peer.is_open() && !peer.is_full && peer.takes_enqueues && !tried.contains(*member)
        });
        let able: Vec<MemberId> = able.map(|(member, _)| *member).collect();
        let turn = self.forwards.last_number.checked_rem(able.len() as u64)?;
        able.get(turn as usize).copied()
    }

    fn ask_taker(&mut self, now: Now, mut forward: Forward) {
        let left = forward.ends.since(now.mono);
        forward.asked.wait_ms = (left - left / WAY_PART).max(1);
        self.forwards.bytes += forward.asked.weight();
        self.send(forward.to, Message::EnqueueFor(forward.asked.clone()));
        self.forwards.open.insert(forward.asked.number, forward);
    }

    /// A member asks this one to accept messages in its stead.
    pub(super) fn on_enqueue_for(&mut self, now: Now, from: MemberId, asked: EnqueueFor) {
        let number = asked.number;
        let heard = self.forwards.heard.entry(from).or_default();
        if !heard.is_first(number) {
            return;
        }
        if self.is_leaving() {
            // Never onward: who asked knows whom else to ask.
            let taken = Taken {
                number,
                is_leaving: true,
                ..Taken::default()
            };
            return self.send(from, Message::Taken(taken));
        }
        let name = id::check_name("queue", &asked.queue, limits::NAME_BYTES_MAX);
        let queue = match name.and_then(|()| self.queue(&asked.queue)) {
            Ok(queue) => queue,
            Err(error) => return self.refuse_for(from, number, &error),
        };
        let once = asked
            .terms
            .as_ref()
            .is_some_and(|terms| terms.is_at_most_once);
        let options = EnqueueOptions {
            copies: asked.copies,
            on_short: asked.on_short,
            timeout: Some(asked.wait_ms),
            terms: Asked {
                is_at_most_once: once,
                ..Asked::default()
            },
            dated: Some(asked.terms.unwrap_or_default()),
            if_no_group: asked.if_no_group,
        };
        let messages = asked.messages.into_iter();
        let messages = messages.map(|(body, headers)| NewMessage { body, headers });
        let caller = Caller::For(from, number);
        self.enqueue_fanned(now, caller, queue, messages.collect(), options);
    }

    /// What was taken for a member is not accepted.
    pub(super) fn refuse_for(&mut self, member: MemberId, number: u64, error: &Error) {
        let context = error.context().iter().map(|(name, value)| Header {
            name: name.to_string(),
            value: value.clone(),
        });
        let taken = Taken {
            number,
            code: error.number().into(),
            reason: error.reason().into(),
            context: context.collect(),
            ..Taken::default()
        };
        self.send(member, Message::Taken(taken));
    }

    /// What was taken for a member is accepted.
    pub(super) fn took_for(&mut self, member: MemberId, number: u64, receipts: &[Receipt]) {
        self.counters.enqueues_taken += receipts.len() as u64;
        let first = receipts.first();
        let id = first.map(|first| first.id).unwrap_or_default();
        let copies = receipts.iter().map(|receipt| receipt.copies.into());
        let taken = Taken {
            number,
            origin: id.origin.0,
            first: id.sequence,
            wanted: first.map_or(0, |first| first.wanted.into()),
            copies: copies.collect(),
            ..Taken::default()
        };
        self.send(member, Message::Taken(taken));
    }

    /// A member says what became of an enqueue of this one's.
    pub(super) fn on_taken(&mut self, now: Now, from: MemberId, taken: Taken) {
        let number = taken.number;
        let open = self.forwards.open.get(&number);
        let Some(open) = open.filter(|open| open.to == from) else {
            return;
        };
        if taken.is_leaving {
            return self.ask_next(now, number);
        }
        let is_whole = taken.copies.len() == open.asked.messages.len();
        let Some(forward) = self.close_forward(number) else {
            return;
        };
        if taken.code != 0 {
            self.fail(forward.caller, taken.to_error());
        } else if is_whole {
            self.give_receipts(forward.caller, taken.receipts());
        } else {
            self.leave_in_doubt(forward, "the member that took it answered something else");
        }
    }

    /// The one that was asked leaves, and has done nothing: the next one is asked.
    fn ask_next(&mut self, now: Now, number: u64) {
        let Some(mut forward) = self.forwards.close(number) else {
            return;
        };
        if let Some(peer) = self.peers.get_mut(&forward.to) {
            peer.is_leaving = true;
        }
        self.choose_candidates(now);
        forward.tried.insert(forward.to);
        match self.taker(&forward.tried).filter(|_| !self.is_parting) {
            Some(next) => {
                forward.to = next;
                self.ask_taker(now, forward);
            }
            None => {
                self.alarms.clear(&Alarm::Forward(number));
                self.fail(forward.caller, nobody_takes());
            }
        }
    }

    fn close_forward(&mut self, number: u64) -> Option<Forward> {
        self.alarms.clear(&Alarm::Forward(number));
        self.forwards.close(number)
    }

    /// It was sent, and what became of it is not known.
    fn leave_in_doubt(&mut self, forward: Forward, why: &str) {
        self.counters.indeterminate_outcomes += 1;
        let error = Error::new(ErrorKind::Interrupted)
            .because(why)
            .with("queue", self.name(forward.queue))
            .with("member", forward.to);
        self.fail(forward.caller, error);
    }

    pub(super) fn forward_is_late(&mut self, number: u64) {
        if let Some(forward) = self.close_forward(number) {
            self.leave_in_doubt(
                forward,
                "the member that was to take it did not answer in time; it may have happened",
            );
        }
    }

    /// A member's link is gone: it answers nothing, and hears none.
    pub(super) fn drop_forwards_with(&mut self, member: MemberId) {
        self.forwards.heard.remove(&member);
        let open = self.forwards.open.iter();
        let lost = open.filter(|(_, forward)| forward.to == member);
        let lost: Vec<u64> = lost.map(|(number, _)| *number).collect();
        for number in lost {
            if let Some(forward) = self.close_forward(number) {
                self.leave_in_doubt(
                    forward,
                    "the link to the member that was to take it went; it may have happened",
                );
            }
        }
    }

    /// This member leaves, or begins anew: no answer comes any more.
    pub(super) fn give_up_forwards(&mut self) {
        let open: Vec<u64> = self.forwards.open.keys().copied().collect();
        for number in open {
            if let Some(forward) = self.close_forward(number) {
                self.leave_in_doubt(
                    forward,
                    "this member left its cluster before the answer came; it may have happened",
                );
            }
        }
        self.forwards.heard.clear();
    }
}

fn nobody_takes() -> Error {
    Error::new(ErrorKind::Unreachable).because("this member is leaving, and no other can take it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_once_and_none_that_is_too_old_to_tell() {
        let mut heard = Heard::default();
        assert!(heard.is_first(2) && heard.is_first(1));
        assert!(!heard.is_first(2) && !heard.is_first(1));
        let most = limits::TAKEN_MAX as u64;
        (3..=most + 5).for_each(|number| assert!(heard.is_first(number)));
        assert_eq!(heard.numbers.len(), limits::TAKEN_MAX);
        assert!(!heard.is_first(4) && !heard.is_first(most));
    }

    fn header(name: &str) -> Header {
        Header {
            name: name.into(),
            value: "7".into(),
        }
    }

    #[test]
    fn an_error_survives_its_way() {
        let taken = Taken {
            code: 201,
            reason: "full".into(),
            context: ["messages_max", "moon"].map(header).into(),
            ..Taken::default()
        };
        let error = taken.to_error().to_string();
        assert_eq!(error, "201 Full: full (moon = 7) (messages_max = 7)");
        let unknown = Taken {
            code: 7,
            ..Taken::default()
        };
        assert_eq!(unknown.to_error().number(), 599);
    }
}
