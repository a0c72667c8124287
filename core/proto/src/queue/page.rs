//! The values of a browse and how they travel: what is asked, what one member answers, and the page
//! that is made of all answers. Whose messages are shown and when a page ends stands in `browse`.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{BufMut, Bytes, BytesMut};
use core::fmt;
use core::str::FromStr;

use super::message::Header;
use crate::base::{
    BootId, Error, ErrorKind, MemberId, MessageId, Millis, QueueKey, Result, Stamp, limits,
};
use crate::copies::{
    Headers, Own, own_body, read_headers, read_own, weigh, write_headers, write_own,
};
use crate::wire::{Put, Reader};

/// What a shown message is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Anyone may have it.
    Ready = 1,
    /// It waits for its time.
    Delayed = 2,
    /// Somebody has it.
    Leased = 4,
}

impl State {
    /// All of them.
    pub const ALL: [State; 3] = [State::Ready, State::Delayed, State::Leased];

    /// Its name, the same in every face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Delayed => "delayed",
            State::Leased => "leased",
        }
    }

    fn of(bit: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == bit)
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|state| state.name() == text);
        found.ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Error::new(ErrorKind::InvalidArgument)
                .because("a state is ready, delayed or leased")
                .with("state", shown)
        })
    }
}

/// A message's place in the order of pages: by stamp, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Spot {
    /// When it was accepted.
    pub stamp: Stamp,
    /// Its identity, the same in every group.
    pub id: MessageId,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.stamp.0, self.id)
    }
}

impl FromStr for Spot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let shown: String = text.chars().take(60).collect();
            Error::new(ErrorKind::InvalidArgument)
                .because("that is no cursor of a page")
                .with("after", shown)
        };
        let (stamp, id) = text.split_once('-').ok_or_else(wrong)?;
        // The same sixteen digits as a boot's.
        let stamp: BootId = stamp.parse().map_err(|_| wrong())?;
        Ok(Self {
            stamp: Stamp(stamp.0),
            id: id.parse().map_err(|_| wrong())?,
        })
    }
}

/// A look at a queue's messages.
#[derive(Debug, Clone)]
pub struct NewBrowse {
    /// Whose.
    pub queue: QueueKey,
    /// Those of that group; none for the queue's own.
    pub group: Option<Arc<str>>,
    /// At most this many, 1 to `limits::BROWSE_MAX`.
    pub max: u32,
    /// Those after this place; none begins at the oldest.
    pub after: Option<Spot>,
    /// Those in one of these states; empty for all.
    pub states: Vec<State>,
    /// Those with all of these headers.
    pub headers: Vec<(String, String)>,
    /// How much of each body comes along.
    pub body_bytes_max: u32,
    /// How long to wait for the other members, 1 to `limits::BROWSE_MS_MAX`.
    pub timeout: Millis,
}

/// A part of a queue's messages, as the members that answered own them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The group whose messages they are; "" for the queue's own.
    pub group: String,
    /// By stamp, then by id.
    pub messages: Vec<Shown>,
    /// Where the next page begins; none when this is the last one.
    pub cursor: Option<Spot>,
    /// Members of the set whose messages are not in it: unreachable, too busy, or too slow.
    pub missing: Vec<MemberId>,
}

/// A message that is shown and not taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its stamp and its identity.
    pub spot: Spot,
    /// Who owns it.
    pub owner: MemberId,
    /// By which ownership it is shown: the higher one counts.
    pub own: Own,
    /// What it is doing.
    pub state: State,
    /// The producer's bytes, the first of them.
    pub body: Bytes,
    /// How many there are.
    pub body_bytes: u64,
    /// The producer's headers.
    pub headers: Option<Headers>,
    /// How often it was given out.
    pub attempts: u32,
    /// Its priority, 0 to 9.
    pub priority: u8,
    /// Its key; "" for none.
    pub key: String,
    /// Stores that are known to hold it.
    pub copies: u32,
    /// Of a delayed one, when it is ready, in wall-clock milliseconds since 1970; else 0.
    pub ready_at_ms: u64,
    /// When it expires, in wall-clock milliseconds since 1970; 0 for never.
    pub expires_ms: u64,
    /// Of a leased one, how long its lease lasts; else 0.
    pub lease_ms: Millis,
}

/// What a message takes in an answer beside its body and headers, at most.
const SHOWN_BYTES: usize = 128;
/// Beside a priority: a key follows the headers. Only where it was asked for.
const HAS_KEY: u8 = 0x80;
/// What one takes at least.
const SHOWN_BYTES_MIN: usize = 44;

impl Shown {
    /// When it was accepted, in wall-clock milliseconds since 1970 by the clock of who did.
    #[must_use]
    pub fn accepted_ms(&self) -> u64 {
        self.spot.stamp.0 >> 16
    }

    /// About its bytes on the wire.
    pub(super) fn weight(&self) -> usize {
        let headers = self.headers.as_ref();
        let headers = headers.map_or(0, |headers| weigh(headers) + headers.len() * 6);
        SHOWN_BYTES + self.body.len() + headers + self.key.len()
    }

    fn write(&self, out: &mut BytesMut) {
        write_spot(self.spot, out);
        write_own(self.own, out);
        out.put_u8(self.state as u8);
        let has_key = if self.key.is_empty() { 0 } else { HAS_KEY };
        out.put_u8(self.priority | has_key);
        out.put_varint(u64::from(self.attempts));
        out.put_varint(u64::from(self.copies));
        out.put_varint(self.ready_at_ms);
        out.put_varint(self.expires_ms);
        out.put_varint(self.lease_ms);
        out.put_varint(self.body_bytes);
        out.put_slice_with_length(&self.body);
        match &self.headers {
            Some(headers) => write_headers(headers, out),
            None => out.put_varint(0),
        }
        if has_key != 0 {
            out.put_slice_with_length(self.key.as_bytes());
        }
    }

    fn read(reader: &mut Reader) -> Result<Self> {
        let wrong = |what| Error::new(ErrorKind::Corrupt).because(what);
        let spot = read_spot(reader)?;
        let own = read_own(reader)?;
        let state = State::of(reader.u8()?).ok_or_else(|| wrong("a state that is none"))?;
        let flagged = reader.u8()?;
        let (priority, has_key) = (flagged & !HAS_KEY, flagged & HAS_KEY != 0);
        if priority > 9 {
            return Err(wrong("a priority is out of its range"));
        }
        let mut shown = Self {
            spot,
            owner: MemberId::default(),
            own,
            state,
            priority,
            attempts: reader.varint32()?,
            copies: reader.varint32()?,
            ready_at_ms: reader.varint()?,
            expires_ms: reader.varint()?,
            lease_ms: reader.varint()?,
            body_bytes: reader.varint()?,
            body: own_body(reader)?,
            headers: Some(read_headers(reader)?).filter(|headers| !headers.is_empty()),
            key: String::new(),
        };
        if has_key {
            shown.key = reader.string()?;
        }
        if shown.body.len() as u64 > shown.body_bytes {
            return Err(wrong("a body is longer than it says"));
        }
        Ok(shown)
    }
}

fn write_spot(spot: Spot, out: &mut BytesMut) {
    out.put_u64_le(spot.stamp.0);
    out.put_u64_le(spot.id.origin.0);
    out.put_varint(spot.id.sequence);
}

fn read_spot(reader: &mut Reader) -> Result<Spot> {
    Ok(Spot {
        stamp: Stamp(reader.u64()?),
        id: MessageId {
            origin: BootId(reader.u64()?),
            sequence: reader.varint()?,
        },
    })
}

/// "Show me what you own of that queue." Answered by one [`Browsed`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Browse {
    /// Names this at its sender.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The queue's name.
    #[prost(string, tag = "2")]
    pub queue: String,
    /// The group; "" for the queue's own messages.
    #[prost(string, tag = "3")]
    pub group: String,
    /// At most this many.
    #[prost(uint32, tag = "4")]
    pub max: u32,
    /// Those after this place; none begins at the oldest.
    #[prost(message, optional, tag = "5")]
    pub after: Option<After>,
    /// The sum of the states asked for (1 ready, 2 delayed, 4 leased); 0 for all.
    #[prost(uint32, tag = "6")]
    pub states: u32,
    /// Headers that they must have.
    #[prost(message, repeated, tag = "7")]
    pub headers: Vec<Header>,
    /// How much of each body is wanted.
    #[prost(uint32, tag = "8")]
    pub body_bytes_max: u32,
    /// After so long nobody waits for the answer, in ms.
    #[prost(uint64, tag = "9")]
    pub wait_ms: u64,
    /// Keys are wanted: a member of an earlier version could not read them.
    #[prost(bool, tag = "10")]
    pub shows_keys: bool,
}

/// A [`Spot`] in a [`Browse`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct After {
    /// The stamp.
    #[prost(fixed64, tag = "1")]
    pub stamp: u64,
    /// The id's origin.
    #[prost(fixed64, tag = "2")]
    pub origin: u64,
    /// The id's sequence.
    #[prost(uint64, tag = "3")]
    pub sequence: u64,
}

impl From<Spot> for After {
    fn from(spot: Spot) -> Self {
        Self {
            stamp: spot.stamp.0,
            origin: spot.id.origin.0,
            sequence: spot.id.sequence,
        }
    }
}

impl Browse {
    /// The place after which it begins; nothing lies at the first one.
    pub(super) fn after(&self) -> Spot {
        self.after.map_or(Spot::default(), |after| Spot {
            stamp: Stamp(after.stamp),
            id: MessageId {
                origin: BootId(after.origin),
                sequence: after.sequence,
            },
        })
    }

    /// True for a message that may be shown, by what it is doing and its headers.
    pub(super) fn wants(&self, state: State, headers: Option<&Headers>) -> bool {
        let is_in_state = self.states == 0 || self.states & state as u32 != 0;
        is_in_state
            && self.headers.iter().all(|wanted| {
                let mut headers = headers.into_iter().flat_map(|headers| headers.iter());
                headers.any(|(name, value)| *name == wanted.name && *value == wanted.value)
            })
    }

    pub(super) fn weight(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|one| one.name.len() + one.value.len() + 6);
        80 + self.queue.len() + self.group.len() + headers.sum::<usize>()
    }

    /// What was decoded, when it is within the limits; numbers are brought into their ranges.
    /// Errors: 503.
    pub fn checked(mut self) -> Result<Self> {
        let sizes = self.headers.iter();
        let bytes: usize = sizes.map(|one| one.name.len() + one.value.len()).sum();
        if self.headers.len() > limits::HEADERS_MAX || bytes > limits::HEADER_BYTES_MAX {
            return Err(Error::new(ErrorKind::Corrupt).because("a browse is over the limit"));
        }
        self.max = self.max.clamp(1, limits::BROWSE_MAX);
        self.body_bytes_max = self.body_bytes_max.min(limits::BODY_BYTES_MAX as u32);
        self.wait_ms = self.wait_ms.min(limits::BROWSE_MS_MAX);
        Ok(self)
    }
}

/// One member's answer to a [`Browse`]: what it owns, by stamp and id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Browsed {
    /// The browse.
    pub number: u64,
    /// True for one that looks through its messages for too many others already; nothing follows.
    pub is_busy: bool,
    /// There may be more beyond this place; none when this is all.
    pub through: Option<Spot>,
    /// The messages.
    pub messages: Vec<Shown>,
}

const IS_BUSY: u8 = 1;
const IS_CUT: u8 = 2;

impl Browsed {
    pub(super) fn weight(&self) -> usize {
        32 + self.messages.iter().map(Shown::weight).sum::<usize>()
    }

    /// True for an answer that keeps to what was asked: in order, after the place where it began, no
    /// more than was wanted. Another one could make pages that never end.
    pub(super) fn keeps_to(&self, asked: &Browse) -> bool {
        let mut last = asked.after();
        for shown in &self.messages {
            if shown.spot <= last || shown.body.len() > asked.body_bytes_max as usize {
                return false;
            }
            last = shown.spot;
        }
        let ends_well = self
            .through
            .is_none_or(|through| through >= last && through > asked.after());
        ends_well && self.messages.len() <= asked.max as usize
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_varint(self.number);
        let cut = u8::from(self.through.is_some()) * IS_CUT;
        let busy = u8::from(self.is_busy) * IS_BUSY;
        out.put_u8(busy | cut);
        if let Some(through) = self.through {
            write_spot(through, out);
        }
        out.put_varint(self.messages.len() as u64);
        for shown in &self.messages {
            shown.write(out);
        }
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let number = reader.varint()?;
        let flags = reader.u8()?;
        let through = match flags & IS_CUT {
            0 => None,
            _ => Some(read_spot(reader)?),
        };
        let count = reader.count(SHOWN_BYTES_MIN)?;
        if count > limits::BROWSE_MAX as usize {
            return Err(Error::new(ErrorKind::Corrupt).because("an answer shows too many"));
        }
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            messages.push(Shown::read(reader)?);
        }
        Ok(Self {
            number,
            is_busy: flags & IS_BUSY != 0,
            through,
            messages,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_cursor_survives_its_text_form_and_anything_else_is_none() {
        let spot = Spot {
            stamp: Stamp(0x0123_4567_89ab_cdef),
            id: MessageId {
                origin: BootId(9),
                sequence: 77,
            },
        };
        assert_eq!(spot.to_string().parse::<Spot>().unwrap(), spot);
        for text in ["", "-", "1-2-3", "0123456789abcdef-77", "0123456789abcdef"] {
            assert_eq!(text.parse::<Spot>().unwrap_err().number(), 101, "{text}");
        }
    }

    #[test]
    fn what_one_takes_at_least_is_not_more_than_it_takes() {
        let smallest = Shown {
            spot: Spot::default(),
            owner: MemberId::default(),
            own: Own::default(),
            state: State::Ready,
            body: Bytes::new(),
            body_bytes: 0,
            headers: None,
            attempts: 0,
            priority: 0,
            key: String::new(),
            copies: 0,
            ready_at_ms: 0,
            expires_ms: 0,
            lease_ms: 0,
        };
        let mut out = BytesMut::new();
        smallest.write(&mut out);
        assert_eq!(out.len(), SHOWN_BYTES_MIN);
        let shown = Shown::read(&mut Reader::new(out.freeze())).unwrap();
        assert_eq!(shown, smallest);
    }
}
