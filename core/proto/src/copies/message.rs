//! Copies on their way (protocol.md 4.8, 4.9): sections of messages that share owner and holders.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use smallvec::SmallVec;

use super::holder::{Holder, Holders, Own};
use super::terms::Terms;
use crate::base::{
    Birth, BootId, Error, ErrorKind, MemberId, MessageId, Result, Stamp, StoreId, limits,
};
use crate::wire::{Ids, Put, Reader, SEQUENCE_MAX};

/// A message's headers, in the producer's order; shared, never copied.
pub type Headers = Arc<Vec<(String, String)>>;

/// One message of a section.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its place in its origin's order.
    pub sequence: u64,
    /// When it was accepted.
    pub stamp: Stamp,
    /// How often it was given out.
    pub attempts: u32,
    /// Which lease of its owner, in a delivery.
    pub lease: u32,
    /// The body; none where the receiver holds the message already.
    pub body: Option<Bytes>,
    /// The headers.
    pub headers: Option<Headers>,
    /// The terms.
    pub terms: Option<Arc<Terms>>,
}

/// Messages of one origin that have the same owner and the same holders.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The boot that accepted them.
    pub origin: BootId,
    /// Who arbitrates their leases.
    pub own: Own,
    /// Every store that may hold them.
    pub holders: Holders,
    /// The messages.
    pub items: SmallVec<[Item; 1]>,
}

/// A group that a message owes, and how far it is (protocol.md 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owed {
    /// The group; "" is the unnamed one.
    pub group: String,
    /// The write that created it: (boot, number); zeros for the unnamed one.
    pub birth: (u64, u64),
    /// 0 live, 1 acked, 2 dead, 3 expired, 4 aborted: it only grows.
    pub status: u8,
}

/// Keep these copies.
#[derive(Debug, Clone, PartialEq)]
pub struct Repl {
    /// The queue's name.
    pub queue: Arc<str>,
    /// The messages.
    pub section: Section,
    /// Copies asked for, so that a later owner knows.
    pub wanted: u16,
    /// The groups that they are for, each of them once; none for the queue itself. The ids of the
    /// section are the messages' own: those in a group follow from them ([`super::Fan`]), and so does
    /// the rank of their owner.
    pub owed: Vec<Owed>,
}

/// They are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplOk {
    /// Which.
    pub ids: Ids,
    /// In which store of the sender.
    pub store: StoreId,
    /// Under which ownership they were sent, or claimed.
    pub epoch: u32,
}

/// They are not kept.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplNo {
    /// Which.
    pub ids: Ids,
    /// Why.
    pub reason: Refused,
}

/// Why a copy was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The memory budget is used up.
    Memory,
    /// The member is leaving.
    Leaving,
    /// It owes groups that this version does not know, or a queue table is full.
    Unsupported,
    /// The answer to a claim: no such copy is here.
    Lacks,
}

const HAS_HEADERS: u8 = 1;
const HAS_BODY: u8 = 2;
const HAS_TERMS: u8 = 4;
/// About what terms take.
const TERMS_BYTES: usize = 16;
/// What an item takes at least: sequence, stamp, attempts, lease, flags.
const ITEM_BYTES_MIN: usize = 5;

impl Item {
    /// About its bytes on the wire.
    #[must_use]
    pub fn weight(&self) -> usize {
        let body = self.body.as_ref().map_or(0, Bytes::len);
        let terms = self.terms.as_ref();
        let terms = terms.map_or(0, |terms| TERMS_BYTES + terms.key.len() + terms.dedup.len());
        body + 24 + terms + self.headers.as_ref().map_or(0, |headers| weigh(headers))
    }

    fn write(&self, base: &mut (u64, u64), out: &mut BytesMut) {
        out.put_varint(zigzag(self.sequence.wrapping_sub(base.0) as i64));
        out.put_varint(zigzag(self.stamp.0.wrapping_sub(base.1) as i64));
        *base = (self.sequence, self.stamp.0);
        out.put_varint(u64::from(self.attempts));
        out.put_varint(u64::from(self.lease));
        let headers = u8::from(self.headers.is_some()) * HAS_HEADERS;
        let terms = u8::from(self.terms.is_some()) * HAS_TERMS;
        out.put_u8(headers | terms | (u8::from(self.body.is_some()) * HAS_BODY));
        if let Some(headers) = &self.headers {
            write_headers(headers, out);
        }
        if let Some(terms) = &self.terms {
            out.put_varint(terms.encoded_len() as u64);
            // Room is made as it is needed.
            let _ = terms.encode(out);
        }
        if let Some(body) = &self.body {
            out.put_slice_with_length(body);
        }
    }

    fn read(base: &mut (u64, u64), reader: &mut Reader) -> Result<Self> {
        base.0 = base.0.wrapping_add(unzigzag(reader.varint()?) as u64);
        if base.0 > SEQUENCE_MAX {
            return Err(Error::new(ErrorKind::Corrupt).because("a sequence is too large"));
        }
        base.1 = base.1.wrapping_add(unzigzag(reader.varint()?) as u64);
        let attempts = reader.varint32()?;
        let lease = reader.varint32()?;
        let flags = reader.u8()?;
        let headers = if flags & HAS_HEADERS == 0 {
            None
        } else {
            Some(read_headers(reader)?)
        };
        let terms = if flags & HAS_TERMS == 0 {
            None
        } else {
            Some(read_terms(reader)?)
        };
        let body = if flags & HAS_BODY == 0 {
            None
        } else {
            Some(own_body(reader)?)
        };
        Ok(Self {
            sequence: base.0,
            stamp: Stamp(base.1),
            attempts,
            lease,
            body,
            headers,
            terms,
        })
    }
}

pub(crate) fn read_terms(reader: &mut Reader) -> Result<Arc<Terms>> {
    let terms = Terms::decode(reader.bytes()?);
    let terms = terms.map_err(|_| Error::new(ErrorKind::Corrupt).because("malformed terms"))?;
    if terms.priority.is_some_and(|priority| priority > 9) {
        return Err(Error::new(ErrorKind::Corrupt).because("a priority is out of its range"));
    }
    if terms.key.len() > limits::KEY_BYTES_MAX {
        return Err(Error::new(ErrorKind::Corrupt).because("a key is over the limit"));
    }
    let window = terms.dedup_window;
    let has_window = (1..=limits::DEDUP_WINDOW_MS_MAX).contains(&window);
    if terms.dedup.len() > limits::KEY_BYTES_MAX || terms.dedup.is_empty() == has_window {
        return Err(Error::new(ErrorKind::Corrupt).because("a dedup key is out of its bounds"));
    }
    Ok(Arc::new(terms))
}

/// A body's bytes. A small one is copied out of a large frame, so that one slow message does not
/// pin the memory of all its neighbours; a body that is most of its frame shares it.
pub(crate) fn own_body(reader: &mut Reader) -> Result<Bytes> {
    let body = reader.bytes()?;
    if body.len() > limits::BODY_BYTES_MAX {
        return Err(Error::new(ErrorKind::Corrupt).because("a body is over the limit"));
    }
    if body.len() * 4 >= reader.total() {
        return Ok(body);
    }
    Ok(Bytes::copy_from_slice(&body))
}

pub(crate) fn write_headers(headers: &[(String, String)], out: &mut BytesMut) {
    out.put_varint(headers.len() as u64);
    for (key, value) in headers {
        out.put_slice_with_length(key.as_bytes());
        out.put_slice_with_length(value.as_bytes());
    }
}

pub(crate) fn read_headers(reader: &mut Reader) -> Result<Headers> {
    let count = reader.count(2)?;
    if count > limits::HEADERS_MAX + limits::DEATH_HEADERS {
        return Err(Error::new(ErrorKind::Corrupt).because("too many headers"));
    }
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        headers.push((reader.string()?, reader.string()?));
    }
    if weigh(&headers) > limits::HEADER_BYTES_MAX + limits::DEATH_HEADER_BYTES {
        return Err(Error::new(ErrorKind::Corrupt).because("the headers are over the limit"));
    }
    Ok(Arc::new(headers))
}

pub(crate) fn weigh(headers: &[(String, String)]) -> usize {
    let sizes = headers.iter().map(|(key, value)| key.len() + value.len());
    sizes.sum()
}

impl Section {
    /// A section without messages yet.
    #[must_use]
    pub fn new(origin: BootId, own: Own, holders: Holders) -> Self {
        Self {
            origin,
            own,
            holders,
            items: SmallVec::new(),
        }
    }

    /// True when an item of `other` could stand in this section.
    #[must_use]
    pub fn is_like(&self, other: &Section) -> bool {
        self.origin == other.origin && self.own == other.own && self.holders == other.holders
    }

    /// [`Section::is_like`]; of messages in a group the rank of the owner is nothing by itself.
    #[must_use]
    pub fn is_like_of(&self, other: &Section, is_of_group: bool) -> bool {
        if !is_of_group {
            return self.is_like(other);
        }
        let owner = |own: Own| (own.epoch, own.store);
        self.origin == other.origin
            && owner(self.own) == owner(other.own)
            && self.holders == other.holders
    }

    /// The ids of its messages.
    pub fn ids(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.items.iter().map(|item| MessageId {
            origin: self.origin,
            sequence: item.sequence,
        })
    }

    /// About its bytes on the wire.
    #[must_use]
    pub fn weight(&self) -> usize {
        let items: usize = self.items.iter().map(Item::weight).sum();
        40 + self.holders.len() * 24 + items
    }

    /// Appends what all items share.
    pub fn write_head(&self, out: &mut BytesMut) {
        out.put_u64_le(self.origin.0);
        write_own(self.own, out);
        write_holders(&self.holders, out);
    }

    /// Appends the items; `base` carries the last sequence and stamp between calls, (0, 0) at first.
    pub fn write_items(&self, base: &mut (u64, u64), out: &mut BytesMut) {
        for item in &self.items {
            item.write(base, out);
        }
    }

    /// Reads what the two wrote, with the number of items between them as a u32. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let origin = BootId(reader.u64()?);
        let own = read_own(reader)?;
        let holders = read_holders(reader)?;
        let mut section = Self::new(origin, own, holders);
        let count = reader.u32()? as usize;
        if count > reader.remaining() / ITEM_BYTES_MIN {
            return Err(Error::new(ErrorKind::Corrupt).because("too many messages for the frame"));
        }
        section.items.reserve(count);
        let mut base = (0, 0);
        for _ in 0..count {
            section.items.push(Item::read(&mut base, reader)?);
        }
        Ok(section)
    }
}

impl Owed {
    /// That group, and nothing done there yet.
    #[must_use]
    pub fn live(group: &str, birth: Birth) -> Self {
        Self {
            group: group.into(),
            birth: (birth.boot, birth.number),
            status: 0,
        }
    }

    /// The write that created the group.
    #[must_use]
    pub fn birth(&self) -> Birth {
        Birth {
            boot: self.birth.0,
            number: self.birth.1,
        }
    }

    /// True for one that this version can keep copies for.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let is_name = !self.group.is_empty() && self.group.len() <= limits::NAME_BYTES_MAX;
        is_name && self.status == 0
    }
}

impl Repl {
    /// Appends the part before the items: a length-prefixed head that may grow at its end.
    pub fn write_head(&self, out: &mut BytesMut) {
        let mut head = BytesMut::with_capacity(self.queue.len() + 16);
        head.put_slice_with_length(self.queue.as_bytes());
        if self.owed.is_empty() {
            write_owed(&[Owed::default()], &mut head);
        } else {
            write_owed(&self.owed, &mut head);
        }
        head.put_varint(u64::from(self.wanted));
        out.put_slice_with_length(&head);
        self.section.write_head(out);
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let mut head = Reader::new(reader.bytes()?);
        let queue = read_name(&mut head)?;
        let mut owed = read_owed(&mut head)?;
        if owed == [Owed::default()] {
            owed.clear();
        }
        if owed.len() > limits::GROUPS_MAX {
            return Err(Error::new(ErrorKind::Corrupt).because("too many groups"));
        }
        let wanted = if head.remaining() == 0 {
            1
        } else {
            head.varint()?.min(limits::COPIES_MAX.into()) as u16
        };
        let section = Section::read(reader)?;
        Ok(Self {
            queue,
            section,
            wanted,
            owed,
        })
    }
}

impl ReplOk {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u64_le(self.store.0);
        self.ids.write(out);
        out.put_varint(u64::from(self.epoch));
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let store = StoreId(reader.u64()?);
        let ids = Ids::read(reader, IDS_MAX)?;
        let epoch = if reader.remaining() == 0 {
            0
        } else {
            reader.varint32()?
        };
        Ok(Self { ids, store, epoch })
    }
}

impl ReplNo {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u8(match self.reason {
            Refused::Memory => 0,
            Refused::Leaving => 1,
            Refused::Unsupported => 2,
            Refused::Lacks => 3,
        });
        self.ids.write(out);
    }

    /// Reads one; an unknown reason is read as Unsupported. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let reason = match reader.u8()? {
            0 => Refused::Memory,
            1 => Refused::Leaving,
            3 => Refused::Lacks,
            _ => Refused::Unsupported,
        };
        let ids = Ids::read(reader, IDS_MAX)?;
        Ok(Self { ids, reason })
    }
}

/// Ids in one frame at most: a run of a few bytes must not ask for a second of work.
pub(crate) const IDS_MAX: u64 = 1 << 16;

/// A queue's name, checked. Errors: 503.
pub(crate) fn read_name(reader: &mut Reader) -> Result<Arc<str>> {
    let name = reader.string()?;
    if name.is_empty() || name.len() > limits::NAME_BYTES_MAX {
        return Err(Error::new(ErrorKind::Corrupt).because("a queue's name is out of bounds"));
    }
    Ok(name.into())
}

pub(crate) fn write_own(own: Own, out: &mut BytesMut) {
    out.put_varint(u64::from(own.epoch));
    out.put_u64_le(own.rank);
    out.put_u64_le(own.store.0);
}

pub(crate) fn read_own(reader: &mut Reader) -> Result<Own> {
    Ok(Own {
        epoch: reader.varint32()?,
        rank: reader.u64()?,
        store: StoreId(reader.u64()?),
    })
}

pub(crate) fn write_holders(holders: &[Holder], out: &mut BytesMut) {
    out.put_varint(holders.len() as u64);
    for holder in holders {
        out.put_u128_le(holder.member.0);
        out.put_u64_le(holder.store.0);
    }
}

pub(crate) fn read_holders(reader: &mut Reader) -> Result<Holders> {
    let count = reader.count(24)?;
    if count > limits::HOLDERS_MAX {
        return Err(Error::new(ErrorKind::Corrupt).because("too many holders"));
    }
    let mut holders = Vec::with_capacity(count);
    for _ in 0..count {
        let holder = Holder {
            member: MemberId(reader.u128()?),
            store: StoreId(reader.u64()?),
        };
        // Its second place could never be confirmed.
        if holders.contains(&holder) {
            return Err(Error::new(ErrorKind::Corrupt).because("a holder is named twice"));
        }
        holders.push(holder);
    }
    Ok(holders.into())
}

pub(crate) fn write_owed(owed: &[Owed], out: &mut BytesMut) {
    out.put_varint(owed.len() as u64);
    for owed in owed {
        out.put_slice_with_length(owed.group.as_bytes());
        out.put_u64_le(owed.birth.0);
        out.put_varint(owed.birth.1);
        out.put_u8(owed.status);
    }
}

pub(crate) fn read_owed(reader: &mut Reader) -> Result<Vec<Owed>> {
    let count = reader.count(11)?;
    let mut owed = Vec::with_capacity(count);
    for _ in 0..count {
        owed.push(Owed {
            group: reader.string()?,
            birth: (reader.u64()?, reader.varint()?),
            status: reader.u8()?,
        });
    }
    Ok(owed)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}
