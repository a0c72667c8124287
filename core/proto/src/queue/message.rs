//! What members tell each other about queues (protocol.md 4.8).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{BufMut, Bytes, BytesMut};

use super::account::{Explain, Explained};
use super::calls::ReplyTo;
use super::delivery::{NewMessage, Response};
use super::facts::{Examine, Examined};
use super::hint::{HintOk, LeaseHint};
use super::inventory::{Differ, Inventory};
use super::page::{Browse, Browsed};
use super::recall::{Recall, Recalled, Remember};
use super::redrive::{Redrive, Redriven};
use super::stead::{EnqueueFor, EnqueuePart, Taken};
use crate::base::{BootId, Error, ErrorKind, Result, limits};
use crate::copies::{Holders, Own, Repl, ReplNo, ReplOk, Section};
use crate::copies::{read_holders, read_owed, read_own, write_holders, write_owed, write_own};
use crate::wire::{Ids, Put, Reader};

/// A message of the queue room.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Keep these copies.
    Repl(Repl),
    /// They are kept.
    ReplOk(ReplOk),
    /// They are not kept.
    ReplNo(ReplNo),
    /// Lease me some.
    Demand(Demand),
    /// Here they are.
    Deliver(Deliver),
    /// These are finished: drop them and say so.
    SetDone(Done),
    /// They are finished here.
    DoneOk(Done),
    /// Everybody knows: forget them.
    Forget(Forget),
    /// I own these now.
    Claim(Claim),
    /// A consumer settles a lease that the receiver gave.
    Settle(Settle),
    /// The answer to a settle.
    Settled(Settled),
    /// The reply to a call of the receiver's.
    Replied(Replied),
    /// Show what you own.
    Browse(Browse),
    /// That is what I own.
    Browsed(Browsed),
    /// Tell what you know of a message.
    Explain(Explain),
    /// That is what I know.
    Explained(Explained),
    /// Move letters that you own to where they came from.
    Redrive(Redrive),
    /// So many were.
    Redriven(Redriven),
    /// Tell what you know of a queue.
    Examine(Examine),
    /// That is what I know.
    Examined(Examined),
    /// Somebody has these, or will in a moment.
    LeaseHint(LeaseHint),
    /// That is known.
    HintOk(HintOk),
    /// Accept these in my stead.
    EnqueueFor(EnqueueFor),
    /// A part of what is to be accepted in my stead.
    EnqueuePart(EnqueuePart),
    /// That is what became of them.
    Taken(Taken),
    /// Do you know one of these?
    Recall(Recall),
    /// That is known of them.
    Recalled(Recalled),
    /// These are finished, and had dedup keys.
    Remember(Remember),
    /// What I count together with you.
    Inventory(Inventory),
    /// I count otherwise.
    Differ(Differ),
}

/// "Lease me up to `credit` messages." Answered by one [`Deliver`], perhaps empty.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Demand {
    /// Names this demand at its sender.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The queue's name.
    #[prost(string, tag = "2")]
    pub queue: alloc::string::String,
    /// At most this many.
    #[prost(uint32, tag = "3")]
    pub credit: u32,
    /// For how long, in ms.
    #[prost(uint64, tag = "4")]
    pub lease_ms: u64,
    /// The group; "" is the unnamed one.
    #[prost(string, tag = "5")]
    pub group: alloc::string::String,
    /// Bodies of this many bytes at most, but one message in any case; 0 for no bound of its own.
    #[prost(uint64, tag = "6")]
    pub credit_bytes: u64,
}

/// Leased messages for one demand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deliver {
    /// The demand.
    pub number: u64,
    /// True when the sender has more.
    pub has_more: bool,
    /// How long the leases last, from now, in ms.
    pub lease_ms: u64,
    /// The messages, oldest first.
    pub sections: Vec<Section>,
    /// Of messages in a group: where their ids come from, and the messages' own origin.
    pub sources: Vec<(BootId, BootId)>,
}

/// How a message ended; it only grows (protocol.md 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// A consumer finished it.
    Acked = 1,
    /// It goes on as a dead letter.
    Dead = 2,
    /// Its time to live was over.
    Expired = 3,
    /// The enqueue failed; copies made already are ended.
    Aborted = 4,
}

/// These are finished, as far as the sender knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Which.
    pub ids: Ids,
    /// Every store that may hold them.
    pub holders: Holders,
    /// How they ended, for the unnamed group.
    pub ending: Ending,
}

/// Everybody who may hold these has confirmed their end.
#[derive(Debug, Clone, PartialEq)]
pub struct Forget {
    /// Which.
    pub ids: Ids,
    /// Who has confirmed; none where the sender has forgotten that, too. A receiver that knows of
    /// more has to ask those itself.
    pub holders: Holders,
}

/// "I own these now": after a takeover, or a hand-over.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Which.
    pub ids: Ids,
    /// The ownership claimed.
    pub own: Own,
    /// Every store that may hold them.
    pub holders: Holders,
}

/// A consumer settles a lease that the receiver gave.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Settle {
    /// Names this at its sender; 0 wants no answer.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// 1 nack, 2 release, 3 extend, 4 reject.
    #[prost(uint32, tag = "2")]
    pub verb: u32,
    /// The message's origin.
    #[prost(fixed64, tag = "3")]
    pub origin: u64,
    /// The message's sequence.
    #[prost(uint64, tag = "4")]
    pub sequence: u64,
    /// Which ownership gave the lease.
    #[prost(uint32, tag = "5")]
    pub epoch: u32,
    /// Which lease.
    #[prost(uint32, tag = "6")]
    pub lease: u32,
    /// Delay of a nack or length of an extend in ms, plus one; 0 for the default.
    #[prost(uint64, tag = "7")]
    pub span: u64,
    /// Why it is rejected.
    #[prost(string, tag = "8")]
    pub reason: alloc::string::String,
}

/// The answer to a settle.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Settled {
    /// The settle.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// 0, or an error's number.
    #[prost(uint32, tag = "2")]
    pub code: u32,
}

/// The reply to a call. Nothing answers it; one that nobody waits for is dropped.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Replied {
    /// The boot that made the call.
    #[prost(fixed64, tag = "1")]
    pub boot: u64,
    /// The call.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// The handler's bytes.
    #[prost(bytes = "bytes", tag = "3")]
    pub body: Bytes,
    /// The handler's headers.
    #[prost(message, repeated, tag = "4")]
    pub headers: Vec<Header>,
}

/// A header of a reply.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Header {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

impl Message {
    /// About its bytes on the wire.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Message::Repl(repl) => repl.queue.len() + repl.section.weight(),
            Message::Deliver(deliver) => {
                let sections = deliver.sections.iter().map(Section::weight);
                32 + deliver.sources.len() * 16 + sections.sum::<usize>()
            }
            Message::SetDone(done) | Message::DoneOk(done) => {
                32 + done.holders.len() * 24 + done.ids.ranges.len() * 4
            }
            Message::LeaseHint(hint) => 72 + hint.ids.ranges.len() * 4,
            Message::HintOk(ok) => 24 + ok.ids.ranges.len() * 4,
            Message::Claim(claim) => 40 + claim.holders.len() * 24 + claim.ids.ranges.len() * 4,
            Message::Forget(forget) => 16 + forget.holders.len() * 24 + forget.ids.ranges.len() * 4,
            Message::ReplOk(ok) => 24 + ok.ids.ranges.len() * 4,
            Message::ReplNo(no) => 24 + no.ids.ranges.len() * 4,
            Message::Demand(demand) => 32 + demand.queue.len(),
            Message::Settle(settle) => 40 + settle.reason.len(),
            Message::Settled(_) => 40,
            Message::Replied(replied) => replied.weight(),
            Message::Browse(browse) => browse.weight(),
            Message::Browsed(browsed) => browsed.weight(),
            Message::Explain(_) => 40,
            Message::Explained(explained) => explained.weight(),
            Message::Redrive(redrive) => redrive.weight(),
            Message::Redriven(_) => 56,
            Message::Inventory(inventory) => 16 + inventory.buckets.len() * 10,
            Message::Differ(differ) => 8 + differ.buckets.len() * 2,
            Message::Examine(examine) => 32 + examine.queue.len(),
            Message::Examined(examined) => examined.weight(),
            Message::EnqueueFor(asked) => asked.weight(),
            Message::EnqueuePart(part) => part.asked.weight(),
            Message::Taken(taken) => taken.weight(),
            Message::Recall(recall) => recall.weight(),
            Message::Recalled(recalled) => recalled.weight(),
            Message::Remember(remember) => remember.weight(),
        }
    }

    /// True for what carries bodies, and so takes the bulk lane.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        matches!(
            self,
            Message::Repl(_)
                | Message::Deliver(_)
                | Message::Replied(_)
                | Message::Browsed(_)
                | Message::Explained(_)
                | Message::Examined(_)
                | Message::EnqueueFor(_)
                | Message::EnqueuePart(_)
        )
    }
}

impl Replied {
    /// The reply that a handler gives.
    #[must_use]
    pub fn new(to: ReplyTo, reply: NewMessage) -> Self {
        let headers = reply.headers.as_deref().map(|headers| {
            let headers = headers.iter().cloned();
            headers
                .map(|(name, value)| Header { name, value })
                .collect()
        });
        Self {
            boot: to.boot.0,
            number: to.number,
            body: reply.body,
            headers: headers.unwrap_or_default(),
        }
    }

    /// What its caller gets.
    pub(super) fn into_response(self) -> Response {
        let headers = self.headers.into_iter();
        let headers: Vec<(String, String)> =
            headers.map(|header| (header.name, header.value)).collect();
        Response {
            body: self.body,
            headers: (!headers.is_empty()).then(|| Arc::new(headers)),
        }
    }

    fn header_bytes(&self) -> usize {
        let sizes = self
            .headers
            .iter()
            .map(|one| one.name.len() + one.value.len());
        sizes.sum()
    }

    fn weight(&self) -> usize {
        32 + self.body.len() + self.header_bytes() + self.headers.len() * 6
    }

    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        let is_within = self.body.len() <= limits::BODY_BYTES_MAX
            && self.headers.len() <= limits::HEADERS_MAX
            && self.header_bytes() <= limits::HEADER_BYTES_MAX;
        if is_within {
            return Ok(self);
        }
        Err(Error::new(ErrorKind::Corrupt).because("a reply is over the limit"))
    }
}

impl Deliver {
    /// Notes the own origin of messages in a group.
    pub(super) fn note_source(&mut self, origin: BootId, source: BootId) {
        if !self.sources.contains(&(origin, source)) {
            self.sources.push((origin, source));
        }
    }

    /// The messages' own origin.
    pub(super) fn source_of(&self, origin: BootId) -> BootId {
        let mut sources = self.sources.iter();
        sources
            .find(|(known, _)| *known == origin)
            .map_or(origin, |(_, source)| *source)
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_varint(self.number);
        out.put_u8(u8::from(self.has_more));
        out.put_varint(self.lease_ms);
        out.put_varint(self.sections.len() as u64);
        for section in &self.sections {
            section.write_head(out);
            out.put_u32_le(section.items.len() as u32);
            section.write_items(&mut (0, 0), out);
        }
        if self.sources.is_empty() {
            return;
        }
        out.put_varint(self.sources.len() as u64);
        for (origin, source) in &self.sources {
            out.put_u64_le(origin.0);
            out.put_u64_le(source.0);
        }
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let number = reader.varint()?;
        let has_more = reader.u8()? != 0;
        let lease_ms = reader.varint()?.min(limits::LEASE_MS_MAX);
        let count = reader.count(30)?;
        let mut sections = Vec::with_capacity(count);
        for _ in 0..count {
            sections.push(Section::read(reader)?);
        }
        let mut sources = Vec::new();
        if reader.remaining() > 0 {
            let count = reader.count(16)?;
            sources.reserve(count);
            for _ in 0..count {
                sources.push((BootId(reader.u64()?), BootId(reader.u64()?)));
            }
        }
        Ok(Self {
            number,
            has_more,
            lease_ms,
            sections,
            sources,
        })
    }
}

impl Done {
    /// Appends it. The groups known and done are a list from the start; so far the unnamed one.
    pub fn write(&self, out: &mut BytesMut) {
        let owed = crate::copies::Owed {
            status: self.ending as u8,
            ..crate::copies::Owed::default()
        };
        write_owed(&[owed], out);
        write_holders(&self.holders, out);
        self.ids.write(out);
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let owed = read_owed(reader)?;
        let status = owed.first().map_or(0, |owed| owed.status);
        let ending = match (owed.len(), status) {
            (1, 2) => Ending::Dead,
            (1, 1) => Ending::Acked,
            (1, 3) => Ending::Expired,
            (1, 4) => Ending::Aborted,
            _ => return Err(Error::new(ErrorKind::Corrupt).because("an ending of unknown groups")),
        };
        let holders = read_holders(reader)?;
        let ids = Ids::read(reader, crate::copies::IDS_MAX)?;
        Ok(Self {
            ids,
            holders,
            ending,
        })
    }
}

impl Forget {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        self.ids.write(out);
        write_holders(&self.holders, out);
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let ids = Ids::read(reader, crate::copies::IDS_MAX)?;
        let holders = if reader.remaining() == 0 {
            Holders::default()
        } else {
            read_holders(reader)?
        };
        Ok(Self { ids, holders })
    }
}

impl Claim {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        write_own(self.own, out);
        write_holders(&self.holders, out);
        self.ids.write(out);
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            own: read_own(reader)?,
            holders: read_holders(reader)?,
            ids: Ids::read(reader, crate::copies::IDS_MAX)?,
        })
    }
}
