//! What members tell each other to spread a broadcast (protocol.md 2).
//!
//! Tight layouts, read with every bound checked: a body is no larger than [`BODY_BYTES_MAX`], a frame
//! speaks of no more than [`IDS_MAX`] ids. Each is a frame of its own kind, so a message is written
//! without one and read by its struct.

use alloc::vec::Vec;
use bytes::{BufMut, Bytes, BytesMut};

use super::{BODY_BYTES_MAX, IDS_MAX};
use crate::base::{Error, ErrorKind, MemberId, Result};
use crate::wire::{Put, Reader, SEQUENCE_MAX};

/// A message of the broadcast room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The payload, along an edge of the tree or to one who asked.
    Push(Push),
    /// Ids whose payloads the sender has.
    IHave(IHave),
    /// "Push to me, and these first."
    Graft(Graft),
    /// "I have it from elsewhere: only announce to me."
    Prune(Prune),
    /// "I do not have these any more."
    Gone(Gone),
}

/// A payload on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Who broadcast it.
    pub origin: MemberId,
    /// The origin's incarnation at that time.
    pub incarnation: u64,
    /// Its place in that incarnation, from 1.
    pub sequence: u64,
    /// Hops from the origin to the sender; 0 when the origin sends it.
    pub hops: u16,
    /// What it is for (`broadcast::handler`).
    pub handler: u16,
    /// The payload.
    pub body: Bytes,
}

/// Ids that the sender has, and whether it counts the receiver among its neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IHave {
    /// True when the receiver is one of the sender's own ring neighbours, and so should take the
    /// sender for one: that keeps the relation symmetric where their links differ.
    pub is_neighbour: bool,
    /// The ids by origin; may be empty.
    pub groups: Vec<Group>,
}

/// Ids of one origin's incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Who broadcast them.
    pub origin: MemberId,
    /// In which incarnation.
    pub incarnation: u64,
    /// Each sequence, with the hops from the origin to the sender.
    pub ids: Vec<(u64, u16)>,
}

/// Makes the edge eager, and asks for payloads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graft {
    /// The tree.
    pub origin: MemberId,
    /// The incarnation of the payloads asked for.
    pub incarnation: u64,
    /// The payloads asked for; none for the edge alone.
    pub sequences: Vec<u64>,
}

/// Makes the edge lazy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prune {
    /// The tree.
    pub origin: MemberId,
}

/// Payloads that were asked for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gone {
    /// Who broadcast them.
    pub origin: MemberId,
    /// In which incarnation.
    pub incarnation: u64,
    /// Which.
    pub sequences: Vec<u64>,
}

impl Message {
    /// Appends it, without a kind: the frame names that.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            Message::Push(push) => push.write(out),
            Message::IHave(ihave) => ihave.write(out),
            Message::Graft(graft) => graft.write(out),
            Message::Prune(prune) => prune.write(out),
            Message::Gone(gone) => gone.write(out),
        }
    }

    /// About its bytes on the wire.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Message::Push(push) => 40 + push.body.len(),
            Message::IHave(ihave) => {
                let ids = ihave.groups.iter().map(|group| 24 + group.ids.len() * 6);
                8 + ids.sum::<usize>()
            }
            Message::Graft(Graft { sequences, .. }) | Message::Gone(Gone { sequences, .. }) => {
                32 + sequences.len() * 6
            }
            Message::Prune(_) => 24,
        }
    }
}

impl Push {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u128_le(self.origin.0);
        out.put_varint(self.incarnation);
        out.put_varint(self.sequence);
        out.put_varint(u64::from(self.hops));
        out.put_varint(u64::from(self.handler));
        out.put_slice_with_length(&self.body);
    }

    /// Reads one; the body shares the reader's memory. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let push = Self {
            origin: MemberId(reader.u128()?),
            incarnation: reader.varint()?,
            sequence: sequence(reader.varint()?)?,
            hops: short(reader)?,
            handler: short(reader)?,
            body: reader.bytes()?,
        };
        if push.body.len() > BODY_BYTES_MAX {
            return Err(corrupt("a broadcast over the limit"));
        }
        Ok(push)
    }
}

impl IHave {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(self.is_neighbour));
        out.put_varint(self.groups.len() as u64);
        for group in &self.groups {
            out.put_u128_le(group.origin.0);
            out.put_varint(group.incarnation);
            out.put_varint(group.ids.len() as u64);
            let mut last = 0;
            for (sequence, hops) in &group.ids {
                put_step(&mut last, *sequence, out);
                out.put_varint(u64::from(*hops));
            }
        }
    }

    /// Reads one. Errors: 503, also for more ids and groups than [`IDS_MAX`].
    pub fn read(reader: &mut Reader) -> Result<Self> {
        // Only the lowest bit is ours: a later version may set others.
        let is_neighbour = reader.u8()? & 1 == 1;
        let count = reader.count(18)?;
        let mut total = count;
        let mut groups = Vec::with_capacity(count.min(IDS_MAX));
        for _ in 0..count {
            let origin = MemberId(reader.u128()?);
            let incarnation = reader.varint()?;
            let count = reader.count(2)?;
            total += count;
            if total > 2 * IDS_MAX || count > IDS_MAX {
                return Err(corrupt("too many ids in a frame"));
            }
            let mut ids = Vec::with_capacity(count);
            let mut last = 0;
            for _ in 0..count {
                ids.push((step(&mut last, reader)?, short(reader)?));
            }
            groups.push(Group {
                origin,
                incarnation,
                ids,
            });
        }
        Ok(Self {
            is_neighbour,
            groups,
        })
    }
}

/// What names payloads of one incarnation is written alike.
macro_rules! names_payloads {
    ($($message:ident),*) => {$(
        impl $message {
            /// Appends it.
            pub fn write(&self, out: &mut BytesMut) {
                out.put_u128_le(self.origin.0);
                out.put_varint(self.incarnation);
                out.put_varint(self.sequences.len() as u64);
                let mut last = 0;
                for sequence in &self.sequences {
                    put_step(&mut last, *sequence, out);
                }
            }

            /// Reads one. Errors: 503, also for more ids than [`IDS_MAX`].
            pub fn read(reader: &mut Reader) -> Result<Self> {
                let origin = MemberId(reader.u128()?);
                let incarnation = reader.varint()?;
                let count = reader.count(1)?;
                if count > IDS_MAX {
                    return Err(corrupt("too many ids in a frame"));
                }
                let mut last = 0;
                let sequences = (0..count).map(|_| step(&mut last, reader));
                Ok(Self {
                    origin,
                    incarnation,
                    sequences: sequences.collect::<Result<_>>()?,
                })
            }
        }
    )*};
}

names_payloads!(Graft, Gone);

impl Prune {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u128_le(self.origin.0);
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            origin: MemberId(reader.u128()?),
        })
    }
}

fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt).because(reason)
}

/// Refuses what no origin counts to.
fn sequence(number: u64) -> Result<u64> {
    if (1..=SEQUENCE_MAX).contains(&number) {
        return Ok(number);
    }
    Err(corrupt("a sequence that nobody gives"))
}

fn short(reader: &mut Reader) -> Result<u16> {
    u16::try_from(reader.varint()?).map_err(|_| corrupt("a number is too large"))
}

/// The step from the last sequence, zigzag: neighbours take one byte.
fn put_step(last: &mut u64, sequence: u64, out: &mut BytesMut) {
    let step = sequence.wrapping_sub(*last) as i64;
    out.put_varint(((step << 1) ^ (step >> 63)) as u64);
    *last = sequence;
}

fn step(last: &mut u64, reader: &mut Reader) -> Result<u64> {
    let zigzag = reader.varint()?;
    let step = ((zigzag >> 1) as i64) ^ -((zigzag & 1) as i64);
    *last = sequence(last.wrapping_add(step as u64))?;
    Ok(*last)
}
